package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// Forty players answer while the server is killed under them and started again on the same port and store. Their clients
// send again what was not acknowledged; each player's answer counts exactly once, with the receipt that was given first.
func TestKilledWhileAnswersArrive(t *testing.T) {
	t.Parallel()
	const players, before = 40, 15
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	s := serveProgram(t, "--dev", "--store", store)
	host := token(t, s.base, `{"name":"Teacher","role":"host"}`)
	quiz := `{"quiz":{"title":"T","questions":[{"type":"true_false","text":"Yes?","correct":true,"timeLimitMs":120000}]}}`
	var made wire.QuizCreateReply
	status, text := call(t, "POST", s.base+"/api/v1/sessions", host, strings.NewReader(quiz))
	if err := json.Unmarshal(text, &made); err != nil || made.Room == "" {
		t.Fatalf("%d %s", status, text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	address := strings.TrimPrefix(s.base, "http://")
	opened := make(chan wire.QuestionView, 4)
	teacher := connect(ctx, t, &running, address, host, func(e client.Event) {
		var q wire.QuestionView
		if e.Name == wire.EvQuizQuestion && json.Unmarshal(e.Data, &q) == nil {
			opened <- q
		}
	})
	if _, err := teacher.Join(ctx, made.Room, wire.JoinData{}); err != nil {
		t.Fatal(err)
	}
	all := make([]*client.Client, players)
	for i := range all {
		name := fmt.Sprintf("p%d", i)
		all[i] = connect(ctx, t, &running, address, token(t, s.base, fmt.Sprintf(`{"pin":%q,"name":%q}`, made.PIN, name)), nil)
		if _, err := all[i].Join(ctx, made.Room, wire.JoinData{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := teacher.Request(ctx, wire.OpQuizStart, made.Room, nil, nil); err != nil {
		t.Fatal(err)
	}
	q := <-opened
	if !waitUntil(ctx, time.UnixMilli(q.OpensAt)) {
		t.Fatal("the question does not open")
	}
	var acknowledged atomic.Int32
	enough := make(chan struct{})
	receipts := make([]string, players)
	var answering sync.WaitGroup
	for i, c := range all {
		answering.Go(func() {
			if i >= before { // these answer while the server dies, or while it is away
				<-enough
			}
			receipts[i] = insist(ctx, t, c, made.Room, i)
			if acknowledged.Add(1) == before {
				close(enough)
			}
		})
	}
	<-enough
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.done
	again := serveProgram(t, "--dev", "--store", store, "--listen", address)
	answering.Wait()
	for i, c := range all {
		if r := insist(ctx, t, c, made.Room, i); r != receipts[i] {
			t.Errorf("player %d: the same key gets another receipt", i)
		}
	}
	again.stop(t)
	stdout, _ := wants(t, 0, "replay", made.Room, "--json", "--store", store)
	var table struct {
		Questions    []struct{ Results wire.QuizResults }
		Participants []struct{ Score int }
	}
	if err := json.Unmarshal([]byte(stdout), &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Participants) != players || len(table.Questions) != 1 || table.Questions[0].Results.Answered != players {
		t.Errorf("%d participants; questions %+v", len(table.Participants), table.Questions)
	}
	for i, p := range table.Participants {
		if p.Score == 0 {
			t.Errorf("participant %d has no points", i)
		}
	}
}

// insist answers until the server says that the answer is durable: a question that a restart opens anew is early at first.
func insist(ctx context.Context, t *testing.T, c *client.Client, room string, player int) string {
	data := wire.AnswerData{Question: 1, Answer: json.RawMessage("true"), Key: fmt.Sprintf("k%d", player)}
	for {
		reply, err := c.Answer(ctx, room, data)
		if err == nil {
			return reply.Receipt
		}
		var state wire.QuizSnapshot
		if ctx.Err() != nil || c.Retry(ctx, wire.OpQuizState, room, nil, &state) != nil || state.Phase != wire.PhaseOpen ||
			!waitUntil(ctx, time.UnixMilli(state.Question.OpensAt)) {
			t.Errorf("player %d: %v in phase %s", player, err, state.Phase)
			return ""
		}
	}
}

func waitUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at) + 20*time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func token(t *testing.T, base, body string) string {
	t.Helper()
	status, text := call(t, "POST", base+"/auth/token", "", strings.NewReader(body))
	var reply struct{ AccessToken string }
	if err := json.Unmarshal(text, &reply); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s", body, status, text)
	}
	return reply.AccessToken
}

func connect(
	ctx context.Context, t *testing.T, running *sync.WaitGroup, address, accessToken string, event func(client.Event),
) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		URL: "ws://" + address + "/ws", Now: time.Now, Rand: rand.New(rand.NewPCG(rand.Uint64(), 1)), Event: event,
		Token:   func(context.Context) (string, error) { return accessToken, nil },
		Backoff: 20 * time.Millisecond, BackoffMax: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = c.Run(ctx) })
	return c
}
