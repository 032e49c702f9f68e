package search_test

import (
	"testing"

	"lectern/persist/search"
	"lectern/persist/search/searchtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	searchtest.Run(t, func(*testing.T) search.Index { return search.NewMemory() })
}
