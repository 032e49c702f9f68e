package capacity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"lectern/cmd/internal/gateway"
	"lectern/netpoll"
	"lectern/netpoll/simnet"
	"lectern/persist"
	"lectern/persist/sqlite"
	"lectern/protocol/native"
	"lectern/protocol/session"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
	"lectern/rooms/quiz"
	"lectern/rooms/quota"
)

// world is a server without sockets.
type world struct {
	store   *sqlite.Store
	journal *journal
	shards  []*rooms.Shard
	net     *simnet.Net
	waited  time.Duration // for the journal and others, with nothing else to do
	stop    []func()      // in reverse order
}

// journal counts what is on its way to the disk.
type journal struct {
	*persist.Journal
	pending atomic.Int64
	done    chan struct{} // a token after each verdict
}

// Append implements rooms.Journal.
func (j *journal) Append(recs []rooms.Record, done func(error)) error {
	j.pending.Add(1)
	err := j.Journal.Append(recs, func(err error) {
		done(err)
		j.pending.Add(-1)
		select {
		case j.done <- struct{}{}:
		default:
		}
	})
	if err != nil {
		j.pending.Add(-1)
	}
	return err
}

// noQuizzes stores none.
type noQuizzes struct{}

// Quiz implements gateway.Quizzes.
func (noQuizzes) Quiz(string) (*wire.Quiz, string, *wire.Error) {
	return nil, "", wire.NewError(wire.CodeUnknownQuiz, "there is no such quiz")
}

const (
	loops  = 2
	shards = 2
)

// newWorld starts everything; dir gets the database.
func newWorld(ctx context.Context, dir string, conns int) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	native.Warm()
	w.store, err = sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "capacity.db"), Synchronous: "full"})
	if err != nil {
		return w, err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.stop = append(w.stop, func() { _ = w.store.Close() })
	w.journal = &journal{Journal: persist.New(w.store, persist.Config{Logger: log}), done: make(chan struct{}, 1)}
	journalEnded := make(chan struct{})
	go func() {
		defer close(journalEnded)
		_ = w.journal.Run(context.WithoutCancel(ctx))
	}()
	w.stop = append(w.stop, func() {
		_ = w.journal.Close(context.WithoutCancel(ctx))
		<-journalEnded
	})
	loader := rooms.NewLoader(w.journal)
	w.goUntilClosed(ctx, loader.Run)
	issuer, err := auth.NewIssuer(ctx, time.Now(), w.store, w.store,
		auth.Config{AccessTTL: time.Hour, RefreshTTL: time.Hour}, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		return w, err
	}
	pins := rooms.NewDirectory()
	unlimited := quota.Limit{Count: 1 << 20, Per: time.Second, Burst: 1 << 20}
	g := gateway.New(gateway.Config{
		Dev: true, AuthTimeout: time.Minute, PingEvery: time.Hour,
		MessageTimeout: time.Hour, MessagesPer: unlimited, ChatPer: unlimited,
		RoomsPerConn: 4, DeflateBytesMin: 1 << 20, Session: session.Config{WS: ws.Config{MessageBytesMax: 64 << 10}},
		HandOffQueueMax: 1,
	}, gateway.Options{
		Tokens: issuer, Quizzes: noQuizzes{}, PINs: pins, Rand: newRand,
		Now: func() time.Time { return w.net.Now() }, Logger: log,
	})
	cfg := &rooms.Config{Quiz: quiz.Config{ParticipantsMax: conns, LeadMs: -1}, MembersMax: conns + 1, OpenPublish: true}
	for i := range shards {
		w.shards = append(w.shards, rooms.NewShard(i, rooms.ShardConfig{}, cfg, rooms.Ports{
			Journal: w.journal, Loader: loader, Outlet: g, PINs: pins, Rand: newRand(), Logger: log,
		}))
	}
	g.SetPosts(rooms.NewRouter(w.shards, func() int64 { return w.net.Now().UnixMilli() }))
	w.goUntilClosed(ctx, func(ctx context.Context) { g.Work(ctx.Done()) })
	// The token's clock is the real one: the network starts there.
	w.net, err = simnet.New(netpoll.Config{
		Loops: loops, ConnsMax: 2*conns + 64, HandshakeTimeout: time.Minute, OutboxHardBytes: 4 << 20,
		InboxTasksMax: 1 << 20,
	}, g, simnet.Options{Seed: 1, Start: time.Now()})
	return w, err
}

func (w *world) goUntilClosed(ctx context.Context, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	w.stop = append(w.stop, func() {
		cancel()
		<-ended
	})
}

func (w *world) close() {
	for i := len(w.stop) - 1; i >= 0; i-- {
		w.stop[i]()
	}
}

// seeds makes every random source another one: users' ids come from them.
var seeds atomic.Uint64

func newRand() effect.Random { return rand.New(rand.NewPCG(seeds.Add(1), 2)) }

// settle runs until nothing is left to do at this moment of virtual time.
func (w *world) settle() {
	for {
		steps := w.net.Run()
		pending := w.journal.pending.Load() > 0 // before the turn: what ends later wakes us below
		now := w.net.Now().UnixMilli()
		for _, s := range w.shards {
			s.Turn(now)
		}
		steps += w.net.Run()
		switch {
		case steps > 0:
		case pending || w.journal.pending.Load() > 0:
			w.rest()
		default:
			return
		}
	}
}

// rest waits for the journal or another goroutine.
func (w *world) rest() {
	start := time.Now()
	defer func() { w.waited += time.Since(start) }()
	select {
	case <-w.journal.done:
	case <-w.net.Bell():
	case <-time.After(time.Millisecond):
	}
}

var errStuck = errors.New("capacity: the run does not get on")

// until settles, and lets virtual time pass in steps, until done; what takes longer than patience is an error.
func (w *world) until(what string, step time.Duration, steps int, done func() bool) error {
	deadline := time.Now().Add(2 * time.Minute)
	for w.settle(); !done(); w.settle() {
		switch {
		case time.Now().After(deadline) || step > 0 && steps == 0:
			return fmt.Errorf("%w: %s", errStuck, what)
		case step > 0:
			steps--
			w.net.Advance(step)
		default:
			w.rest()
		}
	}
	return nil
}
