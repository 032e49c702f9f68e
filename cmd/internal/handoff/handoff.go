// Package handoff brings connections that a loop has accepted to net/http: a net.Listener whose connections are given
// to it, each with the bytes that the loop had read before it knew that they were no WebSocket handshake, and all of
// its requests as strict as the first.
//
// Limit: as many connections wait as New was told (unit: connections); a further one is closed and Give says so.
package handoff

import (
	"context"
	"net"
	"sync"
	"time"

	"lectern/protocol/http1"
)

// Listener is what net/http listens on. All methods may be called from any goroutine.
type Listener struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

// New makes a listener that keeps at most queueMax connections for Accept.
func New(queueMax int) *Listener {
	return &Listener{conns: make(chan net.Conn, queueMax), shut: make(chan struct{})}
}

// Give hands a connection over, with the bytes that were read from it, which are copied. It reports false, and closes
// the connection, when too many wait. After Close it is told to come back. It never blocks.
func (l *Listener) Give(conn net.Conn, read []byte) bool {
	select {
	case l.conns <- &strictConn{
		Conn: conn, read: append([]byte(nil), read...), requests: http1.NewStream(http1.Limits{}),
	}:
	default:
		_ = conn.Close()
		return false
	}
	select {
	case <-l.shut: // nobody will accept it, and Close may have looked already
		_ = l.Close()
	default:
	}
	return true
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

// Idle waits until everything that waits has been accepted, or until ctx ends. It makes sense when nothing more comes.
func (l *Listener) Idle(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(l.conns) > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Close ends Accept. What waits is told to come back.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.shut) })
	for {
		select {
		case c := <-l.conns:
			turnAway(c)
		default:
			return nil
		}
	}
}

// turnAwayMax is how long an answer may take. Nothing has been sent on the connection, so a socket takes it at once.
const turnAwayMax = 10 * time.Millisecond

// turnAway answers a request that nobody will accept any more.
func turnAway(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(turnAwayMax))
	_, _ = c.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n" +
		"Content-Length: 0\r\n\r\n"))
	_ = c.Close()
}

// Addr names the listener; the port is netpoll's.
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

// Network is the name of the kind of address.
func (addr) Network() string { return "tcp" }

// String is for logs.
func (addr) String() string { return "handed off by netpoll" }

// strictConn gives out the bytes that the loop has read before it goes on with the socket, and holds every request on
// the connection to the rules that the loop had for the first: net/http by itself takes line feeds without carriage
// return, folded headers, and more.
type strictConn struct {
	net.Conn
	read     []byte // by the loop
	requests http1.Stream
	fault    *http1.Error
	poison   string
}

// poison makes net/http refuse the request whose head was going wrong: the byte is good nowhere in a head. So it
// answers with 400 in its turn, behind the answers to the requests before, and closes the connection.
const poison = "\x00\r\n\r\n"

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (n int, err error) {
	if c.fault != nil {
		return c.refuse(p)
	}
	if len(c.read) > 0 {
		n = copy(p, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil
		}
	} else {
		n, err = c.Conn.Read(p)
	}
	good, fault := c.requests.Feed(p[:n])
	if fault == nil {
		return n, err
	}
	c.fault = fault
	if c.requests.FailedInHead() {
		c.poison = poison
	}
	if good > 0 {
		return good, nil
	}
	return c.refuse(p)
}

func (c *strictConn) refuse(p []byte) (int, error) {
	if c.poison == "" {
		return 0, c.fault
	}
	n := copy(p, c.poison)
	c.poison = c.poison[n:]
	return n, nil
}
