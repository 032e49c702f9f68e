package netpoll

import (
	"sync"
	"sync/atomic"
	"time"

	"lectern/netpoll/wheel"
)

// timerRef is what the wheel carries: which timer of which connection. A nil connection is the loop's own retry timer.
type timerRef struct {
	c    *Conn
	kind TimerKind
}

type slot struct {
	c   *Conn
	gen uint32
}

// command is a task of our own that runs in the inbox's order but is not shown to the handler.
type command func()

// Loop is one event loop: it owns its connections, their timers and their outboxes. Everything but Post, Index and the
// counters is for its own goroutine.
type Loop struct {
	// Immutable.
	core   *Core
	driver Driver
	raw    rawSender // nil unless Config.RawSend and the driver can
	index  int
	epoch  time.Time // tick 0 of the wheel

	// State is the handler's, for whatever it keeps per loop. Owned by the loop.
	State any

	// Guarded by mu.
	mu    sync.Mutex
	inbox []any
	armed bool // a wake is under way, or a turn is running that will look at the inbox before it disarms
	shut  bool

	// Owned by the loop.
	batch     []any // tasks taken from the inbox; batchAt is the next to run
	batchAt   int
	slots     []slot
	freeSlots []int32
	wheel     wheel.Wheel[timerRef]
	wakeTick  uint64 // tick of the wake asked for last, 0 when none is under way
	retry     wheel.Handle
	now       time.Time
	nowValid  bool
	depth     int  // callbacks within callbacks: only the outermost one ends the turn
	full      bool // an outbox passed its high mark in this turn: no further task before the flush
	again     bool // something was closed while the turn ended: the handler gets another TurnEnded
	dirty     []*Conn
	closing   []*Conn
	blocked   []*Conn
	wide      wideState
	pace      pace
	busy      bool      // reads share a turn
	reads     uint64    // readable callbacks so far
	held      int       // readable callbacks since the wake-up that will end their turn was asked for
	iov       [][]byte  // scratch for one connection's write, filled anew for each
	queues    [][]entry // empty queues for outboxes

	// Atomic.
	timersDue atomic.Bool
	count     counters
}

// Index is the loop's place in Server.Loops. Any goroutine.
func (l *Loop) Index() int { return l.index }

// Conns is the number of connections that the loop owns. Any goroutine.
func (l *Loop) Conns() int { return int(l.count.conns.Load()) }

// Now is the time of the current callback: read once per turn, so that what happens together has one time. Loop's
// goroutine.
func (l *Loop) Now() time.Time {
	if !l.nowValid {
		l.now, l.nowValid = l.driver.Now(), true
	}
	return l.now
}

// Lookup returns the connection of that id, or nil when it is closed or another loop's. Loop's goroutine.
func (l *Loop) Lookup(id ConnID) *Conn {
	s := id.Slot()
	if id.Loop() != l.index || s >= len(l.slots) || l.slots[s].gen != id.Generation() {
		return nil
	}
	return l.slots[s].c
}

// Post puts a task at the end of the loop's inbox and wakes the loop. It reports false, and keeps nothing, when the
// inbox is full or the loop has stopped. Tasks of one goroutine run in the order of its posts. Any goroutine.
func (l *Loop) Post(task any) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || len(l.inbox) >= l.core.cfg.InboxTasksMax {
		l.count.postsLost.Add(1)
		return false
	}
	l.inbox = append(l.inbox, task)
	l.wakeLocked()
	return true
}

// postCommand puts a task of our own at the end of the inbox, whatever its length. Any goroutine.
func (l *Loop) postCommand(run command) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.inbox = append(l.inbox, run)
	l.wakeLocked()
	return true
}

// wake makes the loop take a turn, and reports false when it has stopped. Any goroutine.
func (l *Loop) wake() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
	return !l.shut
}

// When reads share a turn.
const (
	readsPerProbe = 64  // one read in so many waits, on a loop that is not busy, to see whether others come
	readsPerTurn  = 256 // reads in one turn at most
)

// postpone reports whether the turn goes on after this readable callback, because other connections have something to
// read too: what the handler sends and posts for all of them then leaves together. The end of the turn is a wake-up
// behind the sockets that are ready now; whether Config.UringConnsMin of them were served before it comes back says
// whether to go on so. A
// loop that is not busy tries that now and then, and ends its turn with the callback otherwise, which is faster.
func (l *Loop) postpone() bool {
	if l.depth > 1 || l.full || len(l.closing) > 0 {
		return false
	}
	l.reads++
	if !l.busy && l.held == 0 && l.reads%readsPerProbe != 1 {
		return false
	}
	if l.held == 0 && !l.wake() { // whenever something is held, a wake-up is on its way
		return false
	}
	l.held++
	return l.held%readsPerTurn != 0
}

