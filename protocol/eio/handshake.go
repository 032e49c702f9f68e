package eio

import (
	"strconv"
	"time"
)

// Revision is the only one that is spoken, the query parameter EIO.
const Revision = "4"

// The transports' names, the query parameter transport.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Settings are what a server tells its clients at the handshake, and goes by itself.
type Settings struct {
	PingInterval time.Duration // from a pong, or the handshake, to the next ping
	PingTimeout  time.Duration // from a ping to the end of the session
	MaxPayload   int           // the largest POST body or message, in bytes
}

// AppendOpen appends the packet that opens a session: {"sid":…,"upgrades":[…],"pingInterval":…,"pingTimeout":…,
// "maxPayload":…} in milliseconds and bytes. sid must need no escapes. upgradable is true for a long-polling session
// that may become a WebSocket.
func AppendOpen(dst []byte, sid string, upgradable bool, s Settings) []byte {
	dst = append(dst, byte(Open))
	dst = append(append(append(dst, `{"sid":"`...), sid...), `","upgrades":[`...)
	if upgradable {
		dst = append(append(append(dst, '"'), WebSocket...), '"')
	}
	dst = strconv.AppendInt(append(dst, `],"pingInterval":`...), s.PingInterval.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"pingTimeout":`...), s.PingTimeout.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"maxPayload":`...), int64(s.MaxPayload), 10)
	return append(dst, '}')
}

// Refusal is why a request is refused: a code and a message that clients know. The set is closed.
type Refusal uint8

// The refusals of the official server, with its codes; Accepted is none.
const (
	Accepted            Refusal = iota
	UnknownTransport            // code 0: transport is missing or unknown
	UnknownSID                  // code 1: no such session, or no longer
	BadHandshakeMethod          // code 2: a session is opened by GET only
	BadRequest                  // code 3: anything else that does not fit
	Forbidden                   // code 4: not allowed from here (origin), or not now
	UnsupportedRevision         // code 5: EIO is not 4

	refusals
)

var refusalTexts = [refusals]string{
	"", "Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden",
	"Unsupported protocol version",
}

var refusalNames = [refusals]string{
	"accepted", "unknown_transport", "unknown_sid", "bad_handshake_method", "bad_request", "forbidden",
	"unsupported_revision",
}

// Refusals lists every refusal, for metrics that want a series each.
func Refusals() []Refusal {
	all := make([]Refusal, 0, refusals-1)
	for r := Accepted + 1; r < refusals; r++ {
		all = append(all, r)
	}
	return all
}

// String is the refusal's name in logs and metric labels.
func (r Refusal) String() string {
	if r < refusals {
		return refusalNames[r]
	}
	return "invalid"
}

// Status is the HTTP status: 403 for Forbidden, else 400.
func (r Refusal) Status() int {
	if r == Forbidden {
		return 403
	}
	return 400
}

// AppendJSON appends the body of the refusal: {"code":1,"message":"Session ID unknown"}.
func (r Refusal) AppendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(r)-1, 10)
	return append(append(append(dst, `,"message":"`...), refusalTexts[r]...), `"}`...)
}

// Message is the refusal's text alone, as it answers a refused WebSocket handshake.
func (r Refusal) Message() string { return refusalTexts[r] }

// Request is what of a request decides whether it is accepted.
type Request struct {
	Method    string // of an ordinary request
	WebSocket bool   // it is a WebSocket handshake
	Revision  string // query parameter EIO
	Transport string // query parameter transport
	SID       string // query parameter sid; empty: a new session is wanted
}

// Judge checks a request, in the order in which the official server does. transportOf is asked for the present
// transport of the session that the request names; empty when there is none.
func (r *Request) Judge(transportOf func(sid string) string) Refusal {
	if r.Transport != Polling && r.Transport != WebSocket {
		return UnknownTransport
	}
	if r.SID != "" {
		switch transport := transportOf(r.SID); {
		case transport == "":
			return UnknownSID
		case !r.WebSocket && transport != r.Transport:
			return BadRequest
		case r.WebSocket && r.Transport != WebSocket:
			return BadRequest
		case !r.WebSocket && r.Method != "GET" && r.Method != "POST":
			return BadRequest
		}
		return Accepted
	}
	switch {
	case !r.WebSocket && r.Method != "GET":
		return BadHandshakeMethod
	case r.WebSocket != (r.Transport == WebSocket):
		return BadRequest
	case r.Revision != Revision:
		return UnsupportedRevision
	}
	return Accepted
}
