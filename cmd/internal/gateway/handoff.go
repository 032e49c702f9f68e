package gateway

import "lectern/netpoll"

// toHTTP takes the connection off its loop and gives it to net/http, with the bytes that have been read.
func (g *Gateway) toHTTP(c *netpoll.Conn, raw []byte) {
	conn, err := c.Detach()
	if err != nil {
		g.log.Warn("a connection can't be handed to net/http", "err", err)
		c.Close(netpoll.ReasonDone)
		return
	}
	g.counters.handedOff.Add(1)
	if d := g.doorOf(c); d != nil {
		conn = d.outside(conn)
	}
	if !g.handOff.Give(conn, raw) {
		g.counters.handOffFull.Add(1)
	}
}
