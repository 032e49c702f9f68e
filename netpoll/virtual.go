package netpoll

import (
	"context"
	"errors"
	"net"

	"github.com/panjf2000/gnet/v2"

	"lectern/netpoll/frame"
)

// VirtualTransport is a Transport without a socket of its own, such as a session of HTTP long-polling: what is written
// waits in it until somebody takes it, and counts as OutboundBuffered meanwhile, so that back-pressure by class works
// as for a socket whose peer is behind. It must take every write. It ends its connection with Conn.Close. All methods
// are for the loop's goroutine.
type VirtualTransport interface {
	Transport
	// Seated ties the transport to its connection, before the handler hears of it.
	Seated(c *Conn)
	// Unseated is called once, when the connection has ended or has got a socket (Conn.Rebind). It returns what nobody
	// has taken yet.
	Unseated() []byte
}

// Seat opens a connection over a virtual transport, as if it had been accepted. It counts against Config.ConnsMax and
// Config.Admit like any other, and no timer is armed for its handshake. It returns nil when it is refused. Loop's
// goroutine.
func (l *Loop) Seat(t VirtualTransport) *Conn { return l.opened(t, seated) }

// Virtual is the transport that the connection was seated with, nil when it has a socket.
func (c *Conn) Virtual() VirtualTransport {
	v, _ := c.t.(VirtualTransport)
	return v
}

// Drained tells the connection that its virtual transport has been emptied: what waits goes on at the end of the turn.
func (c *Conn) Drained() {
	if c.flags&flagBlocked != 0 && c.t.OutboundBuffered() == 0 {
		c.unblock()
		c.markDirty()
	}
}

// ErrNotRebindable is returned by Rebind for connections that don't fit.
var ErrNotRebindable = errors.New("netpoll: only an open virtual connection can take over an open one of its own loop")

// Rebind gives the virtual connection c the socket of another connection of the same loop, which ends with
// ReasonHandedOff; the peer notices nothing. c keeps its id, its timers and its place in every list. What from has
// queued is sent first, then what was left in the virtual transport, then what c has queued: nothing is lost and
// nothing changes its order.
func (c *Conn) Rebind(from *Conn) error {
	v := c.Virtual()
	if v == nil || c == from || c.Closing() || from.Closing() || from.Virtual() != nil || c.loop != from.loop {
		return ErrNotRebindable
	}
	left := v.Unseated()
	c.unblock()
	from.unblock()
	old := c.out
	c.out, from.out = outbox{q: from.out.q, bytes: from.out.bytes, gaps: from.out.gaps}, outbox{}
	if len(left) > 0 {
		c.push(entry{f: frame.Of(left), class: Reliable})
	}
	for _, e := range old.q {
		if e.f != nil {
			c.push(e)
		}
	}
	if old.q != nil {
		c.loop.giveQueue(old.q)
	}
	c.t, from.t = from.t, &nowhere{addr: from.t.RemoteAddr()}
	c.loop.driver.Attach(c.t, c)
	from.Close(ReasonHandedOff)
	if c.t.OutboundBuffered() > 0 {
		c.block()
	}
	c.markDirty()
	return nil
}

// nowhere is the transport of a connection whose socket another one has taken over.
type nowhere struct{ addr net.Addr }

// Write implements Transport.
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }

// Writev implements Transport.
func (*nowhere) Writev(bs [][]byte) (n int, err error) {
	for _, b := range bs {
		n += len(b)
	}
	return n, nil
}

// OutboundBuffered implements Transport.
func (*nowhere) OutboundBuffered() int { return 0 }

// RemoteAddr implements Transport.
func (n *nowhere) RemoteAddr() net.Addr { return n.addr }

// Seated implements VirtualTransport.
func (*nowhere) Seated(*Conn) {}

// Unseated implements VirtualTransport.
func (*nowhere) Unseated() []byte { return nil }

// adopter is a Driver that can take a socket in which came to another loop. On the goroutine of the loop that takes.
type adopter interface {
	Adopt(socket *net.TCPConn, read []byte) error
}

// ErrNotMovable is returned by MoveTo where the driver can't take sockets over.
var ErrNotMovable = errors.New("netpoll: connections can't move between these loops")

// MoveTo hands the connection to another loop of the same server: here it ends with ReasonHandedOff, there it opens as
// a new one, which is given read first: the bytes that were read here and belong there. It is copied. For the
// connection's first moments, when nothing has been sent. A failure on the way closes the socket.
func (c *Conn) MoveTo(to *Loop, read []byte) error {
	if c.Closing() || c.QueuedBytes() > 0 {
		return ErrNotDetachable
	}
	d, ok := to.driver.(adopter)
	if !ok || c.Virtual() != nil || to.core != c.loop.core {
		return ErrNotMovable
	}
	socket, err := c.loop.driver.Dup(c.t)
	if err != nil {
		return err
	}
	read = append([]byte(nil), read...)
	if !to.postCommand(func() {
		if err := d.Adopt(socket, read); err != nil {
			_ = socket.Close()
			to.core.cfg.Logger.Warn("netpoll: a connection could not move to another loop", "err", err)
		}
	}) {
		_ = socket.Close()
		return ErrNotMovable
	}
	c.Close(ReasonHandedOff)
	return nil
}

// adopted is the context of a socket on its way to its new loop.
type adopted struct {
	d    *gnetLoop
	read []byte
}

// Adopt implements adopter. gnet takes the socket in on a goroutine of its own and announces it by OnOpen.
func (d *gnetLoop) Adopt(socket *net.TCPConn, read []byte) error {
	_, err := d.loop.Enroll(gnet.NewContext(context.Background(), &adopted{d: d, read: read}), socket)
	return err
}

// arrived opens a connection that has moved here.
func (d *gnetLoop) arrived(gc gnet.Conn, a *adopted) gnet.Action {
	gc.SetContext(nil)
	c := d.port.l.opened(gc, moved)
	if c == nil {
		return gnet.Close
	}
	if !c.Closing() && len(a.read) > 0 {
		d.port.Data(c, a.read)
	}
	return gnet.None
}
