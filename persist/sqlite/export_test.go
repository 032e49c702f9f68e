package sqlite

import (
	"context"
	"fmt"
)

// LimitPages makes SQLite report a full disk beyond n pages of the file.
func (s *Store) LimitPages(ctx context.Context, n int) error {
	return s.w.do(ctx, func(w *writer) error { return w.execText(fmt.Sprintf("PRAGMA max_page_count = %d", n)) })
}

// HoldTurn keeps writes waiting until release is called.
func (s *Store) HoldTurn() (release func()) {
	s.w.turn <- struct{}{}
	return func() { <-s.w.turn }
}
