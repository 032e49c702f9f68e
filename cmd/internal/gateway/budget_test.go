package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/simnet"
	"lectern/protocol/ws"
)

// What a message costs between the bytes of the socket and its shard's inbox, in objects: the room's name, the data and
// each text in it (the one copy of what was borrowed), and two or three of the JSON decoder's own.
func TestAllocationsOfAMessage(t *testing.T) {
	h := newHall(t)
	c := h.enter("r", "")
	// The simulated network allocates too: a pong, which goes the same way up to the session machine, says how much.
	idle := h.allocations(t, c, ws.AppendMasked(nil, ws.OpPong, true, false, []byte("0123456789"), 7))
	for _, tt := range []struct {
		text   string
		budget float64
	}{
		{`{"id":7,"op":"quiz:answer","room":"r","data":{"question":1,"answer":"2","key":"0123456789abcdef"}}`, 5},
		{`{"id":7,"op":"room:publish","room":"r","data":{"event":"e","payload":{"x":[1,2]},"key":"0123456789abcdef"}}`, 8},
		{`{"id":7,"op":"chat:send","room":"r","data":{"text":"Hello, everybody","key":"0123456789abcdef"}}`, 7},
		{`{"id":7,"op":"chat:typing","room":"r","data":{"typing":true}}`, 6},
	} {
		before := h.posts.posted
		got := h.allocations(t, c, ws.AppendMaskedText(nil, []byte(tt.text), 7)) - idle
		if h.posts.posted == before {
			t.Errorf("%s: it does not reach the shard: %q", tt.text, c.Read())
		}
		t.Logf("%.0f allocations, budget %.0f: %s", got, tt.budget, tt.text)
		if got > tt.budget {
			t.Errorf("%s: %.0f allocations, the budget is %.0f", tt.text, got, tt.budget)
		}
	}
}

// allocations is how many objects one message makes.
func (h *hall) allocations(t *testing.T, c *simnet.Client, message []byte) float64 {
	t.Helper()
	scratch := make([]byte, len(message))
	return testing.AllocsPerRun(200, func() {
		copy(scratch, message) // the session machine unmasks in place
		c.Write(scratch)
		h.net.Run()
	})
}

// Heartbeats of connections that came in one burst are spread over the interval, and a tick costs no more than what is
// due in it.
func TestHeartbeatsAreSpread(t *testing.T) {
	conns := 100_000
	if testing.Short() {
		conns = 10_000
	}
	const every, tick, grain = 30 * time.Second, 10 * time.Millisecond, 100 * time.Millisecond
	h := newHallOf(t, netpoll.Config{Loops: 2, ConnsMax: 2 * conns}, every)
	for i := range conns {
		c := h.net.Dial()
		c.Write(fmt.Appendf(nil, "GET /ws?guest=Ada HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		if i%1000 == 0 {
			h.net.Run()
		}
	}
	h.net.Run()
	if n := h.net.Stats(); n.Open != conns || n.Timers != conns {
		t.Fatalf("%d connections with %d timers", n.Open, n.Timers)
	}
	h.net.Advance(every) // each has been looked at once, and has been heard: its handshake
	var pings []int
	began := time.Now()
	for range every / tick {
		before := h.net.Stats().Writes
		h.net.Advance(tick)
		pings = append(pings, int(h.net.Stats().Writes-before))
	}
	took := time.Since(began)
	all, most := 0, slices.Max(pings)
	for _, n := range pings {
		all += n
	}
	mean := float64(conns) / float64(every/grain)
	wakes := 0
	for _, n := range pings {
		if n > 0 {
			wakes++
		}
	}
	if wakes > int(every/grain)+2 {
		t.Errorf("pings in %d of %d ticks: they should come together every %v", wakes, len(pings), grain)
	}
	t.Logf("%d pings in %d ticks of %v: %.0f on average, at most %d; %v a tick, the simulated network included", all,
		len(pings), tick, mean, most, took/time.Duration(len(pings)))
	if all < conns*99/100 || all > conns*101/100 {
		t.Errorf("%d pings for %d silent connections in one interval", all, conns)
	}
	if limit := int(1.5*mean) + 50; most > limit {
		t.Errorf("%d pings in one tick, at most %d are expected", most, limit)
	}
}

// Sessions of Engine.IO that began in one burst are not pinged in one.
func TestEnginePingsAreSpread(t *testing.T) {
	const sessions, every, tick = 2000, 10 * time.Second, 10 * time.Millisecond
	h := newHallOf(t, netpoll.Config{Loops: 2, ConnsMax: 2 * sessions}, every)
	for range sessions {
		c := h.net.Dial()
		c.Write([]byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" +
			"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		c.Write(ws.AppendMaskedText(nil, []byte(`40{"name":"Ada"}`), 7))
	}
	h.net.Run()
	all, most := 0, 0
	for range every / tick {
		before := h.net.Stats().Writes
		h.net.Advance(tick)
		pings := int(h.net.Stats().Writes - before)
		all, most = all+pings, max(most, pings)
	}
	if all < sessions*99/100 || all > sessions*101/100 || most > 2*sessions/int(every/(10*tick))+20 {
		t.Errorf("%d pings for %d sessions in one interval, at most %d in one tick", all, sessions, most)
	}
}
