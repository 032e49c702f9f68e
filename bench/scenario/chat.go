package scenario

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"lectern/bench/client"
)

// chatScript: the members of each room take turns in chat:send, at the rate per room; everybody counts the room's
// messages by their seq. A text is "hi" and the intended time, in letters that no word filter minds.
type chatScript struct {
	accepted []atomic.Int64 // by room: sends that were not refused
	members  []fanoutRoom
	stop     atomic.Bool
}

type chatPlay struct {
	noPlay
	w       *worker
	s       *chatScript
	last    []uint64 // by member id: the greatest seq
	scratch []byte
}

func (s *chatScript) newPlay(w *worker) play {
	if s.accepted == nil {
		s.accepted = make([]atomic.Int64, w.f.opt.Rooms)
		s.members = make([]fanoutRoom, w.f.opt.Rooms)
	}
	return &chatPlay{w: w, s: s, last: make([]uint64, w.f.opt.Conns)}
}

func (s *chatScript) run(ctx context.Context, r *run) error {
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	r.countRooms(s.members)
	r.beginMeasure("measure")
	start := client.Now()
	r.each(func(w *worker) { w.play.(*chatPlay).start(start) })
	waitFor(ctx, time.Now().Add(r.opt.Duration), func() bool { return false })
	s.stop.Store(true)
	r.drain(ctx, func() bool { return r.nDelivered.Load() >= s.expected() })
	r.endMeasure("measure")
	return nil
}

func (s *chatScript) expected() int64 {
	sum := int64(0)
	for i := range s.accepted {
		sum += s.accepted[i].Load() * s.members[i].members
	}
	return sum
}

func (s *chatScript) collect(r *run) {
	r.result.Expected = s.expected()
	for _, w := range r.workers {
		r.result.Sent += w.sent
		r.result.Delivered += w.delivered
		r.result.Duplicated += w.duplicated
	}
}

// start gives every member its turn: one message of the room each 1/rate, its members one after the other.
func (p *chatPlay) start(start int64) {
	for _, id := range p.w.ids {
		m := &p.w.f.members[id]
		if m.state != memberReady {
			continue
		}
		turn := id - p.w.f.first(int(m.room))
		m.conn.After(start+int64(float64(turn)*1e9/p.w.f.opt.Rate), timerSend)
	}
}

func (p *chatPlay) timer(m *member, kind uint8, at int64) {
	if p.s.stop.Load() {
		return
	}
	p.w.lag.Record(client.Now() - at)
	m.requests++
	b := append(p.scratch[:0], `{"id":`...)
	b = strconv.AppendUint(b, m.requests, 10)
	b = append(b, `,"op":"chat:send","room":"`...)
	b = append(b, p.w.f.rooms[m.room]...)
	b = append(b, `","data":{"text":"hi `...)
	b = appendLetters(b, uint64(at), 1)
	b = append(b, `"}}`...)
	p.scratch = b
	m.conn.Send(b)
	p.w.sent++
	p.s.accepted[m.room].Add(1)
	m.conn.After(at+int64(float64(p.w.f.roomSize(int(m.room)))*1e9/p.w.f.opt.Rate), kind)
}

func (p *chatPlay) message(m *member, f *client.Fields, now int64) {
	if f.Re != 0 && !f.OK {
		p.s.accepted[m.room].Add(-1)
		p.w.refused("chat:send")
		return
	}
	if string(f.Ev) != "chat:message" {
		return
	}
	id := m.conn.ID
	if f.Seq != 0 && f.Seq <= p.last[id] {
		p.w.duplicated++
		return
	}
	p.last[id] = f.Seq
	text := client.StringMember(f.Data, "text")
	if len(text) < 4 || string(text[:3]) != "hi " {
		p.w.fault("text_differs")
		return
	}
	sent, ok := readLetters(text[3:])
	if !ok || int64(sent) > now {
		p.w.fault("text_differs")
		return
	}
	p.w.delivered++
	p.w.latency.Record(now - int64(sent))
}
