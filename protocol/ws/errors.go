package ws

import "unicode/utf8"

// The close codes that this package decides on by itself (RFC 6455 section 7.4.1).
const (
	CloseNormal         uint16 = 1000
	CloseProtocolError  uint16 = 1002
	CloseNoStatus       uint16 = 1005 // never sent: a close frame without a code
	closeAbnormal       uint16 = 1006
	CloseInvalidPayload uint16 = 1007
	CloseTooBig         uint16 = 1009
	closeTLS            uint16 = 1015
)

// Error is a breach by the peer: the connection must be closed with Code.
type Error struct {
	Code   uint16
	Reason string // for the close frame and the log: lower case, nothing of the peer's
}

// Error is the reason.
func (e *Error) Error() string { return "ws: " + e.Reason }

// One value per kind of breach, so that refusing costs no allocation and tests and counters can compare.
var (
	ErrReservedBits  = &Error{CloseProtocolError, "reserved bits are set"}
	ErrReservedOp    = &Error{CloseProtocolError, "reserved opcode"}
	ErrControlFrag   = &Error{CloseProtocolError, "control frame is fragmented"}
	ErrControlSize   = &Error{CloseProtocolError, "control frame is longer than 125 bytes"}
	ErrUnmasked      = &Error{CloseProtocolError, "client frame is not masked"}
	ErrMasked        = &Error{CloseProtocolError, "server frame is masked"}
	ErrLength        = &Error{CloseProtocolError, "length is not in its shortest form"}
	ErrContinuation  = &Error{CloseProtocolError, "continuation without a message"}
	ErrInterleaved   = &Error{CloseProtocolError, "message within a message"}
	ErrClosePayload  = &Error{CloseProtocolError, "close frame is malformed"}
	ErrUTF8          = &Error{CloseInvalidPayload, "text is not UTF-8"}
	ErrCompression   = &Error{CloseInvalidPayload, "compressed data is broken"}
	ErrMessageTooBig = &Error{CloseTooBig, "message is too big"}
	ErrInflatedBig   = &Error{CloseTooBig, "message is too big once decompressed"}
)

// ParseClose reads the payload of a close frame: no payload is CloseNoStatus; one byte, a code that must not be
// sent or a reason that is not UTF-8 is an error (RFC 6455 sections 5.5.1 and 7.4).
func ParseClose(payload []byte) (code uint16, reason string, err *Error) {
	switch {
	case len(payload) == 0:
		return CloseNoStatus, "", nil
	case len(payload) == 1:
		return 0, "", ErrClosePayload
	}
	code = uint16(payload[0])<<8 | uint16(payload[1])
	if !validCloseCode(code) {
		return 0, "", ErrClosePayload
	}
	if !utf8.Valid(payload[2:]) {
		return 0, "", ErrUTF8
	}
	return code, string(payload[2:]), nil
}

// validCloseCode is true for registered codes that may stand in a frame (1000–1003, 1007–1014) and for those of
// libraries and applications (3000–4999).
func validCloseCode(code uint16) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}
