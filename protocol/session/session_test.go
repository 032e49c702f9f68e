package session

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"unsafe"

	"lectern/protocol/http1"
	"lectern/protocol/ws"
)

func handshake(path string, more ...string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + strings.Join(more, "") + "\r\n")
}

const offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

// sink writes down the calls.
type sink struct {
	calls   []string
	verdict Verdict
	onMsg   func(payload []byte)
}

func (s *sink) note(format string, args ...any) {
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *sink) Head(req *http1.Request) Verdict { s.note("head %s", req.Path); return s.verdict }
func (s *sink) Opened()                         { s.note("opened") }
func (s *sink) Pong()                           { s.note("pong") }

func (s *sink) Message(isBinary bool, payload []byte) {
	s.note("message %v %q", isBinary, payload)
	if s.onMsg != nil {
		s.onMsg(payload)
	}
}

func (s *sink) PeerClosed(code uint16, reason string) { s.note("closed %d %q", code, reason) }

func (s *sink) String() string { return strings.Join(s.calls, "; ") }

func accepting() *sink { return &sink{verdict: Verdict{Action: Upgrade, AllowDeflate: true}} }

// feed gives stream to a Machine, cut as cut says, poisoning each piece afterwards, until a Result other than
// Continue.
func feed(m *Machine, stream []byte, s Sink, cut func(int) int) ([]byte, Result) {
	var out []byte
	for len(stream) > 0 {
		n := cut(len(stream))
		piece := bytes.Clone(stream[:n])
		stream = stream[n:]
		var res Result
		out, res = m.Feed(piece, s, out)
		if res.Action != Continue {
			res.Raw = bytes.Clone(res.Raw)
			return out, res
		}
		for i := range piece {
			piece[i] = 0xaa
		}
	}
	return out, Result{}
}

func all(left int) int { return left }
func one(int) int      { return 1 }

func text(s string) []byte { return ws.AppendMaskedText(nil, []byte(s), 0x01020304) }

