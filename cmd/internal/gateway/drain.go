package gateway

import (
	"context"
	"fmt"
	"time"

	"lectern/netpoll"
	"lectern/protocol/session"
	"lectern/protocol/wire"
)

// drainWaves is how many times members are sent away during a drain: the server that they come back to meets a part of
// them at a time.
const drainWaves = 10

// backSpread is over how long those come back who all wait for the same server to start.
const backSpread = 2 * time.Second

// Leave makes the gateway refuse upgrades, and tell whoever is sent away from now on when to come back: spread behind
// the moment given, when this port is expected to be served again. Any goroutine.
func (g *Gateway) Leave(back time.Time, spread time.Duration) {
	g.backAt.Store(back.UnixMilli())
	g.backSpreadMs.Store(max(spread.Milliseconds(), 1))
	g.draining.Store(true)
}

// Left is true from the first Leave on. Any goroutine.
func (g *Gateway) Left() bool { return g.draining.Load() }

// PassOn gives connections that have not said anything yet to the process that takes over, and waits until all loops
// have done so, or until ctx ends. netpoll's Server.Forward comes first.
func (g *Gateway) PassOn(ctx context.Context) {
	loops := *g.loops.Load()
	done := make(chan struct{}, len(loops))
	for _, l := range loops {
		if !l.Post(passOn{done}) {
			done <- struct{}{}
		}
	}
	for range loops {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// passOn is a task that passes a loop's silent connections on.
type passOn struct{ done chan<- struct{} }

func (p passOn) run(l *netpoll.Loop) {
	defer func() { p.done <- struct{}{} }()
	l.Each(func(c *netpoll.Conn) {
		m, ok := c.State.(*member)
		if ok && m.session.State() == session.AwaitHead && m.session.BufferedBytes() == 0 && !m.gateway().begun(c) {
			c.Forward()
		}
	})
}

// Drain sends the members away in waves over the given time. gone says that no other server is there yet: they are told
// to come back only when one may have started. It returns when the last wave has been told.
func (g *Gateway) Drain(over time.Duration, gone bool, tick func(time.Duration)) {
	if gone {
		g.Leave(g.now().Add(over+restartTime), backSpread)
	} else {
		g.Leave(g.now(), over/drainWaves)
	}
	for wave := range drainWaves {
		g.everywhere(func(m *member) {
			if m.greeted && netpoll.ConnID(m.id()).Slot()%drainWaves == wave {
				m.sendOn()
			}
		})
		tick(over / drainWaves)
	}
}

// restartTime is what it takes a supervisor to start the next server once this one has ended.
const restartTime = time.Second

// sendOn closes the connection and says when to come back.
func (m *member) sendOn() {
	if m.conn.Closing() {
		return
	}
	m.close(wire.CloseDrain, fmt.Sprintf("the server restarts; come back; retryAfterMs=%d", m.backAfter().Milliseconds()))
}

// backAfter is how long a client that is sent away should wait.
func (m *member) backAfter() time.Duration {
	g := m.gateway()
	wait := max(time.UnixMilli(g.backAt.Load()).Sub(g.now()), 0)
	return wait + time.Duration(state(m.conn.Loop()).rand.IntN(int(g.backSpreadMs.Load())))*time.Millisecond
}
