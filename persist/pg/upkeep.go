package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// forgetMax is how many rooms of a month that can't be dropped whole one transaction forgets.
const forgetMax = 50

// ForgetRooms implements persist.Store. A month in which every room was closed before the time goes by dropping its
// partition; of other months the rooms go one by one.
func (s *Store) ForgetRooms(ctx context.Context, closedBefore int64) (gone int, err error) {
	s.appending.Lock() // no append may count on a row or a partition that goes
	defer s.appending.Unlock()
	defer clear(s.rooms)
	defer clear(s.partitions)
	err = s.inTx(ctx, "forget old rooms", func(ctx context.Context, tx pgx.Tx) error {
		gone = 0
		month, err := dueMonth(ctx, tx, closedBefore)
		if err != nil {
			return err
		}
		if month != 0 {
			if _, err := tx.Exec(ctx, "SELECT drop_partition($1)", month); err != nil {
				return err
			}
			tag, err := tx.Exec(ctx, "DELETE FROM rooms WHERE born = $1", month)
			gone = int(tag.RowsAffected())
			return err
		}
		tag, err := tx.Exec(ctx, "WITH old AS (DELETE FROM rooms WHERE id IN (SELECT id FROM rooms "+
			"WHERE closed_at <> 0 AND closed_at < $1 ORDER BY closed_at, id LIMIT $2) RETURNING born, id), "+
			"freed AS (DELETE FROM records r USING old WHERE r.born = old.born AND r.room_id = old.id) "+
			"SELECT FROM old", closedBefore, forgetMax)
		gone = int(tag.RowsAffected())
		return err
	})
	return gone, err
}

// dueMonth finds a month before the present one in which every room was closed before the time; 0 when there is none.
func dueMonth(ctx context.Context, tx pgx.Tx, closedBefore int64) (month int32, err error) {
	err = tx.QueryRow(ctx, "SELECT coalesce(min(born), 0) FROM (SELECT born FROM rooms GROUP BY born "+
		"HAVING bool_and(closed_at <> 0 AND closed_at < $1)) due "+
		"WHERE born < (SELECT max(born) FROM rooms)", closedBefore).Scan(&month)
	return month, err
}

// MarkAlive implements persist.Store.
func (s *Store) MarkAlive(ctx context.Context, at int64) error {
	return s.write(ctx, "note the time", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "INSERT INTO alive (until) VALUES ($1) "+
			"ON CONFLICT (one) DO UPDATE SET until = greatest(alive.until, excluded.until)", at)
		return err
	})
}

// LastAlive implements persist.Store.
func (s *Store) LastAlive(ctx context.Context) (at int64, err error) {
	err = s.call(ctx, "read the time", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT coalesce(max(until), 0) FROM alive").Scan(&at)
	})
	return at, err
}

// Identity names this database, wherever it is reached; a copy of it has the same.
func (s *Store) Identity(ctx context.Context) (name string, err error) {
	err = s.call(ctx, "read the identity", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT name::text FROM identity").Scan(&name)
	})
	return name, err
}
