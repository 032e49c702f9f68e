package eio

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// Type is what a packet is for: the first character of its text.
type Type byte

// The packet types of revision 4.
const (
	Open    Type = '0' // server: the handshake
	Close   Type = '1' // either side: the session ends
	Ping    Type = '2' // server: are you there; in an upgrade the client's "2probe"
	Pong    Type = '3' // client: yes; in an upgrade the server's "3probe"
	Message Type = '4' // either side: data
	Upgrade Type = '5' // client: the upgrade is complete
	Noop    Type = '6' // server: ends a poll that waits
)

var typeNames = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

// String is the type's name in logs.
func (t Type) String() string {
	if t.valid() {
		return typeNames[t-Open]
	}
	return "invalid"
}

func (t Type) valid() bool { return t >= Open && t <= Noop }

// Separator stands between the packets of a payload.
const Separator = 0x1e

// Probe is what the ping and pong of an upgrade carry.
const Probe = "probe"

// Packet is one packet. Data is borrowed from the input where it could be.
type Packet struct {
	Type   Type
	Binary bool // a message of bytes; only for Message
	Data   []byte
}

// What can be wrong with a packet or payload. All of them end the session.
var (
	ErrPacket         = errors.New("eio: not a packet")
	ErrBase64         = errors.New("eio: a binary packet is not base64")
	ErrUTF8           = errors.New("eio: text is not UTF-8")
	ErrTooLarge       = errors.New("eio: the payload is over the limit")
	ErrTooManyPackets = errors.New("eio: too many packets in one payload")
)

// Decode reads a packet from a WebSocket text message, whose UTF-8 has been checked. A binary message is a packet
// without a header: Packet{Type: Message, Binary: true, Data: all of it}.
func Decode(text []byte) (Packet, error) {
	if len(text) == 0 || !Type(text[0]).valid() {
		return Packet{}, ErrPacket
	}
	return Packet{Type: Type(text[0]), Data: text[1:]}, nil
}

// Limits bound what a client may POST.
type Limits struct {
	BytesMax   int // of one payload; what the handshake calls maxPayload
	PacketsMax int // in one payload
}

// DecodePayload takes the body of a POST apart and calls each for every packet, until that returns false. Texts are
// borrowed from body, binary data is decoded in place: body's content is lost. Packets before a faulty one are
// delivered, as the official server delivers them.
func DecodePayload(body []byte, limits Limits, each func(Packet) bool) error {
	if len(body) > limits.BytesMax {
		return ErrTooLarge
	}
	for n := 1; ; n++ {
		if n > limits.PacketsMax {
			return ErrTooManyPackets
		}
		one, more := body, false
		for i, c := range body {
			if c == Separator {
				one, body, more = body[:i], body[i+1:], true
				break
			}
		}
		p, err := decodeOne(one)
		if err != nil {
			return err
		}
		if !each(p) || !more {
			return nil
		}
	}
}

// decodeOne reads a packet from a payload, where binary data is base64 behind a 'b'.
func decodeOne(one []byte) (Packet, error) {
	if len(one) > 0 && one[0] == 'b' {
		n, err := decodeBase64(one[1:])
		if err != nil {
			return Packet{}, ErrBase64
		}
		return Packet{Type: Message, Binary: true, Data: one[1 : 1+n]}, nil
	}
	if !utf8.Valid(one) {
		return Packet{}, ErrUTF8
	}
	return Decode(one)
}

// decodeBase64 decodes in place. Padding may be left out: some clients do.
func decodeBase64(b []byte) (int, error) {
	enc := base64.StdEncoding
	if len(b)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	return enc.Decode(b, b)
}

// Append appends a text packet as a WebSocket text message or a payload carries it.
func Append(dst []byte, t Type, data string) []byte { return append(append(dst, byte(t)), data...) }

// AppendBinary appends a binary message as a payload carries it: 'b' and base64.
func AppendBinary(dst, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, 'b'), data)
}
