package netpoll

import "lectern/netpoll/frame"

const cork = 512 // size of the first buffer that SendBytes copies into, in bytes

// entry is one queued frame. A nil frame is a gap: a state that a newer one replaced.
type entry struct {
	f     *frame.Frame
	key   uint64
	class Class
	own   bool // made by SendBytes: not sealed, and the next SendBytes may append to it
}

// outbox is what waits for one connection, oldest first. It holds nothing while the connection is idle.
type outbox struct {
	q     []entry
	index map[uint64]int32 // key → place in q of the newest State frame; only while the peer is behind
	bytes int32            // payload of q
	gaps  int32            // nil entries in q
}

func (o *outbox) payload() int { return int(o.bytes) }

// cost is the payload plus what holding it takes.
func (o *outbox) cost() int { return int(o.bytes) + len(o.q)*entryCostBytes }

// admit applies the class's rule to a frame of n bytes and reports whether to queue it. It is checked before anything
// is kept, so an outbox is never above its limit.
func (c *Conn) admit(class Class, key uint64, n int) (SendStatus, bool) {
	cfg := &c.loop.core.cfg
	waiting := c.out.cost()
	blocked := c.flags&flagBlocked != 0
	if blocked {
		waiting += c.t.OutboundBuffered()
	}
	shed := blocked || waiting+n+entryCostBytes > cfg.OutboxHighBytes
	status := Sent
	if shed {
		c.loop.full = true
		status = Queued
		if class == Volatile && (blocked || len(c.out.q) > 0) {
			c.loop.count.dropped[Volatile].Add(1)
			return Dropped, false
		}
		if class == State && key != 0 && c.replace(key) {
			status = Replaced
			waiting = c.out.cost()
			if blocked {
				waiting += c.t.OutboundBuffered()
			}
		}
	}
	// While the peer is not behind, what waits is only this turn's cork and the kernel may well take all of it when the
	// turn ends: calling such a peer slow needs twice the limit.
	limit := cfg.OutboxHardBytes
	if !blocked {
		limit *= 2
	}
	// The first frame of an empty outbox always goes: a snapshot may be larger than the limit for what waits.
	if waiting > 0 && waiting+n+entryCostBytes > limit {
		c.Close(ReasonSlowConsumer)
		return Closed, false
	}
	return status, true
}

func (c *Conn) push(e entry) {
	o := &c.out
	if o.q == nil {
		o.q = c.loop.takeQueue()
	}
	if o.index != nil && e.class == State && e.key != 0 {
		o.index[e.key] = int32(len(o.q))
	}
	o.q = append(o.q, e)
	o.bytes += int32(e.f.Len())
}

func (c *Conn) pushCopy(class Class, b []byte) {
	o := &c.out
	if n := len(o.q); n > 0 {
		if last := &o.q[n-1]; last.own && last.class == class && cap(last.f.Buf)-len(last.f.Buf) >= len(b) {
			last.f.Buf = append(last.f.Buf, b...)
			o.bytes += int32(len(b))
			return
		}
	}
	f := frame.Get(max(len(b), cork))
	f.Buf = append(f.Buf, b...)
	c.push(entry{f: f, class: class, own: true})
}

// replace takes the queued State frame with that key out, and reports whether there was one. The newer frame goes to
// the end, so that what the peer sees stays in order.
func (c *Conn) replace(key uint64) bool {
	o := &c.out
	if o.index == nil {
		c.shed()
	}
	at, ok := o.index[key]
	if !ok {
		return false
	}
	delete(o.index, key)
	c.loop.count.dropped[State].Add(1)
	c.cut(int(at))
	if int(o.gaps) > len(o.q)/2+8 {
		c.shed()
	}
	return true
}

// cut turns an entry into a gap.
func (c *Conn) cut(at int) {
	o := &c.out
	e := &o.q[at]
	o.bytes -= int32(e.f.Len())
	o.gaps++
	e.f.Release()
	*e = entry{}
}

