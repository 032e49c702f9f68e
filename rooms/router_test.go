package rooms

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// A server that stops while many rooms wait to be loaded must not load them all first.
func TestLoaderStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := NewLoader(newFakeJournal())
	var loads atomic.Int64
	for i := range 100 {
		l.Load(fmt.Sprint("r", i), &Config{}, func(*Room, error) {
			loads.Add(1)
			cancel()
		})
	}
	l.Run(ctx)
	if n := loads.Load(); n < 1 || n > loadWorkers {
		t.Fatalf("%d rooms were loaded", n)
	}
}

// lockedJournal is a fakeJournal for several shards; it commits at once.
type lockedJournal struct {
	mu sync.Mutex
	*fakeJournal
}

func (j *lockedJournal) Append(recs []Record, done func(error)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fakeJournal.Append(recs, done)
}

func (j *lockedJournal) Load(room string, visit func(Record) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fakeJournal.Load(room, visit)
}

// countingOutlet counts replies and says when there were enough. It is done later, from another goroutine.
type countingOutlet struct {
	replies atomic.Int64
	want    int64
	enough  chan struct{}
	tasks   chan func()
}

func (o *countingOutlet) Deliver(_ int, items []Delivery, done func()) {
	o.tasks <- func() {
		for i := range items {
			if items[i].Kind == effect.Reply && o.replies.Add(1) == o.want {
				close(o.enough)
			}
		}
		done()
	}
}

func TestRouterRunsAndStops(t *testing.T) {
	defer goleak.VerifyNone(t)
	const shards, producers, each = 3, 4, 200
	journal := &lockedJournal{fakeJournal: newFakeJournal()}
	journal.auto = true
	outlet := &countingOutlet{
		want: producers * (each + 1), enough: make(chan struct{}), tasks: make(chan func(), shards),
	}
	loader := NewLoader(journal)
	var clock atomic.Int64
	clock.Store(startMs)
	var list []*Shard
	for i := range shards {
		list = append(list, NewShard(i, ShardConfig{}, &Config{OpenPublish: true}, Ports{
			Journal: journal, Loader: loader, Outlet: outlet, PINs: NewDirectory(),
			Rand: rand.New(rand.NewPCG(1, uint64(i))), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}))
	}
	router := NewRouter(list, clock.Load)
	ctx, cancel := context.WithCancel(t.Context())
	loopsDone := make(chan struct{})
	var running, loops, posting sync.WaitGroup
	running.Go(func() { router.Run(ctx) })
	running.Go(func() { loader.Run(ctx) })
	loops.Go(func() {
		for {
			select {
			case task := <-outlet.tasks:
				task()
			case <-loopsDone:
				return
			}
		}
	})
	for p := range producers {
		var cmds []Command // made here: cmd counts requests without a lock
		room := fmt.Sprint("room", p)
		cmds = append(cmds, joinCmd(room, 1))
		for i := range each {
			cmds = append(cmds, publishCmd(room, 1, `1`, fmt.Sprint(i)))
		}
		posting.Go(func() {
			for i := range cmds {
				clock.Add(1)
				if !router.Post(router.ShardOf(room), cmds[i:i+1]) {
					t.Error("refused")
				}
			}
		})
	}
	posting.Wait()
	<-outlet.enough
	cancel()
	running.Wait()
	close(loopsDone)
	loops.Wait()
	if s := router.Stats(); s.Commands < producers*(each+1) || s.Facts != producers*(each+1) || s.Rooms != producers ||
		s.Panics+s.FailedCommits+s.Refused != 0 {
		t.Fatalf("%+v", s)
	}
	if router.Post(0, []Command{joinCmd("late", 1)}) {
		t.Fatal("a stopped shard takes commands")
	}
	for p := range producers {
		if n := len(journal.durable[fmt.Sprint("room", p)]); n != each+1 {
			t.Fatalf("room %d has %d records", p, n)
		}
	}
}

