package quiz

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// game drives a machine with a clock of its own and keeps what it said.
type game struct {
	t        testing.TB
	m        *Machine
	cfg      Config
	env      effect.Env
	out      effect.Effects
	facts    []recorded
	events   []string // resumable ones, as "name at data"
	onOutput func(effect.Output)
	onFact   func(effect.Fact)
	req      uint64
	replies  []effect.Output // of the last command
}

// recorded is a fact as a journal keeps it.
type recorded struct {
	kind string
	at   int64
	data []byte
}

const startOfTime = 1_000_000

func newGame(t testing.TB, cfg Config) *game {
	return &game{
		t: t, m: New(cfg), cfg: cfg,
		env: effect.Env{Now: startOfTime, Rand: rand.New(rand.NewPCG(1, 2))},
	}
}

// collect takes over what a step said.
func (g *game) collect() {
	g.replies = g.replies[:0]
	for _, f := range g.out.Facts {
		data, err := json.Marshal(f.Data)
		if err != nil {
			g.t.Fatalf("fact %s does not marshal: %v", f.Kind, err)
		}
		g.facts = append(g.facts, recorded{f.Kind, f.At, data})
		if g.onFact != nil {
			g.onFact(f)
		}
	}
	for _, o := range g.out.Outputs {
		if o.Kind == effect.Reply {
			g.replies = append(g.replies, o)
		}
		if o.Resumable {
			g.events = append(g.events, eventText(g.t, o))
		}
		if g.onOutput != nil {
			g.onOutput(o)
		}
	}
	g.out.Reset()
}

func eventText(t testing.TB, o effect.Output) string {
	return fmt.Sprintf("%s %d %s", o.Name, o.TS, mustJSON(t, o.Data))
}

func mustJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (g *game) caller(user string) effect.Caller {
	g.req++
	c := effect.Caller{Conn: 1, Req: g.req, User: user, Name: user, Role: wire.RoleParticipant, Member: true}
	switch user {
	case "host":
		c.Role = wire.RoleHost
	case "screen":
		c.Role = wire.RoleObserver
	}
	return c
}

func (g *game) create(q *wire.Quiz) {
	g.m.Create(g.env, g.caller("host"), q, "123456", &g.out)
	g.collect()
}

func (g *game) enter(user, name string) *wire.Error {
	c := g.caller(user)
	c.Name = name
	err := g.m.Enter(g.env, c, &g.out)
	g.collect()
	return err
}

func (g *game) op(user string, op wire.Op, body any) {
	g.m.Handle(g.env, g.caller(user), op, body, &g.out)
	g.collect()
}

// answer gives the reply or the refusal.
func (g *game) answer(user string, n int, key, answer string) (wire.AnswerReply, *wire.Error) {
	g.op(user, wire.OpQuizAnswer, &wire.AnswerData{Question: n, Answer: json.RawMessage(answer), Key: key})
	if len(g.replies) != 1 {
		g.t.Fatalf("%d replies to one answer", len(g.replies))
	}
	if reply, ok := g.replies[0].Data.(*wire.AnswerReply); ok {
		return *reply, g.replies[0].Err
	}
	return wire.AnswerReply{}, g.replies[0].Err
}

// advance moves the clock and does what is due on the way, each at its time.
func (g *game) advance(byMs int64) {
	until := g.env.Now + byMs
	for range 1000 {
		due := g.m.Deadline()
		if due == 0 || due > until {
			g.env.Now = until
			return
		}
		g.env.Now = max(due, g.env.Now)
		g.m.Tick(g.env, &g.out)
		g.collect()
	}
	g.t.Fatal("Tick does not settle: Deadline stays in the past")
}

// replay makes the machine that the recorded facts describe, and the resumable events on the way.
func (g *game) replay() (*Machine, []string) {
	m := New(g.cfg)
	var events []string
	out := effect.Effects{Replaying: true}
	for _, r := range g.facts {
		data, err := DecodeFact(r.kind, r.data)
		if err != nil {
			g.t.Fatalf("decode %s %s: %v", r.kind, r.data, err)
		}
		m.Apply(effect.Fact{Kind: r.kind, At: r.at, Data: data}, &out)
		for _, o := range out.Outputs {
			if !o.Resumable {
				g.t.Fatalf("replay made %s, which cannot be resumed", o.Name)
			}
			events = append(events, eventText(g.t, o))
		}
		out.Reset()
	}
	return m, events
}

// state is everything of a machine that does not depend on connections.
func (g *game) state(m *Machine) string {
	var b strings.Builder
	s := m.Snapshot(g.env.Now, effect.Caller{Role: wire.RoleHost})
	s.Participants = m.Participants()
	if s.Progress != nil {
		s.Progress.Participants = 0
	}
	fmt.Fprintln(&b, mustJSON(g.t, s))
	fmt.Fprintln(&b, mustJSON(g.t, m.Results()))
	for i := range m.players {
		fmt.Fprintln(&b, mustJSON(g.t, m.Me(m.players[i].user)))
	}
	fmt.Fprintln(&b, m.advanceAt, m.lastFactAt, m.pausedAt, m.pausedFrom, m.scored, m.Locked(), m.PIN(), m.Owner())
	return b.String()
}

// checkReplay fails where the recorded facts do not give the same state and the same events again.
func (g *game) checkReplay() *Machine {
	m, events := g.replay()
	if got, want := g.state(m), g.state(g.m); got != want {
		g.t.Fatalf("replayed state differs\ngot  %s\nwant %s", got, want)
	}
	if !slices.Equal(events, g.events) {
		g.t.Fatalf("replayed events differ\ngot  %s\nwant %s", strings.Join(events, "\n"), strings.Join(g.events, "\n"))
	}
	return m
}

// restart replaces the machine by its replay, as a new process would: nobody is connected, then the time is given back.
func (g *game) restart() {
	g.m = g.checkReplay()
	g.m.Recover(g.env, 0, &g.out)
	g.collect()
}

func ptr[T any](v T) *T { return &v }

// everyKind is a quiz with one question of each kind. Whatever is part of a key says SECRET and the question's number.
func everyKind() *wire.Quiz {
	options := func(n int, right ...bool) []wire.Option {
		var o []wire.Option
		for i, r := range right {
			o = append(o, wire.Option{
				Text: fmt.Sprintf("option %d", i), Correct: r, Feedback: fmt.Sprintf("SECRET-%d-feedback", n),
			})
		}
		return o
	}
	q := &wire.Quiz{Title: "Every kind", Questions: []wire.Question{
		{Type: wire.SingleChoice, Text: "single", Options: options(1, false, true, false)},
		{Type: wire.MultipleChoice, Text: "multiple", Options: options(2, true, false, true), TimeLimitMs: 30_000},
		{Type: wire.TrueFalse, Text: "true or false", Correct: ptr(true), TimeLimitMs: 10_000},
		{Type: wire.Numeric, Text: "numeric", Numbers: []wire.NumberRange{{Min: 3.1, Max: 3.2}, {Min: 42, Max: 42}}},
		{Type: wire.ShortText, Text: "short text", Texts: []string{"SECRET-5-*", `a\*b`}, Points: ptr(500)},
		{Type: wire.Poll, Text: "poll", Options: options(6, false, false)},
	}}
	for i := range q.Questions {
		q.Questions[i].Explanation = fmt.Sprintf("SECRET-%d-explanation", i+1)
	}
	return q
}
