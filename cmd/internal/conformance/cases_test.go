package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"lectern/protocol/ws"
)

const patience = 20 * time.Second

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

const plainHandshake = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// peer is a client of our own that says what it likes and writes down what it hears.
type peer struct {
	net.Conn
	t     *testing.T
	head  string // the answer to the handshake
	heard []string
	zip   bool
}

// dial sends a request head and reads the answer's.
func dial(t *testing.T, s *Server, head string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	p := &peer{Conn: nc, t: t}
	if _, err := io.WriteString(nc, head); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	for !strings.HasSuffix(p.head, "\r\n\r\n") {
		if _, err := nc.Read(one); err != nil {
			t.Fatalf("no answer to the handshake: %v after %q", err, p.head)
		}
		p.head += string(one)
	}
	p.zip = strings.Contains(p.head, "permessage-deflate")
	return p
}

// Message implements ws.Handler.
func (p *peer) Message(binary bool, payload []byte) bool {
	kind := "text"
	if binary {
		kind = "binary"
	}
	if len(payload) > 40 {
		p.heard = append(p.heard, fmt.Sprintf("%s of %d", kind, len(payload)))
	} else {
		p.heard = append(p.heard, fmt.Sprintf("%s %q", kind, payload))
	}
	return true
}

// Control implements ws.Handler.
func (p *peer) Control(op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPong:
		p.heard = append(p.heard, fmt.Sprintf("pong %q", payload))
	case ws.OpClose:
		code, _, _ := ws.ParseClose(payload)
		p.heard = append(p.heard, fmt.Sprintf("close %d", code))
		return false
	}
	return true
}

// listen reads to the end of the connection.
func (p *peer) listen() string {
	reader := ws.NewReader(&ws.Config{Client: true, MessageBytesMax: 64 << 20}, p.zip)
	buf := make([]byte, 64<<10)
	for {
		n, err := p.Read(buf)
		if n > 0 {
			if fault := reader.Feed(buf[:n], p); fault != nil {
				p.t.Errorf("the server breaks the protocol: %v", fault)
				break
			}
		}
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				p.t.Error("the connection is left open")
			}
			break
		}
	}
	return strings.Join(p.heard, ", ")
}

// Frames as a client sends them. A message's first frame has op text or binary, later ones 0.
func frame(op ws.OpCode, fin bool, payload string) []byte {
	return ws.AppendMasked(nil, op, fin, false, []byte(payload), rand.Uint32())
}

func text(s string) []byte { return frame(ws.OpText, true, s) }
func ping(s string) []byte { return frame(ws.OpPing, true, s) }
func bye(code int) []byte {
	return frame(ws.OpClose, true, string([]byte{byte(code >> 8), byte(code)}))
}
func rest(s string) []byte  { return frame(ws.OpContinuation, true, s) }
func part(s string) []byte  { return frame(ws.OpContinuation, false, s) }
func begin(s string) []byte { return frame(ws.OpText, false, s) }

// raw changes the first byte of a frame, for reserved bits and opcodes.
func raw(first byte, payload string) []byte {
	b := text(payload)
	b[0] = first
	return b
}

// unmasked is a text frame as only a server may send it.
func unmasked(s string) []byte { return ws.AppendText(nil, []byte(s)) }

