package rooms

import (
	"container/heap"
	"runtime/debug"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// heldBatch is what one drain said, waiting for what it recorded.
type heldBatch struct {
	number  uint64 // counts the shard's batches
	items   []heldItem
	touched []*slot // rooms with facts in it
	settled bool    // the journal has answered, or there was nothing to ask
}

// heldItem is an output and the room that it came from.
type heldItem struct {
	room   string
	slot   *slot // nil: a refusal by the shard itself
	lost   bool  // made from facts that could not be stored
	output effect.Output
}

// touch notes that the batch holds facts of a room.
func (b *heldBatch) touch(sl *slot) {
	if sl.touchedBy == b.number {
		return
	}
	sl.touchedBy = b.number
	b.touched = append(b.touched, sl)
	sl.appends++
}

// heldQueue is first in, first out: outputs leave in the order of their steps, whichever batch is durable first.
type heldQueue []*heldBatch

// openBatch is the batch of the drain that is going on.
func (s *Shard) openBatch() *heldBatch {
	if s.batch == nil {
		s.batches++
		s.batch = &heldBatch{number: s.batches, items: s.freeItems}
		s.freeItems = nil
	}
	return s.batch
}

// commit ends the drain: its records go to the journal in one call, its outputs behind them.
func (s *Shard) commit(now int64) {
	b := s.batch
	if b == nil {
		return
	}
	s.batch = nil
	s.held = append(s.held, b)
	if len(s.records) == 0 {
		b.settled = true
	} else {
		records := s.records
		s.records = nil // the journal's now
		if err := s.ports.Journal.Append(records, func(err error) { s.inbox.signalWith(committed{b, err}) }); err != nil {
			s.onCommitted(now, committed{b, err})
		}
	}
	s.release()
}

// committed is the signal that a batch's records are durable, or that none of them is.
type committed struct {
	batch *heldBatch
	err   error
}

func (s *Shard) onCommitted(now int64, c committed) {
	c.batch.settled = true
	for _, sl := range c.batch.touched {
		sl.appends--
	}
	if c.err != nil {
		s.stats.failed.Add(1)
		s.logFailure(now, c.err)
		for _, sl := range c.batch.touched {
			sl.failed = true
			sl.backOff(now)
		}
		s.lose(c.batch)
		for _, sl := range c.batch.touched {
			sl.failed = false
			s.distrust(sl)
		}
	}
	for _, sl := range c.batch.touched {
		if c.err == nil && sl.failures > 0 {
			sl.failures, sl.notBefore = 0, 0
			if !sl.loading && !sl.mustReload {
				s.reschedule(now, sl)
			}
		}
		if sl.mustReload && sl.appends == 0 {
			s.load(sl)
		}
	}
}

// logFailure reports a failed commit; while one follows another, once in a while and with their number.
func (s *Shard) logFailure(now int64, err error) {
	s.unlogged++
	if now >= s.lastLogged && now < s.lastLogged+failureLogEveryMs {
		return
	}
	s.ports.Logger.Error("records could not be made durable; their rooms are restarted from what is",
		"err", err, "failures", s.unlogged)
	s.lastLogged, s.unlogged = now, 0
}

const (
	failureLogEveryMs = 10_000
	tickRetryMaxMs    = 30_000
)

// backOff makes the room's clock stand still for a while, the longer the more often in a row its records were not
// stored: what was due is due again as soon as the room is rebuilt.
func (sl *slot) backOff(now int64) {
	sl.notBefore = now + min(int64(tickRetryMs)<<sl.failures, tickRetryMaxMs)
	sl.failures = min(sl.failures+1, 5) // 32 s and more is the most anyway
}

// lose marks what the failed rooms said from a batch on: it was made from facts that are no more. What they said
// before stands, even if it still waits for its own records: those come earlier in the journal. A connection whose
// join is lost is no member.
func (s *Shard) lose(from *heldBatch) {
	found := false
	for _, b := range append(slices.Clone(s.held), s.batch) {
		found = found || b == from
		if !found || b == nil {
			continue
		}
		for i := range b.items {
			item := &b.items[i]
			if item.slot == nil || !item.slot.failed {
				continue
			}
			item.lost = true
			if item.output.Kind == effect.Join {
				item.output = effect.Output{Kind: effect.Leave, Conn: item.output.Conn}
				item.slot.room.forget(item.output.Conn)
			}
		}
	}
}

// release moves what is durable from the head of the queue to the outbound side.
func (s *Shard) release() {
	n := 0
	for ; n < len(s.held) && s.held[n].settled; n++ {
		b := s.held[n]
		s.outbound = slices.Grow(s.outbound, len(b.items))
		for i := range b.items {
			s.releaseItem(&b.items[i])
		}
		s.heldCount -= len(b.items)
		s.held[n] = nil
		if cap(b.items) <= spareMax {
			clear(b.items)
			s.freeItems = b.items[:0]
		}
	}
	s.held = s.held[n:]
	if len(s.held) == 0 {
		s.held = nil
	}
}

// releaseItem lets an output go. One that is lost tells its caller so, and otherwise never happened.
func (s *Shard) releaseItem(item *heldItem) {
	o := item.output
	switch {
	case !item.lost:
	case o.Kind == effect.Reply:
		o.Data = nil
		o.Err = wire.NewError(wire.CodeUnavailable, "this could not be stored; try again with the same key")
		o.Err.RetryAfterMs = lostRetryMs
	case o.Kind == effect.Event:
		return
	}
	if o.Audience == effect.ToConn && o.Conn == 0 {
		return // addressed to a user who isn't here
	}
	if o.Resumable && item.slot != nil {
		item.slot.saidSeq = o.Seq
	}
	s.stats.outputs.Add(1)
	epoch := ""
	if item.slot != nil && item.slot.room != nil {
		epoch = item.slot.room.Epoch()
	}
	s.outbound = append(s.outbound, Delivery{Room: item.room, Epoch: epoch, Output: o})
}

// lostRetryMs is when a caller whose command could not be stored may come back.
const lostRetryMs = 1000

// flush hands the outbound outputs to the loops, unless they are still busy with the last ones.
func (s *Shard) flush() {
	if s.inFlight || len(s.outbound) == 0 {
		return
	}
	items := s.outbound
	s.outbound, s.spare = s.spare[:0], nil
	s.inFlight = true
	s.ports.Outlet.Deliver(s.index, items, func() { s.inbox.signalWith(delivered{items}) })
}

// delivered is the signal that the loops have taken a delivery.
type delivered struct{ items []Delivery }

// spareMax is the largest buffer of outputs that a shard keeps for the next drain.
const spareMax = 4096

func (s *Shard) onDelivered(d delivered) {
	s.inFlight = false
	if cap(d.items) <= spareMax {
		clear(d.items)
		s.spare = d.items[:0]
	}
}

func (s *Shard) onSignal(now int64, sig any) {
	switch sig := sig.(type) {
	case committed:
		s.onCommitted(now, sig)
		s.release()
	case delivered:
		s.onDelivered(sig)
	case loaded:
		s.onLoaded(now, sig)
	case restore:
		s.onRestore(sig)
	case look:
		s.onLook(sig)
	}
}

// distrust throws the room's state away: it is rebuilt from the journal once nothing of it is on its way there.
func (s *Shard) distrust(sl *slot) {
	sl.mustReload = true
	if sl.appends == 0 && !sl.loading {
		s.load(sl)
	}
}

// load asks for the room's records; commands wait until they are there.
func (s *Shard) load(sl *slot) {
	sl.mustReload = false
	sl.loading = true
	s.ports.Loader.Load(sl.id, s.rooms, func(room *Room, err error) { s.inbox.signalWith(loaded{sl, room, err}) })
}

// loaded is the signal that a room has been rebuilt, or can't be.
type loaded struct {
	slot *slot
	room *Room
	err  error
}

func (s *Shard) onLoaded(now int64, l loaded) {
	sl := l.slot
	sl.loading = false
	waiting := sl.waiting
	sl.waiting = nil
	if restored := sl.restored; restored != nil {
		sl.restored = nil
		defer restored()
	}
	if l.err != nil {
		s.ports.Logger.Error("a room can't be rebuilt from its records", "room", sl.id, "err", l.err)
		for i := range waiting {
			s.refuse(&waiting[i], wire.NewError(wire.CodeUnavailable, "this room can't be read from storage; try again later"))
		}
		s.abandon(sl)
		return
	}
	if sl.room != nil {
		s.replaceRoom(now, sl, l.room)
	} else {
		sl.room, sl.saidSeq, sl.restoredAt = l.room, l.room.Seq(), l.room.lastAt
		s.recoverRoom(now, sl)
	}
	for i := range waiting {
		s.onCommand(now, &waiting[i])
	}
}

// replaceRoom puts a rebuilt room in the place of one that was not to be trusted. The members stay. When the journal
// reported a failure and the records are there all the same (an answer of the store was lost), the members get now
// what was withheld from them: they must not see a gap.
func (s *Shard) replaceRoom(now int64, sl *slot, room *Room) {
	old := sl.room
	sl.room = room
	s.effects.Reset()
	said := s.saidSeq(sl)
	reached := room.ring.since(min(said, room.Seq()), room.Seq(), func(o effect.Output) {
		s.effects.Outputs = append(s.effects.Outputs, o)
	})
	if !reached {
		s.sendAway(sl, old, wire.CloseNodeChange)
	}
	s.collect(now, sl)
	s.effects.Reset()
	env := effect.Env{Now: now, Rand: s.ports.Rand}
	if s.guarded(sl, func() { room.adopt(env, old, &s.effects) }) {
		s.collect(now, sl)
	}
}

// saidSeq is the seq of the last event that the room's members have got or will get.
func (s *Shard) saidSeq(sl *slot) uint64 {
	said := sl.saidSeq
	for _, b := range append(slices.Clone(s.held), s.batch) {
		if b == nil {
			continue
		}
		for i := range b.items {
			if item := &b.items[i]; item.slot == sl && !item.lost && item.output.Resumable {
				said = max(said, item.output.Seq)
			}
		}
	}
	return said
}

// abandon drops a room that can't be read. Its members are sent away: they may find it readable when they come back.
func (s *Shard) abandon(sl *slot) {
	if sl.heapIndex >= 0 {
		heap.Remove(&s.deadlines, sl.heapIndex)
	}
	delete(s.slots, sl.id)
	s.stats.rooms.Add(-1)
	if sl.room != nil {
		s.sendAway(sl, sl.room, wire.CloseOverloaded)
	}
}

// sendAway closes the connections of all members.
func (s *Shard) sendAway(sl *slot, room *Room, code wire.CloseCode) {
	b := s.openBatch()
	for _, conn := range room.connections() {
		room.forget(conn)
		b.items = append(b.items,
			heldItem{room: sl.id, slot: sl, output: effect.Output{Kind: effect.Leave, Conn: conn}},
			heldItem{room: sl.id, slot: sl, output: effect.Output{Kind: effect.Close, Conn: conn, CloseCode: code}})
		s.heldCount += 2
	}
}

// recoverRoom gives an open question back the time in which no server was there. A room that was rebuilt because its
// state was not to be trusted doesn't need that: its clock never stood still.
func (s *Shard) recoverRoom(now int64, sl *slot) {
	s.effects.Reset()
	env := effect.Env{Now: now, Rand: s.ports.Rand}
	if s.guarded(sl, func() { sl.room.Recover(env, s.cfg.AliveUntilMs, &s.effects) }) {
		s.collect(now, sl)
	}
}

// wait queues a command for a room that is being loaded.
func (s *Shard) wait(sl *slot, cmd *Command) {
	if len(sl.waiting) >= loadWaitMax {
		if _, gone := cmd.Body.(*Disconnect); !gone {
			s.refuse(cmd, wire.NewError(wire.CodeUnavailable, "the room is being loaded; try again"))
			return
		}
	}
	sl.waiting = append(sl.waiting, *cmd)
}

// restore is the signal to load a room at start, so that its timers run.
type restore struct {
	room string
	done func()
}

func (s *Shard) onRestore(r restore) {
	if s.slots[r.room] != nil {
		r.done()
		return
	}
	sl := &slot{id: r.room, heapIndex: -1, unasked: true, restored: r.done}
	s.slots[r.room] = sl
	s.stats.rooms.Add(1)
	s.load(sl)
}

func stack() string { return string(debug.Stack()) }
