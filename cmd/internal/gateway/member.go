package gateway

import (
	"fmt"
	"math"
	"strings"
	"time"

	"lectern/netpoll"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/quota"
)

// member is one connection as the gateway knows it. It belongs to the connection's loop. Its size is counted in a test.
type member struct {
	conn    *netpoll.Conn
	dialect dialect // nil until the handshake
	session session.Machine
	quota   quota.Meter // of Config.MessagesPer
	chat    quota.Meter // of Config.ChatPer
	pings   quota.Meter // of Config.PingsPer
	strikes quota.Meter // refusals, of Config.MessagesPer: as many as messages

	user, name string
	scope      string // the only room of the token
	family     string // of the refresh token behind it, for revocation
	expiresAt  int64  // of the token, Unix milliseconds; zero: never (guests of --dev)
	role       wire.Role
	variant    variant
	authed     bool
	heard      bool           // something arrived since the last heartbeat
	asked      bool           // a ping is out
	greeted    bool           // the upgrade is done
	counted    bool           // among its user's connections
	unfinished bool           // a message has begun, and TimerHandshake runs
	finished   bool           // one came whole in the bytes at hand
	badToken   wire.CloseCode // why the connection closes as soon as it is upgraded; zero: it doesn't
	joined     []joined
}

// joined is a room that the connection has asked to join. room is nil until the shard's Join arrives.
type joined struct {
	id    string
	room  *loopRoom
	place int // in loopRoom.members
}

// gateway is not a field: every member would hold the same one.
func (m *member) gateway() *Gateway { return state(m.conn.Loop()).gateway }

func (m *member) id() wire.ConnID { return wire.ConnID(m.conn.ID()) }

// Head judges a WebSocket handshake. Any other HTTP request goes to net/http without asking.
func (m *member) Head(req *http1.Request) session.Verdict {
	g := m.gateway()
	at := endpoints[req.Path]
	if at == nil {
		return reject(404, "no WebSocket is served at this path; use "+endpointPaths)
	}
	if at.judge != nil {
		return at.judge(m, req)
	}
	if g.draining.Load() {
		return m.turnAway(at, req, wire.CloseDrain, m.backAfter(),
			"this server is shutting down; connect again in a moment")
	}
	if m.conn.Late() || !g.admitClient(m, req) {
		g.counters.turnedAway.Add(1)
		return m.turnAway(at, req, wire.CloseOverloaded, m.retryAfter(),
			"too many are connecting at this moment; connect again in a moment")
	}
	if origin := req.Headers.Get("Origin"); origin != "" && !g.originAllowed(origin, req.Host) {
		return reject(403, "this origin is not allowed; add it to origins in the configuration")
	}
	token := ""
	if h := req.Headers.Get("Authorization"); len(h) > 7 && strings.EqualFold(h[:7], "bearer ") {
		token = strings.TrimSpace(h[7:])
	}
	for _, p := range req.Headers.Tokens("Sec-WebSocket-Protocol") {
		if t, ok := strings.CutPrefix(p, "bearer."); ok && token == "" {
			token = t
		}
	}
	if token != "" {
		m.badToken = closeFor(m.open(token))
	} else if name := req.QueryGet("guest"); name != "" && g.cfg.Dev {
		m.guest(name)
	}
	verdict := at.upgrade(m, req)
	verdict.AllowDeflate = at.zips
	return verdict
}

// upgrade accepts the handshake: from here on the connection has its dialect.
func (e *endpoint) upgrade(m *member, req *http1.Request) session.Verdict {
	protocol := e.choose(req.Headers.Tokens("Sec-WebSocket-Protocol"))
	m.dialect = e.speak(m, req, protocol)
	return session.Verdict{Action: session.Upgrade, Subprotocol: protocol}
}

// closeFor is the close code for a token that Verify refuses: an expired one may be renewed, any other may not.
func closeFor(err *wire.Error) wire.CloseCode {
	switch {
	case err == nil:
		return 0
	case err.Code == wire.CodeTokenExpired:
		return wire.CloseTokenExpired
	case err.Code == wire.CodeRateLimited:
		return wire.CloseRateLimited
	}
	return wire.CloseInvalidToken
}

func reject(status int, why string) session.Verdict {
	return session.Verdict{Action: session.Reject, Status: status, Body: []byte(why + "\n")}
}

func (g *Gateway) originAllowed(origin, host string) bool {
	if _, rest, ok := strings.Cut(origin, "://"); ok && strings.EqualFold(rest, host) {
		return true
	}
	for _, o := range g.cfg.OriginsAllowed {
		if o == "*" || strings.EqualFold(o, origin) {
			return true
		}
	}
	return g.cfg.Dev
}

// Opened runs when the upgrade's answer has been written. What was wrong with the token is said now, as a close code: a
// browser can't read the status of a refused upgrade.
func (m *member) Opened() {
	m.greeted = true
	m.conn.StopTimer(netpoll.TimerHandshake)
	counters := &m.gateway().counters
	counters.upgrades.Add(1)
	m.variant = m.dialect.variant(m.session.Agreed().Fits(math.MaxInt))
	counters.speaks(m.variant, 1)
	switch m.badToken {
	case wire.CloseOverloaded:
		m.close(m.badToken, fmt.Sprintf("overloaded; retryAfterMs=%d", m.retryAfter().Milliseconds()))
		return
	case wire.CloseDrain:
		m.sendOn()
		return
	case wire.CloseTokenExpired:
		m.close(m.badToken, "the token has expired; renew it and come back")
		return
	case wire.CloseInvalidToken:
		m.close(m.badToken, "the token is not valid here; sign in again")
		return
	case wire.CloseRateLimited:
		m.close(m.badToken, fmt.Sprintf("too many connections of this user; retryAfterMs=%d",
			m.retryAfter().Milliseconds()))
		return
	}
	m.dialect.opened(m)
}

