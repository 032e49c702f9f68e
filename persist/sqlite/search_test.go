package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lectern/persist/search"
	"lectern/persist/search/searchtest"
	"lectern/rooms"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	searchtest.Run(t, func(t *testing.T) search.Index {
		return openTestSearch(t, filepath.Join(t.TempDir(), "a?b.search"))
	})
}

func openTestSearch(t *testing.T, path string) *Search {
	t.Helper()
	s, err := OpenSearch(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestSearchIsMadeAnew: a damaged index, or one of another version, is nobody's concern: it is built again.
func TestSearchIsMadeAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.search")
	changes := []search.Changes{{Room: "r", UpTo: 3, List: []rooms.TextChange{{
		ID: "m1", Doc: rooms.Text{Kind: rooms.TextMessage, Text: "hello", Asked: true},
	}}}}
	s := openTestSearch(t, path)
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"version": func() {
			if _, err := s.db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		},
		"rubbish": func() {
			_ = s.Close()
			rubbish := []byte("this is no database, and long enough to be looked at as one")
			if err := os.WriteFile(path, rubbish, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		spoil()
		s = openTestSearch(t, path)
		if upTo, err := s.UpTo(t.Context(), "r"); err != nil || upTo != 0 {
			t.Errorf("%s: %d %v", name, upTo, err)
		}
		if err := s.Apply(t.Context(), changes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that is in use, or can't be written, is left alone.
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if other, err := OpenSearch(t.Context(), path); err == nil {
		_ = other.Close() // root may do everything
	} else if _, statErr := os.Stat(path); statErr != nil {
		t.Errorf("%v, and then %v", err, statErr)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for err, want := range map[error]bool{
		errors.New("anything"): false, context.DeadlineExceeded: false, fmt.Errorf("x: %w", errUseless): true,
	} {
		if useless(err) != want {
			t.Errorf("%v: removed %v", err, !want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}
