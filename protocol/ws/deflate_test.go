package ws

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"io"
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
		if _, err := run(cfg, true, stream, cut); err != ErrMessageTooBig {
			t.Errorf("got %v, want %v", err, ErrMessageTooBig)
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
		bad  bool
	}{
		{nil, "", false},
		{[]string{"permessage-deflate"}, yes, false},
		{[]string{"Permessage-Deflate; client_max_window_bits"}, yes, false},
		{[]string{"permessage-deflate; client_max_window_bits=10"}, yes, false},
		{[]string{`permessage-deflate; client_max_window_bits="10"`}, yes, false},
		{[]string{"permessage-deflate ; server_no_context_takeover ;client_no_context_takeover"}, yes, false},
		{[]string{"permessage-deflate; server_max_window_bits=15"}, yes + "; server_max_window_bits=15", false},
		{[]string{"permessage-deflate; server_max_window_bits=10"}, "", false},
		{[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, yes, false},
		{[]string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, yes, false},
		{[]string{"permessage-deflate; server_max_window_bits"}, "", false},
		{[]string{"permessage-deflate; client_max_window_bits=7"}, "", false},
		{[]string{"permessage-deflate; client_max_window_bits=08"}, "", false},
		{[]string{"permessage-deflate; server_no_context_takeover=1"}, "", false},
		{[]string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, "", false},
		{[]string{"permessage-deflate; level=9"}, "", false},
		{[]string{"x-webkit-deflate-frame, permessage-deflate"}, yes, false},
		{[]string{"other; a=b; c"}, "", false},
		{[]string{""}, "", true},
		{[]string{"permessage-deflate;"}, "", true},
		{[]string{"permessage-deflate; a="}, "", true},
		{[]string{`permessage-deflate; a="x`}, "", true},
		{[]string{"permessage-deflate,,"}, "", true},
		{[]string{"permessage-deflate extra"}, "", true},
	} {
		got, err := NegotiateDeflate(c.in)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q: got %q, %v", c.in, got, err)
		}
	}
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
		if err != nil && got != "" {
			t.Fatal("a response beside an error")
		}
	})
}
