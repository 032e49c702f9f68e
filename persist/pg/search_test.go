package pg_test

import (
	"testing"

	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/search"
	"lectern/persist/search/searchtest"
)

func TestSearch(t *testing.T) {
	searchtest.Run(t, func(t *testing.T) search.Index {
		s, err := pg.OpenSearch(t.Context(), pg.SearchConfig{URL: pgtest.Shared(t).Database(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

// TestSearchLivesBesideTheStore: the index is no part of what the store checks, and survives until its version changes.
func TestSearchLivesBesideTheStore(t *testing.T) {
	url := pgtest.Shared(t).Database(t)
	for range 2 {
		s, err := pg.OpenSearch(t.Context(), pg.SearchConfig{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		upTo, err := s.UpTo(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), []search.Changes{{Room: "r", UpTo: upTo + 1}}); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		store := open(t, pg.Config{URL: url})
		if err := store.Check(t.Context()); err != nil {
			t.Errorf("beside a search index: %v", err)
		}
		_ = store.Close()
		if upTo > 1 {
			t.Errorf("up to %d", upTo)
		}
	}
	s, err := pg.OpenSearch(t.Context(), pg.SearchConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if upTo, err := s.UpTo(t.Context(), "r"); err != nil || upTo != 2 {
		t.Errorf("%d %v", upTo, err)
	}
}
