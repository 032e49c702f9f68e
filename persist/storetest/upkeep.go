package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"lectern/persist"
	"lectern/rooms"
)

// closeRoom ends a room that has n records.
func closeRoom(t *testing.T, ctx context.Context, s persist.Store, room string, n uint64, at int64) {
	t.Helper()
	must(t, s.AppendRecords(ctx, []rooms.Record{{Room: room, Index: n + 1, Kind: rooms.KindRoomClosed, At: at}}))
}

// testForgetRooms: what was closed long ago goes, with its records, and nothing else does.
func testForgetRooms(t *testing.T, ctx context.Context, s persist.Store) {
	const old = 120 // more than one call takes
	for i := range old {
		room := fmt.Sprint("old", i)
		must(t, s.AppendRecords(ctx, Records(room, 1, 3)))
		closeRoom(t, ctx, s, room, 3, int64(1000+i))
	}
	must(t, s.AppendRecords(ctx, Records("live", 1, 3)))
	must(t, s.AppendRecords(ctx, Records("young", 1, 3)))
	closeRoom(t, ctx, s, "young", 3, 5000)
	must(t, s.AppendRecords(ctx, []rooms.Record{{Room: "plain", Index: 1, Kind: "x"}}))
	gone := 0
	for {
		n, err := s.ForgetRooms(ctx, 5000)
		must(t, err)
		if gone += n; n == 0 {
			break
		}
	}
	if gone != old {
		t.Fatalf("%d rooms were forgotten, want %d", gone, old)
	}
	all, err := s.Rooms(ctx, 1000)
	must(t, err)
	var names []string
	for _, r := range all {
		names = append(names, r.Room)
	}
	if !slices.Equal(names, []string{"plain", "young", "live"}) {
		t.Fatalf("left are %v", names)
	}
	wantRoom(t, ctx, s, "old7", nil)
	wantRoom(t, ctx, s, "live", Records("live", 1, 3))
	must(t, s.AppendRecords(ctx, Records("old7", 1, 2))) // nothing is remembered of it
	must(t, s.AppendRecords(ctx, Records("live", 4, 5)))
	wantRoom(t, ctx, s, "old7", Records("old7", 1, 2))
	must(t, s.Check(ctx))
}

func wantAlive(t *testing.T, ctx context.Context, s persist.Store, want int64) {
	t.Helper()
	if at, err := s.LastAlive(ctx); err != nil || at != want {
		t.Fatalf("last alive at %d, %v, want %d", at, err, want)
	}
}

func testAlive(t *testing.T, ctx context.Context, s persist.Store) {
	wantAlive(t, ctx, s, 0)
	must(t, s.MarkAlive(ctx, 1000))
	must(t, s.MarkAlive(ctx, 3000))
	must(t, s.MarkAlive(ctx, 2000)) // a clock that was set back
	wantAlive(t, ctx, s, 3000)
}
