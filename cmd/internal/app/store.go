package app

import (
	"context"
	"log/slog"
	"time"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/mem"
	"lectern/persist/pg"
	"lectern/persist/spool"
	"lectern/persist/sqlite"
)

// StoreUse says what a store is opened for.
type StoreUse uint8

// The uses of a store.
const (
	ForServer  StoreUse = iota // this process owns it, and waits a little for one that is just starting
	ForWriting                 // a tool that owns it while it runs
	ForReading                 // a tool that may run beside a server
)

// storePatience is how long the start waits for a database that can't be reached yet.
const storePatience = 10 * time.Second

// OpenStore opens the store that the configuration names.
func OpenStore(ctx context.Context, cfg *config.Config, log *slog.Logger, use StoreUse) (persist.Store, error) {
	kind, path, err := cfg.StoreKind()
	if err != nil {
		return nil, err
	}
	// Results are checked before they become an interface: one that holds a nil pointer is not nil.
	switch kind {
	case "memory":
		return mem.New(time.Now), nil
	case "postgres":
		pgCfg := pg.Config{
			URL: path, Conns: cfg.Postgres.Conns, Timeout: cfg.Postgres.Timeout, Async: cfg.Postgres.Sync == "off",
			ReadOnly: use == ForReading, Logger: log,
		}
		if use == ForServer {
			pgCfg.Patience = storePatience
		}
		store, err := pg.Open(ctx, pgCfg)
		if err != nil {
			return nil, err
		}
		if use == ForServer && cfg.Spool.File != "" {
			return withSpool(ctx, cfg, log, store)
		}
		return store, nil
	}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Synchronous: cfg.SQLite.Sync, ReadOnly: use == ForReading})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// withSpool puts the spool in front of PostgreSQL.
func withSpool(ctx context.Context, cfg *config.Config, log *slog.Logger, store *pg.Store) (persist.Store, error) {
	origin, err := store.Identity(ctx)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	file, err := sqlite.OpenSpool(ctx, cfg.Spool.File)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	spooling, err := spool.Open(ctx, store, file, spool.Config{
		Origin: origin, BytesMax: int64(cfg.Spool.BytesMax), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	return spooling, nil
}

// spoolStats is what the store says of its spool; nil when it has none.
func (a *App) spoolStats() func() persist.SpoolStats {
	if s, ok := a.store.(persist.Spooler); ok {
		return s.SpoolStats
	}
	return nil
}