// What was posted before the end is carried out and handed to the journal.
func TestRunDrainsAtTheEnd(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t, ShardConfig{}, nil)
	w.journal.auto = true
	w.do(joinCmd("r", 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.post(publishCmd("r", 1, `1`, ""))
	NewRouter([]*Shard{w.shard}, func() int64 { return w.now }).Run(ctx)
	if n := len(w.journal.durable["r"]); n != 2 {
		t.Fatalf("%d records", n)
	}
}

// slowJournal says that records are durable when the test says so, from another goroutine.
type slowJournal struct {
	*fakeJournal
	appended chan func()
}

func (j *slowJournal) Append(recs []Record, done func(error)) error {
	j.appended <- func() {
		j.store(recs)
		done(nil)
	}
	return nil
}

// Whoever has asked before the end gets an answer once it is durable, also when that is after the last drain.
func TestRunAnswersBeforeItEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t, ShardConfig{}, nil)
	journal := &slowJournal{fakeJournal: w.journal, appended: make(chan func(), 1)}
	w.shard.ports.Journal = journal
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := cmd("r", wire.OpQuizCreate, 1, &Create{Quiz: testQuiz(), PIN: "123456"})
	w.post(fresh)
	var running sync.WaitGroup
	running.Go(func() { NewRouter([]*Shard{w.shard}, func() int64 { return w.now }).Run(ctx) })
	commit := <-journal.appended
	if w.shard.Post([]Command{joinCmd("r", 2)}) {
		t.Error("an ending shard takes commands")
	}
	commit()
	running.Wait()
	okReply(t, w.took(), fresh)
}

// A start that waits for its rooms hears of each of them, also of one that can't be loaded; until then nobody gets a
// PIN that may be one of theirs.
func TestRestoreSaysWhenAllRoomsAreThere(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(cmd("a", wire.OpQuizCreate, 1, &Create{Quiz: testQuiz(), PIN: "123456"}))
	w.do(cmd("b", wire.OpQuizCreate, 1, &Create{Quiz: testQuiz(), PIN: "234567"}))
	w.pins = NewDirectory()
	w.start(ShardConfig{})
	w.pins.Await(true)
	router := NewRouter([]*Shard{w.shard}, func() int64 { return w.now })
	calls := 0
	router.Restore([]string{"a", "b", "a"}, func() {
		calls++
		w.pins.Await(false)
	})
	w.drain()
	w.loader.Work()
	w.drain()
	if _, err := w.pins.Reserve(rand.New(rand.NewPCG(1, 2)), "c"); calls != 0 || err == nil ||
		err.Code != wire.CodeUnavailable || err.RetryAfterMs == 0 {
		t.Fatalf("%d calls, %+v", calls, err)
	}
	w.journal.broken = errTest
	w.settle()
	if calls != 1 || w.pins.Missing() != nil {
		t.Fatalf("%d calls, %v", calls, w.pins.Missing())
	}
	if room, ok := w.pins.Room("123456"); !ok || room != "a" {
		t.Errorf("the PIN leads to %q", room)
	}
	router.Restore(nil, func() { calls++ })
	if calls != 2 {
		t.Error("nothing to restore is done at once")
	}
}

func TestInbox(t *testing.T) {
	q := newInbox(3)
	if !q.post(make([]Command, 2), false) || q.post(make([]Command, 2), false) || !q.post(make([]Command, 1), false) {
		t.Fatal("the limit is three, all or none")
	}
	if !q.post(make([]Command, 2), true) {
		t.Fatal("what can't be refused was")
	}
	if now, peak := q.depth(); now != 5 || peak != 5 {
		t.Fatalf("depth %d, peak %d", now, peak)
	}
	q.signalWith("s")
	commands, signals := q.take(nil, nil)
	if len(commands) != 5 || len(signals) != 1 {
		t.Fatalf("%d, %d", len(commands), len(signals))
	}
	if len(q.wake) != 1 {
		t.Fatal("nobody was woken")
	}
	q.stop()
	if q.post(make([]Command, 1), false) || q.post(make([]Command, 1), true) {
		t.Fatal("taken after the end")
	}
	q.signalWith("s")
	if _, signals = q.take(nil, nil); len(signals) != 1 {
		t.Fatal("signals are taken to the last")
	}
}
