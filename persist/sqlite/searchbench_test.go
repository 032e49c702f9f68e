package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"lectern/persist/search"
	"lectern/rooms"
)

// BenchmarkSearch looks for a word that is in every text, in one room of many: the worst a query can ask.
func BenchmarkSearch(b *testing.B) {
	s, err := OpenSearch(b.Context(), filepath.Join(b.TempDir(), "x.search"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const roomCount, each = 200, 1000
	for r := range roomCount {
		c := search.Changes{Room: fmt.Sprintf("room%d", r), UpTo: each}
		for n := range each {
			c.List = append(c.List, rooms.TextChange{ID: fmt.Sprintf("m%d", n), Doc: rooms.Text{
				Kind: rooms.TextMessage, Text: fmt.Sprintf("the message number%d of the room", n), At: int64(n), Asked: true,
			}})
		}
		if err := s.Apply(b.Context(), []search.Changes{c}); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]string{"common": "the", "rare": "number77"} {
		terms, refused := search.Parse(q)
		if refused != nil {
			b.Fatal(refused)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				hits, err := s.Search(b.Context(), search.Query{Terms: terms, Rooms: []string{"room7"}, Limit: 50})
				if err != nil || len(hits) == 0 {
					b.Fatal(len(hits), err)
				}
			}
		})
	}
}