func control(op ws.OpCode, s string) []byte {
	return ws.AppendMasked(nil, op, true, false, []byte(s), 0x01020304)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// afterHead cuts the 101 off.
func afterHead(t *testing.T, out []byte) []byte {
	t.Helper()
	head, rest, ok := bytes.Cut(out, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("no 101 in %q", out)
	}
	return rest
}

func TestSessionLife(t *testing.T) {
	stream := join(handshake("/ws"), text("one"), control(ws.OpPing, "p"), control(ws.OpPong, ""), text("two"),
		control(ws.OpClose, "\x03\xe9bye"), text("never read"))
	for name, cut := range map[string]func(int) int{"all": all, "one": one} {
		s := accepting()
		m := New(&Config{})
		out, res := feed(m, stream, s, cut)
		want := `head /ws; opened; message false "one"; pong; message false "two"; closed 1001 "bye"`
		if s.String() != want {
			t.Errorf("%s: calls %s", name, s)
		}
		if res.Action != Close || res.CloseCode != 1001 || res.Err != nil || m.State() != Closed || m.Deflate() {
			t.Errorf("%s: %+v in state %v", name, res, m.State())
		}
		if got := afterHead(t, out); !bytes.Equal(got, join(ws.AppendPong(nil, []byte("p")), ws.AppendClose(nil, 1001, ""))) {
			t.Errorf("%s: wrote %q", name, got)
		}
		if m.BufferedBytes() != 0 {
			t.Errorf("%s: %d bytes kept", name, m.BufferedBytes())
		}
		if _, res := m.Feed([]byte("more"), s, nil); res.Action != Close {
			t.Errorf("%s: a closed machine says %v", name, res.Action)
		}
	}
}

func TestHandOff(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
		"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
	} {
		for _, cut := range []func(int) int{all, one} {
			s := accepting()
			m := New(&Config{})
			out, res := feed(m, []byte(in), s, cut)
			if res.Action != HandOff || len(out) != 0 || !strings.HasPrefix(in, string(res.Raw)) || len(s.calls) != 0 ||
				m.State() != HandedOff {
				t.Errorf("%q: %+v, wrote %q", in, res, out)
			}
			if !strings.Contains(string(res.Raw), "\r\n\r\n") {
				t.Errorf("%q: the head is not whole: %q", in, res.Raw)
			}
		}
	}
	s := &sink{verdict: Verdict{Action: HandOff}}
	in := handshake("/socket.io/")
	if out, res := feed(New(&Config{}), in, s, one); res.Action != HandOff || !bytes.Equal(res.Raw, in) || len(out) != 0 {
		t.Errorf("a handshake for others: %+v", res)
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		in      []byte
		verdict Verdict
		want    string
		isErr   bool
	}{
		"sink":      {handshake("/x"), Verdict{Action: Reject, Status: 404, Body: []byte("no")}, "HTTP/1.1 404 ", false},
		"nonsense":  {handshake("/x"), Verdict{}, "HTTP/1.1 500 ", false},
		"tls":       {[]byte("\x16\x03\x01"), Verdict{}, "HTTP/1.1 400 ", true},
		"version":   {bytes.Replace(handshake("/x"), []byte("13"), []byte("12"), 1), Verdict{}, "HTTP/1.1 426 ", true},
		"extension": {handshake("/x", "Sec-WebSocket-Extensions: ;\r\n"), Verdict{}, "HTTP/1.1 400 ", true},
		"too long":  {handshake("/" + strings.Repeat("x", 10_000)), Verdict{}, "HTTP/1.1 431 ", true},
	}
	for name, c := range cases {
		for _, cut := range []func(int) int{all, one} {
			m := New(&Config{})
			out, res := feed(m, c.in, &sink{verdict: c.verdict}, cut)
			if res.Action != Close || !bytes.HasPrefix(out, []byte(c.want)) || (res.Err != nil) != c.isErr ||
				m.State() != Closed {
				t.Errorf("%s: %+v, wrote %q", name, res, out)
			}
		}
	}
}

func TestDeflateIsNegotiated(t *testing.T) {
	zipped := ws.AppendMasked(nil, ws.OpText, true, true, ws.AppendDeflated(nil, []byte("hello")), 7)
	s := accepting()
	m := New(&Config{})
	out, _ := feed(m, join(handshake("/ws", offer), zipped), s, one)
	if !m.Deflate() || !strings.Contains(string(out), "client_no_context_takeover") ||
		!strings.Contains(s.String(), `"hello"`) {
		t.Errorf("deflate %v, calls %s, wrote %q", m.Deflate(), s, out)
	}
	s = &sink{verdict: Verdict{Action: Upgrade}}
	m = New(&Config{})
	out, res := feed(m, join(handshake("/ws", offer), zipped), s, all)
	if m.Deflate() || strings.Contains(string(out), "permessage") || res.CloseCode != 1002 {
		t.Errorf("deflate %v, %+v, wrote %q", m.Deflate(), res, out)
	}
}

func TestBreachClosesWithItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		code uint16
	}{
		"unmasked":   {ws.AppendText(nil, []byte("x")), 1002},
		"utf8":       {text("\xff"), 1007},
		"too big":    {text(strings.Repeat("x", 140_000)), 1009},
		"close code": {control(ws.OpClose, "\x03\xed"), 1002},
		"close byte": {control(ws.OpClose, "\x03"), 1002},
		"close utf8": {control(ws.OpClose, "\x03\xe8\xff"), 1007},
	} {
		s := accepting()
		out, res := feed(New(&Config{}), join(handshake("/ws"), c.in), s, one)
		if res.Action != Close || res.CloseCode != c.code || res.Err == nil {
			t.Errorf("%s: %+v", name, res)
		}
		frame := afterHead(t, out)
		if len(frame) < 4 || frame[0] != 0x88 || uint16(frame[2])<<8|uint16(frame[3]) != c.code {
			t.Errorf("%s: wrote %x", name, frame)
		}
		if strings.Contains(s.String(), "closed") {
			t.Errorf("%s: the sink was told of a close that was none", name)
		}
	}
}

