package stomp

import (
	"lectern/protocol/wire"
)

// Version is a version of the protocol; zero: not negotiated yet.
type Version uint8

// The versions.
const (
	V10 Version = iota + 1
	V11
	V12
)

// String is the version as the header has it.
func (v Version) String() string {
	switch v {
	case V10:
		return "1.0"
	case V11:
		return "1.1"
	case V12:
		return "1.2"
	}
	return "none"
}

// Subprotocols are the names of the versions as WebSocket subprotocols, the best first.
var Subprotocols = []string{"v12.stomp", "v11.stomp", "v10.stomp"}

// Command is a frame's first line.
type Command uint8

// The commands. Those up to Disconnect are a client's.
const (
	None Command = iota
	Connect
	Stomp // a client's CONNECT that no 1.0 server takes for its own
	Send
	Subscribe
	Unsubscribe
	Begin
	Commit
	Abort
	Ack
	Nack
	Disconnect
	Connected
	Message
	Receipt
	Failure // ERROR
	commandCount
)

var commandNames = [commandCount]string{
	"", "CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK", "DISCONNECT",
	"CONNECTED", "MESSAGE", "RECEIPT", "ERROR",
}

var commandByName = func() map[string]Command {
	m := make(map[string]Command, commandCount)
	for c := Connect; c < commandCount; c++ {
		m[commandNames[c]] = c
	}
	return m
}()

// String is the command as it stands in a frame.
func (c Command) String() string {
	if c < commandCount {
		return commandNames[c]
	}
	return "invalid"
}

// hasBody is true for the commands that may carry one.
func (c Command) hasBody() bool { return c == Send || c == Message || c == Failure }

// raw is true for the commands whose headers are not escaped, so that 1.0 peers understand them.
func (c Command) raw() bool { return c == Connect || c == Stomp || c == Connected }

// Header is one line of a frame's head, unescaped.
type Header struct{ Name, Value string }

// Frame is one frame. The strings may be kept; Headers and Body are borrowed while the Decoder's callback runs.
type Frame struct {
	Command Command
	Headers []Header
	Body    []byte
}

// Find is the value of a header. Of several with the same name the first counts.
func (f *Frame) Find(name string) (value string, ok bool) {
	for i := range f.Headers {
		if f.Headers[i].Name == name {
			return f.Headers[i].Value, true
		}
	}
	return "", false
}

// Get is Find without the difference between a header that is missing and one that is empty.
func (f *Frame) Get(name string) string {
	value, _ := f.Find(name)
	return value
}

// Error is why a connection must end: an ERROR frame says it, and the WebSocket's close code.
type Error struct {
	Message string         // one line for people: what is wrong and what to do
	Close   wire.CloseCode // of the WebSocket
	Receipt string         // of the frame that is at fault, if it asked for one
	Version bool           // no common version: the frame lists those that are spoken here
}

// Error is the message.
func (e *Error) Error() string { return "stomp: " + e.Message }

func breach(message string) *Error { return &Error{Message: message, Close: wire.CloseProtocolError} }

// Limits bound what one connection can make the server hold. All must be positive.
type Limits struct {
	HeadersMax           int // lines per frame
	HeadBytesMax         int // per frame
	BodyBytesMax         int // per frame
	SubscriptionsMax     int
	TransactionsMax      int // open at the same time
	TransactionFramesMax int // in all open ones
	TransactionBytesMax  int // in all open ones
	UnackedMax           int // messages, over all subscriptions
	UnackedBytesMax      int
	DeliveriesMax        int // of one message
}

// DefaultLimits are far above what a client of a quiz needs.
var DefaultLimits = Limits{
	HeadersMax: 64, HeadBytesMax: 16 << 10, BodyBytesMax: 256 << 10, SubscriptionsMax: 64, TransactionsMax: 16,
	TransactionFramesMax: 256, TransactionBytesMax: 512 << 10, UnackedMax: 256, UnackedBytesMax: 512 << 10,
	DeliveriesMax: 5,
}
