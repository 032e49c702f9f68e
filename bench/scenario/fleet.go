package scenario

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lectern/bench/client"
	"lectern/bench/report"
)

// member is one connection's part in a scenario. It belongs to its engine's goroutine.
type member struct {
	conn     *client.Conn
	intended int64 // when its connect was due
	requests uint64
	room     int32
	state    memberState
}

type memberState uint8

const (
	memberWaiting memberState = iota
	memberDialling
	memberJoining
	memberReady
	memberStalled // was ready and has stopped reading
	memberGone
)

// play is a scenario's part on one engine. All methods are called on that engine's goroutine.
type play interface {
	// ready is called once for each member that is connected and has joined its room.
	ready(m *member, now int64)
	// message gets every lectern.v1 message but the reply to the join.
	message(m *member, f *client.Fields, now int64)
	// text gets every frame of an adaptor that is not structured.
	text(m *member, payload []byte, now int64)
	timer(m *member, kind uint8, at int64)
	turnEnded(now int64)
}

// noPlay does nothing; scenarios embed it and write what they need.
type noPlay struct{}

func (noPlay) ready(*member, int64)                   {}
func (noPlay) message(*member, *client.Fields, int64) {}
func (noPlay) text(*member, []byte, int64)            {}
func (noPlay) timer(*member, uint8, int64)            {}
func (noPlay) turnEnded(int64)                        {}

// inflightMax is how many connects of one engine are under way while no rate is given.
const inflightMax = 128

// fleet is all connections of a run, over all engines.
type fleet struct {
	// Immutable after newFleet.
	opt     Options
	ad      adaptor
	base    string
	prefix  string // of room names, unique per run
	rooms   []string
	workers []*worker
	members []member // by id; each belongs to its worker's engine
	done    sync.WaitGroup
	cancel  context.CancelFunc
	started int64

	// Atomic: for the control goroutine and the progress display.
	nReady, nGone, nSent, nDelivered, nErrors atomic.Int64
}

// worker is one engine and what belongs to its goroutine.
type worker struct {
	f       *fleet
	engine  *client.Engine
	ids     []int // its members
	play    play
	host    *host // of the first worker, in a quiz
	scanner client.Scanner
	fields  client.Fields
	scratch []byte

	next     int // index into ids of the next member to dial
	until    int // and of the first that is not to be dialled yet
	inflight int
	dialling bool
	halted   bool // the run is over: what ends now is no error

	connect *report.Histogram
	welcome *report.Histogram // from the intended connect to ready
	latency *report.Histogram
	lag     *report.Histogram // how late timers of senders were
	errors  map[string]int64

	sent, delivered, duplicated int64
	// What was already added to the fleet's atomics.
	sentSeen, deliveredSeen int64
}

// newFleet makes the engines and starts them; connect begins to dial.
func newFleet(ctx context.Context, opt Options, ep endpoint, ad adaptor, makePlay func(*worker) play) (*fleet, error) {
	f := &fleet{opt: opt, ad: ad, base: ep.path, started: client.Now(), members: make([]member, opt.Conns)}
	f.prefix = "bench-" + strconv.FormatInt(time.Now().UnixMilli(), 36) + "-"
	for r := range opt.Rooms {
		f.rooms = append(f.rooms, f.prefix+strconv.Itoa(r))
	}
	// The engines outlive the caller's context, so that a run that is broken off can still be collected.
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for range opt.Engines {
		w := &worker{
			f: f, errors: map[string]int64{}, connect: report.NewHistogram(), welcome: report.NewHistogram(),
			latency: report.NewHistogram(), lag: report.NewHistogram(),
		}
		engine, err := client.NewEngine(client.Config{Addr: ep.addr, Host: ep.host, Subprotocol: ad.subprotocol()}, w)
		if err != nil {
			f.cancel()
			return nil, err
		}
		w.engine = engine
		w.play = makePlay(w)
		f.workers = append(f.workers, w)
	}
	for id := range f.members {
		room := id * opt.Rooms / opt.Conns
		f.members[id].room = int32(room)
		w := f.workers[(id+room)%len(f.workers)]
		w.ids = append(w.ids, id)
	}
	for _, w := range f.workers {
		f.done.Go(func() { w.engine.Run(ctx) })
	}
	return f, nil
}

