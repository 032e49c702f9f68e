package app

import (
	"context"
	"time"
)

// steadyMs is a clock for the shards, Unix milliseconds: it goes on from start as time passes, so that questions end in
// time when somebody sets the machine's clock. It begins no earlier than at notBefore.
func steadyMs(start time.Time, notBefore int64) func() int64 {
	wall := max(start.UnixMilli(), notBefore)
	return func() int64 { return wall + time.Since(start).Milliseconds() }
}

// setClock starts the rooms' clock. It goes on from where the process before left it when the machine's clock has been
// set back since: otherwise time would stand still in the rooms until it has caught up.
func (a *App) setClock(ctx context.Context, now time.Time) error {
	var err error
	if a.alive, err = a.store.LastAlive(ctx); err != nil {
		return err
	}
	a.clock = steadyMs(now, a.alive)
	if behind := time.UnixMilli(a.alive).Sub(now); a.alive != 0 && behind > time.Second {
		a.log.Warn("the machine's clock is behind the time at which a server was last alive here; the rooms go on from "+
			"there. Set the clock right (timedatectl status)", "behind", behind.Round(time.Millisecond).String())
	}
	return nil
}

// aliveEvery is how often it is noted that the server is alive: an open question gets back at most so much more than
// the outage.
const aliveEvery = time.Second

// keepAliveMark notes that the server is alive while there are rooms whose clocks run.
func (a *App) keepAliveMark() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.stopWork:
			return
		case <-tick.C:
			if a.router.Stats().Rooms > 0 {
				a.markAlive(context.Background())
			}
		}
	}
}

// markAlive notes the time. What keeps it from that keeps the journal from its work too, which is where it is said.
func (a *App) markAlive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, aliveEvery)
	defer cancel()
	_ = a.store.MarkAlive(ctx, a.clock())
}
