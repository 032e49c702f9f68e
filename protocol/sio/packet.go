package sio

import (
	"errors"
	"strconv"
)

// Type is what a packet is for.
type Type uint8

// The packet types of revision 5.
const (
	Connect      Type = iota // client: join a namespace, with auth; server: joined, with the socket's id
	Disconnect               // either side: leave the namespace
	Event                    // either side: ["name", arg, …]
	Ack                      // either side: [arg, …], the answer to an Event with an id
	ConnectError             // server: a Connect is refused
	BinaryEvent              // an Event with attachments
	BinaryAck                // an Ack with attachments

	types
)

var typeNames = [types]string{"connect", "disconnect", "event", "ack", "connect_error", "binary_event", "binary_ack"}

// String is the type's name in logs and metric labels.
func (t Type) String() string {
	if t < types {
		return typeNames[t]
	}
	return "invalid"
}

// Main is the namespace that is meant when none is named.
const Main = "/"

// NoID is the ID of a packet that asks for no answer.
const NoID = -1

// IDMax is the largest ack id: above it, JavaScript's numbers have gaps.
const IDMax = 1 << 53

// Packet is one packet. What Decoder.Text and Decoder.Msgpack return is borrowed: it is valid until the Decoder is fed
// again.
type Packet struct {
	Type      Type
	Namespace string // begins with "/"
	ID        int64  // NoID, or 0 to IDMax
	// Data is JSON: an object for Connect, an array for the events and acks, a string or an object for ConnectError;
	// nil where there is none.
	Data        []byte
	Attachments [][]byte
}

// What can be wrong with a packet.
var (
	ErrType        = errors.New("sio: unknown packet type")
	ErrNamespace   = errors.New("sio: the namespace is too long or has characters that none has")
	ErrID          = errors.New("sio: the ack id is too large, or stands where none belongs")
	ErrPayload     = errors.New("sio: the payload does not fit the packet's type")
	ErrAttachments = errors.New("sio: illegal attachments")
	ErrOrder       = errors.New("sio: text between a packet and its attachments, or bytes that belong to no packet")
	ErrMsgpack     = errors.New("sio: not a packet in MessagePack")
)

// reserved are the names that the libraries keep for themselves; no peer may send them.
var reserved = map[string]bool{
	"connect": true, "connect_error": true, "disconnect": true, "disconnecting": true, "newListener": true,
	"removeListener": true,
}

// Reserved reports whether the libraries keep an event's name for themselves.
func Reserved(name string) bool { return reserved[name] }

// AppendHeader appends what stands before a packet's data: type, count of attachments, namespace, id.
func AppendHeader(dst []byte, t Type, namespace string, id int64, attachments int) []byte {
	dst = append(dst, '0'+byte(t))
	if t == BinaryEvent || t == BinaryAck {
		dst = append(strconv.AppendInt(dst, int64(attachments), 10), '-')
	}
	if namespace != Main {
		dst = append(append(dst, namespace...), ',')
	}
	if id >= 0 {
		dst = strconv.AppendInt(dst, id, 10)
	}
	return dst
}

// Append appends the text of a packet. Its attachments follow as binary messages of their own. The type becomes the
// binary one of its kind when there are attachments.
func Append(dst []byte, p *Packet) []byte {
	t := p.Type
	if len(p.Attachments) > 0 {
		switch t {
		case Event:
			t = BinaryEvent
		case Ack:
			t = BinaryAck
		}
	}
	return append(AppendHeader(dst, t, p.Namespace, p.ID, len(p.Attachments)), p.Data...)
}

// AppendConnected appends the answer to a Connect: the socket's id, and a private id where the client may come back to
// the same state. Neither needs escapes.
func AppendConnected(dst []byte, namespace, sid, pid string) []byte {
	dst = AppendHeader(dst, Connect, namespace, NoID, 0)
	dst = append(append(append(dst, `{"sid":"`...), sid...), '"')
	if pid != "" {
		dst = append(append(append(dst, `,"pid":"`...), pid...), '"')
	}
	return append(dst, '}')
}
