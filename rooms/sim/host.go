package sim

import (
	"fmt"

	"lectern/protocol/wire"
	"lectern/rooms"
)

const gameQuestions = 3

// create starts a new game in a room of its own.
func (c *client) create() {
	if len(c.conn.requests) > 0 {
		return
	}
	c.title++
	v := c.view(fmt.Sprintf("g-%s-%d", c.user, c.title))
	q := &wire.Quiz{Title: v.room, Settings: wire.QuizSettings{AutoAdvance: c.w.chance(500), StreakBonus: true}}
	for i := range gameQuestions {
		options := []wire.Option{{Text: "a", Correct: i%2 == 0}, {Text: "b", Correct: i%2 == 1}}
		q.Questions = append(q.Questions, wire.Question{
			Type: wire.SingleChoice, Text: fmt.Sprint("question ", i), TimeLimitMs: 4000, Options: options,
		})
	}
	pin, err := c.w.process.pins.Reserve(c.w.rng, v.room)
	if err != nil {
		c.w.violate("no PIN: %v", err)
		return
	}
	c.ask(v, wire.OpQuizCreate, &rooms.Create{Quiz: q, PIN: pin, HostToken: "token"}, nil)
}

// run is what a host does in its game.
func (c *client) run(v *view) {
	w := c.w
	switch n := w.rng.IntN(200); {
	case n < 60:
		c.ask(v, wire.OpQuizStart, nil, nil)
	case n < 75:
		c.ask(v, wire.OpQuizNext, nil, nil)
	case n < 80:
		c.ask(v, wire.OpQuizPause, nil, nil)
	case n < 100:
		c.ask(v, wire.OpQuizResume, nil, nil)
	case n < 110:
		c.ask(v, wire.OpQuizExtend, &wire.QuizExtendData{ByMs: 1000}, nil)
	case n < 112:
		c.ask(v, wire.OpQuizSkip, nil, nil)
	case n < 120:
		locked := n < 113
		c.ask(v, wire.OpQuizLock, &wire.QuizLockData{Locked: &locked}, nil)
	case n < 125:
		w.report.Kicks++
		c.ask(v, wire.OpModKick, &wire.ModUserData{User: w.clients[w.rng.IntN(w.cfg.Clients)].user}, nil)
	case n < 127:
		w.report.Kicks++
		c.ask(v, wire.OpModBan, &wire.ModUserData{User: w.clients[w.rng.IntN(w.cfg.Clients)].user}, nil)
	case n < 129:
		c.ask(v, wire.OpQuizEnd, nil, nil)
	case n < 133:
		c.regrade(v)
	}
}

// regrade changes a key or voids a question, asked or not; the log and the table must agree all the same.
func (c *client) regrade(v *view) {
	w := c.w
	d := &wire.RegradeData{Question: 1 + w.rng.IntN(gameQuestions)}
	if void := w.chance(500); w.chance(500) {
		d.Void = &void
	} else {
		d.AnswerKey = &wire.AnswerKey{Options: []string{fmt.Sprint(w.rng.IntN(2))}}
	}
	c.ask(v, wire.OpQuizRegrade, d, nil)
}
