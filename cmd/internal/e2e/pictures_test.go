package e2e

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// pictureBytesMax keeps the README light.
const pictureBytesMax = 150 << 10

// The README's pictures, of a class that plays the demo quiz. LECTERN_SCREENSHOTS names the directory.
func TestPictures(t *testing.T) {
	s := need(t)
	dir := os.Getenv("LECTERN_SCREENSHOTS")
	if dir == "" {
		t.Skip("set LECTERN_SCREENSHOTS to a directory for the README's pictures")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // part of the repository
		t.Fatal(err)
	}
	p := serve(t, s, t.TempDir(), "LECTERN_URL=https://quiz.school.example")
	var result struct {
		Pictures []string `json:"pictures"`
		Faults   []string `json:"faults"`
	}
	class := newClass(t, p)
	script(t, s, "pictures.mjs", map[string]any{"base": p.base, "host": p.host, "pin": p.pin, "pictures": dir}, &result,
		map[string]func(){"class": class.join})
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	for _, path := range result.Pictures {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if info.Size() > pictureBytesMax {
			t.Errorf("%s has %d bytes, at most %d are wanted", path, info.Size(), pictureBytesMax)
		}
	}
}

var classNames = []string{
	"Noor", "Mateo", "Yuki", "Amara", "Lukas", "Priya", "Elif", "Tomás", "Zofia", "Kwame", "Ingrid", "Malik", "Chiara",
	"Sven", "Leila", "Jonas", "Aiko", "Omar", "Freya", "Dmitri", "Lucía",
}

// class is pupils who play without a browser, each a little slower than the one before.
type class struct {
	t    *testing.T
	p    *process
	ctx  context.Context
	done sync.WaitGroup
}

func newClass(t *testing.T, p *process) *class {
	ctx, cancel := context.WithCancel(context.Background())
	c := &class{t: t, p: p, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		c.done.Wait()
	})
	return c
}

func (c *class) join() {
	for i, name := range classNames {
		c.pupil(i, name)
	}
}

func (c *class) pupil(i int, name string) {
	var token struct{ AccessToken, Room string }
	c.p.call("POST", "/auth/token", "", map[string]any{"pin": c.p.pin, "name": name}, &token)
	questions := make(chan wire.QuestionView, 16)
	random := rand.New(rand.NewPCG(uint64(i), 7))
	pupil, err := client.New(client.Config{
		URL: "ws" + c.p.base[len("http"):] + "/ws", Now: time.Now, Rand: rand.New(rand.NewPCG(uint64(i), 8)),
		Token: func(context.Context) (string, error) { return token.AccessToken, nil },
		Event: func(e client.Event) {
			var q wire.QuestionView
			if e.Name == wire.EvQuizQuestion && json.Unmarshal(e.Data, &q) == nil {
				questions <- q
			}
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.done.Go(func() { _ = pupil.Run(c.ctx) })
	if _, err := pupil.Join(c.ctx, token.Room, wire.JoinData{}); err != nil {
		c.t.Fatalf("%s can't join: %v", name, err)
	}
	c.done.Go(func() {
		for {
			select {
			case <-c.ctx.Done():
				return
			case q := <-questions:
				thinking := time.Until(time.UnixMilli(q.OpensAt)) + time.Duration(300+i*90)*time.Millisecond
				timer := time.NewTimer(thinking)
				select {
				case <-c.ctx.Done():
				case <-timer.C:
					_, _ = pupil.Answer(c.ctx, token.Room, wire.AnswerData{
						Question: q.Number, Answer: guess(q, random), Key: name + strconv.Itoa(q.Number),
					})
				}
				timer.Stop()
			}
		}
	})
}

// guess is right more often than not, for the questions of the demo quiz.
func guess(q wire.QuestionView, random *rand.Rand) json.RawMessage {
	knows := random.IntN(10) < 6
	pick := func(right, wrong string) json.RawMessage {
		if knows {
			return json.RawMessage(right)
		}
		return json.RawMessage(wrong)
	}
	switch q.Type {
	case wire.SingleChoice:
		right := map[int]string{1: `"2"`, 6: `"0"`}[q.Number]
		return pick(right, `"`+strconv.Itoa(random.IntN(len(q.Options)))+`"`)
	case wire.MultipleChoice:
		return pick(`["0","2"]`, `["0","1"]`)
	case wire.TrueFalse:
		return pick(`true`, `false`)
	case wire.Numeric:
		return pick(`3.14`, `3.1`)
	default:
		return pick(`"H2O"`, `"HO2"`)
	}
}
