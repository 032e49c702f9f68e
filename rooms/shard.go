package rooms

import (
	"container/heap"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// ShardConfig holds the limits of one shard. Zero values take the defaults in parentheses.
type ShardConfig struct {
	InboxCommandsMax int   // commands waiting (262,144)
	HeldOutputsMax   int   // outputs waiting for durability or for the loops (1,048,576)
	IdleUnloadMs     int64 // a room that nobody is in leaves memory after this long, milliseconds (600,000)
	AliveUntilMs     int64 // the process before was alive then for certain, Unix milliseconds; zero: nobody knows
	AbandonMs        int64 // a game that has not ended and that nobody is in is closed after this long (86,400,000)
}

func (c ShardConfig) withDefaults() ShardConfig {
	if c.InboxCommandsMax == 0 {
		c.InboxCommandsMax = 1 << 18
	}
	if c.HeldOutputsMax == 0 {
		c.HeldOutputsMax = 1 << 20
	}
	if c.IdleUnloadMs == 0 {
		c.IdleUnloadMs = 600_000
	}
	if c.AbandonMs == 0 {
		c.AbandonMs = 86_400_000
	}
	return c
}

// Delivery is one output on its way to the loops.
type Delivery struct {
	Room  string
	Epoch string // the history that Seq counts in; empty for what the shard says itself
	effect.Output
}

// Outlet carries a shard's outputs to the connections. Deliver may use items until it calls done, once, from any
// goroutine; the shard sends nothing more until then. Implemented by the gateway, and by the simulation.
type Outlet interface {
	Deliver(shard int, items []Delivery, done func())
}

// Ports are the world as a shard sees it.
type Ports struct {
	Journal Journal
	Loader  *Loader
	Outlet  Outlet
	PINs    *Directory
	Rand    effect.Random // this shard's own
	Logger  *slog.Logger
}

// Shard is one goroutine's worth of rooms. Drain and its relatives run on that goroutine only; Post may be called from
// any.
type Shard struct {
	// Immutable.
	index int
	cfg   ShardConfig
	rooms *Config
	ports Ports
	gate  Gate // nil: the journal has none
	inbox *inbox

	// Owned by the shard's goroutine.
	slots     map[string]*slot
	deadlines deadlineHeap
	effects   effect.Effects
	records   []Record   // facts of this drain
	batch     *heldBatch // outputs of this drain, not yet behind its records
	batches   uint64     // made so far
	held      heldQueue
	outbound  []Delivery // durable, waiting for the loops
	spare     []Delivery // what the loops gave back
	freeItems []heldItem // of a batch that has left, for the next one
	inFlight  bool
	heldCount int
	nextSweep int64

	lastLogged int64 // when a failed commit was last logged
	unlogged   int   // failed commits since

	stats shardCounters
}

type shardCounters struct {
	rooms, members, commands, facts, outputs, refused, failed, panics atomic.Int64
	busyMs                                                            atomic.Int64
}

// slot is a room's place in its shard: there from the first command on, before the room itself is loaded.
type slot struct {
	id         string
	room       *Room // nil while it has never been loaded
	loading    bool
	waiting    []Command // while loading, at most loadWaitMax
	appends    int       // journal calls on their way that hold facts of this room
	touchedBy  uint64    // number of the last batch with facts of this room
	mustReload bool
	failed     bool   // only while Shard.lose runs
	saidSeq    uint64 // of the last event that has left for the loops
	notBefore  int64  // no tick earlier than this: the last one panicked, or could not be stored
	failures   int    // commits in a row that failed
	deadline   int64
	heapIndex  int // in deadlines; -1: not there
	emptySince int64
	unasked    bool   // loaded at start, and nobody has wanted anything of it since
	restored   func() // called once when it has been loaded at start, or can't be; nil: not such a room
	restoredAt int64  // its last fact before it was loaded; zero once somebody has been here
	pin        string // as it stands in the directory
}

// loadWaitMax is the number of commands that wait for one room to be loaded.
const loadWaitMax = 65_536

// NewShard makes a shard. Nothing runs until Run.
func NewShard(index int, cfg ShardConfig, rooms *Config, ports Ports) *Shard {
	cfg = cfg.withDefaults()
	gate, _ := ports.Journal.(Gate)
	return &Shard{
		index: index, cfg: cfg, rooms: rooms, ports: ports, gate: gate, inbox: newInbox(cfg.InboxCommandsMax),
		slots: make(map[string]*slot),
	}
}

// Post hands commands over, all or none. False: the inbox is full or the shard has stopped; nothing was taken. The
// slice is the caller's again on return. Any goroutine.
func (s *Shard) Post(commands []Command) bool { return s.inbox.post(commands, false) }

// PostAlways is Post for commands that can't be refused: connections that are gone. Any goroutine.
func (s *Shard) PostAlways(commands []Command) { s.inbox.post(commands, true) }

// Restore loads a room of this shard, so that its timers run and its PIN works; then, or when it can't be loaded, done
// is called on the shard's goroutine. Any goroutine.
func (s *Shard) Restore(room string, done func()) { s.inbox.signalWith(restore{room, done}) }

// Turn takes everything that waits in the inbox and drains it; it returns what Drain returns. For a simulation, which
// has no goroutine that does so.
func (s *Shard) Turn(now int64) int64 {
	commands, signals := s.inbox.take(nil, nil)
	return s.Drain(now, commands, signals)
}

// Drain carries out everything that waits and everything that is due at now (Unix milliseconds). It returns when the
// next thing is due, zero for never. The shard's goroutine, or a simulation.
func (s *Shard) Drain(now int64, commands []Command, signals []any) int64 {
	for _, sig := range signals {
		s.onSignal(now, sig)
	}
	for i := range commands {
		s.onCommand(now, &commands[i])
	}
	s.tick(now)
	s.sweep(now)
	s.commit(now)
	s.flush()
	if cap(s.effects.Outputs) > spareMax { // a rank for each of 100,000: not to be kept for ever
		s.effects = effect.Effects{}
	}
	if len(s.deadlines) == 0 {
		return 0
	}
	return s.deadlines[0].deadline
}

// onCommand finds the room of a command and lets it step, or queues the command while the room is being loaded.
func (s *Shard) onCommand(now int64, cmd *Command) {
	s.stats.commands.Add(1)
	sl := s.slots[cmd.Room]
	if sl == nil {
		if _, gone := cmd.Body.(*Disconnect); gone {
			return // the room has left memory, and with it its members
		}
		sl = &slot{id: cmd.Room, heapIndex: -1}
		s.slots[cmd.Room] = sl
		s.stats.rooms.Add(1)
		if _, fresh := cmd.Body.(*Create); fresh {
			sl.room = NewRoom(cmd.Room, s.rooms) // its id is new and random: there is nothing to load
		} else {
			s.load(sl)
		}
	}
	sl.unasked = false
	if sl.loading || sl.mustReload {
		s.wait(sl, cmd)
		return
	}
	if s.full() {
		if _, gone := cmd.Body.(*Disconnect); !gone {
			s.refuse(cmd, wire.NewError(wire.CodeUnavailable, "the server is behind with its storage; try again"))
			return
		}
	}
	if s.gate != nil && cmd.records() && s.gate.Refuses() != nil {
		s.refuse(cmd, storageFull())
		return
	}
	s.step(now, sl, cmd)
}

// step runs one command in its room and collects what follows. A panic costs this room its memory, not the process.
func (s *Shard) step(now int64, sl *slot, cmd *Command) {
	s.effects.Reset()
	env := effect.Env{Now: now, Rand: s.ports.Rand}
	if !s.guarded(sl, func() { sl.room.Step(env, cmd, &s.effects) }) || !s.collect(now, sl) {
		s.refuse(cmd, wire.NewError(wire.CodeInternal, "the room had to be restarted; try again"))
	}
}

// collect moves the effects of one step into the batch of this drain. It says whether that was possible: a fact that
// can't be recorded must not have happened.
func (s *Shard) collect(now int64, sl *slot) bool {
	recorded := len(s.records)
	first := sl.room.Index() - uint64(len(s.effects.Facts)) + 1
	for i, f := range s.effects.Facts {
		rec, err := EncodeFact(sl.id, first+uint64(i), f)
		if err != nil {
			s.ports.Logger.Error("a fact can't be encoded; the room is restarted", "room", sl.id, "kind", f.Kind, "err", err)
			clear(s.records[recorded:])
			s.records = s.records[:recorded]
			s.distrust(sl)
			return false
		}
		s.records = append(s.records, rec)
	}
	b := s.openBatch()
	if len(s.effects.Facts) > 0 {
		s.stats.facts.Add(int64(len(s.effects.Facts)))
		b.touch(sl)
	}
	b.items = slices.Grow(b.items, len(s.effects.Outputs))
	for i := range s.effects.Outputs {
		b.items = append(b.items, heldItem{room: sl.id, slot: sl, output: s.effects.Outputs[i]})
	}
	s.heldCount += len(s.effects.Outputs)
	s.reschedule(now, sl)
	return true
}

// reschedule enters the room's next deadline in the heap.
func (s *Shard) reschedule(now int64, sl *slot) {
	s.bindPIN(sl)
	if sl.room.Connections() > 0 {
		sl.emptySince, sl.restoredAt = 0, 0
	} else if sl.emptySince == 0 {
		sl.emptySince = now
	}
	deadline := sl.room.Deadline()
	if deadline != 0 {
		deadline = max(deadline, sl.notBefore)
	}
	if deadline == sl.deadline {
		return
	}
	sl.deadline = deadline
	switch {
	case deadline == 0 && sl.heapIndex >= 0:
		heap.Remove(&s.deadlines, sl.heapIndex)
	case deadline != 0 && sl.heapIndex < 0:
		heap.Push(&s.deadlines, sl)
	case deadline != 0:
		heap.Fix(&s.deadlines, sl.heapIndex)
	}
}

// bindPIN keeps the directory true to the room.
func (s *Shard) bindPIN(sl *slot) {
	pin := sl.room.quiz.PIN()
	if !sl.room.Exists() {
		pin = ""
	}
	if pin == sl.pin || s.ports.PINs == nil {
		return
	}
	if pin != "" {
		s.ports.PINs.Bind(pin, sl.id)
	} else {
		s.ports.PINs.Release(sl.pin, sl.id)
	}
	sl.pin = pin
}

// tickRetryMs is how long a room's clock stands still after a tick that failed.
const tickRetryMs = 1000

// tick lets time pass for every room with something due.
func (s *Shard) tick(now int64) {
	for len(s.deadlines) > 0 && s.deadlines[0].deadline <= now {
		sl := s.deadlines[0]
		if sl.loading || sl.mustReload {
			heap.Remove(&s.deadlines, sl.heapIndex)
			sl.deadline = 0
			continue
		}
		s.effects.Reset()
		env := effect.Env{Now: now, Rand: s.ports.Rand}
		before := sl.deadline
		if !s.guarded(sl, func() { sl.room.Tick(env, &s.effects) }) || !s.collect(now, sl) {
			sl.notBefore = now + tickRetryMs
			continue
		}
		if sl.deadline == before && sl.heapIndex >= 0 && sl.deadline <= now {
			// A machine that doesn't move its deadline would spin here for ever.
			s.ports.Logger.Error("a deadline did not move; it is put off", "room", sl.id)
			sl.deadline = now + tickRetryMs
			heap.Fix(&s.deadlines, sl.heapIndex)
		}
	}
}

// guarded runs f and turns a panic into a distrusted room.
func (s *Shard) guarded(sl *slot, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.stats.panics.Add(1)
			s.ports.Logger.Error("a room panicked; it is restarted from its records",
				"room", sl.id, "panic", p, "stack", stack())
			s.distrust(sl)
		}
	}()
	f()
	return true
}

