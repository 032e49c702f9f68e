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
	answerMargin    = int64(2e6)  // ns after opensAt, against the rounding of milliseconds
	resultsPatience = time.Minute // beyond the time limit
)

// quizScript: a host makes a quiz and leads through it; every participant answers every question.
type quizScript struct {
	opt  Options
	room string
	host *host

	// Atomic: what the engines tell the control goroutine.
	questions, acks, ranks atomic.Int64

	// Owned by the control goroutine.
	asked    int
	answered int64           // what the server's results say in sum
	board    json.RawMessage // rows of the final leaderboard
	members  int64           // ready when the quiz began
}

func newQuiz(opt Options) *quizScript { return &quizScript{opt: opt} }

// newPlay makes one engine's participants.
func (s *quizScript) newPlay(w *worker) play {
	p := &quizPlay{w: w, s: s, states: make([]quizState, s.opt.Conns)}
	p.question, p.rank, p.retry = report.NewHistogram(), report.NewHistogram(), report.NewHistogram()
	return p
}

func (s *quizScript) run(ctx context.Context, r *run) error {
	if err := s.open(ctx, r); err != nil {
		return err
	}
	r.phaseDone("create")
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	s.members = r.nReady.Load()
	r.beginMeasure("quiz")
	err := s.lead(ctx, r)
	r.endMeasure("podium")
	return err
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
		if _, err := s.host.await(ctx, resultsPatience, "quiz:question"); err != nil {
			return err
		}
		s.asked = n
		e, err := s.host.await(ctx, s.opt.Quiz.TimeLimit+resultsPatience, "quiz:results")
		if err != nil {
			return err
		}
		s.answered += int64(client.UintMember(e.data, "answered"))
		r.phaseDone("question_" + strconv.Itoa(n))
		want := s.members * int64(n)
		r.drain(ctx, func() bool {
			return s.ranks.Load() >= want && s.acks.Load() >= want && s.questions.Load() >= want
		})
		r.phaseDone("ranks_" + strconv.Itoa(n))
		if _, err := s.host.call(ctx, "quiz:next", s.room, ""); err != nil {
			return err
		}
		if e, err = s.host.await(ctx, resultsPatience, "quiz:leaderboard"); err != nil {
			return err
		}
		s.board = client.Member(e.data, "top")
		if _, err := s.host.call(ctx, "quiz:next", s.room, ""); err != nil {
			return err
		}
	}
	_, err := s.host.await(ctx, resultsPatience, "quiz:end")
	return err
}

// collect compares what everybody got with what everybody must have got.
func (s *quizScript) collect(r *run) {
	check := &report.QuizCheck{
		Questions: s.asked, Participants: int(s.members), AnsweredCount: s.answered,
		WindowMS: float64(s.opt.Quiz.Window) / 1e6,
	}
	question, rank, retry := report.NewHistogram(), report.NewHistogram(), report.NewHistogram()
	answers := report.NewHistogram()
	scores := make([]int64, s.opt.Conns)
	for _, w := range r.workers {
		p := w.play.(*quizPlay)
		question.Merge(p.question)
		rank.Merge(p.rank)
		retry.Merge(p.retry)
		answers.Merge(w.latency)
		p.addTo(check)
		for _, id := range w.ids {
			scores[id] = p.states[id].score
		}
		r.result.Sent += w.sent
	}
	want := s.members * int64(s.asked)
	for _, t := range []*report.Tally{&check.QuestionViews, &check.Answers, &check.Ranks} {
		t.Expected = want
		t.Close()
		r.result.Expected += t.Expected
		r.result.Delivered += t.Delivered
		r.result.Duplicated += t.Duplicated
	}
	s.checkRanks(r, check, scores)
	s.checkBoard(check, scores)
	r.addLatency(latencyQuestion, question)
	r.addLatency(latencyAnswer, answers)
	r.addLatency(latencyRank, rank)
	r.addLatency(latencyRetry, retry)
	r.result.Quiz = check
	if s.answered != want {
		r.note(fmt.Sprintf("the server's results count %d answers where %d were due", s.answered, want))
	}
}

// checkRanks holds everybody's last rank against all scores: equal scores share a rank, 1, 2, 2, 4.
func (s *quizScript) checkRanks(r *run, check *report.QuizCheck, scores []int64) {
	better := map[int64]int64{}
	for _, w := range r.workers {
		for _, id := range w.ids {
			if w.play.(*quizPlay).states[id].ranked > 0 {
				better[scores[id]]++
			}
		}
	}
	sorted := sortedDescending(better)
	above, rankOf := int64(0), map[int64]int64{}
	for _, score := range sorted {
		rankOf[score] = above + 1
		above += better[score]
	}
	for _, w := range r.workers {
		p := w.play.(*quizPlay)
		for _, id := range w.ids {
			if st := &p.states[id]; st.ranked > 0 && st.rank != rankOf[st.score] {
				check.WrongRank++
			}
		}
	}
}

// checkBoard holds the final leaderboard's rows against the members' own scores; names lead back to members.
func (s *quizScript) checkBoard(check *report.QuizCheck, scores []int64) {
	var rows []struct {
		Name  string `json:"name"`
		Score int64  `json:"score"`
	}
	if len(s.board) == 0 || json.Unmarshal(s.board, &rows) != nil || len(rows) == 0 {
		check.WrongBoard++
		return
	}
	for _, row := range rows {
		id, ok := memberOf(row.Name)
		if !ok || id >= len(scores) || scores[id] != row.Score {
			check.WrongBoard++
		}
	}
}
