package gateway

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"lectern/netpoll"
	"lectern/protocol/session"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms/quota"
)

// limit is one that a peer can run into by what it does on its connection. The set is closed: metrics know all of it.
type limit uint8

const (
	limitPings        limit = iota // Config.PingsPer: closed with 4100
	limitInflates                  // compressed messages when Config.MessagesPer is used up: closed with 4100
	limitMessages                  // Config.MessagesPer and ChatPer: refused
	limitRefusals                  // as many refusals as Config.MessagesPer allows messages: closed with 4100
	limitMessageTime               // Config.MessageTimeout: closed with 4103
	limitMessageBytes              // ws.Config.MessageBytesMax: closed with 1009
	limitInflated                  // the same, once decompressed
	limitUserConns                 // Config.UserConnsMax: refused, or closed with 4100
	limitUserJoins                 // Config.UserJoinsPer: refused

	limitCount = iota
)

var limitNames = [limitCount]string{
	"pings", "inflates", "messages", "refusals",
	"message_time", "message_bytes", "inflated_bytes", "user_connections", "user_joins",
}

// String is the limit's name in metric labels.
func (l limit) String() string { return limitNames[l] }

func (c *counters) hit(l limit) { c.limits[l].Add(1) }

// Ping implements session.Guard.
func (m *member) Ping() bool {
	g := m.gateway()
	if ok, _ := m.pings.Take(g.cfg.PingsPer, m.conn.Loop().Now().UnixMilli(), 1); ok {
		return true
	}
	m.flood(limitPings, "too many pings; retryAfterMs=10000")
	return false
}

// Inflate implements session.Guard: a message that would be refused for its sender's quota is not decompressed first,
// for that is what a flood of bombs would have us do. It can't be answered, since nobody has read its id.
func (m *member) Inflate(int) bool {
	if !m.quota.Spent(m.gateway().cfg.MessagesPer, m.conn.Loop().Now().UnixMilli()) {
		return true
	}
	m.flood(limitInflates, "too many messages; retryAfterMs=10000")
	return false
}

// strike counts a refusal for going too fast. A client that is told to slow down and goes on all the same costs more in
// answers than it would in service, so after as many refusals as it may send messages it is sent away.
func (m *member) strike(cost int) {
	g := m.gateway()
	if ok, _ := m.strikes.Take(g.cfg.MessagesPer, m.conn.Loop().Now().UnixMilli(), cost); !ok && !m.conn.Closing() {
		m.flood(limitRefusals, "too many messages in spite of being refused; retryAfterMs=10000")
	}
}

// flood ends a connection that asks for too much.
func (m *member) flood(l limit, why string) {
	m.gateway().counters.hit(l)
	m.close(wire.CloseRateLimited, why)
	m.session.Abort()
}

// chargedBytes of a message cost as much as a small message.
const chargedBytes = 16 << 10

// chargeSize makes large messages cost more of the connection's quota than small ones. The one at hand is still taken.
func (m *member) chargeSize(payloadBytes int) {
	if n := payloadBytes / chargedBytes; n > 0 {
		m.quota.Charge(m.gateway().cfg.MessagesPer, m.conn.Loop().Now().UnixMilli(), n)
	}
}

// watchMessage arms the timer of a message that has begun, so that what it holds is not held for ever, and stops it
// when there is none. Its bytes may come one by one; what counts is when the first of them came.
func (m *member) watchMessage() {
	idle := m.session.Idle() || m.session.State() != session.Open
	switch {
	case idle && m.unfinished:
		m.unfinished = false
		m.conn.StopTimer(netpoll.TimerHandshake)
	case !idle && (!m.unfinished || m.finished):
		m.unfinished = true
		m.conn.SetTimer(netpoll.TimerHandshake, m.gateway().cfg.MessageTimeout)
	}
	m.finished = false
}

// messageDue closes a connection whose message did not end in time.
func (m *member) messageDue() {
	if !m.unfinished {
		return
	}
	m.gateway().counters.hit(limitMessageTime)
	m.gateway().counters.closed(wire.CloseIdle)
	m.dialect.farewell(m, wire.CloseIdle, "a message did not arrive whole in time")
	m.conn.Close(netpoll.ReasonMessageTimeout)
}