// wakeLocked calls the driver under the lock on purpose: once Shut has returned no wake can still be on its way to an
// engine whose descriptors are being closed. The call is one non-blocking write.
func (l *Loop) wakeLocked() {
	if l.armed || l.shut {
		return
	}
	l.armed = true
	l.driver.Wake()
}

// turn runs due timers and a bounded batch of tasks. The inbox stays armed meanwhile, so producers don't wake a loop
// that is awake; if anything is left the loop wakes itself and lets the poller look at its sockets first.
func (l *Loop) turn() {
	l.begin()
	l.busy, l.held = l.held >= l.core.cfg.UringConnsMin, 0
	if l.timersDue.Swap(false) {
		l.wakeTick = 0
		l.wheel.Advance(l.tickAt(l.Now()), l.fire)
	}
	for n := 0; n < tasksPerTurnMax && !l.full; n++ {
		if l.batchAt == len(l.batch) && !l.takeInbox() {
			break
		}
		task := l.batch[l.batchAt]
		l.batch[l.batchAt] = nil
		l.batchAt++
		if run, ok := task.(command); ok {
			run()
		} else {
			l.callTask(task)
		}
	}
	l.end()

	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	if l.batchAt < len(l.batch) || len(l.inbox) > 0 || l.timersDue.Load() {
		l.wakeLocked()
	}
}

// takeInbox swaps the empty batch for all that waits and reports whether that is anything.
func (l *Loop) takeInbox() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.inbox) == 0 {
		return false
	}
	if depth := int64(len(l.inbox)); depth > l.count.inboxHigh.Load() {
		l.count.inboxHigh.Store(depth)
	}
	l.batch, l.inbox = l.inbox, l.batch[:0]
	l.batchAt = 0
	return true
}

// begin opens a callback; end closes it, and the outermost end flushes.
func (l *Loop) begin() {
	if l.depth == 0 {
		l.nowValid = false
	}
	l.depth++
}

func (l *Loop) end() {
	if l.depth > 1 {
		l.depth--
		return
	}
	for {
		l.again = false
		l.callTurnEnded()
		l.flushDirty()
		l.closePending()
		if !l.again && len(l.dirty) == 0 && len(l.closing) == 0 {
			break
		}
	}
	l.armTimer()
	l.full = false
	l.depth--
}

// flushDirty writes for every connection that has something queued. A failing write closes its connection inside the
// call, and Closed may make further connections dirty: the list may grow while we walk it, and never shrinks.
func (l *Loop) flushDirty() {
	if l.wide.sender != nil && len(l.dirty) >= l.core.cfg.UringConnsMin {
		l.flushWide()
	}
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		c.flags &^= flagDirty
		c.flush()
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
}

func (l *Loop) closePending() {
	for i := 0; i < len(l.closing); i++ {
		if c := l.closing[i]; c.flags&flagClosed == 0 {
			c.lastWords()
			if c.flags&flagClosed == 0 {
				l.shutDown(c)
			}
		}
	}
	clear(l.closing)
	l.closing = l.closing[:0]
}

// shutDown ends a connection that has said its last words.
func (l *Loop) shutDown(c *Conn) {
	if v := c.Virtual(); v != nil {
		l.gone(c, nil)
		v.Unseated()
		return
	}
	l.driver.Close(c.t)
}

// closeAll closes what is open now; it runs inside a turn.
func (l *Loop) closeAll(reason Reason) {
	l.begin()
	for i := range l.slots {
		if c := l.slots[i].c; c != nil {
			c.Close(reason)
		}
	}
	l.end()
}

// origin is where a connection comes from.
type origin uint8

const (
	accepted origin = iota // a new socket: it counts against Config.AcceptRate
	moved                  // a socket that another loop accepted
	seated                 // it has no socket, and no handshake before it
)

// opened takes a connection in.
func (l *Loop) opened(t Transport, from origin) *Conn {
	k := l.core
	late, ok := k.admit()
	if !ok {
		return nil
	}
	c := &Conn{t: t, loop: l}
	if k.cfg.Admit != nil {
		released, ok := k.cfg.Admit(c.RemoteAddr())
		if !ok {
			k.open.Add(-1)
			k.turned[RefusalAdmit].Add(1)
			return nil
		}
		c.released = released
	}
	if from == seated {
		c.Virtual().Seated(c)
	} else {
		l.driver.Attach(t, c)
	}
	l.begin()
	c.openedAt = l.Now().UnixNano()
	if from == accepted && l.late(late) {
		c.flags |= flagLate
	}
	l.seat(c)
	k.accepted.Add(1)
	l.count.conns.Add(1)
	if k.cfg.HandshakeTimeout > 0 && from != seated {
		c.SetTimer(TimerHandshake, k.cfg.HandshakeTimeout)
	}
	l.callOpened(c)
	l.end()
	return c
}

