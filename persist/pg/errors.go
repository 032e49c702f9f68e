package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"lectern/persist"
	"lectern/rooms/auth"
)

// SQLSTATE codes that are told apart; see PostgreSQL's manual, appendix A.
const (
	codeMoved         = "LE001" // claim_rooms: a room has moved on
	codeUnique        = "23505"
	codeDeadlock      = "40P01"
	codeSerialization = "40001"
	codeWrongPassword = "28P01"
	codeWrongUser     = "28000"
	codeNoDatabase    = "3D000"
	codeNoPrivilege   = "42501"
	codeNoTable       = "42P01"
	codeNoColumn      = "42703"
	codeNoFunction    = "42883"
	codeWrongType     = "42804"
	codeDiskFull      = "53100"
	codeTooMany       = "53300"
	codeReadOnly      = "25006"
	codeShutdown      = "57P01"
	codeStarting      = "57P03"
	codeCancelled     = "57014"
	codeDamaged       = "XX001"
	codeIndexDamaged  = "XX002"
	classConnection   = "08"
	codeNoPartition   = "23514"
)

// outcomes are the errors that callers test for; they need no explanation.
var outcomes = []error{
	persist.ErrConflict, persist.ErrGap, persist.ErrInvalid, persist.ErrNotFound, persist.ErrClosed, persist.ErrNotEmpty,
	auth.ErrKeyExists, auth.ErrRefreshUnknown, auth.ErrRefreshExpired, auth.ErrRefreshRevoked, auth.ErrRefreshReused,
}

func codeOf(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// explain turns errors of PostgreSQL and of the connection into ones that say what to do. ctx is the caller's: when
// that has ended, its error is the outcome. Everything else that keeps the database from answering is
// persist.ErrUnavailable.
func (s *Store) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, outcome := range outcomes {
		if errors.Is(err, outcome) {
			return err
		}
	}
	if s.closed.Load() {
		return persist.ErrClosed
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	advice, away := s.advice(err)
	if away {
		return fmt.Errorf("pg: %s: %w: %s%w", doing, persist.ErrUnavailable, advice, hidePassword(err))
	}
	return fmt.Errorf("pg: %s: %s%w", doing, advice, hidePassword(err))
}

// advice says what helps, and whether the database is away rather than wrong.
func (s *Store) advice(err error) (text string, away bool) {
	switch code := codeOf(err); code {
	case codeWrongPassword, codeWrongUser:
		return fmt.Sprintf("%s refuses the user or the password: check the setting store, and pg_hba.conf: ", s.where), false
	case codeNoDatabase:
		return fmt.Sprintf("the database does not exist: make it (createdb -E UTF8 %s): ", s.database), false
	case codeNoPrivilege:
		return fmt.Sprintf("the user may not do this: make it the owner (ALTER DATABASE %s OWNER TO …, and of its "+
			"tables): ", s.database), false
	case codeNoTable, codeNoColumn, codeNoFunction, codeWrongType:
		return "the schema was changed by hand: undo that, or restore a backup: ", false
	case codeDamaged, codeIndexDamaged:
		return "the database is damaged: see PostgreSQL's log, and restore a backup: ", false
	case codeDiskFull:
		return "the disk of PostgreSQL is full: free some space; nothing that was acknowledged is lost: ", true
	case codeTooMany:
		return "PostgreSQL has no connection left: raise max_connections, or lower postgres.conns: ", true
	case codeReadOnly:
		return "PostgreSQL only reads (a standby, or default_transaction_read_only): name the primary: ", true
	case codeShutdown, codeStarting:
		return "PostgreSQL is stopping or starting: ", true
	case codeCancelled:
		return "PostgreSQL took too long (postgres.timeout): ", true
	case "":
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Sprintf("%s did not answer within %s (postgres.timeout): ", s.where, s.cfg.Timeout), true
		}
		return fmt.Sprintf("%s can't be reached; is it running there? ", s.where), true
	default:
		return "", strings.HasPrefix(code, classConnection) || strings.HasPrefix(code, "53")
	}
}

// hidden is an error whose text may show the password.
type hidden struct {
	text string
	err  error
}

// Error is the text without the password.
func (h *hidden) Error() string { return h.text }

// Unwrap is the error as it was.
func (h *hidden) Unwrap() error { return h.err }

// hidePassword keeps what pgx says about a connection from showing the URL.
func hidePassword(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return &hidden{text: "the URL can't be read (postgres://USER:PASSWORD@HOST:PORT/DATABASE)", err: err}
	}
	return err
}
