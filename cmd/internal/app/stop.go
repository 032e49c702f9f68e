package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"lectern/cmd/internal/ops"
)

// Stop sends the members away over the configured time, lets the rooms finish, and writes out what was recorded. It
// returns within ctx. It may be called once; later calls do nothing.
func (a *App) Stop(ctx context.Context) (err error) {
	a.stopOnce.Do(func() { err = a.stop(ctx) })
	return err
}

// drainPerConn is the time that one connection adds to a drain, up to the configured length: a server with a handful of
// members need not wait.
const drainPerConn = 5 * time.Millisecond

func (a *App) drainTime() time.Duration {
	return min(a.cfg.Drain, time.Duration(a.net.Stats().Open)*drainPerConn)
}

func (a *App) stop(ctx context.Context) error {
	var errs []error
	if a.offer != nil { // a takeover that is under way ends first
		errs = append(errs, a.offer.Close(ctx))
	}
	if a.predecessor != nil {
		_ = a.predecessor.Close()
		a.adopting.Wait()
	}
	if a.net != nil {
		if a.gateway != nil && !a.gateway.Left() {
			a.gateway.Drain(a.drainTime(), true, waitIn(ctx))
		}
		a.net.Refuse(true)
		a.endHTTP(ctx)
		errs = append(errs, a.net.Stop(ctx))
	}
	errs = append(errs, a.endRooms(ctx))
	if a.successor != nil {
		_ = a.successor.Close()
	}
	return errors.Join(errs...)
}

// inspection is what the admin port may look at and do.
func (a *App) inspection() ops.Inspection {
	return ops.Inspection{
		Connections: a.gateway.Connections, CloseConnection: a.gateway.CloseConnection, Rooms: a.router.Look,
		Drain: func() {
			select {
			case a.drainAsked <- struct{}{}:
			default: // it has been asked for already
			}
		},
	}
}

// DrainAsked yields when the admin port has been asked for an orderly stop.
func (a *App) DrainAsked() <-chan struct{} { return a.drainAsked }

// waitIn waits for a while, or until ctx ends.
func waitIn(ctx context.Context) func(time.Duration) {
	return func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// requestsPatience is how long a stop waits for requests under way; those that are not answered by then are cut off. In
// a takeover they wait for the rooms to be back, which takes a second or two on a busy machine.
const requestsPatience = 8 * time.Second

// stopHTTP lets the requests under way finish and takes no more.
func (a *App) stopHTTP(ctx context.Context) {
	if a.http == nil {
		return
	}
	shutdown, cancel := context.WithTimeout(ctx, requestsPatience)
	defer cancel()
	a.gateway.HandOff().Idle(shutdown)
	if a.http.Shutdown(shutdown) != nil {
		_ = a.http.Close()
	}
	_ = a.gateway.HandOff().Close()
}

// stopRoomsAndStore lets the rooms finish, writes out what they have recorded, and closes the store.
func (a *App) stopRoomsAndStore(ctx context.Context) error {
	var errs []error
	close(a.stopWork)
	a.stopShared(ctx)
	if a.stopRooms != nil {
		a.stopRooms()
		<-a.roomsDone
		a.markAlive(ctx)
	}
	if a.journal != nil {
		errs = append(errs, a.journal.Close(ctx))
	}
	if a.stopLoader != nil {
		a.stopLoader()
	}
	if a.stopSearch != nil {
		a.stopSearch()
	}
	a.background.Wait()
	if a.indexer != nil {
		errs = append(errs, a.indexer.Index().Close())
	}
	if a.admin != nil {
		errs = append(errs, a.admin.Close())
	}
	errs = append(errs, a.closeShared())
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// onlyOnce makes f do its work once; later and simultaneous calls wait for the first.
func onlyOnce(f func(context.Context)) func(context.Context) {
	var once sync.Once
	return func(ctx context.Context) { once.Do(func() { f(ctx) }) }
}

// onlyOnceErr is onlyOnce for what can fail; later calls give nil.
func onlyOnceErr(f func(context.Context) error) func(context.Context) error {
	var once sync.Once
	return func(ctx context.Context) (err error) {
		once.Do(func() { err = f(ctx) })
		return err
	}
}
