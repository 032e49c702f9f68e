package quiz

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"

	"pgregory.net/rapid"
)

func TestParseAnswer(t *testing.T) {
	q := everyKind().Questions
	single, multi, boolean, number, text := &q[0], &q[1], &q[2], &q[3], &q[4]
	for _, c := range []struct {
		q    *wire.Question
		in   string
		want string // canonical; empty: refused
	}{
		{single, `2`, `2`},
		{single, `"2"`, `2`},
		{single, ` 0 `, `0`},
		{single, `3`, ``},
		{single, `-1`, ``},
		{single, `01`, ``},
		{single, `"01"`, ``},
		{single, `1.0`, ``},
		{single, `1e0`, ``},
		{single, `""`, ``},
		{single, ``, ``},
		{single, `null`, ``},
		{single, `[1]`, ``},
		{single, `true`, ``},
		{single, `99999`, ``},
		{multi, `[2,0]`, `[0,2]`},
		{multi, `["0","0"]`, `[0]`},
		{multi, `[]`, ``},
		{multi, `null`, ``},
		{multi, `1`, ``},
		{multi, `[3]`, ``},
		{multi, `[0,`, ``},
		{multi, `[[0]]`, ``},
		{boolean, `true`, `true`},
		{boolean, `"false"`, `false`},
		{boolean, `0`, ``},
		{boolean, `"True"`, ``},
		{number, `3.50`, `3.5`},
		{number, `"3.5"`, `3.5`},
		{number, `" 3,5 "`, `3.5`},
		{number, `"0,125"`, `0.125`},
		{number, `"1,000"`, ``},
		{number, `"1,000.5"`, ``},
		{number, `"1,2,3"`, ``},
		{number, `-0`, `0`},
		{number, `1e6`, `1e+06`},
		{number, `1e400`, ``},
		{number, `"NaN"`, ``},
		{number, `"Inf"`, ``},
		{number, `"0x10"`, ``},
		{number, `"1_000"`, ``},
		{number, `""`, ``},
		{number, `null`, ``},
		{number, `{}`, ``},
		{text, `"  a   b "`, `"a b"`},
		{text, `""`, ``},
		{text, `"  "`, ``},
		{text, `5`, ``},
		{text, `null`, ``},
		{text, `"` + strings.Repeat("ä", textRunesMax) + `"`, `"` + strings.Repeat("ä", textRunesMax) + `"`},
		{text, `"` + strings.Repeat("a", textRunesMax+1) + `"`, ``},
	} {
		p, err := parseAnswer(c.q, json.RawMessage(c.in))
		switch {
		case c.want == "" && (err == nil || err.Code != wire.CodeInvalidData || err.Path != "answer"):
			t.Errorf("%s %s: got %s, %v; want a refusal of answer", c.q.Type, c.in, p.canonical, err)
		case c.want != "" && (err != nil || string(p.canonical) != c.want):
			t.Errorf("%s %s: got %s, %v; want %s", c.q.Type, c.in, p.canonical, err, c.want)
		}
	}
}

// TestCanonicalAnswers: what a fact holds parses to the same again, whatever the client sent.
func TestCanonicalAnswers(t *testing.T) {
	questions := everyKind().Questions
	rapid.Check(t, func(t *rapid.T) {
		q := &questions[rapid.IntRange(0, len(questions)-1).Draw(t, "question")]
		var in json.RawMessage
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			in, _ = json.Marshal(rapid.String().Draw(t, "text"))
		case 1:
			in, _ = json.Marshal(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "number"))
		case 2:
			in, _ = json.Marshal(rapid.SliceOf(rapid.IntRange(-1, 5)).Draw(t, "list"))
		default:
			in = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		}
		p, err := parseAnswer(q, in)
		if err != nil {
			return
		}
		again, err := parseAnswer(q, p.canonical)
		if err != nil || again.value != p.value || again.text != p.text ||
			string(again.canonical) != string(p.canonical) {
			t.Fatalf("%s %q gives %q, which gives %q, %v", q.Type, in, p.canonical, again.canonical, err)
		}
	})
}

