package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/persist"
	"lectern/persist/redis"
	"lectern/persist/redistest"
	"lectern/persist/storetest"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

func TestMain(m *testing.M) {
	// The cluster client looks at its slots again a second after a change, also when it was closed meanwhile.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

var prefixes atomic.Int64

// open gives a client whose keys are its own.
func open(tb testing.TB, url string, change func(*redis.Config)) *redis.Client {
	tb.Helper()
	cfg := redis.Config{URL: url, Prefix: fmt.Sprintf("t%d:", prefixes.Add(1)), Timeout: 5 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := redis.Open(cfg, time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func TestSessions(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{
		"single":   func(t *testing.T) string { return redistest.Single(t).URL() },
		"cluster":  func(t *testing.T) string { url, _ := redistest.Cluster(t); return url },
		"sentinel": func(t *testing.T) string { url, _, _ := redistest.Sentinel(t); return url },
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			storetest.RunRefresh(t, func(t *testing.T) auth.RefreshStore { return open(t, url, nil).Sessions() })
		})
	}
}

func family(id string) auth.Family {
	return auth.Family{ID: id, Subject: "u", Role: wire.RoleHost, CreatedAt: 10, ExpiresAt: 1000}
}

// A crash between the steps of different slots must leave nothing that counts: a pointer without its token is unknown,
// and a revocation that was not listed is listed by the next use.
func TestHalfStepsHeal(t *testing.T) {
	server := redistest.Single(t)
	c := open(t, server.URL(), func(cfg *redis.Config) { cfg.Prefix = "h:" })
	s, ctx := c.Sessions(), t.Context()
	first, stray := auth.RefreshHash{1}, auth.RefreshHash{2}
	if err := s.CreateFamily(ctx, family("f"), first); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "SET", fmt.Sprintf("h:rt:%x", stray[:]), "f")
	_, err := s.RotateRefresh(ctx, auth.Rotation{Old: stray, Next: auth.RefreshHash{3}, At: 20, ExpiresAt: 2000})
	if !errors.Is(err, auth.ErrRefreshUnknown) {
		t.Errorf("a pointer without its token: %v", err)
	}
	if _, err := s.RevokeFamily(ctx, first, 30); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "DEL", "h:revoked")
	_, err = s.RotateRefresh(ctx, auth.Rotation{Old: first, Next: auth.RefreshHash{4}, At: 40, ExpiresAt: 2000})
	if !errors.Is(err, auth.ErrRefreshRevoked) {
		t.Errorf("a revoked family: %v", err)
	}
	if list, err := s.RevokedFamilies(ctx, 0); err != nil || len(list) != 1 || list[0].RevokedAt != 30 {
		t.Errorf("the list: %v %v", list, err)
	}
}

// Rotations that were cut off before they listed their families anew must not make a purge go round in circles.
func TestPurgeListsWhatWasProlonged(t *testing.T) {
	server := redistest.Single(t)
	c := open(t, server.URL(), func(cfg *redis.Config) { cfg.Prefix = "p:" })
	s := c.Sessions()
	server.Do(t, "EVAL", "for i = 1, 300 do redis.call('HSET', 'p:{f:' .. i .. '}', 'expires', '2000') "+
		"redis.call('ZADD', 'p:families', 1000, i) end", "0")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.PurgeRefresh(ctx, 1500); err != nil {
		t.Fatal(err)
	}
	if n := server.Do(t, "ZCOUNT", "p:families", "2000", "2000"); n != "300" {
		t.Errorf("%s families are listed as they expire", n)
	}
	if err := s.PurgeRefresh(ctx, 2001); err != nil {
		t.Fatal(err)
	}
	if left := server.Do(t, "KEYS", "p:*f*"); left != "" {
		t.Errorf("after the purge: %s", left)
	}
}

