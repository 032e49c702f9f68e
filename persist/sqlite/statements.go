package sqlite

import (
	"context"
	"database/sql"
	"strings"
)

// rowsPerInsert is how many records one INSERT takes; the rest of a batch goes one by one. See BenchmarkAppend.
const rowsPerInsert = 64

const insertRecord = "INSERT INTO records (room_id, idx, kind, at, data) VALUES "

// statements are prepared once on the writing connection.
type statements struct {
	begin, commit, rollback        *sql.Stmt
	savepoint, rollbackTo, release *sql.Stmt

	roomByName, roomInsert, roomUpdate *sql.Stmt
	recordGet, recordInsert            *sql.Stmt
	recordInsertMany                   *sql.Stmt // rowsPerInsert rows

	familyInsert, familyByToken, familyRotate, familyRevoke, tokenInsert *sql.Stmt

	all []*sql.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) error {
	many := insertRecord + strings.TrimSuffix(strings.Repeat("(?,?,?,?,?),", rowsPerInsert), ",")
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.savepoint, "SAVEPOINT one"},
		{&s.rollbackTo, "ROLLBACK TO one"},
		{&s.release, "RELEASE one"},
		{&s.roomByName, "SELECT id, owner, created_at, closed_at, records FROM rooms WHERE room = ?"},
		{&s.roomInsert, "INSERT INTO rooms (room) VALUES (?) RETURNING id"},
		{&s.roomUpdate, "UPDATE rooms SET owner = ?, created_at = ?, closed_at = ?, records = ? WHERE id = ?"},
		{&s.recordGet, "SELECT kind, at, data FROM records WHERE room_id = ? AND idx = ?"},
		{&s.recordInsert, insertRecord + "(?,?,?,?,?)"},
		{&s.recordInsertMany, many},
		{&s.familyInsert, "INSERT INTO refresh_families (id, subject, name, role, room, created_at, expires_at, " +
			"revoked_at, newest) VALUES (?,?,?,?,?,?,?,?,?)"},
		{&s.familyByToken, "SELECT f.id, f.subject, f.name, f.role, f.room, f.created_at, f.expires_at, f.revoked_at, " +
			"f.newest = ?, f.previous = ?, f.spent_at " +
			"FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family WHERE t.hash = ?"},
		{&s.familyRotate, "UPDATE refresh_families SET newest = ?, previous = ?, spent_at = ?, " +
			"expires_at = ? WHERE id = ?"},
		{&s.familyRevoke, "UPDATE refresh_families SET revoked_at = ? WHERE id = ?"},
		{&s.tokenInsert, "INSERT INTO refresh_tokens (hash, family) VALUES (?, ?)"},
	} {
		stmt, err := conn.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.into = stmt
		s.all = append(s.all, stmt)
	}
	return nil
}

func (s *statements) close() {
	for _, stmt := range s.all {
		_ = stmt.Close()
	}
}

// exec runs a prepared statement: all that it is given are values.
func (w *writer) exec(s *sql.Stmt, args ...any) error {
	values := args
	_, err := s.ExecContext(context.Background(), values...)
	return err
}

// row runs a prepared statement that gives at most one row.
func (w *writer) row(s *sql.Stmt, args ...any) *sql.Row {
	values := args
	return s.QueryRowContext(context.Background(), values...)
}