// sweepEveryMs is how often a shard looks for rooms that nobody needs.
const sweepEveryMs = 5_000

// sweep closes games that are over or abandoned, and drops rooms from memory that have been empty for long or never
// were.
func (s *Shard) sweep(now int64) {
	if now < s.nextSweep {
		return
	}
	s.nextSweep = now + sweepEveryMs
	members := 0
	var over []*slot
	for id, sl := range s.slots {
		if sl.room == nil || sl.loading || sl.mustReload {
			continue
		}
		members += sl.room.Connections()
		idle := sl.emptySince != 0 && now-sl.emptySince >= s.cfg.IdleUnloadMs
		abandoned := idle && now-sl.abandonedSince() >= s.cfg.AbandonMs && sl.pin != ""
		switch {
		case sl.appends > 0:
		case idle && sl.room.Over() || abandoned:
			over = append(over, sl)
		case (idle || sl.unasked || !sl.room.Exists()) && sl.room.Connections() == 0 && sl.room.Idle() && sl.pin == "":
			if sl.heapIndex >= 0 {
				heap.Remove(&s.deadlines, sl.heapIndex)
			}
			delete(s.slots, id)
			s.stats.rooms.Add(-1)
		}
	}
	s.stats.members.Store(int64(members))
	slices.SortFunc(over, func(a, b *slot) int { return strings.Compare(a.id, b.id) }) // a run can be repeated
	for _, sl := range over {
		s.effects.Reset()
		sl.room.close(effect.Env{Now: now, Rand: s.ports.Rand}, &s.effects)
		s.collect(now, sl)
	}
}

