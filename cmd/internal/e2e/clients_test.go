package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// orders are what a player's process is told, in PLAYER_INPUT.
type orders struct {
	Base    string         `json:"base"`
	Room    string         `json:"room"`
	Token   string         `json:"token"`
	Name    string         `json:"name"`
	Answers map[string]any `json:"answers"`
}

// played is what a player says at the end, as one line of JSON.
type played struct {
	standing
	Questions int  `json:"questions"`
	Durable   int  `json:"durable"`  // answers whose reply said so
	Receipts  int  `json:"receipts"` // answers whose sending the library confirmed
	Ended     bool `json:"ended"`
}

// clientKind is a way to take part in a game. To add one, add a row to clientKinds.
type clientKind struct {
	name    string
	command func(s setup) []string
}

var clientKinds = []clientKind{
	{"stompjs", func(setup) []string { return []string{"node", filepath.Join("clients", "stompjs.mjs")} }},
	{"spring", func(s setup) []string { return []string{"java", "-cp", s.spring, "lectern.Player"} }},
	socketIOPlayer("default"), socketIOPlayer("websocket"), socketIOPlayer("polling"), socketIOPlayer("msgpack"),
	pythonPlayer("default"), pythonPlayer("websocket"), pythonPlayer("msgpack"),
	{"native", nil}, // in this process
}

func socketIOPlayer(how string) clientKind {
	return clientKind{"socketio-" + how, func(setup) []string {
		return []string{"node", filepath.Join("clients", "socketio.mjs"), how}
	}}
}

func pythonPlayer(how string) clientKind {
	return clientKind{"python-" + how, func(s setup) []string {
		return []string{s.python, filepath.Join("clients", "socketio_player.py"), how}
	}}
}

// answerSheets are answers to the quiz of mixedQuiz: all right, some right, and some wrong ones in other forms.
var answerSheets = map[string]map[string]any{
	"best":   {"1": "1", "2": []string{"0", "2"}, "3": true, "4": 326.5},
	"middle": {"1": 1, "2": []string{"0"}, "3": "false", "4": "325"},
	"worst":  {"1": "0", "2": []string{"1"}, "3": false, "4": 1},
}

// mixedQuiz pays the same for the same answer, however long that took.
func mixedQuiz() map[string]any {
	option := func(text string, right bool) map[string]any { return map[string]any{"text": text, "correct": right} }
	question := func(kind string, more map[string]any) map[string]any {
		more["type"], more["text"], more["timeLimitMs"], more["points"] = kind, "A question", 60_000, 900
		return more
	}
	return map[string]any{
		"title": "Mixed", "settings": map[string]any{"scoring": "flat"},
		"questions": []any{
			question("single_choice", map[string]any{"options": []any{option("a", false), option("b", true)}}),
			question("multiple_choice", map[string]any{
				"options": []any{option("a", true), option("b", false), option("c", true)},
			}),
			question("true_false", map[string]any{"correct": true}),
			question("numeric", map[string]any{"numbers": []any{map[string]any{"min": 324, "max": 330}}}),
		},
	}
}

// Players with every kind of client, three of each with different answers, in one game: the same answers get the same
// score and rank, whatever spoke them, on the player's side and in the log; every answer was confirmed as durable.
func TestMixedQuiz(t *testing.T) {
	s := needServer(t)
	p := serve(t, s, t.TempDir())
	playMixed(t, s, p, p.base, clientKinds)
}

// playMixed is the game; players reach the server at base.
func playMixed(t *testing.T, s setup, p *process, base string, kinds []clientKind) {
	t.Helper()
	var teacher struct{ AccessToken string }
	p.call("POST", "/auth/token", "", map[string]any{"name": "Teacher", "role": "host"}, &teacher)
	var game struct{ Room, PIN, HostToken string }
	p.call("POST", "/api/v1/sessions", teacher.AccessToken, map[string]any{"quiz": mixedQuiz()}, &game)

	results := make(chan played, 100)
	var players sync.WaitGroup
	expected := 0
	for _, kind := range kinds {
		if kind.name == "spring" && s.spring == "" {
			t.Log("no Spring players: LECTERN_SPRING names no class path (make e2e builds it)")
			continue
		}
		if strings.HasPrefix(kind.name, "python") && s.python == "" {
			t.Log("no python-socketio: LECTERN_PYTHON names no Python that has it (make e2e installs it)")
			continue
		}
		for sheet, answers := range answerSheets {
			o := orders{Base: base, Room: game.Room, Name: kind.name + " " + sheet, Answers: answers}
			var token struct{ AccessToken string }
			p.call("POST", "/auth/token", "", map[string]any{"pin": game.PIN, "name": o.Name}, &token)
			o.Token = token.AccessToken
			expected++
			players.Go(func() {
				if kind.command == nil {
					results <- playNative(t, o)
				} else {
					results <- playProcess(t, s, kind.command(s), o)
				}
			})
		}
	}
	host(t, p, game.Room, game.HostToken, expected, func(client.Event) {})
	players.Wait()
	close(results)
	compare(t, slices.Collect(func(yield func(played) bool) {
		for r := range results {
			if !yield(r) {
				return
			}
		}
	}), p.replayed(game.Room), expected)
}

