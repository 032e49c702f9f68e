package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"lectern/netpoll"
	"lectern/protocol/client"
	"lectern/protocol/wire"
)

func publish(event string, payload any) wire.PublishData {
	raw, _ := json.Marshal(payload)
	return wire.PublishData{Event: event, Payload: raw}
}

// One client publishes 5,000 events without waiting; everybody, on either loop, compressed or not, gets all of them in
// order, some one by one and some in batches.
func TestPublishesArriveInOrder(t *testing.T) {
	t.Parallel()
	const events, members = 5000, 12
	s := start(t)
	sender := s.dial("/ws?guest=Sender")
	sender.join("r", wire.JoinData{})
	all := make([]*conn, members)
	for i := range all {
		headers := []string{}
		if i%2 == 1 {
			headers = append(headers, deflateOffer)
		}
		all[i] = s.dial(fmt.Sprintf("/ws?guest=m%d", i), headers...)
		all[i].join("r", wire.JoinData{})
	}
	single := publish("e", "first")
	sender.do(wire.OpRoomPublish, "r", single)
	for _, c := range all {
		if m := c.next(); m.Seq != 1 || c.frames[len(c.frames)-1].batch != 0 {
			t.Fatalf("alone: %+v in %+v", m, c.frames[len(c.frames)-1])
		}
	}
	var wg sync.WaitGroup
	faults := make(chan string, members+1)
	for _, c := range append(slices.Clone(all), sender) {
		wg.Go(func() {
			next := uint64(2)
			if c == sender {
				next = 1
			}
			for ; next <= events+1; next++ {
				m := c.next()
				want := fmt.Sprintf(`{"n":%d}`, next-1)
				if next == 1 {
					want = `"first"`
				}
				if m.Seq != next || string(m.Data) != want {
					faults <- fmt.Sprintf("want seq %d, got %d %s", next, m.Seq, m.Data)
					return
				}
			}
		})
	}
	// The sender's own goroutine reads; writing from here is safe beside it.
	for i := range events {
		raw, _ := json.Marshal(map[string]int{"n": i + 1})
		sender.send(fmt.Sprintf(`{"id":%d,"op":"room:publish","room":"r","data":{"event":"e","payload":%s}}`, 100+i, raw))
	}
	wg.Wait()
	close(faults)
	for f := range faults {
		t.Error(f)
	}
	batches := 0
	for _, c := range all {
		for _, f := range c.frames {
			if f.batch > 1 {
				batches++
			}
		}
	}
	t.Logf("%d batches in %d deliveries", batches, events*members)
	if batches == 0 {
		t.Error("no batch formed under load")
	}
}

func TestMembersAreOnAllLoops(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 40 {
		s.dial(fmt.Sprintf("/ws?guest=g%d", i)).join("r", wire.JoinData{})
	}
	for _, l := range s.net.Loops() {
		if l.Conns() == 0 {
			t.Errorf("loop %d has no connection", l.Index())
		}
	}
}

func TestCompressedAndPlainSayTheSame(t *testing.T) {
	t.Parallel()
	s := start(t)
	plain, deflated := s.dial("/ws?guest=a"), s.dial("/ws?guest=b", deflateOffer)
	if !strings.Contains(deflated.head.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") ||
		plain.head.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatal("the extension is not negotiated as offered")
	}
	count := func(c *conn) *countingConn {
		c.join("r", wire.JoinData{})
		counting := &countingConn{Conn: c.Conn}
		c.Conn = counting
		c.br.Reset(counting)
		return counting
	}
	plainBytes, deflatedBytes := count(plain), count(deflated)
	long := strings.Repeat("one and the same sentence, again and again. ", 100)
	for _, text := range []string{long, "short", long + "ü€😀"} {
		plain.do(wire.OpRoomPublish, "r", publish("e", text))
		a, b := plain.next(), deflated.next()
		if string(a.Data) != string(b.Data) || a.Seq != b.Seq || a.TS != b.TS {
			t.Errorf("plain %.60s, compressed %.60s", a.Data, b.Data)
		}
	}
	if deflatedBytes.read*4 > plainBytes.read {
		t.Errorf("compressed %d bytes on the wire, plain %d", deflatedBytes.read, plainBytes.read)
	}
	if n := s.gateway.Stats().DeflateConns; n != 1 {
		t.Errorf("%d connections count as compressing", n)
	}
}