// shed is what happens when a peer falls behind: volatile frames go, of each state key only the newest stays, gaps are
// closed and the index is built. Linear, and called once per blockade and per halving of the queue.
func (c *Conn) shed() {
	o := &c.out
	o.index = make(map[uint64]int32)
	dropped := &c.loop.count.dropped
	for i := len(o.q) - 1; i >= 0; i-- {
		e := &o.q[i]
		if e.f == nil {
			continue
		}
		if e.class == Volatile {
			dropped[Volatile].Add(1)
			c.cut(i)
		} else if e.class == State && e.key != 0 {
			if _, newer := o.index[e.key]; newer {
				dropped[State].Add(1)
				c.cut(i)
			} else {
				o.index[e.key] = 0
			}
		}
	}
	kept := o.q[:0]
	for _, e := range o.q {
		if e.f == nil {
			continue
		}
		if e.class == State && e.key != 0 {
			o.index[e.key] = int32(len(kept))
		}
		kept = append(kept, e)
	}
	clear(o.q[len(kept):])
	o.q, o.gaps = kept, 0
}

// flush gives the transport what is queued, a chunk at a time, until it is all gone or the peer falls behind.
func (c *Conn) flush() {
	if c.flags&flagClosed != 0 || len(c.out.q) == 0 {
		return
	}
	if c.flags&flagBlocked != 0 {
		return // the retry will come back to it
	}
	o := &c.out
	at := 0
	for at < len(o.q) {
		if c.t.OutboundBuffered() > 0 {
			break
		}
		next, ok := c.writeChunk(at)
		if !ok {
			return // closed inside the write; gone has dropped the queue
		}
		at = next
	}
	c.consumed(at)
	if c.t.OutboundBuffered() > 0 {
		c.block()
	}
}

// flushAll gives a virtual transport everything, whatever waits in it already: it is the last chance.
func (c *Conn) flushAll() {
	for at := 0; at < len(c.out.q); {
		next, ok := c.writeChunk(at)
		if !ok {
			return
		}
		at = next
	}
	c.consumed(len(c.out.q))
}

// writeChunk writes entries from at on, bounded in bytes and vectors, with one call, and releases them. The list of
// slices is the loop's scratch, filled anew for each call, because Writev changes what it is given.
func (c *Conn) writeChunk(at int) (next int, ok bool) {
	l, o := c.loop, &c.out
	iov, n := l.iov[:0], 0
	for next = at; next < len(o.q) && len(iov) < iovecsMax; next++ {
		f := o.q[next].f
		if f == nil || f.Len() == 0 {
			continue
		}
		if n > 0 && n+f.Len() > writeChunkBytes {
			break
		}
		iov = append(iov, f.Buf)
		n += f.Len()
	}
	l.iov = iov
	if n == 0 {
		return next, true
	}
	err := c.write(iov)
	clear(l.iov)
	if c.flags&flagClosed != 0 {
		return 0, false
	}
	if err != nil {
		c.Close(ReasonWriteFailed)
	}
	l.count.writes.Add(1)
	l.count.bytesOut.Add(uint64(n))
	for i := at; i < next; i++ {
		if f := o.q[i].f; f != nil {
			o.bytes -= int32(f.Len())
			f.Release()
			o.q[i] = entry{}
			o.gaps++
		}
	}
	return next, true
}

// write gives the slices to the kernel, and what it does not take to the engine.
func (c *Conn) write(iov [][]byte) (err error) {
	if raw := c.loop.raw; raw != nil {
		if iov = skip(iov, raw.SendRaw(c.t, iov)); len(iov) == 0 {
			return nil
		}
	}
	c.flags |= flagWriting
	if len(iov) == 1 {
		_, err = c.t.Write(iov[0])
	} else {
		_, err = c.t.Writev(iov)
	}
	c.flags &^= flagWriting
	return err
}

