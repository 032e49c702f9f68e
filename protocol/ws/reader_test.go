package ws

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// log writes down what a Reader finds.
type log struct {
	events []string
	stop   int // stop after so many events; 0: never
}

func (l *log) Message(isBinary bool, payload []byte) bool {
	l.events = append(l.events, fmt.Sprintf("message %v %q", isBinary, payload))
	return len(l.events) != l.stop
}

func (l *log) Control(op OpCode, payload []byte) bool {
	l.events = append(l.events, fmt.Sprintf("control %d %q", op, payload))
	return len(l.events) != l.stop
}

// run feeds stream, cut as cuts says, and returns what was found and the error. The bytes are poisoned after each
// Feed: nothing borrowed may be needed later.
func run(cfg *Config, deflate bool, stream []byte, cut func(left int) int) ([]string, *Error) {
	r := NewReader(cfg, deflate)
	var l log
	for len(stream) > 0 {
		n := cut(len(stream))
		piece := bytes.Clone(stream[:n])
		stream = stream[n:]
		err := r.Feed(piece, &l)
		for i := range piece {
			piece[i] = 0xaa
		}
		if err != nil {
			r.Release()
			return l.events, err
		}
	}
	r.Release()
	return l.events, nil
}

func all(left int) int { return left }
func one(int) int      { return 1 }

func random(rng *rand.Rand) func(int) int {
	return func(left int) int { return 1 + rng.Intn(min(left, 1+rng.Intn(40))) }
}

