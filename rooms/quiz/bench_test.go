package quiz

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// crowd is a game of n participants that says nothing to anybody.
type crowd struct {
	m     *Machine
	env   effect.Env
	out   effect.Effects
	users []string
}

func newCrowd(n, questions int) *crowd {
	c := &crowd{
		m:   New(Config{ParticipantsMax: n, LeadMs: -1}),
		env: effect.Env{Now: startOfTime, Rand: rand.New(rand.NewPCG(1, 2))},
	}
	q := &wire.Quiz{Title: "crowd"}
	for range questions {
		q.Questions = append(q.Questions, wire.Question{
			Type: wire.SingleChoice, Text: "which", TimeLimitMs: 600_000,
			Options: []wire.Option{{Text: "a"}, {Text: "b", Correct: true}, {Text: "c"}, {Text: "d"}},
		})
	}
	c.m.Create(c.env, effect.Caller{User: "host"}, q, "1", &c.out)
	for i := range n {
		user := "user-" + strconv.Itoa(i)
		c.users = append(c.users, user)
		if err := c.m.Enter(c.env, effect.Caller{User: user, Name: user}, &c.out); err != nil {
			panic(err)
		}
		c.out.Reset()
	}
	// One who never answers keeps the question open.
	c.host(wire.OpQuizStart)
	c.m.volatile.expected++
	return c
}

func (c *crowd) host(op wire.Op) {
	c.m.Handle(c.env, effect.Caller{User: "host", Role: wire.RoleHost}, op, nil, &c.out)
}

func (c *crowd) answer(i int) {
	c.env.Now++
	d := wire.AnswerData{Question: c.m.current + 1, Answer: json.RawMessage(`"1"`), Key: "key-of-this-client"}
	if i%3 == 0 {
		d.Answer = json.RawMessage(`2`)
	}
	from := effect.Caller{Conn: 1, Req: 1, User: c.users[i], Role: wire.RoleParticipant, Member: true}
	c.m.Handle(c.env, from, wire.OpQuizAnswer, &d, &c.out)
	if c.env.Now%256 == 0 {
		c.out.Reset()
	}
}

var crowdSizes = []int{1000, 10_000, 100_000}

// BenchmarkAnswer shows that an answer costs the same with 1,000 and with 100,000 participants (but for cache misses).
func BenchmarkAnswer(b *testing.B) {
	for _, n := range crowdSizes {
		b.Run(fmt.Sprintf("participants=%d", n), func(b *testing.B) {
			c, i := newCrowd(n, 100), 0
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if i == n {
					b.StopTimer()
					i = 0
					c.reopen(n)
					b.StartTimer()
				}
				c.answer(i)
				i++
			}
		})
	}
}

// reopen goes to the next question, in a new game after the last.
func (c *crowd) reopen(n int) {
	if c.m.phase == wire.PhaseOpen {
		c.host(wire.OpQuizSkip)
	}
	c.host(wire.OpQuizSkip)
	if c.m.phase == wire.PhaseEnded {
		*c = *newCrowd(n, 100)
	}
	c.m.volatile.expected++
	c.out.Reset()
}

// BenchmarkClose is the close of a question with everybody's answer, results and own ranks included; ns/rank is its
// share of each participant.
func BenchmarkClose(b *testing.B) {
	for _, n := range crowdSizes {
		b.Run(fmt.Sprintf("participants=%d", n), func(b *testing.B) {
			c := newCrowd(n, 100)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				for i := range n {
					c.answer(i)
				}
				c.out.Reset()
				b.StartTimer()
				c.host(wire.OpQuizNext)
				b.StopTimer()
				c.reopen(n)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/rank")
		})
	}
}

// TestAnswerAllocations: an answer allocates as often among 100,000 as among 1,000. BenchmarkAnswer shows the times.
func TestAnswerAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a crowd of 100,000")
	}
	allocations := func(n int) float64 {
		c := newCrowd(n, 1)
		i := 0
		return testing.AllocsPerRun(900, func() {
			c.answer(i * (n / 1000))
			i++
		})
	}
	few, many := allocations(1000), allocations(100_000)
	if many > few+1 {
		t.Errorf("%.1f allocations per answer among 100,000, %.1f among 1,000", many, few)
	}
	if few > 10 {
		t.Errorf("%.1f allocations per answer", few)
	}
}

// TestBytesPerParticipant keeps the memory of a game in sight: what a participant costs, and what each of its
// answers adds.
func TestBytesPerParticipant(t *testing.T) {
	const n = 20_000
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	base := heap()
	c := newCrowd(n, 2)
	c.out = effect.Effects{}
	joined := heap()
	for i := range n {
		c.answer(i)
	}
	c.out = effect.Effects{}
	answered := heap()
	runtime.KeepAlive(c)
	perPlayer, perAnswer := float64(joined-base)/n, float64(answered-joined)/n
	t.Logf("%.0f bytes per participant, room for its first answer included, %.0f more when it is given",
		perPlayer, perAnswer)
	if perPlayer > 400 || perAnswer > 60 {
		t.Errorf("%.0f bytes per participant (at most 400), %.0f per answer (at most 60)", perPlayer, perAnswer)
	}
}

// BenchmarkRegrade is one quiz:regrade of a finished game of 20 questions: it holds up the shard for so long.
func BenchmarkRegrade(b *testing.B) {
	for _, n := range crowdSizes {
		b.Run(fmt.Sprintf("participants=%d", n), func(b *testing.B) {
			const questions = 20
			c := newCrowd(n, questions)
			for range questions {
				for i := range n {
					c.answer(i)
				}
				if c.m.phase == wire.PhaseOpen {
					c.host(wire.OpQuizNext)
				}
				c.host(wire.OpQuizSkip) // to the next question
				c.out.Reset()
			}
			if c.m.phase != wire.PhaseEnded || len(c.m.questions[questions-1].answers) != n {
				b.Fatal("the game was not played")
			}
			void := false
			b.ReportAllocs()
			for b.Loop() {
				void = !void
				d := &wire.RegradeData{Question: 1, Void: &void}
				c.m.Handle(c.env, effect.Caller{User: "host", Role: wire.RoleHost}, wire.OpQuizRegrade, d, &c.out)
				c.out.Reset()
			}
		})
	}
}
