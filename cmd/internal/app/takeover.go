package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"lectern/cmd/internal/handover"
	"lectern/persist/sqlite"
)

// How long the two sides of a takeover wait for each other. A taker that is not answered in time gives up and has
// changed nothing, unless the rooms have ended already.
const (
	helloMax     = 5 * time.Second
	listeningMax = 30 * time.Second // the taker opens its port
	releasedMax  = 30 * time.Second // the giver's rooms finish and the journal writes out
	servingMax   = 60 * time.Second // the taker opens the store and restores the rooms
)

// takeoverPath is where a server waits for who takes over from it; empty when the store can't be taken over.
func (a *App) takeoverPath() string {
	kind, path, err := a.cfg.StoreKind()
	if err != nil || kind != "sqlite" {
		return ""
	}
	return path + ".takeover"
}

// takeOver asks the server that has the store to let go of it. When it returns, the port is open and its connections
// wait, and the store is free; ended is when the rooms stopped, Unix milliseconds. Zero: there was no such server, and
// nothing has happened.
func (a *App) takeOver(ctx context.Context) (ended int64, err error) {
	path := a.takeoverPath()
	if path == "" {
		return 0, errors.New("app: takeover needs a store in a file, as sqlite:FILE is")
	}
	peer, err := handover.Dial(path)
	if errors.Is(err, handover.ErrNobody) {
		a.log.Info("nobody to take over from; starting as usual")
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	a.predecessor = peer // closed by stop, or by tookOver
	listen, err := a.askToTakeOver(peer)
	if err != nil {
		return 0, err
	}
	if err := a.openPort(listen, true); err != nil {
		return 0, err
	}
	if err := peer.Tell(handover.Message{Step: handover.Listening}); err != nil {
		return 0, fmt.Errorf("app: the server that runs went away: %w", err)
	}
	m, err := peer.Receive(time.Now().Add(releasedMax), a.adopt)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, fmt.Errorf("app: the server that runs did not let go of the store within %v", releasedMax)
	case err != nil || m.Step != handover.Released: // it is gone: the rest is as after a crash
		a.log.Warn("the server that ran has ended without a word; starting from what is on disk", "err", err)
		return time.Now().UnixMilli(), nil
	case m.Failed != "":
		a.log.Warn("the server that ran could not finish in order; starting from what is on disk", "its error", m.Failed)
	}
	a.adopting.Go(func() { a.adoptTheRest(ctx, peer) })
	return m.Ended, nil
}

// askToTakeOver returns the address to listen on.
func (a *App) askToTakeOver(peer *handover.Peer) (listen string, err error) {
	if err := peer.Tell(handover.Message{Step: handover.Hello, PID: os.Getpid()}); err != nil {
		return "", fmt.Errorf("app: can't talk to the server that runs: %w", err)
	}
	m, err := peer.Receive(time.Now().Add(helloMax), nil)
	switch {
	case err != nil:
		return "", fmt.Errorf("app: the server that runs does not answer: %w", err)
	case m.Step == handover.Refused:
		return "", fmt.Errorf("app: the server that runs (process %d) can't be taken over from: %s", m.PID, m.Why)
	case m.Step != handover.Ready:
		return "", fmt.Errorf("app: the server that runs answers %q, which this version does not know", m.Step)
	}
	_, port, err := net.SplitHostPort(m.Addr)
	if err != nil {
		return "", fmt.Errorf("app: the server that runs does not say where it listens: %w", err)
	}
	switch _, wanted, _ := net.SplitHostPort(a.cfg.Listen); wanted {
	case port:
		return a.cfg.Listen, nil
	case "0": // any
		return m.Addr, nil
	}
	return "", fmt.Errorf("app: the server that runs listens on %s, not on %s: a takeover keeps the port", m.Addr,
		a.cfg.Listen)
}

// adopt takes in a connection that the predecessor has accepted, or a socket that it listens on.
func (a *App) adopt(kind string, f *os.File) {
	var err error
	if kind == handover.Socket {
		var l net.Listener
		if l, err = net.FileListener(f); err == nil {
			err = a.net.Inherit(l)
		}
	} else {
		var c net.Conn
		if c, err = net.FileConn(f); err == nil {
			err = a.net.Adopt(c)
		}
	}
	if err != nil {
		a.log.Warn("something of the server that ran is lost", "what", kind, "err", err)
	}
}