// reasonOfBreach counts why a session ended by itself, and is the reason for netpoll.
func (g *Gateway) reasonOfBreach(result session.Result) netpoll.Reason {
	if result.Err == nil {
		return netpoll.ReasonDone
	}
	g.counters.closed(wire.CloseCode(result.CloseCode))
	switch {
	case errors.Is(result.Err, ws.ErrMessageTooBig):
		g.counters.hit(limitMessageBytes)
		return netpoll.ReasonTooLarge
	case errors.Is(result.Err, ws.ErrInflatedBig):
		g.counters.hit(limitInflated)
		return netpoll.ReasonTooLarge
	}
	return netpoll.ReasonProtocol
}

// enter counts the connection among its user's, and reports false when there are too many.
func (m *member) enter(user string, now time.Time) bool {
	g := m.gateway()
	if m.counted = g.users.enter(user, now.UnixMilli()); !m.counted {
		g.counters.hit(limitUserConns)
	}
	return m.counted
}

// mayJoin takes one join from the user's. Guests of --dev are a new user with each connection; their connection's quota
// is enough.
func (m *member) mayJoin() *wire.Error {
	if !m.counted {
		return nil
	}
	g := m.gateway()
	ok, retryAfterMs := g.users.join(m.user, m.conn.Loop().Now().UnixMilli())
	if ok {
		return nil
	}
	g.counters.hit(limitUserJoins)
	err := wire.NewError(wire.CodeRateLimited, "this user joins too often; slow down")
	err.RetryAfterMs = retryAfterMs
	return err
}

// users counts what each user does over all its connections, on whichever loop they are. It is divided, so that loops
// seldom wait for one another; nothing else is done under a lock.
type users struct {
	connsMax int
	joinsPer quota.Limit
	seed     maphash.Seed
	stripes  [64]userStripe
}

type userStripe struct {
	mu sync.Mutex
	// Guarded by mu.
	use     map[string]userUse
	sweepAt int // size at which those who have gone are forgotten
}

// userUse is one user's. It outlives the last connection until its joins have come back, or a user could have them
// anew by reconnecting.
type userUse struct {
	conns int32
	joins quota.Meter
}

// sweepUsersMin keeps small tables from being walked again and again.
const sweepUsersMin = 256

func (u *users) init(connsMax int, joinsPer quota.Limit) {
	u.connsMax, u.joinsPer, u.seed = connsMax, joinsPer, maphash.MakeSeed()
	for i := range u.stripes {
		u.stripes[i].use, u.stripes[i].sweepAt = make(map[string]userUse), sweepUsersMin
	}
}

func (u *users) of(user string) *userStripe {
	return &u.stripes[maphash.String(u.seed, user)%uint64(len(u.stripes))]
}

// enter counts a connection more, unless the user has as many as it may. now is in Unix milliseconds.
func (u *users) enter(user string, now int64) bool {
	s := u.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	use, known := s.use[user]
	if u.connsMax > 0 && int(use.conns) >= u.connsMax {
		return false
	}
	if !known && len(s.use) >= s.sweepAt {
		s.sweepLocked(now)
	}
	use.conns++
	s.use[user] = use
	return true
}

// leave counts a connection less.
func (u *users) leave(user string, now int64) {
	s := u.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	use := s.use[user]
	if use.conns--; use.conns <= 0 && use.joins.Full(now) {
		delete(s.use, user)
		return
	}
	s.use[user] = use
}

// join takes one join of a user that has entered.
func (u *users) join(user string, now int64) (ok bool, retryAfterMs int64) {
	s := u.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	use := s.use[user]
	ok, retryAfterMs = use.joins.Take(u.joinsPer, now, 1)
	s.use[user] = use
	return ok, retryAfterMs
}

// sweepLocked forgets users without connections whose joins have come back. It is called when the table has doubled, so
// a user costs a constant number of looks.
func (s *userStripe) sweepLocked(now int64) {
	for user, use := range s.use {
		if use.conns <= 0 && use.joins.Full(now) {
			delete(s.use, user)
		}
	}
	s.sweepAt = max(sweepUsersMin, 2*len(s.use))
}
