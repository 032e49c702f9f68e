package app

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// What keeps the server from starting is one message that says what is wrong and what to do, and nothing stays behind
// (TestMain looks for goroutines).
func TestWhatKeepsTheServerFromStarting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	damaged := t.TempDir()
	rubbish := []byte(strings.Repeat("not a database ", 500))
	if err := os.WriteFile(filepath.Join(damaged, "test.db"), rubbish, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	start(t, onDisk(inUse))
	for name, tt := range map[string]struct {
		change func(*config.Config)
		says   []string
	}{
		"taken port": {
			func(c *config.Config) { c.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "in use"},
		},
		"taken admin port": {
			func(c *config.Config) { c.Admin = taken.Addr().String() },
			[]string{taken.Addr().String(), "--admin", "in use"},
		},
		"no such address": {func(c *config.Config) { c.Listen = "203.0.113.1:8080" }, []string{"203.0.113.1:8080"}},
		"folder that can't be made": {
			func(c *config.Config) { c.Store = "sqlite:/proc/no/such/x.db" }, []string{"/proc/no"},
		},
		"damaged database": {onDisk(damaged), []string{filepath.Join(damaged, "test.db")}},
		"database in use":  {onDisk(inUse), []string{"in use by another lectern", "--store"}},
		"missing word list": {
			func(c *config.Config) { c.Words = []string{"/no/such/words.txt"} }, []string{"/no/such/words.txt", "words"},
		},
		"unknown store kind": {func(c *config.Config) { c.Store = "mysql:x" }, []string{"mysql", "sqlite:FILE"}},
	} {
		s, err := tryStart(t, tt.change)
		if err == nil {
			t.Errorf("%s: it starts", name)
			continue
		}
		t.Logf("%s: %v", name, err)
		for _, want := range tt.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", name, err)
		}
		if strings.Contains(s.logs.String(), "level=ERROR") {
			t.Errorf("%s: also logged: %s", name, s.logs)
		}
	}
}

func TestUnwritableFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; the case of a folder that can't be made is covered above")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // that it can't be written is the point
		t.Fatal(err)
	}
	_, err := tryStart(t, onDisk(dir))
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "permission") {
		t.Errorf("%v", err)
	}
}

// game is a quiz in its first question: a host, and players of whom the first half have answered.
type game struct {
	room, pin string
	closesAt  int64
	receipts  map[string]string
}

func (s *server) playHalf(players int) game {
	host := s.as("host", wire.RoleHost)
	made := into[wire.QuizCreateReply](s.t, host.do(wire.OpQuizCreate, "", someQuiz()))
	g := game{room: made.Room, pin: made.PIN, receipts: map[string]string{}}
	host.join(g.room, wire.JoinData{})
	all := make([]*conn, players)
	for i := range all {
		all[i] = s.as(user(i), wire.RoleParticipant)
		all[i].join(g.room, wire.JoinData{})
	}
	host.do(wire.OpQuizStart, g.room, nil)
	g.closesAt = into[wire.QuestionView](s.t, host.event(wire.EvQuizQuestion)).ClosesAt
	for i, c := range all {
		if i < players/2 {
			g.receipts[user(i)] = into[wire.AnswerReply](s.t, c.do(wire.OpQuizAnswer, g.room, rightAnswer(1, user(i)))).Receipt
		}
	}
	return g
}

func user(i int) string { return "player" + string(rune('a'+i)) }

func rightAnswer(question int, key string) wire.AnswerData {
	return wire.AnswerData{Question: question, Answer: json.RawMessage(`"0"`), Key: key}
}

// A server that is stopped in the middle of a question comes back with the room, its PIN, the host, the time that is
// left and every answer that was acknowledged.
func TestRestartInMidQuiz(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := start(t, onDisk(dir), lead(0))
	g := before.playHalf(4)
	before.stop()
	after := start(t, onDisk(dir), lead(0))
	host := after.as("host", wire.RoleHost)
	r := host.join(g.pin, wire.JoinData{})
	if r.Room != g.room || r.Role != wire.RoleHost || r.Snapshot.Quiz.Quiz == nil {
		t.Fatalf("the host comes back to %+v", r)
	}
	q := r.Snapshot.Quiz
	if q.Phase != wire.PhaseOpen && q.Phase != wire.PhasePaused || q.Question == nil || q.Question.Number != 1 {
		t.Fatalf("%+v", q)
	}
	if q.Phase == wire.PhaseOpen && q.Question.ClosesAt < g.closesAt {
		t.Errorf("closes at %d, before the stop it was %d", q.Question.ClosesAt, g.closesAt)
	}
	if left := time.Until(time.UnixMilli(q.Question.ClosesAt)); q.Phase == wire.PhaseOpen && left > time.Minute+patience {
		t.Errorf("%v are left of one minute", left)
	}
	for i := range 4 {
		c := after.as(user(i), wire.RoleParticipant)
		me := c.join(g.room, wire.JoinData{}).Snapshot.Quiz.Me
		if me == nil || me.Answered != (i < 2) || me.Receipt != g.receipts[user(i)] {
			t.Errorf("%s: %+v, receipt %q", user(i), me, g.receipts[user(i)])
		}
		if i < 2 {
			reply := into[wire.AnswerReply](t, c.do(wire.OpQuizAnswer, g.room, rightAnswer(1, user(i))))
			if reply.Receipt != g.receipts[user(i)] {
				t.Errorf("the same key gets another receipt after the restart")
			}
			continue
		}
		c.do(wire.OpQuizAnswer, g.room, rightAnswer(1, user(i)))
	}
	results := into[wire.QuizResults](t, host.event(wire.EvQuizResults))
	if results.Answered != 4 || results.Correct != 4 {
		t.Errorf("%+v", results)
	}
	if _, refused := after.gateway.NewSession(effect.Caller{User: "host", Role: wire.RoleHost},
		&wire.QuizCreateData{Quiz: someQuiz()}); refused != nil {
		t.Error(refused)
	}
}

func TestPinsStayReservedAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := start(t, onDisk(dir), lead(0))
	g := before.playHalf(2)
	before.stop()
	after := start(t, onDisk(dir))
	if room, ok := after.pins.Room(g.pin); !ok || room != g.room {
		t.Errorf("PIN %s leads to %q %v", g.pin, room, ok)
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.Drain = time.Minute })
	s.dial("/ws?guest=a").join("r", wire.JoinData{})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_ = s.Stop(ctx)
	if took := time.Since(began); took > patience {
		t.Errorf("stopping took %v", took)
	}
	if err := s.Stop(ctx); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}
