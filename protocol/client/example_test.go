package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// Two guests in a room: one publishes, the other one gets the event.
func Example() {
	url, stop := serve() // a server with --dev, for this example
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	heard := make(chan string, 1)
	ada := connect(ctx, client.Config{URL: url, Guest: "Ada"})
	bob := connect(ctx, client.Config{URL: url, Guest: "Bob", Event: func(e client.Event) {
		if e.Name == "cursor" {
			heard <- string(e.Data) // callbacks must not wait for replies
		}
	}})
	for _, c := range []*client.Client{ada, bob} {
		if _, err := c.Join(ctx, "room-1", wire.JoinData{}); err != nil {
			log.Panic(err)
		}
	}
	data := wire.PublishData{Event: "cursor", Payload: json.RawMessage(`{"x":3}`), Key: "once"}
	if err := ada.Retry(ctx, wire.OpRoomPublish, "room-1", data, nil); err != nil { // the key makes a retry safe
		log.Panic(err)
	}
	fmt.Println(<-heard)
	fmt.Println("the clocks differ by less than a minute:", time.Since(ada.ServerNow()).Abs() < time.Minute)
	// Output:
	// {"x":3}
	// the clocks differ by less than a minute: true
}

// A whole quiz: the host opens it, a participant answers, and the answer is acknowledged once it is durable.
func ExampleClient_Answer() {
	url, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	host := connect(ctx, client.Config{URL: url, Guest: "Ms Maria"})
	var game wire.QuizCreateReply
	quiz := &wire.Quiz{Title: "Capitals", Questions: []wire.Question{{
		Type: wire.SingleChoice, Text: "France?", Options: []wire.Option{{Text: "Paris", Correct: true}, {Text: "Lyon"}},
	}}}
	if err := host.Request(ctx, wire.OpQuizCreate, "", wire.QuizCreateData{Quiz: quiz}, &game); err != nil {
		log.Panic(err)
	}

	questions, ranks := make(chan wire.QuestionView, 1), make(chan wire.QuizRank, 1)
	player := connect(ctx, client.Config{URL: url, Guest: "Ada", Event: func(e client.Event) {
		switch e.Name {
		case wire.EvQuizQuestion:
			var q wire.QuestionView
			_ = json.Unmarshal(e.Data, &q)
			questions <- q
		case wire.EvQuizRank:
			var r wire.QuizRank
			_ = json.Unmarshal(e.Data, &r)
			ranks <- r
		}
	}})
	if _, err := player.Join(ctx, game.PIN, wire.JoinData{}); err != nil { // the room by its PIN
		log.Panic(err)
	}
	if err := host.Request(ctx, wire.OpQuizStart, game.Room, nil, nil); err != nil {
		log.Panic(err)
	}
	q := <-questions
	fmt.Println(q.Text, q.Options[0].Text, "or", q.Options[1].Text)

	// It opens at OpensAt of the server's clock.
	<-time.After(time.UnixMilli(q.OpensAt).Sub(player.ServerNow()))
	answer := wire.AnswerData{Question: q.Number, Answer: json.RawMessage(`"0"`), Key: "ada-1"}
	receipt, err := player.Answer(ctx, game.PIN, answer)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("durable:", receipt.Durable)
	rank := <-ranks
	fmt.Println("number", rank.Rank, "of", rank.Of, "and", rank.Outcome)
	// Output:
	// France? Paris or Lyon
	// durable: true
	// number 1 of 1 and correct
}

// connect runs a client in the background until ctx ends.
func connect(ctx context.Context, cfg client.Config) *client.Client {
	c, err := client.New(cfg)
	if err != nil {
		log.Panic(err)
	}
	go func() { _ = c.Run(ctx) }()
	return c
}

// serve starts a server of the examples' own on a free port.
func serve() (url string, stop func()) {
	bin := os.Getenv("LECTERN_BIN")
	if bin == "" {
		dir, err := os.MkdirTemp("", "lectern-example")
		if err != nil {
			log.Panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }() // the process keeps running without its file
		bin = filepath.Join(dir, "lectern")
		build := exec.Command("go", "build", "-trimpath", "-o", bin, "lectern/cmd/lectern")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			log.Panicf("%v\n%s", err, out)
		}
	}
	server := exec.Command(bin, "serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "", "--store", "memory")
	server.Env = []string{"LECTERN_QUIZ_LEAD=300ms", "LECTERN_DRAIN=0s"}
	out, err := server.StdoutPipe()
	if err != nil {
		log.Panic(err)
	}
	if err := server.Start(); err != nil {
		log.Panic(err)
	}
	address := regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			return "ws://" + found[1] + "/ws", func() {
				_ = server.Process.Kill()
				_ = server.Wait()
			}
		}
	}
	log.Panic("the server does not say where it listens")
	return "", nil
}
