package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"lectern/persist"
	"lectern/rooms"
)

// spoolVersion is the format of a spool file, its user_version.
const spoolVersion = 1

const spoolSchema = `
CREATE TABLE IF NOT EXISTS spooled (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which records were taken
    room TEXT    NOT NULL,
    idx  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    kind TEXT    NOT NULL,
    data BLOB    NOT NULL,
    sum  INTEGER NOT NULL -- CRC-32C of all of it
) STRICT;
CREATE INDEX IF NOT EXISTS spooled_room ON spooled (room, idx);
CREATE TABLE IF NOT EXISTS refused (
    seq    INTEGER PRIMARY KEY,
    room   TEXT    NOT NULL,
    idx    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    data   BLOB    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS notes (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;`

// Spool is a file of records that wait for another store. Any goroutine may use it; its calls take turns.
type Spool struct {
	store *Store // for messages only
	lock  *os.File

	mu     sync.Mutex
	db     *sql.DB
	closed bool
}

// OpenSpool opens a spool file, making it where it is missing. It refuses one that is damaged, and one that another
// server uses. Every commit is on the disk when it returns.
func OpenSpool(ctx context.Context, path string) (*Spool, error) {
	s := &Spool{store: &Store{cfg: Config{Path: path}}}
	if err := s.open(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("the spool (spool.file): %w", err)
	}
	return s, nil
}

func (s *Spool) open(ctx context.Context) (err error) {
	path := s.store.cfg.Path
	if err := prepareFile(path); err != nil {
		return err
	}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return err
	}
	escaped := (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	s.db, err = sql.Open("sqlite", "file:"+escaped+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_dqs=0&"+
		"_defensive=1&mode=rw")
	if err != nil {
		return s.store.explain("open", err)
	}
	s.db.SetMaxOpenConns(1)
	if err := s.store.quickCheck(ctx, s.db); err != nil {
		return err
	}
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return s.store.explain("read the version", err)
	}
	if version > spoolVersion {
		return fmt.Errorf("sqlite: %s was written by a newer lectern (version %d, this one knows %d): run that version "+
			"until the spool is empty", path, version, spoolVersion)
	}
	if _, err := s.db.ExecContext(ctx, spoolSchema); err != nil {
		return s.store.explain("make the tables", err)
	}
	_, err = s.db.ExecContext(ctx, "PRAGMA user_version = 1")
	return s.store.explain("note the version", err)
}

// do runs f in its turn.
func (s *Spool) do(doing string, f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return persist.ErrClosed
	}
	return s.store.explain(doing, f())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is the checksum of a record: its texts are set apart by their lengths.
func sumOf(r *rooms.Record) int64 {
	var head []byte
	head = binary.AppendUvarint(head, uint64(len(r.Room)))
	head = append(head, r.Room...)
	head = binary.AppendUvarint(head, r.Index)
	head = binary.AppendVarint(head, r.At)
	head = binary.AppendUvarint(head, uint64(len(r.Kind)))
	head = append(head, r.Kind...)
	return int64(crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, r.Data))
}