func TestOurClose(t *testing.T) {
	s := accepting()
	m := New(&Config{})
	if got := m.Close(nil, 4000, "x"); got != nil || m.State() != AwaitHead {
		t.Fatal("closed before it was open")
	}
	feed(m, handshake("/ws"), s, all)
	frame := m.Close(nil, 4000, "drain")
	if m.State() != Closing || !bytes.Equal(frame, ws.AppendClose(nil, 4000, "drain")) {
		t.Fatalf("state %v, wrote %x", m.State(), frame)
	}
	if again := m.Close(nil, 4000, "drain"); again != nil {
		t.Fatal("a second close frame")
	}
	out, res := feed(m, join(text("late"), control(ws.OpPing, "late"), control(ws.OpClose, "\x0f\xa0")), s, one)
	if res.Action != Close || res.CloseCode != 4000 || len(out) != 0 || s.String() != `head /ws; opened; closed 4000 ""` {
		t.Errorf("%+v, wrote %x, calls %s", res, out, s)
	}
}

func TestCloseWithinMessage(t *testing.T) {
	m := New(&Config{})
	s := accepting()
	var wrote []byte
	s.onMsg = func([]byte) { wrote = m.Close(nil, 4200, "") }
	_, res := feed(m, join(handshake("/ws"), text("bad"), text("not dispatched")), s, all)
	if res.Action != Continue || m.State() != Closing || len(wrote) == 0 || strings.Contains(s.String(), "not") {
		t.Errorf("%+v, calls %s", res, s)
	}
	m = New(&Config{})
	s.onMsg = func([]byte) { m.Abort() }
	if _, res = feed(m, join(handshake("/ws"), text("a"), text("b")), s, all); res.Action != Close || m.State() != Closed {
		t.Errorf("after Abort: %+v", res)
	}
}

// flusher takes what must be written before the sink's own writes.
type flusher struct {
	sink
	wire []byte
}

func (f *flusher) Flush(out []byte) []byte { f.wire = append(f.wire, out...); return out[:0] }
func (f *flusher) Message(_ bool, p []byte) {
	f.wire = ws.AppendText(f.wire, p)
}

