package netpoll

import "sync/atomic"

// counters are one loop's: written by its goroutine only, read by any.
type counters struct {
	conns      atomic.Int64
	blocked    atomic.Int64
	waiting    atomic.Int64 // as of the last look at the blocked ones
	bytesIn    atomic.Uint64
	bytesOut   atomic.Uint64
	writes     atomic.Uint64
	panics     atomic.Uint64
	postsLost  atomic.Uint64
	inboxHigh  atomic.Int64
	dropped    [classCount]atomic.Uint64
	closed     [reasonCount]atomic.Uint64
	timersHeld atomic.Int64
	late       atomic.Uint64
	wideOn     atomic.Bool
	wideCalls  atomic.Uint64
	wideSends  atomic.Uint64
}

// Stats is a snapshot of a server's counters. Counts never go down; Open, Detached, Blocked and Timers are levels.
type Stats struct {
	Open      int                  // connections open now
	Detached  int                  // connections handed off and not closed yet
	Blocked   int                  // connections whose peer does not take what it was sent
	Waiting   int                  // bytes that those are owed, as of the last look at them (every 10 ms)
	Timers    int                  // timers pending
	Accepted  uint64               // connections that were opened
	Refused   uint64               // connections closed at once: Refuse, the cap, Admit
	RefusedBy [refusalCount]uint64 // the same, by Refusal
	Forwarded uint64               // connections given to another process (Server.Forward)
	Late      uint64               // accepted above Config.AcceptRate or in the last places, to be sent away
	Closed    map[Reason]uint64    // connections by why they ended; reasons that never occurred are absent
	Dropped   map[Class]uint64     // frames discarded: volatile shed, state replaced, any lost when a connection closed
	BytesIn   uint64               // bytes read
	BytesOut  uint64               // bytes given to the transport
	Writes    uint64               // sends by write calls, one each
	IO        IO                   // how wide fan-outs reach the kernel: IOWrites or IOUring
	Uring     uint64               // sends by io_uring
	Enters    uint64               // system calls made for those
	Panics    uint64               // panics recovered
	// InboxTasksHigh is the deepest that any loop's inbox has been, in tasks.
	InboxTasksHigh int
	// InboxRefused counts posts refused because the inbox was full or shut.
	InboxRefused uint64
}

// Stats adds the counters of all loops up. The parts are read one after another, so they may differ by what happened
// meanwhile. Any goroutine.
func (k *Core) Stats() Stats {
	s := Stats{
		Open:     int(k.open.Load()),
		Detached: int(k.detached.Load()),
		Accepted: k.accepted.Load(), Forwarded: k.forwarded.Load(),
		Closed:  make(map[Reason]uint64),
		Dropped: make(map[Class]uint64),
		IO:      IOWrites,
	}
	for r := range k.turned {
		s.RefusedBy[r] = k.turned[r].Load()
		s.Refused += s.RefusedBy[r]
	}
	for _, l := range k.loops {
		n := &l.count
		s.Late += n.late.Load()
		s.Blocked += int(n.blocked.Load())
		s.Waiting += int(n.waiting.Load())
		s.Timers += int(n.timersHeld.Load())
		s.BytesIn += n.bytesIn.Load()
		s.BytesOut += n.bytesOut.Load()
		s.Writes += n.writes.Load()
		s.Uring += n.wideSends.Load()
		s.Enters += n.wideCalls.Load()
		if n.wideOn.Load() {
			s.IO = IOUring
		}
		s.Panics += n.panics.Load()
		s.InboxRefused += n.postsLost.Load()
		s.InboxTasksHigh = max(s.InboxTasksHigh, int(n.inboxHigh.Load()))
		for r := range n.closed {
			if v := n.closed[r].Load(); v > 0 {
				s.Closed[Reason(r)] += v
			}
		}
		for c := range n.dropped {
			if v := n.dropped[c].Load(); v > 0 {
				s.Dropped[Class(c)] += v
			}
		}
	}
	return s
}

// MemoryMax is the most memory in bytes that the queues of doc.go's table can hold at once under this configuration, if
// every connection's peer stops reading while each has a different backlog, and every inbox is full of tasks of
// taskBytes each. largestFrame is the largest frame that the program sends, in bytes.
func (c Config) MemoryMax(largestFrame, taskBytes int) (int64, error) {
	c, err := c.withDefaults()
	if err != nil {
		return 0, err
	}
	const interfaceBytes = 16
	perConn := int64(max(2*c.OutboxHardBytes, largestFrame))
	perLoop := 2*int64(c.InboxTasksMax)*int64(interfaceBytes+taskBytes) + int64(c.ReadBufferBytes) +
		queuesKept*queueEntriesMax*entryCostBytes + iovecsMax*24 + wideArenaBytes + wideBatch*wideEntryBytes
	return int64(c.ConnsMax)*perConn + int64(c.Loops)*perLoop, nil
}
