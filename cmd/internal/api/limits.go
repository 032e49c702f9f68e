package api

import (
	"net"
	"sync"
	"time"

	"lectern/protocol/wire"
	"lectern/rooms/quota"
)

// addressesMax is the number of addresses whose limits are remembered.
const addressesMax = 65_536

// limits hold back floods from one address. A whole school may share one, so only wrong PINs are held tightly.
type limits struct {
	mu    sync.Mutex
	joins *quota.Limiter
	wrong *quota.Limiter

	receipts *quota.Limiter
	searches *quota.Limiter // by user
}

func newLimits(joinsPerMinute, wrongPerMinute int) *limits {
	return &limits{
		searches: quota.NewLimiter(quota.Limit{Count: searchesPerMinute, Per: time.Minute}, addressesMax),
		receipts: quota.NewLimiter(quota.Limit{Count: receiptsPerMinute, Per: time.Minute}, addressesMax),
		joins:    quota.NewLimiter(quota.Limit{Count: joinsPerMinute, Per: time.Minute}, addressesMax),
		wrong:    quota.NewLimiter(quota.Limit{Count: wrongPerMinute, Per: time.Minute}, addressesMax),
	}
}

func (l *limits) take(limiter *quota.Limiter, address string, now time.Time, what string) *wire.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok, retryAfterMs := limiter.Take(address, now.UnixMilli(), 1); !ok {
		err := wire.NewError(wire.CodeRateLimited, "too many %s from your network; try again in a moment", what)
		err.RetryAfterMs = retryAfterMs
		return err
	}
	return nil
}

// addressOf is the host part of a remote address.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
