package netpoll

import (
	"errors"
	"net"
	"sync"
	"time"

	"lectern/netpoll/frame"
	"lectern/netpoll/wheel"
)

type connFlags uint8

const (
	flagDirty   connFlags = 1 << iota // on the loop's dirty list
	flagClosing                       // on the loop's closing list: takes nothing more
	flagClosed                        // Closed was announced; the transport must not be touched again
	flagBlocked                       // on the loop's blocked list: the engine holds bytes that the peer has not taken
	flagLate                          // came above Config.AcceptRate or near ConnsMax
	flagWriting                       // inside a write: a close that arrives now is a failed write
)

// Conn is one connection. It belongs to its loop: every method but ID is for the loop's goroutine, and other
// goroutines keep the ConnID and post to the loop.
type Conn struct {
	// State is the handler's.
	State any

	// Immutable.
	t        Transport
	loop     *Loop
	released func() // gives back what Config.Admit counted
	openedAt int64  // Unix nanoseconds
	id       ConnID

	// Owned by the loop.
	out       outbox
	timers    [timerKinds]wheel.Handle
	blockedAt int32 // place in the loop's blocked list
	reason    Reason
	flags     connFlags
}

// ID names the connection across goroutines. Any goroutine.
func (c *Conn) ID() ConnID { return c.id }

// Loop is the loop that owns the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// OpenedAt is when the connection was accepted.
func (c *Conn) OpenedAt() time.Time { return time.Unix(0, c.openedAt) }

// RemoteAddr is the peer's address as host:port, or empty once the connection is closed (it is still there inside
// Handler.Closed).
func (c *Conn) RemoteAddr() string {
	a := c.t.RemoteAddr()
	if a == nil {
		return ""
	}
	return a.String()
}

// Closing reports whether the connection is closed or about to be: it takes nothing more.
func (c *Conn) Closing() bool { return c.flags&(flagClosed|flagClosing) != 0 }

// Reason is why the connection was closed, or is about to be; ReasonNone before.
func (c *Conn) Reason() Reason { return c.reason }

// Late reports whether the connection came when the server had more to take up than Config allows: the handler should
// tell it when to come back.
func (c *Conn) Late() bool { return c.flags&flagLate != 0 }

// Close ends the connection at the end of the current turn, after giving the kernel what is queued (best effort, no
// waiting for a peer that is behind). It is safe while walking over connections, because Handler.Closed is called
// later. Closing again changes nothing: the first reason stays.
func (c *Conn) Close(reason Reason) {
	if c.Closing() {
		return
	}
	c.reason = reason
	c.flags |= flagClosing
	c.loop.closing = append(c.loop.closing, c)
}

// heartbeatGrain is the distance of the moments at which heartbeats fire. At one moment each 10 ms, ten thousand idle
// connections kept Go's monitor awake for a twentieth of a CPU.
const heartbeatGrain = 100 * time.Millisecond

// SetTimer arms the timer of that kind, or moves it when it is armed. It fires once, up to 10 ms late; a heartbeat of a
// second or more up to 100 ms early, so that a loop with thousands of them wakes up ten times a second, not a hundred.
func (c *Conn) SetTimer(kind TimerKind, after time.Duration) {
	if c.flags&flagClosed != 0 {
		return
	}
	c.loop.wheel.Cancel(c.timers[kind])
	if kind == TimerHeartbeat && after >= heartbeatGrain*10 {
		after -= c.loop.Now().Add(after).Sub(c.loop.epoch) % heartbeatGrain
	}
	c.timers[kind] = c.loop.addTimer(after, timerRef{c: c, kind: kind})
}

// StopTimer disarms the timer of that kind; if it is not armed nothing happens.
func (c *Conn) StopTimer(kind TimerKind) {
	if h := c.timers[kind]; h != 0 {
		c.loop.wheel.Cancel(h)
		c.timers[kind] = 0
		c.loop.count.timersHeld.Store(int64(c.loop.wheel.Len()))
	}
}

// ErrNotDetachable is returned by Detach for a connection that is closing or has bytes the peer has not taken.
var ErrNotDetachable = errors.New("netpoll: a connection that is closing or has unsent bytes can't be handed off")

// Detach hands the connection to someone else, such as a net/http server: the result is a second descriptor on the
// same socket, and ours is closed at the end of the turn with ReasonHandedOff, which the peer does not notice. Bytes
// that were already read are the caller's to deliver first. The result counts against Config.ConnsMax until it is
// closed.
func (c *Conn) Detach() (net.Conn, error) {
	if c.Closing() || c.QueuedBytes() > 0 {
		return nil, ErrNotDetachable
	}
	tcp, err := c.loop.driver.Dup(c.t)
	if err != nil {
		return nil, err
	}
	c.Close(ReasonHandedOff)
	core := c.loop.core
	core.detached.Add(1)
	released := c.released // counts against its address until it really ends
	c.released = nil
	return &handedConn{TCPConn: tcp, end: sync.OnceFunc(func() {
		core.detached.Add(-1)
		if released != nil {
			released()
		}
	})}, nil
}

// handedConn counts a handed-off connection until it is closed. It embeds the TCP connection so that net/http still
// finds ReadFrom and CloseWrite.
type handedConn struct {
	*net.TCPConn
	end func()
}

// Close closes the connection and stops counting it.
func (h *handedConn) Close() error {
	defer h.end()
	return h.TCPConn.Close()
}

// Send queues a frame; everything queued in one turn leaves in one write when the turn ends. Send takes a reference
// of its own where it keeps the frame, so the caller's stays the caller's. key tells apart what a State frame
// replaces; 0 means that it replaces nothing. A frame that is not sealed panics. Loop's goroutine.
func (c *Conn) Send(class Class, key uint64, f *frame.Frame) SendStatus {
	if c.Closing() {
		return Closed
	}
	status, keep := c.admit(class, key, len(f.Bytes()))
	if keep {
		f.Retain()
		c.push(entry{f: f, key: key, class: class})
		c.markDirty()
	}
	return status
}

// SendBytes queues a copy of b, as Send does; small pieces of one turn and class share a buffer.
func (c *Conn) SendBytes(class Class, b []byte) SendStatus {
	if c.Closing() {
		return Closed
	}
	status, keep := c.admit(class, 0, len(b))
	if keep {
		c.pushCopy(class, b)
		c.markDirty()
	}
	return status
}

// QueuedBytes is what waits for the peer: queued in the outbox and held by the engine.
func (c *Conn) QueuedBytes() int {
	if c.flags&flagClosed != 0 {
		return 0
	}
	return c.out.payload() + c.t.OutboundBuffered()
}

func (c *Conn) markDirty() {
	if c.flags&(flagDirty|flagClosed) == 0 {
		c.flags |= flagDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}
