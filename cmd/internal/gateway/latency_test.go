package gateway

import (
	"testing"
	"time"

	"lectern/protocol/wire"
)

func TestCommandSamplesAreAShareOfTheCommands(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(i int) commandKey{
		"one connection": func(i int) commandKey { return commandKey{7<<40 | 1, uint64(i + 1)} },
		"first commands": func(i int) commandKey { return commandKey{wire.ConnID(i<<30 | 3), 2} },
		"steps of 8":     func(i int) commandKey { return commandKey{wire.ConnID(i<<33 | 1), uint64(8*i + 8)} },
	} {
		const n = 80_000
		sampled := 0
		for i := range n {
			if key(i).sampled() {
				sampled++
			}
		}
		if share := float64(sampled) * commandSampling / n; share < 0.85 || share > 1.15 {
			t.Errorf("%s: %d of %d are measured", name, sampled, n)
		}
	}
	if (commandKey{conn: 1}).sampled() {
		t.Error("a command without an id gets no reply and can't be measured")
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	for _, d := range []time.Duration{-1, time.Millisecond, time.Millisecond + 1, time.Hour} {
		h.observe(d)
	}
	s := h.snapshot()
	if s.Counts[0] != 2 || s.Counts[1] != 1 || s.Counts[len(LatencyBuckets)] != 1 {
		t.Errorf("counts %v", s.Counts)
	}
	if s.Sum != time.Hour+2*time.Millisecond+1 {
		t.Errorf("sum %v", s.Sum)
	}
}
