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

// Forty players answer while the server is killed under them and started again on the same port and store. Their
// clients send again what was not acknowledged; each player's answer counts exactly once, with the receipt that was
// given first.
func TestKilledWhileAnswersArrive(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("takes minutes with the race detector, which watches the same code in the tests of its packages")
	}
	const players, before = 40, 15
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	s := serveProgram(t, "--dev", "--store", store)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	c := &crowd{t: t, ctx: ctx, base: s.base, address: strings.TrimPrefix(s.base, "http://")}
	t.Cleanup(func() {
		cancel()
		c.running.Wait()
	})
	c.openQuestion(players)
	var acknowledged atomic.Int32
	enough := make(chan struct{})
	receipts := make([]string, players)
	var answering sync.WaitGroup
	for i := range c.players {
		answering.Go(func() {
			if i >= before { // these answer while the server dies, or while it is away
				<-enough
			}
			receipts[i] = c.insist(1, i)
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
	again := serveProgram(t, "--dev", "--store", store, "--listen", c.address)
	answering.Wait()
	for i := range c.players {
		if r := c.insist(1, i); r != receipts[i] {
			t.Errorf("player %d: the same key gets another receipt", i)
		}
	}
	again.stop(t)
	c.checkReplay(store, players)
}

// crowd is many players in one room, each with the Go client.
type crowd struct {
	t             *testing.T
	ctx           context.Context
	base, address string
	room          string
	players       []*client.Client
	running       sync.WaitGroup
}

// openQuestion creates a quiz, lets everybody in and opens its question. It returns the PIN.
func (c *crowd) openQuestion(players int) string {
	t := c.t
	t.Helper()
	host := token(t, c.base, `{"name":"Teacher","role":"host"}`)
	quiz := `{"quiz":{"title":"T","questions":[{"type":"true_false","text":"Yes?","correct":true,"timeLimitMs":120000}]}}`
	var made wire.QuizCreateReply
	status, text := call(t, "POST", c.base+"/api/v1/sessions", host, strings.NewReader(quiz))
	if err := json.Unmarshal(text, &made); err != nil || made.Room == "" {
		t.Fatalf("%d %s", status, text)
	}
	c.room = made.Room
	opened := make(chan wire.QuestionView, 4)
	teacher := c.connect(host, func(e client.Event) {
		var q wire.QuestionView
		if e.Name == wire.EvQuizQuestion && json.Unmarshal(e.Data, &q) == nil {
			opened <- q
		}
	})
	for i := range players {
		guest := token(t, c.base, fmt.Sprintf(`{"pin":%q,"name":"p%d"}`, made.PIN, i))
		c.players = append(c.players, c.connect(guest, nil))
	}
	if err := teacher.Request(c.ctx, wire.OpQuizStart, c.room, nil, nil); err != nil {
		t.Fatal(err)
	}
	if q := <-opened; !waitUntil(c.ctx, time.UnixMilli(q.OpensAt)) {
		t.Fatal("the question does not open")
	}
	return made.PIN
}

// connect runs a client that has joined the room.
func (c *crowd) connect(accessToken string, event func(client.Event)) *client.Client {
	c.t.Helper()
	return c.connectWith(client.Config{
		Token: func(context.Context) (string, error) { return accessToken, nil }, Event: event,
	})
}

// connectWith is connect with more of the client's settings.
func (c *crowd) connectWith(cfg client.Config) *client.Client {
	c.t.Helper()
	cfg.URL, cfg.Now, cfg.Rand = "ws://"+c.address+"/ws", time.Now, rand.New(rand.NewPCG(rand.Uint64(), 1))
	cfg.Backoff, cfg.BackoffMax = 20*time.Millisecond, 500*time.Millisecond
	one, err := client.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.running.Go(func() { _ = one.Run(c.ctx) })
	if _, err := one.Join(c.ctx, c.room, wire.JoinData{}); err != nil {
		c.t.Fatal(err)
	}
	return one
}

// insist answers until the server says that the answer is durable: a question that a restart opens anew is early at
// first.
func (c *crowd) insist(question, player int) string {
	data := wire.AnswerData{
		Question: question, Answer: json.RawMessage("true"), Key: fmt.Sprintf("q%dk%d", question, player),
	}
	one := c.players[player]
	for {
		reply, err := one.Answer(c.ctx, c.room, data)
		if err == nil {
			return reply.Receipt
		}
		var state wire.QuizSnapshot
		if c.ctx.Err() != nil || one.Retry(c.ctx, wire.OpQuizState, c.room, nil, &state) != nil ||
			state.Phase != wire.PhaseOpen || !waitUntil(c.ctx, time.UnixMilli(state.Question.OpensAt)) {
			c.t.Errorf("player %d: %v in phase %s", player, err, state.Phase)
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