// A member that joins while others publish gets a snapshot and then every later event, without a gap.
func TestJoinIsGapless(t *testing.T) {
	t.Parallel()
	const events = 1500
	s := start(t)
	sender := s.dial("/ws?guest=Sender")
	sender.join("r", wire.JoinData{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range events {
			sender.send(fmt.Sprintf(`{"id":%d,"op":"room:publish","room":"r","data":{"event":"e","payload":%d}}`, i+10, i+1))
		}
	}()
	var wg sync.WaitGroup
	faults := make(chan string, 64)
	for i := range 20 {
		wg.Go(func() {
			c := s.dial(fmt.Sprintf("/ws?guest=late%d", i))
			reply := c.join("r", wire.JoinData{})
			for want := reply.Seq + 1; want <= events; want++ {
				if m := c.next(); m.Seq != want {
					faults <- fmt.Sprintf("joined at %d: want seq %d, got %d", reply.Seq, want, m.Seq)
					return
				}
			}
		})
	}
	wg.Wait()
	<-done
	close(faults)
	for f := range faults {
		t.Error(f)
	}
}

func TestResumeAfterReconnect(t *testing.T) {
	t.Parallel()
	s := start(t)
	a, b := s.dial("/ws?guest=a"), s.dial("/ws?guest=b")
	a.join("r", wire.JoinData{})
	first := b.join("r", wire.JoinData{})
	for i := range 5 {
		a.do(wire.OpRoomPublish, "r", publish("e", i))
	}
	for range 3 {
		b.next()
	}
	_ = b.Close()
	back := s.dial("/ws?guest=b")
	since := uint64(3)
	id := back.post(wire.OpRoomJoin, "r", wire.JoinData{Since: &since, Epoch: first.Epoch})
	a.do(wire.OpRoomPublish, "r", publish("e", 5))
	reply := into[wire.JoinReply](t, back.answerTo(id))
	if !reply.Recovered || reply.Epoch != first.Epoch || reply.Snapshot != nil {
		t.Fatalf("%+v", reply)
	}
	for want := uint64(4); want <= 6; want++ {
		if m := back.next(); m.Seq != want || string(m.Data) != fmt.Sprint(want-1) {
			t.Fatalf("want %d, got %+v", want, m)
		}
	}
	for _, strange := range []wire.JoinData{
		{Since: &since, Epoch: "another"}, {Since: ptr(uint64(999)), Epoch: first.Epoch},
	} {
		other := s.dial("/ws?guest=c")
		if r := other.join("r", strange); r.Recovered || r.Snapshot == nil {
			t.Errorf("%+v: %+v", strange, r)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// The SDK comes back by itself after a cut, with every event exactly once.
func TestClientComesBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	events := make(chan client.Event, 1000)
	up := make(chan bool, 10)
	line := &cuttable{}
	c, _ := s.sdk(client.Config{
		Guest: "Ada", Dial: line.dial,
		Event:   func(e client.Event) { keepResumable(events, e) },
		Changed: func(ready bool) { up <- ready },
	})
	if _, err := c.Join(t.Context(), "r", wire.JoinData{}); err != nil {
		t.Fatal(err)
	}
	receive(t, up, "connection")
	sender := s.dial("/ws?guest=Sender")
	sender.join("r", wire.JoinData{})
	want := uint64(1)
	for round := range 3 {
		sender.do(wire.OpRoomPublish, "r", publish("e", round))
		line.cut()
		sender.do(wire.OpRoomPublish, "r", publish("e", "meanwhile"))
		for range 2 {
			if e := receive(t, events, "event"); e.Seq != want {
				t.Fatalf("round %d: want seq %d, got %d", round, want, e.Seq)
			}
			want++
		}
	}
}

// A member that doesn't read is closed with 4300, and comes back with the last seq that it has.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	s := start(t)
	slow, sender := s.dial("/ws?guest=Slow"), s.dial("/ws?guest=Sender")
	first := slow.join("r", wire.JoinData{})
	sender.join("r", wire.JoinData{})
	payload := strings.Repeat("x", 32<<10)
	sent := uint64(0)
	for s.net.Stats().Closed[netpoll.ReasonSlowConsumer] == 0 {
		sender.do(wire.OpRoomPublish, "r", publish("e", payload))
		if sent++; sent > 2000 {
			t.Fatal("the slow consumer is never closed")
		}
	}
	seen := uint64(0)
	for slow.fill() {
		for _, m := range slow.queue {
			if m.Seq != 0 {
				if m.Seq != seen+1 {
					t.Fatalf("seq %d after %d", m.Seq, seen)
				}
				seen = m.Seq
			}
		}
		slow.queue = slow.queue[:0]
	}
	t.Logf("closed with %d after %d of %d events", slow.code, seen, sent)
	if slow.code != 0 && slow.code != uint16(wire.CloseSlowConsumer) {
		t.Errorf("closed with %d", slow.code)
	}
	back := s.dial("/ws?guest=Slow")
	r := back.join("r", wire.JoinData{Since: &seen, Epoch: first.Epoch})
	if want := r.Seq; r.Recovered {
		for next := seen + 1; next <= want; next++ {
			if m := back.next(); m.Seq != next {
				t.Fatalf("back: want %d, got %d", next, m.Seq)
			}
		}
	} else if r.Snapshot == nil {
		t.Error("neither recovered nor a snapshot")
	}
}

func TestKickAndBan(t *testing.T) {
	t.Parallel()
	s := start(t)
	host := s.as("host", wire.RoleHost)
	room := into[wire.QuizCreateReply](t, host.do(wire.OpQuizCreate, "", someQuiz())).Room
	host.join(room, wire.JoinData{})
	kicked, banned := s.as("kicked", wire.RoleParticipant), s.as("banned", wire.RoleParticipant)
	second := s.as("banned", wire.RoleParticipant)
	for _, c := range []*conn{kicked, banned, second} {
		c.join(room, wire.JoinData{})
	}
	host.do(wire.OpModKick, room, wire.ModUserData{User: "kicked"})
	kicked.goneWith(wire.CloseKicked)
	host.do(wire.OpModBan, room, wire.ModUserData{User: "banned"})
	banned.goneWith(wire.CloseBanned)
	second.goneWith(wire.CloseBanned)
	again := s.as("banned", wire.RoleParticipant)
	again.refused(wire.CodeBanned, wire.OpRoomJoin, room, nil)
	host.do(wire.OpModBan, room, wire.ModUserData{User: "banned", Undo: true})
	again.join(room, wire.JoinData{})
	host.refused(wire.CodeForbidden, wire.OpModKick, room, wire.ModUserData{User: "host"})
}

// cuttable is a line that can be cut without a word, as networks do.
type cuttable struct {
	mu   sync.Mutex
	last net.Conn
}

func (l *cuttable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = c
	return c, err
}

func (l *cuttable) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.last.Close()
}

// countingConn counts the bytes that were read.
type countingConn struct {
	net.Conn
	read int
}

// Read implements io.Reader.
func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

func TestDrainTellsEverybodyToComeBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	members := make([]*conn, 30)
	for i := range members {
		members[i] = s.dial(fmt.Sprintf("/ws?guest=g%d", i))
		members[i].join("r", wire.JoinData{})
	}
	s.stop()
	for _, c := range members {
		c.goneWith(wire.CloseDrain)
	}
}

func keepResumable(events chan<- client.Event, e client.Event) {
	if e.Seq != 0 {
		events <- e
	}
}
