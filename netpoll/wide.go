package netpoll

import "lectern/netpoll/frame"

// How many connections one submission holds, and from how many on one is worth it.
const (
	wideBatch       = 64       // sends per system call: some 0.4 ms, for which a stop of the world may wait
	wideConnsMin    = 8        // default of Config.UringConnsMin
	wideGatherBytes = 8 << 10  // several frames of one connection up to this are copied together, larger ones are written
	wideArenaBytes  = 64 << 10 // where they are copied to, per loop
	wideEntryBytes  = 160      // what an entry of a batch takes: Sending, Conn, submission, two completions
)

// Sending is one entry of a wide submission: B goes to T, and N says how many bytes of it the kernel has taken, zero
// also when it failed: what is left is then written through the Transport, which meets the same condition again and
// knows what to do about it.
type Sending struct {
	T Transport
	B []byte
	N int
}

// WideResult is what became of a wide submission as a whole.
type WideResult uint8

const (
	// WideSent means that each Sending's N is right.
	WideSent WideResult = iota
	// WideUnavailable means that the driver gives up on submissions: each N is right, and the loop writes from now on.
	WideUnavailable
	// WideLost means that it is not known what the kernel has sent and whether it still reads the bytes: the connections
	// must be closed and the bytes never used again.
	WideLost
)

// WideSender is a Driver that can hand many sends to the kernel at once. The transports have nothing buffered and the
// bytes don't change meanwhile; each N is zero before. When SendWide returns nothing is in flight, except after
// WideLost. Loop's goroutine.
type WideSender interface {
	SendWide(batch []Sending) WideResult
}

// wideState is a loop's scratch for submissions.
type wideState struct {
	sender    WideSender // nil: writes
	batch     []Sending
	conns     []*Conn
	spill     []*Conn
	arena     []byte
	last      *Conn // whose frames were copied together last, and where they are
	lastAt    []byte
	lost      [][]entry // what the kernel may read for ever (WideLost): kept from the pools and the garbage collector
	lostArena []byte
}

// flushWide hands what the dirty connections have queued to the kernel, many at a time, and leaves on the dirty list
// those for which an ordinary write is needed: they have too much, or the kernel did not take all of it. It calls
// nothing of the handler's, so nothing can be queued or closed between a submission and its settlement.
func (l *Loop) flushWide() {
	w := &l.wide
	kept := l.dirty[:0]
	for _, c := range l.dirty {
		if w.sender == nil || !c.fitsWide() {
			kept = append(kept, c)
			continue
		}
		b := c.gather()
		if b == nil { // the arena is full
			l.submitWide()
			if w.sender == nil {
				kept = append(kept, c)
				continue
			}
			b = c.gather()
		}
		w.batch = append(w.batch, Sending{T: c.t, B: b})
		w.conns = append(w.conns, c)
		if len(w.batch) == wideBatch {
			l.submitWide()
		}
	}
	l.submitWide()
	kept = append(kept, w.spill...)
	clear(w.spill)
	w.spill = w.spill[:0]
	clear(l.dirty[min(len(kept), len(l.dirty)):])
	l.dirty = kept
}

// fitsWide reports whether all that the connection has queued can leave in one submission.
func (c *Conn) fitsWide() bool {
	o := &c.out
	if c.flags&(flagClosed|flagBlocked) != 0 || o.bytes == 0 {
		return false
	}
	if c.Virtual() != nil {
		return false
	}
	return (len(o.q) == 1 || o.bytes <= wideGatherBytes) && c.t.OutboundBuffered() == 0
}

// gather is what the connection has queued as one slice: the only frame's bytes, or a copy of several in the arena; nil
// when that is full. Members of one room mostly have the same frames queued, and then share the copy.
func (c *Conn) gather() []byte {
	w, q := &c.loop.wide, c.out.q
	if len(q) == 1 {
		return q[0].f.Buf
	}
	if w.last != nil && sameFrames(w.last.out.q, q) {
		return w.lastAt
	}
	if w.arena == nil {
		w.arena = make([]byte, 0, wideArenaBytes)
	}
	if len(w.arena)+int(c.out.bytes) > cap(w.arena) {
		return nil
	}
	from := len(w.arena)
	for i := range q {
		if f := q[i].f; f != nil {
			w.arena = append(w.arena, f.Buf...)
		}
	}
	w.last, w.lastAt = c, w.arena[from:len(w.arena):len(w.arena)]
	return w.lastAt
}

func sameFrames(a, b []entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].f != b[i].f {
			return false
		}
	}
	return true
}

// submitWide sends the batch and settles each of its connections.
func (l *Loop) submitWide() {
	w := &l.wide
	if len(w.batch) == 0 {
		return
	}
	result := w.sender.SendWide(w.batch)
	l.count.wideCalls.Add(1)
	sends, bytes := uint64(0), uint64(0)
	for i, c := range w.conns {
		if result == WideLost {
			c.forsake()
			continue
		}
		n := w.batch[i].N
		if n > 0 {
			sends++
			bytes += uint64(n)
		}
		if n == len(w.batch[i].B) {
			c.flags &^= flagDirty
			c.settleAll()
		} else {
			c.settlePart(w.batch[i].B[n:], n)
			w.spill = append(w.spill, c)
		}
	}
	l.count.wideSends.Add(sends)
	l.count.bytesOut.Add(bytes)
	if result != WideSent {
		w.sender = nil
		l.count.wideOn.Store(false)
		l.core.cfg.Logger.Warn("netpoll: the kernel refused submissions to io_uring; sends go by write(2) from now on")
	}
	if result == WideLost {
		w.lostArena, w.arena = w.arena, nil
	}
	clear(w.batch)
	clear(w.conns)
	w.batch, w.conns, w.arena, w.last, w.lastAt = w.batch[:0], w.conns[:0], w.arena[:0], nil, nil
}

// settleAll releases what has been sent: all that was queued.
func (c *Conn) settleAll() {
	for i := range c.out.q {
		if f := c.out.q[i].f; f != nil {
			f.Release()
		}
	}
	c.loop.giveQueue(c.out.q)
	c.out = outbox{}
}

// settlePart takes out the first n bytes of the queue, which have been sent; rest is what follows them.
func (c *Conn) settlePart(rest []byte, n int) {
	if n == 0 {
		return
	}
	// The peer has a part of a message: the rest must follow whole, whatever its class was.
	q := c.out.q
	tail := frame.Of(rest)
	for i := range q {
		if f := q[i].f; f != nil {
			f.Release()
		}
	}
	clear(q)
	q = append(q[:0], entry{f: tail, class: Reliable})
	c.out = outbox{q: q, bytes: int32(len(rest))}
}

// forsake closes a connection whose frames the kernel may still be reading.
func (c *Conn) forsake() {
	c.flags &^= flagDirty
	c.loop.wide.lost = append(c.loop.wide.lost, c.out.q)
	c.out = outbox{}
	c.Close(ReasonWriteFailed)
}
