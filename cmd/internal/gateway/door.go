package gateway

import (
	"fmt"
	"net"
	"net/netip"

	"lectern/netpoll"
	"lectern/protocol/forwarded"
	"lectern/protocol/http1"
)

// door is what is known of a connection that comes from a trusted proxy: for whom it speaks. It belongs to the loop;
// connections from elsewhere have none, and what they say about themselves counts for nothing.
type door struct {
	client   netip.Addr // the proxy itself until a header of the PROXY protocol says better
	port     uint16     // of client
	waits    bool       // for that header
	head     []byte     // what has come of it
	released func()     // gives back what Config.AdmitClient counted
}

// openDoor begins a connection that may come from a proxy.
func (g *Gateway) openDoor(c *netpoll.Conn) {
	if len(g.cfg.Proxies) == 0 || c.Virtual() != nil {
		return
	}
	peer, err := netip.ParseAddrPort(c.RemoteAddr())
	if err != nil || !g.cfg.Proxies.Contains(peer.Addr()) {
		return
	}
	state(c.Loop()).doors[c.ID()] = &door{client: peer.Addr().Unmap(), port: peer.Port(), waits: g.cfg.ProxyProtocol}
}

// doorOf is the door of a connection from a trusted proxy; nil for any other.
func (g *Gateway) doorOf(c *netpoll.Conn) *door {
	if len(g.cfg.Proxies) == 0 {
		return nil
	}
	return state(c.Loop()).doors[c.ID()]
}

// closeDoor forgets it, and gives its place to the next connection of the same client.
func (g *Gateway) closeDoor(c *netpoll.Conn) {
	d := g.doorOf(c)
	if d == nil {
		return
	}
	delete(state(c.Loop()).doors, c.ID())
	if d.released != nil {
		d.released()
	}
}

// enter takes the header of the PROXY protocol off the first bytes, which are borrowed, and gives what follows. A
// trusted proxy that does not send one was set up wrongly: its clients must not pass for the proxy.
func (g *Gateway) enter(c *netpoll.Conn, d *door, in []byte) []byte {
	if d.head != nil {
		d.head = append(d.head, in...)
		in = d.head
	}
	h, n, err := forwarded.ParseHeader(in)
	switch {
	case err != nil:
		g.counters.badProxyHeaders.Add(1)
		c.Close(netpoll.ReasonProtocol)
		return nil
	case n == 0:
		if d.head == nil {
			d.head = append(make([]byte, 0, len(in)), in...)
		}
		return nil
	}
	d.waits, d.head = false, nil
	if h.Source.IsValid() {
		d.client, d.port = h.Source.Addr(), h.Source.Port()
	}
	return in[n:]
}

// begun reports whether the header of the PROXY protocol, or a part of it, has been read from the connection: nobody
// else could read it again.
func (g *Gateway) begun(c *netpoll.Conn) bool {
	d := g.doorOf(c)
	return d != nil && g.cfg.ProxyProtocol && (!d.waits || d.head != nil)
}

// admitClient applies the limit per address to an upgrade that comes through a trusted proxy: whose it is was not known
// when it was accepted.
func (g *Gateway) admitClient(m *member, req *http1.Request) bool {
	d := g.doorOf(m.conn)
	if d == nil || g.cfg.AdmitClient == nil || d.released != nil {
		return true
	}
	client := g.cfg.Proxies.Client(d.client, req.Headers.Values("X-Forwarded-For"))
	released, ok := g.cfg.AdmitClient(client)
	if !ok {
		g.counters.clientsRefused.Add(1)
		return false
	}
	d.released = released
	return true
}

// header is one of the PROXY protocol, version 1, that says the same again; where the proxy connected to is left out.
func (d *door) header() []byte {
	family := "TCP4"
	if d.client.Is6() {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, d.client, d.client, d.port, d.port)
}

// outside is the connection with the address that net/http should see.
func (d *door) outside(c net.Conn) net.Conn {
	return &proxied{Conn: c, client: net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.client, d.port))}
}

type proxied struct {
	net.Conn
	client net.Addr
}

// RemoteAddr is the client's, as the proxy gave it.
func (p *proxied) RemoteAddr() net.Addr { return p.client }
