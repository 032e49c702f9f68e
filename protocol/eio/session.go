package eio

// Reason is why a session ended, in the words that the official server gives its programs.
type Reason string

// The reasons.
const (
	TransportClose Reason = "transport close"     // the peer ended it, or its connection did
	TransportError Reason = "transport error"     // the connection broke, or the peer broke the rules of the transport
	PingTimeout    Reason = "ping timeout"        // no pong in time
	ParseError     Reason = "parse error"         // a packet can't be read
	ForcedClose    Reason = "forced server close" // the server ended it
)

// Step is what the owner of a session must do after an input.
type Step uint8

// The steps.
const (
	Ignore  Step = iota // nothing
	Deliver             // the packet is a message for the program
	Alive               // the peer answered: the next ping is due after PingInterval
	SendPing
	// End: the session is over; Session.Reason says why.
	End
	// ReplyProbe: answer the probing WebSocket with a pong that carries Probe.
	ReplyProbe
	// Switch: the probing WebSocket takes the session over; everything that waits goes there from now on.
	Switch
	// DropProbe: close the probing WebSocket; the session goes on as it was.
	DropProbe
)

// Session is the state of one Engine.IO session: which transport it has, the heartbeat, and an upgrade. It has no
// clock: the owner keeps two timers, one for the next ping and one for the pong, and says when they fire. The zero
// value is a session that has just been opened over WebSocket; NewPolling makes the other kind.
type Session struct {
	polling bool
	probing bool
	probed  bool // the probe was answered
	asked   bool // a ping is out
	ended   bool
	reason  Reason
}

// NewPolling is a session that has just been opened over long-polling.
func NewPolling() Session { return Session{polling: true} }

// Transport is the name of the session's present transport.
func (s *Session) Transport() string {
	if s.polling {
		return Polling
	}
	return WebSocket
}

// Probing is true while a WebSocket tries to take the session over.
func (s *Session) Probing() bool { return s.probing }

// Ended is true when the session is over.
func (s *Session) Ended() bool { return s.ended }

// Reason is why the session ended; empty before.
func (s *Session) Reason() Reason { return s.reason }

// End ends the session; the first reason stays.
func (s *Session) End(why Reason) Step {
	if s.ended {
		return Ignore
	}
	s.ended, s.probing, s.reason = true, false, why
	return End
}

// Packet takes a packet that came over the session's transport.
func (s *Session) Packet(p Packet) Step {
	if s.ended {
		return Ignore
	}
	switch p.Type {
	case Message:
		return Deliver
	case Pong:
		s.asked = false
		return Alive
	case Close:
		return s.End(TransportClose)
	case Ping: // since revision 4 it is the server that asks
		return s.End(TransportError)
	}
	return Ignore
}

// PingDue is called PingInterval after the handshake or the last pong.
func (s *Session) PingDue() Step {
	if s.ended || s.asked {
		return Ignore
	}
	s.asked = true
	return SendPing
}

// PongDue is called PingTimeout after a ping.
func (s *Session) PongDue() Step {
	if !s.asked {
		return Ignore
	}
	return s.End(PingTimeout)
}

// Probe admits a WebSocket that names this session, and reports false when it must be closed: the session is over, is
// a WebSocket already, or another one probes.
func (s *Session) Probe() bool {
	if s.ended || !s.polling || s.probing {
		return false
	}
	s.probing, s.probed = true, false
	return true
}

// ProbePacket takes a packet of the probing WebSocket.
func (s *Session) ProbePacket(p Packet) Step {
	switch {
	case !s.probing:
		return DropProbe
	case p.Type == Ping && !p.Binary && string(p.Data) == Probe:
		s.probed = true
		return ReplyProbe
	case p.Type == Upgrade && s.probed:
		s.probing, s.polling = false, false
		return Switch
	}
	s.probing = false
	return DropProbe
}

// ProbeGone is called when the probing WebSocket has ended, or took too long.
func (s *Session) ProbeGone() { s.probing = false }
