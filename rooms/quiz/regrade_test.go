package quiz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"

	"pgregory.net/rapid"
)

// plan is one course of a game, to be played with one key or another.
type plan struct {
	cfg      Config
	settings wire.QuizSettings
	rounds   []round // one per question
}

type round struct {
	joins   []string
	kicks   []string // while the question is open
	answers []planned
	skipped bool
	late    []string // kicked while the results are shown
}

type planned struct {
	user, answer string
	afterMs      int64
}

// otherKeys draws a key for a question of everyKind.
func otherKeys(rt *rapid.T, q *wire.Question) *wire.AnswerKey {
	switch q.Type {
	case wire.SingleChoice, wire.MultipleChoice:
		return &wire.AnswerKey{Options: rapid.SampledFrom([][]string{
			{"0"}, {"1"}, {"2"}, {"0", "1"}, {"0", "2"}, {"1", "2"}, {"0", "1", "2"},
		}).Draw(rt, "options")}
	case wire.TrueFalse:
		return &wire.AnswerKey{Correct: ptr(rapid.Bool().Draw(rt, "correct"))}
	case wire.Numeric:
		return &wire.AnswerKey{Numbers: rapid.SampledFrom([][]wire.NumberRange{
			{{Min: 3, Max: 4}}, {{Min: 42, Max: 42}}, {{Min: 7.5, Max: 7.5}, {Min: 3, Max: 3.2}}, {{Min: 1e6, Max: 2e6}},
		}).Draw(rt, "numbers")}
	}
	return &wire.AnswerKey{
		Texts:       rapid.SampledFrom([][]string{{"secret*"}, {"Text"}, {"text", "a*"}, {"nothing"}}).Draw(rt, "texts"),
		CaseMatters: ptr(rapid.Bool().Draw(rt, "case")),
	}
}

func drawPlan(rt *rapid.T) *plan {
	p := &plan{cfg: Config{LeadMs: -1, GraceMs: -1}, settings: wire.QuizSettings{
		Scoring:        rapid.SampledFrom([]string{"", ScoringLinear, ScoringFlat, ScoringWayground}).Draw(rt, "scoring"),
		StreakBonus:    rapid.Bool().Draw(rt, "streak"),
		LeaderboardTop: 10,
	}}
	here := []string{}
	answers := [][]string{
		{"0", "1", "2"},
		{"[0]", "[1]", "[0,2]", "[2]", "[0,1]", "[0,1,2]"},
		{"true", "false"},
		{"3.15", "42", "7.5", "3"},
		{`"secret-5-x"`, `"SECRET-5-y"`, `"text"`, `"Text"`, `"a*b"`},
		{"0", "1"},
	}
	for n := range answers {
		r := round{skipped: rapid.IntRange(0, 7).Draw(rt, "skip") == 0}
		for _, user := range worldUsers {
			if !slices.Contains(here, user) && rapid.Bool().Draw(rt, "join") {
				r.joins = append(r.joins, user)
				here = append(here, user)
			}
		}
		for _, user := range here {
			if rapid.IntRange(0, 4).Draw(rt, "answers") > 0 {
				r.answers = append(r.answers, planned{
					user, rapid.SampledFrom(answers[n]).Draw(rt, "answer"), rapid.Int64Range(0, 1500).Draw(rt, "ms"),
				})
			}
		}
		for _, kicks := range []*[]string{&r.kicks, &r.late} {
			for _, user := range slices.Clone(here) {
				if rapid.IntRange(0, 19).Draw(rt, "kick") == 0 {
					*kicks = append(*kicks, user)
					here = slices.DeleteFunc(here, func(u string) bool { return u == user })
				}
			}
		}
		p.rounds = append(p.rounds, r)
	}
	return p
}

