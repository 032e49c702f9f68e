package main

import (
	"path/filepath"
	"strings"
	"testing"

	"lectern/persist"
	"lectern/persist/pgtest"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
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