// workerOf is the worker that a member belongs to.
func (f *fleet) workerOf(id int) *worker {
	return f.workers[(id+int(f.members[id].room))%len(f.workers)]
}

// roomSize is the number of members of a room; first is its first member's id.
func (f *fleet) roomSize(room int) int { return f.first(room+1) - f.first(room) }

func (f *fleet) first(room int) int {
	return (room*f.opt.Conns + f.opt.Rooms - 1) / f.opt.Rooms
}

// connect dials the members up to a share of each engine's, at rate connections per second or as fast as it goes.
func (f *fleet) connect(rate, share float64) {
	start := client.Now()
	for i, w := range f.workers {
		w.engine.Do(func() { w.dialUpTo(int(share*float64(len(w.ids))), start, i, rate) })
	}
}

func (w *worker) dialUpTo(until int, start int64, index int, rate float64) {
	w.until = until
	if rate <= 0 {
		w.dialMore()
		return
	}
	period := 1e9 / rate * float64(len(w.f.workers))
	offset := float64(index) * 1e9 / rate
	for i, id := range w.ids[w.next:until] {
		w.f.members[id].intended = start + int64(offset+float64(i)*period)
	}
	w.dialDue()
}

// dialMore keeps inflightMax connects under way.
func (w *worker) dialMore() {
	// A dial that fails at once comes back here through Closed.
	if w.dialling {
		return
	}
	w.dialling = true
	for w.inflight < inflightMax && w.next < w.until && !w.halted {
		id := w.ids[w.next]
		w.next++
		w.f.members[id].intended = client.Now()
		w.dial(id)
	}
	w.dialling = false
}

// dialDue dials whoever is due by now and asks to be called again for the next.
func (w *worker) dialDue() {
	now := client.Now()
	for w.next < w.until && !w.halted {
		id := w.ids[w.next]
		if due := w.f.members[id].intended; due > now {
			w.engine.At(due, w.dialDue)
			return
		}
		w.next++
		w.dial(id)
	}
}

func (w *worker) dial(id int) {
	m := &w.f.members[id]
	m.state = memberDialling
	w.inflight++
	name, token := string(appendLetters([]byte("G"), uint64(w.f.opt.Quiz.First+id), 5)), ""
	if tokens := w.f.opt.Tokens; len(tokens) > 0 {
		name, token = "", tokens[id]
	}
	m.conn = w.engine.Dial(id, w.f.ad.path(w.f.base, name, w.f.rooms[m.room]), token)
}

// Opened implements client.Handler.
func (w *worker) Opened(c *client.Conn, now int64) {
	if c.ID == hostID {
		w.host.deliver(hostEvent{ev: hostOpened})
		return
	}
	m := &w.f.members[c.ID]
	m.conn = c
	w.connect.Record(now - m.intended)
	if !w.f.ad.needsJoin() {
		w.becomeReady(m, now)
		return
	}
	m.state = memberJoining
	m.requests = 1
	w.scratch = w.f.ad.appendJoin(w.scratch[:0], w.f.rooms[m.room])
	if len(w.scratch) > 0 { // some protocols let the server speak first
		c.Send(w.scratch)
	}
}

func (w *worker) becomeReady(m *member, now int64) {
	m.state = memberReady
	w.welcome.Record(now - m.intended)
	w.f.nReady.Add(1)
	w.play.ready(m, now)
	w.landed()
}

func (w *worker) landed() {
	w.inflight--
	if w.inflight < inflightMax && w.rateless() {
		w.dialMore()
	}
}

func (w *worker) rateless() bool {
	return w.f.connectRate() <= 0
}

func (f *fleet) connectRate() float64 {
	if f.opt.Scenario == "storm" {
		return f.opt.Rate
	}
	return f.opt.ConnectRate
}

// Message implements client.Handler.
func (w *worker) Message(c *client.Conn, payload []byte, now int64) {
	if c.ID == hostID {
		w.hostMessage(payload)
		return
	}
	m := &w.f.members[c.ID]
	if !w.f.ad.structured() {
		w.f.ad.read(w, m, payload, now)
		return
	}
	w.scanner.Reset(payload)
	for w.scanner.Next(&w.fields) {
		if m.state == memberJoining && w.fields.Re == 1 {
			w.joined(m, now)
			continue
		}
		w.play.message(m, &w.fields, now)
	}
	if err := w.scanner.Err(); err != nil {
		w.fault("bad_json_from_server")
	}
}

