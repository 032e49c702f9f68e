package pg

import "context"

// Schema lists the columns, keys and functions of the tables and functions named.
func (s *Store) Schema(ctx context.Context) ([]string, error) { return s.schema(ctx) }

// WantedSchema is the text that the schema is held to.
func WantedSchema() string { return wantedSchema }

// EncodeText and DecodeText are how strings are stored.
var (
	EncodeText = encodeText
	DecodeText = decodeText
)