// play plays the plan with a quiz; at(n) is called when the results of question n are shown, with 0 in the lobby and
// with -1 after the end. Questions in skip are skipped whatever the plan says.
func (p *plan) play(t testing.TB, q *wire.Quiz, skip []int, at func(g *game, n int)) *game {
	g := newGame(t, p.cfg)
	q.Settings = p.settings
	g.create(q)
	must := func(err *wire.Error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(g.enter("lurker", "lurker")) // never answers, so no question closes by itself
	at(g, 0)
	g.op("host", wire.OpQuizStart, nil)
	for i, r := range p.rounds {
		for _, user := range r.joins {
			must(g.enter(user, user))
		}
		for _, a := range r.answers {
			g.advance(a.afterMs)
			_, _ = g.answer(a.user, i+1, "k", a.answer)
		}
		for _, user := range r.kicks {
			g.m.Remove(g.env, user, &g.out)
			g.collect()
		}
		if r.skipped || slices.Contains(skip, i+1) {
			g.op("host", wire.OpQuizSkip, nil)
		} else {
			g.op("host", wire.OpQuizNext, nil)
		}
		at(g, i+1)
		for _, user := range r.late {
			g.m.Remove(g.env, user, &g.out)
			g.collect()
		}
		g.op("host", wire.OpQuizNext, nil)
		g.op("host", wire.OpQuizNext, nil)
	}
	if g.m.Phase() != wire.PhaseEnded {
		t.Fatalf("the game ends as %s", g.m.Phase())
	}
	at(g, -1)
	return g
}

func (g *game) regrade(d *wire.RegradeData) *wire.Error {
	g.op("host", wire.OpQuizRegrade, d)
	return g.replies[0].Err
}

// TestRegradeIsAsIfPlayedSo: a game whose keys are changed on the way or afterwards ends as the same game with those
// keys from the start, for every kind of question and every way of scoring; and so does its replay.
func TestRegradeIsAsIfPlayedSo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		want, regrades := everyKind(), map[int][]*wire.RegradeData{}
		for n := 1; n <= 5; n++ {
			for range rapid.IntRange(0, 2).Draw(rt, "regrades") {
				key := otherKeys(rt, &want.Questions[n-1])
				spec, err := rekeyed(&want.Questions[n-1], key)
				if err != nil {
					rt.Fatal(err)
				}
				want.Questions[n-1] = spec
				// The keys of one question must come in the order in which they are drawn.
				regrades[-1] = append(regrades[-1], &wire.RegradeData{Question: n, AnswerKey: key, Reason: "a slip"})
			}
		}
		if rapid.Bool().Draw(rt, "on the way") {
			moved := rapid.IntRange(0, 6).Draw(rt, "when")
			regrades[moved] = regrades[-1]
			delete(regrades, -1)
		}
		as := p.play(t, want, nil, func(*game, int) {})
		got := p.play(t, everyKind(), nil, func(g *game, n int) {
			for _, d := range regrades[n] {
				if err := g.regrade(d); err != nil {
					rt.Fatal(err)
				}
			}
		})
		sameGame(t, rt, "the regraded game", got.m, as.m)
		replayed := New(p.cfg)
		out := effect.Effects{Replaying: true}
		var events []string
		for _, f := range got.facts {
			v, err := DecodeFact(f.kind, f.data)
			if err != nil {
				rt.Fatal(err)
			}
			replayed.Apply(effect.Fact{Kind: f.kind, At: f.at, Data: v}, &out)
			for _, o := range out.Outputs {
				if o.Resumable {
					events = append(events, eventText(t, o))
				}
			}
			out.Reset()
		}
		sameGame(t, rt, "its replay", replayed, as.m)
		if !slices.Equal(events, got.events) {
			rt.Fatal("the replay makes other events")
		}
	})
}

