package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/netpoll/simnet"
	"lectern/protocol/forwarded"
	"lectern/protocol/sio"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// wax seals for tests.
type wax struct{}

func (wax) MAC(purpose string, data []byte) [32]byte {
	return sha256.Sum256(append([]byte(purpose+"\n"), data...))
}

func (w wax) CheckMAC(purpose string, data, mac []byte) bool {
	want := w.MAC(purpose, data)
	return bytes.Equal(mac, want[:])
}

const socketPath = "/socket.io/?EIO=4&transport=websocket"

// sioPeer is a Socket.IO client over a simulated WebSocket.
type sioPeer struct {
	t *testing.T
	h *hall
	c *simnet.Client
}

// connectSocket connects and signs in with the CONNECT packet's text.
func connectSocket(t *testing.T, h *hall, connect string) *sioPeer {
	t.Helper()
	p := &sioPeer{t, h, h.net.Dial()}
	p.c.Write([]byte("GET " + socketPath + " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	h.net.Run()
	_, frames, ok := bytes.Cut(p.c.Read(), []byte("\r\n\r\n"))
	if got := strings.Join(messages(frames), ""); !ok || !strings.HasPrefix(got, `0{"sid":"`) {
		t.Fatalf("the handshake: %q", got)
	}
	p.say(connect)
	return p
}

func (p *sioPeer) say(texts ...string) {
	for _, text := range texts {
		p.c.Write(ws.AppendMaskedText(nil, []byte(text), 7))
	}
	p.h.net.Run()
}

// hears is what has arrived: texts, bytes as they are, "closed N" for a close frame.
func (p *sioPeer) hears() []string { return messages(p.c.Read()) }

// expect compares what has arrived.
func (p *sioPeer) expect(want ...string) {
	p.t.Helper()
	got := p.hears()
	for i := range max(len(got), len(want)) {
		a, b := "nothing", "nothing"
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if a != b {
			p.t.Errorf("the client got %s, want %s", a, b)
		}
	}
}

func messages(frames []byte) (all []string) {
	for len(frames) >= 2 {
		n, head := int(frames[1]), 2
		if n == 126 {
			n, head = int(frames[2])<<8|int(frames[3]), 4
		}
		payload := string(frames[head : head+n])
		if ws.OpCode(frames[0]&0x0f) == ws.OpClose {
			payload = "closed"
		}
		all = append(all, payload)
		frames = frames[head+n:]
	}
	return all
}

// deliver hands the loop what a shard would, for the connection whose command came last.
func (h *hall) deliver(room, epoch string, outputs ...effect.Output) {
	items := make([]rooms.Delivery, len(outputs))
	for i, o := range outputs {
		if o.Kind != effect.Event || o.Audience == effect.ToConn {
			o.Conn = h.posts.last.From.Conn
		}
		items[i] = rooms.Delivery{Room: room, Epoch: epoch, Output: o}
	}
	h.Deliver(0, items, func() {})
	h.net.Run()
}

// join answers a join as a room does.
func (h *hall) join(room, epoch string, seq uint64, recovered bool) {
	h.deliver(room, epoch, effect.Output{Kind: effect.Join, Role: wire.RoleParticipant}, effect.Output{
		Kind: effect.Reply, Req: h.posts.last.From.Req,
		Data: &wire.JoinReply{Room: room, Epoch: epoch, Seq: seq, Recovered: recovered, Role: wire.RoleParticipant},
	})
}

func said(name string, seq uint64, data string) effect.Output {
	return effect.Output{Kind: effect.Event, Resumable: seq > 0, Seq: seq, TS: 5, Name: name, Data: json.RawMessage(data)}
}

func sioHall(t *testing.T) *hall {
	t.Helper()
	before := frame.Live()
	h := newHall(t)
	h.seals = wax{}
	t.Cleanup(func() {
		h.net.Stop()
		if n := frame.Live() - before; n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	return h
}

// connected takes the CONNECT's answer apart.
func (p *sioPeer) connected() (sid, pid string) {
	p.t.Helper()
	got := p.hears()
	var answer struct{ SID, PID string }
	if len(got) == 0 || !strings.HasPrefix(got[0], "40{") || json.Unmarshal([]byte(got[0][2:]), &answer) != nil ||
		len(answer.SID) != 20 {
		p.t.Fatalf("the answer to CONNECT: %q", got)
	}
	return answer.SID, answer.PID
}

func TestSocketIOWords(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	p.connected()
	p.say(`420["room:join","r",{"since":3}]`)
	if cmd := h.posts.last; cmd.Op != wire.OpRoomJoin || cmd.Room != "r" || *cmd.Body.(*wire.JoinData).Since != 3 {
		t.Errorf("the join is %+v", cmd)
	}
	h.join("r", "e", 4, false)
	p.expect(`430[{"ok":true,"data":{"room":"r","epoch":"e","seq":4,"recovered":false,"role":"participant"}}]`,
		`42["session:offset","r/e/4"]`)
	native := h.enter("r", "")
	h.deliver("r", "e", said("chat:message", 5, `{"text":"é"}`), said("chat:pinned", 6, `{}`))
	p.expect(`42["chat:message",{"text":"é"},{"room":"r","seq":5,"ts":5},"r/e/5"]`,
		`42["chat:pinned",{},{"room":"r","seq":6,"ts":5},"r/e/6"]`)
	if got := messages(native.Read()); len(got) != 1 || got[0][0] != '[' {
		t.Errorf("lectern.v1 got %q", got)
	}
	state := said("quiz:progress", 0, `{"n":1}`)
	state.Class, state.Key = wire.ClassState, "k"
	h.deliver("r", "e", state)
	p.expect(`42["quiz:progress",{"n":1},{"room":"r","ts":5}]`)
	own := said("quiz:rank", 0, `{"rank":1}`)
	own.Audience = effect.ToConn
	p.say(`427["quiz:answer",{"question":1,"answer":"1","key":"k"}]`)
	if cmd := h.posts.last; cmd.Op != wire.OpQuizAnswer || cmd.Room != "r" || cmd.From.Req != 8 {
		t.Errorf("the answer is %+v", cmd)
	}
	h.deliver("r", "e", effect.Output{Kind: effect.Reply, Req: 8, Data: map[string]int{"a": 1}}, own)
	p.expect(`437[{"ok":true,"data":{"a":1}}]`, `42["quiz:rank",{"rank":1},{"room":"r","ts":5}]`)
	p.say(`428["room:leave"]`)
	h.deliver("r", "e", effect.Output{Kind: effect.Leave}, effect.Output{Kind: effect.Reply, Req: 9})
	p.expect(`438[{"ok":true}]`, `42["session:offset",""]`)
	if n := h.Stats().Members["socket.io"]; n != 1 {
		t.Errorf("%d members are counted as socket.io", n)
	}
}

func TestSocketIORefusals(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	p.connected()
	unknown := `{"code":"unknown_op","message":"there is no such op","path":"op","pointer":"/op"}`
	for text, want := range map[string]string{
		`421["no:op"]`:                           `431[{"ok":false,"error":` + unknown + `}]`,
		`42["no:op"]`:                            `42["error",` + unknown + `]`,
		`422["quiz:answer",{"room":"r"}]`:        "invalid_data",
		`423["chat:send","a b",{"text":"x"}]`:    "bad_message",
		`424["chat:send",{"room":1,"text":"x"}]`: "bad_message",
		`425["chat:send","r",{"text":"x"}]`:      "not_member",
		`426["chat:send",null,{"text":"x"}]`:     "invalid_data",
		`427["chat:send",5]`:                     "invalid_data",
	} {
		p.say(text)
		got := strings.Join(p.hears(), "")
		if got != want && !strings.Contains(got, `"code":"`+want+`"`) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	p.say(`451-8["chat:send",{"_placeholder":true,"num":0}]`)
	p.c.Write(ws.AppendMasked(nil, ws.OpBinary, true, false, []byte("x"), 7))
	h.net.Run()
	if got := strings.Join(p.hears(), ""); !strings.HasPrefix(got, `438[{"ok":false,"error":{"code":"invalid_data"`) {
		t.Errorf("bytes: %s", got)
	}
}

func TestSocketIOConnects(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, "40/admin,{}")
	p.expect(`44/admin,{"message":"Invalid namespace"}`)
	p.say(`40{"token":5}`)
	if got := strings.Join(p.hears(), ""); !strings.HasPrefix(got, `44{"message":"auth must be`) ||
		!strings.Contains(got, `"data":{"code":"invalid_data"`) {
		t.Errorf("a wrong auth: %s", got)
	}
	p.say(`40{"token":"r1"}`)
	first, _ := p.connected()
	p.say("40") // again
	if second, _ := p.connected(); second != first {
		t.Error("a second CONNECT changed the id")
	}
	p.say("41")
	p.expect("closed")

	late := connectSocket(t, h, "40") // signs in later
	late.connected()
	late.say(`420["time:sync",{"t0":1}]`, `421["auth",{"name":"Bo"}]`)
	if got := late.hears(); len(got) != 2 || !strings.Contains(got[1], `"name":"Bo"`) {
		t.Errorf("signing in later: %q", got)
	}
	never := connectSocket(t, h, "40")
	never.connected()
	h.net.Advance(2 * time.Minute)
	never.expect(`42["session:close",{"code":4101,"reason":"no token came in time"}]`, "closed")

	for _, text := range []string{"4abc", `42["x"]`, `42["disconnect"]`, "44{}", `42/other,["room:join","r"]`, "abc"} {
		q := connectSocket(t, h, text)
		q.expect("closed")
	}
}

// Each attempt to sign in is paid for: tokens are costly to verify.
func TestSocketIOAttemptsAreLimited(t *testing.T) {
	h := sioHall(t)
	h.cfg.MessagesPer = quota.Limit{Count: 1, Per: time.Hour, Burst: 12}
	p := connectSocket(t, h, `40{"token":5}`)
	p.say(`40{"token":5}`, `40{"token":5}`)
	got := p.hears()
	if len(got) != 3 || !strings.Contains(got[1], "invalid_data") || !strings.Contains(got[2], "rate_limited") {
		t.Errorf("three attempts: %q", got)
	}
}

func TestSocketIOGoodbyes(t *testing.T) {
	for code, want := range map[wire.CloseCode][]string{
		wire.CloseBanned:     {`42["session:close",{"code":4200,"reason":"removed by the host"}]`, "41", "closed"},
		wire.CloseNodeChange: {`42["session:close",{"code":4001,"reason":"the room was rebuilt; come back"}]`, "closed"},
	} {
		h := sioHall(t)
		p := connectSocket(t, h, `40{"name":"Ada"}`)
		p.connected()
		p.say(`42["room:join","r"]`)
		h.deliver("r", "e", effect.Output{Kind: effect.Close, CloseCode: code})
		p.expect(want...)
		if s := h.Stats().Engine; s.Sessions["websocket"] != 0 || s.Ended["forced server close"] != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// TestSocketIOOffsets follows a connection through two rooms: each event tells where it is in both.
func TestSocketIOOffsets(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	_, pid := p.connected()
	p.say(`42["room:join","a"]`) // without an ack
	h.join("a", "e", 0, false)
	p.expect(`42["session:offset","a/e/0"]`)
	p.say(`42["room:join","b"]`)
	h.join("b", "f", 9, false)
	p.expect(`42["session:offset","a/e/0|b/f/9"]`)
	h.deliver("a", "e", said("x", 1, "1"))
	h.deliver("b", "f", said("y", 10, "2"))
	h.deliver("a", "e", said("z", 2, "3"))
	p.expect(`42["x",1,{"room":"a","seq":1,"ts":5},"b/f/9|a/e/1"]`,
		`42["y",2,{"room":"b","seq":10,"ts":5},"a/e/1|b/f/10"]`,
		`42["z",3,{"room":"a","seq":2,"ts":5},"b/f/10|a/e/2"]`)

	back := connectSocket(t, h, `40{"name":"Ada","pid":"`+pid+`","offset":"b/f/10|a/e/1"}`)
	back.expect()
	if cmd := h.posts.last; cmd.Room != "a" || *cmd.Body.(*wire.JoinData).Since != 1 {
		t.Errorf("joins again with %+v", cmd)
	}
	h.join("a", "e", 2, true)
	missed := said("z", 2, "3")
	missed.Audience = effect.ToConn
	h.deliver("a", "e", missed)
	back.expect() // until b has answered
	h.posts.last.From.Req--
	h.join("b", "f", 10, true)
	got := back.hears()
	if len(got) != 2 || !strings.HasPrefix(got[0], `40{"sid":"`) ||
		got[1] != `42["z",3,{"room":"a","seq":2,"ts":5},"a/e/2"]` {
		t.Errorf("came back to %q", got)
	}
}

func TestSocketIOComesBack(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	sid, pid := p.connected()
	p.say(`42["room:join","r"]`)
	user := h.posts.last.From.User
	h.join("r", "e", 3, false)
	come := func(auth string) *sioPeer { return connectSocket(t, h, "40"+auth) }

	back := come(`{"name":"Ada","pid":"` + pid + `","offset":"r/e/3"}`)
	if cmd := h.posts.last; cmd.From.User != user || cmd.From.Name != "Ada" {
		t.Errorf("came back as %+v", cmd.From)
	}
	h.join("r", "e", 3, true)
	if again, _ := back.connected(); again != sid {
		t.Errorf("came back as %s, was %s", again, sid)
	}

	// The room can't tell everything: the client begins anew, and hears nothing of it before.
	lost := come(`{"name":"Ada","pid":"` + pid + `","offset":"r/e/1"}`)
	h.join("r", "e", 3, false)
	lost.expect()
	if cmd := h.posts.last; cmd.Op != wire.OpRoomLeave {
		t.Errorf("it must leave again, not %v", cmd.Op)
	}
	h.deliver("r", "e", said("x", 4, "1"))
	lost.expect()
	h.deliver("r", "e", effect.Output{Kind: effect.Leave}, effect.Output{Kind: effect.Reply, Req: h.posts.last.From.Req})
	if again, _ := lost.connected(); again == sid {
		t.Error("a client that has lost something was told that it has not")
	}

	// Whoever shows nothing good begins anew at once.
	for name, auth := range map[string]string{
		"no offset": `{"name":"Ada","pid":"` + pid + `"}`, "no pid": `{"name":"Ada","offset":"r/e/3"}`,
		"forged":       `{"name":"Ada","pid":"` + pid[:len(pid)-2] + `AA","offset":"r/e/3"}`,
		"nonsense":     `{"name":"A","pid":"*","offset":""}`,
		"another user": `{"token":"r","pid":"` + pid + `","offset":"r/e/3"}`,
		"bad offset":   `{"name":"Ada","pid":"` + pid + `","offset":"r/e"}`,
		"many rooms":   `{"name":"Ada","pid":"` + pid + `","offset":"` + strings.Repeat("r/e/1|", 11) + `r/e/1"}`,
	} {
		if again, _ := come(auth).connected(); again == sid {
			t.Errorf("%s: the state of another connection was given away", name)
		}
	}
	if again, _ := come(`{"name":"Ada","pid":"` + pid + `","offset":""}`).connected(); again != sid {
		t.Error("a client without rooms did not come back")
	}
}

func TestSocketIOMessagePack(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, "3")
	pack := func(packet *sio.Packet) {
		b, err := sio.AppendMsgpack(nil, packet)
		if err != nil {
			t.Fatal(err)
		}
		p.c.Write(ws.AppendMasked(nil, ws.OpBinary, true, false, b, 7))
		h.net.Run()
	}
	d := sio.Decoder{Limits: sio.DefaultLimits}
	hears := func(want ...string) {
		t.Helper()
		got := p.hears()
		if len(got) != len(want) {
			t.Fatalf("%d messages: %q", len(got), got)
		}
		for i := range got {
			packet, err := d.Msgpack([]byte(got[i]))
			if text := string(sio.Append(nil, &packet)); err != nil || !strings.HasPrefix(text, want[i]) {
				t.Errorf("got %s, %v, want %s", text, err, want[i])
			}
		}
	}
	pack(&sio.Packet{Type: sio.Connect, Namespace: sio.Main, ID: sio.NoID, Data: []byte(`{"name":"Ada"}`)})
	hears(`0{"sid":"`)
	pack(&sio.Packet{Type: sio.Event, Namespace: sio.Main, ID: 0, Data: []byte(`["room:join",{"room":"r"}]`)})
	h.join("r", "e", 4, false)
	hears(`30[{"ok":true,"data":{"room":"r"`, `2["session:offset","r/e/4"]`)
	h.deliver("r", "e", said("x", 5, `{"a":[1.5,null]}`), said("y", 6, "1"))
	hears(`2["x",{"a":[1.5,null]},{"room":"r","seq":5,"ts":5},"r/e/5"]`, `2["y",1,{"room":"r","seq":6,"ts":5},"r/e/6"]`)
	pack(&sio.Packet{Type: sio.Event, Namespace: sio.Main, ID: 1, Data: []byte(`["no:op"]`)})
	hears(`31[{"ok":false,"error":{"code":"unknown_op"`)
	if n := h.Stats().Members["socket.io+msgpack"]; n != 1 {
		t.Errorf("%d members are counted", n)
	}
	p.say(`42["room:leave"]`) // text, from somebody who speaks MessagePack
	p.expect("closed")
}

// Members of a room share the frame, whatever their number.
func TestSocketIOSharesFrames(t *testing.T) {
	h := sioHall(t)
	const members = 50
	peers := make([]*sioPeer, members)
	for i := range peers {
		peers[i] = connectSocket(t, h, `40{"name":"Ada"}`)
		peers[i].say(`42["room:join","r"]`)
		h.join("r", "e", 0, false)
		peers[i].hears()
	}
	live := frame.Live()
	var most int64
	h.Deliver(0, []rooms.Delivery{{Room: "r", Epoch: "e", Output: said("x", 1, "1")}}, func() {})
	most = frame.Live() - live
	h.net.Run()
	for _, p := range peers {
		p.expect(`42["x",1,{"room":"r","seq":1,"ts":5},"r/e/1"]`)
	}
	if most != 1 {
		t.Errorf("%d frames were made for %d members", most, members)
	}
}

// A connection that moves to another loop brings the header of its proxy along.
func TestDoorSaysItAgain(t *testing.T) {
	for _, client := range []string{"192.0.2.7", "2001:db8::1"} {
		d := &door{client: netip.MustParseAddr(client), port: 4711}
		b := d.header()
		h, n, err := forwarded.ParseHeader(append(b, "GET"...))
		if err != nil || n != len(b) || h.Source != netip.AddrPortFrom(d.client, d.port) {
			t.Errorf("%q: %+v, %d, %v", b, h, n, err)
		}
	}
}

// What is no request is not free either: who asks again and again who it is, or for namespaces that there are not, is
// answered as often as its quota allows, and then sent away.
func TestSocketIOPacketsAreCharged(t *testing.T) {
	for _, packet := range []string{"40", "40/x,", "431[]"} {
		h := sioHall(t)
		p := connectSocket(t, h, `40{"name":"Ada"}`)
		p.connected()
		h.cfg.MessagesPer = quota.Limit{Count: 1, Per: time.Hour, Burst: 10}
		for range 30 {
			p.say(packet)
		}
		got := p.hears()
		if n := len(got); n > 12 || n == 0 || got[n-1] != "closed" {
			t.Errorf("%s, 30 times, brings %d messages: %q", packet, n, got)
		}
	}
}

// A refused attempt to sign in that is repeated all the same ends the connection.
func TestSocketIOAttemptsEnd(t *testing.T) {
	h := sioHall(t)
	h.cfg.MessagesPer = quota.Limit{Count: 1, Per: time.Hour, Burst: 10}
	p := connectSocket(t, h, `40{"token":5}`)
	for range 10 {
		p.say(`40{"token":5}`)
	}
	if got := p.hears(); len(got) == 0 || got[len(got)-1] != "closed" {
		t.Errorf("eleven attempts: %q", got)
	}
}

// While a connection changes its variant, shards don't miss that somebody wants events apart: the dialects would have
// nothing to write.
func TestEventsAreApartWhileVariantsChange(t *testing.T) {
	h := sioHall(t)
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	p.connected()
	p.say(`42["room:join","r"]`)
	h.join("r", "e", 0, false)
	var m *member
	h.net.Loops()[0].Each(func(c *netpoll.Conn) { m = c.State.(*member) })
	d := m.dialect.(*socketIO)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				d.phase = sioRecovering + sioConnected - d.phase // its events are its own, and shared again
				d.chooseVariant()
			}
		}
	}()
	for i := range 50_000 {
		g := &delivery{gw: h.Gateway}
		if g.encode(); !g.apart {
			t.Errorf("delivery %d has no events for a connection of Socket.IO", i)
			break
		}
	}
	close(stop)
	<-stopped
}

// A large message costs as much by long-polling as by WebSocket.
func TestLargeMessagesByPollingAreCharged(t *testing.T) {
	s := open(t, func(c *Config) { c.MessagesPer = quota.Limit{Count: 1, Per: time.Hour, Burst: 12} })
	target := "/socket.io/?EIO=4&transport=polling"
	ask := func(method, body string) string {
		answer := httptest.NewRecorder()
		s.Engine().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
		return answer.Body.String()
	}
	sid, _, _ := strings.Cut(strings.TrimPrefix(ask("GET", ""), `0{"sid":"`), `"`)
	target += "&sid=" + sid
	ask("POST", `40{"name":"Ada"}`)
	if got := ask("GET", ""); !strings.HasPrefix(got, "40{") {
		t.Fatal(got)
	}
	ask("POST", `421["no:op","`+strings.Repeat("x", 7*chargedBytes)+`"]`)
	got := ask("GET", "")
	if !strings.Contains(got, `431[{"ok":false,"error":{"code":"rate_limited"`) {
		t.Errorf("a message that is larger than what is left of the quota: %s", got)
	}
}