// compare holds every player against the log, and against those with the same answers.
func compare(t *testing.T, results []played, replayed map[string]standing, expected int) {
	t.Helper()
	if len(results) != expected || len(replayed) != expected {
		t.Errorf("%d of %d players came to the end; the log has %d", len(results), expected, len(replayed))
	}
	slices.SortFunc(results, func(a, b played) int { return cmp.Compare(a.Name, b.Name) })
	scores := map[string]standing{}
	for _, r := range results {
		t.Logf("%-20s %4d points, rank %d, %d answers durable, %d receipts", r.Name, r.Score, r.Rank, r.Durable, r.Receipts)
		if !r.Ended || r.Questions != 4 || r.Durable != 4 || r.Receipts != 4 {
			t.Errorf("%+v", r)
		}
		if row := replayed[r.Name]; row != r.standing {
			t.Errorf("%+v at the player, %+v in the log", r.standing, row)
		}
		_, sheet, _ := strings.Cut(r.Name, " ")
		same, ok := scores[sheet]
		if !ok {
			scores[sheet] = r.standing
		} else if same.Score != r.Score || same.Rank != r.Rank {
			t.Errorf("%q and %q gave the same answers and got %d and %d points", same.Name, r.Name, same.Score, r.Score)
		}
	}
	if scores["best"].Score != 3600 || scores["middle"].Score != 2250 || scores["worst"].Score != 0 {
		t.Errorf("the scores are %+v", scores)
	}
}

