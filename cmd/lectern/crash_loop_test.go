package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/persist/pgtest"
	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// crashes is how often each server is killed: twice, or what LECTERN_CRASHES says (make crash).
func crashes(t *testing.T) int {
	text := os.Getenv("LECTERN_CRASHES")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LECTERN_CRASHES=%q is no number of crashes", text)
	}
	return n
}

// A server is killed again and again while a class answers and chats. After each restart the question that was open
// goes on, the clients come back with what they had, and in the end every answer and message that was acknowledged is
// recorded once, was seen once by everybody, and counts in scores that a replay gives as well.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("takes minutes with the race detector, which watches the same code in the tests of its packages")
	}
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		newLesson(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db")).run(crashes(t), nil)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		p := pgtest.New(t, "fsync=off")
		newLesson(t, p.Database(t)).run(crashes(t), nil)
	})
	t.Run("PostgreSQL that goes away", func(t *testing.T) {
		t.Parallel()
		p := pgtest.New(t, "fsync=off")
		newLesson(t, p.Database(t)).run(crashes(t), p)
	})
}

const (
	lessonPlayers = 12
	lessonWriters = 3 // of them write to the chat
)

// lesson is a class with a server that is killed.
type lesson struct {
	*crowd
	store, config string
	server        *served
	host          *client.Client
	questions     int

	mu      sync.Mutex // guards what the clients' callbacks and the writers note
	seen    []map[string]int
	lost    []string // what a client missed
	said    []string // acknowledged messages
	kills   []time.Time
	spooled int // kills while records were spooled
}

func newLesson(t *testing.T, store string) *lesson {
	l := &lesson{store: store, config: filepath.Join(t.TempDir(), "lectern.yaml")}
	yaml := fmt.Sprintf("spool: {file: %s}\npostgres: {timeout: 1s}\nlog: {level: warn}\n",
		filepath.Join(t.TempDir(), "spool.db"))
	if err := os.WriteFile(l.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	l.server = serveProgram(t, "--dev", "--store", store, "--config", l.config)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	l.crowd = &crowd{t: t, ctx: ctx, base: l.server.base, address: strings.TrimPrefix(l.server.base, "http://")}
	t.Cleanup(func() {
		cancel()
		l.running.Wait()
	})
	return l
}

// run plays one question per kill. A database that goes away does so before the server is killed.
func (l *lesson) run(kills int, database *pgtest.Instance) {
	l.questions = kills
	l.begin()
	stopChat := l.chat()
	for n := 1; n <= kills && !l.t.Failed(); n++ {
		receipts := make([]string, lessonPlayers)
		var answering sync.WaitGroup
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			l.killAndRestart(database)
		}()
		l.advance(n)
		for i := range l.players {
			answering.Go(func() {
				if waitUntil(l.ctx, time.Now().Add(rand.N(500*time.Millisecond))) {
					receipts[i] = l.insist(n, i)
				}
			})
		}
		answering.Wait()
		<-killed
		for i := range l.players {
			if again := l.insist(n, i); again != receipts[i] && !l.t.Failed() {
				l.t.Errorf("question %d, player %d: the same key gets another receipt", n, i)
			}
		}
	}
	stopChat()
	l.check()
}

// begin makes the room with its quiz and lets everybody in.
func (l *lesson) begin() {
	t := l.t
	host := token(t, l.base, `{"name":"Teacher","role":"host"}`)
	var q []string
	for range l.questions {
		q = append(q, `{"type":"true_false","text":"Yes?","correct":true,"timeLimitMs":300000}`)
	}
	var made wire.QuizCreateReply
	status, text := call(t, "POST", l.base+"/api/v1/sessions", host,
		strings.NewReader(`{"quiz":{"title":"T","questions":[`+strings.Join(q, ",")+`]}}`))
	if err := json.Unmarshal(text, &made); err != nil || made.Room == "" {
		t.Fatalf("%d %s", status, text)
	}
	l.room = made.Room
	l.host = l.connect(host, nil)
	l.seen = make([]map[string]int, lessonPlayers)
	for i := range lessonPlayers {
		l.seen[i] = make(map[string]int)
		guest := token(t, l.base, fmt.Sprintf(`{"pin":%q,"name":"p%d"}`, made.PIN, i))
		l.players = append(l.players, l.connectWith(client.Config{
			Token: func(context.Context) (string, error) { return guest, nil },
			Event: func(e client.Event) { l.note(i, e) },
			Rejoined: func(_ string, reply wire.JoinReply) {
				if !reply.Recovered {
					l.mu.Lock()
					l.lost = append(l.lost, fmt.Sprintf("player %d got a snapshot instead of what it missed", i))
					l.mu.Unlock()
				}
			},
		}))
	}
}

