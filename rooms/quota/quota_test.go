package quota

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func TestBucketIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Bucket{}); size > 24 {
		t.Errorf("a Bucket is %d bytes", size)
	}
}

func TestBucketTable(t *testing.T) {
	b := NewBucket(Limit{Count: 2, Per: time.Second, Burst: 3})
	for _, s := range []struct {
		now   int64
		n     int
		ok    bool
		retry int64
	}{
		{10_000, 1, true, 0},
		{10_000, 2, true, 0},
		{10_000, 1, false, 500},
		{10_499, 1, false, 1},
		{10_500, 1, true, 0},
		{10_500, 0, true, 0},
		{9_000, 1, false, 500}, // the clock goes backwards: the bucket is empty, and no worse
		{12_000, 4, false, 1500},
		{12_000, 3, true, 0},
		{12_000, 3, false, 1500},
	} {
		ok, retry := b.Take(s.now, s.n)
		if ok != s.ok || retry != s.retry {
			t.Errorf("at %d take %d: %v, %d; want %v, %d", s.now, s.n, ok, retry, s.ok, s.retry)
		}
	}
	var free Bucket
	if ok, _ := free.Take(1, 1_000_000); !ok {
		t.Error("the zero bucket refuses")
	}
	if b.Full(12_000) || !b.Full(13_500) {
		t.Error("full at the wrong time")
	}
}

// TestBucketNeverGrantsTooMuch: in every window at most burst plus the window's share is granted, and waiting as told
// is enough.
func TestBucketNeverGrantsTooMuch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := Limit{
			Count: rapid.IntRange(1, 1000).Draw(rt, "count"),
			Per:   time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "per")) * time.Millisecond,
			Burst: rapid.IntRange(0, 50).Draw(rt, "burst"),
		}
		b := NewBucket(l)
		lim := NewLimiter(l, 1)
		type grant struct{ at, n int64 }
		var grants []grant
		now := int64(1_700_000_000_000)
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			now += rapid.Int64Range(0, 2000).Draw(rt, "dt")
			n := rapid.IntRange(1, 5).Draw(rt, "n")
			ok, retry := b.Take(now, n)
			if ok2, retry2 := lim.Take("k", now, n); ok2 != ok || retry2 != retry {
				rt.Fatalf("the limiter says %v, %d, the bucket %v, %d", ok2, retry2, ok, retry)
			}
			if ok {
				grants = append(grants, grant{now, int64(n)})
				continue
			}
			if retry <= 0 {
				rt.Fatal("refused without a time to wait")
			}
			if int64(n) <= l.BurstActs() {
				trial := b
				if ok, _ := trial.Take(now+retry, n); !ok {
					rt.Fatalf("still refused after %d ms", retry)
				}
				trial = b
				if ok, _ := trial.Take(now+retry-1, n); ok {
					rt.Fatalf("would be granted before %d ms", retry)
				}
			}
		}
		for i := range grants {
			sum := int64(0)
			for _, g := range grants[i:] {
				sum += g.n
				windowUS := (g.at - grants[i].at) * 1000
				if limit := l.BurstActs()*l.IntervalUS() + windowUS; sum*l.IntervalUS() > limit {
					rt.Fatalf("%d granted in %d µs with %+v", sum, windowUS, l)
				}
			}
		}
	})
}

func TestLimiterIsBoundedAndForgetsTheFullOnes(t *testing.T) {
	l := NewLimiter(Limit{Count: 1, Per: time.Second, Burst: 2}, 100)
	now := int64(1_000_000)
	for i := range 10_000 {
		if ok, _ := l.Take(fmt.Sprint("k", i), now, 1); !ok {
			t.Fatalf("key %d is refused its first act", i)
		}
		if l.Len() > 100 {
			t.Fatalf("%d keys", l.Len())
		}
	}
	now += 60_000 // all are full again, and make room before anything else is added
	for i := range 50 {
		l.Take(fmt.Sprint("n", i), now, 2)
	}
	for i := range 50 {
		if ok, _ := l.Take(fmt.Sprint("n", i), now, 1); ok {
			t.Fatalf("n%d was forgotten although others were full", i)
		}
	}
	if l.Len() != len(l.index) {
		t.Fatalf("%d slots, %d index entries", l.Len(), len(l.index))
	}
	l.Forget("n3")
	l.Forget("nobody")
	if ok, _ := l.Take("n3", now, 2); !ok {
		t.Error("n3 is not forgotten")
	}
	for i, s := range l.slots {
		if l.index[s.key] != int32(i) {
			t.Fatalf("slot %d of %q is indexed as %d", i, s.key, l.index[s.key])
		}
	}
	if ok, _ := NewLimiter(Limit{}, 1).Take("k", 1, 1000); !ok {
		t.Error("the zero limit refuses")
	}
}