// adoptTheRest takes in what the predecessor still accepts, until it ends.
func (a *App) adoptTheRest(ctx context.Context, peer *handover.Peer) {
	for {
		if _, err := peer.Receive(time.Time{}, a.adopt); err != nil {
			if ctx.Err() == nil {
				a.log.Info("the server that ran has ended")
			}
			return
		}
	}
}

// tookOver tells the predecessor that its members may come.
func (a *App) tookOver(ended int64) {
	if ended == 0 {
		return
	}
	gap := time.Since(time.UnixMilli(ended))
	a.log.Info("took over", "roomsAwayMs", gap.Milliseconds())
	_ = a.predecessor.Tell(handover.Message{Step: handover.Serving}) // if it is gone, so are its members
}

// offerTakeover lets another server take over from this one. Where that can't be, the server runs all the same.
func (a *App) offerTakeover() {
	path := a.takeoverPath()
	if path == "" {
		return
	}
	offer, err := handover.Listen(path)
	if err != nil {
		a.log.Warn("no other server can take over from this one", "err", err)
		return
	}
	a.offer = offer
	go offer.Run(a.give) // until offer.Close
}

// TakenOver yields once when another server has taken over and the members have been sent there: this one should stop
// then. The error says that the other one did not make it; then the members were sent away as in a restart.
func (a *App) TakenOver() <-chan error { return a.takenOver }

// give is the other side of takeOver. Until the taker listens, it changes nothing.
func (a *App) give(peer *handover.Peer) {
	if !a.agree(peer) {
		_ = peer.Close()
		return
	}
	a.log.Info("another server takes over")
	ctx, cancel := context.WithTimeout(context.Background(), releasedMax)
	defer cancel()
	a.net.Forward(func(fd int) bool { return peer.Pass(handover.Connection, fd) })
	for _, fd := range a.net.Listeners() {
		if !peer.Pass(handover.Socket, fd) {
			a.log.Warn("a listening socket can't be passed on; it ends with this process")
		}
	}
	a.gateway.PassOn(ctx)
	a.gateway.Leave(time.Now(), time.Millisecond) // whoever asks for anything now is best served there
	a.endHTTP(ctx)
	released := handover.Message{Step: handover.Released, Ended: time.Now().UnixMilli()}
	a.offer.Shut()
	if err := a.endRooms(ctx); err != nil {
		released.Failed = err.Error()
		a.log.Error("the rooms could not be ended in order", "err", err)
	}
	err := peer.Tell(released)
	if err == nil {
		var m handover.Message
		m, err = peer.Receive(time.Now().Add(servingMax), nil)
		if err == nil && m.Step != handover.Serving {
			err = fmt.Errorf("it said %q", m.Step)
		}
	}
	if err != nil {
		err = fmt.Errorf("app: the server that takes over did not get to serve: %w", err)
	}
	drain, cancelDrain := context.WithTimeout(context.Background(), a.cfg.Drain+time.Second)
	defer cancelDrain()
	a.gateway.Drain(a.drainTime(), err != nil, waitIn(drain))
	a.successor = peer // stays open: what this process still accepts goes that way until it ends
	a.takenOver <- err
}

// agree is the part of the conversation that can still be broken off.
func (a *App) agree(peer *handover.Peer) bool {
	m, err := peer.Receive(time.Now().Add(helloMax), nil)
	if err != nil || m.Step != handover.Hello {
		return false
	}
	a.log.Info("another server asks to take over", "pid", m.PID)
	if a.gateway.Left() {
		_ = peer.Tell(handover.Message{Step: handover.Refused, PID: os.Getpid(), Why: "it is about to stop"})
		return false
	}
	if peer.Tell(handover.Message{Step: handover.Ready, Addr: a.Addr().String()}) != nil {
		return false
	}
	m, err = peer.Receive(time.Now().Add(listeningMax), nil)
	if err != nil || m.Step != handover.Listening {
		a.log.Warn("the other server gave up; this one goes on", "err", err)
		return false
	}
	return true
}

// openStore opens the store. That of a server that has just gone may take a moment to be free.
func (a *App) openStore(ctx context.Context, wait bool) error {
	for deadline := time.Now().Add(lockMax); ; {
		store, err := OpenStore(ctx, a.cfg, a.log, ForServer)
		if err == nil {
			a.store = store
			return nil
		}
		if !wait || !errors.Is(err, sqlite.ErrInUse) || time.Now().After(deadline) {
			return err
		}
		waitIn(ctx)(lockEvery)
	}
}

// How long, and how often, a taker tries to get the lock of a store.
const (
	lockMax   = 5 * time.Second
	lockEvery = 20 * time.Millisecond
)