func sameGame(t testing.TB, rt *rapid.T, what string, got, want *Machine) {
	if a, b := mustJSON(t, got.Results()), mustJSON(t, want.Results()); a != b {
		rt.Fatalf("%s comes to\n%s\nwant\n%s", what, a, b)
	}
	if a, b := mustJSON(t, got.leaderboard()), mustJSON(t, want.leaderboard()); a != b {
		rt.Fatalf("%s has the leaderboard\n%s\nwant\n%s", what, a, b)
	}
	if a, b := mustJSON(t, got.quiz), mustJSON(t, want.quiz); a != b {
		rt.Fatalf("%s has the quiz\n%s\nwant\n%s", what, a, b)
	}
	for i := range got.players {
		if a, b := got.players[i], want.players[i]; a.streak != b.streak || a.score != b.score || a.delta != b.delta {
			rt.Fatalf("%s leaves %+v, want %+v", what, a, b)
		}
	}
}

// TestVoidIsAsIfSkipped: points, streaks, times and ranks are those of a game in which the host skipped the question;
// and a question that counts again is as if nothing had been.
func TestVoidIsAsIfSkipped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		void := rapid.SliceOfNDistinct(rapid.IntRange(1, 5), 1, 3, rapid.ID[int]).Draw(rt, "void")
		when := rapid.SampledFrom([]int{0, 1, 3, 6, -1}).Draw(rt, "when")
		setVoid := func(g *game, on bool) {
			for _, n := range void {
				if err := g.regrade(&wire.RegradeData{Question: n, Void: &on}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		as := p.play(t, everyKind(), void, func(*game, int) {})
		got := p.play(t, everyKind(), nil, func(g *game, n int) {
			if n == when {
				setVoid(g, true)
			}
		})
		for i := range got.m.players {
			a, b := got.m.players[i], as.m.players[i]
			if a.removed {
				a.rank, b.rank = 0, 0 // whoever is gone has no place
			}
			if a.score != b.score || a.streak != b.streak || a.answerMs != b.answerMs || a.rank != b.rank ||
				a.delta != b.delta {
				rt.Fatalf("void leaves %+v, skipped %+v", a, b)
			}
		}
		for _, q := range got.m.Results().Questions {
			r := q.Results
			if r.Void != slices.Contains(void, r.Number) || r.Void && (r.Correct != 0 || r.Key != nil) {
				rt.Fatalf("%+v", r)
			}
		}
		setVoid(got, false)
		sameGame(t, rt, "taken back", got.m, p.play(t, everyKind(), nil, func(*game, int) {}).m)
	})
}

func TestRegradeRefusals(t *testing.T) {
	t.Parallel()
	g := newGame(t, Config{LeadMs: -1})
	if err := g.regrade(&wire.RegradeData{Question: 1, Void: ptr(true)}); err == nil || err.Code != wire.CodeWrongState {
		t.Errorf("without a quiz: %v", err)
	}
	g.create(everyKind())
	for name, c := range map[string]struct {
		data *wire.RegradeData
		code wire.Code
		path string
	}{
		"unknown question": {&wire.RegradeData{Question: 7, Void: ptr(true)}, wire.CodeInvalidData, "question"},
		"poll":             {&wire.RegradeData{Question: 6, Void: ptr(true)}, wire.CodeWrongState, ""},
		"no such option": {
			&wire.RegradeData{Question: 1, AnswerKey: &wire.AnswerKey{Options: []string{"9"}}},
			wire.CodeInvalidData, "answerKey.options",
		},
		"nothing right": {
			&wire.RegradeData{Question: 2, AnswerKey: &wire.AnswerKey{Options: []string{}}},
			wire.CodeInvalidData, "answerKey.options",
		},
		"texts for a choice": {
			&wire.RegradeData{Question: 1, AnswerKey: &wire.AnswerKey{Options: []string{"1"}, Texts: []string{"x"}}},
			wire.CodeInvalidData, "answerKey.texts",
		},
		"nothing for a number": {
			&wire.RegradeData{Question: 4, AnswerKey: &wire.AnswerKey{}},
			wire.CodeInvalidData, "answerKey.numbers",
		},
		"upside down": {
			&wire.RegradeData{Question: 4, AnswerKey: &wire.AnswerKey{Numbers: []wire.NumberRange{{Min: 2, Max: 1}}}},
			wire.CodeInvalidData, "answerKey.numbers[0]",
		},
		"case of a number": {
			&wire.RegradeData{Question: 3, AnswerKey: &wire.AnswerKey{Correct: ptr(true), CaseMatters: ptr(true)}},
			wire.CodeInvalidData, "answerKey.caseMatters",
		},
	} {
		if err := g.regrade(c.data); err == nil || err.Code != c.code || err.Path != c.path {
			t.Errorf("%s: %+v", name, err)
		}
	}
	before := len(g.facts)
	for name, same := range map[string]*wire.RegradeData{
		"counts": {Question: 1, Void: ptr(false)},
		"key":    {Question: 1, AnswerKey: &wire.AnswerKey{Options: []string{"1"}}},
	} {
		if err := g.regrade(same); err != nil || len(g.facts) != before {
			t.Errorf("%s as it was: %v, %d facts", name, err, len(g.facts)-before)
		}
	}
	g.op("ada", wire.OpQuizRegrade, &wire.RegradeData{Question: 1, Void: ptr(true)})
	if err := g.replies[0].Err; err == nil || err.Code != wire.CodeForbidden {
		t.Errorf("a participant regrades: %v", err)
	}
}