// awaitToken gives a connection without a user a limited time to become one.
func (m *member) awaitToken() {
	if !m.authed {
		m.conn.SetTimer(netpoll.TimerUser, m.gateway().cfg.AuthTimeout)
	}
}

// open authenticates with a token. A bad one leaves the connection without a user; err says what is wrong with it.
func (m *member) open(token string) *wire.Error {
	now := m.gateway().now()
	claims, err := m.gateway().tokens.Verify(now, token)
	if err != nil {
		m.gateway().counters.refused(err.Code)
		return err
	}
	if m.authed && claims.Subject != m.user {
		return wire.NewError(wire.CodeForbidden, "this connection belongs to another user; open a new one")
	}
	if !m.authed && !m.enter(claims.Subject, now) {
		err := wire.NewError(wire.CodeRateLimited, "this user has too many connections; close some of them")
		err.RetryAfterMs = m.retryAfter().Milliseconds()
		m.gateway().counters.refused(err.Code)
		return err
	}
	m.take(claims, now)
	return nil
}

func (m *member) take(c auth.Claims, now time.Time) {
	m.user, m.name, m.role, m.scope, m.family = c.Subject, c.Name, c.Role, c.Room, c.Family
	m.authed = true
	m.expiresAt = c.ExpiresAt.UnixMilli()
	m.conn.SetTimer(netpoll.TimerUser, c.ExpiresAt.Sub(now))
}

// guest makes a user without a token (serve --dev).
func (m *member) guest(name string) {
	m.user = rooms.NewGuestID(state(m.conn.Loop()).rand)
	m.name = strings.Clone(name) // not a part of the request's head
	m.role, m.authed = wire.RoleParticipant, true
	m.conn.StopTimer(netpoll.TimerUser)
}

// tokenDue closes a connection that has no token in time, or whose token has expired.
func (m *member) tokenDue() {
	switch {
	case !m.authed:
		m.close(wire.CloseAuthTimeout, "no token came in time")
	case m.expiresAt != 0:
		m.close(wire.CloseTokenExpired, "the token has expired; renew it and come back")
	}
}

// firstHeartbeat is when a new connection is looked at first: at a random time within the interval. Those that came in
// one burst would otherwise be asked in one burst too, for as long as they stay.
func (m *member) firstHeartbeat() time.Duration {
	return within(m.conn.Loop(), m.gateway().cfg.PingEvery)
}

// within is a random part of an interval, in whole milliseconds. Loop's goroutine.
func within(l *netpoll.Loop, interval time.Duration) time.Duration {
	return time.Duration(state(l).rand.IntN(int(interval.Milliseconds())+1)) * time.Millisecond
}

// heardOrAsked sends a ping to a peer that has been silent since the last call; one that did not answer that is closed,
// and the result is false.
func (m *member) heardOrAsked() bool {
	switch {
	case m.heard:
		m.heard, m.asked = false, false
	case m.asked:
		m.close(wire.CloseIdle, "no answer to a ping")
		return false
	default:
		m.asked = true
		m.conn.SendBytes(netpoll.Reliable, ws.AppendPing(nil, nil))
	}
	return true
}

// close says why and ends the connection behind it.
func (m *member) close(code wire.CloseCode, why string) {
	m.gateway().counters.closed(code)
	m.dialect.farewell(m, code, why)
	m.conn.Close(reasonOf(code))
}

func reasonOf(code wire.CloseCode) netpoll.Reason {
	switch code {
	case wire.CloseDrain, wire.CloseNodeChange:
		return netpoll.ReasonDraining
	case wire.CloseIdle:
		return netpoll.ReasonIdle
	case wire.CloseAuthTimeout:
		return netpoll.ReasonHandshakeTimeout
	case wire.CloseRateLimited:
		return netpoll.ReasonFlood
	}
	return netpoll.ReasonPolicy
}

// Pong needs nothing: Data has noted that the peer was heard.
func (m *member) Pong() {}

// PeerClosed counts why the peer went.
func (m *member) PeerClosed(code uint16, _ string) { m.gateway().counters.peerClosed(code) }

// Message implements session.Sink.
func (m *member) Message(binary bool, payload []byte) {
	m.finished = true
	m.chargeSize(len(payload))
	m.dialect.message(m, binary, payload)
}

// reply answers a request now, on the loop.
func (m *member) reply(re uint64, data any) { m.dialect.reply(m, re, data) }

// refuse answers a request with an error now, on the loop.
func (m *member) refuse(re uint64, err *wire.Error) {
	m.gateway().counters.refused(err.Code)
	m.dialect.refuse(m, re, err)
}

// sendText sends one message as a WebSocket text frame; what is sent in one turn leaves in one write.
func (m *member) sendText(encode func(dst []byte) []byte) {
	ls := state(m.conn.Loop())
	ls.text = encode(ls.text[:0])
	ls.framed = ws.AppendText(ls.framed[:0], ls.text)
	m.conn.SendBytes(netpoll.Reliable, ls.framed)
	ls.text, ls.framed = keep(ls.text), keep(ls.framed)
}

// Flush writes what the session machine has said so far, so that the upgrade's answer comes before the first reply.
func (m *member) Flush(out []byte) []byte {
	if len(out) > 0 {
		m.conn.SendBytes(netpoll.Reliable, out)
	}
	return out[:0]
}
