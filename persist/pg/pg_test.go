package pg_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/storetest"
	"lectern/rooms"
)

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

func open(tb testing.TB, cfg pg.Config) *pg.Store {
	tb.Helper()
	s, err := pg.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (persist.Store, func() persist.Store) {
		t.Parallel() // each has a database of its own, and most of the time is spent on making those
		url := pgtest.Shared(t).Database(t)
		s := open(t, pg.Config{URL: url})
		return s, func() persist.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, pg.Config{URL: url})
		}
	})
}

// TestMonthsAreDropped: a month whose rooms were all closed long ago goes as a table; one with a room that lives stays,
// without the rooms that were closed.
func TestMonthsAreDropped(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	url := p.Database(t)
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	s := open(t, pg.Config{URL: url, Now: func() time.Time { return now }})
	for month := range 3 {
		for i := range 3 {
			room := fmt.Sprintf("m%dr%d", month, i)
			recs := storetest.Records(room, 1, 10)
			if month != 1 || i != 1 {
				recs = append(recs, rooms.Record{Room: room, Index: 11, Kind: rooms.KindRoomClosed, At: int64(month*100 + i + 1)})
			}
			if err := s.AppendRecords(t.Context(), recs); err != nil {
				t.Fatal(err)
			}
		}
		now = now.AddDate(0, 1, 0)
	}
	tables := "SELECT string_agg(relid::text, ' ' ORDER BY relid::text) FROM pg_partition_tree('records') WHERE isleaf"
	if got := p.SQL(t, databaseOf(url), tables); got != "records_202601 records_202602 records_202603" {
		t.Fatalf("the partitions are %s", got)
	}
	for _, want := range []int{3, 2, 0} { // January whole, two of February
		if n, err := s.ForgetRooms(t.Context(), 200); err != nil || n != want {
			t.Fatalf("%d rooms were forgotten, want %d: %v", n, want, err)
		}
	}
	if got := p.SQL(t, databaseOf(url), tables); got != "records_202602 records_202603" {
		t.Errorf("the partitions are %s", got)
	}
	if got := p.SQL(t, databaseOf(url), "SELECT count(*) FROM records"); got != "43" {
		t.Errorf("%s records are left, want 43", got)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	now = time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC) // a clock that was set back to a month that is gone
	if err := s.AppendRecords(t.Context(), storetest.Records("again", 1, 5)); err != nil {
		t.Error(err)
	}
}
