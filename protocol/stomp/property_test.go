package stomp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what a client may expect of a session's queue and transactions, written down plainly.
type model struct {
	mode    AckMode
	waiting []string            // message ids in the order of their last delivery
	acks    map[string]string   // message id → the ack of its last delivery
	next    int                 // acks given out
	times   map[string]int      // deliveries
	open    map[string][]string // transaction → frames, as "ack X", "nack X", "send X"
	sent    []string            // SENDs that were carried out
	most    int
}

func (m *model) deliver(id string) {
	m.next++
	m.acks[id] = strconv.Itoa(m.next)
	m.times[id]++
	m.waiting = append(m.waiting, id)
}

func (m *model) answer(kind, id string) {
	at := slices.Index(m.waiting, id)
	if at < 0 {
		return
	}
	first := at
	if m.mode == AckClient {
		first = 0
	}
	taken := slices.Clone(m.waiting[first : at+1])
	m.waiting = slices.Delete(m.waiting, first, at+1)
	if kind == "ack" {
		return
	}
	for _, id := range taken {
		if m.times[id] < m.most {
			m.deliver(id)
		}
	}
}

// commit carries out held frames. One whose message has been delivered anew since names nothing.
func (m *model) commit(frames []string) {
	for _, frame := range frames {
		var kind, what, ack string
		_, _ = fmt.Sscan(frame, &kind, &what, &ack)
		switch {
		case kind == "send":
			m.sent = append(m.sent, what)
		case ack == m.acks[what]:
			m.answer(kind, what)
		}
	}
}

// clerk is a Sink that keeps what a client would know: the ack of each message's last delivery.
type clerk struct {
	desk
	acks map[string]string
}

func (c *clerk) Frame(frame []byte) {
	d := NewDecoder(&DefaultLimits)
	d.SetVersion(V12)
	_ = d.Feed(frame, func(f *Frame) *Error {
		if f.Command == Message {
			c.acks[f.Get("message-id")] = f.Get("ack")
		}
		return nil
	})
}

// pair is a session and the model that it must agree with.
type pair struct {
	c         *clerk
	m         *model
	queue     *Subscription
	delivered int
	sends     int
}

func newPair(t *rapid.T) *pair {
	limits := DefaultLimits
	limits.DeliveriesMax, limits.UnackedMax = 3, 1<<20
	mode := rapid.SampledFrom([]AckMode{AckClient, AckEach}).Draw(t, "mode")
	p := &pair{
		c: &clerk{acks: map[string]string{}},
		m: &model{
			mode: mode, acks: map[string]string{}, times: map[string]int{}, open: map[string][]string{},
			most: limits.DeliveriesMax,
		},
	}
	p.c.session = NewSession(&limits, time.Second)
	p.feed(t, "CONNECT|accept-version:1.2||")
	ack := [...]string{"", "client", "client-individual"}[mode]
	p.feed(t, "SUBSCRIBE|id:q|destination:/user/queue/*|ack:"+ack+"||")
	p.queue = p.c.session.Subscriptions()[0]
	return p
}

func (p *pair) feed(t *rapid.T, frame string) {
	if fail := p.c.session.Feed([]byte(strings.ReplaceAll(frame, "|", "\n")+"\x00"), p.c); fail != nil {
		t.Fatalf("%q: %v", frame, fail)
	}
}

func (p *pair) deliver(t *rapid.T) {
	p.delivered++
	id := "m" + strconv.Itoa(p.delivered)
	if fail := p.c.session.Deliver(p.queue, &Delivery{ID: id, Body: []byte(id)}, p.c); fail != nil {
		t.Fatal(fail)
	}
	p.m.deliver(id)
}

var transactionNames = []string{"a", "b", "c"}

// act sends a SEND, an ACK or a NACK, by itself or in a transaction.
func (p *pair) act(t *rapid.T) {
	kind := rapid.SampledFrom([]string{"ack", "nack", "send"}).Draw(t, "kind")
	what, frame := "", ""
	if kind == "send" {
		p.sends++
		what = strconv.Itoa(p.sends)
		frame = "SEND|destination:/app/" + what
	} else {
		if p.delivered == 0 {
			t.Skip("nothing was delivered")
		}
		what = "m" + strconv.Itoa(rapid.IntRange(1, p.delivered).Draw(t, "message"))
		frame = strings.ToUpper(kind) + "|id:" + p.c.acks[what]
	}
	in := rapid.SampledFrom(append([]string{""}, transactionNames...)).Draw(t, "transaction")
	held := kind + " " + what + " " + p.m.acks[what]
	if _, ok := p.m.open[in]; ok {
		p.feed(t, frame+"|transaction:"+in+"||")
		p.m.open[in] = append(p.m.open[in], held)
		return
	}
	p.feed(t, frame+"||")
	p.m.commit([]string{held})
}

func (p *pair) begin(t *rapid.T) {
	name := rapid.SampledFrom(transactionNames).Draw(t, "transaction")
	if _, ok := p.m.open[name]; ok {
		t.Skip("it is open")
	}
	p.feed(t, "BEGIN|transaction:"+name+"||")
	p.m.open[name] = nil
}

func (p *pair) end(t *rapid.T) {
	name := rapid.SampledFrom(transactionNames).Draw(t, "transaction")
	frames, ok := p.m.open[name]
	if !ok {
		t.Skip("it is not open")
	}
	delete(p.m.open, name)
	if !rapid.Bool().Draw(t, "commit") {
		p.feed(t, "ABORT|transaction:"+name+"||")
		return
	}
	p.feed(t, "COMMIT|transaction:"+name+"||")
	p.m.commit(frames)
}

// agree compares all that can be seen of the two.
func (p *pair) agree(t *rapid.T) {
	var waiting, sent []string
	for _, d := range p.queue.unacked {
		waiting = append(waiting, d.ID)
		if d.Deliveries != p.m.times[d.ID] {
			t.Fatalf("%s was delivered %d times, not %d", d.ID, d.Deliveries, p.m.times[d.ID])
		}
	}
	if !slices.Equal(waiting, p.m.waiting) || !maps.Equal(p.c.acks, p.m.acks) {
		t.Fatalf("the session waits for %v with the acks %v, not for %v with %v", waiting, p.c.acks, p.m.waiting, p.m.acks)
	}
	for _, line := range p.c.log {
		if rest, ok := strings.CutPrefix(line, "send /app/"); ok {
			sent = append(sent, strings.TrimSpace(rest))
		}
	}
	if !slices.Equal(sent, p.m.sent) {
		t.Fatalf("carried out were %v, not %v", sent, p.m.sent)
	}
	held := 0
	for _, frames := range p.m.open {
		held += len(frames)
	}
	s := p.c.session
	if s.heldFrames != held || (held == 0) != (s.heldBytes == 0) {
		t.Fatalf("%d frames with %d bytes are held, not %d", s.heldFrames, s.heldBytes, held)
	}
	if s.unacked != len(waiting) || (len(waiting) == 0) != (s.unackedBytes == 0) {
		t.Fatalf("%d messages with %d bytes wait, not %d", s.unacked, s.unackedBytes, len(waiting))
	}
}

// Whatever is delivered, acknowledged, refused, held in transactions, committed and aborted, in any order: a session
// agrees with the model about what has been carried out and what still waits.
func TestAcksAndTransactions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		t.Repeat(map[string]func(*rapid.T){
			"deliver": p.deliver, "act": p.act, "begin": p.begin, "end": p.end, "": p.agree,
		})
	})
}
