package persist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/rooms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDisk = errors.New("the disk is full")

// fakeStore is a mem.Store whose appends can be held and failed.
type fakeStore struct {
	*mem.Store
	entered chan int   // when not nil: told of each append's size, which then waits for leave
	leave   chan error // what the append returns when not nil

	mu      sync.Mutex
	batches []int
}

func (f *fakeStore) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	f.mu.Lock()
	f.batches = append(f.batches, len(recs))
	f.mu.Unlock()
	if f.entered != nil {
		f.entered <- len(recs)
		if err := <-f.leave; err != nil {
			return err
		}
	}
	return f.Store.AppendRecords(ctx, recs)
}

// harness runs a journal and collects the verdicts.
type harness struct {
	t       testing.TB
	store   *fakeStore
	journal *persist.Journal
	results chan string
}

func start(t testing.TB, held bool, cfg persist.Config) *harness {
	t.Helper()
	store := &fakeStore{Store: mem.New(nil)}
	if held {
		store.entered, store.leave = make(chan int), make(chan error)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	h := &harness{t: t, store: store, journal: persist.New(store, cfg), results: make(chan string, 1000)}
	return h
}

func (h *harness) run() {
	ended := make(chan error, 1)
	go func() { ended <- h.journal.Run(context.Background()) }()
	h.t.Cleanup(func() {
		if err := h.journal.Close(context.Background()); err != nil {
			h.t.Error(err)
		}
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
}

func rec(room string, first, last uint64) []rooms.Record {
	var out []rooms.Record
	for i := first; i <= last; i++ {
		out = append(out, rooms.Record{Room: room, Index: i, Kind: "k", At: int64(i), Data: []byte("data")})
	}
	return out
}

func (h *harness) append(name string, recs ...rooms.Record) {
	h.t.Helper()
	err := h.journal.Append(recs, func(err error) {
		switch {
		case err == nil:
			h.results <- name + " ok"
		case errors.Is(err, errDisk):
			h.results <- name + " disk"
		case errors.Is(err, persist.ErrConflict):
			h.results <- name + " conflict"
		case errors.Is(err, persist.ErrRoomFailed):
			h.results <- name + " room failed"
		default:
			h.results <- name + " " + err.Error()
		}
	})
	if err != nil {
		h.t.Fatalf("append %s: %v", name, err)
	}
}

func (h *harness) want(want ...string) {
	h.t.Helper()
	for _, w := range want {
		if got := <-h.results; got != w {
			h.t.Fatalf("got verdict %q, want %q", got, w)
		}
	}
}

func (h *harness) flush(size int, result error) {
	h.t.Helper()
	if got := <-h.store.entered; got != size {
		h.t.Errorf("the batch has %d records, want %d", got, size)
	}
	h.store.leave <- result
}

func TestGroupCommit(t *testing.T) {
	h := start(t, true, persist.Config{})
	h.run()
	h.append("first", rec("a", 1, 2)...)
	first := <-h.store.entered // the store is busy; what comes now waits
	for i := range uint64(10) {
		h.append(fmt.Sprint("n", i), rec("a", 3+i, 3+i)...)
	}
	if s := h.journal.Stats(); first != 2 || s.QueueRecords != 12 || s.QueueBytes != 12*(1+1+4+64) {
		t.Errorf("first batch of %d, stats %+v", first, s)
	}
	h.store.leave <- nil
	h.want("first ok")
	h.flush(10, nil)
	for i := range 10 {
		h.want(fmt.Sprintf("n%d ok", i))
	}
	s := h.journal.Stats()
	commits := uint64(0)
	for _, n := range s.CommitCounts {
		commits += n
	}
	if s.Records != 12 || s.Batches != 2 || s.QueueRecords != 0 || s.QueueBytes != 0 || commits != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestBatchLimits(t *testing.T) {
	h := start(t, true, persist.Config{BatchRecordsMax: 10, BatchBytesMax: 3000})
	h.append("a", rec("a", 1, 6)...)
	h.append("b", rec("b", 1, 4)...)
	h.append("c", rec("c", 1, 1)...)
	h.append("d", rec("d", 1, 25)...) // larger than a batch: alone
	big := rec("e", 1, 2)
	big[0].Data, big[1].Data = make([]byte, 2000), make([]byte, 2000)
	h.append("e", big[0])
	h.append("f", big[1])
	h.run()
	for _, size := range []int{10, 1, 25, 1, 1} {
		h.flush(size, nil)
	}
	h.want("a ok", "b ok", "c ok", "d ok", "e ok", "f ok")
}

func TestFull(t *testing.T) {
	for name, cfg := range map[string]persist.Config{
		"records": {QueueRecordsMax: 10},
		"bytes":   {QueueBytesMax: 10 * (1 + 1 + 4 + 64)},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, true, cfg)
			h.run()
			h.append("a", rec("a", 1, 4)...)
			<-h.store.entered // being written counts too
			h.append("b", rec("b", 1, 6)...)
			never := func(error) { t.Error("done was called") }
			if err := h.journal.Append(rec("c", 1, 1), never); !errors.Is(err, persist.ErrFull) {
				t.Errorf("got error %v, want ErrFull", err)
			}
			h.store.leave <- nil
			h.want("a ok")
			h.append("c", rec("c", 1, 4)...)
			h.flush(6, nil)
			h.flush(4, nil)
			h.want("b ok", "c ok")
			if s := h.journal.Stats(); s.Refused != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestInvalidIsRefusedAtOnce(t *testing.T) {
	h := start(t, false, persist.Config{})
	err := h.journal.Append([]rooms.Record{{Room: "a"}}, func(error) { t.Error("done was called") })
	if !errors.Is(err, persist.ErrInvalid) {
		t.Errorf("got error %v", err)
	}
}

// TestFailedFlush: after a failure the room's later records fail too, until it starts again where its durable ones end.
// Other rooms go on.
func TestFailedFlush(t *testing.T) {
	h := start(t, true, persist.Config{})
	h.run()
	h.append("a1", rec("a", 1, 2)...)
	h.flush(2, nil)
	h.want("a1 ok")
	h.append("a2", rec("a", 3, 4)...)
	<-h.store.entered
	h.append("a3", rec("a", 5, 5)...)
	h.append("b1", rec("b", 1, 2)...)
	h.append("ab", append(rec("b", 3, 3), rec("a", 6, 6)...)...) // as a whole
	h.append("b2", rec("b", 4, 4)...)                            // follows what was not stored
	h.store.leave <- errDisk
	h.want("a2 disk")
	h.flush(2, nil)
	h.want("a3 room failed", "b1 ok", "ab room failed", "b2 room failed")
	h.append("a4", rec("a", 7, 7)...)
	h.want("a4 room failed")
	if s := h.journal.Stats(); s.FailedRooms != 2 || s.FailedBatches != 1 {
		t.Errorf("stats %+v", s)
	}
	h.append("a5", rec("a", 3, 3)...) // the room was loaded again: its durable records end at 2
	h.flush(1, nil)
	h.append("a6", rec("a", 4, 5)...)
	h.flush(2, nil)
	h.want("a5 ok", "a6 ok")
	h.append("b3", rec("b", 3, 3)...)
	h.append("a7", rec("a", 6, 6)...)
	if got := <-h.store.entered; got != 1 && got != 2 {
		t.Errorf("batch of %d", got)
	} else {
		h.store.leave <- nil
		if got == 1 {
			h.flush(1, nil)
		}
	}
	h.want("b3 ok", "a7 ok")
}

// TestFailedRoomGoesOnInterleaved: a shard's append holds the records of its rooms in the order of its steps.
func TestFailedRoomGoesOnInterleaved(t *testing.T) {
	h := start(t, true, persist.Config{})
	h.run()
	h.append("ab", append(rec("a", 1, 2), rec("b", 1, 1)...)...)
	<-h.store.entered
	h.store.leave <- errDisk
	h.want("ab disk")
	again := slices.Concat(rec("a", 1, 1), rec("b", 1, 1), rec("a", 2, 2))
	h.append("again", again...)
	h.flush(3, nil)
	h.want("again ok")
}

// TestLoadAfterLostCommit: a commit that failed may be durable all the same; the room goes on from what Load has seen.
func TestLoadAfterLostCommit(t *testing.T) {
	h := start(t, true, persist.Config{})
	h.run()
	h.append("a1", rec("a", 1, 2)...)
	<-h.store.entered
	if err := h.store.Store.AppendRecords(t.Context(), rec("a", 1, 2)); err != nil {
		t.Fatal(err)
	}
	h.store.leave <- errDisk
	h.want("a1 disk")
	var loaded []uint64
	err := h.journal.Load("a", func(r rooms.Record) error { loaded = append(loaded, r.Index); return nil })
	if err != nil || !slices.Equal(loaded, []uint64{1, 2}) {
		t.Fatalf("loaded %v, %v", loaded, err)
	}
	h.append("a2", rec("a", 3, 3)...)
	h.flush(1, nil)
	h.want("a2 ok")
}

// TestLoadForgetsTheFailure: a room that is read again, or can't be, is not failed any more, even when it never appends
// again. A record that comes late all the same is refused by the store.
func TestLoadForgetsTheFailure(t *testing.T) {
	h := start(t, true, persist.Config{})
	h.run()
	h.append("a1", rec("a", 1, 2)...)
	<-h.store.entered
	h.store.leave <- errDisk
	h.want("a1 disk")
	if s := h.journal.Stats(); s.FailedRooms != 1 {
		t.Fatalf("%d failed rooms, want 1", s.FailedRooms)
	}
	if err := h.journal.Load("a", func(rooms.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s := h.journal.Stats(); s.FailedRooms != 0 {
		t.Fatal("the room counts as failed for ever")
	}
	late := make(chan error, 1)
	if err := h.journal.Append(rec("a", 3, 3), func(err error) { late <- err }); err != nil {
		t.Fatal(err)
	}
	h.flush(1, nil)
	if err := <-late; !errors.Is(err, persist.ErrGap) {
		t.Fatalf("a late record: %v", err)
	}
	if err := h.journal.Load("a", func(rooms.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	h.append("a2", rec("a", 1, 2)...)
	h.flush(2, nil)
	h.want("a2 ok")
}

// TestFailuresAreLoggedOnceInAWhile: a full disk must not be filled with log lines.
func TestFailuresAreLoggedOnceInAWhile(t *testing.T) {
	var log bytes.Buffer // read when the journal has answered
	h := start(t, true, persist.Config{
		Now:    func() time.Time { return time.Unix(1_764_000_000, 0) },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	h.run()
	for range 5 {
		h.append("a", rec("a", 1, 1)...)
		<-h.store.entered
		h.store.leave <- errDisk
		h.want("a disk")
	}
	if n := bytes.Count(log.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// TestConflictHurtsOneRoom: a room that has lost its ownership doesn't fail the others of its batch.
func TestConflictHurtsOneRoom(t *testing.T) {
	h := start(t, false, persist.Config{})
	other := rec("b", 1, 1)
	other[0].Data = []byte("of another owner")
	if err := h.store.Store.AppendRecords(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	h.append("a", rec("a", 1, 3)...)
	h.append("b", rec("b", 1, 1)...)
	h.append("b again", rec("b", 2, 2)...)
	h.append("c", rec("c", 1, 3)...)
	h.run()
	h.want("a ok", "b conflict", "b again room failed", "c ok")
}

func TestCloseDrains(t *testing.T) {
	h := start(t, true, persist.Config{BatchRecordsMax: 2})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.journal.Run(ctx) }()
	h.append("a", rec("a", 1, 2)...)
	<-h.store.entered
	h.append("b", rec("b", 1, 2)...)
	h.append("c", rec("c", 1, 2)...)
	cancel() // as good as Close
	late, stop := context.WithCancel(t.Context())
	stop()
	if err := h.journal.Close(late); !errors.Is(err, context.Canceled) {
		t.Errorf("Close with an ended context returned %v", err)
	}
	if err := h.journal.Append(rec("d", 1, 1), nil); !errors.Is(err, persist.ErrClosed) {
		t.Errorf("got error %v, want ErrClosed", err)
	}
	h.store.leave <- nil
	h.flush(2, nil)
	h.flush(2, nil)
	h.want("a ok", "b ok", "c ok")
	if err := h.journal.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if h.journal.Run(ctx) == nil {
		t.Error("a second Run was allowed")
	}
}

func TestCloseWithoutRun(t *testing.T) {
	h := start(t, false, persist.Config{})
	h.append("a", rec("a", 1, 2)...)
	if err := h.journal.Close(t.Context()); err != nil {
		t.Error(err)
	}
	h.want("a " + persist.ErrClosed.Error())
}

func TestLiveRooms(t *testing.T) {
	h := start(t, false, persist.Config{})
	h.run()
	h.append("a", rooms.Record{Room: "a", Index: 1, Kind: rooms.KindRoomCreated, At: 1})
	h.want("a ok")
	if live, err := h.journal.LiveRooms(); err != nil || !slices.Equal(live, []string{"a"}) {
		t.Errorf("live rooms are %v, %v", live, err)
	}
}

// TestNeverAGap: many rooms, appends from several goroutines, flushes that fail at random. Whatever was said to be
// durable is there, gapless, and verdicts come in the order of each room's appends.
func TestNeverAGap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fail := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(rt, "failures")
		store := &flakyStore{Store: mem.New(nil), fail: fail}
		j := persist.New(store, persist.Config{
			BatchRecordsMax: rapid.IntRange(1, 20).Draw(rt, "batch"),
			Logger:          slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		ended := make(chan error, 1)
		go func() { ended <- j.Run(context.Background()) }()
		var wg sync.WaitGroup
		for room := range rapid.IntRange(1, 4).Draw(rt, "rooms") {
			wg.Go(func() {
				name := fmt.Sprint("r", room)
				durable := uint64(0)
				for durable < 20 { // a burst, then start again from what is durable, as a room does
					verdicts := make(chan error, 4)
					for i := range uint64(4) {
						if err := j.Append(rec(name, durable+1+i, durable+1+i), func(err error) { verdicts <- err }); err != nil {
							t.Error(err)
							return
						}
					}
					failed := false
					for range 4 {
						if err := <-verdicts; err != nil {
							failed = true
						} else if durable++; failed {
							t.Errorf("%s: a record is durable after one that is not", name)
							return
						}
					}
				}
				n := uint64(0)
				err := j.Load(name, func(r rooms.Record) error {
					if n++; r.Index != n {
						return fmt.Errorf("index %d after %d", r.Index, n-1)
					}
					return nil
				})
				if err != nil || n != durable {
					t.Errorf("%s: %d records, %d were said to be durable: %v", name, n, durable, err)
				}
			})
		}
		wg.Wait()
		if err := j.Close(context.Background()); err != nil {
			rt.Error(err)
		}
		if err := <-ended; err != nil {
			rt.Error(err)
		}
	})
}

type flakyStore struct {
	*mem.Store
	fail []bool // by number of the append; then all succeed
	n    int
}

func (f *flakyStore) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	f.n++
	if f.n <= len(f.fail) && f.fail[f.n-1] {
		return errDisk
	}
	return f.Store.AppendRecords(ctx, recs)
}

// TestPace: a flush that comes alone is not held up; those behind it share the next, which keeps its distance.
func TestPace(t *testing.T) {
	const pace = 200 * time.Millisecond
	h := start(t, true, persist.Config{Pace: pace})
	h.run()
	began := time.Now()
	h.append("first", rec("a", 1, 1)...)
	h.flush(1, nil)
	h.want("first ok")
	if took := time.Since(began); took > pace {
		t.Errorf("the first waited %s", took)
	}
	h.append("second", rec("a", 2, 2)...)
	h.append("third", rec("b", 1, 1)...)
	h.flush(2, nil)
	h.want("second ok", "third ok")
	if took := time.Since(began); took < pace {
		t.Errorf("the next flush began after %s, want at least %s", took, pace)
	}
}
