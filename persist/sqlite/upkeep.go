package sqlite

import (
	"context"
)

// forgetMax is how many rooms one transaction forgets: other writes wait for it.
const forgetMax = 50

// ForgetRooms implements persist.Store.
func (s *Store) ForgetRooms(ctx context.Context, closedBefore int64) (gone int, err error) {
	err = s.write(ctx, "forget old rooms", func(w *writer) error {
		gone = 0
		const old = "(SELECT id FROM rooms WHERE closed_at <> 0 AND closed_at < ? ORDER BY closed_at, id LIMIT ?)"
		if err := w.execText("DELETE FROM records WHERE room_id IN "+old, closedBefore, forgetMax); err != nil {
			return err
		}
		result, err := w.conn.ExecContext(context.Background(), "DELETE FROM rooms WHERE id IN "+old, closedBefore, forgetMax)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if gone = int(n); gone > 0 {
			w.rooms.clear()
		}
		return err
	})
	return gone, err
}

// MarkAlive implements persist.Store.
func (s *Store) MarkAlive(ctx context.Context, at int64) error {
	return s.write(ctx, "note the time", func(w *writer) error {
		return w.execText("INSERT INTO alive (one, until) VALUES (1, ?) "+
			"ON CONFLICT (one) DO UPDATE SET until = max(until, excluded.until)", at)
	})
}

// LastAlive implements persist.Store.
func (s *Store) LastAlive(ctx context.Context) (at int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT coalesce(max(until), 0) FROM alive").Scan(&at)
	return at, s.explain("read the time", err)
}