// Append keeps recs behind what is there, all or none.
func (s *Spool) Append(ctx context.Context, recs []rooms.Record) error {
	return s.do("spool records", func() error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		insert, err := tx.PrepareContext(ctx, "INSERT INTO spooled (room, idx, at, kind, data, sum) VALUES (?,?,?,?,?,?)")
		if err != nil {
			return err
		}
		defer insert.Close()
		for i := range recs {
			r := &recs[i]
			values := []any{r.Room, int64(r.Index), r.At, r.Kind, blob(r.Data), sumOf(r)}
			if _, err := insert.ExecContext(ctx, values...); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

const selectSpooled = "SELECT seq, room, idx, at, kind, data, sum FROM spooled "

// nextBytesMax is how much Next reads at once, beside the last record.
const nextBytesMax = 4 << 20

// Next gives the oldest records, at most limit and about 4 MiB, and what Remove takes once they are stored elsewhere.
func (s *Spool) Next(ctx context.Context, limit int) (recs []rooms.Record, upTo int64, err error) {
	err = s.do("read the spool", func() error {
		recs, upTo, err = s.query(ctx, nextBytesMax, selectSpooled+"ORDER BY seq LIMIT ?", limit)
		return err
	})
	return recs, upTo, err
}

// Room gives a room's records, the oldest first.
func (s *Spool) Room(ctx context.Context, room string) (recs []rooms.Record, err error) {
	err = s.do("read the spool", func() error {
		recs, _, err = s.query(ctx, math.MaxInt, selectSpooled+"WHERE room = ? ORDER BY seq", room)
		return err
	})
	return recs, err
}

// query reads spooled records until they have bytesMax. One whose checksum is wrong is an error: it must not be taken
// for what was recorded.
func (s *Spool) query(ctx context.Context, bytesMax int, query string, args ...any) (
	recs []rooms.Record, last int64, err error,
) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for bytesMax > 0 && rows.Next() {
		var r rooms.Record
		var index, sum int64
		if err := rows.Scan(&last, &r.Room, &index, &r.At, &r.Kind, &r.Data, &sum); err != nil {
			return nil, 0, err
		}
		r.Index = uint64(index)
		if sum != sumOf(&r) {
			return nil, 0, s.store.damaged(fmt.Sprintf("wrong checksum: room %q, record %d", r.Room, r.Index))
		}
		recs = append(recs, r)
		bytesMax -= len(r.Data) + len(r.Room) + len(r.Kind)
	}
	return recs, last, rows.Err()
}

// Remove forgets the records up to a place that Next gave.
func (s *Spool) Remove(ctx context.Context, upTo int64) error {
	return s.do("empty the spool", func() error {
		_, err := s.db.ExecContext(ctx, "DELETE FROM spooled WHERE seq <= ?", upTo)
		return err
	})
}

// Refuse sets all records of a room aside, with the reason: the store that they are for doesn't take them. They stay in
// the file for whoever runs the server.
func (s *Spool) Refuse(ctx context.Context, room, reason string) (n int, err error) {
	err = s.do("set records aside", func() error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO refused (seq, room, idx, at, kind, data, reason) "+
			"SELECT seq, room, idx, at, kind, data, ? FROM spooled WHERE room = ?", reason, room); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "DELETE FROM spooled WHERE room = ?", room)
		if err != nil {
			return err
		}
		gone, err := result.RowsAffected()
		if err != nil {
			return err
		}
		n = int(gone)
		return tx.Commit()
	})
	return n, err
}

// SpoolTail is the range of a room's spooled indexes.
type SpoolTail = persist.SpoolTail

// Tails gives the range of every room that has records here, and the size of all (persist.SpoolBytes).
func (s *Spool) Tails(ctx context.Context) (tails map[string]SpoolTail, records, bytes int64, err error) {
	err = s.do("read the spool", func() error {
		rows, err := s.db.QueryContext(ctx, "SELECT room, min(idx), max(idx), count(*), "+
			"sum(length(data) + length(CAST(kind AS BLOB)) + length(CAST(room AS BLOB))) FROM spooled GROUP BY room")
		if err != nil {
			return err
		}
		defer rows.Close()
		tails = make(map[string]SpoolTail)
		for rows.Next() {
			var room string
			var first, last, n, size int64
			if err := rows.Scan(&room, &first, &last, &n, &size); err != nil {
				return err
			}
			tails[room] = SpoolTail{First: uint64(first), Last: uint64(last)}
			records += n
			bytes += size + n*persist.SpoolOverheadBytes
		}
		return rows.Err()
	})
	return tails, records, bytes, err
}

// Lives lists the rooms whose creation or end is spooled, in that order.
func (s *Spool) Lives(ctx context.Context) (created, closed []string, err error) {
	err = s.do("read the spool", func() error {
		rows, err := s.db.QueryContext(ctx, "SELECT room, kind = ? FROM spooled WHERE kind IN (?, ?) ORDER BY seq",
			rooms.KindRoomCreated, rooms.KindRoomCreated, rooms.KindRoomClosed)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var room string
			var begins bool
			if err := rows.Scan(&room, &begins); err != nil {
				return err
			}
			if begins {
				created = append(created, room)
			} else {
				closed = append(closed, room)
			}
		}
		return rows.Err()
	})
	return created, closed, err
}

// Refused is how many records are set aside.
func (s *Spool) Refused(ctx context.Context) (n int64, err error) {
	err = s.do("read the spool", func() error {
		return s.db.QueryRowContext(ctx, "SELECT count(*) FROM refused").Scan(&n)
	})
	return n, err
}

// Note keeps a named value; Noted gives it back, empty when there is none.
func (s *Spool) Note(ctx context.Context, name, value string) error {
	return s.do("write a note", func() error {
		_, err := s.db.ExecContext(ctx, "INSERT INTO notes (name, value) VALUES (?, ?) "+
			"ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
		return err
	})
}

// Noted gives a value that Note has kept.
func (s *Spool) Noted(ctx context.Context, name string) (value string, err error) {
	err = s.do("read a note", func() error {
		err := s.db.QueryRowContext(ctx, "SELECT value FROM notes WHERE name = ?", name).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return value, err
}

// Path is the file.
func (s *Spool) Path() string { return s.store.cfg.Path }

// Close folds the WAL into the file and releases the lock.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
