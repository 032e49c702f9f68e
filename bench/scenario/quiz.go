package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"lectern/bench/client"
	"lectern/bench/report"
)

const (
	quizOptions     = 4 // choices of each question
	latencyQuestion = "question"
	latencyAnswer   = "answer"
	latencyRank     = "rank"
	latencyRetry    = "answer_retry"
	answerMargin    = int64(2e6) // ns after opensAt, against the rounding of milliseconds
)

// quizScript: a host makes a quiz and leads through it; every participant answers every question. Several generators
// may play one quiz: one hosts it, the others follow (Options.Quiz.Room).
type quizScript struct {
	opt  Options
	room string
	host *host

	// Atomic: what the engines tell the control goroutine.
	due   atomic.Int64 // questions, acknowledgements, results and ranks that came
	ended atomic.Int64 // members that saw the podium

	// Owned by the control goroutine.
	asked    int
	answered int64 // what the server's results say in sum
	members  int64 // of this generator, ready when the quiz began
	everyone int64 // of all generators, as the host counts them
}

// duePerQuestion is what everybody must get for a question: itself, an acknowledgement, the results, the own rank.
const duePerQuestion = 4

func newQuiz(opt Options) *quizScript { return &quizScript{opt: opt} }

// newPlay makes one engine's participants.
func (s *quizScript) newPlay(w *worker) play {
	p := &quizPlay{w: w, s: s, states: make([]quizState, s.opt.Conns)}
	p.question, p.rank, p.retry = report.NewHistogram(), report.NewHistogram(), report.NewHistogram()
	return p
}

func (s *quizScript) run(ctx context.Context, r *run) error {
	if s.opt.Quiz.Room != "" {
		return s.follow(ctx, r)
	}
	if err := s.open(ctx, r); err != nil {
		return err
	}
	r.phaseDone("create")
	if s.opt.Quiz.Opened != nil {
		s.opt.Quiz.Opened(s.room)
	}
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	s.members = r.nReady.Load()
	s.everyone = s.members
	if !s.opt.alone() {
		if err := s.gather(ctx, r); err != nil {
			return err
		}
	}
	if s.opt.Quiz.Hold > 0 {
		r.hold(ctx, s.opt.Quiz.Hold)
	}
	r.beginMeasure("quiz")
	err := s.lead(ctx, r)
	r.endMeasure("podium")
	return err
}

// hold keeps everybody connected and silent.
func (r *run) hold(ctx context.Context, d time.Duration) {
	r.sampler.phase("hold")
	waitFor(ctx, time.Now().Add(d), func() bool { return false })
	r.phaseDone("hold")
}

// open connects the host, creates the quiz and joins its room.
func (s *quizScript) open(ctx context.Context, r *run) error {
	path := r.ad.path(r.base, "host", "")
	if s.opt.Quiz.HostToken != "" {
		path = orDefault(r.base, "/ws")
	}
	h, err := r.dialHost(ctx, path)
	if err != nil {
		return err
	}
	s.host = h
	if token := s.opt.Quiz.HostToken; token != "" {
		if _, err := h.call(ctx, "auth", "", `{"token":`+strconv.Quote(token)+`}`); err != nil {
			return err
		}
	}
	reply, err := h.call(ctx, "quiz:create", "", s.quizJSON())
	if err != nil {
		return err
	}
	s.room = string(client.StringMember(reply, "room"))
	if s.room == "" {
		return fmt.Errorf("bench: the reply to quiz:create names no room")
	}
	r.rooms[0] = s.room
	_, err = h.call(ctx, "room:join", s.room, "")
	return err
}

// quizJSON is the quiz: question n has quizOptions choices, of which correctOption(n) is right.
func (s *quizScript) quizJSON() string {
	type option struct {
		Text    string `json:"text"`
		Correct bool   `json:"correct,omitempty"`
	}
	type question struct {
		Type        string   `json:"type"`
		Text        string   `json:"text"`
		Options     []option `json:"options"`
		TimeLimitMs int64    `json:"timeLimitMs"`
	}
	var questions []question
	for n := 1; n <= s.opt.Quiz.Questions; n++ {
		q := question{
			Type: "single_choice", Text: fmt.Sprintf("Question %d of the load test", n),
			TimeLimitMs: s.opt.Quiz.TimeLimit.Milliseconds(),
		}
		for o := range quizOptions {
			q.Options = append(q.Options, option{Text: fmt.Sprintf("Choice %d", o), Correct: o == correctOption(n)})
		}
		questions = append(questions, q)
	}
	b, _ := json.Marshal(map[string]any{"quiz": map[string]any{"title": "Load test", "questions": questions}})
	return string(b)
}

func correctOption(number int) int { return number % quizOptions }

// lead is the host's part: open each question, wait for its results and everybody's rank, show the leaderboard.
func (s *quizScript) lead(ctx context.Context, r *run) error {
	if _, err := s.host.call(ctx, "quiz:start", s.room, ""); err != nil {
		return err
	}
	for n := 1; n <= s.opt.Quiz.Questions; n++ {
		r.sampler.phase("question " + strconv.Itoa(n))
		if _, err := s.host.await(ctx, s.opt.Patience, "quiz:question"); err != nil {
			return err
		}
		s.asked = n
		e, err := s.host.await(ctx, s.opt.Quiz.TimeLimit+s.opt.Patience, "quiz:results")
		if err != nil {
			return err
		}
		s.answered += int64(client.UintMember(e.data, "answered"))
		r.phaseDone("question_" + strconv.Itoa(n))
		want := duePerQuestion * s.members * int64(n)
		r.drain(ctx, func() bool { return s.due.Load() >= want })
		r.phaseDone("ranks_" + strconv.Itoa(n))
		if _, err := s.host.call(ctx, "quiz:next", s.room, ""); err != nil {
			return err
		}
		if _, err = s.host.await(ctx, s.opt.Patience, "quiz:leaderboard"); err != nil {
			return err
		}
		if _, err := s.host.call(ctx, "quiz:next", s.room, ""); err != nil {
			return err
		}
	}
	if _, err := s.host.await(ctx, s.opt.Patience, "quiz:end"); err != nil {
		return err
	}
	r.drain(ctx, func() bool { return s.ended.Load() >= s.members })
	return nil
}
