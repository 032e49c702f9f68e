package pg

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed schema.txt
var wantedSchema string

// migrateTimeout is for all migrations together: one may have to rewrite a large table.
const migrateTimeout = 10 * time.Minute

// provider is goose's, with its session lock, so that two servers that start at once don't migrate at once.
func (s *Store) provider() (p *goose.Provider, done func(), err error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, nil, err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	p, err = goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithDisableGlobalRegistry(true),
		goose.WithSessionLocker(locker))
	if err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("pg: read the migrations: %w", err)
	}
	return p, func() { _ = db.Close() }, nil
}

// migrate brings the schema up to date and checks that it is the one that this program knows.
func (s *Store) migrate(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	p, done, err := s.provider()
	if err != nil {
		return err
	}
	defer done()
	have, want, err := p.GetVersions(limited)
	if err != nil {
		return s.explain(ctx, "read the schema version", err)
	}
	if have > want {
		return s.tooNew(have, want)
	}
	if _, err := p.Up(limited); err != nil {
		return s.explain(ctx, "bring the schema up to date", err)
	}
	return s.checkSchema(ctx)
}

func (s *Store) tooNew(have, want int64) error {
	return fmt.Errorf("pg: the database %s was written by a newer lectern (schema version %d, this one knows %d): run "+
		"that version, or restore a backup from before the upgrade", s.database, have, want)
}

// newestVersion is the version that this program's migrations lead to.
func newestVersion() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("pg: read the migrations: %w", err)
	}
	return goose.NumericComponent(strings.TrimPrefix(files[len(files)-1], "migrations/"))
}

// checkVersion is for a store that migrates nothing.
func (s *Store) checkVersion(ctx context.Context) error {
	want, err := newestVersion()
	if err != nil {
		return err
	}
	have, err := s.SchemaVersion(ctx)
	switch {
	case codeOf(err) == codeNoTable:
		return fmt.Errorf("pg: the database %s is empty: run lectern migrate, or start the server once", s.database)
	case err != nil:
		return err
	case have > want:
		return s.tooNew(have, want)
	case have < want:
		return fmt.Errorf("pg: the database %s has schema version %d, this program needs %d: run lectern migrate first",
			s.database, have, want)
	}
	return s.checkSchema(ctx)
}

// SchemaVersion implements persist.Store.
func (s *Store) SchemaVersion(ctx context.Context) (version int64, err error) {
	err = s.call(ctx, "read the schema version", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").
			Scan(&version)
	})
	return version, err
}

// schemaQuery lists the columns and the unique keys of our tables. Further tables are nobody's business.
const schemaQuery = "SELECT 'column ' || c.relname || '.' || a.attname || ' ' || " +
	"format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN '' ELSE ' null' END " +
	"FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped " +
	"WHERE c.oid = ANY(ARRAY(SELECT to_regclass(t) FROM unnest($1::text[]) t)) " +
	"UNION ALL SELECT 'key ' || c.relname || ' ' || pg_get_constraintdef(k.oid) " +
	"FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f') " +
	"WHERE c.oid = ANY(ARRAY(SELECT to_regclass(t) FROM unnest($1::text[]) t)) " +
	"UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p " +
	"WHERE p.proname = ANY($2) AND p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('rooms'))"

// names lists the tables and functions that schema.txt speaks of.
func names(schema string) (tables, functions []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(schema) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name := strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == ' ' || r == '(' })
		if len(name) == 0 || seen[name[0]] {
			continue
		}
		seen[name[0]] = true
		if kind == "function" {
			functions = append(functions, name[0])
		} else {
			tables = append(tables, name[0])
		}
	}
	return tables, functions
}

// schema lists what is there of our tables, in no order.
func (s *Store) schema(ctx context.Context) (lines []string, err error) {
	tables, functions := names(wantedSchema)
	err = s.call(ctx, "read the schema", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, schemaQuery, tables, functions)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return lines, err
}

// checkSchema refuses a schema that somebody has changed: what is written to it would be lost or refused later.
func (s *Store) checkSchema(ctx context.Context) error {
	lines, err := s.schema(ctx)
	if err != nil {
		return err
	}
	have := make(map[string]bool, len(lines))
	for _, line := range lines {
		have[line] = true
	}
	var faults []string
	for line := range strings.Lines(wantedSchema) {
		if line = strings.TrimSpace(line); line != "" && !have[line] {
			faults = append(faults, "missing: "+line)
		}
		delete(have, line)
	}
	for line := range have {
		faults = append(faults, "too much: "+line)
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("pg: the schema of the database %s was changed by hand (%s): undo that, or restore a backup",
		s.database, strings.Join(faults[:min(len(faults), 3)], "; "))
}
