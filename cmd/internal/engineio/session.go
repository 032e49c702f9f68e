package engineio

import (
	"sync/atomic"
	"time"

	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/ws"
)

// Session is one Engine.IO session. It belongs to its loop, but for what is said to be for any goroutine.
type Session struct {
	// Handshake is the first request. The program may empty it once it has seen it; owned by the loop.
	Handshake Handshake

	// Immutable.
	srv  *Server
	sid  string
	loop *netpoll.Loop // set when it begins

	// Atomic.
	onWebSocket atomic.Bool // the transport, for requests that name the session
	posting     atomic.Bool // a POST is under way
	polls       atomic.Int32
	polled      atomic.Pointer[chan struct{}] // closed at the next GET

	// Owned by the loop.
	conn    *netpoll.Conn
	state   eio.Session
	program Program
	poller  *poller // nil once it is a WebSocket
	probe   *Probe  // the WebSocket that wants to take over
}

// Conn is the connection that carries the session; it stays the same when the transport changes.
func (s *Session) Conn() *netpoll.Conn { return s.conn }

// SID is the session's id. It is as good as a password: nobody else may see it.
func (s *Session) SID() string { return s.sid }

// Transport is the name of the present transport.
func (s *Session) Transport() string { return s.state.Transport() }

// Ended is true when the session is over.
func (s *Session) Ended() bool { return s.state.Ended() }

// Run says who gets the session's messages.
func (s *Session) Run(p Program) { s.program = p }

// Opened begins a session over a WebSocket whose handshake is done.
func (s *Session) Opened() {
	s.loop = s.conn.Loop()
	s.srv.add(s)
	s.begin(false)
}

func (s *Session) begin(upgradable bool) {
	c := &s.srv.counters
	c.sessions[s.medium()].Add(1)
	c.opened[s.medium()].Add(1)
	s.sendPacket(string(eio.AppendOpen(nil, s.sid, upgradable, s.srv.cfg.Settings)))
	first := s.srv.cfg.Settings.PingInterval
	if s.srv.cfg.FirstPing != nil {
		first = s.srv.cfg.FirstPing(s.loop)
	}
	s.conn.SetTimer(netpoll.TimerHeartbeat, first)
}

// sendPacket sends a text packet.
func (s *Session) sendPacket(text string) {
	s.conn.SendBytes(netpoll.Reliable, ws.AppendText(nil, []byte(text)))
}

// Message takes one message of the session's WebSocket.
func (s *Session) Message(binary bool, payload []byte) {
	p := eio.Packet{Type: eio.Message, Binary: binary, Data: payload}
	if !binary {
		var err error
		if p, err = eio.Decode(payload); err != nil {
			s.End(eio.ParseError)
			return
		}
	}
	s.take(p)
}

func (s *Session) take(p eio.Packet) {
	switch s.state.Packet(p) {
	case eio.Deliver:
		s.program.Message(p.Binary, p.Data)
	case eio.Alive:
		s.conn.StopTimer(netpoll.TimerIdle)
		s.conn.SetTimer(netpoll.TimerHeartbeat, s.srv.cfg.Settings.PingInterval)
	case eio.End:
		s.finish()
	}
}

// Heartbeat is netpoll.TimerHeartbeat: a ping is due.
func (s *Session) Heartbeat() {
	if s.state.PingDue() == eio.SendPing {
		s.sendPacket(string(eio.Append(nil, eio.Ping, "")))
		s.conn.SetTimer(netpoll.TimerIdle, s.srv.cfg.Settings.PingTimeout)
	}
}

// Idle is netpoll.TimerIdle: a pong is overdue.
func (s *Session) Idle() {
	if s.state.PongDue() == eio.End {
		s.finish()
	}
}

// End ends the session. What was sent before still goes out as far as the peer takes it.
func (s *Session) End(why eio.Reason) {
	if s.state.End(why) == eio.End {
		s.finish()
	}
}

// Leave ends the session by the server's will: code and words go into the close frame, for those who can read one, and
// reason into netpoll's books.
func (s *Session) Leave(code uint16, words string, reason netpoll.Reason) {
	if s.state.End(eio.ForcedClose) == eio.End {
		s.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, code, words)) // long-polling makes a close packet of it
		s.conn.Close(reason)
	}
}

// finish says goodbye and closes the connection.
func (s *Session) finish() {
	why := s.state.Reason()
	if s.poller != nil && why == eio.TransportClose { // the client has said so itself: a poll that waits is only let go
		s.sendPacket(string(eio.Append(nil, eio.Noop, "")))
	} else {
		s.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, 1000, "")) // long-polling makes a close packet of it
	}
	s.conn.Close(reasonOf(why))
}

func reasonOf(why eio.Reason) netpoll.Reason {
	switch why {
	case eio.TransportClose:
		return netpoll.ReasonPeerClosed
	case eio.PingTimeout:
		return netpoll.ReasonIdle
	case eio.ForcedClose:
		return netpoll.ReasonDone
	}
	return netpoll.ReasonProtocol
}

