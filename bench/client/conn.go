package client

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// connState is where a connection is in its life.
type connState uint8

const (
	stateIdle connState = iota
	stateConnecting
	stateUpgrading
	stateOpen
	stateClosed
)

// pendingBytesMax is how much may wait for a server that does not read before its connection is given up.
const pendingBytesMax = 4 << 20

// Conn is one client connection. All methods belong to its engine's goroutine: call them from a Handler's callbacks
// or inside Engine.Do.
type Conn struct {
	// Immutable after Dial.
	ID     int // the caller's number
	engine *Engine

	// Owned by the engine.
	path      string
	token     string
	partial   []byte // an incomplete frame or response head; nil between messages
	fragments []byte // payload of an unfinished fragmented message
	pending   []byte // frames that were corked or that the kernel did not take
	started   int64
	fd        int32
	slot      int32
	gen       uint32
	fragOp    byte
	state     connState
	wantOut   bool
}

// End says how a connection ended.
type End struct {
	// Name is a short class for counting: "connect", "handshake_503", "closed_4300", "reset", "protocol", "local".
	Name string
	// Code is the close code that the server sent, zero if none.
	Code uint16
	// Opened is true when the handshake had been completed.
	Opened bool
	Err    error
}

var errPending = errors.New("bench: the server does not read what it is sent")

// Open is true between Handler.Opened and Handler.Closed.
func (c *Conn) Open() bool { return c.state == stateOpen }

// Engine is the engine that owns the connection.
func (c *Conn) Engine() *Engine { return c.engine }

// StartedAt is when Dial was called, by Now.
func (c *Conn) StartedAt() int64 { return c.started }

// After asks for Handler.Timer at the time at (by Now). A connection may have any number of timers; they end with it.
func (c *Conn) After(at int64, kind uint8) {
	c.engine.timers.push(timer{at: at, conn: c, kind: kind})
}

// Send writes payload as one masked text frame at once.
func (c *Conn) Send(payload []byte) {
	c.Queue(payload)
	c.Flush()
}

// Queue appends payload as one masked text frame to what the next Flush writes. payload is copied.
func (c *Conn) Queue(payload []byte) {
	if c.state != stateOpen {
		return
	}
	if c.pending == nil {
		c.pending = c.engine.buffer()
	}
	c.pending = appendMasked(c.pending, opText, payload, c.engine.mask())
}

// Flush writes what is queued. What the kernel does not take waits for the socket to be writable.
func (c *Conn) Flush() {
	if len(c.pending) == 0 || c.state < stateUpgrading || c.state == stateClosed {
		return
	}
	n, err := rawWrite(int(c.fd), c.pending)
	if err == unix.EAGAIN {
		n, err = 0, nil
	}
	if err != nil {
		c.finish(End{Name: "reset", Err: err})
		return
	}
	if n == len(c.pending) {
		c.engine.recycle(c.pending)
		c.pending = nil
		if c.wantOut {
			c.watch(false)
		}
		return
	}
	c.pending = c.pending[n:]
	if len(c.pending) > pendingBytesMax {
		c.finish(End{Name: "stuck", Err: errPending})
		return
	}
	if !c.wantOut {
		c.watch(true)
	}
}

// Close sends a close frame with code (best effort) and closes the socket. Handler.Closed is called with the name
// "local".
func (c *Conn) Close(code uint16) {
	if c.state == stateOpen {
		frame := appendMasked(nil, opClose, []byte{byte(code >> 8), byte(code)}, c.engine.mask())
		_, _ = rawWrite(int(c.fd), frame)
	}
	c.finish(End{Name: "local", Code: code})
}

// Abort closes the socket with no word to the server.
func (c *Conn) Abort() { c.finish(End{Name: "local"}) }

// stallReceiveBytes is the receive buffer of a connection that has stopped reading, so that the kernel takes little
// for it.
const stallReceiveBytes = 4096

// Stall stops reading for good: the connection stays open, and what the server sends waits with the server. It ends
// with the engine, and its end by the server's hand goes unnoticed.
func (c *Conn) Stall() {
	if c.state != stateOpen {
		return
	}
	_ = unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, stallReceiveBytes)
	_ = unix.EpollCtl(c.engine.epfd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
}

