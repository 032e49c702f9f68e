package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"lectern/persist"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config is a Store's settings. Path is required.
type Config struct {
	Path        string           // of the database file; made, with its folder, when missing
	Synchronous string           // "full" (default) or "normal"
	BusyTimeout time.Duration    // how long to wait for another process's lock; default 5 s
	Readers     int              // connections of the read pool; default 4
	SkipCheck   bool             // don't look for damage when opening
	ReadOnly    bool             // for tools beside a running server: no lock, no migration, writes fail
	Now         func() time.Time // for the time of quiz changes; default time.Now
}

// Store implements persist.Store. Any goroutine may use it.
type Store struct {
	cfg  Config
	lock *os.File // nil when read-only
	w    *writer  // nil when read-only
	read *sql.DB
}

var _ persist.Store = (*Store)(nil)

// Open opens the database, checks it for damage, and brings its schema up to date. Errors say what to do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.BusyTimeout <= 0 {
		cfg.BusyTimeout = 5 * time.Second
	}
	if cfg.Readers <= 0 {
		cfg.Readers = 4
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Synchronous = strings.ToUpper(cfg.Synchronous)
	if cfg.Synchronous == "" {
		cfg.Synchronous = "FULL"
	}
	if cfg.Synchronous != "FULL" && cfg.Synchronous != "NORMAL" {
		return nil, fmt.Errorf("sqlite: synchronous must be full or normal, not %q", strings.ToLower(cfg.Synchronous))
	}
	if cfg.Path == "" {
		return nil, errors.New("sqlite: no path: name the database file, for example data/lectern.db")
	}
	s := &Store{cfg: cfg}
	var err error
	if cfg.ReadOnly {
		err = s.openReadOnly(ctx)
	} else {
		err = s.openWritable(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openWritable(ctx context.Context) error {
	if err := prepareFile(s.cfg.Path); err != nil {
		return err
	}
	lock, err := lockFile(s.cfg.Path + ".lock")
	if err != nil {
		return err
	}
	s.lock = lock
	db, err := sql.Open("sqlite", s.dsn("_journal_mode=WAL", "_synchronous="+s.cfg.Synchronous, "_foreign_keys=on",
		// 16 MiB of cache, or a big batch spills into the WAL before its commit; a checkpoint every 16 MiB, not every
		// 4.
		"_pragma=cache_size(-16384)", "_pragma=wal_autocheckpoint(4096)"))
	if err != nil {
		return s.explain("open", err)
	}
	db.SetMaxOpenConns(1)
	s.w = &writer{store: s, db: db, turn: make(chan struct{}, 1)}
	if !s.cfg.SkipCheck {
		if err := s.quickCheck(ctx, db); err != nil {
			return err
		}
	}
	if err := s.migrate(ctx, db); err != nil {
		return err
	}
	if err := s.w.prepare(ctx); err != nil {
		return s.explain("prepare", err)
	}
	return s.openReaders()
}

func (s *Store) openReadOnly(ctx context.Context) error {
	if _, err := os.Stat(s.cfg.Path); err != nil {
		return fmt.Errorf("sqlite: there is no database to read: %w", err)
	}
	if err := s.openReaders(); err != nil {
		return err
	}
	have, want, err := s.versions(ctx, s.read)
	if err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("sqlite: %s has schema version %d, this program needs %d: run lectern migrate first",
			s.cfg.Path, have, want)
	}
	return s.checkSchema(ctx, s.read)
}

func (s *Store) openReaders() error {
	read, err := sql.Open("sqlite", s.dsn("_query_only=on"))
	if err != nil {
		return s.explain("open", err)
	}
	read.SetMaxOpenConns(s.cfg.Readers)
	read.SetMaxIdleConns(s.cfg.Readers)
	s.read = read
	return nil
}

// dsn is a URI with the path escaped, so that a ? or % in a file's name is no parameter.
func (s *Store) dsn(params ...string) string {
	params = append(params, fmt.Sprintf("_busy_timeout=%d", s.cfg.BusyTimeout.Milliseconds()), "_dqs=0", "_defensive=1",
		"mode=rw")
	path := (&url.URL{Path: filepath.ToSlash(s.cfg.Path)}).EscapedPath()
	return "file:" + path + "?" + strings.Join(params, "&")
}

func prepareFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("sqlite: can't make the data folder %s: %w; make it yourself and give it to this user, or name "+
			"another database with --store sqlite:FILE", dir, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("sqlite: can't write %s: %w; give the file and its folder to the user that runs the server, "+
			"or name another database with --store sqlite:FILE", path, err)
	}
	return fmt.Errorf("sqlite: can't open %s for writing: %w; name another database with --store sqlite:FILE", path, err)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
}

func (s *Store) migrate(ctx context.Context, db *sql.DB) error {
	p, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("sqlite: read the migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return s.explain("read the schema version", err)
	}
	if have > want {
		return s.tooNew(have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return s.explain("bring the schema up to date", err)
	}
	return s.checkSchema(ctx, db)
}

func (s *Store) tooNew(have, want int64) error {
	return fmt.Errorf("sqlite: %s was written by a newer lectern (schema version %d, this one knows %d): run that "+
		"version, or restore a backup from before the upgrade", s.cfg.Path, have, want)
}

// versions reads the schema's version without writing anything.
func (s *Store) versions(ctx context.Context, db *sql.DB) (have, want int64, err error) {
	p, err := newProvider(db)
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: read the migrations: %w", err)
	}
	for _, source := range p.ListSources() {
		want = max(want, source.Version)
	}
	const query = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"
	err = db.QueryRowContext(ctx, query).Scan(&have)
	if err != nil {
		return 0, 0, s.explain("read the schema version", err)
	}
	if have > want {
		return 0, 0, s.tooNew(have, want)
	}
	return have, want, nil
}

// SchemaVersion implements persist.Store.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	have, _, err := s.versions(ctx, s.read)
	return have, err
}

// Check implements persist.Store: SQLite's integrity_check, which reads the whole file.
func (s *Store) Check(ctx context.Context) error {
	return s.checkWith(ctx, s.read, "PRAGMA integrity_check(1)")
}

func (s *Store) quickCheck(ctx context.Context, db *sql.DB) error {
	return s.checkWith(ctx, db, "PRAGMA quick_check(1)")
}

func (s *Store) checkWith(ctx context.Context, db *sql.DB, pragma string) error {
	var result string
	if err := db.QueryRowContext(ctx, pragma).Scan(&result); err != nil {
		return s.explain("check", err)
	}
	if result != "ok" {
		return s.damaged(result)
	}
	return nil
}

// Close waits for the write under way, folds the WAL into the file and releases the lock.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}
