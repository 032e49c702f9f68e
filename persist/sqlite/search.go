package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"lectern/persist/search"
	"lectern/rooms"
)

// searchSchema is made anew when its version is another: the index is derived and is built again from the records.
const (
	searchVersion = 2
	searchSchema  = `
CREATE TABLE texts (
    id     INTEGER PRIMARY KEY,
    room   TEXT    NOT NULL,
    doc    TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    user   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    asked  INTEGER NOT NULL,
    UNIQUE (room, doc)
) STRICT;
CREATE TABLE places (room TEXT PRIMARY KEY, up_to INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- place is the room as one word, so that a common word costs what its own room has of it.
CREATE VIRTUAL TABLE words USING fts5 (
    folded, place, content = '', contentless_delete = 1,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
PRAGMA user_version = 2;`
)

// Search is a search.Index on SQLite's FTS5, in a file of its own beside the database, so that it shares no lock and no
// transaction with the journal. Losing it costs nothing but the time to build it again, so it is not synced.
type Search struct {
	db   *sql.DB
	path string
}

var _ search.Index = (*Search)(nil)

// OpenSearch opens the index file, and makes it when it is missing, damaged or of another version.
func OpenSearch(ctx context.Context, path string) (*Search, error) {
	s, err := openSearch(ctx, path)
	if err == nil || !useless(err) {
		return s, err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if rmErr := os.Remove(path + suffix); rmErr != nil && !os.IsNotExist(rmErr) {
			return nil, fmt.Errorf("sqlite: the search index %s can't be used (%w) nor removed: %w", path, err, rmErr)
		}
	}
	return openSearch(ctx, path)
}

// errUseless marks an index that can only be made anew.
var errUseless = errors.New("it can't be used any more")

// useless tells a damaged file from one that can't be opened now: that one may be in use, and must not be removed.
func useless(err error) bool {
	var se *driver.Error
	if errors.As(err, &se) {
		code := se.Code() & 0xff
		return code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB
	}
	return errors.Is(err, errUseless)
}

func openSearch(ctx context.Context, path string) (*Search, error) {
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	at := &Store{cfg: Config{Path: path, BusyTimeout: 5 * time.Second}} // for the escaping of its path
	db, err := sql.Open("sqlite", at.dsn("_journal_mode=WAL", "_synchronous=OFF"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: open the search index %s: %w", path, err)
	}
	s := &Search{db: db, path: path}
	if err := s.prepare(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqlite: open the search index %s: %w", path, err)
	}
	return s, nil
}

func (s *Search) prepare(ctx context.Context) error {
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch version {
	case searchVersion:
		var result string
		if err := s.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
			return err
		}
		if result != "ok" {
			return fmt.Errorf("%w: %s", errUseless, result)
		}
		return nil
	case 0:
		_, err := s.db.ExecContext(ctx, searchSchema)
		return err
	}
	return fmt.Errorf("%w: it has version %d, this program knows %d", errUseless, version, searchVersion)
}

// Apply implements search.Index.
func (s *Search) Apply(ctx context.Context, changes []search.Changes) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.fault("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, c := range changes {
		for i := range c.List {
			if err := applyText(ctx, tx, c.Room, &c.List[i]); err != nil {
				return s.fault("index a text", err)
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO places (room, up_to) VALUES (?, ?) "+
			"ON CONFLICT (room) DO UPDATE SET up_to = excluded.up_to", c.Room, int64(c.UpTo))
		if err != nil {
			return s.fault("note a room", err)
		}
	}
	return s.fault("commit", tx.Commit())
}

func applyText(ctx context.Context, tx *sql.Tx, room string, c *rooms.TextChange) error {
	switch c.Change {
	case rooms.TextAsked:
		_, err := tx.ExecContext(ctx, "UPDATE texts SET asked = 1 WHERE room = ? AND doc = ?", room, c.ID)
		return err
	case rooms.TextDelete:
		_, err := tx.ExecContext(ctx, "DELETE FROM words WHERE rowid IN (SELECT id FROM texts WHERE room = ? AND doc = ?)",
			room, c.ID)
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM texts WHERE room = ? AND doc = ?", room, c.ID)
		}
		return err
	}
	var id int64
	var err error
	if d := &c.Doc; c.Change == rooms.TextPut {
		err = tx.QueryRowContext(ctx, "INSERT INTO texts (room, doc, kind, number, user, name, text, at, asked) "+
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (room, doc) DO UPDATE SET kind = excluded.kind, "+
			"number = excluded.number, user = excluded.user, name = excluded.name, text = excluded.text, "+
			"at = excluded.at, asked = excluded.asked RETURNING id",
			room, c.ID, d.Kind, d.Number, d.User, d.Name, d.Text, d.At, d.Asked).Scan(&id)
	} else {
		err = tx.QueryRowContext(ctx, "UPDATE texts SET text = ? WHERE room = ? AND doc = ? RETURNING id",
			d.Text, room, c.ID).Scan(&id)
		if err == sql.ErrNoRows {
			return nil // deleted since
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM words WHERE rowid = ?", id)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO words (rowid, folded, place) VALUES (?, ?, ?)",
			id, search.Folded(c.Doc.Text), placeWord(room))
	}
	return err
}