// TestRegradeTellsEverybody: what is sent, to whom, and that it holds the new numbers; the phase stays as it is.
func TestRegradeTellsEverybody(t *testing.T) {
	t.Parallel()
	g := newGame(t, Config{LeadMs: -1, GraceMs: -1})
	q := everyKind()
	q.Settings.Scoring = ScoringFlat
	g.create(q)
	for _, user := range []string{"ada", "bob"} {
		if err := g.enter(user, user); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizStart, nil)
	_, _ = g.answer("ada", 1, "k", "1")
	_, _ = g.answer("bob", 1, "k", "0")
	g.op("host", wire.OpQuizNext, nil)
	g.op("host", wire.OpQuizNext, nil) // question 2 is open
	var said []string
	g.onOutput = func(o effect.Output) {
		if o.Kind == effect.Event {
			said = append(said, fmt.Sprint(o.Name, " ", o.User, " ", mustJSON(t, o.Data)))
		}
	}
	if err := g.regrade(&wire.RegradeData{
		Question: 1, AnswerKey: &wire.AnswerKey{Options: []string{"0"}}, Reason: "the wrong one was marked",
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`quiz:regraded  {"number":1,"void":false,"reason":"the wrong one was marked"}`,
		`quiz:results  {"number":1,"type":"single_choice","answered":2,"correct":1,"counts":[1,1,0],"key":["0"],` +
			`"explanation":"SECRET-1-explanation","regraded":true}`,
		`quiz:rank bob {"number":1,"rank":1,"of":2,"score":1000,"points":1000,"outcome":"correct","streak":1,"elapsedMs":0}`,
		`quiz:rank ada {"number":1,"rank":2,"of":2,"score":0,"points":0,"outcome":"wrong","streak":0,"behind":1000,` +
			`"ahead":"bob","elapsedMs":0}`,
		`quiz:leaderboard  {"number":1,"top":[{"rank":1,"user":"bob","name":"bob","score":1000,"delta":1000},` +
			`{"rank":2,"user":"ada","name":"ada","score":0}],"participants":2,"regraded":true}`,
	}
	if !slices.Equal(said, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if g.m.Phase() != wire.PhaseOpen || g.m.Me("bob").Rank.Score != 1000 || q.Questions[0].Options[0].Correct {
		t.Errorf("phase %s, %+v; the given quiz has changed: %v", g.m.Phase(), g.m.Me("bob").Rank, q.Questions[0].Options)
	}
	said = nil
	if err := g.regrade(&wire.RegradeData{Question: 2, Void: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || said[0] != `quiz:regraded  {"number":2,"void":true}` {
		t.Errorf("while it is open: %s", said)
	}
	if got := g.m.Snapshot(g.env.Now, g.caller("bob")).Void; !slices.Equal(got, []int{2}) {
		t.Errorf("void: %v", got)
	}
	var fact Regraded
	if err := json.Unmarshal(g.facts[len(g.facts)-1].data, &fact); err != nil || fact.By != "host" || !fact.Void {
		t.Errorf("%+v %v", fact, err)
	}
}

// fourPlayers plays three questions of 100 points, flat, with the streak bonus: ada is right three times, bob not in
// the second, cy not in the first, dee never.
func fourPlayers(t *testing.T) *game {
	g := newGame(t, Config{LeadMs: -1, GraceMs: -1})
	q := &wire.Quiz{Title: "ranks", Settings: wire.QuizSettings{Scoring: ScoringFlat, StreakBonus: true}}
	for range 3 {
		q.Questions = append(q.Questions, wire.Question{
			Type: wire.SingleChoice, Text: "?", Points: ptr(100),
			Options: []wire.Option{{Text: "wrong"}, {Text: "right", Correct: true}},
		})
	}
	g.create(q)
	users := []string{"ada", "bob", "cy", "dee"}
	for _, user := range users {
		if err := g.enter(user, user); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizStart, nil)
	for n, round := range []string{"1100", "1010", "1110"} {
		for i, user := range users {
			_, _ = g.answer(user, n+1, "k", round[i:i+1])
		}
		g.op("host", wire.OpQuizNext, nil)
		g.op("host", wire.OpQuizNext, nil)
	}
	return g
}

// TestRegradedRanks: ties that a regrade makes and breaks, and a void question within a streak.
func TestRegradedRanks(t *testing.T) {
	t.Parallel()
	type standing struct {
		user                string
		rank, score, streak int
	}
	for name, c := range map[string]struct {
		regrade []*wire.RegradeData
		want    []standing
	}{
		"as played": {nil, []standing{
			{"ada", 1, 600, 3}, {"cy", 2, 300, 2}, {"bob", 3, 200, 1}, {"dee", 4, 0, 0},
		}},
		"void in the middle: bob's streak goes over it": {
			[]*wire.RegradeData{{Question: 2, Void: ptr(true)}},
			[]standing{{"ada", 1, 300, 2}, {"bob", 1, 300, 2}, {"cy", 3, 100, 1}, {"dee", 4, 0, 0}},
		},
		"void at the end: streaks stay": {
			[]*wire.RegradeData{{Question: 3, Void: ptr(true)}},
			[]standing{{"ada", 1, 300, 2}, {"bob", 2, 100, 0}, {"cy", 2, 100, 1}, {"dee", 4, 0, 0}},
		},
		"all void: all equal": {
			[]*wire.RegradeData{
				{Question: 1, Void: ptr(true)}, {Question: 2, Void: ptr(true)}, {Question: 3, Void: ptr(true)},
			},
			[]standing{{"ada", 1, 0, 0}, {"bob", 1, 0, 0}, {"cy", 1, 0, 0}, {"dee", 1, 0, 0}},
		},
		"both are right: everybody's streak begins at the first": {
			[]*wire.RegradeData{{Question: 1, AnswerKey: &wire.AnswerKey{Options: []string{"0", "1"}}}},
			[]standing{{"ada", 1, 600, 3}, {"cy", 1, 600, 3}, {"bob", 3, 200, 1}, {"dee", 4, 100, 0}},
		},
	} {
		g := fourPlayers(t)
		for _, d := range c.regrade {
			if err := g.regrade(d); err != nil {
				t.Fatal(err)
			}
		}
		var got []standing
		for _, i := range g.m.board.order {
			p := &g.m.players[i]
			got = append(got, standing{p.user, int(p.rank), int(p.score), int(p.streak)})
			if r := g.m.board.ranks[i]; r.Rank != int(p.rank) || r.Score != int(p.score) || r.Of != 4 {
				t.Errorf("%s: %s hears %+v", name, p.user, r)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, c.want)
		}
	}
}
