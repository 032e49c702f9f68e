package session

import (
	"lectern/protocol/http1"
	"lectern/protocol/ws"
)

// State is where a connection is in its life.
type State uint8

// The states.
const (
	AwaitHead State = iota // the request head has not come completely
	Open                   // WebSocket messages flow
	Closing                // we sent a close frame and await the peer's
	Closed                 // nothing more is read; close the connection after writing out
	HandedOff              // ordinary HTTP: net/http has it
)

var stateNames = [...]string{"await_head", "open", "closing", "closed", "handed_off"}

// String is the state's name in logs and metric labels.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Action is what the caller must do.
type Action uint8

// The actions. For a Result: Continue, HandOff, Close. For a Verdict: Upgrade, HandOff, Reject.
const (
	Continue Action = iota // write out and feed on
	HandOff                // give the connection with Result.Raw to net/http
	Close                  // write out, then close
	Upgrade                // accept the handshake
	Reject                 // answer with an HTTP status and close
)

var actionNames = [...]string{"continue", "hand_off", "close", "upgrade", "reject"}

// String is the action's name.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "invalid"
}

// Verdict is a Sink's answer to a handshake.
type Verdict struct {
	Action       Action // Upgrade, HandOff or Reject; anything else rejects with 500
	Status       int    // Reject: the HTTP status
	Headers      http1.Headers
	Body         []byte
	Subprotocol  string // Upgrade: must be one that the client offered, or ""
	AllowDeflate bool   // Upgrade: permessage-deflate if the client offers it suitably
}

// Result says how to go on after a Feed.
type Result struct {
	Action    Action // Continue, HandOff or Close
	Raw       []byte // HandOff: every byte read so far; it may lie in in, so use or copy it at once
	CloseCode uint16 // Close of an open WebSocket: the code that went over the wire; 1005 if the peer's had none
	Err       error  // Close: the breach, an *http1.Error or *ws.Error; nil after an orderly close or a Reject
}

// Sink gets what a connection brings. Its methods are called during Feed, on Feed's goroutine. It may call
// Machine.Close and Machine.Abort, nothing else of the Machine's that changes it.
type Sink interface {
	// Head judges a well-formed WebSocket handshake. req may be kept. Requests that are no handshake are handed off
	// without asking.
	Head(req *http1.Request) Verdict
	// Opened comes once, after the 101 has been appended to out.
	Opened()
	// Message is a whole message, decompressed; text is valid UTF-8. payload is borrowed until the method returns.
	Message(binary bool, payload []byte)
	// Pong is a pong of the peer's.
	Pong()
	// PeerClosed comes once, when the peer's close frame has been read; code is 1005 when it had none.
	PeerClosed(code uint16, reason string)
}

// Flusher is implemented by a Sink that writes to the connection during Feed. Flush takes over what must be written
// first and returns the buffer to go on with, usually out[:0].
type Flusher interface {
	Flush(out []byte) []byte
}

// Guard is implemented by a Sink that limits what a peer can make the Machine do without a message. A method that
// returns false has closed the connection and called Machine.Abort: nothing more is read.
type Guard interface {
	// Ping is asked before a ping is answered.
	Ping() bool
	// Inflate is asked before a message of that many bytes is decompressed.
	Inflate(compressedBytes int) bool
}

// Config is shared by all Machines of a server and must not change while they live.
type Config struct {
	Head http1.Limits
	WS   ws.Config // Client must be false
}

// Machine is one connection. Make it with New.
type Machine struct {
	cfg    *Config
	head   []byte // what has come of the head; nil before and after
	reader ws.Reader
	state  State
	window uint8 // ws.Deflate.WindowBits
}

// New is a Machine that awaits the request head.
func New(cfg *Config) *Machine { return &Machine{cfg: cfg} }

// State is where the connection is. A Sink may ask during Feed.
func (m *Machine) State() State { return m.state }

// Deflate is true when permessage-deflate was negotiated: frames to this peer may be compressed.
func (m *Machine) Deflate() bool { return m.window > 0 }

// Agreed is what was agreed about compression, without the response.
func (m *Machine) Agreed() ws.Deflate { return ws.Deflate{WindowBits: m.window} }

