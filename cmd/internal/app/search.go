package app

import (
	"context"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/search"
	"lectern/persist/sqlite"
)

// searchSuffix is what the name of the search index ends in, beside a SQLite database.
const searchSuffix = ".search"

// OpenSearch opens the search index that belongs to the store that the configuration names.
func OpenSearch(ctx context.Context, cfg *config.Config) (search.Index, error) {
	kind, path, err := cfg.StoreKind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "memory":
		return search.NewMemory(), nil
	case "postgres":
		index, err := pg.OpenSearch(ctx, pg.SearchConfig{URL: path, Timeout: cfg.Postgres.Timeout})
		if err != nil {
			return nil, err
		}
		return index, nil
	}
	index, err := sqlite.OpenSearch(ctx, path+searchSuffix)
	if err != nil {
		return nil, err
	}
	return index, nil
}

// startSearch opens the index and lets it catch up behind the rooms. A server without it serves everything else, so a
// fault is a warning.
func (a *App) startSearch(ctx context.Context) {
	index, err := OpenSearch(ctx, a.cfg)
	if err != nil {
		a.log.Warn("the search is not available", "err", err)
		return
	}
	indexer := search.NewIndexer(index, a.store, a.log)
	if err := indexer.CatchUp(ctx); err != nil {
		a.log.Warn("the search is not available", "err", err)
		_ = index.Close()
		return
	}
	a.indexer = indexer
	searchCtx, stop := context.WithCancel(context.Background())
	a.stopSearch = stop
	a.background.Go(func() { a.indexer.Run(searchCtx) })
}

// recorded is the store as the journal is to use it.
func (a *App) recorded() persist.Store {
	if a.indexer == nil {
		return a.store
	}
	return a.indexer.Store()
}
