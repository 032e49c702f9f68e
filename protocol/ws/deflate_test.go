package ws

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestInflateExamples are the messages of RFC 7692 section 7.2.3.
func TestInflateExamples(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"one block":           {"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},
		"stored block":        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"},
		"final block":         {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
		"two blocks":          {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
		"final block, others": {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "HelloHello"},
		"empty":               {"\x00", ""},
	} {
		got, err := AppendInflated([]byte("x"), []byte(c.in), 100)
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestDeflateEmpty(t *testing.T) {
	if got := AppendDeflated(nil, nil); !bytes.Equal(got, []byte{0}) {
		t.Errorf("an empty message is %x, want one 00 (RFC 7692 section 7.2.3.6)", got)
	}
}

// TestDeflateRoundTrip has the standard library as the peer in both directions.
func TestDeflateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(0, 2000).Draw(t, "times")))
		packed := AppendDeflated([]byte("head"), text)
		if string(packed[:4]) != "head" {
			t.Fatal("dst was overwritten")
		}
		std := stdflate.NewReader(io.MultiReader(bytes.NewReader(packed[4:]), strings.NewReader(inflateTail)))
		if got, err := io.ReadAll(std); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("the standard library reads %d bytes, %v; want %d", len(got), err, len(text))
		}
		var buf bytes.Buffer
		w, _ := stdflate.NewWriter(&buf, 6)
		_, _ = w.Write(text)
		_ = w.Flush()
		theirs := bytes.TrimSuffix(buf.Bytes(), []byte(syncTail))
		if got, err := AppendInflated(nil, theirs, len(text)); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(text))
		}
		if len(text) > 0 {
			if got, err := AppendInflated(nil, theirs, len(text)-1); !errors.Is(err, ErrTooBig) || len(got) > len(text) {
				t.Fatalf("over the limit: got %d bytes, %v", len(got), err)
			}
		}
	})
}

func TestInflateBombIsCut(t *testing.T) {
	bomb := AppendDeflated(nil, make([]byte, 50<<20))
	if len(bomb) > 400<<10 {
		t.Fatalf("the bomb is %d bytes", len(bomb))
	}
	got, err := AppendInflated(nil, bomb, 64<<10)
	if !errors.Is(err, ErrTooBig) || cap(got) > 256<<10 {
		t.Fatalf("got %d bytes (capacity %d), %v", len(got), cap(got), err)
	}
	cfg := &Config{MessageBytesMax: 1 << 20}
	stream := AppendMasked(nil, OpBinary, true, true, bomb, 1)
	for _, cut := range []func(int) int{all, func(left int) int { return min(left, 1000) }} {
		if _, err := run(cfg, true, stream, cut); err != ErrInflatedBig {
			t.Errorf("got %v, want %v", err, ErrInflatedBig)
		}
	}
}

func TestReaderRefusesBrokenCompression(t *testing.T) {
	good := AppendDeflated(nil, []byte("some text, some text"))
	for name, body := range map[string][]byte{"garbage": []byte("\xff\xff\xff"), "cut short": good[:len(good)-4]} {
		if _, err := run(&Config{}, true, AppendMasked(nil, OpText, true, true, body, 1), all); err != ErrCompression {
			t.Errorf("%s: got %v", name, err)
		}
	}
	bad := AppendMasked(nil, OpText, true, true, AppendDeflated(nil, []byte("\xff")), 1)
	if _, err := run(&Config{}, true, bad, all); err != ErrUTF8 {
		t.Errorf("invalid text: got %v", err)
	}
	later := join(AppendMasked(nil, OpText, false, false, nil, 1), AppendMasked(nil, OpContinuation, true, true, nil, 1))
	if _, err := run(&Config{}, true, later, all); err != ErrReservedBits {
		t.Errorf("rsv1 on a continuation: got %v", err)
	}
	ping := AppendMasked(nil, OpPing, true, true, nil, 1)
	if _, err := run(&Config{}, true, ping, one); err != ErrReservedBits {
		t.Errorf("rsv1 on a ping: got %v", err)
	}
}

func TestInflateRefusesEndlessStreams(t *testing.T) {
	if _, err := AppendInflated(nil, bytes.Repeat([]byte{3, 0}, 30_000), 1<<20); err == nil {
		t.Error("30,000 empty final blocks are accepted")
	}
}