// Closed is called when the session's connection has ended, for whatever reason.
func (s *Session) Closed(reason netpoll.Reason) {
	switch reason {
	case netpoll.ReasonPeerClosed, netpoll.ReasonDone: // what we end has its reason already
		s.state.End(eio.TransportClose)
	case netpoll.ReasonPeerReset, netpoll.ReasonWriteFailed, netpoll.ReasonProtocol, netpoll.ReasonTooLarge:
		s.state.End(eio.TransportError)
	default:
		s.state.End(eio.ForcedClose)
	}
	why := s.state.Reason()
	if p := s.poller; p != nil && len(p.buf) > 0 && why == eio.ForcedClose { // last words, for the client's next GET
		s.srv.keepFarewell(s.sid, lastWords(p.buf), s.loop.Now())
	}
	s.srv.remove(s)
	c := &s.srv.counters
	c.sessions[s.medium()].Add(-1)
	c.ended(why)
	if p := s.probe; p != nil {
		s.probe = nil
		p.drop()
	}
	if s.program != nil {
		s.program.Ended(why)
	}
}

func (s *Session) medium() medium {
	if s.poller != nil {
		return overPolling
	}
	return overWebSocket
}

// takeOver puts the probe's socket under the session.
func (s *Session) takeOver(from *netpoll.Conn) error {
	if err := s.conn.Rebind(from); err != nil {
		return err
	}
	c := &s.srv.counters
	c.sessions[overPolling].Add(-1)
	c.sessions[overWebSocket].Add(1)
	c.upgrades.Add(1)
	s.poller = nil
	return nil
}

// probeState is where a probe is.
type probeState uint8

const (
	probing probeState = iota
	taken              // its messages are the session's
	dropped            // to be closed
)

// Probe is a WebSocket that wants to take over a long-polling session. It belongs to the session's loop.
type Probe struct {
	srv     *Server
	conn    *netpoll.Conn
	session *Session
	state   probeState
}

// How often a poll that waits is let go while a probe waits for the client to stop polling.
const (
	letGoFirst = 10 * time.Millisecond
	letGoEvery = 100 * time.Millisecond
)

// Opened is called when the probe's handshake is done.
func (p *Probe) Opened() {
	if p.state == dropped {
		p.close()
		return
	}
	p.conn.SetTimer(netpoll.TimerIdle, p.srv.cfg.UpgradeTimeout)
}

// Message takes one message of the probe. It reports true with the one that completes the upgrade: when all that was
// read has been fed, the owner must call TakeOver; what is read until then already goes to the session.
func (p *Probe) Message(binary bool, payload []byte) (switched bool) {
	if p.state == taken {
		p.session.Message(binary, payload)
		return false
	}
	if p.state == dropped {
		return false
	}
	packet := eio.Packet{Type: eio.Message, Binary: true}
	if !binary {
		packet, _ = eio.Decode(payload) // no packet at all drops the probe as well
	}
	s := p.session
	switch s.state.ProbePacket(packet) {
	case eio.ReplyProbe:
		p.conn.SendBytes(netpoll.Reliable, ws.AppendText(nil, eio.Append(nil, eio.Pong, eio.Probe)))
		p.conn.SetTimer(netpoll.TimerHeartbeat, letGoFirst)
	case eio.Switch:
		s.probe = nil
		s.onWebSocket.Store(true)
		s.poller.letGo()
		p.state = taken
		return true
	default:
		s.probe = nil
		p.drop()
	}
	return false
}

// TakeOver ends the upgrade: the session's connection gets the probe's socket, and the probe's connection ends.
func (p *Probe) TakeOver() (*Session, error) { return p.session, p.session.takeOver(p.conn) }

// Heartbeat is netpoll.TimerHeartbeat: the client can't stop polling while a poll of its waits.
func (p *Probe) Heartbeat() {
	if p.state == probing && p.session.poller != nil {
		p.session.poller.letGo()
		p.conn.SetTimer(netpoll.TimerHeartbeat, letGoEvery)
	}
}

// Idle is netpoll.TimerIdle: the upgrade took too long.
func (p *Probe) Idle() {
	if p.state == probing {
		p.session.state.ProbeGone()
		p.session.probe = nil
		p.drop()
	}
}

// Closed is called when the probe's connection has ended.
func (p *Probe) Closed() {
	if p.state == probing {
		p.state = dropped
		p.srv.counters.upgradesFailed.Add(1)
		if p.session != nil {
			p.session.state.ProbeGone()
			p.session.probe = nil
		}
	}
}

// drop closes a probe that came to nothing.
func (p *Probe) drop() {
	if p.state == probing {
		p.state = dropped
		p.srv.counters.upgradesFailed.Add(1)
		p.close()
	}
}

func (p *Probe) close() {
	p.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, 1000, ""))
	p.conn.Close(netpoll.ReasonDone)
}
