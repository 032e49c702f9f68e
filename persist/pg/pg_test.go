package pg_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/storetest"
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
