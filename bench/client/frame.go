package client

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Frame opcodes (RFC 6455 section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	payloadBytesMax = 16 << 20 // of one message from the server
	maskedHeaderMax = 14
)

var (
	errFrameMasked   = errors.New("bench: the server masked a frame (RFC 6455 section 5.1)")
	errFrameReserved = errors.New("bench: the server set a reserved bit that was not negotiated")
	errFrameOrder    = errors.New("bench: the server's fragments are out of order")
	errFrameControl  = errors.New("bench: the server sent a control frame that is too long or fragmented")
	errFrameSize     = fmt.Errorf("bench: a message from the server is longer than %d bytes", payloadBytesMax)
)

// frameHeader is the head of one server frame: its size is headLen+payloadLen.
type frameHeader struct {
	fin        bool
	op         byte
	headLen    int
	payloadLen int
}

// parseHeader reads a server frame's head; ok is false when more bytes are needed.
func parseHeader(b []byte) (h frameHeader, ok bool, err error) {
	if len(b) < 2 {
		return h, false, nil
	}
	if b[0]&0x70 != 0 {
		return h, false, errFrameReserved
	}
	if b[1]&0x80 != 0 {
		return h, false, errFrameMasked
	}
	h.fin, h.op = b[0]&0x80 != 0, b[0]&0x0f
	h.headLen, h.payloadLen = 2, int(b[1])
	switch b[1] {
	case 126:
		if len(b) < 4 {
			return h, false, nil
		}
		h.headLen, h.payloadLen = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return h, false, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n > payloadBytesMax {
			return h, false, errFrameSize
		}
		h.headLen, h.payloadLen = 10, int(n)
	}
	if h.op >= opClose && (!h.fin || h.payloadLen > 125) {
		return h, false, errFrameControl
	}
	if h.payloadLen > payloadBytesMax {
		return h, false, errFrameSize
	}
	return h, true, nil
}

// appendMasked appends one final client frame, masked with key (RFC 6455 section 5.3).
func appendMasked(dst []byte, op byte, payload []byte, key uint32) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	start := len(dst)
	dst = append(dst, payload...)
	maskBytes(dst[start:], key)
	return dst
}

func maskBytes(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}
