package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lectern/persist"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// wantAdvice checks that opening fails with a message that says what is wrong and what to do.
func wantAdvice(t *testing.T, cfg sqlite.Config, parts ...string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), cfg)
	if err == nil {
		_ = s.Close()
		t.Fatal("the database was opened")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q doesn't say %q", err, part)
		}
	}
}

func newDB(t *testing.T, records uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lectern.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 1, records)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// change runs SQL on the file behind the store's back.
func change(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "lectern.db")
	s := open(t, sqlite.Config{Path: path})
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 1, 1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

func TestSecondServer(t *testing.T) {
	path := newDB(t, 1)
	first := open(t, sqlite.Config{Path: path})
	wantAdvice(t, sqlite.Config{Path: path}, "in use by another lectern", fmt.Sprint(os.Getpid()), "stop it")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, sqlite.Config{Path: path})
}

func TestReadOnlyBesideAServer(t *testing.T) {
	path := newDB(t, 5)
	server := open(t, sqlite.Config{Path: path})
	tool := open(t, sqlite.Config{Path: path, ReadOnly: true})
	if err := server.AppendRecords(t.Context(), storetest.Records("a", 6, 7)); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := tool.ReadRoom(t.Context(), "a", func(rooms.Record) error { n++; return nil }); err != nil || n != 7 {
		t.Errorf("the tool read %d records, %v", n, err)
	}
	if err := tool.AppendRecords(t.Context(), storetest.Records("a", 8, 8)); err == nil {
		t.Error("the tool could write")
	}
	wantAdvice(t, sqlite.Config{Path: path + "2", ReadOnly: true}, "no database to read")
}

func TestUnwritableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantAdvice(t, sqlite.Config{Path: filepath.Join(file, "sub", "lectern.db")}, "data folder", "--store")
	wantAdvice(t, sqlite.Config{Path: t.TempDir()}, "can't open", "--store") // a folder in the file's place
	if os.Getuid() != 0 {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		wantAdvice(t, sqlite.Config{Path: filepath.Join(dir, "lectern.db")}, "can't write", "user that runs the server")
	}
}

func TestWrongSettings(t *testing.T) {
	wantAdvice(t, sqlite.Config{}, "name the database file")
	wantAdvice(t, sqlite.Config{Path: "x.db", Synchronous: "off"}, "full or normal")
}

func TestNewerSchema(t *testing.T) {
	path := newDB(t, 1)
	change(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	wantAdvice(t, sqlite.Config{Path: path}, "newer lectern", "999", "backup")
	wantAdvice(t, sqlite.Config{Path: path, ReadOnly: true}, "newer lectern", "999")
}

func TestSchemaChangedByHand(t *testing.T) {
	for _, c := range []struct{ change, said string }{
		{"ALTER TABLE rooms DROP COLUMN records", "missing: rooms.records INTEGER"},
		{"ALTER TABLE quizzes ADD COLUMN rating INTEGER", "too much: quizzes.rating INTEGER null"},
		{"DROP TABLE refresh_tokens", "missing: refresh_tokens.family TEXT"},
		{"ALTER TABLE signing_keys RENAME COLUMN pkcs8 TO key", "missing: signing_keys.pkcs8 BLOB"},
	} {
		path := newDB(t, 1)
		change(t, path, "CREATE TABLE somebody_elses (a INTEGER)") // that is allowed
		if err := open(t, sqlite.Config{Path: path}).Close(); err != nil {
			t.Fatal(err)
		}
		change(t, path, c.change)
		wantAdvice(t, sqlite.Config{Path: path}, "changed by hand", c.said, "backup")
		wantAdvice(t, sqlite.Config{Path: path, ReadOnly: true}, "changed by hand", c.said)
	}
}

func TestDamaged(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"not a database": func([]byte) []byte { return []byte(strings.Repeat("this is no database. ", 500)) },
		"header":         func(b []byte) []byte { copy(b, "SQLite rubbish  "); return b },
		"pages":          func(b []byte) []byte { clear(b[len(b)/2:]); return b },
		"cut":            func(b []byte) []byte { return b[:len(b)/3] },
	} {
		t.Run(name, func(t *testing.T) {
			path := newDB(t, 5000)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			wantAdvice(t, sqlite.Config{Path: path}, "damaged", path, "restore a backup", "move the file")
		})
	}
}

