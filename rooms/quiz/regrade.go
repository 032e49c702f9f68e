package quiz

import (
	"reflect"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// regrade handles quiz:regrade, in every phase: before, while and after the question is asked, and after the game. What
// would change nothing is no error and leaves no fact.
func (m *Machine) regrade(env effect.Env, body any, out *effect.Effects) *wire.Error {
	d, ok := body.(*wire.RegradeData)
	if !ok {
		return wire.NewError(wire.CodeInvalidData, "give question and answerKey or void")
	}
	if d.Question < 1 || d.Question > len(m.questions) {
		return wire.NewError(wire.CodeInvalidData, "the questions are 1 to %d", len(m.questions)).At("question")
	}
	q := &m.questions[d.Question-1]
	if q.spec.Type == wire.Poll {
		return wire.NewError(wire.CodeWrongState, "a poll has no key and pays nothing: there is nothing to regrade")
	}
	fact := &Regraded{N: d.Question, Void: d.Void != nil && *d.Void, Reason: d.Reason, ByHost: m.by()}
	if d.AnswerKey != nil {
		spec, err := rekeyed(q.spec, d.AnswerKey)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(spec, *q.spec) {
			key := *d.AnswerKey
			fact.Key = &key
		}
	}
	if fact.Key == nil && fact.Void == q.void {
		return nil
	}
	m.record(FactRegraded, env.Now, fact, out)
	return nil
}

// rekeyed is a question with another key. Paths of errors are those of quiz:regrade.
func rekeyed(q *wire.Question, key *wire.AnswerKey) (wire.Question, *wire.Error) {
	out := *q
	choice := q.Type == wire.SingleChoice || q.Type == wire.MultipleChoice
	for _, member := range []struct {
		name      string
		is, fits  bool
		forAnswer string
	}{
		{"options", key.Options != nil, choice, "the ids of the right options"},
		{"correct", key.Correct != nil, q.Type == wire.TrueFalse, "true or false"},
		{"numbers", key.Numbers != nil, q.Type == wire.Numeric, "the accepted ranges"},
		{"texts", key.Texts != nil, q.Type == wire.ShortText, "the accepted texts"},
	} {
		path := "answerKey." + member.name
		switch {
		case member.is && !member.fits:
			return out, wire.NewError(wire.CodeInvalidData, "the key of a %s question has no %s", q.Type, member.name).At(path)
		case member.fits && !member.is:
			return out, wire.NewError(wire.CodeInvalidData, "give %s: %s", member.name, member.forAnswer).At(path)
		}
	}
	if key.CaseMatters != nil && q.Type != wire.ShortText {
		return out, wire.NewError(wire.CodeInvalidData, "only texts have caseMatters").At("answerKey.caseMatters")
	}
	switch {
	case choice:
		out.Options = slices.Clone(q.Options)
		for i := range out.Options {
			out.Options[i].Correct = false
		}
		for _, id := range key.Options {
			i, err := optionIndex([]byte(id), len(out.Options))
			if err != nil {
				return out, wire.NewError(wire.CodeInvalidData, "there is no option %q", id).At("answerKey.options")
			}
			out.Options[i].Correct = true
		}
	case q.Type == wire.TrueFalse:
		correct := *key.Correct
		out.Correct = &correct
	case q.Type == wire.Numeric:
		out.Numbers = slices.Clone(key.Numbers)
	case q.Type == wire.ShortText:
		out.Texts = slices.Clone(key.Texts)
		if key.CaseMatters != nil {
			out.CaseMatters = *key.CaseMatters
		}
	}
	if err := out.Validate(); err != nil {
		return out, wire.NewError(err.Code, "%s", err.Message).At("answerKey." + err.Path)
	}
	return out, nil
}

// applyRegraded puts the question's new key in place and, where there are results already, does the sums anew.
func (m *Machine) applyRegraded(at int64, d *Regraded, out *effect.Effects) {
	if d.N < 1 || d.N > len(m.questions) {
		return
	}
	q := &m.questions[d.N-1]
	if d.Key != nil {
		spec, err := rekeyed(q.spec, d.Key)
		if err != nil {
			return
		}
		m.replaceSpec(d.N, spec)
	}
	q.void = d.Void
	out.Broadcast(wire.EvQuizRegraded, at, &wire.QuizRegraded{Number: d.N, Void: d.Void, Reason: d.Reason})
	if q.results == nil {
		return // it will be judged so at its close
	}
	q.results = q.tally(d.N, m.players)
	ranks := m.rescore()
	fresh := *q.results
	fresh.Regraded = true
	out.Broadcast(wire.EvQuizResults, at, &fresh)
	if !out.Replaying {
		m.sendRanks(at, ranks, out)
	}
	board := m.leaderboard()
	board.Regraded = true
	out.Broadcast(wire.EvQuizLeaderboard, at, board)
}

// replaceSpec puts spec in the place of question n. The quiz is copied: messages on their way point into the old one.
func (m *Machine) replaceSpec(n int, spec wire.Question) {
	quiz := *m.quiz
	quiz.Questions = slices.Clone(quiz.Questions)
	quiz.Questions[n-1] = spec
	m.quiz = &quiz
	q := &m.questions[n-1]
	q.spec = &quiz.Questions[n-1]
	q.match = newMatcher(q.spec)
}

// rescore pays all questions with results again, in their order, because the streak that one question leaves decides
// what the next pays: O(questions × participants). The ranks are those of now.
func (m *Machine) rescore() []wire.QuizRank {
	for i := range m.players {
		p := &m.players[i]
		p.score, p.delta, p.answerMs, p.streak = 0, 0, 0, 0
	}
	for n := range m.scored {
		q := &m.questions[n]
		for i := range q.answers {
			q.answers[i].points = 0
		}
		if q.results != nil {
			m.settle(q)
		}
	}
	return m.rank(&m.questions[m.scored-1])
}
