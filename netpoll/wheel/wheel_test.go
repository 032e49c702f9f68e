package wheel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type timer struct {
	id int
}

// TestAgainstModel compares the wheel with a plain list: every timer fires exactly once, at its tick, in order of
// ticks; a cancelled one never; and Next never names a tick after the earliest deadline.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Wheel[int]
		model := map[int]uint64{}
		handles := map[int]Handle{}
		ids := 0
		distance := rapid.OneOf(rapid.Uint64Range(0, 70), rapid.Uint64Range(0, 5000),
			rapid.Uint64Range(0, 300_000), rapid.Uint64Range(0, 1<<26))
		add := func(deadline uint64) {
			ids++
			handles[ids] = w.Add(deadline, ids)
			model[ids] = max(deadline, w.Now()+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) { add(w.Now() + distance.Draw(t, "in")) },
			"past": func(t *rapid.T) {
				add(w.Now() - min(w.Now(), distance.Draw(t, "ago")))
			},
			"cancel": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("nothing to cancel")
				}
				id := rapid.SampledFrom(sortedKeys(model)).Draw(t, "id")
				if !w.Cancel(handles[id]) {
					t.Fatalf("timer %d was pending and could not be cancelled", id)
				}
				delete(model, id)
			},
			"advance": func(t *rapid.T) {
				target := w.Now() + distance.Draw(t, "by")
				addMore := rapid.Bool().Draw(t, "addMore")
				last := w.Now()
				w.Advance(target, func(id int) {
					deadline, ok := model[id]
					if !ok {
						t.Fatalf("timer %d fired but was not pending", id)
					}
					if deadline != w.Now() || deadline < last {
						t.Fatalf("timer %d of tick %d fired at %d, after one at %d", id, deadline, w.Now(), last)
					}
					last = deadline
					delete(model, id)
					if addMore && ids%3 == 0 {
						add(w.Now() + uint64(ids%130))
					}
				})
				if w.Now() != target {
					t.Fatalf("the wheel stands at %d, want %d", w.Now(), target)
				}
			},
			"": func(t *rapid.T) {
				if w.Len() != len(model) {
					t.Fatalf("%d timers pending, want %d", w.Len(), len(model))
				}
				next, ok := w.Next()
				if ok != (len(model) > 0) {
					t.Fatalf("Next says %v with %d pending", ok, len(model))
				}
				for id, deadline := range model {
					if deadline <= w.Now() {
						t.Fatalf("timer %d of tick %d is overdue at %d", id, deadline, w.Now())
					}
					if ok && (next > deadline || next <= w.Now()) {
						t.Fatalf("Next is %d at %d, but timer %d is due at %d", next, w.Now(), id, deadline)
					}
				}
			},
		})
	})
}

func sortedKeys(m map[int]uint64) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestCancelInsideFire(t *testing.T) {
	var w Wheel[int]
	var second Handle
	fired := []int{}
	w.Add(5, 1)
	second = w.Add(5, 2)
	first := w.Add(5, 3)
	_ = second
	w.Advance(10, func(id int) {
		fired = append(fired, id)
		if id == 3 {
			w.Cancel(second)
		}
	})
	if w.Cancel(first) {
		t.Error("a fired timer can't be cancelled")
	}
	if !slices.Equal(fired, []int{3, 1}) {
		t.Errorf("fired %v, want 3 and 1", fired)
	}
}

// TestManyTimersCostNoScan arms a million timers and counts how often the wheel finds something to do: a wheel that
// looked at every tick or every timer would show here.
func TestManyTimersCostNoScan(t *testing.T) {
	var w Wheel[timer]
	for i := range 1_000_000 {
		w.Add(uint64(2500+i%100), timer{id: i})
	}
	stops := 0
	for {
		next, ok := w.Next()
		if !ok {
			break
		}
		stops++
		w.Advance(next, func(timer) {})
	}
	if stops > 110 {
		t.Errorf("%d stops for 100 distinct ticks", stops)
	}
}

func BenchmarkAddCancel(b *testing.B) {
	var w Wheel[int]
	for b.Loop() {
		w.Cancel(w.Add(w.Now()+500, 1))
	}
}

// BenchmarkTickOf100000 is one tick of 10 ms of a wheel on which 100,000 connections have a heartbeat every 30 s: what
// is due fires and is armed again. Nothing looks at the others.
func BenchmarkTickOf100000(b *testing.B) {
	const timers, every = 100_000, 3000
	var w Wheel[int]
	for i := range timers {
		w.Add(uint64(1+i*every/timers), i)
	}
	fired := 0
	b.ReportAllocs()
	for b.Loop() {
		w.Advance(w.Now()+1, func(id int) {
			fired++
			w.Add(w.Now()+every, id)
		})
	}
	b.ReportMetric(float64(fired)/float64(b.N), "timers/op")
}