func TestDeflatedFrame(t *testing.T) {
	for _, n := range []int{0, 10, 1000, 400_000} {
		text := bytes.Repeat([]byte("ab"), n)
		got, err := run(&Config{Client: true, MessageBytesMax: 1 << 20}, true, AppendTextDeflated([]byte(nil), text), one)
		if err != nil || len(got) != 1 || len(got[0]) != len(text)+len(`message false ""`) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestNegotiateDeflate(t *testing.T) {
	const yes = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, c := range []struct {
		in   []string
		want string
		bits uint8
		bad  bool
	}{
		{nil, "", 0, false},
		{[]string{"permessage-deflate"}, yes, 15, false},
		{[]string{"Permessage-Deflate; client_max_window_bits"}, yes, 15, false},
		{[]string{"permessage-deflate; client_max_window_bits=10"}, yes, 15, false},
		{[]string{`permessage-deflate; client_max_window_bits="10"`}, yes, 15, false},
		{[]string{"permessage-deflate ; server_no_context_takeover ;client_no_context_takeover"}, yes, 15, false},
		{[]string{"permessage-deflate; server_max_window_bits=15"}, yes + "; server_max_window_bits=15", 15, false},
		{[]string{"permessage-deflate; server_max_window_bits=10"}, yes + "; server_max_window_bits=10", 10, false},
		{[]string{"permessage-deflate; server_max_window_bits=8"}, yes + "; server_max_window_bits=8", 8, false},
		{[]string{`permessage-deflate; Server_Max_Window_Bits="9"`}, yes + "; server_max_window_bits=9", 9, false},
		{[]string{`permessage-deflate; server_max_window_bits="\1\2"`}, yes + "; server_max_window_bits=12", 12, false},
		{
			[]string{"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9, permessage-deflate"},
			yes + "; server_max_window_bits=9", 9, false,
		},
		{[]string{"permessage-deflate; server_max_window_bits=7, permessage-deflate"}, yes, 15, false},
		{[]string{"permessage-deflate; server_max_window_bits=16", "permessage-deflate"}, yes, 15, false},
		{[]string{"permessage-deflate; server_max_window_bits"}, "", 0, false},
		{[]string{"permessage-deflate; server_max_window_bits=010"}, "", 0, false},
		{[]string{"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"}, "", 0, false},
		{[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits=9"}, "", 0, false},
		{[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, "", 0, false},
		{[]string{"permessage-deflate; client_no_context_takeover=true"}, "", 0, false},
		{[]string{"permessage-deflate; client_max_window_bits=7"}, "", 0, false},
		{[]string{"permessage-deflate; client_max_window_bits=16"}, "", 0, false},
		{[]string{"permessage-deflate; client_max_window_bits=08"}, "", 0, false},
		{[]string{"permessage-deflate; server_no_context_takeover=1"}, "", 0, false},
		{[]string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, "", 0, false},
		{[]string{"permessage-deflate; level=9"}, "", 0, false},
		{[]string{"x-webkit-deflate-frame, permessage-deflate"}, yes, 15, false},
		{[]string{"permessage-deflate,, ,other"}, yes, 15, false},
		{[]string{" , permessage-deflate,"}, yes, 15, false},
		{[]string{"other; a=b; c"}, "", 0, false},
		{[]string{""}, "", 0, true},
		{[]string{","}, "", 0, true},
		{[]string{"permessage-deflate;"}, "", 0, true},
		{[]string{"permessage-deflate; a="}, "", 0, true},
		{[]string{`permessage-deflate; a=""`}, "", 0, true},
		{[]string{`permessage-deflate; a="x`}, "", 0, true},
		{[]string{`permessage-deflate; a="x\`}, "", 0, true},
		{[]string{`permessage-deflate; a="x y"`}, "", 0, true},
		{[]string{"permessage-deflate extra"}, "", 0, true},
		{[]string{"permessage-deflate", "permessage-deflate; ="}, "", 0, true},
	} {
		got, err := NegotiateDeflate(c.in)
		if got.Response != c.want || got.WindowBits != c.bits || (err != nil) != c.bad {
			t.Errorf("%q: got %+v, %v", c.in, got, err)
		}
	}
}

// Whatever a client's window is, what it is sent never refers back further, and shared frames go only to those whom
// they fit.
func TestWindowIsKept(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{7}))
	words := make([]string, 4000) // a rare word was seen far back, a frequent one close by
	for i := range words {
		for range 4 + random.IntN(12) {
			words[i] += string(rune('a' + random.IntN(26)))
		}
	}
	var text []byte
	for len(text) < 60_000 {
		text = append(text, words[random.IntN(1+random.IntN(len(words)))]...)
	}
	for bits := uint8(8); bits <= 15; bits++ {
		agreed := Deflate{WindowBits: bits}
		for _, n := range []int{0, 1 << bits, len(text)} {
			payload := text[:min(n, len(text))]
			packed := appendDeflatedWithin([]byte("x"), payload, agreed)[1:]
			got, furthest := slowInflate(t, packed)
			if !bytes.Equal(got, payload) {
				t.Fatalf("window 2^%d, %d bytes: not the same after decompression", bits, len(payload))
			}
			if furthest > 1<<bits {
				t.Errorf("window 2^%d, %d bytes: refers %d bytes back", bits, len(payload), furthest)
			}
			if back, err := AppendInflated(nil, packed, len(text)); err != nil || !bytes.Equal(back, payload) {
				t.Errorf("window 2^%d, %d bytes: our own decoder says %v", bits, len(payload), err)
			}
		}
		if fits := agreed.Fits(len(text)); fits != (bits == 15) || !agreed.Fits(1<<bits) {
			t.Errorf("window 2^%d: a shared frame of %d bytes fits: %v", bits, len(text), fits)
		}
	}
	if _, furthest := slowInflate(t, AppendDeflated(nil, text)); furthest <= 1<<14 {
		t.Errorf("the sample shows nothing: it refers only %d bytes back without a limit", furthest)
	}
	if (Deflate{}).Fits(0) {
		t.Error("a compressed frame fits a client that agreed to none")
	}
}

// slowInflate is RFC 1951 by the letter, for what the decoders in libraries don't tell: how far back a stream refers.
func slowInflate(t *testing.T, packed []byte) (out []byte, furthest int) {
	t.Helper()
	in, at := append(bytes.Clone(packed), syncTail...), 0
	bit := func() int { // past the end it panics
		at++
		return int(in[(at-1)/8]>>((at-1)%8)) & 1
	}
	bits := func(n int) (v int) {
		for i := range n {
			v |= bit() << i
		}
		return v
	}
	for at < 8*len(in) {
		last := bit()
		switch bits(2) {
		case 0:
			at = (at + 7) / 8 * 8
			n := bits(16)
			bits(16)
			for range n {
				out = append(out, byte(bits(8)))
			}
			if n == 0 && at == 8*len(in) {
				return out, furthest
			}
		case 1:
			lengths := make([]int, 288)
			for i := range lengths {
				lengths[i] = 8 + b2i(i > 143) - 2*b2i(i > 255) + b2i(i > 279)
			}
			distances := make([]int, 30)
			for i := range distances {
				distances[i] = 5
			}
			out, furthest = slowBlock(t, bit, bits, lengths, distances, out, furthest)
		case 2:
			lit, dist, n := bits(5)+257, bits(5)+1, bits(4)+4
			code := make([]int, 19)
			for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
				code[i] = bits(3)
			}
			lengthCode := codeOf(code)
			var all []int
			for len(all) < lit+dist {
				switch s := slowSymbol(t, bit, lengthCode); s {
				case 16:
					for range bits(2) + 3 {
						all = append(all, all[len(all)-1])
					}
				case 17:
					all = append(all, make([]int, bits(3)+3)...)
				case 18:
					all = append(all, make([]int, bits(7)+11)...)
				default:
					all = append(all, s)
				}
			}
			out, furthest = slowBlock(t, bit, bits, all[:lit], all[lit:], out, furthest)
		default:
			t.Fatal("a block of no type")
		}
		if last == 1 {
			t.Fatal("a final block in what is flushed")
		}
	}
	return out, furthest
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func slowBlock(t *testing.T, bit func() int, bits func(int) int, lengths, distances []int, out []byte, furthest int) (
	[]byte, int,
) {
	t.Helper()
	lit, dist := codeOf(lengths), codeOf(distances)
	for {
		s := slowSymbol(t, bit, lit)
		switch {
		case s < 256:
			out = append(out, byte(s))
			continue
		case s == 256:
			return out, furthest
		}
		length, extra := 3, 0
		for i := 257; i < s; i++ {
			extra = max(0, (i-261)/4)
			length += 1 << extra
		}
		if s == 285 {
			length = 258
		} else {
			length += bits(max(0, (s-261)/4))
		}
		d := slowSymbol(t, bit, dist)
		back := 1
		for i := range d {
			back += 1 << max(0, i/2-1)
		}
		back += bits(max(0, d/2-1))
		furthest = max(furthest, back)
		for range length {
			out = append(out, out[len(out)-back])
		}
	}
}

// codeOf is the canonical code with these lengths: length and bits → symbol.
func codeOf(lengths []int) map[[2]int]int {
	codes := make(map[[2]int]int)
	next := 0
	for length := 1; length <= 15; length++ {
		next <<= 1
		for s, l := range lengths {
			if l == length {
				codes[[2]int{length, next}] = s
				next++
			}
		}
	}
	return codes
}

func slowSymbol(t *testing.T, bit func() int, code map[[2]int]int) int {
	t.Helper()
	for length, read := 1, bit(); length <= 15; length++ {
		if s, ok := code[[2]int{length, read}]; ok {
			return s
		}
		read = read<<1 | bit()
	}
	t.Fatal("no such symbol")
	return 0
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := AppendInflated(nil, data, 1000)
		if len(out) > 1001 {
			t.Fatalf("%d bytes beyond the limit, %v", len(out), err)
		}
		if err != nil {
			return
		}
		again, err := AppendInflated(nil, AppendDeflated(nil, out), 1000)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("round trip: %q, %v", again, err)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits, x; y=\"z\"")
	f.Fuzz(func(t *testing.T, value string) {
		got, err := NegotiateDeflate([]string{value})
		if err != nil && got != (Deflate{}) || (got.WindowBits > 0) != (got.Response != "") {
			t.Fatalf("%+v beside %v", got, err)
		}
	})
}
