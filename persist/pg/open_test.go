package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/storetest"
	"lectern/rooms"
)

// TestSchemaFile holds schema.txt to what the migrations make.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	s := open(t, pg.Config{URL: p.Database(t)})
	lines, err := s.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	if got := strings.Join(lines, "\n") + "\n"; got != pg.WantedSchema() || len(lines) < 50 {
		t.Errorf("schema.txt should be:\n%s", got)
	}
}

// wantAdvice checks that opening fails with a message that says what is wrong and what to do, and keeps the password.
func wantAdvice(t *testing.T, cfg pg.Config, parts ...string) {
	t.Helper()
	s, err := pg.Open(t.Context(), cfg)
	if err == nil {
		_ = s.Close()
		t.Fatal("the database was opened")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q doesn't say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), pgtest.Password) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func databaseOf(url string) string {
	_, rest, _ := strings.Cut(url, "test")
	n, _, _ := strings.Cut(rest, "?")
	return "test" + n
}

func TestCanNotBeOpened(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	good := p.Database(t)
	wrong := strings.Replace(good, pgtest.Password, "wrong-word", 1)
	wantAdvice(t, pg.Config{URL: wrong}, "refuses the user or the password", "setting store", "pg_hba.conf")
	if _, err := pg.Open(t.Context(), pg.Config{URL: wrong}); strings.Contains(err.Error(), "wrong-word") {
		t.Errorf("the error shows the password: %v", err)
	}
	wantAdvice(t, pg.Config{URL: p.URL("nowhere")}, "does not exist", "createdb -E UTF8 nowhere")
	wantAdvice(t, pg.Config{URL: "postgres://u:" + pgtest.Password + "@h:port/db"}, "can't be read", "USER:PASSWORD@HOST")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "postgres://u:p@" + l.Addr().String() + "/db?sslmode=disable"
	slow := pg.Config{URL: nobody, Timeout: 200 * time.Millisecond}
	wantAdvice(t, slow, "did not answer within 200ms", "postgres.timeout")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantAdvice(t, pg.Config{URL: nobody}, "can't be reached", l.Addr().String())

	p.SQL(t, "postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	wantAdvice(t, pg.Config{URL: p.URL("latin")}, "LATIN1", "createdb -E UTF8")
	p.SQL(t, "postgres", "CREATE ROLE guest LOGIN PASSWORD '"+pgtest.Password+"'")
	guest := strings.Replace(good, "lectern:", "guest:", 1)
	wantAdvice(t, pg.Config{URL: guest}, "may not do this", "OWNER TO")
	wantAdvice(t, pg.Config{URL: good, ReadOnly: true}, "empty", "lectern migrate")
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	url := p.Database(t)
	if err := open(t, pg.Config{URL: url}).Close(); err != nil {
		t.Fatal(err)
	}
	p.SQL(t, databaseOf(url), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	wantAdvice(t, pg.Config{URL: url}, "newer lectern", "999", "backup")
	wantAdvice(t, pg.Config{URL: url, ReadOnly: true}, "newer lectern", "999")
	p.SQL(t, databaseOf(url), "DELETE FROM goose_db_version WHERE version_id > 0")
	wantAdvice(t, pg.Config{URL: url, ReadOnly: true}, "schema version 0", "lectern migrate")
}

func TestSchemaChangedByHand(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	for _, c := range []struct{ change, said string }{
		{"ALTER TABLE rooms DROP COLUMN closed_at", "missing: column rooms.closed_at bigint"},
		{"ALTER TABLE records ALTER COLUMN kind TYPE varchar(10)", "missing: column records.kind text"},
		{"ALTER TABLE quizzes ADD COLUMN rating integer NOT NULL", "too much: column quizzes.rating integer"},
		{"DROP TABLE refresh_tokens", "missing: column refresh_tokens.hash"},
		{"ALTER TABLE records DROP CONSTRAINT records_pkey", "missing: key records PRIMARY KEY"},
		{"DROP FUNCTION claim_rooms", "missing: function claim_rooms"},
	} {
		url := p.Database(t)
		if err := open(t, pg.Config{URL: url}).Close(); err != nil {
			t.Fatal(err)
		}
		p.SQL(t, databaseOf(url), "CREATE TABLE somebody_elses (a integer)") // that is allowed
		if err := open(t, pg.Config{URL: url}).Close(); err != nil {
			t.Fatal(err)
		}
		p.SQL(t, databaseOf(url), c.change)
		wantAdvice(t, pg.Config{URL: url}, "changed by hand", c.said, "backup")
		wantAdvice(t, pg.Config{URL: url, ReadOnly: true}, "changed by hand", c.said)
	}
}

func TestSecondServer(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Database(t)
	first := open(t, pg.Config{URL: url})
	wantAdvice(t, pg.Config{URL: url}, "in use by another lectern", "stop it")
	if err := first.AppendRecords(t.Context(), storetest.Records("a", 1, 5)); err != nil {
		t.Fatal(err)
	}
	tool := open(t, pg.Config{URL: url, ReadOnly: true})
	n := 0
	if err := tool.ReadRoom(t.Context(), "a", func(rooms.Record) error { n++; return nil }); err != nil || n != 5 {
		t.Errorf("the tool read %d records, %v", n, err)
	}
	if err := tool.AppendRecords(t.Context(), storetest.Records("a", 6, 6)); err == nil {
		t.Error("the tool could write")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, pg.Config{URL: url})
}

// TestFence: a server whose lock was lost goes on writing beside the one that took its place. No index is written
// twice, and whoever comes second is told so.
func TestFence(t *testing.T) {
	t.Parallel()
	p := pgtest.Shared(t)
	url := p.Database(t)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	old := open(t, pg.Config{URL: url, Logger: quiet})
	if err := old.AppendRecords(t.Context(), storetest.Records("a", 1, 3)); err != nil {
		t.Fatal(err)
	}
	p.SQL(t, databaseOf(url), "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "+
		"AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	fresh := open(t, pg.Config{URL: url, Logger: quiet})
	theirs := storetest.Record("a", 4)
	theirs.Data = []byte(`{"of":"the new one"}`)
	if err := fresh.AppendRecords(t.Context(), []rooms.Record{theirs}); err != nil {
		t.Fatal(err)
	}
	batch := slices.Concat(storetest.Records("b", 1, 2), storetest.Records("a", 4, 5))
	if err := old.AppendRecords(t.Context(), batch); !errors.Is(err, persist.ErrConflict) {
		t.Fatalf("the old server wrote on: %v", err)
	}
	if err := old.AppendRecords(t.Context(), storetest.Records("a", 6, 6)); !errors.Is(err, persist.ErrGap) {
		t.Fatalf("the old server wrote on: %v", err)
	}
	var kinds []string
	err := fresh.ReadRoom(t.Context(), "a", func(r rooms.Record) error {
		kinds = append(kinds, string(r.Data))
		return nil
	})
	if err != nil || len(kinds) != 4 || kinds[3] != `{"of":"the new one"}` {
		t.Errorf("%v, %v", kinds, err)
	}
	if live, err := fresh.LiveRooms(t.Context()); err != nil || len(live) != 1 {
		t.Errorf("the refused batch left traces: %v, %v", live, err)
	}
}

// TestAwayAndBack: what is asked while the database is down fails with ErrUnavailable, and all is well afterwards.
func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t, "fsync=off")
	url := p.Database(t)
	var log strings.Builder
	s := open(t, pg.Config{URL: url, Timeout: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 1, 3)); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	err := s.AppendRecords(t.Context(), storetest.Records("a", 4, 6))
	if !errors.Is(err, persist.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
	err = s.ReadRoom(t.Context(), "a", func(rooms.Record) error { return nil })
	if !errors.Is(err, persist.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
	if _, err := s.LoadKeys(t.Context()); !errors.Is(err, persist.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 4, 6)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.Freeze()
	began := time.Now()
	err = s.AppendRecords(ctx, storetest.Records("a", 7, 9))
	p.Thaw()
	if !errors.Is(err, persist.ErrUnavailable) || time.Since(began) > 30*time.Second {
		t.Fatalf("a database that doesn't answer: %v after %s", err, time.Since(began))
	}
	// Whether the frozen commit took place is not known; doing it again is right either way.
	if err := s.AppendRecords(ctx, storetest.Records("a", 7, 9)); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	err = s.ReadRoom(ctx, "a", func(r rooms.Record) error {
		if n++; r.Index != n {
			return fmt.Errorf("index %d after %d", r.Index, n-1)
		}
		return nil
	})
	if err != nil || n != 9 {
		t.Fatalf("%d records, %v", n, err)
	}
}

func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.SampledFrom([]byte("ab\\x0\x00\xff\xc3\xa4n"))).Draw(t, "bytes"))
		e := pg.EncodeText(s)
		if pg.DecodeText(e) != s || strings.Contains(e, "\x00") || strings.ToValidUTF8(e, "") != e {
			t.Fatalf("%q is stored as %q and read as %q", s, e, pg.DecodeText(e))
		}
	})
	if s := "Fräulein 'x' \"1\""; pg.EncodeText(s) != s {
		t.Error("an ordinary name is not stored as it is")
	}
}