// note counts the messages that a player sees.
func (l *lesson) note(player int, e client.Event) {
	var m wire.ChatMessage
	if e.Name == wire.EvChatMessage && json.Unmarshal(e.Data, &m) == nil {
		l.mu.Lock()
		l.seen[player][m.Text]++
		l.mu.Unlock()
	}
}

// chat lets some write until the function returned is called, each message with a key until it is acknowledged.
func (l *lesson) chat() (stop func()) {
	ctx, cancel := context.WithCancel(l.ctx)
	var writing sync.WaitGroup
	for i := range lessonWriters {
		writing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				text := fmt.Sprintf("message %d of p%d", n, i)
				for {
					err := l.players[i].Retry(l.ctx, wire.OpChatSend, l.room, wire.ChatSendData{Text: text, Key: text}, nil)
					if err == nil {
						break
					}
					if l.ctx.Err() != nil {
						return
					}
					waitUntil(l.ctx, time.Now().Add(50*time.Millisecond)) // unavailable
				}
				l.mu.Lock()
				l.said = append(l.said, text)
				l.mu.Unlock()
				waitUntil(ctx, time.Now().Add(rand.N(60*time.Millisecond)))
			}
		})
	}
	return func() {
		cancel()
		writing.Wait()
	}
}

// advance brings the game to its question n, whatever a crash did to the host's last words.
func (l *lesson) advance(n int) {
	for l.ctx.Err() == nil {
		var state wire.QuizSnapshot
		if l.host.Retry(l.ctx, wire.OpQuizState, l.room, nil, &state) != nil {
			continue
		}
		if state.Question != nil && state.Question.Number == n {
			return
		}
		op := wire.OpQuizNext
		if state.Phase == wire.PhaseLobby {
			op = wire.OpQuizStart
		}
		_ = l.host.Request(l.ctx, op, l.room, nil, nil)
	}
}

// killAndRestart kills the server in a moment and starts it again on its port. The database, when there is one to go
// away, does so first; it comes back before the server dies, or after.
func (l *lesson) killAndRestart(database *pgtest.Instance) {
	pause := func(most time.Duration) { waitUntil(l.ctx, time.Now().Add(rand.N(most))) }
	pause(300 * time.Millisecond)
	early := rand.N(3) == 0
	if database != nil {
		database.Stop()
		pause(300 * time.Millisecond)
		if early { // the server is killed while it drains the spool, or soon after
			if err := database.Start(); err != nil {
				l.t.Error(err)
			}
			pause(1200 * time.Millisecond)
		}
	}
	if err := l.server.cmd.Process.Kill(); err != nil {
		l.t.Error(err)
	}
	<-l.server.done
	l.kills = append(l.kills, time.Now())
	pause(500 * time.Millisecond)
	if database != nil && !early {
		if err := database.Start(); err != nil {
			l.t.Error(err)
		}
	}
	l.server = serveProgram(l.t, "--dev", "--store", l.store, "--config", l.config, "--listen", l.address)
	if strings.Contains(l.server.logs.String(), "the spool holds records from before the start") {
		l.spooled++
	}
}

// table is what replay --json prints, as far as it is looked at.
type table struct {
	Questions    []struct{ Results wire.QuizResults }
	Participants []struct {
		Name  string
		Score int
	}
}

