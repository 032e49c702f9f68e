package gateway

import (
	"sync/atomic"
	"time"

	"lectern/netpoll"
	"lectern/protocol/wire"
)

// LatencyBuckets are the upper bounds of a Histogram's buckets; a last one without bound follows.
var LatencyBuckets = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram is how long something took: how often it fell into each bucket, not cumulative, and the sum.
type Histogram struct {
	Counts [len(LatencyBuckets) + 1]uint64
	Sum    time.Duration
}

// histogram is a Histogram that any goroutine may add to.
type histogram struct {
	counts [len(LatencyBuckets) + 1]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) observe(took time.Duration) {
	took = max(took, 0)
	at := 0
	for at < len(LatencyBuckets) && took > LatencyBuckets[at] {
		at++
	}
	h.counts[at].Add(1)
	h.sum.Add(int64(took))
}

func (h *histogram) snapshot() Histogram {
	s := Histogram{Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}

// Latency is where the time goes between a client's message and what follows from it.
type Latency struct {
	// Commands is the time from a command's arrival on its loop to its reply on the same loop: the shard's queue, the
	// room's step, and the commit that the reply waits for. One of commandSampling is measured.
	Commands Histogram
	// Fanout is the time from a shard handing its outputs over to a loop having written them: encoding, the loop's queue,
	// the writes. Measured per loop, for every delivery to fanoutAlways or more and a few a second of the rest.
	Fanout Histogram
}

// Latency reads the histograms. Any goroutine.
func (g *Gateway) Latency() Latency {
	return Latency{Commands: g.commandTimes.snapshot(), Fanout: g.fanoutTimes.snapshot()}
}

// commandSampling is how many commands there are to one that is measured. Which ones is a matter of their connection
// and id, so the reply's side knows without being told, and no reply but theirs costs a look-up.
const commandSampling = 8

// commandSamplesMax bounds the commands of one loop that are being measured.
const commandSamplesMax = 1024

// commandSampleAge is when a command that got no reply, because its connection ended, is forgotten.
const commandSampleAge = time.Minute

type commandKey struct {
	conn wire.ConnID
	req  uint64
}

func (k commandKey) sampled() bool {
	h := (uint64(k.conn)*0x9e3779b97f4a7c15 ^ k.req) * 0xd6e8feb86659fd93 // odd constants spread ids that count up
	return k.req != 0 && (h>>32)%commandSampling == 0
}

// commandClock holds when the measured commands of one loop arrived. Owned by the loop.
type commandClock map[commandKey]time.Time

// started notes a command on its way to a room.
func (t commandClock) started(l *netpoll.Loop, k commandKey) {
	if !k.sampled() {
		return
	}
	now := l.Now()
	if len(t) >= commandSamplesMax {
		for old, at := range t {
			if now.Sub(at) > commandSampleAge {
				delete(t, old)
			}
		}
		if len(t) >= commandSamplesMax {
			return
		}
	}
	t[k] = now
}

// replied measures the command if it is one of those.
func (t commandClock) replied(l *netpoll.Loop, k commandKey, into *histogram) {
	if !k.sampled() {
		return
	}
	if at, ok := t[k]; ok {
		delete(t, k)
		into.observe(l.Now().Sub(at))
	}
}

// fanoutAlways is the number of events given out by one delivery on one loop from which it is always measured.
const fanoutAlways = 500

// fanoutPause is the least time between two smaller deliveries that a loop measures: each costs it a task.
const fanoutPause = 100 * time.Millisecond

// written is a task that a loop gives itself before it writes: when it runs, what came before has been written.
type written struct{ begun []time.Time }

// deliveryClock decides which deliveries a loop measures. Owned by the loop.
type deliveryClock struct {
	begun []time.Time // of deliveries in this turn
	next  time.Time   // no small one before
}

// delivered notes that a delivery has been queued for its connections.
func (t *deliveryClock) delivered(l *netpoll.Loop, begun time.Time, events int64) {
	if events < fanoutAlways {
		if events == 0 || l.Now().Before(t.next) {
			return
		}
		t.next = l.Now().Add(fanoutPause)
	}
	t.begun = append(t.begun, begun)
}

// turnEnds asks to be told when the turn's writes are done. A loop that refuses tasks measures nothing.
func (t *deliveryClock) turnEnds(l *netpoll.Loop) {
	if len(t.begun) == 0 {
		return
	}
	l.Post(written{t.begun})
	t.begun = nil
}

func (g *Gateway) measure(w written) {
	now := g.now()
	for _, begun := range w.begun {
		g.fanoutTimes.observe(now.Sub(begun))
	}
}
