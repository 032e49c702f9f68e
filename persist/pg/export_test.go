package pg

import (
	"context"

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

// AppendByCopy and AppendByArrays are AppendRecords of new records by one of its two ways.
func (s *Store) AppendByCopy(ctx context.Context, recs []rooms.Record) error {
	return s.appendBy(ctx, recs, s.storeByCopy)
}

// AppendByArrays is the other.
func (s *Store) AppendByArrays(ctx context.Context, recs []rooms.Record) error {
	return s.appendBy(ctx, recs, s.storeByArrays)
}

func (s *Store) appendBy(ctx context.Context, recs []rooms.Record,
	store func(context.Context, *plan, []rooms.Record) error,
) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	p, err := s.plan(ctx, recs)
	if err != nil {
		return err
	}
	if err = store(ctx, p, recs); err == nil {
		s.remember(p)
	}
	return err
}
