package ws

import (
	"encoding/binary"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
)

// OpCode is a frame's type (RFC 6455 section 5.2).
type OpCode = gobwas.OpCode

// The opcodes.
const (
	OpContinuation = gobwas.OpContinuation
	OpText         = gobwas.OpText
	OpBinary       = gobwas.OpBinary
	OpClose        = gobwas.OpClose
	OpPing         = gobwas.OpPing
	OpPong         = gobwas.OpPong
)

// Sizes.
const (
	HeaderBytesMax      = gobwas.MaxHeaderSize              // of any header
	ControlBytesMax     = gobwas.MaxControlFramePayloadSize // payload of ping, pong, close
	closeReasonBytesMax = gobwas.MaxControlFramePayloadSize - 2
)

// HeaderSize is the length of the header of a server's (unmasked) frame with a payload of n bytes: 2, 4 or 10.
func HeaderSize(n int) int {
	switch {
	case n < 126:
		return 2
	case n <= 0xffff:
		return 4
	}
	return 10
}

// AppendHeader appends the header of an unmasked frame. rsv1 marks the first frame of a compressed message.
func AppendHeader(dst []byte, op OpCode, fin, rsv1 bool, n int) []byte {
	return appendHeader(dst, op, fin, rsv1, n, 0)
}

func appendHeader(dst []byte, op OpCode, fin, rsv1 bool, n int, maskBit byte) []byte {
	first := byte(op)
	if fin {
		first |= 0x80
	}
	if rsv1 {
		first |= 0x40
	}
	switch {
	case n < 126:
		return append(dst, first, maskBit|byte(n))
	case n <= 0xffff:
		return append(dst, first, maskBit|126, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, maskBit|127), uint64(n))
}

// AppendFrame appends one unmasked frame.
func AppendFrame(dst []byte, op OpCode, fin, rsv1 bool, payload []byte) []byte {
	return append(AppendHeader(dst, op, fin, rsv1, len(payload)), payload...)
}

// AppendText appends a whole text message as one frame; payload must be UTF-8.
func AppendText(dst, payload []byte) []byte { return AppendFrame(dst, OpText, true, false, payload) }

// AppendBinary appends a whole binary message as one frame.
func AppendBinary(dst, payload []byte) []byte {
	return AppendFrame(dst, OpBinary, true, false, payload)
}

// AppendTextDeflated appends a text message as one compressed frame, for every connection of whose Deflate the payload
// Fits.
func AppendTextDeflated(dst, payload []byte) []byte {
	return AppendMessageDeflated(dst, OpText, payload, Deflate{WindowBits: windowBitsMax})
}

// AppendMessageDeflated appends a message as one compressed frame, for one connection and what was agreed with it. op
// is OpText or OpBinary.
func AppendMessageDeflated(dst []byte, op OpCode, payload []byte, agreed Deflate) []byte {
	// The header's size depends on the compressed length: leave room for the largest and close the gap.
	start := len(dst)
	var gap [10]byte
	dst = appendDeflatedWithin(append(dst, gap[:]...), payload, agreed)
	body := dst[start+len(gap):]
	header := AppendHeader(dst[:start], op, true, true, len(body))
	return append(header, body...)
}

// AppendPing appends a ping; a payload beyond 125 bytes is cut.
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, OpPing, payload) }

// AppendPong appends a pong; a payload beyond 125 bytes is cut.
func AppendPong(dst, payload []byte) []byte { return appendControl(dst, OpPong, payload) }

func appendControl(dst []byte, op OpCode, payload []byte) []byte {
	return AppendFrame(dst, op, true, false, payload[:min(len(payload), ControlBytesMax)])
}

// AppendClose appends a close frame. Codes that must not be sent (0, 1005, 1006, 1015) make one without a payload. The
// reason is cut at a rune's boundary to the 123 bytes that fit.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if code == 0 || code == CloseNoStatus || code == closeAbnormal || code == closeTLS {
		return AppendHeader(dst, OpClose, true, false, 0)
	}
	reason = cutReason(reason)
	dst = AppendHeader(dst, OpClose, true, false, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, code), reason...)
}

func cutReason(reason string) string {
	if !utf8.ValidString(reason) {
		return ""
	}
	if len(reason) <= closeReasonBytesMax {
		return reason
	}
	n := closeReasonBytesMax
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// AppendMasked appends one frame as a client sends it, masked with the four bytes of maskKey, most significant first.
// The key should be unpredictable to whoever chose the payload (RFC 6455 section 10.3).
func AppendMasked(dst []byte, op OpCode, fin, rsv1 bool, payload []byte, maskKey uint32) []byte {
	dst = appendHeader(dst, op, fin, rsv1, len(payload), 0x80)
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], maskKey)
	dst = append(dst, mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	gobwas.Cipher(dst[start:], mask, 0)
	return dst
}

// AppendMaskedText appends a whole text message as a client sends it.
func AppendMaskedText(dst, payload []byte, maskKey uint32) []byte {
	return AppendMasked(dst, OpText, true, false, payload, maskKey)
}

// AppendMaskedClose appends a client's close frame with a code and no reason.
func AppendMaskedClose(dst []byte, code uint16, maskKey uint32) []byte {
	return AppendMasked(dst, OpClose, true, false, binary.BigEndian.AppendUint16(nil, code), maskKey)
}
