package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/mem"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/sqlite"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// persistResults is the file that make bench-persist appends to; the test is skipped without.
func persistResults(t *testing.T) *os.File {
	t.Helper()
	out := os.Getenv("LECTERN_BENCH_PERSIST")
	if out == "" {
		t.Skip("measures for minutes: run make bench-persist")
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func writeLine(t *testing.T, f *os.File, line map[string]any) {
	t.Helper()
	line["at"] = time.Now().UTC().Format(time.RFC3339)
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f, "%s\n", text); err != nil {
		t.Fatal(err)
	}
}

// quizLoad is how lectern bench plays.
type quizLoad struct{ name, conns, duration string }

// TestPersistenceCost plays the same quiz on servers with each store, in turns, and compares the server's CPU per
// answer with that of a server that keeps nothing: with answers that come slowly, so that most commits hold one, and
// with answers that come at once. "Paced" is journal.pace at 10 ms.
func TestPersistenceCost(t *testing.T) {
	f := persistResults(t)
	const rounds = 3
	p := pgtest.New(t, "shared_buffers=256MB", "max_wal_size=4GB")
	for _, load := range []quizLoad{{"at once", "3000", "2s"}, {"spread", "1000", "10s"}} {
		perAnswer := map[string][]float64{}
		for round := range rounds {
			for _, kind := range []string{"memory", "sqlite", "postgres", "sqlite, paced", "postgres, paced"} {
				us := answerCost(t, p, kind, load)
				perAnswer[kind] = append(perAnswer[kind], us)
				t.Logf("%s, %-15s %.1f µs of server CPU per answer", load.name, kind, us)
				writeLine(t, f, map[string]any{
					"scenario": "cpu_per_answer", "load": load.name, "store": kind, "round": round + 1,
					"server_cpu_us_per_answer": us,
				})
			}
		}
		for _, kind := range []string{"sqlite", "postgres", "sqlite, paced", "postgres, paced"} {
			ratio := median(perAnswer[kind]) / median(perAnswer["memory"])
			t.Logf("%s, %-15s costs %.2f × what memory costs (medians of %d)", load.name, kind, ratio, rounds)
			writeLine(t, f, map[string]any{
				"scenario": "cpu_per_answer_ratio", "load": load.name, "store": kind, "over_memory": ratio,
			})
		}
	}
}

// answerCost plays one quiz on a server of its own. It gives the server's CPU per answer in microseconds.
func answerCost(t *testing.T, p *pgtest.Instance, kind string, load quizLoad) float64 {
	t.Helper()
	settings := "spool: {file: " + filepath.Join(t.TempDir(), "spool.db") + "}\n"
	kind, paced := strings.CutSuffix(kind, ", paced")
	if paced {
		settings += "journal: {pace: 10ms}\n"
	}
	store := map[string]func() string{
		"memory":   func() string { return "memory" },
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "l.db") },
		"postgres": func() string { return p.Database(t) },
	}[kind]()
	config := filepath.Join(t.TempDir(), "lectern.yaml")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveProgram(t, "--dev", "--store", store, "--config", config)
	result := filepath.Join(t.TempDir(), "result.json")
	wants(t, 0, "bench", "quiz", "--target", s.base, "--conns", load.conns, "--duration", load.duration, "--json", result)
	s.stop(t)
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Sent, Lost int
		Server     struct {
			CPU float64 `json:"cpu_s"`
		}
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Sent == 0 || r.Lost != 0 {
		t.Fatalf("%v: %s", err, text)
	}
	return r.Server.CPU * 1e6 / float64(r.Sent)
}

func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}

