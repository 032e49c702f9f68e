package frame

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s must panic", what)
		}
	}()
	f()
}

func TestReferencesBalance(t *testing.T) {
	before := Live()
	f := Of([]byte("hello"))
	if Live() != before+1 || f.Refs() != 1 {
		t.Fatalf("live %d (was %d), refs %d", Live(), before, f.Refs())
	}
	var wg sync.WaitGroup
	for range 8 {
		f.Retain()
		wg.Go(func() {
			if string(f.Bytes()) != "hello" {
				t.Error("the bytes changed under a holder")
			}
			f.Release()
		})
	}
	wg.Wait()
	kept := f.Bytes()
	f.Release()
	if Live() != before {
		t.Fatalf("%d frames live after the last release", Live()-before)
	}
	if Poisons && string(kept) == "hello" {
		t.Fatal("released bytes must be overwritten in this build")
	}
}

func TestMisuseIsLoud(t *testing.T) {
	f := &Frame{Buf: make([]byte, 0, 8)} // not from the pool: a broken one must not reach other tests
	f.refs.Store(1)
	mustPanic(t, "reading before Seal", func() { f.Bytes() })
	f.Seal()
	mustPanic(t, "sealing twice", f.Seal)
	live.Add(1)
	f.Release()
	mustPanic(t, "releasing once too often", f.Release)
	mustPanic(t, "retaining what is gone", f.Retain)
}

func TestSizesAndGrowth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 3<<20).Draw(t, "size")
		f := Get(size)
		if cap(f.Buf) < size || len(f.Buf) != 0 {
			t.Fatalf("asked for %d bytes, got len %d cap %d", size, len(f.Buf), cap(f.Buf))
		}
		extra := rapid.IntRange(0, 1<<16).Draw(t, "extra")
		f.Buf = append(f.Buf, make([]byte, size+extra)...)
		f.Seal()
		f.Release()
		g := Get(size)
		if cap(g.Buf) < size || len(g.Buf) != 0 || g.Sealed() {
			t.Fatalf("a pooled frame came back dirty: len %d cap %d sealed %v", len(g.Buf), cap(g.Buf), g.Sealed())
		}
		g.Seal()
		g.Release()
	})
}
