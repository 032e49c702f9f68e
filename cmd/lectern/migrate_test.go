package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lectern/persist"
	"lectern/persist/pgtest"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
)

// One command moves a school from SQLite to PostgreSQL and back, checks itself, and never writes over anything.
func TestMoveToPostgreSQL(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t, "fsync=off")
	dir := t.TempDir()
	file := filepath.Join(dir, "a.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, t.Context(), s)
	want, err := persist.Summarise(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	url := p.Database(t)
	_, stderr := wants(t, 1, "migrate", "--from", "sqlite:"+file, "--to", url)
	if !strings.Contains(stderr, "in use by another lectern") {
		t.Errorf("a store is moved under a server: %s", stderr)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stdout, _ := wants(t, 0, "migrate", "--from", "sqlite:"+file, "--to", url)
	if !strings.Contains(stdout, want.String()) || strings.Contains(stdout, pgtest.Password) {
		t.Errorf("it says %s, want %s", stdout, want)
	}
	_, stderr = wants(t, 1, "migrate", "--from", "sqlite:"+file, "--to", url)
	if !strings.Contains(stderr, "not empty") || !strings.Contains(stderr, "706 records") {
		t.Errorf("a second time: %s", stderr)
	}
	stdout, _ = wants(t, 0, "migrate", "--from", url, "--to", "sqlite:"+filepath.Join(dir, "b.db"))
	if !strings.Contains(stdout, want.String()) {
		t.Errorf("back: %s", stdout)
	}
	_, stderr = wants(t, 1, "migrate", "--from", "sqlite:"+filepath.Join(dir, "no.db"), "--to", url)
	if !strings.Contains(stderr, "nothing to move") {
		t.Errorf("a source that is not there: %s", stderr)
	}
	wants(t, 2, "migrate", "--from", url)
	wants(t, 2, "migrate", "--from", "memory", "--to", url)
	wants(t, 2, "migrate", "--from", "mysql:x", "--to", url)
}

// TestMoveLeavesNothingInTheSpool: what was acknowledged while PostgreSQL was away is nowhere but in the spool, and a
// move that goes by it would lose it.
func TestMoveLeavesNothingInTheSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "spool.db")
	spool, err := sqlite.OpenSpool(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	recs := []rooms.Record{{Room: "r", Index: 3, Kind: "k", At: 1, Data: []byte("{}")}}
	if err := spool.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if err := spool.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "lectern.yaml")
	if err := os.WriteFile(config, []byte("spool:\n  file: "+file+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr := wants(t, 1, "migrate", "--config", config, "--from", "postgres://nobody@127.0.0.1:1/none",
		"--to", "sqlite:"+filepath.Join(dir, "b.db"))
	if !strings.Contains(stderr, "holds 1 records that the database does not have yet") {
		t.Errorf("it says %s", stderr)
	}
}