// BufferedBytes is the memory held for a half-received head or message.
func (m *Machine) BufferedBytes() int { return cap(m.head) + m.reader.BufferedBytes() }

// Idle is true for an open connection that is not inside a frame or a message.
func (m *Machine) Idle() bool { return m.state == Open && m.reader.Idle() }

// Feed takes bytes as they came, cut anywhere. in is borrowed and is unmasked in place: its content is lost. What
// has to be written is appended to out. After a Result other than Continue the Machine takes no more bytes: it
// answers with the same action again.
func (m *Machine) Feed(in []byte, sink Sink, out []byte) ([]byte, Result) {
	switch m.state {
	case AwaitHead:
		return m.feedHead(in, sink, out)
	case Open, Closing:
		return m.feedFrames(in, sink, out)
	}
	return out, Result{Action: Close}
}

// Close begins an orderly close: it appends a close frame to dst, and the Machine goes on reading only to find the
// peer's. Nothing may be sent afterwards. Before Open and after Closing it does nothing.
func (m *Machine) Close(dst []byte, code uint16, reason string) []byte {
	if m.state != Open {
		return dst
	}
	m.state = Closing
	return ws.AppendClose(dst, code, reason)
}

// Abort gives back all memory; the Machine is Closed. To be called when the connection has gone. Within a Sink's
// method the memory goes back when Feed returns.
func (m *Machine) Abort() {
	m.head = nil
	m.state = Closed
}

// Release is Abort for outside of Feed: it gives back the buffers of a half-received message at once.
func (m *Machine) Release() {
	m.Abort()
	m.reader.Release()
}

func (m *Machine) feedHead(in []byte, sink Sink, out []byte) ([]byte, Result) {
	buf, from := in, 0
	if m.head != nil {
		from = len(m.head)
		m.head = append(m.head, in...)
		buf = m.head
	}
	end, fail := http1.Scan(buf, from, m.cfg.Head)
	if fail != nil {
		return m.refuse(out, fail)
	}
	if end == 0 {
		if m.head == nil && len(in) > 0 {
			m.head = append(make([]byte, 0, max(512, len(in))), in...)
		}
		return out, Result{}
	}
	req, _, err := http1.Parse(buf[:end], m.cfg.Head)
	if err != nil {
		return m.refuse(out, err.(*http1.Error))
	}
	m.head = nil
	if !req.WantsWebSocket() {
		m.state = HandedOff
		return out, Result{Action: HandOff, Raw: buf}
	}
	return m.judge(req, buf, end, sink, out)
}

// judge decides on a handshake and goes on with the bytes behind its head.
func (m *Machine) judge(req *http1.Request, buf []byte, end int, sink Sink, out []byte) ([]byte, Result) {
	up, fail := http1.CheckUpgrade(req)
	if fail != nil {
		return m.refuse(out, fail)
	}
	deflate, err := ws.NegotiateDeflate(up.Extensions)
	if err != nil {
		return m.refuse(out, &http1.Error{Status: 400, Reason: "Sec-WebSocket-Extensions is malformed"})
	}
	v := sink.Head(req)
	switch v.Action {
	case HandOff:
		m.state = HandedOff
		return out, Result{Action: HandOff, Raw: buf}
	case Upgrade:
	default:
		status := v.Status
		if v.Action != Reject || status < 400 {
			status = 500
		}
		m.state = Closed
		return http1.AppendResponse(out, status, v.Headers, v.Body), Result{Action: Close}
	}
	if !v.AllowDeflate {
		deflate = ws.Deflate{}
	}
	m.window = deflate.WindowBits
	m.reader = ws.NewReader(&m.cfg.WS, m.window > 0)
	m.state = Open
	out = http1.AppendSwitching(out, up.Key, v.Subprotocol, deflate.Response)
	out = flush(sink, out)
	sink.Opened()
	return m.feedFrames(buf[end:], sink, out)
}

func (m *Machine) refuse(out []byte, fail *http1.Error) ([]byte, Result) {
	m.head = nil
	m.state = Closed
	return http1.AppendError(out, fail), Result{Action: Close, Err: fail}
}

func flush(sink Sink, out []byte) []byte {
	if len(out) == 0 {
		return out
	}
	if f, ok := sink.(Flusher); ok {
		return f.Flush(out)
	}
	return out
}
