package auth

import (
	"sync"
	"time"
)

// cached is a token that has been verified.
type cached struct {
	claims    Claims
	kid       string
	notBefore time.Time
}

// cache remembers verified tokens by the SHA-256 of their bytes, so that the bytes themselves are not kept.
type cache struct {
	max     int // immutable; none when not positive
	mu      sync.RWMutex
	entries map[[32]byte]cached
}

func (c *cache) init(entriesMax int) {
	c.max = entriesMax
	c.entries = make(map[[32]byte]cached)
}

func (c *cache) get(sum [32]byte) (cached, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[sum]
	return e, ok
}

// put starts afresh when the cache is full: cheaper than keeping order, and a token lives for 15 minutes only.
func (c *cache) put(sum [32]byte, e cached) {
	if c.max <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.max {
		clear(c.entries)
	}
	c.entries[sum] = e
}