// skip cuts the first n bytes off; it changes the slices.
func skip(iov [][]byte, n int) [][]byte {
	for len(iov) > 0 && n >= len(iov[0]) {
		n -= len(iov[0])
		iov = iov[1:]
	}
	if n > 0 {
		iov[0] = iov[0][n:]
	}
	return iov
}

// consumed removes the first n entries, which have been written.
func (c *Conn) consumed(n int) {
	o := &c.out
	if n == len(o.q) {
		c.loop.giveQueue(o.q)
		*o = outbox{}
		return
	}
	kept := copy(o.q, o.q[n:])
	clear(o.q[kept:])
	o.q = o.q[:kept]
	o.gaps = 0
	for i := range o.q {
		if o.q[i].f == nil {
			o.gaps++
		}
	}
	o.index = nil // places have moved; built again when it is needed
}

// block notes that the peer is behind.
func (c *Conn) block() {
	if c.flags&flagBlocked != 0 {
		return
	}
	l := c.loop
	c.flags |= flagBlocked
	c.blockedAt = int32(len(l.blocked))
	l.blocked = append(l.blocked, c)
	l.count.blocked.Store(int64(len(l.blocked)))
	if len(c.out.q) > 0 {
		c.shed()
	}
	l.armRetry()
}

func (c *Conn) unblock() {
	if c.flags&flagBlocked == 0 {
		return
	}
	l := c.loop
	c.flags &^= flagBlocked
	last := len(l.blocked) - 1
	moved := l.blocked[last]
	l.blocked[c.blockedAt] = moved
	moved.blockedAt = c.blockedAt
	l.blocked[last] = nil
	l.blocked = l.blocked[:last]
	l.count.blocked.Store(int64(len(l.blocked)))
	if len(l.blocked) == 0 {
		l.count.waiting.Store(0)
	}
	if len(l.blocked) == 0 && l.retry != 0 {
		l.wheel.Cancel(l.retry)
		l.retry = 0
		l.count.timersHeld.Store(int64(l.wheel.Len()))
	}
}

// dropAll releases what a closed connection leaves behind.
func (c *Conn) dropAll() {
	o := &c.out
	for i := range o.q {
		if f := o.q[i].f; f != nil {
			c.loop.count.dropped[o.q[i].class].Add(1)
			f.Release()
		}
	}
	if o.q != nil {
		c.loop.giveQueue(o.q)
	}
	*o = outbox{}
}

// lastWords writes what should still reach the peer before the connection is closed.
func (c *Conn) lastWords() {
	if c.reason != ReasonSlowConsumer {
		if c.flags&flagBlocked != 0 && c.t.OutboundBuffered() == 0 {
			c.unblock() // it has caught up, and the next look at those that are behind would be too late
		}
		if c.Virtual() != nil {
			c.flushAll()
		} else {
			c.flush()
		}
		return
	}
	c.dropAll()
	if words := c.loop.core.cfg.SlowConsumerFrame; words != nil {
		if b := words(); len(b) > 0 {
			c.flags |= flagWriting
			_, _ = c.t.Write(b)
			c.flags &^= flagWriting
		}
	}
}

// queuesKept bounds the empty queues that a loop keeps for its connections, so that a turn's cork costs no allocation.
const queuesKept = 256

const queueEntriesMax = 64 // larger queues are left to the garbage collector

func (l *Loop) takeQueue() []entry {
	if n := len(l.queues); n > 0 {
		q := l.queues[n-1]
		l.queues[n-1] = nil
		l.queues = l.queues[:n-1]
		return q
	}
	return make([]entry, 0, 4)
}

func (l *Loop) giveQueue(q []entry) {
	if cap(q) > 0 && cap(q) <= queueEntriesMax && len(l.queues) < queuesKept {
		clear(q)
		l.queues = append(l.queues, q[:0])
	}
}
