package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/redis"
	"lectern/persist/redistest"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
	"lectern/rooms/quota"
)

func withRedis(r *redistest.Instance) func(*config.Config) {
	return func(c *config.Config) { c.Redis = r.URL() }
}

// ask performs a request and gives status and body.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}

// until asks again and again for what another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

func (s *server) adminBase() string { return "http://" + s.AdminAddr().String() }

// refresh trades a refresh token, and gives the status, the new token and the access token.
func (s *server) refresh(t *testing.T, token string) (status int, next, access string) {
	t.Helper()
	status, text := ask(t, http.MethodPost, s.base+"/auth/refresh", `{"refreshToken":"`+token+`"}`)
	var reply struct{ RefreshToken, AccessToken string }
	_ = json.Unmarshal([]byte(text), &reply)
	return status, reply.RefreshToken, reply.AccessToken
}

// Two servers on one Redis: a session of one is renewed at the other, its end at one closes connections at the other,
// wrong PINs count together, and each knows of the other.
func TestServersShareRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Single(t)
	few := func(c *config.Config) { c.Joins.Wrong = 3 }
	a, b := start(t, noDev, withRedis(r), few), start(t, noDev, withRedis(r), few)
	_, token, _, err := a.issuer.Login(t.Context(), time.Now(), auth.Claims{Subject: "ada", Role: wire.RoleHost})
	if err != nil {
		t.Fatal(err)
	}
	status, token, access := b.refresh(t, token)
	if status != http.StatusOK {
		t.Fatalf("a session of the other server: status %d", status)
	}
	member := b.dial("/ws", "Authorization: Bearer "+access)
	member.do(wire.OpTimeSync, "", wire.TimeSyncData{T0: 1})
	if status, text := ask(t, http.MethodPost, a.base+"/auth/revoke", `{"refreshToken":"`+token+`"}`); status >= 300 {
		t.Fatalf("%d %s", status, text)
	}
	member.goneWith(wire.CloseTokenRevoked)

	for n, s := range []*server{a, b, a, b} {
		status, text := ask(t, http.MethodPost, s.base+"/auth/token", `{"pin":"000000","name":"Bob"}`)
		if limited := status == http.StatusTooManyRequests; limited != (n == 3) {
			t.Errorf("wrong PIN %d: %d %s", n+1, status, text)
		}
	}

	until(t, "both servers on the list", func() bool {
		_, text := ask(t, http.MethodGet, a.adminBase()+"/nodes", "")
		var nodes []persist.Node
		return json.Unmarshal([]byte(text), &nodes) == nil && len(nodes) == 2 && strings.Contains(text, b.Addr().String())
	})
	b.dial("/ws", "Authorization: Bearer "+b.token("bob", wire.RoleHost, "")).do(wire.OpRoomJoin, "hall",
		wire.JoinData{})
	until(t, "the room of the other server", func() bool {
		status, text := ask(t, http.MethodGet, a.adminBase()+"/rooms/hall", "")
		return status == http.StatusNotFound && strings.Contains(text, b.Addr().String()+" has 1 connections")
	})
	b.stop()
	if _, text := ask(t, http.MethodGet, a.adminBase()+"/nodes", ""); strings.Contains(text, b.Addr().String()) {
		t.Errorf("a server that has stopped is on the list: %s", text)
	}
}

// While Redis is away rooms go on, what needs it says so, limits are kept by each server, and a server starts all the
// same.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	r := redistest.Single(t, "appendonly", "yes", "appendfsync", "always")
	s := start(t, withRedis(r), func(c *config.Config) { c.Joins.Wrong = 2 })
	_, token, _, err := s.issuer.Login(t.Context(), time.Now(), auth.Claims{Subject: "ada", Role: wire.RoleHost})
	if err != nil {
		t.Fatal(err)
	}
	member := s.dial("/ws?guest=Ada")
	member.do(wire.OpRoomJoin, "r", wire.JoinData{})
	r.Stop()
	until(t, "the outage", func() bool {
		_, text := ask(t, http.MethodGet, s.adminBase()+"/readyz", "")
		return strings.Contains(text, "redis: away")
	})
	if status, _ := ask(t, http.MethodGet, s.adminBase()+"/readyz", ""); status != http.StatusOK {
		t.Errorf("not ready: %d", status)
	}
	if _, text := ask(t, http.MethodGet, s.adminBase()+"/metrics", ""); !strings.Contains(text, "lectern_redis_up 0") {
		t.Error("the metric says nothing of the outage")
	}
	member.do(wire.OpRoomPublish, "r", wire.PublishData{Event: "still", Payload: json.RawMessage(`1`)})
	if status, _, _ := s.refresh(t, token); status != http.StatusServiceUnavailable {
		t.Errorf("refreshing: status %d", status)
	}
	for n := range 3 {
		status, text := ask(t, http.MethodPost, s.base+"/auth/token", `{"pin":"000000","name":"Bob"}`)
		if limited := status == http.StatusTooManyRequests; limited != (n == 2) {
			t.Errorf("wrong PIN %d: %d %s", n+1, status, text)
		}
	}
	late := start(t, withRedis(r))
	late.dial("/ws?guest=Bob").do(wire.OpRoomJoin, "r", wire.JoinData{})

	r.Start(t)
	until(t, "the return", func() bool { status, _, _ := s.refresh(t, token); return status == http.StatusOK })
	if n := strings.Count(s.logs.String(), "redis is away"); n != 1 {
		t.Errorf("the outage was logged %d times", n)
	}
	until(t, "the late server's report", func() bool {
		_, text := ask(t, http.MethodGet, s.adminBase()+"/nodes", "")
		return strings.Contains(text, late.Addr().String())
	})
}

// The shared limit against the local one: random acts, with an interval so long that the time between two calls doesn't
// matter.
func TestSharedLimitAgreesWithBucket(t *testing.T) {
	t.Parallel()
	r := redistest.Single(t)
	c, err := redis.Open(redis.Config{URL: r.URL(), Timeout: patience}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	random := newRand()
	for round := range 20 {
		limit := quota.Limit{Count: 1 + random.IntN(5), Per: 1000 * time.Hour, Burst: random.IntN(12)}
		bucket := quota.NewBucket(limit)
		shared := c.Limiter(string(rune('a'+round)), limit.IntervalUS(), limit.BurstActs())
		now := time.Now().UnixMilli()
		for range 20 {
			n := random.IntN(4)
			wantOK, wantRetry := bucket.Take(now, n)
			ok, retry, err := shared.Take(context.Background(), "s", n)
			if err != nil {
				t.Fatal(err)
			}
			if ok != wantOK || max(wantRetry-retry, retry-wantRetry) > time.Minute.Milliseconds() {
				t.Fatalf("%+v: %d acts: %v %d, the bucket %v %d", limit, n, ok, retry, wantOK, wantRetry)
			}
		}
	}
}

func TestWrongRedisURL(t *testing.T) {
	t.Parallel()
	_, err := tryStart(t, func(c *config.Config) { c.Redis = "redis://u:top-secret@host/notanumber" })
	if err == nil || !strings.Contains(err.Error(), "redis://host:6379/0") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
