package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/persist/search"
	"lectern/rooms"
)

// searchVersion is the version of searchSchema. An index of another version is dropped and built again.
const searchVersion = 1

// searchSchema is apart from the records' migrations: the index is derived, and a schema of its own can be dropped
// whole. Words come with their places as a tsvector that is written out, so PostgreSQL's parsers and dictionaries,
// which differ with the locale, have no say.
const searchSchema = `
CREATE SCHEMA lectern_search;
CREATE TABLE lectern_search.texts (
    room   text    NOT NULL,
    doc    text    NOT NULL,
    kind   text    NOT NULL,
    number integer NOT NULL,
    author text    NOT NULL,
    name   text    NOT NULL,
    body   text    NOT NULL,
    at     bigint  NOT NULL,
    asked  boolean NOT NULL,
    words  tsvector NOT NULL,
    PRIMARY KEY (room, doc)
);
CREATE INDEX texts_words ON lectern_search.texts USING gin (words);
CREATE TABLE lectern_search.places (room text PRIMARY KEY, up_to bigint NOT NULL);
CREATE TABLE lectern_search.version (version integer NOT NULL);
INSERT INTO lectern_search.version (version) VALUES (1);`

// SearchConfig is a Search's settings. URL is required.
type SearchConfig struct {
	URL     string        // as in Config
	Conns   int           // connections of its pool; default 2
	Timeout time.Duration // of one call; default 5 s
}

// Search is a search.Index on PostgreSQL with a pool of its own, so that it takes no connection from
// the journal.
type Search struct {
	cfg   SearchConfig
	pool  *pgxpool.Pool
	where string
}

var _ search.Index = (*Search)(nil)

// OpenSearch connects, and makes the index's schema where it is missing or of another version. The user needs the right
// to create a schema in the database.
func OpenSearch(ctx context.Context, cfg SearchConfig) (*Search, error) {
	if cfg.Conns <= 0 {
		cfg.Conns = 2
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("pg: search: %w", hidePassword(err))
	}
	conn := pool.ConnConfig
	conn.ConnectTimeout = cfg.Timeout
	// A lost commit is indexed again: the index need not wait for the disk.
	conn.RuntimeParams["synchronous_commit"] = "off"
	conn.RuntimeParams["application_name"] = "lectern search"
	pool.MaxConns = int32(cfg.Conns)
	s := &Search{cfg: cfg, where: "PostgreSQL at " + net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port)))}
	if s.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, s.fault("connect", err)
	}
	if err := s.inTx(ctx, "make the search index", s.prepare); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// searchLock keeps two processes from making the schema at the same time.
const searchLock = 0x6c656374_73726368

func (s *Search) prepare(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(searchLock)); err != nil {
		return err
	}
	var there bool
	err := tx.QueryRow(ctx, "SELECT to_regclass('lectern_search.version') IS NOT NULL").Scan(&there)
	if err != nil {
		return err
	}
	if there {
		var version int
		err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM lectern_search.version").Scan(&version)
		if err != nil || version == searchVersion {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS lectern_search CASCADE"); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, searchSchema)
	return err
}

func (s *Search) inTx(ctx context.Context, doing string, f func(context.Context, pgx.Tx) error) error {
	return s.call(ctx, doing, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return f(ctx, tx) })
	})
}

func (s *Search) call(ctx context.Context, doing string, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.fault(doing, f(limited))
}

func (s *Search) fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pg: %s: %s: %w", s.where, doing, hidePassword(err))
}