// bigGame records a game with n participants who all answer one question, and says which room it is.
func bigGame(t *testing.T, store persist.Store, cfg *rooms.Config, n int) string {
	t.Helper()
	journal := &directJournal{store: store}
	shard := rooms.NewShard(0, rooms.ShardConfig{}, cfg, rooms.Ports{
		Journal: journal, Loader: rooms.NewLoader(journal), Outlet: nowhere{}, PINs: rooms.NewDirectory(),
		Rand: rand.New(rand.NewPCG(1, 2)), Logger: slog.New(slog.DiscardHandler),
	})
	now := time.Now().UnixMilli()
	post := func(commands ...rooms.Command) {
		t.Helper()
		if !shard.Post(commands) {
			t.Fatal("refused")
		}
		for range 4 { // what the journal and the outlet have answered
			shard.Turn(now)
		}
	}
	const room = "big"
	host := effect.Caller{Conn: wire.ConnID(n + 1), Req: 1, User: "host", Role: wire.RoleHost}
	quiz := &wire.Quiz{Title: "T", Questions: []wire.Question{{
		Type: wire.SingleChoice, Text: "?", Options: []wire.Option{{Text: "a"}, {Text: "b", Correct: true}},
	}}}
	post(rooms.Command{Room: room, Op: wire.OpQuizCreate, From: host, Body: &rooms.Create{Quiz: quiz, PIN: "123456"}})
	player := func(i int) effect.Caller {
		name := fmt.Sprint("p", i)
		return effect.Caller{Conn: wire.ConnID(i + 1), Req: 1, User: name, Name: name, Role: wire.RoleParticipant}
	}
	for i := range n {
		post(rooms.Command{Room: room, Op: wire.OpRoomJoin, From: player(i), Body: &wire.JoinData{}})
	}
	post(rooms.Command{Room: room, Op: wire.OpQuizStart, From: host})
	now += 4000
	for i := range n {
		post(rooms.Command{Room: room, Op: wire.OpQuizAnswer, From: player(i), Body: &wire.AnswerData{
			Question: 1, Answer: json.RawMessage(`"1"`), Key: fmt.Sprint("k", i),
		}})
	}
	if journal.failed != nil {
		t.Fatal(journal.failed)
	}
	return room
}

// TestRecoveryTime reads a room with 100,000 records back from each store.
func TestRecoveryTime(t *testing.T) {
	f := persistResults(t)
	const participants = 50_000
	cfg, err := app.RoomsConfig(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	source := mem.New(nil)
	room := bigGame(t, source, cfg, participants)
	p := pgtest.New(t, "shared_buffers=256MB", "max_wal_size=4GB")
	file, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "l.db")})
	if err != nil {
		t.Fatal(err)
	}
	database, err := pg.Open(t.Context(), pg.Config{URL: p.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]persist.Store{"memory": source, "sqlite": file, "postgres": database} {
		if store != source {
			if _, err := persist.Transfer(t.Context(), source, store, nil); err != nil {
				t.Fatal(err)
			}
		}
		var took []float64
		records := uint64(0)
		for range 5 {
			began := time.Now()
			back, err := rooms.Rebuild(persist.New(store, persist.Config{}), room, cfg)
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(began).Seconds())
			if records = back.Index(); records < 2*participants || back.Quiz().Participants() != participants {
				t.Fatalf("%d records, %d participants", records, back.Quiz().Participants())
			}
		}
		t.Logf("%-8s %d records are read back in %.3f s (median of 5)", name, records, median(took))
		writeLine(t, f, map[string]any{
			"scenario": "recovery", "store": name, "records": records, "seconds": median(took), "all": took,
		})
	}
	for _, store := range []persist.Store{source, file, database} {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// directJournal writes at once.
type directJournal struct {
	store  persist.Store
	failed error
}

func (j *directJournal) Append(recs []rooms.Record, done func(error)) error {
	err := j.store.AppendRecords(context.Background(), recs)
	if err != nil {
		j.failed = err
	}
	done(err)
	return nil
}

func (j *directJournal) Load(room string, visit func(rooms.Record) error) error {
	return j.store.ReadRoom(context.Background(), room, visit)
}

func (j *directJournal) LiveRooms() ([]string, error) { return j.store.LiveRooms(context.Background()) }

// nowhere takes every output at once.
type nowhere struct{}

func (nowhere) Deliver(_ int, _ []rooms.Delivery, done func()) { done() }
