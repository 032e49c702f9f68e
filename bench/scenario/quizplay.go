package scenario

import (
	"hash/maphash"
	"slices"
	"strconv"

	"lectern/bench/client"
	"lectern/bench/report"
)

// quizState is one participant.
type quizState struct {
	intended int64 // when the answer was due
	score    int64
	rank     int64
	receipt  uint64 // hash of the current question's receipt; zero: none yet
	first    uint64 // request that carries the answer; zero: answered or not sent
	second   uint64 // request that carries it again
	late     uint64 // second of the question before, if its reply is still to come
	number   int32  // question last seen
	resulted int32  // question of the last results
	ranked   int32  // question of the last rank
	choice   int8
	acked    bool
	ended    bool // the podium was seen
}

// quizPlay is the participants of one engine.
type quizPlay struct {
	noPlay
	w       *worker
	s       *quizScript
	states  []quizState // by member id
	scratch []byte

	question, rank, retry       *report.Histogram
	views, acks, results, ranks report.Tally
	counts                      report.QuizCheck
	ends                        int64
	board                       []byte // rows of the podium, as the first of the members saw them
	told                        quizProgress
}

// quizProgress is what the control goroutine is told of, once per turn.
type quizProgress struct{ due, ended int64 }

const (
	timerAnswer = 1
	timerResend = 2
)

// receiptSeed makes hashes of receipts comparable within the process.
var receiptSeed = maphash.MakeSeed()

func (p *quizPlay) message(m *member, f *client.Fields, now int64) {
	st := &p.states[m.conn.ID]
	if f.Re != 0 {
		p.reply(m, st, f, now)
		return
	}
	switch string(f.Ev) {
	case "quiz:question":
		p.asked(m, st, f, now)
	case "quiz:rank":
		p.ranking(st, f, now)
	case "quiz:results":
		p.resultsCame(st, f)
	case "quiz:end":
		p.endCame(st, f)
	}
}

func (p *quizPlay) resultsCame(st *quizState, f *client.Fields) {
	number := int32(client.UintMember(f.Data, "number"))
	if number <= st.resulted {
		p.results.Duplicated++
		return
	}
	st.resulted = number
	p.results.Delivered++
	p.w.delivered++
}

func (p *quizPlay) endCame(st *quizState, f *client.Fields) {
	if st.ended {
		p.w.fault("quiz_end_twice")
		return
	}
	st.ended = true
	if p.ends++; p.board == nil {
		p.board = slices.Clone(client.Member(f.Data, "top"))
	}
}

// delivered is all that the quiz owes its participants and that has come, each once.
func (p *quizPlay) delivered() int64 {
	return p.views.Delivered + p.acks.Delivered + p.results.Delivered + p.ranks.Delivered
}

// asked is a question's arrival; the answer is due at a random time of the window.
func (p *quizPlay) asked(m *member, st *quizState, f *client.Fields, now int64) {
	number := int32(client.UintMember(f.Data, "number"))
	if number <= st.number {
		p.views.Duplicated++
		return
	}
	st.late = st.second
	st.number, st.acked, st.receipt, st.first, st.second = number, false, 0, 0, 0
	p.views.Delivered++
	p.w.delivered++
	p.question.Record(sinceServer(f.TS, now))
	opens := client.FromUnixMillis(int64(client.UintMember(f.Data, "opensAt"))) + answerMargin
	window := int(p.w.f.opt.Quiz.Window)
	m.conn.After(max(opens, now)+int64(p.w.engine.Random(1<<20))*int64(window)>>20, timerAnswer)
}

// sinceServer is the time since a server's timestamp on the same machine's clock, in nanoseconds.
func sinceServer(ts, now int64) int64 { return max(int64((client.UnixMillis(now)-float64(ts))*1e6), 0) }

// timer sends the answer, or sends it again.
func (p *quizPlay) timer(m *member, kind uint8, at int64) {
	st := &p.states[m.conn.ID]
	if kind == timerResend {
		st.second = p.answer(m, st)
		m.conn.Flush()
		return
	}
	p.w.lag.Record(client.Now() - at)
	st.intended = at
	st.choice = int8(p.w.engine.Random(quizOptions))
	p.w.sent++
	st.first = p.answer(m, st)
	// Of the repeated answers one half is sent without waiting for the reply, as after a lost one.
	if p.retries() && p.w.engine.Random(2) == 0 {
		st.second = p.answer(m, st)
	}
	m.conn.Flush()
}

func (p *quizPlay) retries() bool {
	return float64(p.w.engine.Random(1_000_000)) < p.w.f.opt.Quiz.RetryShare*1e6
}

