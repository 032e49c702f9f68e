package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/persist/spool"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer is a log that several goroutines write to.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) count(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), part)
}

// rig is a spooling store with everything behind it in the test's hands.
type rig struct {
	t       *testing.T
	primary *flaky
	log     *memLog
	logs    *logBuffer
	cfg     spool.Config
	s       *spool.Store
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, primary: newFlaky(), log: newMemLog(), logs: new(logBuffer)}
	r.cfg = spool.Config{Origin: "db", ProbeEvery: time.Millisecond, Logger: slog.New(slog.NewTextHandler(r.logs, nil))}
	r.open()
	t.Cleanup(func() { _ = r.s.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := spool.Open(r.t.Context(), r.primary, r.log, r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.s = s
}

func (r *rig) append(recs ...rooms.Record) {
	r.t.Helper()
	if err := r.s.AppendRecords(r.t.Context(), recs); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refused(want error, recs ...rooms.Record) {
	r.t.Helper()
	if err := r.s.AppendRecords(r.t.Context(), recs); !errors.Is(err, want) {
		r.t.Fatalf("got error %v, want %v", err, want)
	}
}

// back brings the database back and waits until all is as before.
func (r *rig) back() {
	r.t.Helper()
	r.primary.is(up)
	eventually(r.t, "the spool is empty", func() bool { return r.s.State() == persist.SpoolDirect })
}

func contents(t interface{ Fatal(args ...any) }, s persist.Store, room string) (out []rooms.Record) {
	err := s.ReadRoom(context.Background(), room, func(r rooms.Record) error { out = append(out, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b rooms.Record) bool {
	return a.Room == b.Room && a.Index == b.Index && persist.SameRecord(&a, &b)
}

func (r *rig) holds(s persist.Store, room string, want []rooms.Record) {
	r.t.Helper()
	if got := contents(r.t, s, room); !slices.EqualFunc(got, want, same) {
		r.t.Fatalf("room %s holds %v, want %v", room, got, want)
	}
}

// TestStore: in front of a database that answers, a spool changes nothing.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (persist.Store, func() persist.Store) {
		path := filepath.Join(t.TempDir(), "spool.db")
		log, err := sqlite.OpenSpool(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := spool.Open(t.Context(), mem.New(nil), log, spool.Config{Origin: "db"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s, nil
	})
}

func TestOutage(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.append(storetest.Records("a", 1, 5)...)
	quiz, err := r.s.PutQuiz(ctx, "u", storetest.Quiz("q"))
	if err != nil {
		t.Fatal(err)
	}
	r.primary.is(down)
	for i := uint64(6); i <= 10; i++ {
		r.append(storetest.Records("a", i, i)...)
	}
	r.append(storetest.Records("b", 1, 3)...)
	r.append(storetest.Records("b", 2, 4)...) // again, in part
	r.refused(persist.ErrGap, storetest.Records("b", 6, 6)...)
	other := storetest.Record("b", 2)
	other.At++
	r.refused(persist.ErrConflict, other)
	if got := r.s.SpoolStats(); got.State != persist.SpoolAway || got.Records != 9 || got.Outages != 1 || got.Full {
		t.Fatalf("%+v", got)
	}
	r.holds(r.s, "b", storetest.Records("b", 1, 4)) // all of it is here
	for what, err := range map[string]error{
		"a room that began earlier": r.s.ReadRoom(ctx, "a", func(rooms.Record) error { return nil }),
		"a room that nobody knows":  r.s.ReadRoom(ctx, "c", func(rooms.Record) error { return nil }),
		"a quiz":                    second(r.s.ListQuizzes(ctx, "u")),
		"the rooms":                 second(r.s.Rooms(ctx, 5)),
		"the live rooms":            second(r.s.LiveRooms(ctx)),
		"keys":                      second(r.s.LoadKeys(ctx)),
	} {
		if !errors.Is(err, persist.ErrUnavailable) && !errors.Is(err, errAway) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
	r.back()
	r.append(storetest.Records("a", 11, 12)...)
	r.holds(r.primary, "a", storetest.Records("a", 1, 12))
	r.holds(r.primary, "b", storetest.Records("b", 1, 4))
	if _, _, err := r.s.GetQuiz(ctx, quiz); err != nil {
		t.Error(err)
	}
	for _, once := range []string{"the database is away;", "the database is back;", "records go to the database again"} {
		if n := r.logs.count(once); n != 1 {
			t.Errorf("the log says %d times %q", n, once)
		}
	}
	if got := r.s.SpoolStats(); got.Records != 0 || got.Bytes != 0 || got.Drained != 9 {
		t.Errorf("%+v", got)
	}
}

func second[T any](_ T, err error) error { return err }

// TestReadWhileDraining: a room that is half in the database and half in the spool is read whole.
func TestReadWhileDraining(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(down)
	r.append(storetest.Records("a", 6, 10)...)
	closed := rooms.Record{Room: "z", Index: 3, Kind: rooms.KindRoomClosed}
	r.append(append(storetest.Records("z", 1, 2), closed)...)
	r.append(storetest.Records("y", 1, 2)...)
	r.log.mu.Lock()
	r.log.noRemove = true
	r.log.mu.Unlock()
	r.primary.is(up)
	eventually(t, "the database is known to be back", func() bool { return r.s.State() == persist.SpoolDraining })
	r.holds(r.s, "a", storetest.Records("a", 1, 10))
	live, err := r.s.LiveRooms(t.Context())
	if err != nil || !slices.Equal(live, []string{"a", "y"}) {
		t.Errorf("live rooms are %v, %v", live, err)
	}
	r.log.mu.Lock()
	r.log.noRemove = false
	r.log.mu.Unlock()
	r.back()
	r.holds(r.s, "a", storetest.Records("a", 1, 10))
}

// TestReadBeforeAllIsDrained: what is still on its way to the database is read from the spool.
func TestReadBeforeAllIsDrained(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(down)
	r.append(storetest.Records("b", 1, firstDrain-5)...)
	r.append(storetest.Records("a", 6, 1000)...)
	hold := make(chan struct{})
	r.primary.hold.Store(&hold)
	release := sync.OnceFunc(func() {
		r.primary.hold.Store(nil)
		close(hold)
	})
	defer release()
	r.primary.is(up)
	eventually(t, "the first batch has arrived", func() bool { return r.s.SpoolStats().Drained == firstDrain })
	if got := r.s.SpoolStats(); got.State != persist.SpoolDraining || got.Records != 990 {
		t.Fatalf("%+v", got)
	}
	r.holds(r.primary, "a", storetest.Records("a", 1, 10))
	r.holds(r.s, "a", storetest.Records("a", 1, 1000))
	r.append(storetest.Records("a", 1001, 1002)...) // behind what is spooled
	release()
	r.back()
	r.holds(r.primary, "a", storetest.Records("a", 1, 1002))
}

// TestUnansweredCommit: the database has committed and the answer was lost.
func TestUnansweredCommit(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(mute)
	r.append(storetest.Records("a", 6, 10)...)
	r.append(storetest.Records("a", 11, 15)...)
	r.back()
	r.holds(r.primary, "a", storetest.Records("a", 1, 15))
	if got := r.s.SpoolStats(); got.SetAside != 0 {
		t.Errorf("%d records were set aside", got.SetAside)
	}
}

// TestFull: what does not fit is refused, is not there, and comes in again when there is room.
func TestFull(t *testing.T) {
	r := newRig(t)
	_ = r.s.Close()
	r.cfg.BytesMax = 20 * persist.SpoolBytes(storetest.Records("a", 100, 100))
	r.open()
	r.append(storetest.Records("a", 1, 100)...) // no limit for the database
	r.primary.is(down)
	next := uint64(101)
	for ; r.s.Refuses() == nil; next++ {
		r.append(storetest.Records("a", next, next)...)
	}
	if next < 101+17 || !errors.Is(r.s.Refuses(), persist.ErrSpoolFull) || !r.s.SpoolStats().Full {
		t.Fatalf("full after %d of 20 records: %+v", next-101, r.s.SpoolStats())
	}
	r.append(storetest.Records("a", next, next)...) // what is held back for timers and for those who come back
	next++
	r.refused(persist.ErrSpoolFull, storetest.Records("a", next, next+9)...)
	if n := r.logs.count("the spool is full"); n != 1 {
		t.Errorf("the log says %d times that the spool is full", n)
	}
	r.back()
	if err := r.s.Refuses(); err != nil {
		t.Error(err)
	}
	r.append(storetest.Records("a", next, next+9)...)
	r.holds(r.primary, "a", storetest.Records("a", 1, next+9))
}

// TestFileFails: a spool that can't be written acknowledges nothing.
func TestFileFails(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(down)
	r.log.mu.Lock()
	r.log.noAppend = true
	r.log.mu.Unlock()
	r.refused(errFile, storetest.Records("a", 6, 6)...)
	r.refused(errFile, storetest.Records("b", 1, 1)...)
	if err := r.s.MarkAlive(t.Context(), 5); !errors.Is(err, errFile) || r.s.Refuses() == nil {
		t.Errorf("others are let go on to lose what they record: %v, %v", err, r.s.Refuses())
	}
	if n := r.logs.count("the spool can't be written"); n != 1 {
		t.Errorf("the log says %d times that the spool can't be written", n)
	}
	r.log.mu.Lock()
	r.log.noAppend = false
	r.log.mu.Unlock()
	if err := r.s.MarkAlive(t.Context(), 6); err != nil || r.s.Refuses() != nil {
		t.Errorf("the file can be written again: %v, %v", err, r.s.Refuses())
	}
	r.back()
	r.append(storetest.Records("a", 6, 7)...)
	r.holds(r.primary, "a", storetest.Records("a", 1, 7))
}

// TestAnotherWriter: while the database was away another server wrote to a room. That room's records are set aside, the
// others' arrive, and the room goes on once it was read again.
func TestAnotherWriter(t *testing.T) {
	r := newRig(t)
	r.append(append(storetest.Records("a", 1, 5), storetest.Records("b", 1, 5)...)...)
	r.primary.is(down)
	for i := uint64(6); i <= 10; i++ {
		r.append(storetest.Record("a", i), storetest.Record("b", i))
	}
	theirs := storetest.Record("a", 6)
	theirs.Data = []byte("theirs")
	if err := r.primary.Store.AppendRecords(t.Context(), []rooms.Record{theirs}); err != nil {
		t.Fatal(err)
	}
	r.back()
	r.holds(r.primary, "a", append(storetest.Records("a", 1, 5), theirs))
	r.holds(r.primary, "b", storetest.Records("b", 1, 10))
	if got := r.s.SpoolStats(); got.SetAside != 5 || len(r.log.refused) != 5 || got.Records != 0 {
		t.Errorf("%+v, %d in the table", got, len(r.log.refused))
	}
	if n := r.logs.count("another server has written"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	r.refused(persist.ErrGap, storetest.Records("a", 11, 11)...)
	if got := contents(t, r.s, "a"); len(got) != 6 {
		t.Errorf("%d records", len(got))
	}
	r.append(storetest.Records("a", 7, 8)...)
	_ = r.s.Close()
	r.open()
	if n := r.logs.count("records that the database refused"); n != 1 {
		t.Errorf("the next start says %d times that there are refused records", n)
	}
}

// TestFencedRoom: records of a room that was set aside are refused until the room was read again, even while others
// still drain.
func TestFencedRoom(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(down)
	r.append(append(storetest.Records("a", 6, 8), storetest.Records("b", 1, 2)...)...)
	theirs := storetest.Record("a", 6)
	theirs.At++
	if err := r.primary.Store.AppendRecords(t.Context(), []rooms.Record{theirs}); err != nil {
		t.Fatal(err)
	}
	r.log.mu.Lock()
	r.log.noRemove = true
	r.log.mu.Unlock()
	r.primary.is(up)
	eventually(t, "the room is set aside", func() bool { return r.s.SpoolStats().SetAside == 3 })
	r.refused(persist.ErrConflict, storetest.Records("a", 9, 9)...)
	if got := contents(t, r.s, "a"); len(got) != 6 {
		t.Fatalf("%d records", len(got))
	}
	r.append(storetest.Records("a", 7, 7)...)
	r.log.mu.Lock()
	r.log.noRemove = false
	r.log.mu.Unlock()
	r.back()
	want := slices.Concat(storetest.Records("a", 1, 5), []rooms.Record{theirs}, storetest.Records("a", 7, 7))
	r.holds(r.primary, "a", want)
}

// TestStartWithRecords: what a killed server has left goes to the database before the next one begins, and to no other
// database.
func TestStartWithRecords(t *testing.T) {
	r := newRig(t)
	r.append(storetest.Records("a", 1, 5)...)
	r.primary.is(down)
	r.append(storetest.Records("a", 6, 10)...)
	if err := r.s.MarkAlive(t.Context(), 4711); err != nil {
		t.Fatal(err)
	}
	_ = r.s.Close()
	if _, err := spool.Open(t.Context(), r.primary, r.log, r.cfg); err == nil ||
		!strings.Contains(err.Error(), "holds 5 records that must go to the database first; none is lost") {
		t.Fatalf("it starts without the database: %v", err)
	}
	elsewhere := r.cfg
	elsewhere.Origin = "another"
	if _, err := spool.Open(t.Context(), newFlaky(), r.log, elsewhere); err == nil ||
		!strings.Contains(err.Error(), "5 records of another database") {
		t.Fatalf("the records would go to another database: %v", err)
	}
	r.primary.is(up)
	r.open()
	r.holds(r.primary, "a", storetest.Records("a", 1, 10))
	if at, err := r.s.LastAlive(t.Context()); err != nil || at != 4711 {
		t.Errorf("alive until %d, %v", at, err)
	}
	r.append(storetest.Records("a", 11, 11)...)
}

// TestIdleServerNoticesTheOutage: the mark of being alive is enough to notice it.
func TestIdleServerNoticesTheOutage(t *testing.T) {
	r := newRig(t)
	r.primary.is(down)
	if err := r.s.MarkAlive(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if r.s.State() != persist.SpoolAway {
		t.Errorf("the state is %s", r.s.State())
	}
	r.back()
	if at, err := r.s.LastAlive(t.Context()); err != nil || at != 5 {
		t.Errorf("alive until %d, %v", at, err)
	}
}

// TestJournalThroughAnOutage: the journal in front of a spool acknowledges in order while the database comes and goes.
func TestJournalThroughAnOutage(t *testing.T) {
	r := newRig(t)
	j := persist.New(r.s, persist.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ended := make(chan error, 1)
	go func() { ended <- j.Run(context.Background()) }()
	const n = 3000
	done := make(chan error, n)
	for i := uint64(1); i <= n; i++ {
		switch i % 500 {
		case 100:
			r.primary.is(down)
		case 200:
			r.primary.is(mute)
		case 300:
			r.primary.is(up)
		}
		recs := []rooms.Record{storetest.Record(fmt.Sprint("r", i%7), (i-1)/7+1)}
		if err := j.Append(recs, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			for range 50 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := errors.Join(j.Close(t.Context()), <-ended); err != nil {
		t.Fatal(err)
	}
	r.back()
	total := 0
	for room := range 7 {
		total += len(contents(t, r.primary, fmt.Sprint("r", room)))
	}
	if total != n {
		t.Errorf("%d records of %d", total, n)
	}
}

// TestNothingAcknowledgedIsLost: rooms write as shards do, while the database and the file fail in every way and the
// process is killed. At the end the database has what was acknowledged, in order, and nothing else.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, primary: newFlaky(), log: newMemLog(), rooms: map[string]*writer{}}
		w.open()
		defer func() { _ = w.s.Close() }()
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			w.step()
		}
		w.primary.is(up)
		w.setFile(false, false)
		for w.s.State() != persist.SpoolDirect {
			<-time.After(100 * time.Microsecond)
		}
		for name, room := range w.rooms {
			room.read(w, name)
			got := contents(t, w.primary.Store, name)
			if !slices.EqualFunc(got, room.known, same) {
				t.Fatalf("room %s holds %v, want %v", name, got, room.known)
			}
		}
		if len(w.log.refused) > 0 {
			t.Fatalf("records were set aside: %v", w.log.refused)
		}
	})
}

// world is the property test's process and what is around it.
type world struct {
	t       *rapid.T
	primary *flaky
	log     *memLog
	s       *spool.Store
	rooms   map[string]*writer
	count   int64
}

// writer is a room as its shard writes it.
type writer struct {
	known []rooms.Record // acknowledged
	lost  bool           // an append failed: the room must be read before the next
}

func (w *world) open() {
	s, err := spool.Open(context.Background(), w.primary, w.log, spool.Config{
		Origin: "db", ProbeEvery: 50 * time.Microsecond, Logger: slog.New(slog.DiscardHandler), BytesMax: 8_000,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

func (w *world) setFile(noAppend, noRemove bool) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.log.noAppend, w.log.noRemove = noAppend, noRemove
}

func (w *world) step() {
	switch rapid.SampledFrom([]string{"write", "write", "write", "write", "database", "file", "kill"}).Draw(w.t, "step") {
	case "database":
		w.primary.is(rapid.SampledFrom([]mode{up, down, mute}).Draw(w.t, "mode"))
	case "file":
		w.setFile(rapid.Bool().Draw(w.t, "no append"), rapid.Bool().Draw(w.t, "no remove"))
	case "kill":
		_ = w.s.Close()
		w.primary.is(up)
		w.setFile(false, false)
		w.open()
		for _, room := range w.rooms {
			room.lost = true
		}
	default:
		w.write()
	}
}

// write appends to some rooms in one call, as the journal does.
func (w *world) write() {
	var batch []rooms.Record
	touched := map[string][]rooms.Record{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3,
		rapid.ID[string]).Draw(w.t, "rooms") {
		room := w.rooms[name]
		if room == nil {
			room = new(writer)
			w.rooms[name] = room
		}
		if room.lost && !room.read(w, name) {
			continue
		}
		for i := range rapid.IntRange(1, 4).Draw(w.t, "records") {
			r := storetest.Record(name, uint64(len(room.known)+i+1))
			w.count++
			r.At = w.count // no two attempts are the same
			touched[name] = append(touched[name], r)
		}
		batch = append(batch, touched[name]...)
	}
	err := w.s.AppendRecords(context.Background(), batch)
	for name, recs := range touched {
		if err == nil {
			w.rooms[name].known = append(w.rooms[name].known, recs...)
		} else {
			w.rooms[name].lost = true
		}
	}
}

// read reads the room as a shard does; it says whether that was possible. What was acknowledged must be there.
func (room *writer) read(w *world, name string) bool {
	var got []rooms.Record
	err := w.s.ReadRoom(context.Background(), name, func(r rooms.Record) error { got = append(got, r); return nil })
	if err != nil {
		return false
	}
	if len(got) < len(room.known) || !slices.EqualFunc(got[:len(room.known)], room.known, same) {
		w.t.Fatalf("room %s: read %v, acknowledged were %v", name, got, room.known)
	}
	room.known, room.lost = got, false
	return true
}
