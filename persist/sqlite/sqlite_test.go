package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"lectern/persist"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, cfg sqlite.Config) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), cfg)
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
		path := filepath.Join(t.TempDir(), "data", "a%20b?c#d.db") // a name that a URI must escape
		s := open(t, sqlite.Config{Path: path})
		return s, func() persist.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, sqlite.Config{Path: path})
		}
	})
}
