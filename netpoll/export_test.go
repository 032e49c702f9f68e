package netpoll

import (
	"unsafe"

	"github.com/panjf2000/gnet/v2"

	"lectern/netpoll/frame"
)

// ConnBytes is the size of a connection's own memory.
const ConnBytes = unsafe.Sizeof(Conn{})

// Descriptor is the connection's descriptor.
func Descriptor(c *Conn) int { return c.t.(gnet.Conn).Fd() }

// ForceFlush queues bytes past every check of Send and flushes, as a stale entry in a list would.
func ForceFlush(c *Conn, b []byte) {
	f := frame.Of(b)
	c.out.q = append(c.out.q, entry{f: f})
	c.flush()
	c.out.q = nil
	f.Release()
}

// EndEngine makes gnet end as it does after a failed accept.
func EndEngine(s *Server) { s.engine.shutdown() }

// EngineBytes is what the engine holds for the connection.
func EngineBytes(c *Conn) int { return c.t.OutboundBuffered() }

// Stuck reports whether frames wait although nothing keeps them from leaving.
func Stuck(c *Conn) bool { return len(c.out.q) > 0 && c.flags&flagBlocked == 0 }

// UringUsable says why io_uring can't be used here, if so.
func UringUsable() error {
	var d gnetLoop
	defer d.closeWide()
	return d.openWide()
}

// ReplaceWide makes the loop submit through s.
func ReplaceWide(l *Loop, s WideSender) { l.wide.sender = s }
