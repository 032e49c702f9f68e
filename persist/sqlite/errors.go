package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"lectern/persist"
	"lectern/rooms/auth"
)

// outcomes are the errors that callers test for; they need no explanation.
var outcomes = []error{
	persist.ErrConflict, persist.ErrGap, persist.ErrInvalid, persist.ErrNotFound, persist.ErrClosed,
	auth.ErrKeyExists, auth.ErrRefreshUnknown, auth.ErrRefreshExpired, auth.ErrRefreshRevoked, auth.ErrRefreshReused,
	context.Canceled, context.DeadlineExceeded,
}

// explain turns SQLite's errors into ones that say what to do.
func (s *Store) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var se *driver.Error
	if errors.As(err, &se) {
		switch se.Code() & 0xff {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return s.damaged(err.Error())
		case lib.SQLITE_FULL:
			return fmt.Errorf("sqlite: the disk of %s is full: free some space; nothing that was acknowledged is lost: %w",
				s.cfg.Path, err)
		case lib.SQLITE_READONLY:
			return fmt.Errorf("sqlite: %s can't be written: check that the disk is not mounted read-only and that "+
				"the file and its folder belong to the user that runs the server: %w", s.cfg.Path, err)
		case lib.SQLITE_CANTOPEN:
			return fmt.Errorf("sqlite: can't open %s: check that its folder exists and is writable: %w", s.cfg.Path, err)
		case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
			return fmt.Errorf("sqlite: %s is locked by another program (a backup, a sqlite3 shell): end it: %w",
				s.cfg.Path, err)
		case lib.SQLITE_IOERR:
			return fmt.Errorf("sqlite: the disk of %s reports an error: check the disk and the system's log: %w",
				s.cfg.Path, err)
		}
	}
	for _, outcome := range outcomes {
		if errors.Is(err, outcome) {
			return err
		}
	}
	if errors.Is(err, sql.ErrConnDone) || err.Error() == "sql: database is closed" {
		return persist.ErrClosed
	}
	return fmt.Errorf("sqlite: %s: %w", doing, err)
}

func (s *Store) damaged(detail string) error {
	return fmt.Errorf("sqlite: the database %s is damaged (%s): stop the server and restore a backup, or move the file "+
		"(and its -wal and -shm) away to start with an empty one", s.cfg.Path, detail)
}
