package redis

import (
	"context"
	_ "embed"
	"strconv"

	"github.com/redis/rueidis"
)

//go:embed lua/take.lua
var takeSource string

var takeScript = rueidis.NewLuaScript(takeSource)

// Limiter is one limit for many subjects, shared by all servers on the same Redis: the algorithm of quota.Bucket with
// Redis' clock. A bucket that is full takes no memory.
type Limiter struct {
	c          *Client
	name       string
	intervalUS int64
	burst      int64
}

// Limiter makes a limit: an act comes back after intervalUS microseconds (zero: no limit), and burst acts may come at
// once (quota.Limit's IntervalUS and BurstActs). Its name and numbers must be the same on all servers that share it.
func (c *Client) Limiter(name string, intervalUS, burst int64) *Limiter {
	return &Limiter{c: c, name: name, intervalUS: intervalUS, burst: burst}
}

// Take takes n acts of a subject. Refused, it takes nothing and says when to try again; more than the burst is never
// allowed. The error is persist.ErrUnavailable: then nothing is known, and the caller falls back to a limit of its own.
// It blocks for a round trip.
func (l *Limiter) Take(ctx context.Context, subject string, n int) (ok bool, retryAfterMs int64, err error) {
	if l.intervalUS == 0 || n <= 0 {
		return true, 0, nil
	}
	err = l.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) (err error) {
		retryAfterMs, err = takeScript.Exec(ctx, rdb, []string{l.c.key("limit:" + l.name + ":" + subject)},
			[]string{strconv.Itoa(n), decimal(l.intervalUS), decimal(l.burst)}).AsInt64()
		return err
	})
	return err == nil && retryAfterMs == 0, retryAfterMs, err
}
