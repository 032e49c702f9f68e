package rooms

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// nullJournal makes everything durable at once and keeps nothing.
type nullJournal struct{}

func (nullJournal) Append(_ []Record, done func(error)) error {
	done(nil)
	return nil
}
func (nullJournal) Load(string, func(Record) error) error { return nil }
func (nullJournal) LiveRooms() ([]string, error)          { return nil, nil }

// nullOutlet takes everything at once.
type nullOutlet struct{ items int }

func (o *nullOutlet) Deliver(_ int, items []Delivery, done func()) {
	o.items += len(items)
	done()
}

// mill is a shard with nothing slow around it.
type mill struct {
	now    int64
	shard  *Shard
	loader *Loader
	outlet nullOutlet
}

func newMill(journal Journal) *mill {
	m := &mill{now: startMs, loader: NewLoader(journal)}
	m.shard = NewShard(0, ShardConfig{InboxCommandsMax: 1 << 20}, &Config{OpenPublish: true}, Ports{
		Journal: journal, Loader: m.loader, Outlet: &m.outlet, PINs: NewDirectory(),
		Rand: rand.New(rand.NewPCG(1, 2)), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return m
}

// grind carries out commands and what follows from them.
func (m *mill) grind(commands []Command) {
	m.shard.Drain(m.now, commands, nil)
	for m.loader.Work() {
		continue
	}
	var c []Command
	var s []any
	for {
		c, s = m.shard.inbox.take(c, s)
		if len(c)+len(s) == 0 {
			return
		}
		m.shard.Drain(m.now, c, s)
		clear(s)
	}
}

// seat creates a game with n participants, connections 1 to n, and opens the first question.
func (m *mill) seat(room string, n int) {
	host := effect.Caller{Conn: wire.ConnID(n + 1), Req: 1, User: "host", Role: wire.RoleHost}
	m.grind([]Command{
		{Room: room, From: host, Body: &Create{Quiz: testQuiz(), PIN: "123456"}},
		{Room: room, Op: wire.OpRoomJoin, From: host, Body: &wire.JoinData{}},
	})
	for at := 0; at < n; at += 1000 {
		var joins []Command
		for i := at; i < min(n, at+1000); i++ {
			joins = append(joins, Command{Room: room, Op: wire.OpRoomJoin, From: player(i), Body: &wire.JoinData{}})
		}
		m.grind(joins)
	}
	m.grind([]Command{{Room: room, Op: wire.OpQuizStart, From: host}})
	m.now += 4000
}

func player(i int) effect.Caller {
	name := fmt.Sprintf("p%d", i)
	return effect.Caller{Conn: wire.ConnID(i + 1), Req: 1, User: name, Name: name, Role: wire.RoleParticipant}
}

// answers makes an answer of players from to to; the last answers nothing, so that the question stays open.
func answers(room string, from, to int) []Command {
	var out []Command
	for i := from; i < to; i++ {
		out = append(out, Command{Room: room, Op: wire.OpQuizAnswer, From: player(i), Body: &wire.AnswerData{
			Question: 1, Answer: json.RawMessage(`"1"`), Key: fmt.Sprint("k", i),
		}})
	}
	return out
}

func BenchmarkPublish(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d_at_once", batch), func(b *testing.B) {
			m := newMill(nullJournal{})
			m.grind([]Command{{Room: "r", Op: wire.OpRoomJoin, MayCreate: true, From: player(0), Body: &wire.JoinData{}}})
			body := &wire.PublishData{Event: "x:y", Payload: json.RawMessage(`{"text":"` + fmt.Sprintf("%0100d", 1) + `"}`)}
			var cmds []Command
			for range batch {
				cmds = append(cmds, Command{Room: "r", Op: wire.OpRoomPublish, From: player(0), Body: body})
			}
			b.ReportAllocs()
			for range b.N/batch + 1 {
				m.grind(cmds)
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%d_participants", n), func(b *testing.B) {
			b.ReportAllocs()
			cmds := answers("g", 0, n-1)
			for left := b.N; left > 0; {
				b.StopTimer()
				m := newMill(nullJournal{})
				m.seat("g", n)
				b.StartTimer()
				for at := 0; at < len(cmds) && left > 0; at += 100 {
					m.grind(cmds[at:min(len(cmds), at+100)])
					left -= 100
				}
			}
		})
	}
}

// BenchmarkCloseWithRanks closes a question that 100,000 have answered: one event for all and a rank for each.
func BenchmarkCloseWithRanks(b *testing.B) {
	const n = 100_000
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		m := newMill(nullJournal{})
		m.seat("g", n)
		m.grind(answers("g", 0, n-1))
		before := m.outlet.items
		b.StartTimer()
		m.grind(answers("g", n-1, n)) // everybody has answered
		b.StopTimer()
		if got := m.outlet.items - before; got < n {
			b.Fatalf("%d outputs", got)
		}
		b.StartTimer()
	}
}

// bigRoom is the journal of a game with about n records.
func bigRoom(n int) *fakeJournal {
	j := newFakeJournal()
	j.auto = true
	m := newMill(j)
	m.seat("g", n/2)
	m.grind(answers("g", 0, n/2))
	return j
}

func BenchmarkRebuild(b *testing.B) {
	j := bigRoom(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Rebuild(j, "g", &Config{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(j.durable["g"])), "ns/record")
}

// TestRebuildIsQuick: after a crash a room with 100,000 records must be back before its members lose patience.
func TestRebuildIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("makes and replays 100,000 records")
	}
	j := bigRoom(100_000)
	if n := len(j.durable["g"]); n < 100_000 {
		t.Fatalf("%d records", n)
	}
	best := time.Hour // the machine may be busy with other things
	for range 3 {
		began := time.Now()
		room, err := Rebuild(j, "g", &Config{})
		if err != nil {
			t.Fatal(err)
		}
		if room.Quiz().Participants() != 50_000 || room.Quiz().Phase() != wire.PhaseResults {
			t.Fatal("something is missing")
		}
		best = min(best, time.Since(began))
	}
	t.Logf("%v", best)
	if best > 3*time.Second { // about a third of a second on an idle machine
		t.Fatalf("took %v", best)
	}
}
