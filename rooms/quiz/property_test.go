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

	"pgregory.net/rapid"
)

// world is a random game with what must hold of it.
type world struct {
	*game
	rt       *rapid.T
	receipts map[string]wire.AnswerReply // "incarnation question" → what was acknowledged
	keys     map[string]string           // the same → its key
	lives    map[string]int              // user → times removed
	points   map[string]int              // incarnation → sum of its quiz:rank points
	secret   map[int]bool                // questions whose key has not been shown
}

var worldUsers = []string{"ada", "bob", "cy", "dee", "eve"}

// TestRandomGames plays random commands: lost and doubled messages, disconnections, removals, restarts, late joins.
// After each one the invariants hold, and in the end the facts give the same game again.
func TestRandomGames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{}
		if rapid.Bool().Draw(rt, "no lead") {
			cfg.LeadMs, cfg.GraceMs = -1, -1
		}
		w := &world{
			game: newGame(t, cfg), rt: rt, receipts: map[string]wire.AnswerReply{}, keys: map[string]string{},
			lives: map[string]int{}, points: map[string]int{}, secret: map[int]bool{},
		}
		seed := rapid.Uint64().Draw(rt, "seed")
		w.env.Rand = rand.New(rand.NewPCG(seed, seed))
		w.onOutput, w.onFact = w.checkOutput, w.checkFact
		q := everyKind()
		for i := range q.Questions {
			w.secret[i+1] = true
		}
		presets := []string{"", ScoringLinear, ScoringFlat, ScoringWayground}
		q.Settings = wire.QuizSettings{
			Scoring:     rapid.SampledFrom(presets).Draw(rt, "scoring"),
			StreakBonus: rapid.Bool().Draw(rt, "streak"),
			AutoAdvance: rapid.Bool().Draw(rt, "auto"),
		}
		w.create(q)
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			w.act()
			w.check()
		}
		w.checkReplay()
		w.checkAcknowledged()
	})
}

func (w *world) act() {
	user := rapid.SampledFrom(worldUsers).Draw(w.rt, "user")
	switch rapid.IntRange(0, 12).Draw(w.rt, "act") {
	case 0, 1:
		_ = w.enter(user, user)
	case 2:
		w.m.Leave(w.env, user, &w.out)
		w.collect()
	case 3:
		if rapid.IntRange(0, 3).Draw(w.rt, "kick") == 0 {
			w.kick(user)
		}
	case 4, 5, 6, 7, 8:
		w.tryAnswer(user)
	case 9:
		w.advance(rapid.Int64Range(0, 30_000).Draw(w.rt, "ms"))
	case 10:
		w.advance(rapid.Int64Range(0, 3000).Draw(w.rt, "short ms"))
	case 11:
		ops := []wire.Op{
			wire.OpQuizStart, wire.OpQuizNext, wire.OpQuizNext, wire.OpQuizNext, wire.OpQuizPause, wire.OpQuizResume,
			wire.OpQuizExtend, wire.OpQuizSkip, wire.OpQuizLock, wire.OpQuizEnd,
		}
		w.hostOp(rapid.SampledFrom(ops).Draw(w.rt, "op"))
	case 12:
		w.env.Now += rapid.Int64Range(0, 60_000).Draw(w.rt, "down")
		w.restart()
	}
}

func (w *world) hostOp(op wire.Op) {
	var body any
	switch op {
	case wire.OpQuizLock:
		body = &wire.QuizLockData{Locked: ptr(!w.m.Locked())}
	case wire.OpQuizEnd:
		if rapid.IntRange(0, 4).Draw(w.rt, "end") != 0 {
			return
		}
	}
	w.op("host", op, body)
}

func (w *world) kick(user string) {
	if w.m.Me(user) != nil {
		w.lives[user]++
	}
	w.m.Remove(w.env, user, &w.out)
	w.collect()
}

func (w *world) incarnation(user string) string { return fmt.Sprintf("%s/%d", user, w.lives[user]) }

