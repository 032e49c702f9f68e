package rooms

import (
	"context"
	"hash/maphash"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Router knows which shard owns a room, and runs the shards.
type Router struct {
	shards []*Shard
	seed   maphash.Seed
	now    func() int64
}

// NewRouter makes a router over shards; now is the clock, Unix milliseconds.
func NewRouter(shards []*Shard, now func() int64) *Router {
	return &Router{shards: shards, seed: maphash.MakeSeed(), now: now}
}

// Shards is the number of shards.
func (r *Router) Shards() int { return len(r.shards) }

// ShardOf is the index of the shard that owns a room. Any goroutine.
func (r *Router) ShardOf(room string) int {
	return int(maphash.String(r.seed, room) % uint64(len(r.shards)))
}

// Post hands commands for rooms of one shard over, all or none. Any goroutine.
func (r *Router) Post(shard int, commands []Command) bool { return r.shards[shard].Post(commands) }

// PostAlways is Post for commands that can't be refused. Any goroutine.
func (r *Router) PostAlways(shard int, commands []Command) { r.shards[shard].PostAlways(commands) }

// Restore loads rooms, so that their timers run and their PINs work. done is called when all of them have been loaded
// or can't be, from any goroutine. Any goroutine.
func (r *Router) Restore(rooms []string, done func()) {
	var left atomic.Int64
	left.Store(int64(len(rooms)) + 1)
	one := func() {
		if left.Add(-1) == 0 {
			done()
		}
	}
	for _, room := range rooms {
		r.shards[r.ShardOf(room)].Restore(room, one)
	}
	one()
}

// Run runs the shards, one goroutine each, until ctx ends; each then drains its inbox once more, so that what was
// posted before is carried out and handed to the journal, and waits a while until that is durable and has been said. So
// the journal and the outlet must outlive it.
func (r *Router) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range r.shards {
		wg.Go(func() {
			labels := pprof.Labels("shard", strconv.Itoa(s.index))
			pprof.Do(ctx, labels, func(ctx context.Context) { s.run(ctx, r.now) })
		})
	}
	wg.Wait()
}

// idleWait is how long a shard with nothing due sleeps at most: it sweeps once per wake.
const idleWait = sweepEveryMs * time.Millisecond

func (s *Shard) run(ctx context.Context, now func() int64) {
	timer := time.NewTimer(idleWait)
	defer timer.Stop()
	var commands []Command
	var signals []any
	for {
		clear(commands)
		clear(signals)
		commands, signals = s.inbox.take(commands, signals)
		began := now()
		next := s.Drain(began, commands, signals)
		ended := now()
		s.stats.busyMs.Add(ended - began) // whole milliseconds of short drains: right on average
		wait := idleWait
		if next != 0 {
			wait = min(wait, max(0, time.Duration(next-ended)*time.Millisecond))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			s.inbox.stop()
			s.finish(now)
			return
		case <-s.inbox.wake:
		case <-timer.C:
		}
	}
}

// finishMax is how long a shard that ends waits for the journal and the loops to take what it has said.
const finishMax = 2 * time.Second

// finish is a shard's last work: it carries out what waits, and lets what was said because of it go, so that whoever
// asked before the end is answered. No time passes any more in its rooms.
func (s *Shard) finish(now func() int64) {
	commands, signals := s.inbox.take(nil, nil)
	s.Drain(now(), commands, signals)
	patience := time.NewTimer(finishMax)
	defer patience.Stop()
	for s.heldCount > 0 || len(s.outbound) > 0 || s.inFlight {
		select {
		case <-patience.C:
			return
		case <-s.inbox.wake:
		}
		_, signals = s.inbox.take(nil, nil)
		for _, sig := range signals {
			s.onSignal(now(), sig)
		}
		s.commit(now())
		s.flush()
	}
}

// Stats is the sum over all shards.
type Stats struct {
	Rooms, Members, Commands, Facts, Outputs, Refused, FailedCommits, Panics int64
	InboxDepth, InboxPeak                                                    int
}

// Stats reads the counters. Any goroutine.
func (r *Router) Stats() Stats {
	var t Stats
	for _, s := range r.shards {
		t.Rooms += s.stats.rooms.Load()
		t.Members += s.stats.members.Load()
		t.Commands += s.stats.commands.Load()
		t.Facts += s.stats.facts.Load()
		t.Outputs += s.stats.outputs.Load()
		t.Refused += s.stats.refused.Load()
		t.FailedCommits += s.stats.failed.Load()
		t.Panics += s.stats.panics.Load()
		depth, peak := s.inbox.depth()
		t.InboxDepth += depth
		t.InboxPeak = max(t.InboxPeak, peak)
	}
	return t
}