func masked(op OpCode, fin bool, payload string) []byte {
	return AppendMasked(nil, op, fin, false, []byte(payload), 0x12345678)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// ruleCase is a stream with what must be found in it.
type ruleCase struct {
	name   string
	stream []byte
	want   []string
	err    *Error
}

func ruleCases() []ruleCase {
	rsv := func(b byte) []byte { f := masked(OpText, true, "x"); f[0] |= b; return f }
	return []ruleCase{
		{"text", masked(OpText, true, "hä"), []string{`message false "hä"`}, nil},
		{"binary", masked(OpBinary, true, "\xff"), []string{`message true "\xff"`}, nil},
		{"empty", masked(OpText, true, ""), []string{`message false ""`}, nil},
		{
			"fragments with a ping between", join(masked(OpText, false, "a\xc3"), masked(OpPing, true, "p"),
				masked(OpContinuation, false, ""), masked(OpContinuation, true, "\xa4b")),
			[]string{`control 9 "p"`, `message false "aäb"`},
			nil,
		},
		{
			"two messages", join(masked(OpText, true, "a"), masked(OpBinary, true, "b")),
			[]string{`message false "a"`, `message true "b"`},
			nil,
		},
		{
			"pong and close", join(masked(OpPong, true, ""), masked(OpClose, true, "\x03\xe8")),
			[]string{`control 10 ""`, `control 8 "\x03\xe8"`},
			nil,
		},
		{"rsv1 without deflate", rsv(0x40), nil, ErrReservedBits},
		{"rsv2", rsv(0x20), nil, ErrReservedBits},
		{"rsv3", rsv(0x10), nil, ErrReservedBits},
		{"reserved data op", masked(3, true, ""), nil, ErrReservedOp},
		{"reserved control op", masked(0xb, true, ""), nil, ErrReservedOp},
		{"unmasked", AppendText(nil, []byte("x")), nil, ErrUnmasked},
		{"fragmented ping", masked(OpPing, false, ""), nil, ErrControlFrag},
		{"long ping", masked(OpPing, true, strings.Repeat("x", 126)), nil, ErrControlSize},
		{"continuation first", masked(OpContinuation, true, "x"), nil, ErrContinuation},
		{"text within text", join(masked(OpText, false, "a"), masked(OpText, true, "b")), nil, ErrInterleaved},
		{"continuation after the end", join(masked(OpText, false, "a"), masked(OpContinuation, true, "b"),
			masked(OpContinuation, true, "c")), []string{`message false "ab"`}, ErrContinuation},
		{"length 125 as 16 bits", append([]byte{0x82, 0xfe, 0, 125}, make([]byte, 129)...), nil, ErrLength},
		{"length 65535 as 64 bits", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, nil, ErrLength},
		{"negative length", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil, ErrLength},
		{"too long by announcement", []byte{0x82, 0xfe, 0x03, 0xe9, 0, 0, 0, 0}, nil, ErrMessageTooBig},
		{"huge by announcement", []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff1234"), nil, ErrMessageTooBig},
		{"too long in fragments", join(masked(OpBinary, false, strings.Repeat("x", 600)),
			masked(OpContinuation, true, strings.Repeat("x", 401))), nil, ErrMessageTooBig},
		{
			"as long as allowed", masked(OpBinary, true, strings.Repeat("x", 1000)),
			[]string{`message true "` + strings.Repeat("x", 1000) + `"`},
			nil,
		},
		{"invalid text", masked(OpText, true, "a\xffb"), nil, ErrUTF8},
		{"surrogate", masked(OpText, true, "\xed\xa0\x80"), nil, ErrUTF8},
		{"text ends inside a rune", masked(OpText, true, "a\xc3"), nil, ErrUTF8},
		{
			"message ends inside a rune", join(masked(OpText, false, "a"), masked(OpContinuation, true, "\xe2\x82")),
			nil, ErrUTF8,
		},
	}
}

func TestReaderRules(t *testing.T) {
	cfg := &Config{MessageBytesMax: 1000}
	for _, c := range ruleCases() {
		t.Run(c.name, func(t *testing.T) {
			cuts := map[string]func(int) int{"all": all, "one": one, "random": random(rand.New(rand.NewSource(1)))}
			for name, cut := range cuts {
				got, err := run(cfg, false, c.stream, cut)
				if err != c.err || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("%s: got %v, %v; want %v, %v", name, got, err, c.want, c.err)
				}
			}
		})
	}
}

func TestReaderFailsFastOnUTF8(t *testing.T) {
	// The frame is announced with 100 bytes; the fault is in the third, and no more has come.
	stream := masked(OpText, true, "\xf4\x90"+strings.Repeat("x", 98))
	r := NewReader(&Config{}, false)
	if err := r.Feed(stream[:7], &log{}); err != nil {
		t.Fatal("refused a possible start: ", err)
	}
	if err := r.Feed(stream[7:8], &log{}); err != ErrUTF8 {
		t.Fatalf("got %v after the byte that makes it impossible, want %v", err, ErrUTF8)
	}
}

func TestReaderStopsWhenToldTo(t *testing.T) {
	r := NewReader(&Config{}, false)
	l := log{stop: 1}
	if err := r.Feed(join(masked(OpText, true, "a"), masked(OpText, true, "b")), &l); err != nil || len(l.events) != 1 {
		t.Fatalf("got %v, %v", l.events, err)
	}
}

func TestReaderTakesNoMemoryForAnnouncements(t *testing.T) {
	r := NewReader(&Config{MessageBytesMax: 1 << 30}, false)
	head := []byte{0x82, 0xff, 0, 0, 0, 0, 0x3f, 0, 0, 0, 1, 2, 3, 4, 'x'}
	if err := r.Feed(head, &log{}); err != nil {
		t.Fatal(err)
	}
	if n := r.BufferedBytes(); n > 2*partialBytesKept {
		t.Fatalf("%d bytes held for one byte that came", n)
	}
	r.Release()
	if !r.Idle() {
		t.Fatal("not idle after Release")
	}
}

func TestClientReader(t *testing.T) {
	cfg := &Config{Client: true}
	stream := join(AppendText(nil, []byte("hi")), AppendBinary(nil, make([]byte, 200)), AppendClose(nil, 1001, "bye"))
	for _, cut := range []func(int) int{all, one} {
		got, err := run(cfg, false, stream, cut)
		if err != nil || len(got) != 3 || got[0] != `message false "hi"` || got[2] != `control 8 "\x03\xe9bye"` {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	if _, err := run(cfg, false, masked(OpText, true, "x"), all); err != ErrMasked {
		t.Fatalf("got %v, want %v", err, ErrMasked)
	}
}

// TestReaderAnyStream makes messages with any fragmentation, compression and control frames between, and feeds them
// cut anywhere.
func TestReaderAnyStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []string
		control := func() {
			if rapid.Bool().Draw(t, "control") {
				p := rapid.SliceOfN(rapid.Byte(), 0, 125).Draw(t, "payload")
				stream = AppendMasked(stream, OpPing, true, false, p, rapid.Uint32().Draw(t, "mask"))
				want = append(want, fmt.Sprintf("control 9 %q", p))
			}
		}
		for range rapid.IntRange(1, 5).Draw(t, "messages") {
			op, payload := OpText, []byte(rapid.String().Draw(t, "text"))
			if rapid.Bool().Draw(t, "binary") {
				op, payload = OpBinary, rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "bytes")
			}
			body, zip := payload, rapid.Bool().Draw(t, "zip")
			if zip {
				body = AppendDeflated(nil, payload)
			}
			frame, parts := op, rapid.IntRange(1, 4).Draw(t, "fragments")
			for i := range parts {
				n := len(body)
				if i < parts-1 {
					n = rapid.IntRange(0, len(body)).Draw(t, "length")
				}
				stream = AppendMasked(stream, frame, i == parts-1, zip && i == 0, body[:n], rapid.Uint32().Draw(t, "mask"))
				body, frame = body[n:], OpContinuation
				if i < parts-1 {
					control()
				}
			}
			want = append(want, fmt.Sprintf("message %v %q", op == OpBinary, payload))
			control()
		}
		cut := random(rand.New(rand.NewSource(rapid.Int64().Draw(t, "cuts"))))
		if rapid.Bool().Draw(t, "whole") {
			cut = all
		}
		got, err := run(&Config{MessageBytesMax: 1 << 17}, true, stream, cut)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("got %.300v, %v; want %.300v", got, err, want)
		}
	})
}