// Every key goes by itself, so that a Redis that nobody looks after doesn't fill up.
func TestEverythingExpires(t *testing.T) {
	server := redistest.Single(t)
	c := open(t, server.URL(), func(cfg *redis.Config) { cfg.Prefix = "e:" })
	s, ctx := c.Sessions(), t.Context()
	if err := s.CreateFamily(ctx, family("f"), auth.RefreshHash{1}); err != nil {
		t.Fatal(err)
	}
	next := auth.Rotation{Old: auth.RefreshHash{1}, Next: auth.RefreshHash{2}, At: 20, ExpiresAt: 2000}
	if _, err := s.RotateRefresh(ctx, next); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Limiter("l", hourUS, 1).Take(ctx, "a", 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Report(ctx, persist.Node{ID: "n"}); err != nil {
		t.Fatal(err)
	}
	lists := map[string]bool{"e:families": true, "e:nodes": true} // these are emptied by PurgeRefresh and Nodes
	keys := strings.Fields(server.Do(t, "KEYS", "e:*"))
	if len(keys) != 7 {
		t.Errorf("keys: %v", keys)
	}
	for _, key := range keys {
		if ttl := server.Do(t, "PTTL", key); !lists[key] && strings.HasPrefix(ttl, "-") {
			t.Errorf("%s stays for ever (%s)", key, ttl)
		}
	}
	if err := s.PurgeRefresh(ctx, 5000); err != nil {
		t.Fatal(err)
	}
	if left := server.Do(t, "KEYS", "e:*f*"); left != "" {
		t.Errorf("after the purge: %s", left)
	}
}

const hourUS = int64(time.Hour / time.Microsecond)

// The shared limit lets through what the local one does, for several servers together.
func TestLimiterIsShared(t *testing.T) {
	url := redistest.Single(t).URL()
	same := func(cfg *redis.Config) { cfg.Prefix = "shared:" }
	a, b := open(t, url, same).Limiter("joins", hourUS, 20), open(t, url, same).Limiter("joins", hourUS, 20)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		l := a
		if i%2 == 0 {
			l = b
		}
		wg.Go(func() {
			ok, retryMs, err := l.Take(t.Context(), "10.0.0.1", 1)
			switch {
			case err != nil:
				t.Error(err)
			case ok:
				taken.Add(1)
			case retryMs <= 0 || retryMs > time.Hour.Milliseconds():
				t.Errorf("try again in %d ms", retryMs)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 20 {
		t.Errorf("%d acts were let through, not 20", taken.Load())
	}
	if ok, _, err := a.Take(t.Context(), "10.0.0.2", 20); !ok || err != nil {
		t.Errorf("another subject: %v %v", ok, err)
	}
	if ok, retryMs, err := a.Take(t.Context(), "10.0.0.3", 21); ok || retryMs <= 0 || err != nil {
		t.Errorf("more than the burst: %v %d %v", ok, retryMs, err)
	}
}

func TestNodesReportAndGo(t *testing.T) {
	server := redistest.Single(t)
	c, ctx := open(t, server.URL(), func(cfg *redis.Config) { cfg.Prefix = "n:" }), t.Context()
	crowd := map[string]int{}
	for i := range 1500 {
		crowd[fmt.Sprint("r", i)] = i
	}
	for _, n := range []persist.Node{
		{ID: "a", SeenAt: 1, Conns: 3, Members: map[string]int{"r": 2}},
		{ID: "b", SeenAt: 2, Members: crowd},
	} {
		if err := c.Report(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	nodes, err := c.Nodes(ctx)
	if err != nil || len(nodes) != 2 || nodes[0].ID != "a" || nodes[0].Members["r"] != 2 {
		t.Fatalf("%+v %v", nodes, err)
	}
	if m := nodes[1].Members; len(m) != 1000 || m["r1499"] != 1499 || m["r499"] != 0 {
		t.Errorf("%d rooms of a crowded server", len(m))
	}
	server.Do(t, "DEL", "n:node:a") // its report has expired
	if err := c.Retire(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if nodes, err := c.Nodes(ctx); err != nil || len(nodes) != 0 {
		t.Errorf("%+v %v", nodes, err)
	}
	if left := server.Do(t, "KEYS", "n:*"); left != "" {
		t.Errorf("left: %s", left)
	}
}

// log counts lines.
type log struct {
	mu    sync.Mutex
	lines []string
	seen  chan struct{}
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	select {
	case l.seen <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *log) await(t *testing.T, what string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		found := strings.Contains(strings.Join(l.lines, ""), what)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-l.seen:
		case <-deadline:
			t.Fatalf("the log never said %q: %v", what, l.lines)
		}
	}
}

// An outage is known, fails commands at once, is logged once, and heals by itself. The server starts in one.
func TestOutage(t *testing.T) {
	server := redistest.Single(t, "appendonly", "yes", "appendfsync", "always")
	server.Stop()
	lines := &log{seen: make(chan struct{}, 1)}
	c := open(t, server.URL(), func(cfg *redis.Config) {
		cfg.Timeout = 300 * time.Millisecond
		cfg.Logger = slog.New(slog.NewTextHandler(lines, nil))
	})
	ctx, cancel := context.WithCancel(t.Context())
	returns := make(chan struct{}, 9)
	var watching sync.WaitGroup
	watching.Go(func() { c.Watch(ctx, func(context.Context) { returns <- struct{}{} }) })
	defer watching.Wait()
	defer cancel()
	lines.await(t, "redis is away")
	if err := c.Sessions().CreateFamily(ctx, family("f"), auth.RefreshHash{1}); !errors.Is(err, persist.ErrUnavailable) {
		t.Fatalf("while it is away: %v", err)
	}
	server.Start(t)
	<-returns
	if err := c.Sessions().CreateFamily(ctx, family("f"), auth.RefreshHash{1}); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	began := time.Now()
	_, _, err := c.Limiter("l", hourUS, 1).Take(ctx, "a", 1)
	if !errors.Is(err, persist.ErrUnavailable) {
		t.Fatalf("while it is frozen: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("a command waited for %v", took)
	}
	for c.Stats().Up { // Watch finds out
		select {
		case <-lines.seen:
		case <-time.After(30 * time.Second):
			t.Fatal("the freeze was not noticed")
		}
	}
	server.Thaw()
	<-returns
	server.Stop() // a crash: what was acknowledged is there
	server.Start(t)
	for {
		if _, err := c.Sessions().RevokeFamily(ctx, auth.RefreshHash{1}, 5); err == nil {
			break
		} else if !errors.Is(err, persist.ErrUnavailable) {
			t.Fatal(err)
		}
		select { // Watch may have met the crash
		case <-returns:
		case <-lines.seen:
		}
	}
	away := strings.Count(strings.Join(lines.lines, ""), "redis is away")
	back := strings.Count(strings.Join(lines.lines, ""), "redis is back")
	if s := c.Stats(); away < 2 || away > 3 || back != away || s.Failures < 3 || s.Why != nil {
		t.Errorf("logged %d times away and %d times back; %+v", away, back, s)
	}
}

// A failover of Sentinel's heals by itself.
func TestFailover(t *testing.T) {
	url, primary, _ := redistest.Sentinel(t)
	c := open(t, url, func(cfg *redis.Config) { cfg.Timeout = 500 * time.Millisecond })
	if err := c.Sessions().CreateFamily(t.Context(), family("f"), auth.RefreshHash{1}); err != nil {
		t.Fatal(err)
	}
	primary.Stop()
	for n, until := byte(2), time.Now().Add(60*time.Second); ; n++ {
		err := c.Sessions().CreateFamily(t.Context(), family(fmt.Sprint("f", n)), auth.RefreshHash{n})
		if err == nil {
			return
		}
		if !errors.Is(err, persist.ErrUnavailable) || time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// What is wrong is said in words that tell what to do, and never with the password.
func TestBadRedis(t *testing.T) {
	locked := redistest.Single(t, "requirepass", "right")
	primary := redistest.Single(t)
	replica := redistest.Single(t, "replicaof", fmt.Sprint("127.0.0.1 ", primary.Port))
	full := redistest.Single(t, "maxmemory", "1", "maxmemory-policy", "noeviction")
	for _, c := range []struct{ url, says string }{
		{"redis://:wrong-secret@" + locked.Addr(), "user or password are wrong"},
		{locked.URL(), "user or password are wrong"},
		{replica.URL(), "is a replica"},
		{full.URL(), "memory is full"},
		{"redis://127.0.0.1:1", "can't be reached"},
	} {
		err := open(t, c.url, nil).Report(t.Context(), persist.Node{ID: "x"})
		if !errors.Is(err, persist.ErrUnavailable) || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	for _, url := range []string{"http://x", "redis://u:top-secret@host:port:x", "redis://host/notanumber"} {
		_, err := redis.Open(redis.Config{URL: url}, time.Now)
		if err == nil || !strings.Contains(err.Error(), "redis://host:6379/0") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
