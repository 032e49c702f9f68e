package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/protocol/http1"
	"lectern/protocol/native"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// plainTalk is a dialect for tests: lines of text, whose first word is an op, with an own part per connection.
type plainTalk struct {
	own  string
	next uint64
	log  *[]string
}

func (t *plainTalk) note(format string, args ...any) {
	*t.log = append(*t.log, fmt.Sprintf(format, args...))
}
func (t *plainTalk) variant(bool) variant { return variantCount - 1 }
func (t *plainTalk) opened(m *member) {
	t.note("opened")
	m.conn.SetTimer(netpoll.TimerHeartbeat, time.Second)
	m.conn.SetTimer(netpoll.TimerIdle, 2*time.Second)
}

func (t *plainTalk) message(m *member, _ bool, payload []byte) {
	op, room, ok := strings.Cut(string(payload), " ")
	if !ok {
		m.close(wire.CloseProtocolError, "say an op and a room")
		return
	}
	t.next++
	m.perform(&native.Request{ID: t.next, Op: wire.ParseOp(op), Room: room}, nil)
}

func (t *plainTalk) reply(_ *member, req uint64, data any) { t.note("reply %d %v", req, data) }

func (t *plainTalk) refuse(_ *member, req uint64, err *wire.Error) {
	t.note("refuse %d %s", req, err.Code)
}

func (t *plainTalk) event(_ *member, it *rooms.Delivery)               { t.note("event %s", it.Name) }
func (t *plainTalk) heartbeat(*member)                                 { t.note("heartbeat") }
func (t *plainTalk) idle(*member)                                      { t.note("idle") }
func (t *plainTalk) farewell(_ *member, code wire.CloseCode, _ string) { t.note("farewell %d", code) }
func (t *plainTalk) gone(*member)                                      { t.note("gone") }

func (t *plainTalk) group(m *member, g *group) int {
	f := state(m.conn.Loop()).sharedFrame(g, t.own, func(dst []byte) []byte {
		t.note("encoded")
		for i := range g.list {
			e := &g.list[i]
			dst = ws.AppendText(dst, fmt.Appendf(nil, "%s %s %d %s", t.own, e.name, e.seq, g.data(e)))
		}
		return dst
	})
	return taken(m.conn.Send(g.class, g.key, f), g.events)
}

// speakPlainly serves plainTalk at /plain for one test. own parts come from the query.
func speakPlainly(t *testing.T) (log *[]string) {
	t.Helper()
	log = new([]string)
	endpoints["/plain"] = &endpoint{
		subprotocols: []string{"plain.2", "plain.1"},
		speak: func(_ *member, req *http1.Request, subprotocol string) dialect {
			*log = append(*log, "speaks "+subprotocol)
			return &plainTalk{own: strings.Clone(req.QueryGet("own")), log: log}
		},
	}
	last := variants[variantCount-1]
	variants[variantCount-1] = variantSpec{name: "plain", apart: true}
	t.Cleanup(func() {
		delete(endpoints, "/plain")
		variants[variantCount-1] = last
	})
	return log
}

func expectLog(t *testing.T, log *[]string, want ...string) {
	t.Helper()
	if got, want := strings.Join(*log, "; "), strings.Join(want, "; "); got != want {
		t.Errorf("the dialect saw\n%s\nnot\n%s", got, want)
	}
	*log = nil
}

// All that a connection is told goes through its dialect, and all that it says comes from there.
func TestEverythingGoesThroughTheDialect(t *testing.T) {
	log := speakPlainly(t)
	h := newHall(t)
	c := h.enterAt("/plain?guest=Ada&own=a", "r", "Sec-WebSocket-Protocol: other, plain.1, plain.2\r\n", "room:join r")
	expectLog(t, log, "speaks plain.1", "opened")
	conn := h.posts.last.From.Conn
	one := func(o effect.Output) {
		o.Conn = conn
		h.Deliver(0, []rooms.Delivery{{Room: "r", Output: o}}, func() {})
		h.net.Run()
	}
	one(effect.Output{Kind: effect.Reply, Req: 1, Data: 5})
	one(effect.Output{Kind: effect.Reply, Req: 2, Err: wire.NewError(wire.CodeForbidden, "no")})
	one(effect.Output{Kind: effect.Event, Audience: effect.ToConn, Name: wire.EvQuizRank})
	c.Write(ws.AppendMaskedText(nil, []byte("quiz:answer other"), 7))
	h.net.Run()
	expectLog(t, log, "reply 1 5", "refuse 2 forbidden", "event quiz:rank", "refuse 2 invalid_data")
	h.net.Advance(3 * time.Second)
	expectLog(t, log, "heartbeat", "idle")
	if n := h.Stats().Members["plain"]; n != 1 {
		t.Errorf("%d members speak plainly", n)
	}
	one(effect.Output{Kind: effect.Close, CloseCode: wire.CloseKicked})
	expectLog(t, log, "farewell 4202", "gone")
	if n := h.Stats().Members["plain"]; n != 0 {
		t.Errorf("%d members speak plainly after the end", n)
	}
}

