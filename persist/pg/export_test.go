package pg

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern/rooms"
)

// Schema lists the columns, keys and functions of the tables and functions named.
func (s *Store) Schema(ctx context.Context) ([]string, error) { return s.schema(ctx) }

// WantedSchema is the text that the schema is held to.
func WantedSchema() string { return wantedSchema }

// EncodeText and DecodeText are how strings are stored.
var (
	EncodeText = encodeText
	DecodeText = decodeText
)

// AppendByCopy is AppendRecords with COPY for the records, which takes a transaction of several round trips.
func (s *Store) AppendByCopy(ctx context.Context, recs []rooms.Record) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	p, err := s.plan(ctx, recs)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		b := new(pgx.Batch)
		p.queueRooms(b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		columns := []string{"born", "room_id", "idx", "at", "kind", "data"}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"records"}, columns, pgx.CopyFromSlice(len(p.fresh),
			func(i int) ([]any, error) {
				r := &recs[p.fresh[i]]
				row := &p.claims[r.Room].row
				return []any{row.born, row.id, int64(r.Index), r.At, encodeText(r.Kind), blob(r.Data)}, nil
			}))
		return err
	})
	if err == nil {
		s.remember(p)
	}
	return err
}
