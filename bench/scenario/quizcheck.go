package scenario

import (
	"encoding/json"
	"fmt"

	"lectern/bench/report"
)

// collect compares what everybody got with what everybody must have got.
func (s *quizScript) collect(r *run) {
	check := &report.QuizCheck{
		Questions: s.asked, Participants: int(s.members), AnsweredCount: s.answered,
		WindowMS: float64(s.opt.Quiz.Window) / 1e6,
	}
	question, rank, retry := report.NewHistogram(), report.NewHistogram(), report.NewHistogram()
	answers := report.NewHistogram()
	scores := make([]int64, s.opt.Conns)
	ended := int64(0)
	for _, w := range r.workers {
		p := w.play.(*quizPlay)
		question.Merge(p.question)
		rank.Merge(p.rank)
		retry.Merge(p.retry)
		answers.Merge(w.latency)
		p.addTo(check)
		ended += p.ends
		for _, id := range w.ids {
			scores[id] = p.states[id].score
		}
		r.result.Sent += w.sent
	}
	want := s.members * int64(s.asked)
	for _, t := range []*report.Tally{&check.QuestionViews, &check.Answers, &check.Results, &check.Ranks} {
		t.Expected = want
		t.Close()
		r.result.Expected += t.Expected
		r.result.Delivered += t.Delivered
		r.result.Duplicated += t.Duplicated
	}
	if missing := s.members - ended; missing > 0 && s.asked > 0 {
		r.result.Errors["quiz_end_missing"] = missing
	}
	s.checkRanks(r, check)
	s.checkBoard(r, check, scores)
	r.addLatency(latencyQuestion, question)
	r.addLatency(latencyAnswer, answers)
	r.addLatency(latencyRank, rank)
	r.addLatency(latencyRetry, retry)
	r.result.Quiz = check
	if due := s.everyone * int64(s.asked); s.opt.Quiz.Room == "" && s.answered != due {
		r.note(fmt.Sprintf("the server's results count %d answers where %d were due", s.answered, due))
	}
}

// checkRanks holds everybody's last rank against all scores. Where some scores are other generators', it hands over
// what its own members know instead.
func (s *quizScript) checkRanks(r *run, check *report.QuizCheck) {
	type standing struct{ score, rank int64 }
	members := map[standing]int64{}
	for _, w := range r.workers {
		p := w.play.(*quizPlay)
		for _, id := range w.ids {
			if st := &p.states[id]; st.ranked > 0 {
				members[standing{st.score, st.rank}]++
			}
		}
	}
	standings := make([]report.Standing, 0, len(members))
	for s, n := range members {
		standings = append(standings, report.Standing{Score: s.score, Rank: s.rank, Members: n})
	}
	if s.opt.alone() {
		check.WrongRank = report.WrongRanks(standings)
		return
	}
	check.Standings = standings
}

// checkBoard holds the podium's rows against the members' own scores; names lead back to members. Other generators'
// members are theirs to check.
func (s *quizScript) checkBoard(r *run, check *report.QuizCheck, scores []int64) {
	var board []byte
	for _, w := range r.workers {
		if board = w.play.(*quizPlay).board; board != nil {
			break
		}
	}
	var rows []struct {
		Name  string `json:"name"`
		Score int64  `json:"score"`
	}
	if json.Unmarshal(board, &rows) != nil || len(rows) == 0 {
		check.WrongBoard++
		return
	}
	for _, row := range rows {
		number, ok := memberOf(row.Name)
		id := number - s.opt.Quiz.First
		mine := id >= 0 && id < len(scores)
		switch {
		case ok && mine && scores[id] == row.Score:
			check.BoardRows++
		case ok && !mine && !s.opt.alone():
		default:
			check.WrongBoard++
		}
	}
}