// A clock that is set back by an hour must not refuse for an hour.
func TestClockSetBack(t *testing.T) {
	const now = int64(1_764_000_000_000)
	limit := Limit{Count: 50, Per: time.Second, Burst: 200}
	b, l := NewBucket(limit), NewLimiter(limit, 10)
	b.Take(now, 1)
	l.Take("k", now, 1)
	_, retry := b.Take(now-3_600_000, 1)
	_, retryL := l.Take("k", now-3_600_000, 1)
	if retry > 20 || retryL > 20 {
		t.Errorf("retry after %d and %d ms", retry, retryL)
	}
	if ok, _ := b.Take(now-3_600_000+20, 1); !ok {
		t.Error("the bucket refuses longer than it said")
	}
	if ok, _ := l.Take("k", now-3_600_000+20, 1); !ok {
		t.Error("the limiter refuses longer than it said")
	}
}

func TestPresetsAreLimits(t *testing.T) {
	p := DefaultPresets()
	for _, l := range []Limit{p.Messages, p.Edits, p.Commands, p.Publishes, p.Progress, p.Joins, p.Names} {
		if l.Unlimited() || l.Burst <= 0 {
			t.Errorf("%+v", l)
		}
	}
}

func BenchmarkLimiterFullOfStrangers(b *testing.B) {
	l := NewLimiter(Limit{Count: 1, Per: time.Second}, 10_000)
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	now := int64(1_000_000)
	for i := 0; b.Loop(); i++ {
		l.Take(keys[i&0xFFFF], now, 1)
	}
}

// A Meter is a Bucket whose limit is kept elsewhere.
func TestMeterIsABucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Count: rapid.IntRange(0, 50).Draw(t, "count"), Per: time.Second, Burst: rapid.IntRange(0, 100).Draw(t, "burst"),
		}
		b, m, now := NewBucket(l), Meter(0), int64(10_000)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += int64(rapid.IntRange(-100, 2000).Draw(t, "passes"))
			n := rapid.IntRange(0, 20).Draw(t, "n")
			spent := m.Spent(l, now)
			one := b
			if ok, _ := one.Take(now, 1); ok == spent {
				t.Fatalf("spent is %v, and one more is allowed: %v", spent, ok)
			}
			ok, retry := b.Take(now, n)
			if gotOK, gotRetry := m.Take(l, now, n); gotOK != ok || gotRetry != retry {
				t.Fatalf("%v, %d; the bucket says %v, %d", gotOK, gotRetry, ok, retry)
			}
			if m.Full(now) != b.Full(now) {
				t.Fatal("they differ in whether they are full")
			}
		}
	})
}

func TestChargeTakesWhatIsThere(t *testing.T) {
	l := Limit{Count: 10, Per: time.Second, Burst: 20}
	var m Meter
	m.Charge(l, 1000, 5)
	if ok, _ := m.Take(l, 1000, 15); !ok {
		t.Error("a charge of 5 leaves less than 15 of 20")
	}
	m.Charge(l, 1000, 1_000_000)
	if !m.Spent(l, 1000) || !m.Spent(l, 1099) || m.Spent(l, 1100) {
		t.Error("after the largest charge the first act comes back in a tenth of a second")
	}
	m.Charge(Limit{}, 1000, 5)
	if m.Spent(Limit{}, 1000) {
		t.Error("nothing is ever spent without a limit")
	}
}
