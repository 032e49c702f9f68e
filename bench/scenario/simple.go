package scenario

import (
	"context"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"lectern/bench/client"
)

// idleScript: everybody joins, in two halves, and keeps still. Delivered counts members that stayed.
type idleScript struct{}

// settleHalf is how long the first half is left alone before the server's memory is read.
const settleHalf = 500 * time.Millisecond

func (*idleScript) newPlay(*worker) play { return noPlay{} }

func (s *idleScript) run(ctx context.Context, r *run) error {
	half, first, err := s.firstHalf(ctx, r)
	if err != nil {
		return err
	}
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	r.beginMeasure("hold")
	waitFor(ctx, time.Now().Add(r.opt.Duration), func() bool { return false })
	r.endMeasure("hold")
	r.countMembers()
	if second := r.nReady.Load() - first; r.pid != 0 && first > 0 && second > 0 {
		grown := r.end.server.RSSBytes - half.server.RSSBytes
		r.serverResult().RSSMarginalBytes = math.Round(float64(grown) / float64(second))
	}
	return nil
}

// firstHalf connects one half and reads the server's memory once it is there; ready is zero when there are too few
// connections for halves.
func (*idleScript) firstHalf(ctx context.Context, r *run) (m mark, ready int64, err error) {
	members := r.opt.Conns/2 - len(r.workers) // each engine's half may be rounded down
	if members <= 0 {
		return m, 0, nil
	}
	r.connect(r.connectRate(), 0.5)
	if err := r.waitReady(ctx, members); err != nil {
		return m, 0, err
	}
	waitFor(ctx, time.Now().Add(settleHalf), func() bool { return false })
	ready = r.nReady.Load()
	r.phaseDone("first_half")
	return r.read(), ready, nil
}

// countMembers makes expected and delivered the members that should be there and that are.
func (r *run) countMembers() {
	r.result.Expected = int64(r.opt.Conns)
	var alive atomic.Int64
	r.each(func(w *worker) {
		for _, id := range w.ids {
			if w.f.members[id].state == memberReady {
				alive.Add(1)
			}
		}
	})
	r.result.Delivered = alive.Load()
}

func (*idleScript) collect(*run) {}

// stormScript: everybody connects as fast as possible, or at the rate. Latency is from the (intended) connect to ready.
type stormScript struct{}

func (*stormScript) newPlay(*worker) play { return noPlay{} }

func (*stormScript) run(ctx context.Context, r *run) error {
	r.beginMeasure("connect")
	err := r.connectAll(ctx)
	r.endMeasure("settle")
	r.countMembers()
	r.result.Sent = int64(r.opt.Conns)
	return err
}

func (*stormScript) collect(*run) {}

// echoScript: time:sync requests (or, raw, frames that come back), closed or open loop.
type echoScript struct{}

func (*echoScript) newPlay(w *worker) play { return &echoPlay{w: w} }

type echoPlay struct {
	noPlay
	w       *worker
	sending bool
	period  int64 // of one connection, open loop; zero: closed loop
	until   int64
	scratch []byte
	refused int64
}

const timerSend = 1

func (s *echoScript) run(ctx context.Context, r *run) error {
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	r.beginMeasure("measure")
	start := client.Now()
	until := start + int64(r.opt.Duration)
	r.each(func(w *worker) { w.play.(*echoPlay).start(start, until) })
	waitFor(ctx, time.Now().Add(r.opt.Duration), func() bool { return false })
	r.each(func(w *worker) { w.play.(*echoPlay).sending = false })
	r.drain(ctx, func() bool { return r.nDelivered.Load() >= r.nSent.Load() })
	r.endMeasure("measure")
	return nil
}

func (s *echoScript) collect(r *run) {
	for _, w := range r.workers {
		r.result.Sent += w.sent
		r.result.Delivered += w.delivered
		r.result.Expected += w.sent - w.play.(*echoPlay).refused
	}
}

func (p *echoPlay) start(start, until int64) {
	p.sending, p.until = true, until
	opt := p.w.f.opt
	if opt.Rate > 0 {
		p.period = int64(float64(opt.Conns) / opt.Rate * 1e9)
	}
	for _, id := range p.w.ids {
		m := &p.w.f.members[id]
		if m.state != memberReady {
			continue
		}
		if p.period > 0 {
			m.conn.After(start+p.period*int64(id)/int64(opt.Conns), timerSend)
			continue
		}
		p.send(m, client.Now())
	}
}

func (p *echoPlay) timer(m *member, _ uint8, at int64) {
	if !p.sending || at >= p.until {
		return
	}
	p.w.lag.Record(client.Now() - at)
	p.send(m, at)
	m.conn.After(at+p.period, timerSend)
}

// send's t0 is the intended time in nanoseconds; the server gives it back, so nothing is kept per request.
func (p *echoPlay) send(m *member, intended int64) {
	if !m.conn.Open() {
		return
	}
	m.requests++
	p.scratch = p.w.f.ad.appendEcho(p.scratch[:0], m.requests, intended)
	m.conn.Send(p.scratch)
	p.w.sent++
}

func (p *echoPlay) message(m *member, f *client.Fields, now int64) {
	if f.Re == 0 {
		return
	}
	if !f.OK {
		p.refused++
		p.w.refused("time:sync")
		return
	}
	p.echoed(m, int64(client.UintMember(f.Data, "t0")), now)
}

func (p *echoPlay) text(m *member, payload []byte, now int64) {
	if len(payload) > 1 && payload[0] == 'E' {
		sent, _ := strconv.ParseInt(string(payload[1:]), 10, 64)
		p.echoed(m, sent, now)
	}
}

func (p *echoPlay) echoed(m *member, sent, now int64) {
	if sent <= 0 || sent > now {
		p.w.fault("echo_differs")
		return
	}
	p.w.delivered++
	p.w.latency.Record(now - sent)
	if p.period == 0 && p.sending {
		p.send(m, client.Now())
	}
}
