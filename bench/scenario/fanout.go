package scenario

import (
	"context"
	"sync/atomic"
	"time"

	"lectern/bench/client"
)

// A published text is P, the intended time (20 digits, nanoseconds by client.Now), the number (10 digits, from 1), and
// padding. One publisher per room, the room's first member, numbers its messages without gaps.
const (
	textTimeAt   = 1
	textNumberAt = 21
	textPadAt    = 31
)

// fanoutScript: one publisher per room; every member counts what it gets.
type fanoutScript struct {
	opt   Options
	rooms []fanoutRoom
	stop  atomic.Bool
}

// fanoutRoom is what the engines share about a room while bursts are answered; alone on its cache lines.
type fanoutRoom struct {
	got     atomic.Int64 // deliveries so far, all members
	target  atomic.Int64 // at this many the next burst is due
	sent    atomic.Int64 // published
	refused atomic.Int64
	members int64 // that were ready at the start
	_       [64]byte
}

func (r *fanoutRoom) expected() int64 { return (r.sent.Load() - r.refused.Load()) * r.members }

func newFanout(opt Options) *fanoutScript {
	return &fanoutScript{opt: opt, rooms: make([]fanoutRoom, opt.Rooms)}
}

type fanoutPlay struct {
	noPlay
	w       *worker
	s       *fanoutScript
	last    []uint32 // by member id: the number last received
	fresh   []int64  // by room: deliveries of this turn
	touched []int32
	stalled int64
	text128 []byte
	scratch []byte
}

const (
	timerPublish = 1
	timerStall   = 2
	stallAfter   = int64(2e9)
)

func (s *fanoutScript) newPlay(w *worker) play {
	return &fanoutPlay{w: w, s: s, last: make([]uint32, s.opt.Conns), fresh: make([]int64, s.opt.Rooms)}
}

func (s *fanoutScript) run(ctx context.Context, r *run) error {
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	r.stall(ctx, s.opt.Stalled)
	r.countRooms(s.rooms)
	r.beginMeasure("measure")
	start := client.Now()
	r.each(func(w *worker) { w.play.(*fanoutPlay).start(start) })
	waitFor(ctx, time.Now().Add(s.opt.Duration), func() bool { return false })
	s.stop.Store(true)
	r.drain(ctx, func() bool {
		complete := true
		for i := range s.rooms {
			room := &s.rooms[i]
			complete = complete && room.got.Load() >= room.expected()
		}
		return complete
	})
	r.endMeasure("measure")
	return nil
}

// countRooms counts the members that are ready, room by room: lost ones show as errors, not as lost deliveries.
func (r *run) countRooms(rooms []fanoutRoom) {
	counts := make([]atomic.Int64, len(rooms))
	r.each(func(w *worker) {
		for _, id := range w.ids {
			if m := &w.f.members[id]; m.state == memberReady {
				counts[m.room].Add(1)
			}
		}
	})
	for i := range rooms {
		rooms[i].members = counts[i].Load()
	}
}

func (s *fanoutScript) collect(r *run) {
	for i := range s.rooms {
		r.result.Expected += s.rooms[i].expected()
	}
	for _, w := range r.workers {
		r.result.Sent += w.sent
		r.result.Delivered += w.delivered
		r.result.Duplicated += w.duplicated
		if n := w.play.(*fanoutPlay).stalled; n > 0 {
			r.result.Errors["burst_stalled"] += n
		}
	}
}

func (p *fanoutPlay) start(start int64) {
	opt := p.s.opt
	for i := range p.s.rooms {
		id := p.w.f.first(i)
		m := &p.w.f.members[id]
		if p.w.f.workerOf(id) != p.w || m.state != memberReady {
			continue
		}
		if opt.Burst > 0 {
			p.burst(m)
			m.conn.After(start+stallAfter, timerStall)
			continue
		}
		// Publishers are spread over the period, so that rooms do not all send at once.
		m.conn.After(start+int64(1e9/opt.Rate*float64(i)/float64(opt.Rooms)), timerPublish)
	}
}

