package session

import (
	"sync"

	"lectern/protocol/ws"
)

// feeding is the ws.Handler of one Feed. Pooled, since as an interface it would be allocated once per Feed.
type feeding struct {
	m      *Machine
	sink   Sink
	out    []byte
	result Result
}

var feedings = sync.Pool{New: func() any { return new(feeding) }}

func (m *Machine) feedFrames(in []byte, sink Sink, out []byte) ([]byte, Result) {
	f := feedings.Get().(*feeding)
	*f = feeding{m: m, sink: sink, out: out}
	err := m.reader.Feed(in, f)
	if err != nil {
		// After our own close frame nothing may follow it: the breach only ends the wait.
		if m.state == Open {
			f.out = ws.AppendClose(f.out, err.Code, err.Reason)
		}
		f.result = Result{Action: Close, CloseCode: err.Code, Err: err}
		m.state = Closed
	}
	if m.state == Closed {
		f.result.Action = Close
		m.reader.Release()
	}
	out, result := f.out, f.result
	*f = feeding{}
	feedings.Put(f)
	return out, result
}

// Message implements ws.Handler.
func (f *feeding) Message(binary bool, payload []byte) bool {
	if f.m.state != Open {
		return f.m.state == Closing
	}
	f.out = flush(f.sink, f.out)
	f.sink.Message(binary, payload)
	return f.m.state == Open || f.m.state == Closing
}

// Control implements ws.Handler: pings are answered, the peer's close frame is answered and ends the session.
func (f *feeding) Control(op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPing:
		if guard, ok := f.sink.(Guard); ok && f.m.state == Open && !guard.Ping() {
			return false
		}
		// RFC 6455 section 5.5.2: no pong once a close frame is under way.
		if f.m.state == Open {
			f.out = ws.AppendPong(f.out, payload)
		}
	case ws.OpPong:
		f.sink.Pong()
	case ws.OpClose:
		f.peerClosed(payload)
	}
	return f.m.state == Open || f.m.state == Closing
}

// Inflate implements ws.Gate.
func (f *feeding) Inflate(compressedBytes int) bool {
	guard, ok := f.sink.(Guard)
	return !ok || f.m.state != Open || guard.Inflate(compressedBytes)
}

func (f *feeding) peerClosed(payload []byte) {
	code, reason, err := ws.ParseClose(payload)
	wasOpen := f.m.state == Open
	f.m.state = Closed
	f.result.Action = Close
	if err != nil {
		f.result.CloseCode, f.result.Err = err.Code, err
		if wasOpen {
			f.out = ws.AppendClose(f.out, err.Code, err.Reason)
		}
		return
	}
	if wasOpen {
		f.out = ws.AppendClose(f.out, code, "")
	}
	f.result.CloseCode = code
	f.out = flush(f.sink, f.out)
	f.sink.PeerClosed(code, reason)
}