// Apply implements search.Index.
func (s *Search) Apply(ctx context.Context, changes []search.Changes) error {
	return s.inTx(ctx, "index texts", func(ctx context.Context, tx pgx.Tx) error {
		var batch pgx.Batch
		for _, c := range changes {
			for i := range c.List {
				queueText(&batch, c.Room, &c.List[i])
			}
			batch.Queue("INSERT INTO lectern_search.places (room, up_to) VALUES ($1, $2) "+
				"ON CONFLICT (room) DO UPDATE SET up_to = excluded.up_to", encodeText(c.Room), int64(c.UpTo))
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
}

func queueText(batch *pgx.Batch, room string, c *rooms.TextChange) {
	room, id := encodeText(room), encodeText(c.ID)
	switch d := &c.Doc; c.Change {
	case rooms.TextPut:
		batch.Queue("INSERT INTO lectern_search.texts "+
			"(room, doc, kind, number, author, name, body, at, asked, words) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::tsvector) ON CONFLICT (room, doc) DO UPDATE SET "+
			"kind = excluded.kind, number = excluded.number, author = excluded.author, name = excluded.name, "+
			"body = excluded.body, at = excluded.at, asked = excluded.asked, words = excluded.words",
			room, id, d.Kind, d.Number, encodeText(d.User), encodeText(d.Name), encodeText(d.Text), d.At, d.Asked,
			vector(d.Text))
	case rooms.TextEdit:
		batch.Queue("UPDATE lectern_search.texts SET body = $3, words = $4::text::tsvector WHERE room = $1 AND doc = $2",
			room, id, encodeText(d.Text), vector(d.Text))
	case rooms.TextDelete:
		batch.Queue("DELETE FROM lectern_search.texts WHERE room = $1 AND doc = $2", room, id)
	case rooms.TextAsked:
		batch.Queue("UPDATE lectern_search.texts SET asked = true WHERE room = $1 AND doc = $2", room, id)
	}
}

// vectorPlacesMax is the last place of a word that PostgreSQL keeps; later ones count as this one.
const vectorPlacesMax = 16_383

// vector writes a text's words as a tsvector: 'wien':1 'an':2. Words are letters, digits and marks, so nothing needs an
// escape.
func vector(text string) string {
	var b strings.Builder
	for i, t := range search.Tokens(text) {
		fmt.Fprintf(&b, "'%s':%d ", t.Word, min(i+1, vectorPlacesMax))
	}
	return b.String()
}

// tsquery writes terms as a tsquery: 'wien':* & ('an' <-> 'der').
func tsquery(terms []search.Term) string {
	var b strings.Builder
	for i, term := range terms {
		if i > 0 {
			b.WriteString(" & ")
		}
		b.WriteByte('(')
		for j, word := range term.Words {
			if j > 0 {
				b.WriteString(" <-> ")
			}
			b.WriteString("'" + word + "'")
		}
		if term.Prefix {
			b.WriteString(":*")
		}
		b.WriteByte(')')
	}
	return b.String()
}

// UpTo implements search.Index.
func (s *Search) UpTo(ctx context.Context, room string) (upTo uint64, err error) {
	err = s.call(ctx, "read the search index", func(ctx context.Context) error {
		var n int64
		err := s.pool.QueryRow(ctx, "SELECT up_to FROM lectern_search.places WHERE room = $1", encodeText(room)).Scan(&n)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		upTo = uint64(n)
		return err
	})
	return upTo, err
}

// Search implements search.Index.
func (s *Search) Search(ctx context.Context, q search.Query) ([]search.Hit, error) {
	in := make([]string, len(q.Rooms))
	for i, room := range q.Rooms {
		in[i] = encodeText(room)
	}
	hits := []search.Hit{}
	err := s.call(ctx, "search", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT room, doc, kind, number, author, name, body, at, asked "+
			"FROM lectern_search.texts WHERE words @@ $1::text::tsquery AND room = ANY($2) "+
			"AND (cardinality($3::text[]) = 0 OR kind = ANY($3)) AND (asked OR NOT $4) "+
			"ORDER BY at DESC, room COLLATE \"C\", doc COLLATE \"C\" LIMIT $5",
			tsquery(q.Terms), in, append([]string{}, q.Kinds...), q.AskedOnly, q.Limit)
		if err != nil {
			return err
		}
		var h search.Hit
		_, err = pgx.ForEachRow(rows, []any{
			&h.Room, &h.ID, &h.Kind, &h.Number, &h.User, &h.Name, &h.Text.Text, &h.At, &h.Asked,
		}, func() error {
			h.Room, h.ID, h.User = decodeText(h.Room), decodeText(h.ID), decodeText(h.User)
			h.Name, h.Text.Text = decodeText(h.Name), decodeText(h.Text.Text)
			hits = append(hits, h)
			return nil
		})
		return err
	})
	return hits, err
}

// Rooms implements search.Index.
func (s *Search) Rooms(ctx context.Context) (list []string, err error) {
	err = s.call(ctx, "list the rooms of the search index", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT room FROM lectern_search.places")
		if err == nil {
			list, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	for i := range list {
		list[i] = decodeText(list[i])
	}
	return list, err
}

// Forget implements search.Index: a transaction for each room, so that a large one does not take the others' time.
func (s *Search) Forget(ctx context.Context, list []string) error {
	for _, room := range list {
		err := s.inTx(ctx, "forget a room", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM lectern_search.texts WHERE room = $1", encodeText(room))
			if err == nil {
				_, err = tx.Exec(ctx, "DELETE FROM lectern_search.places WHERE room = $1", encodeText(room))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Reset implements search.Index.
func (s *Search) Reset(ctx context.Context) error {
	return s.call(ctx, "empty the search index", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "TRUNCATE lectern_search.texts, lectern_search.places")
		return err
	})
}

// Close implements search.Index.
func (s *Search) Close() error {
	s.pool.Close()
	return nil
}