func TestUTF8CheckFailsAsEarlyAsPossible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.String().Draw(t, "text"))
		if len(text) > 0 {
			text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] ^= byte(rapid.IntRange(0, 255).Draw(t, "flip"))
		}
		var u utf8Check
		for i := range text {
			ok := u.feed(text[i : i+1])
			if want := canBecomeValid(text[:i+1]); ok != want {
				t.Fatalf("after %q: got %v, want %v", text[:i+1], ok, want)
			}
			if !ok {
				return
			}
		}
		if u.done() != utf8.Valid(text) {
			t.Fatalf("%q: done is %v", text, u.done())
		}
	})
}

// canBecomeValid is true when some continuation of p is valid: what is left of p after its valid runes is no full
// rune.
func canBecomeValid(p []byte) bool {
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			return true
		}
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return false
		}
		p = p[n:]
	}
	return true
}

func TestParseClose(t *testing.T) {
	for code := range 6000 {
		payload := binary.BigEndian.AppendUint16(nil, uint16(code))
		good := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code < 5000
		got, _, err := ParseClose(payload)
		if good != (err == nil) || good && int(got) != code {
			t.Errorf("%d: got %d, %v", code, got, err)
		}
	}
	if code, _, err := ParseClose(nil); code != CloseNoStatus || err != nil {
		t.Errorf("no payload: got %d, %v", code, err)
	}
	if _, _, err := ParseClose([]byte{3}); err != ErrClosePayload {
		t.Errorf("one byte: got %v", err)
	}
	if _, _, err := ParseClose([]byte("\x03\xe8\xff")); err != ErrUTF8 {
		t.Errorf("bad reason: got %v", err)
	}
	if code, reason, err := ParseClose([]byte("\x03\xe8bye")); code != 1000 || reason != "bye" || err != nil {
		t.Errorf("got %d %q %v", code, reason, err)
	}
}

func TestAppendClose(t *testing.T) {
	frame := AppendClose(nil, 4000, strings.Repeat("ä", 100))
	if len(frame) != 2+2+122 || !utf8.Valid(frame[4:]) {
		t.Errorf("a long reason is not cut at a rune: %d bytes", len(frame))
	}
	for _, code := range []uint16{0, 1005, 1006, 1015} {
		if got := AppendClose(nil, code, "x"); !bytes.Equal(got, []byte{0x88, 0}) {
			t.Errorf("%d: got %x", code, got)
		}
	}
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		frame := AppendBinary(nil, make([]byte, n))
		if len(frame) != HeaderSize(n)+n {
			t.Errorf("%d: HeaderSize is %d, frame %d", n, HeaderSize(n), len(frame))
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(join(masked(OpText, false, "a\xc3"), masked(OpPing, true, "p"), masked(OpContinuation, true, "\xa4b")),
		int64(1), true)
	f.Add(AppendMasked(nil, OpText, true, true, AppendDeflated(nil, []byte("hello hello hello")), 7), int64(2), true)
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, int64(3), false)
	f.Fuzz(func(t *testing.T, stream []byte, seed int64, deflate bool) {
		cfg := &Config{MessageBytesMax: 4096}
		want, wantErr := run(cfg, deflate, stream, all)
		got, err := run(cfg, deflate, stream, random(rand.New(rand.NewSource(seed))))
		if err != wantErr || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("cut: %v, %v; whole: %v, %v", got, err, want, wantErr)
		}
	})
}