// playProcess runs a player to its end.
func playProcess(t *testing.T, s setup, command []string, o orders) (r played) {
	raw, err := json.Marshal(o)
	if err != nil {
		t.Error(err)
		return r
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = clean("PLAYER_INPUT="+string(raw), "LECTERN_NODE_MODULES="+s.modules)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &testLog{t: t}
	if err := c.Run(); err != nil {
		t.Errorf("%s: %v", o.Name, err)
		return r
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Errorf("%s said %q: %v", o.Name, &out, err)
	}
	return r
}

// connect runs a native client until the test or done ends it; it has joined the room.
func connect(t *testing.T, p orders, event func(client.Event)) (c *client.Client, stop func()) {
	c, err := client.New(client.Config{
		URL:   strings.Replace(p.Base, "http", "ws", 1) + "/ws",
		Token: func(context.Context) (string, error) { return p.Token, nil },
		Event: event,
	})
	if err != nil {
		t.Error(err)
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	if _, err := c.Join(ctx, p.Room, wire.JoinData{}); err != nil {
		t.Errorf("%s: %v", p.Name, err)
	}
	return c, func() {
		cancel()
		running.Wait()
	}
}

// playNative plays with the Go client.
func playNative(t *testing.T, o orders) played {
	r := played{standing: standing{Name: o.Name}}
	events := make(chan client.Event, 100)
	c, stop := connect(t, o, func(e client.Event) { events <- e })
	defer stop()
	patience := time.After(scriptTimeout)
	for !r.Ended {
		var e client.Event
		select {
		case e = <-events:
		case <-patience:
			t.Errorf("%s: the game does not end", o.Name)
			return r
		}
		var data struct {
			Number  int   `json:"number"`
			OpensAt int64 `json:"opensAt"`
			Score   int   `json:"score"`
			Rank    int   `json:"rank"`
		}
		_ = json.Unmarshal(e.Data, &data)
		switch e.Name {
		case wire.EvQuizQuestion:
			r.Questions++
			opens := time.NewTimer(time.Duration(data.OpensAt-e.TS+50) * time.Millisecond)
			<-opens.C
			answer, _ := json.Marshal(o.Answers[fmt.Sprint(data.Number)])
			reply, err := c.Answer(t.Context(), o.Room, wire.AnswerData{
				Question: data.Number, Answer: answer, Key: fmt.Sprint("k", data.Number),
			})
			if err != nil {
				t.Errorf("%s: %v", o.Name, err)
			}
			if reply.Durable {
				r.Durable++
				r.Receipts++ // the reply is the receipt
			}
		case wire.EvQuizRank:
			r.Score, r.Rank = data.Score, data.Rank
		case wire.EvQuizEnd:
			r.Ended = true
		}
	}
	return r
}

// host waits until all players are in the lobby, and plays the game to its end. seen gets each event first.
func host(t *testing.T, p *process, room, token string, players int, seen func(client.Event)) {
	t.Helper()
	events := make(chan client.Event, 1000)
	o := orders{Base: p.base, Room: room, Token: token, Name: "host"}
	c, stop := connect(t, o, func(e client.Event) { events <- e })
	defer stop()
	ask := func(op wire.Op) {
		if err := c.Request(t.Context(), op, room, nil, nil); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	var state wire.QuizSnapshot
	if err := c.Request(t.Context(), wire.OpQuizState, room, nil, &state); err != nil {
		t.Fatal(err)
	}
	started := false
	start := func(participants int) {
		if !started && participants == players {
			started = true
			ask(wire.OpQuizStart)
		}
	}
	start(state.Participants)
	patience := time.After(scriptTimeout)
	for {
		select {
		case e := <-events:
			var data struct{ Participants int }
			seen(e)
			switch e.Name {
			case wire.EvQuizLobby:
				_ = json.Unmarshal(e.Data, &data)
				start(data.Participants)
			case wire.EvQuizResults, wire.EvQuizLeaderboard:
				ask(wire.OpQuizNext)
			case wire.EvQuizEnd:
				return
			}
		case <-patience:
			t.Fatal("the game does not end for the host")
		}
	}
}

// The server is killed while a question is open, and started again: stompjs connects again by itself, gets what it has
// missed, and all of its answers count.
func TestStompjsComesBack(t *testing.T) {
	s := needServer(t)
	p := serve(t, s, t.TempDir())
	var teacher struct{ AccessToken string }
	p.call("POST", "/auth/token", "", map[string]any{"name": "Teacher", "role": "host"}, &teacher)
	var game struct{ Room, PIN, HostToken string }
	p.call("POST", "/api/v1/sessions", teacher.AccessToken, map[string]any{"quiz": mixedQuiz()}, &game)
	var token struct{ AccessToken string }
	p.call("POST", "/auth/token", "", map[string]any{"pin": game.PIN, "name": "stompjs best"}, &token)
	result := make(chan played, 1)
	go func() {
		result <- playProcess(t, s, []string{"node", filepath.Join("clients", "stompjs-returning.mjs")}, orders{
			Base: p.base, Room: game.Room, Token: token.AccessToken, Name: "stompjs best", Answers: answerSheets["best"],
		})
	}()
	questions := 0
	host(t, p, game.Room, game.HostToken, 1, func(e client.Event) {
		if e.Name == wire.EvQuizQuestion {
			if questions++; questions == 2 {
				p.kill()
				p.start()
			}
		}
	})
	r := <-result
	if row := p.replayed(game.Room)[r.Name]; row != r.standing || r.Score != 3600 || r.Durable != 4 || r.Receipts != 4 {
		t.Errorf("%+v at the player, %+v in the log", r, row)
	}
}

// All that stompjs does, in each version of STOMP that it speaks.
func TestStompjs(t *testing.T) {
	s := needServer(t)
	p := serve(t, s, t.TempDir())
	for _, version := range []string{"1.2", "1.1", "1.0"} {
		t.Run(version, func(t *testing.T) {
			var teacher struct{ AccessToken string }
			p.call("POST", "/auth/token", "", map[string]any{"name": "Teacher", "role": "host"}, &teacher)
			var game struct{ Room, PIN string }
			p.call("POST", "/api/v1/sessions", teacher.AccessToken, map[string]any{"quiz": mixedQuiz()}, &game)
			var token struct{ AccessToken string }
			p.call("POST", "/auth/token", "", map[string]any{"pin": game.PIN, "name": "Ada"}, &token)
			input, err := json.Marshal(map[string]any{
				"base": p.base, "room": game.Room, "token": token.AccessToken, "version": version,
			})
			if err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), "node", filepath.Join("clients", "stompjs-features.mjs"))
			c.Env = clean("PLAYER_INPUT="+string(input), "LECTERN_NODE_MODULES="+s.modules)
			out, err := c.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
