package capacity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"lectern/bench/client"
)

// Phase is one part of a quiz: how long it really took, how much of that was waiting for the disk alone, and the rest
// over the participants. The clients' own work is in it.
type Phase struct {
	Name   string        `json:"name"`
	Took   time.Duration `json:"took_ns"`
	Waited time.Duration `json:"waited_ns"`
	Each   time.Duration `json:"each_ns"`
}

// Result is one quiz.
type Result struct {
	Participants int     `json:"participants"`
	Questions    int     `json:"questions"`
	Phases       []Phase `json:"phases"`
}

const (
	questions    = 2
	choices      = 4
	answerWindow = 3 * time.Second
	answerStep   = 10 * time.Millisecond
	joinBatch    = 500 // clients that connect at one moment
	quizJSON     = `{"quiz":{"title":"Capacity","questions":[` + questionJSON + `,` + questionJSON + `]}}`
	questionJSON = `{"type":"single_choice","text":"Which one?","timeLimitMs":20000,` +
		`"options":[{"text":"A","correct":true},{"text":"B"},{"text":"C"},{"text":"D"}]}`
)

// game is a running quiz.
type game struct {
	*world
	host    *player
	players []*player
	room    string
	events  []string // that the host has got
	replies int
	result  *Result
	fault   error // what some client got that it must not
}

// Run plays a quiz of n participants and returns what each phase took. dir gets the database. An error says what
// somebody did not get, or got twice, or got wrong.
func Run(ctx context.Context, dir string, n int) (*Result, error) {
	w, err := newWorld(ctx, dir, n)
	if err != nil {
		return nil, err
	}
	defer w.close()
	defer w.net.Stop()
	g := &game{world: w, result: &Result{Participants: n, Questions: questions}}
	if err := g.open(); err != nil {
		return nil, err
	}
	if err := g.phase("join", func() error { return g.join(n) }); err != nil {
		return nil, err
	}
	op := "quiz:start"
	for number := 1; number <= questions; number++ {
		if err := g.question(number, op); err != nil {
			return nil, fmt.Errorf("question %d: %w", number, err)
		}
		op = "quiz:next"
	}
	return g.result, nil
}

func (g *game) phase(name string, do func() error) error {
	start, waited := time.Now(), g.waited
	err := do()
	p := Phase{Name: name, Took: time.Since(start), Waited: g.waited - waited}
	p.Each = (p.Took - p.Waited) / time.Duration(max(len(g.players), 1))
	g.result.Phases = append(g.result.Phases, p)
	return err
}

// open connects the host and makes the quiz.
func (g *game) open() error {
	g.host = &player{Client: g.net.Dial()}
	g.host.upgrade("Teacher")
	g.settle()
	g.host.send(1, "quiz:create", "", quizJSON)
	if err := g.await("quiz:create", 0, 0, g.heard); err != nil {
		return err
	}
	g.host.send(2, "room:join", g.room, "")
	g.replies = 0
	return g.await("the host's join", 0, 0, g.heard)
}

// heard reads what the host has got and tells whether a reply is among it.
func (g *game) heard() bool {
	err := g.host.read(func(f *client.Fields) error {
		if f.Ev != nil {
			g.events = append(g.events, string(f.Ev))
			return nil
		}
		if !f.OK {
			return fmt.Errorf("capacity: the host is refused: %s", f.Error)
		}
		g.replies++
		if room := client.StringMember(f.Data, "room"); g.room == "" && len(room) > 0 {
			g.room = string(room)
		}
		return nil
	})
	if err != nil {
		g.fault = err
	}
	return err != nil || g.replies > 0
}

func (g *game) call(op string) error {
	g.replies = 0
	g.host.send(3, op, g.room, "")
	return g.await(op, 0, 0, g.heard)
}

// join connects everybody, some at a time, and lets them join the room.
func (g *game) join(n int) error {
	for i := range n {
		p := &player{Client: g.net.Dial()}
		p.upgrade("Player" + strconv.Itoa(i))
		p.send(1, "room:join", g.room, "")
		g.players = append(g.players, p)
		if len(g.players)%joinBatch == 0 {
			g.net.Advance(time.Millisecond)
			g.settle()
		}
	}
	return g.await("all joins", time.Millisecond, 100, func() bool { return g.readAll() != nil || g.all(wasJoined) })
}

func wasJoined(p *player) bool { return p.joined }

