package quiz

import (
	"math/bits"
	"strings"

	"lectern/protocol/wire"
)

// Table is a game for exports and replays: a row per participant, best first, and a column per question that was asked.
// Times are Unix milliseconds, 0 for what has not happened.
type Table struct {
	Title        string             `json:"title"`
	PIN          string             `json:"pin"`
	Owner        string             `json:"owner"`
	Phase        wire.QuizPhase     `json:"phase"`
	CreatedAt    int64              `json:"createdAt"`
	StartedAt    int64              `json:"startedAt,omitempty"`
	EndedAt      int64              `json:"endedAt,omitempty"`
	Questions    []TableQuestion    `json:"questions"`
	Participants []TableParticipant `json:"participants"`
}

// TableQuestion is one question that was closed.
type TableQuestion struct {
	Text    string           `json:"text"`
	Points  int              `json:"points"`
	LimitMs int64            `json:"limitMs"` // extensions included
	Options []string         `json:"options,omitempty"`
	Skipped bool             `json:"skipped,omitempty"`
	Results wire.QuizResults `json:"results"` // number, type, key and distribution
}

// TableParticipant is one participant who was not removed.
type TableParticipant struct {
	Rank     int           `json:"rank"` // 0 before the first results
	User     string        `json:"user"`
	Name     string        `json:"name"`
	Score    int           `json:"score"`
	AnswerMs int64         `json:"answerMs"` // total answer time
	JoinedAt int64         `json:"joinedAt"`
	Answers  []TableAnswer `json:"answers"` // one per Table.Questions, in that order
}

// TableAnswer is one participant's answer to one question.
type TableAnswer struct {
	Outcome   string `json:"outcome"`          // as QuizRank.Outcome
	Answer    string `json:"answer,omitempty"` // to be read: texts of options, joined by "; "
	Points    int    `json:"points"`           // streak bonus included
	ElapsedMs int64  `json:"elapsedMs"`
	At        int64  `json:"at,omitempty"`      // accepted
	Receipt   string `json:"receipt,omitempty"` // its number
}

// Results is the game so far. It holds the keys of closed questions only and may be kept: it shares no state that
// changes.
func (m *Machine) Results() Table {
	t := Table{Phase: m.phase, Questions: []TableQuestion{}, Participants: []TableParticipant{}}
	if m.quiz == nil {
		return t
	}
	t.Title, t.PIN, t.Owner = m.quiz.Title, m.pin, m.owner
	t.CreatedAt, t.StartedAt, t.EndedAt = m.createdAt, m.startedAt, m.endedAt
	var closed []*question
	for i := range m.questions {
		q := &m.questions[i]
		if q.results == nil {
			continue
		}
		closed = append(closed, q)
		tq := TableQuestion{
			Text: q.spec.Text, Points: q.points(), LimitMs: q.limitMs(), Skipped: q.skipped, Results: *q.results,
		}
		for _, o := range q.spec.Options {
			tq.Options = append(tq.Options, o.Text)
		}
		t.Questions = append(t.Questions, tq)
	}
	if m.board.stale {
		m.sortBoard()
	}
	for _, i := range m.board.order {
		p := &m.players[i]
		row := TableParticipant{
			User: p.user, Name: p.name, Score: int(p.score), AnswerMs: int64(p.answerMs), JoinedAt: p.joinedAt,
			Answers: make([]TableAnswer, 0, len(closed)),
		}
		if m.scored > 0 {
			row.Rank = int(p.rank)
		}
		for _, q := range closed {
			row.Answers = append(row.Answers, q.tableAnswer(i))
		}
		t.Participants = append(t.Participants, row)
	}
	return t
}

func (q *question) tableAnswer(player int32) TableAnswer {
	a := q.answerOf(player)
	if a == nil {
		return TableAnswer{Outcome: outcomeNone.String()}
	}
	return TableAnswer{
		Outcome: a.outcome.String(), Answer: q.readable(a), Points: int(a.points), ElapsedMs: int64(a.elapsedMs),
		At: a.at, Receipt: q.receiptNumber(a),
	}
}

// readable is an answer as a teacher reads it.
func (q *question) readable(a *answer) string {
	switch q.spec.Type {
	case wire.SingleChoice, wire.Poll:
		return q.spec.Options[a.value].Text
	case wire.MultipleChoice:
		var texts []string
		for s := a.value; s != 0; s &= s - 1 {
			texts = append(texts, q.spec.Options[bits.TrailingZeros64(s)].Text)
		}
		return strings.Join(texts, "; ")
	case wire.TrueFalse:
		if a.value == 1 {
			return "true"
		}
		return "false"
	}
	return q.texts[a.value]
}
