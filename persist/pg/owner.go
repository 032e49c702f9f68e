package pg

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ownerLock is the advisory lock of the one server that runs on a database.
const ownerLock = 7812230

// owner holds the lock on a connection of its own and takes it again when that is lost. While it is lost another server
// may start on the same database; what keeps their writes apart then is the claim of every append.
type owner struct {
	store *Store
	stop  context.CancelFunc
	done  sync.WaitGroup
	conn  *pgx.Conn // of the goroutine, once that runs
}

// ownerWait is how long the lock of a server that is just ending is waited for.
const ownerWait = 3 * time.Second

func (s *Store) takeOwnership(ctx context.Context) (*owner, error) {
	o := &owner{store: s}
	until := time.Now().Add(ownerWait)
	for {
		held, err := o.try(ctx)
		if err != nil {
			return nil, s.explain(ctx, "lock the database", err)
		}
		if held {
			break
		}
		if !time.Now().Before(until) {
			return nil, fmt.Errorf("pg: the database %s is in use by another lectern: stop it, or name another database "+
				"with --store", s.database)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	run, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.done.Go(func() { o.run(run) })
	return o, nil
}

// try connects where there is no connection and asks for the lock.
func (o *owner) try(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.store.cfg.Timeout)
	defer cancel()
	if o.conn == nil {
		if o.conn, err = pgx.ConnectConfig(ctx, o.store.pool.Config().ConnConfig); err != nil {
			return false, err
		}
	}
	if err = o.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", ownerLock).Scan(&held); err != nil || !held {
		_ = o.conn.Close(ctx)
		o.conn = nil
	}
	return held, err
}

// ownerEvery is how often the lock is looked after.
const ownerEvery = 5 * time.Second

// run keeps the lock until ctx ends.
func (o *owner) run(ctx context.Context) {
	tick := time.NewTicker(ownerEvery)
	defer tick.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			if o.conn != nil {
				end, cancel := context.WithTimeout(context.Background(), time.Second)
				_ = o.conn.Close(end)
				cancel()
			}
			return
		case <-tick.C:
		}
		if o.conn != nil && o.alive(ctx) {
			continue
		}
		held, err := o.try(ctx)
		switch {
		case held && lost:
			lost = false
			o.store.cfg.Logger.Info("pg: the lock on the database is held again")
		case !held && err == nil && !lost:
			lost = true
			o.store.cfg.Logger.Warn("pg: another lectern holds the lock on the database; rooms that it writes to are its " +
				"own from then on. Stop one of them")
		}
	}
}

func (o *owner) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, o.store.cfg.Timeout)
	defer cancel()
	if err := o.conn.Ping(ctx); err == nil {
		return true
	}
	_ = o.conn.Close(ctx)
	o.conn = nil
	return false
}

func (o *owner) release() {
	o.stop()
	o.done.Wait()
}