func (p *quizPlay) answer(m *member, st *quizState) uint64 {
	m.requests++
	b := append(p.scratch[:0], `{"id":`...)
	b = strconv.AppendUint(b, m.requests, 10)
	b = append(b, `,"op":"quiz:answer","room":"`...)
	b = append(b, p.s.room...)
	b = append(b, `","data":{"question":`...)
	b = strconv.AppendInt(b, int64(st.number), 10)
	b = append(b, `,"answer":"`...)
	b = strconv.AppendInt(b, int64(st.choice), 10)
	b = append(b, `","key":"k`...)
	b = strconv.AppendInt(b, int64(p.w.f.opt.Quiz.First+m.conn.ID), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(st.number), 10)
	b = append(b, `"}}`...)
	p.scratch = b
	m.conn.Queue(b)
	return m.requests
}

// reply counts an acknowledgement once per answer, and holds the receipt of a repeated one against the first.
func (p *quizPlay) reply(m *member, st *quizState, f *client.Fields, now int64) {
	again := f.Re == st.second
	switch {
	case f.Re == st.first:
		st.first = 0
	case again:
		st.second = 0
	case f.Re == st.late:
		st.late = 0
		p.counts.Retried++
		return
	default:
		p.acks.Duplicated++
		return
	}
	if again {
		p.counts.Retried++
		p.retry.Record(now - st.intended)
	}
	if !f.OK {
		p.counts.Refused++
		p.w.refused("quiz:answer")
		return
	}
	receipt := client.StringMember(f.Data, "receipt")
	if len(receipt) == 0 || string(client.Member(f.Data, "durable")) != "true" {
		p.w.fault("answer_not_durable")
		return
	}
	hash := maphash.Bytes(receiptSeed, receipt) | 1
	if st.receipt == 0 {
		st.receipt, st.acked = hash, true
		p.acks.Delivered++
		p.w.delivered++
		p.w.latency.Record(now - st.intended)
		if st.second == 0 && !again && p.retries() {
			m.conn.After(now, timerResend)
		}
	} else if hash != st.receipt {
		p.w.fault("receipt_changed")
	}
	if again && hash == st.receipt {
		p.counts.RetriedSame++
	}
}

// ranking checks the own outcome, points and score.
func (p *quizPlay) ranking(st *quizState, f *client.Fields, now int64) {
	number := int32(client.UintMember(f.Data, "number"))
	if number <= st.ranked {
		p.ranks.Duplicated++
		return
	}
	st.ranked = number
	p.ranks.Delivered++
	p.w.delivered++
	p.rank.Record(sinceServer(f.TS, now))
	want := "none"
	if st.acked {
		want = "wrong"
		if int(st.choice) == correctOption(int(number)) {
			want = "correct"
		}
	}
	outcome := string(client.StringMember(f.Data, "outcome"))
	if number == st.number && outcome != want {
		p.counts.WrongOutcome++
	}
	score, points := int64(client.UintMember(f.Data, "score")), int64(client.UintMember(f.Data, "points"))
	if score != st.score+points || (points > 0) != (outcome == "correct") {
		p.counts.WrongScore++
	}
	st.score, st.rank = score, int64(client.UintMember(f.Data, "rank"))
}

func (p *quizPlay) turnEnded(int64) {
	now := quizProgress{due: p.delivered(), ended: p.ends}
	if now != p.told {
		p.s.due.Add(now.due - p.told.due)
		p.s.ended.Add(now.ended - p.told.ended)
		p.told = now
	}
}

// addTo adds the engine's counts, after it has stopped.
func (p *quizPlay) addTo(c *report.QuizCheck) {
	for _, t := range []struct{ to, from *report.Tally }{
		{&c.QuestionViews, &p.views}, {&c.Answers, &p.acks}, {&c.Results, &p.results}, {&c.Ranks, &p.ranks},
	} {
		t.to.Delivered += t.from.Delivered
		t.to.Duplicated += t.from.Duplicated
	}
	c.Retried += p.counts.Retried
	c.RetriedSame += p.counts.RetriedSame
	c.Refused += p.counts.Refused
	c.WrongOutcome += p.counts.WrongOutcome
	c.WrongScore += p.counts.WrongScore
}

// memberOf is the member's id behind the name that fleet.dial gave it.
func memberOf(name string) (int, bool) {
	if len(name) < 2 || name[0] != 'G' {
		return 0, false
	}
	n, ok := readLetters([]byte(name[1:]))
	return int(n), ok
}