// longForm is a text frame whose length takes more bytes than it needs.
func longForm(bytes int) []byte {
	b := make([]byte, 2+bytes+4)
	b[0], b[1], b[1+bytes] = 0x81, 0x80|byte(125+(bytes+4)/6), 1
	return append(b, 'x')
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// protocolCases are RFC 6455's rules, one by one: what is sent and all that is heard, to the end of the connection.
// A case that ends with our close frame is one where the server must not close by itself.
var protocolCases = []struct {
	name string
	send []byte
	want string
}{
	// Framing (section 5.2).
	{"empty text", join(text(""), bye(1000)), `text "", close 1000`},
	{"empty binary", join(frame(ws.OpBinary, true, ""), bye(1000)), `binary "", close 1000`},
	{"125", join(text(strings.Repeat("a", 125)), bye(1000)), "text of 125, close 1000"},
	{"126", join(text(strings.Repeat("a", 126)), bye(1000)), "text of 126, close 1000"},
	{"127", join(text(strings.Repeat("a", 127)), bye(1000)), "text of 127, close 1000"},
	{"65535", join(text(strings.Repeat("a", 65535)), bye(1000)), "text of 65535, close 1000"},
	{"65536", join(frame(ws.OpBinary, true, strings.Repeat("\xff", 65536)), bye(1000)), "binary of 65536, close 1000"},
	{"unmasked", unmasked("x"), "close 1002"},
	{"16-bit length below 126", longForm(2), "close 1002"},
	{"64-bit length below 65536", longForm(8), "close 1002"},
	{"length with the top bit", []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, "close 1002"},
	{"16 MiB and one are announced", []byte{0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 1, 2, 3, 4}, "close 1009"},

	// Pings and pongs (sections 5.5.2 and 5.5.3).
	{"ping", join(ping(""), ping("hello"), ping("\xff"), bye(1000)), `pong "", pong "hello", pong "\xff", close 1000`},
	{"ping of 125", join(ping(strings.Repeat("p", 125)), bye(1000)), fmt.Sprintf("pong %q, close 1000",
		strings.Repeat("p", 125))},
	{"ping of 126", ping(strings.Repeat("p", 126)), "close 1002"},
	{"pong unasked", join(frame(ws.OpPong, true, "x"), ping("y"), bye(1000)), `pong "y", close 1000`},
	{"ping in fragments", frame(ws.OpPing, false, "x"), "close 1002"},
	{"pong in fragments", frame(ws.OpPong, false, "x"), "close 1002"},
	{"ping after close", join(bye(1000), ping("x")), "close 1000"},

	// Reserved bits and opcodes (section 5.2).
	{"rsv1", raw(0xc1, "x"), "close 1002"},
	{"rsv2", raw(0xa1, "x"), "close 1002"},
	{"rsv3 after a message", join(text("a"), raw(0x91, "x")), `text "a", close 1002`},
	{"all of them on a ping", raw(0xf9, "x"), "close 1002"},
	{"rsv1 on a close", raw(0xc8, "\x03\xe8"), "close 1002"},
	{"opcode 3", raw(0x83, "x"), "close 1002"},
	{"opcode 7", raw(0x87, "x"), "close 1002"},
	{"opcode 11", raw(0x8b, "x"), "close 1002"},
	{"opcode 15", raw(0x8f, ""), "close 1002"},

	// Fragments (section 5.4).
	{"two", join(begin("a"), rest("b"), bye(1000)), `text "ab", close 1000`},
	{
		"binary in three", join(frame(ws.OpBinary, false, "\xff"), part("\xfe"), rest("\xfd"), bye(1000)),
		`binary "\xff\xfe\xfd", close 1000`,
	},
	{"empty ones", join(begin(""), part(""), rest(""), bye(1000)), `text "", close 1000`},
	{
		"a ping between", join(begin("a"), ping("p"), part("b"), ping("q"), rest("c"), bye(1000)),
		`pong "p", pong "q", text "abc", close 1000`,
	},
	{"a close between", join(begin("a"), bye(1000), rest("b")), "close 1000"},
	{"a message between", join(begin("a"), text("b")), "close 1002"},
	{"the rest of nothing", rest("a"), "close 1002"},
	{"the rest twice", join(begin("a"), rest("b"), rest("c")), `text "ab", close 1002`},
	{"part of nothing", join(text("a"), part("b")), `text "a", close 1002`},

	// UTF-8 (section 8.1): refused at the first byte that can't go on, within a frame or a fragment.
	{"all lengths", join(text("a§€😀\u0000\U0010ffff"), bye(1000)), fmt.Sprintf("text %q, close 1000",
		"a§€😀\u0000\U0010ffff")},
	{"a rune in two fragments", join(begin("\xe2\x82"), rest("\xac"), bye(1000)), `text "€", close 1000`},
	{
		"a rune in three, a ping between", join(begin("\xf0"), part("\x9f\x98"), ping(""), rest("\x80"), bye(1000)),
		`pong "", text "😀", close 1000`,
	},
	{"an end within a rune", join(begin("a"), rest("\xe2\x82")), "close 1007"},
	{"a byte too many", text("\x80"), "close 1007"},
	{"overlong", text("\xc0\xaf"), "close 1007"},
	{"overlong in three", text("\xe0\x9f\xbf"), "close 1007"},
	{"a surrogate", text("\xed\xa0\x80"), "close 1007"},
	{"beyond the last", text("\xf4\x90\x80\x80"), "close 1007"},
	{"never used", text("a\xff"), "close 1007"},
	{"valid in binary", join(frame(ws.OpBinary, true, "\xff\xc0"), bye(1000)), `binary "\xff\xc0", close 1000`},
	{"fails fast in an unfinished fragment", join(begin("ab"), part("\xed\xa0")), "close 1007"},
	{"fails fast in an unfinished frame", text("\xf4\x90" + strings.Repeat("x", 100))[:6+2], "close 1007"},
	{
		"fails fast in an unfinished long frame", join(begin("a"), rest("\xff" + strings.Repeat("x", 70_000))[:14+1]),
		"close 1007",
	},

	// Closing (sections 5.5.1, 7.1 and 7.4).
	{"no code", frame(ws.OpClose, true, ""), "close 1005"},
	{"one byte", frame(ws.OpClose, true, "\x03"), "close 1002"},
	{"a reason", frame(ws.OpClose, true, "\x03\xe9going away"), "close 1001"},
	{"the longest reason", frame(ws.OpClose, true, "\x03\xe8"+strings.Repeat("r", 123)), "close 1000"},
	{"too long a reason", frame(ws.OpClose, true, "\x03\xe8"+strings.Repeat("r", 124)), "close 1002"},
	{"a reason that is not UTF-8", frame(ws.OpClose, true, "\x03\xe8\xff"), "close 1007"},
	{"messages after it", join(bye(1000), text("x"), bye(1001)), "close 1000"},
	{"a close in fragments", frame(ws.OpClose, false, "\x03\xe8"), "close 1002"},
}

func TestProtocolCases(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range protocolCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, cut := range cuts {
				p := dial(t, s, plainHandshake+"\r\n")
				p.say(bytes.Clone(c.send), cut)
				if got := p.listen(); got != c.want {
					t.Errorf("%s: heard %s, want %s", name, got, c.want)
				}
			}
		})
	}
	for code := range 5100 {
		good := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if code > 1020 && code%97 != 0 && (code < 2995 || code > 3005) && code < 4995 {
			continue
		}
		want := "close 1002"
		if good {
			want = fmt.Sprintf("close %d", code)
		}
		p := dial(t, s, plainHandshake+"\r\n")
		p.say(bye(code), cuts["whole"])
		if got := p.listen(); got != want {
			t.Errorf("close code %d: heard %s, want %s", code, got, want)
		}
	}
}

