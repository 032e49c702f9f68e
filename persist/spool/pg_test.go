package spool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/spool"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
)

// overPG is the store as the server has it: PostgreSQL with a spool in front.
func overPG(t *testing.T, url, path string, logs *logBuffer) *spool.Store {
	t.Helper()
	log := slog.New(slog.NewTextHandler(logs, nil))
	primary, err := pg.Open(t.Context(), pg.Config{URL: url, Timeout: time.Second, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	origin, err := primary.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := sqlite.OpenSpool(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(t.Context(), primary, file, spool.Config{
		Origin: origin, ProbeEvery: 20 * time.Millisecond, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestPostgreSQLAway: the real thing is stopped, frozen, killed and made read-only under a journal that writes on. All
// records are acknowledged, and in the end PostgreSQL has each of them once.
func TestPostgreSQLAway(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t, "fsync=off")
	url := p.Database(t)
	logs := new(logBuffer)
	s := overPG(t, url, filepath.Join(t.TempDir(), "spool.db"), logs)
	j := persist.New(s, persist.Config{Logger: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- j.Run(context.Background()) }()
	var acknowledged atomic.Uint64
	index := uint64(0)
	write := func(n int) { // one after the other, as a quiz that goes on
		t.Helper()
		for range n {
			index++
			done := make(chan error, 1)
			recs := []rooms.Record{storetest.Record("a", index), storetest.Record("b", index)}
			if err := j.Append(recs, func(err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatalf("record %d: %v", index, err)
			}
			acknowledged.Add(2)
		}
	}
	back := func() {
		t.Helper()
		eventually(t, "the spool is empty", func() bool { write(1); return s.State() == persist.SpoolDirect })
	}
	for name, outage := range map[string]struct{ begin, end func() }{
		"stopped": {p.StopGently, func() { start(t, p) }},
		"killed":  {p.Stop, func() { start(t, p) }},
		"frozen":  {p.Freeze, p.Thaw},
		"read-only": {
			func() { readOnly(t, p, url, "on") }, func() { readOnly(t, p, url, "off") },
		},
	} {
		outages := s.SpoolStats().Outages
		write(20)
		outage.begin()
		write(100)
		if got := s.SpoolStats(); got.State == persist.SpoolDirect || got.Records < 100 || got.Outages != outages+1 {
			t.Errorf("%s: %+v", name, got)
		}
		outage.end()
		back()
	}
	if err := errors.Join(j.Close(t.Context()), <-ended); err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"a", "b"} {
		if n := len(contents(t, s, room)); uint64(n) != index {
			t.Errorf("room %s has %d records of %d", room, n, index)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := logs.count("the database is away;"); n != 4 {
		t.Errorf("the log says %d times that the database is away, after 4 outages", n)
	}
}

func start(t *testing.T, p *pgtest.Instance) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

// readOnly makes a database refuse writes, as one that has become a standby does.
func readOnly(t *testing.T, p *pgtest.Instance, url, value string) {
	t.Helper()
	_, name, _ := strings.Cut(url, "/test")
	name, _, _ = strings.Cut(name, "?")
	p.SQL(t, "postgres", fmt.Sprintf("ALTER DATABASE test%s SET default_transaction_read_only = %s", name, value))
	p.SQL(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lectern'")
}

// TestRestartWithSpool: the server dies while PostgreSQL is away. The next one writes what was spooled first.
func TestRestartWithSpool(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t, "fsync=off")
	url, path := p.Database(t), filepath.Join(t.TempDir(), "spool.db")
	s := overPG(t, url, path, new(logBuffer))
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 1, 10)); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	for i := uint64(11); i <= 30; i++ {
		if err := s.AppendRecords(t.Context(), storetest.Records("a", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close()
	start(t, p)
	logs := new(logBuffer)
	s = overPG(t, url, path, logs)
	if n := len(contents(t, s, "a")); n != 30 || logs.count("records from before the start") != 1 {
		t.Errorf("%d records of 30; the log says\n%s", n, &logs.text)
	}
	other := p.Database(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := overPG(t, other, path, new(logBuffer)).SpoolStats(); got.Records != 0 { // empty: it may change hands
		t.Errorf("%+v", got)
	}
}
