package gateway

import (
	"net"
	"sync"

	"lectern/netpoll"
)

// handOff is the net.Listener that net/http listens on: its connections come from the loops, with the bytes already
// read.
type handOff struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

func newHandOff(queueMax int) *handOff {
	return &handOff{conns: make(chan net.Conn, queueMax), shut: make(chan struct{})}
}

// Accept waits for the next connection. Any goroutine.
func (h *handOff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. What waits is closed.
func (h *handOff) Close() error {
	h.once.Do(func() { close(h.shut) })
	for {
		select {
		case c := <-h.conns:
			_ = c.Close()
		default:
			return nil
		}
	}
}

// Addr names the listener; the port is netpoll's.
func (h *handOff) Addr() net.Addr { return handOffAddr{} }

type handOffAddr struct{}

// Network is the name of the kind of address.
func (handOffAddr) Network() string { return "tcp" }

// String is for logs.
func (handOffAddr) String() string { return "handed off by netpoll" }

// toHTTP takes the connection off its loop and gives it to net/http.
func (g *Gateway) toHTTP(c *netpoll.Conn, raw []byte) {
	head := append([]byte(nil), raw...) // borrowed
	conn, err := c.Detach()
	if err != nil {
		g.log.Warn("a connection can't be handed to net/http", "err", err)
		c.Close(netpoll.ReasonDone)
		return
	}
	g.counters.handedOff.Add(1)
	select {
	case <-g.handOff.shut:
		_ = conn.Close()
	case g.handOff.conns <- &readAgain{Conn: conn, head: head}:
	default:
		g.counters.handOffFull.Add(1)
		_ = conn.Close()
	}
}

// readAgain gives out the bytes that the loop has read before it goes on with the socket.
type readAgain struct {
	net.Conn
	head []byte
}

// Read reads the bytes read before, then the socket.
func (r *readAgain) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		if len(r.head) == 0 {
			r.head = nil
		}
		return n, nil
	}
	return r.Conn.Read(p)
}
