package quiz

import (
	"strconv"
	"strings"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// questionView is the current question without its key.
func (m *Machine) questionView() *wire.QuestionView {
	q := &m.questions[m.current]
	v := &wire.QuestionView{
		Number: m.current + 1, Of: len(m.questions), Type: q.spec.Type, Text: q.spec.Text,
		Points: q.points(), OpensAt: q.opensAt, ClosesAt: q.closesAt,
	}
	for i, o := range q.spec.Options {
		v.Options = append(v.Options, wire.PublicOption{ID: strconv.Itoa(i), Text: o.Text})
	}
	return v
}

// timeView is the data of quiz:time, quiz:paused and quiz:resumed.
func (m *Machine) timeView() wire.QuizTime {
	t := wire.QuizTime{Number: m.current + 1}
	switch {
	case m.phase == wire.PhaseOpen:
		q := &m.questions[m.current]
		t.OpensAt, t.ClosesAt = q.opensAt, q.closesAt
	case m.inQuestion():
		t.RemainingMs = m.remainingMs()
	}
	return t
}

// remainingMs is what a paused question has left; the lead before its opening does not count.
func (m *Machine) remainingMs() int64 {
	q := &m.questions[m.current]
	return max(q.closesAt-max(m.pausedAt, q.opensAt), 0)
}

// Snapshot is the game as who may see it, at now. The quiz with its key is for hosts only; the key of the current
// question is in Results, which are there once the question is closed.
func (m *Machine) Snapshot(now int64, who effect.Caller) *wire.QuizSnapshot {
	s := &wire.QuizSnapshot{Phase: m.phaseAt(now)}
	if m.phase == wire.PhaseNone {
		return s
	}
	s.Title, s.PIN, s.Locked, s.Questions = m.quiz.Title, m.pin, m.locked, len(m.questions)
	s.Participants = len(m.byUser)
	if m.phase == wire.PhaseLobby {
		s.Participants = m.volatile.connected
	}
	shown := m.phase
	if shown == wire.PhasePaused {
		shown = m.pausedFrom
	}
	if m.current >= 0 && shown != wire.PhaseEnded {
		s.Question = m.questionView()
	}
	switch shown {
	case wire.PhaseOpen:
		s.Progress = m.progress()
		if m.phase == wire.PhasePaused {
			s.RemainingMs = m.remainingMs()
		}
	case wire.PhaseResults:
		s.Results = m.questions[m.current].results
	case wire.PhaseLeaderboard:
		s.Results, s.Leaderboard = m.questions[m.current].results, m.leaderboard()
	case wire.PhaseEnded:
		s.Leaderboard = m.leaderboard()
	}
	for i := range m.questions {
		if m.questions[i].void {
			s.Void = append(s.Void, i+1)
		}
	}
	if who.Role >= wire.RoleHost {
		s.Quiz = m.quiz
	}
	s.Me = m.Me(who.User)
	return s
}

// Me is what a participant must know of itself, nil for everybody else.
func (m *Machine) Me(user string) *wire.QuizMe {
	i, ok := m.byUser[user]
	if !ok {
		return nil
	}
	me := &wire.QuizMe{Name: m.players[i].name}
	if m.current >= 0 {
		q := &m.questions[m.current]
		if a := q.answerOf(i); a != nil {
			me.Answered, me.Answer = true, q.given(a)
			me.Receipt, me.Claims = m.receipt(m.current+1, user, a)
		}
	}
	if int(i) < len(m.board.ranks) {
		me.Rank = &m.board.ranks[i]
	}
	return me
}

// QuestionText is the text and the options of a question, a line each, and whether participants have seen it. Empty for
// a number that is none.
func (m *Machine) QuestionText(number int) (text string, asked bool) {
	if number < 1 || number > len(m.questions) {
		return "", false
	}
	q := &m.questions[number-1]
	lines := []string{q.spec.Text}
	for _, o := range q.spec.Options {
		lines = append(lines, o.Text)
	}
	return strings.Join(lines, "\n"), number <= m.current+1
}