// check compares what was acknowledged with what is recorded.
func (l *lesson) check() {
	t := l.t
	scores := map[string]int{}
	for i, p := range l.players {
		var state wire.QuizSnapshot
		err := p.Retry(l.ctx, wire.OpQuizState, l.room, nil, &state)
		if err != nil || state.Me == nil || state.Me.Rank == nil {
			t.Fatalf("player %d: %v", i, err)
		}
		scores[fmt.Sprint("p", i)] = state.Me.Rank.Score
	}
	l.everythingSeenOnce()
	l.server.stop(t)
	stdout, _ := wants(t, 0, "replay", l.room, "--json", "--store", l.store)
	var replayed table
	if err := json.Unmarshal([]byte(stdout), &replayed); err != nil {
		t.Fatal(err)
	}
	if len(replayed.Participants) != lessonPlayers || len(replayed.Questions) != l.questions {
		t.Fatalf("%d participants, %d questions", len(replayed.Participants), len(replayed.Questions))
	}
	for _, q := range replayed.Questions {
		if q.Results.Answered != lessonPlayers {
			t.Errorf("question %d: %d answers of %d", q.Results.Number, q.Results.Answered, lessonPlayers)
		}
	}
	for _, p := range replayed.Participants {
		if p.Score != scores[p.Name] || p.Score == 0 {
			t.Errorf("%s has %d points, and %d when the log is replayed", p.Name, scores[p.Name], p.Score)
		}
	}
	l.checkRecords()
}

// everythingSeenOnce waits for what is still on its way to the clients.
func (l *lesson) everythingSeenOnce() {
	missing := func() (faults []string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, text := range l.said {
			for i := range l.seen {
				if n := l.seen[i][text]; n != 1 {
					faults = append(faults, fmt.Sprintf("player %d has seen %q %d times", i, text, n))
				}
			}
		}
		return append(faults, l.lost...)
	}
	until := time.Now().Add(10 * time.Second)
	for len(missing()) > 0 && time.Now().Before(until) {
		waitUntil(l.ctx, time.Now())
	}
	if faults := missing(); len(faults) > 0 {
		l.t.Errorf("%d faults: %s", len(faults), strings.Join(faults[:min(len(faults), 5)], "; "))
	}
}

// record is a line of replay --records.
type record struct {
	Index uint64
	At    int64
	Kind  string
	Data  struct {
		Text string
		ByMs int64
	}
}

// aliveSlackMs is how much more than the outage a question may get back: the mark of being alive is a second old at
// most, on a machine that has time to write it.
const aliveSlackMs = 4000

// checkRecords looks for every message once, and for what open questions got back for the kills.
func (l *lesson) checkRecords() {
	t := l.t
	stdout, _ := wants(t, 0, "replay", l.room, "--records", "--store", l.store)
	recorded := map[string]int{}
	index, recovered := uint64(0), 0
	for line := range strings.Lines(stdout) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if index++; r.Index != index {
			t.Fatalf("record %d follows %d", r.Index, index-1)
		}
		switch r.Kind {
		case "chat.sent":
			recorded[r.Data.Text]++
		case "quiz.recovered":
			recovered++
			l.checkGivenBack(r)
		}
	}
	for _, text := range l.said {
		if recorded[text] != 1 {
			t.Errorf("%q is recorded %d times", text, recorded[text])
		}
	}
	t.Logf("%d kills: %d left a spool with records, %d came during a question; %d records, %d messages, %d answers",
		len(l.kills), l.spooled, recovered, index, len(l.said), l.questions*lessonPlayers)
}

// checkGivenBack compares what an open question got back with how long the server was away.
func (l *lesson) checkGivenBack(r record) {
	i, _ := slices.BinarySearchFunc(l.kills, r.At, func(k time.Time, at int64) int { return int(k.UnixMilli() - at) })
	if i == 0 {
		l.t.Errorf("record %d gives time back before the first kill", r.Index)
		return
	}
	away := r.At - l.kills[i-1].UnixMilli()
	if r.Data.ByMs < away-50 || r.Data.ByMs > away+aliveSlackMs {
		l.t.Errorf("record %d gives back %d ms for an outage of %d", r.Index, r.Data.ByMs, away)
	}
}
