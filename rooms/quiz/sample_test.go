package quiz

import (
	"strconv"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// A room that fills for a minute and answers for a minute tells everybody so less often the more there are: one sample
// to 20,000 is 20,000 messages.
func TestACrowdHearsOfItselfLessOften(t *testing.T) {
	for _, c := range []struct{ participants, lobbyMost, progressMost int }{
		{100, 61, 61},    // once a second
		{20_000, 45, 21}, // every 1 to 3 s while it fills, every 3 s while it answers
	} {
		const ms = 60_000
		g := newGame(t, Config{ParticipantsMax: c.participants, LeadMs: -1})
		heard := map[string]int{}
		lastLobby := 0
		g.onOutput = func(o effect.Output) {
			if o.Kind == effect.Event && o.Audience == effect.ToAll && o.Class == wire.ClassState {
				heard[o.Name]++
				if lobby, ok := o.Data.(wire.QuizLobby); ok {
					lastLobby = lobby.Participants
				}
			}
		}
		g.create(&wire.Quiz{Title: "crowd", Questions: []wire.Question{{
			Type: wire.SingleChoice, Text: "which", TimeLimitMs: 600_000,
			Options: []wire.Option{{Text: "a", Correct: true}, {Text: "b"}},
		}}})
		at := g.env.Now
		for i := range c.participants {
			g.advance(at + int64(i)*ms/int64(c.participants) - g.env.Now)
			if err := g.enter("u"+strconv.Itoa(i), "n"+strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
		g.advance(ms) // what is held back comes when it is due
		if lastLobby != c.participants || heard[wire.EvQuizLobby] > c.lobbyMost || heard[wire.EvQuizLobby] < 5 {
			t.Errorf("%d participants: %d samples of the lobby, at most %d wanted; the last says %d", c.participants,
				heard[wire.EvQuizLobby], c.lobbyMost, lastLobby)
		}
		g.op("host", wire.OpQuizStart, nil)
		at = g.env.Now
		for i := range c.participants - 1 {
			g.advance(at + int64(i)*ms/int64(c.participants) - g.env.Now)
			if _, err := g.answer("u"+strconv.Itoa(i), 1, "k", `"1"`); err != nil {
				t.Fatal(err)
			}
		}
		if n := heard[wire.EvQuizProgress]; n > c.progressMost || n < 3 {
			t.Errorf("%d participants: %d samples of the progress, at most %d wanted", c.participants, n, c.progressMost)
		}
	}
}
