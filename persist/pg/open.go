package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/persist"
)

// Config is a Store's settings. URL is required.
type Config struct {
	URL      string           // postgres://USER:PASSWORD@HOST:PORT/DATABASE, with libpq's parameters
	Conns    int              // connections of the pool; default 16. One more holds the lock
	Timeout  time.Duration    // of one call, and of connecting; default 2 s
	Patience time.Duration    // how long Open waits for a database that can't be reached yet; default none
	Async    bool             // synchronous_commit off: a crash of PostgreSQL may take the last commits
	ReadOnly bool             // for tools beside a running server: no lock, no migration, writes fail
	Now      func() time.Time // for quiz changes and the month of new rooms; default time.Now
	Logger   *slog.Logger     // a lock that was lost; default slog.Default
}

// Store implements persist.Store. Any goroutine may use it.
type Store struct {
	// Immutable.
	cfg      Config
	pool     *pgxpool.Pool
	where    string // host and port, for messages
	database string

	closed  atomic.Bool
	owner   *owner // nil when read-only
	closing sync.Once

	// Guarded by appending: one group commit at a time.
	appending  sync.Mutex
	rooms      map[string]*roomRow
	partitions map[int32]bool // that are known to be there
}

var _ persist.Store = (*Store)(nil)

func (c Config) withDefaults() Config {
	if c.Conns <= 0 {
		c.Conns = 16
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Open connects, takes the database for this server alone, and brings its schema up to date. Errors say what to do,
// and never show the password.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("pg: store: %w", hidePassword(err))
	}
	s := &Store{cfg: cfg, rooms: make(map[string]*roomRow), partitions: make(map[int32]bool)}
	conn := pool.ConnConfig
	s.database = conn.Database
	s.where = "PostgreSQL at " + net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port)))
	s.configure(conn)
	pool.MaxConns = int32(cfg.Conns)
	pool.MaxConnIdleTime = 5 * time.Minute
	pool.HealthCheckPeriod = 30 * time.Second
	if s.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, s.explain(ctx, "connect", err)
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// configure sets what every connection of this store has.
func (s *Store) configure(conn *pgx.ConnConfig) {
	conn.ConnectTimeout = s.cfg.Timeout
	params := conn.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "lectern"
	}
	// PostgreSQL itself ends what nobody waits for any more, and notices a server that is gone, so that its locks do not
	// outlive it for long.
	params["statement_timeout"] = strconv.FormatInt(max(4*s.cfg.Timeout, 10*time.Minute).Milliseconds(), 10)
	params["idle_in_transaction_session_timeout"] = strconv.FormatInt((4 * s.cfg.Timeout).Milliseconds(), 10)
	params["tcp_keepalives_idle"], params["tcp_keepalives_interval"], params["tcp_keepalives_count"] = "10", "5", "3"
	if s.cfg.Async {
		params["synchronous_commit"] = "off"
	}
	if s.cfg.ReadOnly {
		params["default_transaction_read_only"] = "on"
	}
}

// prepare brings a store that has a pool into use.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	if err := s.suitable(ctx); err != nil {
		return err
	}
	if s.cfg.ReadOnly {
		return s.checkVersion(ctx)
	}
	var err error
	if s.owner, err = s.takeOwnership(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	return s.makePartition(ctx, monthOf(s.cfg.Now()))
}

// reach waits for the first answer: at most Patience for a database that can't be reached, and not at all for one that
// refuses.
func (s *Store) reach(ctx context.Context) error {
	until := time.Now().Add(s.cfg.Patience)
	for {
		err := s.call(ctx, "connect", func(ctx context.Context) error { return s.pool.Ping(ctx) })
		if err == nil || !errors.Is(err, persist.ErrUnavailable) || !time.Now().Before(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// suitable refuses servers and databases that can't hold what is stored.
func (s *Store) suitable(ctx context.Context) error {
	var version int
	var encoding string
	err := s.call(ctx, "connect", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::integer, "+
			"pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()").Scan(&version, &encoding)
	})
	switch {
	case err != nil:
		return err
	case version < 130_000:
		return fmt.Errorf("pg: %s is version %d: lectern needs PostgreSQL 13 or newer", s.where, version/10_000)
	case encoding != "UTF8":
		return fmt.Errorf("pg: the database %s has the encoding %s: make one with UTF8 (createdb -E UTF8 -T template0)",
			s.database, encoding)
	}
	return nil
}

// call runs f with the store's own timeout and explains what goes wrong.
func (s *Store) call(ctx context.Context, doing string, f func(context.Context) error) error {
	if s.closed.Load() {
		return persist.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.explain(ctx, doing, f(limited))
}

// write is call for changes.
func (s *Store) write(ctx context.Context, doing string, f func(context.Context) error) error {
	if s.cfg.ReadOnly {
		return errors.New("pg: the database is open for reading only")
	}
	return s.call(ctx, doing, f)
}

// inTx runs f in one transaction of the pool. A deadlock with another writer is tried again.
func (s *Store) inTx(ctx context.Context, doing string, f func(context.Context, pgx.Tx) error) error {
	return s.write(ctx, doing, func(ctx context.Context) error {
		for attempt := 0; ; attempt++ {
			err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return f(ctx, tx) })
			if code := codeOf(err); attempt < 5 && (code == codeDeadlock || code == codeSerialization) {
				continue
			}
			return err
		}
	})
}

// Close ends the connections. Calls under way fail or finish.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		if s.owner != nil {
			s.owner.release()
		}
		if s.pool != nil {
			s.pool.Close()
		}
	})
	return nil
}
