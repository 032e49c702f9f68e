package conformance

import (
	"net/http"
	"time"

	"lectern/cmd/internal/engineio"
	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/ws"
)

// EngineSettings are what the official suites expect.
var EngineSettings = eio.Settings{
	PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, MaxPayload: 1e6,
}

const (
	engineUpgradeTimeout = 10 * time.Second
	enginePacketsMax     = 16 << 10
)

// engineApp serves Engine.IO at a path: over WebSockets, and over HTTP as an http.Handler.
type engineApp struct {
	*engineio.Server
	// program makes what gets a session's messages.
	program func(s *engineio.Session) engineio.Program
}

// newEngineApp makes the App of a path; loops are where sessions may be.
func newEngineApp(settings eio.Settings, loops func() []*netpoll.Loop,
	program func(s *engineio.Session) engineio.Program,
) *engineApp {
	a := &engineApp{program: program}
	a.Server = engineio.New(engineio.Config{
		Settings: settings, UpgradeTimeout: engineUpgradeTimeout, PacketsMax: enginePacketsMax, Loops: loops,
		OriginAllowed: func(string, string) bool { return true }, Accepting: func() bool { return true },
		Begin: a.begin,
	})
	return a
}

// ServeHTTP serves long-polling.
func (a *engineApp) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.Server.ServeHTTP(w, r) }

// begin ties a long-polling session to its connection.
func (a *engineApp) begin(s *engineio.Session) {
	p := s.Conn().State.(*Peer)
	p.app, p.opened, p.State = a, true, s
	s.Run(a.program(s))
}

// Head implements App.
func (a *engineApp) Head(p *Peer, req *http1.Request) session.Verdict {
	j := a.Server.Head(p.conn, req)
	switch {
	case j.Session != nil:
		p.State = j.Session
		j.Session.Run(a.program(j.Session))
	case j.Probe != nil:
		p.State = j.Probe
	case j.Move != nil:
		p.State = j.Move
	}
	return j.Verdict
}

// Opened implements App.
func (a *engineApp) Opened(p *Peer) {
	switch s := p.State.(type) {
	case *engineio.Session:
		s.Opened()
	case *engineio.Probe:
		s.Opened()
	}
}

// Message implements App.
func (a *engineApp) Message(p *Peer, binary bool, payload []byte) {
	switch s := p.State.(type) {
	case *engineio.Session:
		s.Message(binary, payload)
	case *engineio.Probe:
		p.switched = s.Message(binary, payload) || p.switched
	}
}

// Timer implements Timed.
func (a *engineApp) Timer(p *Peer, kind netpoll.TimerKind) {
	type timed interface{ Heartbeat() }
	type idle interface{ Idle() }
	switch kind {
	case netpoll.TimerHeartbeat:
		if s, ok := p.State.(timed); ok {
			s.Heartbeat()
		}
	case netpoll.TimerIdle:
		if s, ok := p.State.(idle); ok {
			s.Idle()
		}
	}
}

// Closed implements App.
func (a *engineApp) Closed(p *Peer) {
	switch s := p.State.(type) {
	case *engineio.Session:
		s.Closed(p.conn.Reason())
	case *engineio.Probe:
		s.Closed()
	}
}

// takeOver gives a session the socket of the probe that p is, and returns the session's connection.
func (p *Peer) takeOver() *netpoll.Conn {
	p.switched = false
	s, err := p.State.(*engineio.Probe).TakeOver()
	if err != nil {
		p.conn.Close(netpoll.ReasonDone)
		return p.conn
	}
	s.Conn().State.(*Peer).session = p.session
	p.session = *session.New(&p.server.session)
	return s.Conn()
}

// engineEcho sends every message of a session back.
type engineEcho struct{ s *engineio.Session }

// Message implements engineio.Program.
func (e engineEcho) Message(binary bool, payload []byte) { sendMessage(e.s, binary, payload) }

// Ended implements engineio.Program.
func (engineEcho) Ended(eio.Reason) {}

// sendMessage sends a message of Engine.IO.
func sendMessage(s *engineio.Session, binary bool, payload []byte) {
	if binary {
		s.Conn().SendBytes(netpoll.Reliable, ws.AppendBinary(nil, payload))
		return
	}
	s.Conn().SendBytes(netpoll.Reliable, ws.AppendText(nil, eio.Append(nil, eio.Message, string(payload))))
}