func (g *game) all(ok func(*player) bool) bool {
	return !slices.ContainsFunc(g.players, func(p *player) bool { return !ok(p) })
}

// await is until, ended early by what a client must not get.
func (g *game) await(what string, step time.Duration, steps int, done func() bool) error {
	err := g.until(what, step, steps, done)
	if g.fault != nil {
		return g.fault
	}
	return err
}

// readAll lets every player take what has arrived.
func (g *game) readAll() error {
	for _, p := range g.players {
		if err := p.read(p.message); err != nil {
			g.fault = err
			return err
		}
	}
	return nil
}

func (p *player) message(f *client.Fields) error {
	switch {
	case f.Re != 0 && !f.OK:
		return fmt.Errorf("capacity: refused: %s", f.Error)
	case f.Re == 1:
		p.joined = true
	case f.Re != 0:
		if string(client.Member(f.Data, "durable")) != "true" {
			return errors.New("capacity: an answer is acknowledged that is not durable")
		}
		p.acks++
	case string(f.Ev) == "quiz:question":
		p.questions++
	case string(f.Ev) == "quiz:rank":
		p.ranks++
		p.score = int64(client.UintMember(f.Data, "score"))
		p.rank = int64(client.UintMember(f.Data, "rank"))
	}
	return nil
}

// question plays one question to its ranks, and holds everybody's counts and ranks to what they must be.
func (g *game) question(number int, op string) error {
	for _, p := range g.players {
		p.questions, p.acks, p.ranks = 0, 0, 0
	}
	suffix := " " + strconv.Itoa(number)
	err := g.phase("question"+suffix, func() error {
		if err := g.call(op); err != nil {
			return err
		}
		return g.await("the question", answerStep, 1000, func() bool {
			return g.readAll() != nil || g.all(func(p *player) bool { return p.questions > 0 })
		})
	})
	if err != nil {
		return err
	}
	if err := g.phase("answers"+suffix, func() error { return g.answer(number) }); err != nil {
		return err
	}
	// The last answer ends the question: rating and a rank for everybody are a phase of their own.
	err = g.phase("results"+suffix, func() error {
		g.answerOf(len(g.players)-1, number)
		return g.await("the ranks", 100*time.Millisecond, 400, func() bool {
			return g.readAll() != nil || g.all(func(p *player) bool { return p.ranks > 0 })
		})
	})
	if err != nil {
		return err
	}
	if err := g.check(); err != nil {
		return err
	}
	return g.call("quiz:next") // to the leaderboard
}

// answer lets everybody but the last answer once, spread evenly over the window.
func (g *game) answer(number int) error {
	steps, sent, due := int(answerWindow/answerStep), 0, len(g.players)-1
	for step := 1; step <= steps; step++ {
		for ; sent < due*step/steps; sent++ {
			g.answerOf(sent, number)
		}
		g.net.Advance(answerStep)
		g.settle()
	}
	return g.await("the acknowledgements", 0, 0, func() bool {
		return g.readAll() != nil || !slices.ContainsFunc(g.players[:due], func(p *player) bool { return p.acks == 0 })
	})
}

func (g *game) answerOf(index, number int) {
	data := fmt.Sprintf(`{"question":%d,"answer":"%d","key":"k%d"}`, number, (index*7+number)%choices, number)
	g.players[index].send(1+number, "quiz:answer", g.room, data)
}

// check finds whoever got something twice, and compares all ranks with all scores: equal scores share a rank.
func (g *game) check() error {
	if err := g.readAll(); err != nil {
		return err
	}
	scores := make([]int64, 0, len(g.players))
	for i, p := range g.players {
		if p.questions != 1 || p.acks != 1 || p.ranks != 1 {
			return fmt.Errorf("capacity: player %d got %d questions, %d acknowledgements and %d ranks", i, p.questions, p.acks,
				p.ranks)
		}
		scores = append(scores, p.score)
	}
	slices.Sort(scores)
	slices.Reverse(scores)
	rankOf := map[int64]int64{}
	for i, score := range scores {
		if _, there := rankOf[score]; !there {
			rankOf[score] = int64(i + 1)
		}
	}
	for i, p := range g.players {
		if p.rank != rankOf[p.score] {
			return fmt.Errorf("capacity: player %d with %d points has rank %d, not %d", i, p.score, p.rank, rankOf[p.score])
		}
	}
	if len(rankOf) < 2 {
		return errors.New("capacity: everybody has the same score: nothing was rated")
	}
	return nil
}