// tryAnswer sends an answer once or twice, right, wrong or malformed, in time or not, with an old key or a new one.
func (w *world) tryAnswer(user string) {
	n := w.m.current + 1 + rapid.SampledFrom([]int{0, 0, 0, 0, 0, -1, 1}).Draw(w.rt, "off")
	n = max(n, 1)
	right := []string{`"1"`, `["0",2]`, `true`, `"3,15"`, `"secret-5-x"`, `1`}
	answer := rapid.SampledFrom([]string{
		right[min(n, 6)-1], right[min(n, 6)-1], `0`, `[2]`, `false`, `7.5`, `"text"`, `null`, `{}`, `"`, `99`,
	}).Draw(w.rt, "answer")
	key := rapid.SampledFrom([]string{"k1", "k1", "k2"}).Draw(w.rt, "key")
	id := fmt.Sprintf("%s %d", w.incarnation(user), n)
	for range rapid.IntRange(1, 2).Draw(w.rt, "times") {
		reply, err := w.answer(user, n, key, answer)
		if err != nil {
			if w.receipts[id].Receipt != "" && key == w.keys[id] {
				w.rt.Fatalf("a repeated answer is refused: %v", err)
			}
			continue
		}
		if first, ok := w.receipts[id]; ok {
			if reply != first || key != w.keys[id] {
				w.rt.Fatalf("a second reply %v (key %s) after %v (key %s)", reply, key, first, w.keys[id])
			}
			continue
		}
		if len(reply.Receipt) < 16 || !reply.Durable || reply.AcceptedAt != w.env.Now {
			w.rt.Fatalf("reply %+v", reply)
		}
		w.receipts[id], w.keys[id] = reply, key
	}
}

// checkOutput looks for keys in what goes out, and adds up the points of the own ranks.
func (w *world) checkOutput(o effect.Output) {
	if r, ok := o.Data.(*wire.QuizResults); ok {
		delete(w.secret, r.Number)
	}
	if r, ok := o.Data.(*wire.QuizRank); ok {
		w.points[w.incarnation(o.User)] += r.Points
	}
	if o.Err == nil {
		w.checkSecret(o.Data)
	}
}

func (w *world) checkSecret(data any) {
	text := mustJSON(w.t, data)
	for n := range w.secret {
		if strings.Contains(text, fmt.Sprintf("SECRET-%d", n)) {
			w.rt.Fatalf("the key of open question %d goes out in %s", n, text)
		}
	}
	if strings.Contains(text, "feedback") || strings.Contains(text, `"questions":[`) {
		w.rt.Fatalf("the quiz itself goes out in %s", text)
	}
}

func (w *world) checkFact(f effect.Fact) {
	data, err := DecodeFact(f.Kind, []byte(mustJSON(w.t, f.Data)))
	if err != nil {
		w.rt.Fatalf("fact %s does not decode: %v", f.Kind, err)
	}
	if got, want := mustJSON(w.t, data), mustJSON(w.t, f.Data); got != want {
		w.rt.Fatalf("fact %s comes back as %s, was %s", f.Kind, got, want)
	}
}

func (w *world) check() {
	for _, user := range append([]string{"screen"}, worldUsers...) {
		w.checkSecret(w.m.Snapshot(w.env.Now, w.caller(user)))
	}
	connected, expected := 0, 0
	for i := range w.m.players {
		p := &w.m.players[i]
		if p.connected {
			connected++
		}
		if p.expected {
			expected++
		}
		if p.removed && (p.connected || p.expected) {
			w.rt.Fatal("a removed participant is counted as present")
		}
	}
	if connected != w.m.volatile.connected || (w.m.inQuestion() && expected != w.m.volatile.expected) {
		w.rt.Fatalf("connected %d, counted %d; expected %d, counted %d",
			connected, w.m.volatile.connected, expected, w.m.volatile.expected)
	}
	w.checkRanks(w.m.Results())
}