func TestFlushKeepsTheOrder(t *testing.T) {
	f := &flusher{}
	f.verdict = Verdict{Action: Upgrade}
	stream := join(handshake("/ws"), control(ws.OpPing, "1"), text("2"), control(ws.OpPing, "3"))
	out, _ := feed(New(&Config{}), stream, f, all)
	got := afterHead(t, append(f.wire, out...))
	want := join(ws.AppendPong(nil, []byte("1")), ws.AppendText(nil, []byte("2")), ws.AppendPong(nil, []byte("3")))
	if !bytes.Equal(got, want) {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func TestMachineIsSmall(t *testing.T) {
	const bytesMax = 72
	if n := unsafe.Sizeof(Machine{}); n > bytesMax {
		t.Errorf("a Machine is %d bytes, allowed are %d", n, bytesMax)
	}
	m := New(&Config{})
	s := accepting()
	feed(m, handshake("/ws"), s, one)
	feed(m, text(strings.Repeat("x", 5000)), s, one)
	if !m.Idle() || m.BufferedBytes() != 0 {
		t.Errorf("%d bytes kept between messages", m.BufferedBytes())
	}
}

func random(seed int64) func(int) int {
	rng := rand.New(rand.NewSource(seed))
	return func(left int) int { return 1 + rng.Intn(min(left, 1+rng.Intn(60))) }
}

func FuzzSession(f *testing.F) {
	f.Add(join(handshake("/ws", offer), text("a"), control(ws.OpPing, "p"), control(ws.OpClose, "")), int64(1))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"), int64(2))
	f.Add([]byte("\x16\x03"), int64(3))
	f.Fuzz(func(t *testing.T, stream []byte, seed int64) {
		cfg := &Config{Head: http1.Limits{HeadBytesMax: 1024}, WS: ws.Config{MessageBytesMax: 1024}}
		a, b := accepting(), accepting()
		outA, resA := feed(New(cfg), stream, a, all)
		outB, resB := feed(New(cfg), stream, b, random(seed))
		if a.String() != b.String() || !bytes.Equal(outA, outB) || resA.Action != resB.Action ||
			resA.CloseCode != resB.CloseCode {
			t.Fatalf("whole: %s %+v %q\ncut: %s %+v %q", a, resA, outA, b, resB, outB)
		}
		if resA.Action == HandOff && (!bytes.Equal(resA.Raw, stream) || !bytes.HasPrefix(stream, resB.Raw)) {
			t.Fatalf("handed off %q and %q of %q", resA.Raw, resB.Raw, stream)
		}
	})
}

type quiet struct{ n int }

func (*quiet) Head(*http1.Request) Verdict { return Verdict{Action: Upgrade} }
func (*quiet) Opened()                     {}
func (q *quiet) Message(bool, []byte)      { q.n++ }
func (*quiet) Pong()                       {}
func (*quiet) PeerClosed(uint16, string)   {}

func BenchmarkFeed(b *testing.B) {
	b.ReportAllocs()
	m, s := New(&Config{}), &quiet{}
	m.Feed(handshake("/ws"), s, nil)
	frame := text(strings.Repeat("x", 128))
	buf := make([]byte, len(frame))
	for b.Loop() {
		copy(buf, frame)
		if _, res := m.Feed(buf, s, nil); res.Action != Continue {
			b.Fatal(res)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	cfg, s, in := &Config{}, &quiet{}, handshake("/ws", offer)
	var out []byte
	for b.Loop() {
		m := New(cfg)
		out, _ = m.Feed(in, s, out[:0])
	}
}

// guarded is a sink that has had enough after some pings and compressed messages.
type guarded struct {
	*sink
	m               *Machine
	pings, inflates int // still allowed
}

func (g *guarded) allow(left *int, what string) bool {
	if *left--; *left >= 0 {
		return true
	}
	g.note("no more %s", what)
	g.m.Abort()
	return false
}

func (g *guarded) Ping() bool       { return g.allow(&g.pings, "pings") }
func (g *guarded) Inflate(int) bool { return g.allow(&g.inflates, "inflating") }

// A Guard stops what a peer can make the Machine do without end, and nothing behind it is read.
func TestGuardStopsFloods(t *testing.T) {
	zipped := ws.AppendMasked(nil, ws.OpText, true, true, ws.AppendDeflated(nil, []byte("z")), 7)
	for name, c := range map[string]struct {
		stream []byte
		calls  string
		pongs  int
	}{
		"pings": {
			join(control(ws.OpPing, ""), control(ws.OpPing, ""), control(ws.OpPing, ""), text("never read")),
			"head /ws; opened; no more pings", 2,
		},
		"compressed messages": {
			join(zipped, zipped, zipped, text("never read")),
			`head /ws; opened; message false "z"; message false "z"; no more inflating`, 0,
		},
	} {
		for cutting, cut := range map[string]func(int) int{"all": all, "one": one} {
			g := &guarded{sink: accepting(), m: New(&Config{}), pings: 2, inflates: 2}
			out, res := feed(g.m, join(handshake("/ws", offer), c.stream), g, cut)
			if g.String() != c.calls || res.Action != Close || g.m.State() != Closed || g.m.BufferedBytes() != 0 {
				t.Errorf("%s, %s: %s, %+v", name, cutting, g, res)
			}
			if n := bytes.Count(afterHead(t, out), ws.AppendPong(nil, nil)); n != c.pongs {
				t.Errorf("%s, %s: %d pongs", name, cutting, n)
			}
		}
	}
}
