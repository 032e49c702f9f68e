// Package limit bounds what one network address may take: open connections, and connections opened per second. A whole
// school often shares one address, so the defaults are generous; they stop a runaway script, not a class.
package limit

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// Config are the limits. The zero value of a field means its default.
type Config struct {
	// ConnsPerAddr is the largest number of open connections of one address. Default 10,000.
	ConnsPerAddr int
	// OpensPerSecond is the rate at which one address may open connections in the long run. Default 500.
	OpensPerSecond float64
	// OpensBurst is how many it may open at once after a pause. Default 5,000.
	OpensBurst int
	// AddrsMax is the largest number of addresses remembered. Above it addresses without open connections are
	// forgotten, and if all have some, new addresses are admitted without being counted: memory stays bounded and
	// nobody is locked out. Default 100,000.
	AddrsMax int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

type address struct {
	open   int
	tokens float64
	at     time.Time // when tokens was right
}

// Limiter counts connections per address. IPv6 addresses count by their /64, which is what one subscriber gets. All
// methods may be called from any goroutine.
type Limiter struct {
	cfg Config

	mu sync.Mutex
	// Guarded by mu.
	addrs    map[netip.Addr]*address
	forgotAt time.Time // the walk over a full table is made at most once a second
}

// New makes a limiter.
func New(cfg Config) *Limiter {
	if cfg.ConnsPerAddr <= 0 {
		cfg.ConnsPerAddr = 10_000
	}
	if cfg.OpensPerSecond <= 0 {
		cfg.OpensPerSecond = 500
	}
	if cfg.OpensBurst <= 0 {
		cfg.OpensBurst = 5_000
	}
	if cfg.AddrsMax <= 0 {
		cfg.AddrsMax = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Limiter{cfg: cfg, addrs: make(map[netip.Addr]*address)}
}

// Admit asks for one more connection from remote (host:port) and reports whether it may open. released must be called
// once when an admitted connection ends. It fits netpoll.Config.Admit. A remote that is no address is admitted.
func (l *Limiter) Admit(remote string) (released func(), ok bool) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return nil, true
	}
	key := keyOf(ap.Addr())
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.addrs[key]
	if a == nil {
		if len(l.addrs) >= l.cfg.AddrsMax && !l.forgetLocked(now) {
			return nil, true
		}
		a = &address{tokens: float64(l.cfg.OpensBurst), at: now}
		l.addrs[key] = a
	}
	l.refillLocked(a, now)
	if a.open >= l.cfg.ConnsPerAddr || a.tokens < 1 {
		return nil, false
	}
	a.open++
	a.tokens--
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.open--
	}, true
}

// Addrs is the number of addresses remembered.
func (l *Limiter) Addrs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.addrs)
}

func (l *Limiter) refillLocked(a *address, now time.Time) {
	if dt := now.Sub(a.at); dt > 0 {
		a.tokens = math.Min(float64(l.cfg.OpensBurst), a.tokens+dt.Seconds()*l.cfg.OpensPerSecond)
		a.at = now
	}
}

// forgetLocked drops addresses that have nothing open and a full bucket, then any without open connections, and
// reports whether there is room. It costs a walk, but only when the table is full.
func (l *Limiter) forgetLocked(now time.Time) bool {
	if now.Sub(l.forgotAt) < time.Second {
		return false
	}
	l.forgotAt = now
	for key, a := range l.addrs {
		if l.refillLocked(a, now); a.open == 0 && a.tokens >= float64(l.cfg.OpensBurst) {
			delete(l.addrs, key)
		}
	}
	if len(l.addrs) < l.cfg.AddrsMax {
		return true
	}
	for key, a := range l.addrs {
		if a.open == 0 {
			delete(l.addrs, key)
		}
	}
	return len(l.addrs) < l.cfg.AddrsMax
}

func keyOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
