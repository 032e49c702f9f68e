package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/persist/mem"
	"lectern/persist/search"
	"lectern/persist/storetest"
	"lectern/rooms"
)

// A machine whose clock was set back says so, and its rooms go on from where they were.
func TestClockThatWasSetBack(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		alive time.Time
		warns bool
		least time.Time
	}{
		"first start":       {time.UnixMilli(0), false, now},
		"ordinary restart":  {now.Add(-time.Minute), false, now},
		"set back an hour":  {now.Add(time.Hour), true, now.Add(time.Hour)},
		"set forward a day": {now.Add(-24 * time.Hour), false, now},
	} {
		var log strings.Builder
		a := &App{store: mem.New(nil), log: slog.New(slog.NewTextHandler(&log, nil))}
		if err := a.store.MarkAlive(t.Context(), c.alive.UnixMilli()); err != nil {
			t.Fatal(err)
		}
		if err := a.setClock(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := a.clock(); got < c.least.UnixMilli() || got > c.least.Add(time.Minute).UnixMilli() {
			t.Errorf("%s: the rooms' clock begins at %d, want %d", name, got, c.least.UnixMilli())
		}
		if warned := strings.Contains(log.String(), "timedatectl"); warned != c.warns {
			t.Errorf("%s: warned %v: %s", name, warned, log.String())
		}
	}
}

func TestOldRoomsAreDeleted(t *testing.T) {
	now := time.Now()
	a := &App{store: mem.New(nil), log: slog.New(slog.DiscardHandler), cfg: config.Default()}
	if err := a.store.AppendRecords(t.Context(), append(storetest.Records("a", 1, 2),
		rooms.Record{Room: "a", Index: 3, Kind: rooms.KindRoomClosed, At: now.Add(-2 * time.Hour).UnixMilli()})); err != nil {
		t.Fatal(err)
	}
	index := search.NewMemory()
	a.indexer = search.NewIndexer(index, a.store, a.log)
	if err := index.Apply(t.Context(), []search.Changes{{Room: "a", UpTo: 3}}); err != nil {
		t.Fatal(err)
	}
	for keep, want := range map[time.Duration]int{0: 1, 3 * time.Hour: 1} {
		a.cfg.Rooms.Keep = keep
		a.forgetRooms(t.Context(), now)
		if list, err := a.store.Rooms(t.Context(), 9); err != nil || len(list) != want {
			t.Errorf("kept for %s: %v, %v", keep, list, err)
		}
	}
	a.cfg.Rooms.Keep = time.Hour
	a.forgetRooms(t.Context(), now)
	if list, err := a.store.Rooms(t.Context(), 9); err != nil || len(list) != 0 {
		t.Errorf("an old room is kept: %v, %v", list, err)
	}
	if list, err := index.Rooms(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the search still knows an old room: %v, %v", list, err)
	}
}
