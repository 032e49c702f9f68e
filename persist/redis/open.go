package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"lectern/persist"
)

// Config says which Redis to use.
type Config struct {
	// URL is redis://[user:password@]host:port[/db], rediss:// for TLS. More addresses of a cluster or of Sentinels
	// follow as ?addr=host:port&addr=…; master_set=NAME names the primary that Sentinels watch over.
	URL string
	// Prefix begins every key (default "lectern:"), so that several installations can share one Redis.
	Prefix string
	// Timeout ends a command that is not answered (default 1 s).
	Timeout time.Duration
	Logger  *slog.Logger
}

// Client is one Redis. Any goroutine may use it.
type Client struct {
	cfg Config
	now func() time.Time

	// connecting guards the making of rdb, which needs a server that answers; nil until one has.
	connecting sync.Mutex
	rdb        atomic.Pointer[rueidis.Client]
	option     rueidis.ClientOption
	closed     atomic.Bool

	away     atomic.Pointer[outage] // nil while it answers
	commands atomic.Int64
	failures atomic.Int64
}

// outage is why and since when Redis does not serve.
type outage struct {
	since time.Time
	err   error
}

// Open checks the configuration. It does not wait for Redis: a server that starts while Redis is away starts all the
// same, and Watch connects when it is back. The error is about the URL.
func Open(cfg Config, now func() time.Time) (*Client, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "lectern:"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	option, err := rueidis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis: the URL must be like redis://host:6379/0: %w", withoutSecrets(err))
	}
	option.ClientName = "lectern"
	option.DisableCache = true
	option.DisableRetry = true // a retry of a script that had run would run it twice
	option.Dialer.Timeout = cfg.Timeout
	option.ConnWriteTimeout = cfg.Timeout
	option.Sentinel.Username, option.Sentinel.Password = option.Username, option.Password
	option.Sentinel.Dialer = option.Dialer
	option.BlockingPoolSize = 8
	return &Client{cfg: cfg, now: now, option: option}, nil
}

// withoutSecrets is an error about a URL without the URL, which may hold a password.
func withoutSecrets(err error) error {
	var parse interface{ Unwrap() error }
	if errors.As(err, &parse) && parse.Unwrap() != nil {
		return parse.Unwrap()
	}
	return err
}

// Connect reaches Redis, or says why it can't be reached. It blocks for Config.Timeout or so. Later calls do nothing.
func (c *Client) Connect() error {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	if c.closed.Load() {
		return persist.ErrClosed
	}
	if c.rdb.Load() != nil {
		return nil
	}
	rdb, err := rueidis.NewClient(c.option)
	if err != nil {
		return explain(err)
	}
	c.rdb.Store(&rdb)
	return nil
}

// Close ends the connections. Commands under way fail.
func (c *Client) Close() error {
	c.closed.Store(true)
	c.connecting.Lock()
	defer c.connecting.Unlock()
	if rdb := c.rdb.Swap(nil); rdb != nil {
		(*rdb).Close()
	}
	return nil
}

// decided is an answer that Redis gave, such as that a token is unknown, and no failure to give one.
type decided struct{ error }

// with runs f on the connection, in time, and counts what became of it. What f returns as decided comes out as it is,
// every other error means that Redis did not serve, and is explained.
func (c *Client) with(ctx context.Context, f func(context.Context, rueidis.Client) error) error {
	if out := c.away.Load(); out != nil {
		c.failures.Add(1)
		return out.err
	}
	return c.try(ctx, f)
}

// try is with for one who asks although Redis is known to be away. Its failures don't make it known: a connection that
// was lost is made again by the next command, so only Watch decides.
func (c *Client) try(ctx context.Context, f func(context.Context, rueidis.Client) error) error {
	rdb := c.rdb.Load()
	if rdb == nil {
		if err := c.Connect(); err != nil {
			c.failures.Add(1)
			return err
		}
		if rdb = c.rdb.Load(); rdb == nil {
			return persist.ErrClosed
		}
	}
	c.commands.Add(1)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err := f(ctx, *rdb)
	var d decided
	switch {
	case err == nil:
		return nil
	case errors.As(err, &d):
		return d.error
	case errors.Is(err, context.Canceled): // the caller has gone
		return err
	}
	c.failures.Add(1)
	return explain(err)
}

// explain says what an operator can do about it. Everything is persist.ErrUnavailable.
func explain(err error) error {
	why := "it can't be reached: check that it runs and that the setting redis names it"
	var refused *rueidis.RedisError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		why = explainRefusal(refused)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		why = "it does not answer in time"
	case errors.Is(err, rueidis.ErrClosing):
		why = "the server is stopping"
	}
	return fmt.Errorf("redis: %s (%w: %w)", why, persist.ErrUnavailable, err)
}

func explainRefusal(e *rueidis.RedisError) string {
	said := e.Error()
	code, _, _ := strings.Cut(said, " ")
	switch code {
	case "LOADING":
		return "it is still loading its data; it will be there in a moment"
	case "READONLY":
		return "it is a replica and takes no writes: name the primary, or Sentinel with master_set"
	case "MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "CROSSSLOT":
		return "the cluster does not serve these keys now: check cluster info, and that every slot has a primary"
	case "MASTERDOWN":
		return "its primary is gone and no other was chosen yet"
	case "NOAUTH", "WRONGPASS":
		return "user or password are wrong: put the right ones into the setting redis"
	case "NOPERM":
		return "the user lacks rights: it needs the keys that begin with the prefix, and the commands that doc.go lists"
	case "OOM":
		return "its memory is full (maxmemory): give it more, or another policy than noeviction"
	case "MISCONF":
		return "it can't save to its disk, so it refuses writes: make room on the disk or look into its log"
	case "NOREPLICAS":
		return "too few replicas follow it (min-replicas-to-write)"
	case "BUSY":
		return "a script of somebody's keeps it busy"
	}
	return "it refused a command"
}

// Watch looks at Redis about once a second until ctx ends, so that an outage is known at once and its end too. Each
// change is logged once. back, if set, runs after each return, and after the first contact.
func (c *Client) Watch(ctx context.Context, back func(context.Context)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	known := false
	for {
		err := c.try(ctx, func(ctx context.Context, rdb rueidis.Client) error { return c.probe(ctx, rdb) })
		out := c.away.Load()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && out == nil:
			c.away.Store(&outage{since: c.now(), err: err})
			c.cfg.Logger.Error("redis is away: signing in again, revoking and shared limits wait for it, rooms go on",
				"err", err)
		case err == nil && out != nil:
			c.away.Store(nil)
			c.cfg.Logger.Info("redis is back", "away_s", int(c.now().Sub(out.since).Seconds()))
		}
		if err == nil && (out != nil || !known) {
			known = true
			if back != nil {
				back(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probe writes, because a replica, a full disk or a full memory answer PING all the same.
func (c *Client) probe(ctx context.Context, rdb rueidis.Client) error {
	return rdb.Do(ctx, rdb.B().Set().Key(c.key("probe")).Value("1").Ex(time.Minute).Build()).Error()
}

func (c *Client) key(name string) string { return c.cfg.Prefix + name }

// Stats may be called from any goroutine.
func (c *Client) Stats() persist.SharedStats {
	s := persist.SharedStats{Up: true, Commands: c.commands.Load(), Failures: c.failures.Load()}
	if out := c.away.Load(); out != nil {
		s.Up, s.AwayFor, s.Why = false, c.now().Sub(out.since), out.err
	}
	return s
}