// UpTo implements search.Index.
func (s *Search) UpTo(ctx context.Context, room string) (uint64, error) {
	var upTo int64
	err := s.db.QueryRowContext(ctx, "SELECT up_to FROM places WHERE room = ?", room).Scan(&upTo)
	if err == sql.ErrNoRows {
		return 0, nil
	}
	return uint64(upTo), s.fault("read", err)
}

// placeWord is a room's id as one word of letters and digits.
func placeWord(room string) string { return "x" + hex.EncodeToString([]byte(room)) }

// match is the query in the words of FTS5. Words hold letters and digits only, so the quotation marks can't be broken
// out of; it travels as a value all the same.
func match(terms []search.Term, in []string) string {
	var b strings.Builder
	if len(in) <= matchRoomsMax {
		b.WriteString("place : (")
		for i, room := range in {
			if i > 0 {
				b.WriteString(" OR ")
			}
			b.WriteString(placeWord(room))
		}
		b.WriteString(") AND ")
	}
	b.WriteString("folded : (")
	for i, t := range terms {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`"` + strings.Join(t.Words, " ") + `"`)
		if t.Prefix {
			b.WriteString(" *")
		}
	}
	b.WriteByte(')')
	return b.String()
}

// matchRoomsMax is how many rooms a query of FTS5 may name; of more, none is named.
const matchRoomsMax = 1000

// Search implements search.Index.
func (s *Search) Search(ctx context.Context, q search.Query) ([]search.Hit, error) {
	if len(q.Rooms) == 0 {
		return []search.Hit{}, nil
	}
	in, err := json.Marshal(q.Rooms)
	if err != nil {
		return nil, s.fault("search", err)
	}
	kinds, err := json.Marshal(q.Kinds)
	if err != nil {
		return nil, s.fault("search", err)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT t.room, t.doc, t.kind, t.number, t.user, t.name, t.text, t.at, t.asked "+
		"FROM words JOIN texts t ON t.id = words.rowid WHERE words MATCH ? "+
		"AND t.room IN (SELECT value FROM json_each(?)) "+
		"AND (? = 0 OR t.kind IN (SELECT value FROM json_each(?))) "+
		"AND (t.asked OR NOT ?) ORDER BY t.at DESC, t.room, t.doc LIMIT ?",
		match(q.Terms, q.Rooms), string(in), len(q.Kinds), string(kinds), q.AskedOnly, q.Limit)
	if err != nil {
		return nil, s.fault("search", err)
	}
	defer rows.Close()
	hits := []search.Hit{}
	for rows.Next() {
		var h search.Hit
		err := rows.Scan(&h.Room, &h.ID, &h.Kind, &h.Number, &h.User, &h.Name, &h.Text.Text, &h.At, &h.Asked)
		if err != nil {
			return nil, s.fault("search", err)
		}
		hits = append(hits, h)
	}
	return hits, s.fault("search", rows.Err())
}

// Rooms implements search.Index.
func (s *Search) Rooms(ctx context.Context) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT room FROM places")
	if err != nil {
		return nil, s.fault("list rooms", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var room string
		if err := rows.Scan(&room); err != nil {
			return nil, s.fault("list rooms", err)
		}
		list = append(list, room)
	}
	return list, s.fault("list rooms", rows.Err())
}

// Forget implements search.Index: a transaction for each room, because Apply waits for it.
func (s *Search) Forget(ctx context.Context, list []string) error {
	for _, room := range list {
		if err := s.forget(ctx, room); err != nil {
			return s.fault("forget a room", err)
		}
	}
	return nil
}

func (s *Search) forget(ctx context.Context, room string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, "DELETE FROM words WHERE rowid IN (SELECT id FROM texts WHERE room = ?)", room)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM texts WHERE room = ?", room)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM places WHERE room = ?", room)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// Reset implements search.Index.
func (s *Search) Reset(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM texts; DELETE FROM places; "+
		"INSERT INTO words (words) VALUES ('delete-all')")
	return s.fault("empty", err)
}

// Close implements search.Index.
func (s *Search) Close() error { return s.db.Close() }

func (s *Search) fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlite: %s in the search index %s: %w", doing, s.path, err)
}
