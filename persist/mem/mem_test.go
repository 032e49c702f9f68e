package mem_test

import (
	"testing"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/persist/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (persist.Store, func() persist.Store) {
		s := mem.New(nil)
		t.Cleanup(func() { _ = s.Close() })
		return s, nil
	})
}