// SendWaiting is Send for a connection that has stalled: it waits, and the engine with it, until the kernel has taken
// all, for at most waitMs. It reports whether that was so.
func (c *Conn) SendWaiting(payload []byte, waitMs int) bool {
	b := appendMasked(nil, opText, payload, c.engine.mask())
	for len(b) > 0 {
		n, err := rawWrite(int(c.fd), b)
		if err == unix.EAGAIN {
			fds := []unix.PollFd{{Fd: c.fd, Events: unix.POLLOUT}}
			if ready, err := unix.Poll(fds, waitMs); err != nil && err != unix.EINTR || ready == 0 {
				return false
			}
			continue
		}
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

func (c *Conn) watch(out bool) {
	c.wantOut = out
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP)
	if out {
		events |= unix.EPOLLOUT
	}
	ev := unix.EpollEvent{Events: events, Fd: c.slot, Pad: int32(c.gen)}
	_ = unix.EpollCtl(c.engine.epfd, unix.EPOLL_CTL_MOD, int(c.fd), &ev)
}

func (c *Conn) finish(end End) {
	if c.state == stateClosed || c.state == stateIdle {
		return
	}
	end.Opened = c.state == stateOpen
	c.state = stateClosed
	_ = unix.Close(int(c.fd))
	c.engine.release(c)
	c.partial, c.fragments, c.pending = nil, nil, nil
	c.engine.handler.Closed(c, end)
}

// readable takes everything that is there: level-triggered, so a short read ends it without a second call.
func (c *Conn) readable(now int64) {
	buf := c.engine.readBuf
	for c.state == stateUpgrading || c.state == stateOpen {
		n, err := rawRead(int(c.fd), buf)
		if err == unix.EAGAIN || err == unix.EINTR {
			return
		}
		if err != nil {
			c.finish(End{Name: "reset", Err: err})
			return
		}
		if n == 0 {
			c.finish(End{Name: "eof", Err: errors.New("bench: the server closed the connection without a close frame")})
			return
		}
		c.feed(buf[:n], now)
		if n < len(buf) {
			return
		}
	}
}

func (c *Conn) feed(in []byte, now int64) {
	kept := len(c.partial) > 0
	if kept {
		c.partial = append(c.partial, in...)
		in = c.partial
	}
	rest := in
	if c.state == stateUpgrading {
		var done bool
		if rest, done = c.upgrade(in, now); !done {
			rest = in
		}
	}
	if c.state == stateOpen {
		rest = c.frames(rest, now)
	}
	switch {
	case c.state == stateClosed:
	case len(rest) == 0:
		c.partial = nil
	case kept:
		c.partial = append(c.partial[:0], rest...)
	default:
		c.partial = append([]byte(nil), rest...)
	}
}

// frames handles every complete frame of b and returns the rest.
func (c *Conn) frames(b []byte, now int64) []byte {
	for c.state == stateOpen {
		h, ok, err := parseHeader(b)
		if err != nil {
			c.finish(End{Name: "protocol", Err: err})
			return nil
		}
		if !ok || len(b) < h.headLen+h.payloadLen {
			return b
		}
		payload := b[h.headLen : h.headLen+h.payloadLen]
		b = b[h.headLen+h.payloadLen:]
		if h.fin && h.op == opText && c.fragOp == 0 {
			c.engine.handler.Message(c, payload, now)
			continue
		}
		c.frame(h, payload, now)
	}
	return nil
}

// frame handles what is not a whole text message.
func (c *Conn) frame(h frameHeader, payload []byte, now int64) {
	switch h.op {
	case opPing:
		c.engine.pings++
		c.pending = appendMasked(c.pending, opPong, payload, c.engine.mask())
		c.Flush()
	case opPong:
	case opClose:
		code := uint16(1005)
		if len(payload) >= 2 {
			code = uint16(payload[0])<<8 | uint16(payload[1])
		}
		c.finish(End{Name: fmt.Sprintf("closed_%d", code), Code: code})
	case opText, opBinary:
		if c.fragOp != 0 {
			c.finish(End{Name: "protocol", Err: errFrameOrder})
			return
		}
		if h.fin {
			c.engine.handler.Message(c, payload, now)
			return
		}
		c.fragOp = h.op
		c.fragments = append([]byte(nil), payload...)
	case opContinuation:
		if c.fragOp == 0 {
			c.finish(End{Name: "protocol", Err: errFrameOrder})
			return
		}
		if len(c.fragments)+len(payload) > payloadBytesMax {
			c.finish(End{Name: "protocol", Err: errFrameSize})
			return
		}
		c.fragments = append(c.fragments, payload...)
		if h.fin {
			whole := c.fragments
			c.fragments, c.fragOp = nil, 0
			c.engine.handler.Message(c, whole, now)
		}
	default:
		c.finish(End{Name: "protocol", Err: fmt.Errorf("bench: the server sent a frame with the unknown opcode %d", h.op)})
	}
}
