package conformance

import (
	"log/slog"
	"sync"

	"lectern/cmd/internal/engineio"
	"lectern/cmd/internal/handoff"
	"lectern/netpoll"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/ws"
)

// App is what is served at a path. Its methods run on the loop of the connection concerned, so an App that keeps
// anything beside Peer.State must guard it.
type App interface {
	// Head judges a well-formed WebSocket handshake.
	Head(p *Peer, req *http1.Request) session.Verdict
	// Opened comes once, after the handshake.
	Opened(p *Peer)
	// Message is one message; payload is borrowed until the method returns.
	Message(p *Peer, binary bool, payload []byte)
	// Closed comes once per Opened, last.
	Closed(p *Peer)
}

// Timed is an App that sets timers of its connections; each fires once.
type Timed interface {
	Timer(p *Peer, kind netpoll.TimerKind)
}

// Peer is one connection. It belongs to its loop.
type Peer struct {
	// State is the App's.
	State any

	conn    *netpoll.Conn
	server  *handler
	app     App // nil before the handshake
	opened  bool
	session session.Machine

	switched bool // the socket goes to another connection once what was read is fed
}

// Conn is the connection below, for its id, its loop and its timers.
func (p *Peer) Conn() *netpoll.Conn { return p.conn }

// Send sends one message, compressed where that was agreed.
func (p *Peer) Send(binary bool, payload []byte) {
	op := ws.OpText
	if binary {
		op = ws.OpBinary
	}
	s := scratch(p.conn.Loop())
	if p.session.Deflate() {
		s.framed = ws.AppendMessageDeflated(s.framed[:0], op, payload, p.session.Agreed())
	} else {
		s.framed = ws.AppendFrame(s.framed[:0], op, true, false, payload)
	}
	p.conn.SendBytes(netpoll.Reliable, s.framed)
	s.framed = keep(s.framed)
}

// Close begins the closing handshake; the connection ends when the peer has answered.
func (p *Peer) Close(code uint16, why string) {
	p.conn.SendBytes(netpoll.Reliable, p.session.Close(nil, code, why))
}

// handler implements netpoll.Handler.
type handler struct {
	apps    map[string]App
	handOff *handoff.Listener
	session session.Config
	log     *slog.Logger

	mu    sync.Mutex
	loops []*netpoll.Loop // Guarded by mu.
}

// allLoops are the loops that have started. Any goroutine.
func (h *handler) allLoops() []*netpoll.Loop {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loops
}

// loopScratch are a loop's buffers.
type loopScratch struct{ out, framed []byte }

func scratch(l *netpoll.Loop) *loopScratch { return l.State.(*loopScratch) }

// scratchMax is the largest buffer, in bytes, that a loop keeps.
const scratchMax = 256 << 10

func keep(b []byte) []byte {
	if cap(b) > scratchMax {
		return nil
	}
	return b[:0]
}

// LoopStarted implements netpoll.Handler.
func (h *handler) LoopStarted(l *netpoll.Loop) {
	l.State = new(loopScratch)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops = append(h.loops[:len(h.loops):len(h.loops)], l)
}

// Opened implements netpoll.Handler.
func (h *handler) Opened(c *netpoll.Conn) {
	c.State = &Peer{conn: c, server: h, session: *session.New(&h.session)}
}

// Data implements netpoll.Handler.
func (h *handler) Data(c *netpoll.Conn, in []byte) {
	p := c.State.(*Peer)
	s := scratch(c.Loop())
	out, result := p.session.Feed(in, p, s.out[:0])
	s.out = keep(p.Flush(out))
	if p.switched {
		c = p.takeOver()
	}
	switch result.Action {
	case session.HandOff:
		if to, ok := p.State.(*netpoll.Loop); ok { // where the session is that it wants to take over
			if err := c.MoveTo(to, result.Raw); err != nil {
				c.Close(netpoll.ReasonDone)
			}
			return
		}
		conn, err := c.Detach()
		if err != nil {
			h.log.Warn("a connection can't be handed to net/http", "err", err)
			c.Close(netpoll.ReasonDone)
			return
		}
		h.handOff.Give(conn, result.Raw)
	case session.Close:
		if result.Err != nil {
			c.Close(netpoll.ReasonProtocol)
		} else {
			c.Close(netpoll.ReasonDone)
		}
	}
}

// Task implements netpoll.Handler.
func (h *handler) Task(l *netpoll.Loop, task any) {
	if t, ok := task.(engineio.Task); ok {
		t.Run(l)
	}
}

// TurnEnded implements netpoll.Handler.
func (h *handler) TurnEnded(*netpoll.Loop) {}

// Timer implements netpoll.Handler; netpoll itself closes a connection whose handshake is late.
func (h *handler) Timer(c *netpoll.Conn, kind netpoll.TimerKind) {
	p := c.State.(*Peer)
	if app, ok := p.app.(Timed); ok && p.opened {
		app.Timer(p, kind)
	}
}

// Closed implements netpoll.Handler.
func (h *handler) Closed(c *netpoll.Conn, _ netpoll.Reason) {
	p := c.State.(*Peer)
	if p.opened {
		p.app.Closed(p)
	}
	p.session.Release()
	c.State = nil
}

// Head implements session.Sink.
func (p *Peer) Head(req *http1.Request) session.Verdict {
	app := p.server.apps[req.Path]
	if app == nil {
		return session.Verdict{
			Action: session.Reject, Status: 404,
			Body: []byte("no WebSocket is served at this path; use /echo, /engine.io/ or /socket.io/\n"),
		}
	}
	p.app = app
	return app.Head(p, req)
}

// Opened implements session.Sink.
func (p *Peer) Opened() {
	p.conn.StopTimer(netpoll.TimerHandshake)
	p.opened = true
	p.app.Opened(p)
}

// Message implements session.Sink.
func (p *Peer) Message(binary bool, payload []byte) { p.app.Message(p, binary, payload) }

// Pong implements session.Sink.
func (p *Peer) Pong() {}

// PeerClosed implements session.Sink.
func (p *Peer) PeerClosed(uint16, string) {}

// Flush implements session.Flusher.
func (p *Peer) Flush(out []byte) []byte {
	if len(out) > 0 {
		p.conn.SendBytes(netpoll.Reliable, out)
	}
	return out[:0]
}

// echo sends every message back.
type echo struct{}

// Head implements App.
func (echo) Head(*Peer, *http1.Request) session.Verdict {
	return session.Verdict{Action: session.Upgrade, AllowDeflate: true}
}

// Opened implements App.
func (echo) Opened(*Peer) {}

// Message implements App.
func (echo) Message(p *Peer, binary bool, payload []byte) { p.Send(binary, payload) }

// Closed implements App.
func (echo) Closed(*Peer) {}
