package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// revocations is the set of families whose access tokens may not be accepted any more, each until its last one has
// expired anyway.
type revocations struct {
	mu    sync.RWMutex
	until map[string]int64 // family → Unix milliseconds
	subs  map[int]func(family string)
	next  int
}

func (r *revocations) init() {
	r.until = make(map[string]int64)
	r.subs = make(map[int]func(string))
}

// add tells the subscribers, outside the lock, of a family that was not in the set.
func (r *revocations) add(family string, until int64) {
	r.mu.Lock()
	_, known := r.until[family]
	r.until[family] = max(until, r.until[family])
	var tell []func(string)
	if !known {
		for _, f := range r.subs {
			tell = append(tell, f)
		}
	}
	r.mu.Unlock()
	for _, f := range tell {
		f(family)
	}
}

func (r *revocations) has(family string, now int64) bool {
	if family == "" {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	until, ok := r.until[family]
	return ok && now < until
}

func (r *revocations) prune(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for family, until := range r.until {
		if until <= now {
			delete(r.until, family)
		}
	}
}

// Subscribe has tell called with each family that is revoked from now on, so that its connections can be closed. tell
// runs on the goroutine that revokes, possibly on several at once; it must not block. The function returned ends the
// subscription.
func (i *Issuer) Subscribe(tell func(family string)) (unsubscribe func()) {
	r := &i.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.next
	r.next++
	r.subs[id] = tell
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subs, id)
	}
}

// ReloadRevocations reads the families revoked lately, for those that another node has revoked; subscribers are told of
// new ones. It blocks on the store.
func (i *Issuer) ReloadRevocations(ctx context.Context, now time.Time) error {
	span := i.tokenSpan()
	list, err := i.refresh.RevokedFamilies(ctx, now.Add(-span).UnixMilli())
	if err != nil {
		return fmt.Errorf("auth: load the revoked sessions: %w", err)
	}
	for _, r := range list {
		i.revoked.add(r.Family, r.RevokedAt+span.Milliseconds())
	}
	return nil
}

// Sweep forgets what has expired: retired keys, revocations, old refresh families. The app calls it about once an
// hour. It blocks on the stores.
func (i *Issuer) Sweep(ctx context.Context, now time.Time) error {
	i.revoked.prune(now.UnixMilli())
	err := errors.Join(
		i.keys.DeleteRetiredKeys(ctx, now.UnixMilli()),
		// An expired family is kept a day longer, so that its client hears token_expired and not invalid_token.
		i.refresh.PurgeRefresh(ctx, now.Add(-24*time.Hour).UnixMilli()))
	if err != nil {
		return fmt.Errorf("auth: sweep: %w", err)
	}
	return i.ReloadKeys(ctx, now)
}
