package scenario

import (
	"context"
	"time"

	"lectern/bench/client"
)

// mixedScript is a school's day in miniature: the first room plays a quiz that a host leads; in the others the members
// chat in turn, a teacher publishes (Rate of each per room and second), and everybody looks now and then who else is
// there (room:presence, about every presenceEvery). It ends when the quiz does. Everything is counted as in the
// scenarios that it is made of; the main latency is that of chat, publishes and answers together.
type mixedScript struct {
	quiz   *quizScript
	chat   *chatScript
	fanout *fanoutScript
}

// presenceEvery is the time between two looks of one member.
const presenceEvery = int64(30 * time.Second)

// Timers of mixed beside those of its parts: chat, publisher and quiz belong to different members or have kinds of
// their own.
const (
	timerChat     = 10
	timerTeach    = 11
	timerPresence = 12
)

func newMixed(opt Options) *mixedScript {
	return &mixedScript{quiz: newQuiz(opt), chat: &chatScript{}, fanout: newFanout(opt)}
}

type mixedPlay struct {
	noPlay
	w       *worker
	s       *mixedScript
	quiz    *quizPlay
	chat    *chatPlay
	fanout  *fanoutPlay
	looks   int64 // sent
	seen    int64 // looks that were answered
	heard   int64 // chats and publishes that came
	scratch []byte
}

func (s *mixedScript) newPlay(w *worker) play {
	return &mixedPlay{
		w: w, s: s, quiz: s.quiz.newPlay(w).(*quizPlay), chat: s.chat.newPlay(w).(*chatPlay),
		fanout: s.fanout.newPlay(w).(*fanoutPlay),
	}
}

// presenceIDs keeps the ids of looks apart from those of other requests.
const presenceIDs = uint64(1) << 32

func (s *mixedScript) run(ctx context.Context, r *run) error {
	if err := s.quiz.open(ctx, r); err != nil {
		return err
	}
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	r.countRooms(s.fanout.rooms)
	r.countRooms(s.chat.members)
	s.quiz.members = s.fanout.rooms[0].members
	s.quiz.everyone = s.quiz.members
	r.beginMeasure("mixed")
	start := client.Now()
	r.each(func(w *worker) { w.play.(*mixedPlay).start(start) })
	err := s.quiz.lead(ctx, r)
	s.chat.stop.Store(true)
	s.fanout.stop.Store(true)
	r.drain(ctx, s.complete)
	r.endMeasure("drain")
	return err
}

// complete tells whether all chats and publishes have arrived.
func (s *mixedScript) complete() bool {
	want, got := s.chat.expected(), int64(0)
	for i := range s.fanout.rooms {
		want += s.fanout.rooms[i].expected()
		got += s.fanout.rooms[i].got.Load()
	}
	return got >= want
}

// collect sums the parts: the quiz adds its own tallies, chats and publishes are counted together.
func (s *mixedScript) collect(r *run) {
	views := make([]play, len(r.workers))
	for i, w := range r.workers {
		views[i] = w.play
		w.play = views[i].(*mixedPlay).quiz
	}
	s.quiz.collect(r)
	delete(r.result.LatenciesMS, latencyAnswer) // here the same as the main latency, which chats are in too
	r.result.Expected += s.chat.expected()
	for i := range s.fanout.rooms {
		r.result.Expected += s.fanout.rooms[i].expected()
	}
	for i, w := range r.workers {
		w.play = views[i]
		p := views[i].(*mixedPlay)
		r.result.Delivered += p.heard + p.seen
		r.result.Duplicated += w.duplicated
		r.result.Expected += p.looks
	}
}

// start sets everybody to work: a room's first member publishes, the others chat in turn.
func (p *mixedPlay) start(start int64) {
	rate := p.w.f.opt.Rate
	for _, id := range p.w.ids {
		m := &p.w.f.members[id]
		if m.state != memberReady {
			continue
		}
		m.conn.After(start+int64(p.w.engine.Random(1<<20))*presenceEvery>>20, timerPresence)
		turn := id - p.w.f.first(int(m.room))
		switch {
		case m.room == 0:
		case turn == 0:
			m.conn.After(start+int64(1e9/rate*float64(m.room)/float64(p.w.f.opt.Rooms)), timerTeach)
		default:
			m.conn.After(start+int64(float64(turn)*1e9/rate), timerChat)
		}
	}
}

func (p *mixedPlay) timer(m *member, kind uint8, at int64) {
	switch kind {
	case timerPresence:
		p.look(m, at)
	case timerChat:
		p.chat.timer(m, kind, at)
	case timerTeach:
		p.teach(m, at)
	default:
		p.quiz.timer(m, kind, at)
	}
}

func (p *mixedPlay) teach(m *member, at int64) {
	if p.s.fanout.stop.Load() {
		return
	}
	p.w.lag.Record(client.Now() - at)
	p.fanout.publish(m, at)
	m.conn.Flush()
	m.conn.After(at+int64(1e9/p.w.f.opt.Rate), timerTeach)
}

func (p *mixedPlay) look(m *member, at int64) {
	if p.s.fanout.stop.Load() || !m.conn.Open() {
		return
	}
	p.looks++
	p.scratch = appendRequest(p.scratch[:0], presenceIDs+uint64(p.looks), "room:presence", p.w.f.rooms[m.room], "")
	m.conn.Send(p.scratch)
	m.conn.After(at+presenceEvery, timerPresence)
}

func (p *mixedPlay) message(m *member, f *client.Fields, now int64) {
	switch {
	case f.Re >= presenceIDs:
		if !f.OK {
			p.w.refused("room:presence")
			return
		}
		p.seen++
	case m.room == 0:
		p.quiz.message(m, f, now)
	case string(f.Ev) == publishEvent || f.Re != 0 && m.conn.ID == p.w.f.first(int(m.room)):
		p.fanout.message(m, f, now)
	default:
		p.chat.message(m, f, now)
	}
}

// turnEnded tells the control goroutine what has come.
func (p *mixedPlay) turnEnded(now int64) {
	p.quiz.turnEnded(now)
	// What is no part of the quiz: everything delivered that the quiz did not count.
	heard := p.w.delivered - p.quiz.delivered()
	if fresh := heard - p.heard; fresh != 0 {
		p.heard = heard
		p.s.fanout.rooms[0].got.Add(fresh)
	}
	for _, room := range p.fanout.touched {
		p.fanout.fresh[room] = 0
	}
	p.fanout.touched = p.fanout.touched[:0]
}
