package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lectern/bench/client"
)

// hostID is the number of the host's connection, which is no member.
const hostID = -1

// Names of what happens to the host's connection itself.
const (
	hostOpened = "(opened)"
	hostClosed = "(closed)"
)

// hostEventsMax bounds what waits for the control goroutine; a host gets a few events a second.
const hostEventsMax = 4096

// host is one connection on the first engine that the control goroutine talks through, call by call.
type host struct {
	// Immutable.
	worker *worker
	events chan hostEvent

	// Owned by the engine.
	conn *client.Conn

	// Owned by the control goroutine.
	requests uint64
	backlog  []hostEvent // events that came while a reply was waited for
}

// hostEvent is one message to the host, copied.
type hostEvent struct {
	ev   string
	re   uint64
	ok   bool
	data []byte
	fail []byte
}

var errHostGone = errors.New("bench: the host's connection was closed")

// dialHost connects the host and waits for the handshake.
func (f *fleet) dialHost(ctx context.Context, path string) (*host, error) {
	h := &host{worker: f.workers[0], events: make(chan hostEvent, hostEventsMax)}
	h.worker.engine.Do(func() {
		h.worker.host = h
		h.conn = h.worker.engine.Dial(hostID, path, "")
	})
	_, err := h.await(ctx, f.opt.hostCallTimeout(), hostOpened)
	return h, err
}

// deliver is called on the engine's goroutine.
func (h *host) deliver(e hostEvent) {
	select {
	case h.events <- e:
	default:
		h.worker.fault("host_events_dropped")
	}
}

func (w *worker) hostMessage(payload []byte) {
	var f client.Fields
	var s client.Scanner
	for s.Reset(payload); s.Next(&f); {
		w.host.deliver(hostEvent{
			ev: string(f.Ev), re: f.Re, ok: f.OK, data: slices.Clone(f.Data), fail: slices.Clone(f.Error),
		})
	}
}

// hostCallTimeout is how long the server may take for one of the host's requests.
func (o *Options) hostCallTimeout() time.Duration { return o.Patience / 4 }

// call sends a request and waits for its reply; a refusal is an error.
func (h *host) call(ctx context.Context, op, room, data string) ([]byte, error) {
	h.requests++
	id := h.requests
	frame := appendRequest(nil, id, op, room, data)
	h.worker.engine.Do(func() { h.conn.Send(frame) })
	patience := h.worker.f.opt.hostCallTimeout()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, fmt.Errorf("bench: no reply to the host's %s within %s", op, patience)
		case e := <-h.events:
			switch {
			case e.ev == hostClosed:
				return nil, fmt.Errorf("%w (%s) during %s", errHostGone, e.data, op)
			case e.re == 0:
				h.backlog = append(h.backlog, e)
			case e.re == id && e.ok:
				return e.data, nil
			case e.re == id:
				return nil, fmt.Errorf("bench: the server refused the host's %s: %s: %s", op,
					client.StringMember(e.fail, "code"), client.StringMember(e.fail, "message"))
			}
		}
	}
}

// await waits for the next event of this name; others are dropped.
func (h *host) await(ctx context.Context, patience time.Duration, name string) (hostEvent, error) {
	for i, e := range h.backlog {
		if e.ev == name {
			h.backlog = h.backlog[i+1:]
			return e, nil
		}
	}
	h.backlog = nil
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return hostEvent{}, ctx.Err()
		case <-timeout.C:
			return hostEvent{}, fmt.Errorf("bench: the host waited %s for %s in vain", patience, name)
		case e := <-h.events:
			if e.ev == name {
				return e, nil
			}
			if e.ev == hostClosed {
				return hostEvent{}, fmt.Errorf("%w (%s) while it waited for %s", errHostGone, e.data, name)
			}
		}
	}
}
