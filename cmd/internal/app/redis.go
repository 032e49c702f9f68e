package app

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"lectern/cmd/internal/api"
	"lectern/cmd/internal/ops"
	"lectern/persist"
	"lectern/persist/redis"
	"lectern/rooms/auth"
	"lectern/rooms/quota"
)

// shared is what this server has in Redis, if the setting redis names one: sessions, limits and its own report.
type shared struct {
	client   *redis.Client
	sessions *lenientSessions
	node     persist.Node
	cancel   context.CancelFunc
}

// openRedis checks the setting. It does not wait for Redis: rooms don't need it.
func (a *App) openRedis() error {
	if a.cfg.Redis == "" {
		return nil
	}
	client, err := redis.Open(redis.Config{URL: a.cfg.Redis, Logger: a.log}, time.Now)
	if err != nil {
		return err
	}
	var id [8]byte
	_, _ = crand.Read(id[:]) // never fails on the systems we run on
	a.shared = &shared{
		client: client, sessions: &lenientSessions{Sessions: client.Sessions()},
		node: persist.Node{ID: hex.EncodeToString(id[:]), StartedAt: time.Now().UnixMilli()},
	}
	return nil
}

// refreshStore keeps the refresh families: Redis, or else the store.
func (a *App) refreshStore() auth.RefreshStore {
	if a.shared == nil {
		return a.store
	}
	return a.shared.sessions
}

// lenientSessions lets a server start while Redis is away. Tokens that were revoked before are then accepted until it
// is back, for as long as they live at most; a lesson that can't come back after a crash would be worse.
type lenientSessions struct {
	*redis.Sessions
	started atomic.Bool
}

// RevokedFamilies implements auth.RefreshStore.
func (s *lenientSessions) RevokedFamilies(ctx context.Context, since int64) ([]auth.Revocation, error) {
	list, err := s.Sessions.RevokedFamilies(ctx, since)
	if errors.Is(err, persist.ErrUnavailable) && !s.started.Load() {
		return nil, nil
	}
	return list, err
}

// startShared begins to look after Redis. It comes after the port is open, so that the report can name it.
func (a *App) startShared() {
	s := a.shared
	if s == nil {
		return
	}
	s.sessions.started.Store(true)
	s.node.Address = a.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	a.background.Go(func() { s.client.Watch(ctx, a.meetRedis) })
	a.background.Go(func() {
		tick := time.NewTicker(redis.ReportEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.meetRedis(ctx)
			}
		}
	})
}

// meetRedis reports this server and learns what other servers have revoked. Watch tells of outages, so failures are not
// logged here.
func (a *App) meetRedis(ctx context.Context) {
	n := a.shared.node
	n.Members = a.crowds(ctx)
	n.SeenAt, n.Conns, n.Rooms = time.Now().UnixMilli(), a.net.Stats().Open, int(a.router.Stats().Rooms)
	if err := a.shared.client.Report(ctx, n); err != nil {
		return
	}
	_ = a.issuer.ReloadRevocations(ctx, time.Now())
}

// crowdsMost bounds the rooms that are looked through for a report.
const crowdsMost = 100_000

// crowds is how many connections each room has, of those that have any.
func (a *App) crowds(ctx context.Context) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, redis.ReportEvery)
	defer cancel()
	list, _ := a.router.Look(ctx, "", crowdsMost)
	members := make(map[string]int, len(list))
	for i := range list {
		if n := list[i].Connections; n > 0 {
			members[list[i].Room] = n
		}
	}
	return members
}

// stopShared takes the report back and stops looking after Redis.
func (a *App) stopShared(ctx context.Context) {
	if s := a.shared; s != nil && s.cancel != nil {
		_ = s.client.Retire(ctx, s.node.ID) // it expires anyway
		s.cancel()
	}
}

// closeShared ends the connections, when nobody uses them any more.
func (a *App) closeShared() error {
	if a.shared == nil {
		return nil
	}
	return a.shared.client.Close()
}

// sharedLimit makes limits that all servers on the same Redis keep together; nil without Redis.
func (a *App) sharedLimit() func(name string, l quota.Limit) api.SharedLimit {
	if a.shared == nil {
		return nil
	}
	return func(name string, l quota.Limit) api.SharedLimit {
		return a.shared.client.Limiter(name, l.IntervalUS(), l.BurstActs())
	}
}

// redisDetail is what an operator should know of Redis; empty when all is as usual.
func (a *App) redisDetail() string {
	if a.shared == nil {
		return ""
	}
	if s := a.shared.client.Stats(); !s.Up {
		return fmt.Sprintf("redis: away for %d s; rooms go on, signing in again and revoking wait: %v",
			int(s.AwayFor.Seconds()), s.Why)
	}
	return ""
}

// redisView is Redis for the admin port; nil without Redis.
func (a *App) redisView() *ops.Redis {
	if a.shared == nil {
		return nil
	}
	return &ops.Redis{Stats: a.shared.client.Stats, Nodes: a.shared.client.Nodes}
}