// Members whose own part is the same share a frame; native members are not touched by the others.
func TestDialectsShareWhatTheyCan(t *testing.T) {
	log := speakPlainly(t)
	h := newHall(t)
	before := frame.Live()
	native := h.enter("r", "")
	alone := events("r", 1)
	h.Deliver(0, alone, func() {})
	h.net.Run()
	want := native.Read()
	a1 := h.enterAt("/plain?guest=Ada&own=a", "r", "", "room:join r")
	a2 := h.enterAt("/plain?guest=Ada&own=a", "r", "", "room:join r")
	b := h.enterAt("/plain?guest=Ada&own=b", "r", "", "room:join r")
	*log = nil
	h.Deliver(0, events("r", 2), func() {})
	h.net.Run()
	expectLog(t, log, "encoded", "encoded")
	first, second, third := a1.Read(), a2.Read(), b.Read()
	if !bytes.Equal(first, second) || bytes.Equal(first, third) || bytes.Count(first, []byte("a chat:message ")) != 2 ||
		!bytes.Contains(third, []byte(`b chat:message 2 {"text":"xxx`)) {
		t.Errorf("they got\n%q\n%q\n%q", first, second, third)
	}
	native.Read()
	h.Deliver(0, alone, func() {})
	h.net.Run()
	if got := native.Read(); !bytes.Equal(got, want) {
		t.Errorf("beside other dialects a native member gets\n%q\nnot\n%q", got, want)
	}
	if n := frame.Live(); n != before {
		t.Errorf("%d frames are held after the deliveries", n-before)
	}
}

// A delivery with more different own parts than a loop keeps frames for is told so, and keeps no more.
func TestSharedFramesAreBounded(t *testing.T) {
	ls := &loopState{shared: make(map[sharedKey]*frame.Frame)}
	g := &group{}
	build := func(dst []byte) []byte { return append(dst, 'x') }
	for i := range sharedMax {
		if ls.sharedFrame(g, fmt.Sprint(i), build) == nil {
			t.Fatalf("no frame for the own part number %d", i+1)
		}
	}
	if ls.sharedFrame(g, "one more", build) != nil {
		t.Error("a frame is kept beyond the limit")
	}
	if ls.sharedFrame(g, "7", build) == nil {
		t.Error("a frame that is there is not found")
	}
	before := frame.Live()
	ls.dropShared()
	if n := before - frame.Live(); n != sharedMax {
		t.Errorf("%d frames were released, not %d", n, sharedMax)
	}
}

// An encoding is made only if somebody wants it.
func TestVariantsWithoutMembersAreNotEncoded(t *testing.T) {
	cfg := &Config{DeflateBytesMin: 64}
	make := func(wanted ...variant) *group {
		g, w := &group{}, [variantCount]bool{}
		for _, v := range wanted {
			w[v] = true
		}
		items := events("r", 2)
		g.add(&items[0], false)
		g.add(&items[1], false)
		g.seal(&w, cfg)
		t.Cleanup(g.release)
		return g
	}
	if g := make(); g.frames != [variantCount]*frame.Frame{} || g.list != nil {
		t.Errorf("frames without anybody: %v", g.frames)
	}
	if g := make(variantText); g.frames[variantText] == nil || g.frames[variantZipped] != nil {
		t.Error("with plain members only, the frames are", g.frames)
	}
	if g := make(variantZipped); g.frames[variantText] != nil || g.frames[variantZipped].Len() >= len(g.json()) {
		t.Error("with deflating members only, the frames are", g.frames)
	}
	cfg.DeflateBytesMin = 1 << 20
	if g := make(variantText, variantZipped); g.frames[variantText] != g.frames[variantZipped] {
		t.Error("what is too short to deflate is encoded twice")
	}
	if g := make(variantZipped); g.frames[variantZipped] == nil {
		t.Error("what is too short to deflate is not encoded at all")
	}
}

// A member whose variant nobody had when the group was made gets it all the same.
func TestMemberWithoutAFrameGetsTheGroup(t *testing.T) {
	h := newHall(t)
	c := h.enter("r", "")
	h.Gateway.counters.members[variantText].Add(-1)
	h.Deliver(0, events("r", 2), func() {})
	h.net.Run()
	h.Gateway.counters.members[variantText].Add(1)
	got := c.Read()
	if !bytes.Contains(got, []byte(`[{"ev":"chat:message","room":"r","seq":1,`)) || got[len(got)-1] != ']' {
		t.Errorf("the member got %q", got)
	}
}

// The data of events is found again in the JSON of their group.
func TestEventsOfAGroupKeepTheirData(t *testing.T) {
	g := &group{}
	for i, data := range []any{nil, map[string]int{"a": 1}, "x"} {
		it := rooms.Delivery{Room: "r"}
		it.Name, it.Seq, it.TS, it.Data = "e", uint64(i), int64(i), data
		g.add(&it, true)
	}
	for i, want := range []string{"", `{"a":1}`, `"x"`} {
		if got := g.data(&g.list[i]); string(got) != want {
			t.Errorf("event %d has the data %q, not %q", i, got, want)
		}
	}
}