// checkRanks compares the order with the definition: competition ranking by score, then time, then joining.
func (w *world) checkRanks(t Table) {
	for i, p := range t.Participants {
		sum := 0
		for _, a := range p.Answers {
			sum += a.Points
		}
		if sum != p.Score || p.Score != w.points[w.incarnation(p.User)] {
			w.rt.Fatalf("%s has %d points, its answers %d, its ranks %d",
				p.User, p.Score, sum, w.points[w.incarnation(p.User)])
		}
		if p.Rank == 0 {
			continue
		}
		better := 0
		for _, o := range t.Participants {
			if o.Score > p.Score {
				better++
			}
		}
		if p.Rank != better+1 {
			w.rt.Fatalf("%s has rank %d with %d better ones", p.User, p.Rank, better)
		}
		if i > 0 {
			o := t.Participants[i-1]
			if o.Score < p.Score || (o.Score == p.Score && o.AnswerMs > p.AnswerMs) {
				w.rt.Fatal("participants are out of order")
			}
		}
	}
}

// checkAcknowledged looks for each receipt among the facts, where each must be once.
func (w *world) checkAcknowledged() {
	seen := map[string]int{}
	for _, f := range w.facts {
		if f.kind != FactAnswered {
			continue
		}
		var a Answered
		if err := json.Unmarshal(f.data, &a); err != nil {
			w.rt.Fatal(err)
		}
		seen[a.Receipt]++
	}
	for id, r := range w.receipts {
		if seen[r.Receipt] != 1 {
			w.rt.Fatalf("acknowledged answer %s is recorded %d times", id, seen[r.Receipt])
		}
	}
	if len(seen) != len(w.receipts) {
		w.rt.Fatalf("%d answers recorded, %d acknowledged", len(seen), len(w.receipts))
	}
}

// FuzzFacts decodes lines of "kind json" and applies what decodes: no input may panic, and what decodes marshals to
// something that decodes to the same.
func FuzzFacts(f *testing.F) {
	g := newGame(f, Config{})
	g.create(everyKind())
	_ = g.enter("ada", "Ada")
	g.op("host", wire.OpQuizStart, nil)
	g.advance(4000)
	_, _ = g.answer("ada", 1, "k", "1")
	g.op("host", wire.OpQuizNext, nil)
	g.op("host", wire.OpQuizPause, nil)
	g.op("host", wire.OpQuizResume, nil)
	g.op("host", wire.OpQuizNext, nil)
	g.op("host", wire.OpQuizExtend, nil)
	g.op("host", wire.OpQuizLock, nil)
	g.m.Remove(g.env, "ada", &g.out)
	g.collect()
	g.op("host", wire.OpQuizEnd, nil)
	var all []string
	for _, r := range g.facts {
		line := fmt.Sprintf("%s %s", r.kind, r.data)
		f.Add(line)
		all = append(all, line)
	}
	f.Add(strings.Join(all, "\n"))
	slices.Reverse(all[1:])
	f.Add(strings.Join(all, "\n"))
	f.Fuzz(func(t *testing.T, input string) {
		m := New(Config{})
		out := effect.Effects{Replaying: true}
		for i, line := range strings.Split(input, "\n") {
			kind, data, _ := strings.Cut(line, " ")
			v, err := DecodeFact(kind, []byte(data))
			if err != nil {
				continue
			}
			again, err := DecodeFact(kind, []byte(mustJSON(t, v)))
			if err != nil || mustJSON(t, again) != mustJSON(t, v) {
				t.Fatalf("%s does not come back: %v", line, err)
			}
			m.Apply(effect.Fact{Kind: kind, At: int64(i) * 1000, Data: v}, &out)
			out.Reset()
			_ = mustJSON(t, m.Snapshot(0, effect.Caller{Role: wire.RoleHost}))
			_ = mustJSON(t, m.Results())
			_ = m.Deadline()
		}
	})
}
