package ws

import (
	"bytes"
	"testing"
)

type discard struct{}

func (discard) Message(bool, []byte) bool   { return true }
func (discard) Control(OpCode, []byte) bool { return true }

func TestFeedDoesNotAllocate(t *testing.T) {
	r := NewReader(&Config{}, false)
	stream := join(masked(OpText, true, `{"id":1,"op":"quiz:answer"}`), masked(OpPing, true, "x"))
	buf := make([]byte, len(stream))
	var h Handler = discard{}
	allocs := testing.AllocsPerRun(100, func() {
		copy(buf, stream)
		if err := r.Feed(buf, h); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per Feed", allocs)
	}
}

func BenchmarkFeed(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 128)
	stream := AppendMaskedText(nil, payload, 77)
	for name, cut := range map[string]int{"whole": len(stream), "split": 50} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := NewReader(&Config{}, false)
			buf := make([]byte, len(stream))
			for b.Loop() {
				copy(buf, stream)
				for rest := buf; len(rest) > 0; {
					n := min(cut, len(rest))
					if err := r.Feed(rest[:n], discard{}); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}

func BenchmarkDeflate(b *testing.B) {
	b.ReportAllocs()
	payload := bytes.Repeat([]byte(`{"rank":1,"user":"u1","name":"Ada","score":900},`), 40)
	var d Deflater
	var out []byte
	for b.Loop() {
		out = d.AppendDeflated(out[:0], payload)
	}
	b.ReportMetric(float64(len(payload))/float64(len(out)), "ratio")
}

func BenchmarkInflate(b *testing.B) {
	b.ReportAllocs()
	packed := AppendDeflated(nil, bytes.Repeat([]byte(`{"rank":1,"user":"u1","name":"Ada","score":900},`), 40))
	var out []byte
	for b.Loop() {
		var err error
		if out, err = AppendInflated(out[:0], packed, 1<<16); err != nil {
			b.Fatal(err)
		}
	}
}