// cuts are ways to divide what is sent into writes.
var cuts = map[string]func(left int) int{
	"whole":   func(left int) int { return left },
	"at will": func(left int) int { return 1 + rand.IntN(min(left, 1+rand.IntN(40_000))) },
	"bytes":   func(left int) int { return min(left, 1+left/300) },
}

// say writes b in pieces. The server may close before all is written: what it says is what counts.
func (p *peer) say(b []byte, cut func(int) int) {
	for len(b) > 0 {
		n := cut(len(b))
		if _, err := p.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// Every combination of what a client may ask of the compression, with messages that repeat themselves at every
// distance, in one frame and in fragments; the client decompresses with the standard library.
func TestCompressionCases(t *testing.T) {
	t.Parallel()
	s := start(t)
	offers := map[string]string{ // offer → the window that the answer must name
		"permessage-deflate; server_max_window_bits=77, permessage-deflate; server_max_window_bits=9": "9",
	}
	for _, server := range []string{"", "; server_no_context_takeover"} {
		for _, client := range []string{
			"", "; client_no_context_takeover", "; client_max_window_bits", "; client_max_window_bits=9",
		} {
			for _, bits := range []string{"", "8", "9", "12", "15"} {
				offer := "permessage-deflate" + server + client
				if bits != "" {
					offer += "; server_max_window_bits=" + bits
				}
				offers[offer] = bits
			}
		}
	}
	messages := []string{"", "a", strings.Repeat("ab", 10_000), words(1000), words(70_000)}
	for offer, bits := range offers {
		t.Run(offer, func(t *testing.T) {
			p := dial(t, s, plainHandshake+"Sec-WebSocket-Extensions: "+offer+"\r\n\r\n")
			_, named, _ := strings.Cut(p.head, "server_max_window_bits=")
			if named, _, _ = strings.Cut(named, "\r\n"); !p.zip || named != bits {
				t.Fatalf("the answer is %q", p.head)
			}
			want := ""
			go func() {
				for i, m := range messages {
					packed := ws.AppendDeflated(nil, []byte(m))
					half := len(packed) / 2
					p.say(join(ws.AppendMasked(nil, ws.OpText, i%2 == 0, true, packed[:len(packed)-half*(i%2)], 99)), cuts["whole"])
					if i%2 == 1 {
						p.say(rest(string(packed[len(packed)-half:])), cuts["at will"])
					}
				}
				p.say(bye(1000), cuts["whole"])
			}()
			for _, m := range messages {
				if len(m) > 40 {
					want += fmt.Sprintf("text of %d, ", len(m))
				} else {
					want += fmt.Sprintf("text %q, ", m)
				}
			}
			if got := p.listen(); got != want+"close 1000" {
				t.Errorf("heard %s, want %s", got, want)
			}
		})
	}
	bad := func(name string, send []byte, want string) {
		p := dial(t, s, plainHandshake+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
		p.say(send, cuts["at will"])
		if got := p.listen(); got != want {
			t.Errorf("%s: heard %s, want %s", name, got, want)
		}
	}
	zipped := func(payload []byte) []byte { return ws.AppendMasked(nil, ws.OpText, true, true, payload, 5) }
	bad("not DEFLATE", zipped([]byte("\x07\xff\xff")), "close 1007")
	bad("not UTF-8", zipped(ws.AppendDeflated(nil, []byte("\xff\xff"))), "close 1007")
	bad("rsv1 on the rest", join(ws.AppendMasked(nil, ws.OpText, false, true, []byte{0}, 5), raw(0xc0, "")), "close 1002")
	bad("rsv1 on a ping", raw(0xc9, ""), "close 1002")
	bad("a bomb", zipped(ws.AppendDeflated(nil, make([]byte, 2*MessageBytesMax))), "close 1009")
	bad("plain is fine too", join(text("a"), bye(1000)), `text "a", close 1000`)
}

// words is text of n bytes that repeats itself at many distances.
func words(n int) string {
	r := rand.New(rand.NewChaCha8([32]byte{3}))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%d ", r.IntN(1+r.IntN(5000)))
	}
	return b.String()[:n]
}

// The largest message and many small ones come back whole, whoever is slower.
func TestLimitsCases(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := dial(t, s, plainHandshake+"\r\n")
	const small = 5000
	go func() {
		p.say(frame(ws.OpBinary, true, strings.Repeat("x", MessageBytesMax)), cuts["whole"])
		p.say(frame(ws.OpBinary, false, strings.Repeat("y", MessageBytesMax/2)), cuts["whole"])
		p.say(rest(strings.Repeat("z", MessageBytesMax/2)), cuts["whole"])
		for range small {
			p.say(text("0123456789"), cuts["whole"])
		}
		p.say(join(frame(ws.OpBinary, false, strings.Repeat("y", MessageBytesMax)), rest("1")), cuts["whole"])
	}()
	big := fmt.Sprintf("binary of %d, ", MessageBytesMax)
	if got := p.listen(); got != big+big+strings.Repeat(`text "0123456789", `, small)+"close 1009" {
		t.Errorf("heard %d bytes that end in %s", len(got), got[max(0, len(got)-100):])
	}
}