// abandonedSince is since when nobody has been in an empty room. A restart in between doesn't count: otherwise regular
// ones would keep a game for ever.
func (sl *slot) abandonedSince() int64 {
	if sl.restoredAt != 0 {
		return min(sl.emptySince, sl.restoredAt)
	}
	return sl.emptySince
}

// refuse answers a command by the shard itself. While too much is held, the answer doesn't wait behind it.
func (s *Shard) refuse(cmd *Command, err *wire.Error) {
	s.stats.refused.Add(1)
	if body, ok := cmd.Body.(*Create); ok && s.ports.PINs != nil {
		s.ports.PINs.Release(body.PIN, cmd.Room) // the gateway reserved it for the room that doesn't come to be
	}
	var out effect.Effects
	sl := s.slots[cmd.Room]
	if member := sl != nil && sl.room != nil && sl.room.has(cmd.From.Conn); cmd.Op == wire.OpRoomJoin && !member {
		out.Outputs = append(out.Outputs, effect.Output{Kind: effect.Leave, Conn: cmd.From.Conn})
	}
	out.Refuse(cmd.From, err)
	if s.full() {
		for _, o := range out.Outputs {
			s.outbound = append(s.outbound, Delivery{Room: cmd.Room, Output: o})
		}
		return
	}
	b := s.openBatch()
	for _, o := range out.Outputs {
		b.items = append(b.items, heldItem{room: cmd.Room, output: o})
	}
	s.heldCount += len(out.Outputs)
}

// full is true while so much waits for the journal or for the loops that nothing more may be begun.
func (s *Shard) full() bool { return s.heldCount+len(s.outbound) >= s.cfg.HeldOutputsMax }

// deadlineHeap orders slots by deadline, soonest first.
type deadlineHeap []*slot

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push and Pop are for container/heap.
func (h *deadlineHeap) Push(x any) {
	sl := x.(*slot)
	sl.heapIndex = len(*h)
	*h = append(*h, sl)
}

// Pop removes the last one.
func (h *deadlineHeap) Pop() any {
	old := *h
	sl := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	sl.heapIndex = -1
	return sl
}