func (p *fanoutPlay) timer(m *member, kind uint8, at int64) {
	if p.s.stop.Load() {
		return
	}
	if kind == timerStall {
		p.checkStall(m, at)
		return
	}
	p.w.lag.Record(client.Now() - at)
	p.publish(m, at)
	m.conn.Flush()
	m.conn.After(at+int64(1e9/p.s.opt.Rate), timerPublish)
}

// checkStall sends the next burst although something of the last one is missing, or the run would stand still.
func (p *fanoutPlay) checkStall(m *member, at int64) {
	room := &p.s.rooms[m.room]
	if target := room.target.Load(); room.got.Load() < target && m.intended < at-stallAfter {
		p.stalled++
		room.got.Store(target)
		p.burst(m)
	}
	m.conn.After(at+stallAfter/4, timerStall)
}

func (p *fanoutPlay) burst(m *member) {
	if p.s.stop.Load() || !m.conn.Open() {
		return
	}
	room := &p.s.rooms[m.room]
	room.target.Add(int64(p.s.opt.Burst) * room.members)
	now := client.Now()
	m.intended = now
	for range p.s.opt.Burst {
		p.publish(m, now)
	}
	m.conn.Flush()
}

func (p *fanoutPlay) publish(m *member, intended int64) {
	if !m.conn.Open() {
		return
	}
	room := &p.s.rooms[m.room]
	m.requests++
	number := uint64(room.sent.Add(1))
	size := p.s.opt.PayloadBytes - p.w.f.ad.quoteBytes()
	for len(p.text128) < size {
		p.text128 = append(p.text128, 'x')
	}
	text := p.text128[:size]
	text[0] = 'P'
	putDigits(text[textTimeAt:textNumberAt], uint64(intended))
	putDigits(text[textNumberAt:textPadAt], number)
	p.scratch = p.w.f.ad.appendPublish(p.scratch[:0], p.w.f.rooms[m.room], m.requests, text)
	m.conn.Queue(p.scratch)
	p.w.sent++
}

func (p *fanoutPlay) message(m *member, f *client.Fields, now int64) {
	if string(f.Ev) == publishEvent {
		if n := len(f.Data); n > 2 {
			p.text(m, f.Data[1:n-1], now)
		}
		return
	}
	if f.Re != 0 && !f.OK {
		p.s.rooms[m.room].refused.Add(1)
		p.w.refused("room:publish")
	}
}

// text is one delivery.
func (p *fanoutPlay) text(m *member, text []byte, now int64) {
	if len(text) < textPadAt || text[0] != 'P' {
		p.w.fault("payload_differs")
		return
	}
	sentAt := int64(getDigits(text[textTimeAt:textNumberAt]))
	number := uint32(getDigits(text[textNumberAt:textPadAt]))
	id := m.conn.ID
	if number <= p.last[id] {
		p.w.duplicated++
		return
	}
	if number != p.last[id]+1 {
		p.w.fault("gap")
	}
	p.last[id] = number
	p.w.delivered++
	p.w.latency.Record(now - sentAt)
	if p.fresh[m.room] == 0 {
		p.touched = append(p.touched, m.room)
	}
	p.fresh[m.room]++
}

// turnEnded adds the turn's deliveries to the rooms; whoever reaches a burst's last one starts the next.
func (p *fanoutPlay) turnEnded(int64) {
	for _, r := range p.touched {
		room := &p.s.rooms[r]
		n := p.fresh[r]
		p.fresh[r] = 0
		got := room.got.Add(n)
		target := room.target.Load()
		if p.s.opt.Burst == 0 || got < target || got-n >= target {
			continue
		}
		id := p.w.f.first(int(r))
		w := p.w.f.workerOf(id)
		m := &p.w.f.members[id]
		if w == p.w {
			p.burst(m)
			continue
		}
		w.engine.Do(func() { w.play.(*fanoutPlay).burst(m) })
	}
	p.touched = p.touched[:0]
}

func putDigits(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func getDigits(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n*10 + uint64(c-'0')
	}
	return n
}
