package gateway

import (
	"net/http"
	"time"

	"lectern/cmd/internal/engineio"
	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
)

// What of Engine.IO is no setting.
const (
	enginePingTimeout    = 20 * time.Second
	engineUpgradeTimeout = 10 * time.Second
	enginePacketsMax     = 16 << 10 // in one POST
)

// newEngine makes the server of Engine.IO sessions.
func (g *Gateway) newEngine() *engineio.Server {
	return engineio.New(engineio.Config{
		Settings: eio.Settings{
			PingInterval: g.cfg.PingEvery, PingTimeout: enginePingTimeout, MaxPayload: g.cfg.messageBytesMax(),
		},
		UpgradeTimeout: engineUpgradeTimeout, PacketsMax: enginePacketsMax, OriginAllowed: g.originAllowed,
		FirstPing: func(l *netpoll.Loop) time.Duration { return within(l, g.cfg.PingEvery) },
		Begin:     g.beginPolling,
		Loops:     func() []*netpoll.Loop { return *g.loops.Load() },
		Accepting: func() bool { return !g.draining.Load() },
	})
}

// messageBytesMax is the largest message that a client may send, in bytes.
func (c *Config) messageBytesMax() int {
	if n := c.Session.WS.MessageBytesMax; n > 0 {
		return n
	}
	return ws.DefaultMessageBytesMax
}

// Engine serves HTTP long-polling for Socket.IO clients.
func (g *Gateway) Engine() http.Handler { return g.engine }

// judgeEngine judges a WebSocket that wants to be an Engine.IO session, or to take one over. The latter is no newcomer.
func judgeEngine(m *member, req *http1.Request) session.Verdict {
	g := m.gateway()
	if req.QueryGet("sid") == "" {
		if g.draining.Load() {
			return retryLater(m.retryAfter(), "this server is shutting down; connect again in a moment")
		}
		if m.conn.Late() || !g.admitClient(m, req) {
			g.counters.turnedAway.Add(1)
			return retryLater(m.retryAfter(), "too many are connecting at this moment; connect again in a moment")
		}
	}
	j := g.engine.Head(m.conn, req)
	switch {
	case j.Session != nil:
		m.dialect = newSocketIO(m, j.Session)
	case j.Probe != nil:
		m.dialect = probing{probe: j.Probe}
	case j.Move != nil:
		m.dialect = moving{to: j.Move}
	}
	return j.Verdict
}

// beginPolling gives a long-polling session its dialect. On the session's loop.
func (g *Gateway) beginPolling(s *engineio.Session) {
	m := s.Conn().State.(*member)
	d := newSocketIO(m, s)
	m.dialect, m.greeted, m.variant = d, true, d.variant(false)
	g.counters.speaks(m.variant, 1)
	m.awaitToken()
}

// takeOver gives a long-polling session the WebSocket that m was, and returns the session's connection.
func (g *Gateway) takeOver(m *member) *netpoll.Conn {
	s, err := m.dialect.(probing).probe.TakeOver()
	if err != nil { // the session ended in the same moment
		m.conn.Close(netpoll.ReasonDone)
		return m.conn
	}
	target := s.Conn().State.(*member)
	target.session = m.session
	m.session = *session.New(&g.cfg.Session)
	return s.Conn()
}

// silent is what a connection says that is no member.
type silent struct{}

func (silent) variant(bool) variant                     { return variantSocketAsked }
func (silent) opened(*member)                           {}
func (silent) message(*member, bool, []byte)            {}
func (silent) reply(*member, uint64, any)               {}
func (silent) refuse(*member, uint64, *wire.Error)      {}
func (silent) event(*member, *rooms.Delivery)           {}
func (silent) group(*member, *group) int                { return 0 }
func (silent) heartbeat(*member)                        {}
func (silent) idle(*member)                             {}
func (silent) gone(*member)                             {}
func (silent) farewell(*member, wire.CloseCode, string) {}

// probing is a WebSocket that wants to take over a long-polling session.
type probing struct {
	silent
	probe *engineio.Probe
}

func (p probing) opened(*member)    { p.probe.Opened() }
func (p probing) heartbeat(*member) { p.probe.Heartbeat() }
func (p probing) idle(*member)      { p.probe.Idle() }
func (p probing) gone(*member)      { p.probe.Closed() }

func (p probing) message(m *member, binary bool, payload []byte) {
	if p.probe.Message(binary, payload) {
		state(m.conn.Loop()).switched = true
	}
}

func (probing) farewell(m *member, code wire.CloseCode, why string) {
	m.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, uint16(code), why))
}

// moving is a connection on its way to the loop of the session that it names.
type moving struct {
	silent
	to *netpoll.Loop
}

func (v moving) move(g *Gateway, c *netpoll.Conn, read []byte) {
	if d := g.doorOf(c); d != nil && g.cfg.ProxyProtocol { // it is read there as if it had just come
		read = append(d.header(), read...)
	}
	if err := c.MoveTo(v.to, read); err != nil {
		g.log.Warn("a connection can't move to the loop of its session", "err", err)
		c.Close(netpoll.ReasonDone)
	}
}
