package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/simnet"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// hall is a gateway on a simulated network, with one loop and nothing behind it: it costs the same at every run.
type hall struct {
	*Gateway
	net   *simnet.Net
	posts *mute
}

// mute takes commands, counts them and keeps the last, or all of them.
type mute struct {
	last   rooms.Command
	posted int
	keep   bool
	all    []rooms.Command
}

func (*mute) Shards() int        { return 1 }
func (*mute) ShardOf(string) int { return 0 }
func (p *mute) PostAlways(_ int, cmds []rooms.Command) {
	p.last = cmds[len(cmds)-1]
	p.posted += len(cmds)
	if p.keep {
		p.all = append(p.all, cmds...)
	}
}
func (p *mute) Post(shard int, cmds []rooms.Command) bool { p.PostAlways(shard, cmds); return true }

func newHall(t testing.TB) *hall {
	t.Helper()
	return newHallOf(t, netpoll.Config{Loops: 1, ConnsMax: 1 << 14}, time.Hour)
}

func newHallOf(t testing.TB, cfg netpoll.Config, pingEvery time.Duration) *hall {
	t.Helper()
	h := &hall{posts: &mute{}}
	unlimited := quota.Limit{Count: 1 << 20, Per: time.Second, Burst: 1 << 20}
	h.Gateway = New(Config{
		Dev: true, AuthTimeout: time.Minute, PingEvery: pingEvery,
		MessageTimeout: time.Hour, MessagesPer: unlimited, ChatPer: unlimited,
		RoomsPerConn: 10, HandOffQueueMax: 1, DeflateBytesMin: 512,
	}, Options{
		Tokens: scopes{}, PINs: rooms.NewDirectory(), Now: func() time.Time { return h.net.Now() },
		Clock: func() int64 { return 77_000 }, Logger: slog.New(slog.DiscardHandler),
		Rand: func() effect.Random { return rand.New(rand.NewPCG(1, 2)) },
	})
	h.SetPosts(h.posts)
	var err error
	h.net, err = simnet.New(cfg, h.Gateway, simnet.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.net.Stop)
	return h
}

// enter connects a guest and makes it a member of room.
func (h *hall) enter(room, headers string) *simnet.Client {
	return h.enterAt("/ws?guest=Ada", room, headers, fmt.Sprintf(`{"id":1,"op":"room:join","room":%q}`, room))
}

// enterAt connects to target and makes the connection a member of room once it has asked for that, with messages.
func (h *hall) enterAt(target, room, headers string, messages ...string) *simnet.Client {
	c := h.net.Dial()
	c.Write(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", target, headers))
	for _, message := range messages {
		c.Write(ws.AppendMaskedText(nil, []byte(message), 7))
	}
	h.net.Run()
	h.Deliver(0, []rooms.Delivery{{
		Room: room, Output: effect.Output{Kind: effect.Join, Conn: h.posts.last.From.Conn, Role: wire.RoleParticipant},
	}}, func() {})
	h.net.Run()
	c.Read()
	return c
}

// events is what a shard hands over: n events of one room, with data of about 200 bytes each.
func events(room string, n int) []rooms.Delivery {
	items := make([]rooms.Delivery, n)
	data := json.RawMessage(`{"text":"` + strings.Repeat("x", 190) + `"}`)
	for i := range items {
		items[i] = rooms.Delivery{Room: room, Output: effect.Output{
			Kind: effect.Event, Resumable: true, Seq: uint64(i + 1), TS: 1_764_000_000_000, Name: wire.EvChatMessage, Data: data,
		}}
	}
	return items
}

// BenchmarkFanout is one delivery to 1,000 members of a room, from the shard's call to the bytes in their hands.
func BenchmarkFanout(b *testing.B) {
	for _, bench := range []struct {
		name   string
		events int
	}{{"1-event", 1}, {"10-events", 10}} {
		b.Run(bench.name, func(b *testing.B) {
			h := newHall(b)
			members := make([]*simnet.Client, 1000)
			for i := range members {
				members[i] = h.enter("r", "")
			}
			items := events("r", bench.events)
			b.ReportAllocs()
			for b.Loop() {
				h.Deliver(0, items, func() {})
				h.net.Run()
				for _, c := range members {
					c.Read()
				}
			}
		})
	}
}

// BenchmarkFanoutStomp is the same to 1,000 STOMP clients, whose libraries number their subscriptions alike, or each in
// its own way.
func BenchmarkFanoutStomp(b *testing.B) {
	for _, bench := range []struct {
		name, id string
	}{{"same-id", "sub-0"}, {"own-ids", "sub-%d"}} {
		b.Run(bench.name, func(b *testing.B) {
			h := newHall(b)
			members := make([]*simnet.Client, 1000)
			for i := range members {
				id := strings.ReplaceAll(bench.id, "%d", fmt.Sprint(i))
				members[i] = h.enterAt("/stomp?guest=Ada", "r", "", "CONNECT\naccept-version:1.2\n\n\x00",
					"SUBSCRIBE\nid:"+id+"\ndestination:/topic/room.r\n\n\x00")
			}
			items := events("r", 1)
			b.ReportAllocs()
			for b.Loop() {
				h.Deliver(0, items, func() {})
				h.net.Run()
				for _, c := range members {
					c.Read()
				}
			}
		})
	}
}

// BenchmarkEncode is what the shard's goroutine does for one delivery.
func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHall(b)
			c := h.enter("r", "")
			items := events("r", n)
			b.ReportAllocs()
			for b.Loop() {
				h.Deliver(0, items, func() {})
				h.net.Run()
				c.Read()
			}
		})
	}
}

// BenchmarkRequest is a request that is answered on the loop.
func BenchmarkRequest(b *testing.B) {
	h := newHall(b)
	c := h.enter("r", "")
	request := ws.AppendMaskedText(nil, []byte(`{"id":7,"op":"time:sync","data":{"t0":5}}`), 7)
	scratch := make([]byte, len(request))
	b.ReportAllocs()
	for b.Loop() {
		copy(scratch, request)
		c.Write(scratch)
		h.net.Run()
		c.Read()
		h.net.Advance(time.Millisecond)
	}
}