// TestFullDisk limits the file's pages, which SQLite reports as a full disk.
func TestFullDisk(t *testing.T) {
	path := newDB(t, 1)
	s := open(t, sqlite.Config{Path: path})
	if err := s.LimitPages(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	var full error
	next := uint64(2)
	for full == nil && next < 1_000_000 {
		if full = s.AppendRecords(t.Context(), storetest.Records("a", next, next+999)); full == nil {
			next += 1000
		}
	}
	if full == nil || !strings.Contains(full.Error(), "disk") || !strings.Contains(full.Error(), "free some space") {
		t.Fatalf("got error %v", full)
	}
	// What was acknowledged is there, and when there is space again, the room goes on.
	n := uint64(0)
	if err := s.ReadRoom(t.Context(), "a", func(rooms.Record) error { n++; return nil }); err != nil || n != next-1 {
		t.Fatalf("%d records, want %d: %v", n, next-1, err)
	}
	if err := s.LimitPages(t.Context(), 1_000_000); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRecords(t.Context(), storetest.Records("a", next, next+999)); err != nil {
		t.Fatal(err)
	}
}

// TestFullDiskFailsTheWholeGroup: writes that share a transaction with one that fills the disk are all refused or all
// kept, each as it is told.
func TestFullDiskFailsTheWholeGroup(t *testing.T) {
	path := newDB(t, 1)
	s := open(t, sqlite.Config{Path: path})
	if err := s.LimitPages(t.Context(), 60); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[string]bool{}
	for i := range 40 {
		wg.Go(func() {
			room := fmt.Sprint("r", i)
			err := s.AppendRecords(t.Context(), storetest.Records(room, 1, 50))
			mu.Lock()
			defer mu.Unlock()
			told[room] = err == nil
		})
	}
	wg.Wait()
	for room, stored := range told {
		n := 0
		if err := s.ReadRoom(t.Context(), room, func(rooms.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if stored && n != 50 || !stored && n != 0 {
			t.Errorf("%s was told %v and has %d records", room, stored, n)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestGivesUpWhileQueued(t *testing.T) {
	s := open(t, sqlite.Config{Path: newDB(t, 1)})
	release := s.HoldTurn()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.AppendRecords(ctx, storetest.Records("b", 1, 1)) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	release()
	if err := s.AppendRecords(t.Context(), storetest.Records("b", 1, 1)); err != nil {
		t.Error(err)
	}
}

func TestJournalOnSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lectern.db")
	s := open(t, sqlite.Config{Path: path})
	j := persist.New(s, persist.Config{})
	ended := make(chan error, 1)
	go func() { ended <- j.Run(context.Background()) }()
	done := make(chan error, 1000)
	for i := range uint64(1000) {
		if err := j.Append(storetest.Records("a", i+1, i+1), func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Close(t.Context()), <-ended, s.Close()); err != nil {
		t.Fatal(err)
	}
	again := persist.New(open(t, sqlite.Config{Path: path}), persist.Config{})
	n := 0
	if err := again.Load("a", func(rooms.Record) error { n++; return nil }); err != nil || n != 1000 {
		t.Fatalf("%d records, %v", n, err)
	}
}

// TestRefreshTokensSurviveTheMigration takes a database back to the schema in which no retries were known.
func TestRefreshTokensSurviveTheMigration(t *testing.T) {
	path := newDB(t, 0)
	change(t, path, "ALTER TABLE refresh_families DROP COLUMN spent_at")
	change(t, path, "ALTER TABLE refresh_families DROP COLUMN previous")
	change(t, path, "DROP TABLE alive")
	change(t, path, "DROP INDEX rooms_closed")
	change(t, path, "DELETE FROM goose_db_version WHERE version_id > 1")
	change(t, path, "INSERT INTO refresh_families (id, subject, name, role, room, created_at, expires_at, revoked_at, "+
		"newest) VALUES ('f', 'u', 'n', 'host', '', 1, 1000, 0, x'02"+strings.Repeat("00", 31)+"')")
	for _, first := range []string{"01", "02"} {
		change(t, path, "INSERT INTO refresh_tokens VALUES (x'"+first+strings.Repeat("00", 31)+"', 'f')")
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	use := func(old, next byte) error {
		_, err := s.RotateRefresh(t.Context(), auth.Rotation{
			Old: auth.RefreshHash{old}, Next: auth.RefreshHash{next}, At: 50, ExpiresAt: 1000, RetrySince: -10,
		})
		return err
	}
	if err := use(2, 3); err != nil {
		t.Fatal(err)
	}
	if err := use(2, 4); err != nil {
		t.Fatal(err)
	}
	if err := use(1, 5); !errors.Is(err, auth.ErrRefreshReused) {
		t.Fatalf("got %v", err)
	}
}