// seat gives the connection a slot and with it an id.
func (l *Loop) seat(c *Conn) {
	var s int
	if n := len(l.freeSlots); n > 0 {
		s = int(l.freeSlots[n-1])
		l.freeSlots = l.freeSlots[:n-1]
	} else {
		s = len(l.slots)
		l.slots = append(l.slots, slot{gen: 1})
	}
	l.slots[s].c = c
	c.id = makeConnID(l.index, s, l.slots[s].gen)
}

// gone ends a connection, once, whoever ended it. It may run inside a write of ours.
func (l *Loop) gone(c *Conn, err error) {
	if c == nil || c.flags&flagClosed != 0 {
		return
	}
	l.begin()
	reason := l.core.reasonOf(c, err)
	c.reason = reason
	c.flags |= flagClosed
	for kind := range c.timers {
		c.StopTimer(TimerKind(kind))
	}
	c.unblock()
	c.dropAll()
	s := c.id.Slot()
	l.slots[s].c = nil
	if l.slots[s].gen = (l.slots[s].gen + 1) & genMask; l.slots[s].gen == 0 {
		l.slots[s].gen = 1
	}
	l.freeSlots = append(l.freeSlots, int32(s))
	l.count.conns.Add(-1)
	l.count.closed[reason].Add(1)
	l.core.open.Add(-1)
	l.callClosed(c, reason)
	if c.released != nil {
		c.released()
		c.released = nil
	}
	l.again = true
	l.end()
}

// tickAt is the wheel's tick that has been reached at t.
func (l *Loop) tickAt(t time.Time) uint64 {
	if d := t.Sub(l.epoch); d > 0 {
		return uint64(d / tickInterval)
	}
	return 0
}

// addTimer arms a timer that fires no earlier than after.
func (l *Loop) addTimer(after time.Duration, ref timerRef) wheel.Handle {
	due := l.Now().Add(max(after, 0)).Sub(l.epoch)
	h := l.wheel.Add(uint64((due+tickInterval-1)/tickInterval), ref)
	l.count.timersHeld.Store(int64(l.wheel.Len()))
	return h
}

// armTimer asks the driver for a wake at the wheel's next tick, unless an earlier one is on its way.
func (l *Loop) armTimer() {
	next, ok := l.wheel.Next()
	if !ok || (l.wakeTick != 0 && l.wakeTick <= next) {
		return
	}
	l.wakeTick = next
	at := l.epoch.Add(time.Duration(next) * tickInterval)
	l.driver.WakeAfter(max(at.Sub(l.driver.Now()), 0))
}

func (l *Loop) fire(ref timerRef) {
	l.count.timersHeld.Store(int64(l.wheel.Len()))
	if ref.c == nil {
		l.retry = 0
		l.retryBlocked()
		return
	}
	c := ref.c
	c.timers[ref.kind] = 0
	if c.flags&(flagClosed|flagClosing) != 0 {
		return
	}
	l.callTimer(c, ref.kind)
	if ref.kind == TimerHandshake {
		c.Close(ReasonHandshakeTimeout)
	}
}

// retryBlocked looks at the connections that were behind: the engine drains its own buffer when the socket becomes
// writable, but it doesn't tell us, so we look.
func (l *Loop) retryBlocked() {
	waiting := 0
	defer func() { l.count.waiting.Store(int64(waiting)) }()
	for i := 0; i < len(l.blocked); {
		c := l.blocked[i]
		if c.t.OutboundBuffered() > 0 {
			waiting += c.QueuedBytes()
			i++
			continue
		}
		c.unblock() // another one takes place i
		c.markDirty()
	}
	l.armRetry()
}

func (l *Loop) armRetry() {
	if len(l.blocked) > 0 && l.retry == 0 {
		l.retry = l.addTimer(retryInterval, timerRef{})
	}
}

func (l *Loop) callStarted() {
	defer l.recovered(nil, "LoopStarted")
	l.core.handler.LoopStarted(l)
}

func (l *Loop) callOpened(c *Conn) {
	defer l.recovered(c, "Opened")
	l.core.handler.Opened(c)
}

func (l *Loop) callData(c *Conn, in []byte) {
	defer l.recovered(c, "Data")
	l.core.handler.Data(c, in)
}

func (l *Loop) callTask(task any) {
	defer l.recovered(nil, "Task")
	l.core.handler.Task(l, task)
}

func (l *Loop) callTurnEnded() {
	defer l.recovered(nil, "TurnEnded")
	l.core.handler.TurnEnded(l)
}

func (l *Loop) callTimer(c *Conn, kind TimerKind) {
	defer l.recovered(c, "Timer")
	l.core.handler.Timer(c, kind)
}

func (l *Loop) callClosed(c *Conn, reason Reason) {
	defer l.recovered(c, "Closed")
	l.core.handler.Closed(c, reason)
}
