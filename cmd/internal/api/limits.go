package api

import (
	"context"
	"net"
	"sync"
	"time"

	"lectern/protocol/wire"
	"lectern/rooms/quota"
)

// addressesMax is the number of addresses whose limits are remembered.
const addressesMax = 65_536

// SharedLimit is a limit that several servers keep together. Its error means that it can't be asked now.
type SharedLimit interface {
	Take(ctx context.Context, subject string, n int) (ok bool, retryAfterMs int64, err error)
}

// limits hold back floods from one address. A whole school may share one, so only wrong PINs are held tightly.
type limits struct {
	joins, wrong, receipts limit

	searches, regrades limit // by user
}

// limit is one limit by address (searches, regrades: by user): the shared one where there is one and it answers, else
// this server's own.
type limit struct {
	what   string
	shared SharedLimit // nil: none

	mu  sync.Mutex // guards own
	own *quota.Limiter
}

func newLimits(o *Options) *limits {
	l := new(limits)
	l.joins.init(o, "joins", "people are joining from your network", o.JoinsPerMinute)
	l.wrong.init(o, "wrong", "wrong PINs from your network", o.WrongPerMinute)
	l.searches.init(o, "searches", "searches", searchesPerMinute)
	l.regrades.init(o, "regrades", "corrections", regradesPerMinute)
	l.receipts.init(o, "receipts", "receipts to check from your network", receiptsPerMinute)
	return l
}

func (l *limit) init(o *Options, name, what string, perMinute int) {
	rate := quota.Limit{Count: perMinute, Per: time.Minute}
	l.what, l.own = what, quota.NewLimiter(rate, addressesMax)
	if o.SharedLimit != nil {
		l.shared = o.SharedLimit(name, rate)
	}
}

// take counts one act of an address or user. It may wait for Redis.
func (l *limit) take(ctx context.Context, subject string, now time.Time) *wire.Error {
	ok, retryAfterMs, err := true, int64(0), error(nil)
	if l.shared != nil {
		ok, retryAfterMs, err = l.shared.Take(ctx, subject, 1)
	}
	if l.shared == nil || err != nil {
		l.mu.Lock()
		ok, retryAfterMs = l.own.Take(subject, now.UnixMilli(), 1)
		l.mu.Unlock()
	}
	if ok {
		return nil
	}
	refusal := wire.NewError(wire.CodeRateLimited, "too many %s; try again in a moment", l.what)
	refusal.RetryAfterMs = retryAfterMs
	return refusal
}

// addressOf is the host part of a remote address.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