func (w *worker) joined(m *member, now int64) {
	if w.fields.OK {
		w.becomeReady(m, now)
		return
	}
	w.refused("room:join")
	m.conn.Close(1000)
}

// refused counts the error reply in w.fields under the op and its code.
func (w *worker) refused(op string) {
	w.fault(op + " " + string(client.StringMember(w.fields.Error, "code")))
}

// Closed implements client.Handler.
func (w *worker) Closed(c *client.Conn, end client.End) {
	if c.ID == hostID {
		w.host.deliver(hostEvent{ev: hostClosed, data: []byte(end.Name)})
		return
	}
	m := &w.f.members[c.ID]
	if end.Name != "local" {
		w.fault(end.Name)
	}
	was := m.state
	m.state = memberGone
	w.f.nGone.Add(1)
	if was == memberDialling || was == memberJoining {
		w.landed()
	}
}

// Timer implements client.Handler.
func (w *worker) Timer(c *client.Conn, kind uint8, at int64) {
	w.play.timer(&w.f.members[c.ID], kind, at)
}

// TurnEnded implements client.Handler.
func (w *worker) TurnEnded(now int64) {
	w.play.turnEnded(now)
	if d := w.delivered - w.deliveredSeen; d != 0 {
		w.deliveredSeen = w.delivered
		w.f.nDelivered.Add(d)
	}
	if d := w.sent - w.sentSeen; d != 0 {
		w.sentSeen = w.sent
		w.f.nSent.Add(d)
	}
}

func (w *worker) fault(name string) {
	if w.halted {
		return
	}
	w.errors[name]++
	w.f.nErrors.Add(1)
}

// each runs do on every engine's goroutine and waits until all are done.
func (f *fleet) each(do func(w *worker)) {
	var done sync.WaitGroup
	for _, w := range f.workers {
		done.Add(1)
		w.engine.Do(func() {
			defer done.Done()
			do(w)
		})
	}
	done.Wait()
}

// stop closes everything and waits for the engines.
func (f *fleet) stop() {
	f.each(func(w *worker) { w.halted = true })
	f.cancel()
	f.done.Wait()
}

// waitReady waits until so many members are ready or gone, or the time is up. Nobody being ready is an error.
func (f *fleet) waitReady(ctx context.Context, members int) error {
	deadline := time.Now().Add(f.opt.ConnectTimeout)
	until := func() bool { return f.nReady.Load()+f.failedBeforeReady() >= int64(members) }
	waitFor(ctx, deadline, until)
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.nReady.Load() == 0 {
		return fmt.Errorf("bench: none of %d connections got ready: %s", f.opt.Conns, f.errorSummary())
	}
	return nil
}

// failedBeforeReady is exact while nobody who was ready has gone; it only ends a wait early.
func (f *fleet) failedBeforeReady() int64 { return f.nGone.Load() }

func (f *fleet) errorSummary() string {
	merged := f.mergedErrors()
	if len(merged) == 0 {
		return "the server does not answer"
	}
	return fmt.Sprint(merged)
}

func (f *fleet) mergedErrors() map[string]int64 {
	merged := map[string]int64{}
	var mu sync.Mutex
	f.each(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for name, n := range w.errors {
			merged[name] += n
		}
	})
	return merged
}

// Waits look every half per cent of the time they have taken, within these bounds: a wait of minutes need not wake
// a slow machine 500 times a second. Nothing that is measured depends on it.
const (
	pollLeast = 2 * time.Millisecond
	pollMost  = 100 * time.Millisecond
	pollShare = 200
)

// waitFor polls until done or the deadline, and tells which.
func waitFor(ctx context.Context, deadline time.Time, done func() bool) bool {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !done() {
		now := time.Now()
		if now.After(deadline) {
			return false
		}
		timer.Reset(min(max(now.Sub(start)/pollShare, pollLeast), pollMost, max(deadline.Sub(now), 1)+1))
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
	return true
}
