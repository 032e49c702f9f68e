package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"lectern/persist"
	"lectern/rooms"
)

// Record makes the record at index of a room; the first is of rooms.KindRoomCreated.
func Record(room string, index uint64) rooms.Record {
	kind := "quiz.answered"
	if index == 1 {
		kind = rooms.KindRoomCreated
	}
	return rooms.Record{
		Room: room, Index: index, Kind: kind, At: 1_764_000_000_000 + int64(index),
		Data: fmt.Appendf(nil, `{"owner":"u1","n":%d}`, index),
	}
}

// Records makes the records from first to last.
func Records(room string, first, last uint64) []rooms.Record {
	var out []rooms.Record
	for i := first; i <= last; i++ {
		out = append(out, Record(room, i))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func read(t *testing.T, ctx context.Context, s persist.Store, room string) []rooms.Record {
	t.Helper()
	var got []rooms.Record
	must(t, s.ReadRoom(ctx, room, func(r rooms.Record) error {
		got = append(got, r)
		return nil
	}))
	return got
}

func sameRecord(a, b rooms.Record) bool {
	return a.Room == b.Room && a.Index == b.Index && a.Kind == b.Kind && a.At == b.At && bytes.Equal(a.Data, b.Data)
}

func wantRoom(t *testing.T, ctx context.Context, s persist.Store, room string, want []rooms.Record) {
	t.Helper()
	got := read(t, ctx, s, room)
	if !slices.EqualFunc(got, want, sameRecord) {
		t.Fatalf("room %s holds %d records, want %d:\n%v\n%v", room, len(got), len(want), got, want)
	}
}

func testAppendAndRead(t *testing.T, ctx context.Context, s persist.Store) {
	a, b := Records("a", 1, 5), Records("b", 1, 3)
	must(t, s.AppendRecords(ctx, []rooms.Record{a[0], b[0], a[1], a[2], b[1]})) // interleaved
	must(t, s.AppendRecords(ctx, []rooms.Record{b[2]}))
	must(t, s.AppendRecords(ctx, a[3:]))
	must(t, s.AppendRecords(ctx, nil))
	wantRoom(t, ctx, s, "a", a)
	wantRoom(t, ctx, s, "b", b)
	wantRoom(t, ctx, s, "unknown", nil)

	odd := rooms.Record{Room: "näme '\"; DROP TABLE x; --\x00", Index: 1, Kind: "x", At: -5, Data: []byte{0, 255, 10}}
	empty := rooms.Record{Room: "empty", Index: 1, Kind: "x"}
	must(t, s.AppendRecords(ctx, []rooms.Record{odd, empty}))
	wantRoom(t, ctx, s, odd.Room, []rooms.Record{odd})
	wantRoom(t, ctx, s, "empty", []rooms.Record{empty})
	must(t, s.AppendRecords(ctx, []rooms.Record{odd, empty}))
}

func testReadStops(t *testing.T, ctx context.Context, s persist.Store) {
	must(t, s.AppendRecords(ctx, Records("a", 1, 5)))
	stop, seen := errors.New("stop"), 0
	err := s.ReadRoom(ctx, "a", func(rooms.Record) error {
		if seen++; seen == 3 {
			return stop
		}
		return nil
	})
	if err != stop || seen != 3 {
		t.Fatalf("got error %v after %d records, want the visitor's own after 3", err, seen)
	}
}

func testInvalidRecords(t *testing.T, ctx context.Context, s persist.Store) {
	for name, spoil := range map[string]func(*rooms.Record){
		"no room":   func(r *rooms.Record) { r.Room = "" },
		"no kind":   func(r *rooms.Record) { r.Kind = "" },
		"index 0":   func(r *rooms.Record) { r.Index = 0 },
		"index big": func(r *rooms.Record) { r.Index = 1 << 63 },
	} {
		t.Run(name, func(t *testing.T) {
			r := Record("b", 1)
			spoil(&r)
			wantErr(t, s.AppendRecords(ctx, []rooms.Record{Record("a", 1), r}), persist.ErrInvalid)
			wantRoom(t, ctx, s, "a", nil)
		})
	}
}

func testConflict(t *testing.T, ctx context.Context, s persist.Store) {
	must(t, s.AppendRecords(ctx, Records("a", 1, 3)))
	for name, change := range map[string]func(*rooms.Record){
		"kind": func(r *rooms.Record) { r.Kind += "x" },
		"at":   func(r *rooms.Record) { r.At++ },
		"data": func(r *rooms.Record) { r.Data = []byte(`{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			r := Record("a", 2)
			change(&r)
			err := s.AppendRecords(ctx, []rooms.Record{r})
			wantErr(t, err, persist.ErrConflict)
			var where *persist.RecordError
			if !errors.As(err, &where) || where.Room != "a" || where.Index != 2 {
				t.Fatalf("the error doesn't say where: %v", err)
			}
		})
	}
	twice := Record("b", 1) // within one call
	twice.At++
	wantErr(t, s.AppendRecords(ctx, []rooms.Record{Record("b", 1), twice}), persist.ErrConflict)
	wantRoom(t, ctx, s, "a", Records("a", 1, 3))
	wantRoom(t, ctx, s, "b", nil)
}

func testGap(t *testing.T, ctx context.Context, s persist.Store) {
	wantErr(t, s.AppendRecords(ctx, Records("a", 2, 3)), persist.ErrGap)
	must(t, s.AppendRecords(ctx, Records("a", 1, 2)))
	wantErr(t, s.AppendRecords(ctx, Records("a", 4, 4)), persist.ErrGap)
	wantErr(t, s.AppendRecords(ctx, []rooms.Record{Record("a", 3), Record("a", 5)}), persist.ErrGap)
	must(t, s.AppendRecords(ctx, Records("a", 3, 4)))
	wantRoom(t, ctx, s, "a", Records("a", 1, 4))
}

func testIdenticalAgain(t *testing.T, ctx context.Context, s persist.Store) {
	must(t, s.AppendRecords(ctx, Records("a", 1, 3)))
	must(t, s.AppendRecords(ctx, Records("a", 1, 3)))
	must(t, s.AppendRecords(ctx, Records("a", 2, 6))) // overlaps
	must(t, s.AppendRecords(ctx, append(Records("a", 7, 8), Records("a", 7, 9)...)))
	wantRoom(t, ctx, s, "a", Records("a", 1, 9))
	list, err := s.Rooms(ctx, 10)
	must(t, err)
	if len(list) != 1 || list[0].Records != 9 {
		t.Fatalf("got %+v, want one room of 9 records", list)
	}
}

func testBatchIsAtomic(t *testing.T, ctx context.Context, s persist.Store) {
	must(t, s.AppendRecords(ctx, Records("a", 1, 2)))
	bad := Record("a", 2)
	bad.At++
	batch := slices.Concat(Records("new", 1, 100), Records("a", 3, 4), []rooms.Record{bad}, Records("b", 1, 2))
	wantErr(t, s.AppendRecords(ctx, batch), persist.ErrConflict)
	wantRoom(t, ctx, s, "a", Records("a", 1, 2))
	wantRoom(t, ctx, s, "new", nil)
	wantRoom(t, ctx, s, "b", nil)
	list, err := s.Rooms(ctx, 10)
	must(t, err)
	if len(list) != 1 || list[0].Records != 2 {
		t.Fatalf("the refused batch left traces: %+v", list)
	}
	must(t, s.AppendRecords(ctx, Records("new", 1, 2))) // nothing of the refused batch is remembered
	must(t, s.AppendRecords(ctx, Records("a", 3, 3)))
	wantRoom(t, ctx, s, "new", Records("new", 1, 2))
}

func testCallersDataIsNotKept(t *testing.T, ctx context.Context, s persist.Store) {
	mine := Records("a", 1, 2)
	must(t, s.AppendRecords(ctx, mine))
	clear(mine[0].Data)
	read(t, ctx, s, "a")[1].Data[0] = 'X'
	wantRoom(t, ctx, s, "a", Records("a", 1, 2))
}

func testRoomLists(t *testing.T, ctx context.Context, s persist.Store) {
	live, err := s.LiveRooms(ctx)
	must(t, err)
	if len(live) != 0 {
		t.Fatalf("an empty store has live rooms: %v", live)
	}
	for _, room := range []string{"r1", "r2", "r3", "r4"} {
		must(t, s.AppendRecords(ctx, Records(room, 1, 2)))
	}
	other := Record("r5", 1)
	other.Data = []byte(`{"host":"u2"}`)
	plain := rooms.Record{Room: "plain", Index: 1, Kind: "chat.sent", At: 1, Data: []byte(`{}`)}
	must(t, s.AppendRecords(ctx, []rooms.Record{other, plain}))
	closed := rooms.Record{Room: "r2", Index: 3, Kind: rooms.KindRoomClosed, At: 99}
	must(t, s.AppendRecords(ctx, []rooms.Record{closed}))

	live, err = s.LiveRooms(ctx)
	must(t, err)
	if want := []string{"r1", "r3", "r4", "r5"}; !slices.Equal(live, want) {
		t.Fatalf("live rooms are %v, want %v", live, want)
	}
	all, err := s.Rooms(ctx, 100)
	must(t, err)
	want := []persist.RoomInfo{
		{Room: "plain", Records: 1},
		{Room: "r5", Owner: "u2", CreatedAt: other.At, Records: 1},
		{Room: "r4", Owner: "u1", CreatedAt: other.At, Records: 2},
		{Room: "r3", Owner: "u1", CreatedAt: other.At, Records: 2},
		{Room: "r2", Owner: "u1", CreatedAt: other.At, ClosedAt: 99, Records: 3},
		{Room: "r1", Owner: "u1", CreatedAt: other.At, Records: 2},
	}
	if !slices.Equal(all, want) {
		t.Fatalf("got  %+v\nwant %+v", all, want)
	}
	few, err := s.Rooms(ctx, 2)
	must(t, err)
	if !slices.Equal(few, want[:2]) {
		t.Fatalf("got %+v, want the newest two", few)
	}
	mine, err := s.RoomsOf(ctx, "u1", 3)
	must(t, err)
	if !slices.Equal(mine, want[2:5]) {
		t.Fatalf("got %+v, want the newest three of u1", mine)
	}
}

func testBigBatch(t *testing.T, ctx context.Context, s persist.Store) {
	const inRooms, each = 7, 3001
	var batch []rooms.Record
	for i := uint64(1); i <= each; i++ {
		for r := range inRooms {
			batch = append(batch, Record(fmt.Sprint("r", r), i))
		}
	}
	big := rooms.Record{Room: "big", Index: 1, Kind: "x", Data: bytes.Repeat([]byte("0123456789abcdef"), 1<<16)} // 1 MiB
	must(t, s.AppendRecords(ctx, append(batch, big)))
	for r := range inRooms {
		wantRoom(t, ctx, s, fmt.Sprint("r", r), Records(fmt.Sprint("r", r), 1, each))
	}
	wantRoom(t, ctx, s, "big", []rooms.Record{big})
}

func testAppendersAtOnce(t *testing.T, ctx context.Context, s persist.Store) {
	const appenders, each = 16, 25
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			room := fmt.Sprint("r", a)
			for i := uint64(1); i <= each; i++ {
				if err := s.AppendRecords(ctx, Records(room, i, i)); err != nil {
					t.Errorf("room %s index %d: %v", room, i, err)
					return
				}
				bad := Record(room, i) // a neighbour in the same transaction that is refused
				bad.At--
				if err := s.AppendRecords(ctx, []rooms.Record{bad}); !errors.Is(err, persist.ErrConflict) {
					t.Errorf("room %s index %d again: %v, want a conflict", room, i, err)
				}
			}
		})
	}
	wg.Wait()
	for a := range appenders {
		wantRoom(t, ctx, s, fmt.Sprint("r", a), Records(fmt.Sprint("r", a), 1, each))
	}
}

func testReadersBesideAWriter(t *testing.T, ctx context.Context, s persist.Store) {
	const batches, perBatch = 40, 25
	var durable atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for durable.Load() < batches*perBatch && !t.Failed() {
				atLeast := durable.Load()
				var n uint64
				err := s.ReadRoom(ctx, "a", func(r rooms.Record) error {
					if n++; r.Index != n {
						return fmt.Errorf("index %d after %d", r.Index, n-1)
					}
					return nil
				})
				if err != nil || n < atLeast || n%perBatch != 0 {
					t.Errorf("a reader saw %d records (%d were durable, batches of %d): %v", n, atLeast, perBatch, err)
					return
				}
			}
		})
	}
	for i := uint64(0); i < batches; i++ {
		if err := s.AppendRecords(ctx, Records("a", i*perBatch+1, (i+1)*perBatch)); err != nil {
			t.Error(err)
			break
		}
		durable.Store((i + 1) * perBatch)
	}
	wg.Wait()
}

// testTwoOwnersRace: two writers believe that they own the room. Each index has one winner, and the log is one of the
// two at every place.
func testTwoOwnersRace(t *testing.T, ctx context.Context, s persist.Store) {
	const each = 50
	var wg sync.WaitGroup
	var won [2]atomic.Uint64
	for owner := range 2 {
		wg.Go(func() {
			for i := uint64(1); i <= each; i++ {
				r := Record("a", i)
				r.At = int64(owner)
				err := s.AppendRecords(ctx, []rooms.Record{r})
				switch {
				case err == nil:
					won[owner].Add(1)
				case errors.Is(err, persist.ErrConflict):
				default:
					t.Errorf("owner %d index %d: %v", owner, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(read(t, ctx, s, "a")); n != each || won[0].Load()+won[1].Load() != each {
		t.Fatalf("%d records, %d and %d won, want %d in all", n, won[0].Load(), won[1].Load(), each)
	}
}

// testMatchesModel appends random batches and compares with a plain map.
func testMatchesModel(t *testing.T, ctx context.Context, s persist.Store) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		model := map[string][]rooms.Record{}
		names := []string{fmt.Sprint("a", run), fmt.Sprint("b", run), fmt.Sprint("c", run)}
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			staged := map[string][]rooms.Record{}
			for _, name := range names {
				staged[name] = slices.Clone(model[name])
			}
			var batch []rooms.Record
			var want error
			for range rapid.IntRange(0, 80).Draw(t, "records") {
				name := rapid.SampledFrom(names).Draw(t, "room")
				have := uint64(len(staged[name]))
				back := rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, 1, 3}).Draw(t, "back")
				r := Record(name, max(have+1-min(have, back), 1))
				if rapid.IntRange(0, 150).Draw(t, "fault") == 0 {
					r.At++
				}
				if rapid.IntRange(0, 150).Draw(t, "gap") == 0 {
					r.Index += have + 2
				}
				batch = append(batch, r)
				switch {
				case want != nil:
				case r.Index > have+1:
					want = persist.ErrGap
				case r.Index == have+1:
					staged[name] = append(staged[name], r)
				case !sameRecord(staged[name][r.Index-1], r):
					want = persist.ErrConflict
				}
			}
			if err := s.AppendRecords(ctx, batch); !errors.Is(err, want) {
				t.Fatalf("got error %v, want %v", err, want)
			}
			if want == nil {
				model = staged
			}
		}
		for _, name := range names {
			var got []rooms.Record
			if err := s.ReadRoom(ctx, name, func(r rooms.Record) error { got = append(got, r); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, model[name], sameRecord) {
				t.Fatalf("room %s: got %v, want %v", name, got, model[name])
			}
		}
	})
}

func testCancelled(t *testing.T, ctx context.Context, s persist.Store) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	wantErr(t, s.AppendRecords(ctx, Records("a", 1, 1)), context.Canceled)
	wantErr(t, s.ReadRoom(ctx, "a", func(rooms.Record) error { return nil }), context.Canceled)
	wantRoom(t, context.Background(), s, "a", nil)
}

func testClosed(t *testing.T, ctx context.Context, s persist.Store) {
	must(t, s.AppendRecords(ctx, Records("a", 1, 1)))
	must(t, s.Check(ctx))
	if v, err := s.SchemaVersion(ctx); err != nil || v < 1 {
		t.Fatalf("schema version %d, %v", v, err)
	}
	must(t, s.Close())
	wantErr(t, s.AppendRecords(ctx, Records("a", 2, 2)), persist.ErrClosed)
	wantErr(t, s.ReadRoom(ctx, "a", func(rooms.Record) error { return nil }), persist.ErrClosed)
	_, err := s.LiveRooms(ctx)
	wantErr(t, err, persist.ErrClosed)
	must(t, s.Close())
}