func TestMatchText(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		caseMatters   bool
		want          bool
	}{
		{"Paris", "paris", false, true},
		{"Paris", "paris", true, false},
		{"new  york", " New York ", false, true},
		{"Ärger", "äRGER", false, true},
		{"col*r", "colour", false, true},
		{"col*r", "color", false, true},
		{"col*r", "colors", false, false},
		{"*", "anything", false, true},
		{"*a*b*", "xxaxxbxx", false, true},
		{"*a*b*", "xxbxxaxx", false, false},
		{"a**b", "ab", false, true},
		{`2\*3`, "2*3", false, true},
		{`2\*3`, "2xx3", false, false},
		{`a\\b`, `a\b`, false, true},
		{`a\b`, `a\b`, false, true},
		{`a\`, `a\`, false, true},
		{"", "x", false, false},
		{"*aab", "aaaaab", false, true},
	} {
		p := compilePattern(c.pattern, c.caseMatters)
		if got := matchPattern(p, []rune(foldText(c.text, c.caseMatters))); got != c.want {
			t.Errorf("%q against %q: %v", c.text, c.pattern, got)
		}
	}
}

func TestInRanges(t *testing.T) {
	const tenth, fifth = 0.1, 0.2
	low, high := float64(tenth), float64(fifth)
	sum := low + high // 0.30000000000000004
	for _, c := range []struct {
		x, lo, hi float64
		want      bool
	}{
		{0.3, sum, 1, true},
		{5, 5, 5, true},
		{5.0001, 5, 5, false},
		{-1, -2, -1, true},
		{-0.999, -2, -1, false},
		{0, 0, 0, true},
	} {
		if got := inRanges(c.x, []wire.NumberRange{{Min: c.lo, Max: c.hi}}); got != c.want {
			t.Errorf("%v in %v to %v: %v", c.x, c.lo, c.hi, got)
		}
	}
}

func TestSalts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		want := newSalt(r)
		got, ok := parseSalt(want.String())
		if !ok || got != want {
			t.Fatalf("%x comes back as %x, %v", want, got, ok)
		}
	}
	for _, bad := range []string{
		"", "short", "aaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAA1", "AAAAAAAAAAAAAAA\n", "AAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		if _, ok := parseSalt(bad); ok {
			t.Errorf("%q is taken for a salt", bad)
		}
	}
}

// TestSharedRanks: 1, 2, 2, 4; within equal scores by answer time, then by joining.
func TestSharedRanks(t *testing.T) {
	g := newGame(t, Config{LeadMs: -1})
	q := everyKind()
	q.Questions = q.Questions[:1]
	q.Settings.Scoring = ScoringFlat
	g.create(q)
	for _, u := range []string{"late", "ada", "bob", "none"} {
		if err := g.enter(u, u); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizStart, nil)
	for _, u := range []string{"ada", "bob", "late"} {
		if u == "late" {
			g.advance(1000)
		}
		if _, err := g.answer(u, 1, "k", "1"); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizNext, nil)
	want := []struct {
		user         string
		rank, behind int
		ahead        string
	}{{"ada", 1, 0, ""}, {"bob", 1, 0, ""}, {"late", 1, 0, ""}, {"none", 4, 1000, "late"}}
	for i, p := range g.m.Results().Participants {
		w := want[i]
		r := g.m.Me(p.User).Rank
		if p.User != w.user || p.Rank != w.rank || r.Rank != w.rank || r.Behind != w.behind || r.Ahead != w.ahead {
			t.Errorf("place %d: %+v with %+v, want %+v", i+1, p, r, w)
		}
	}
}

// TestDistribution: answers that count as the same are joined, right ones come first, at most 12.
func TestDistribution(t *testing.T) {
	g := newGame(t, Config{LeadMs: -1})
	q := everyKind()
	q.Questions = q.Questions[4:5]
	g.create(q)
	given := []string{"wrong", "Wrong", "WRONG", "secret-5-a", "a*b", "A*b"}
	for c := 'a'; c < 'a'+20; c++ {
		given = append(given, "other "+string(c))
	}
	for i := range given {
		if err := g.enter("u"+string(rune('A'+i)), "u"+string(rune('A'+i))); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizStart, nil)
	for i, text := range given {
		if _, err := g.answer("u"+string(rune('A'+i)), 1, "k", mustJSON(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	r := g.m.Results().Questions[0].Results
	if r.Answered != 26 || r.Correct != 3 || len(r.Given) != givenMax {
		t.Fatalf("%+v", r)
	}
	want := []wire.GivenAnswer{
		{Answer: "a*b", Count: 2, Correct: true},
		{Answer: "secret-5-a", Count: 1, Correct: true},
		{Answer: "wrong", Count: 3},
	}
	for i, w := range want {
		if r.Given[i] != w {
			t.Errorf("row %d: %+v, want %+v", i, r.Given[i], w)
		}
	}
	if !strings.HasPrefix(r.Given[3].Answer, "other ") {
		t.Errorf("row 3: %+v", r.Given[3])
	}
}

// TestApplyTwice: a fact that is in a damaged journal twice, or at the wrong place, changes nothing.
func TestApplyTwice(t *testing.T) {
	g := newGame(t, Config{})
	g.create(everyKind())
	_ = g.enter("ada", "Ada")
	_ = g.enter("bob", "Bob")
	g.op("host", wire.OpQuizStart, nil)
	g.advance(4000)
	if _, err := g.answer("ada", 1, "k", "1"); err != nil {
		t.Fatal(err)
	}
	g.op("host", wire.OpQuizNext, nil)
	before, events := g.state(g.m), len(g.events)
	for _, r := range g.facts {
		if r.kind == FactStarted || r.kind == FactLocked {
			continue // say an event again, and change nothing else
		}
		data, err := DecodeFact(r.kind, r.data)
		if err != nil {
			t.Fatal(err)
		}
		g.m.Apply(effect.Fact{Kind: r.kind, At: g.m.lastFactAt, Data: data}, &g.out)
		g.collect()
	}
	if after := g.state(g.m); after != before || len(g.events) != events {
		t.Errorf("changed by its own facts\nfrom %s\nto   %s", before, after)
	}
}

func TestDecodeFactRefuses(t *testing.T) {
	for _, c := range []struct{ kind, data string }{
		{"quiz.unknown", `{}`},
		{"", `{}`},
		{FactJoined, `{}`},
		{FactJoined, `{"user":"a","extra":1}`},
		{FactJoined, `{"user":"a"} {}`},
		{FactJoined, `[]`},
		{FactJoined, ``},
		{FactCreated, `{"pin":"1"}`},
		{FactOpened, `{"n":1,"opensAt":2,"closesAt":1}`},
		{FactExtended, `{"n":1,"byMs":-1}`},
		{FactRecovered, `{"byMs":-1}`},
		{FactAnswered, `{"n":1,"user":"a","answer":1,"key":"k","elapsedMs":1,"receipt":"no"}`},
		{FactAnswered, `{"n":1,"user":"a","answer":1,"key":"k","elapsedMs":-1,"receipt":"AAAAAAAAAAAAAAAA"}`},
		{FactRemoved, `{"user":""}`},
	} {
		if v, err := DecodeFact(c.kind, []byte(c.data)); err == nil {
			t.Errorf("%s %s decodes to %+v", c.kind, c.data, v)
		}
	}
}
