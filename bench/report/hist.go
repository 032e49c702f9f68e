package report

import (
	"maps"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram records latencies from 1 µs to 10 minutes with three significant digits.
type Histogram struct{ h *hdrhistogram.Histogram }

const histogramMaxUs = 600_000_000

// NewHistogram makes an empty one.
func NewHistogram() *Histogram {
	return &Histogram{h: hdrhistogram.New(1, histogramMaxUs, 3)}
}

// Record adds a latency in nanoseconds; below a microsecond counts as one, above ten minutes as ten minutes.
func (h *Histogram) Record(ns int64) {
	_ = h.h.RecordValue(min(max(ns/1000, 1), histogramMaxUs))
}

// Merge adds another histogram's counts.
func (h *Histogram) Merge(o *Histogram) { h.h.Merge(o.h) }

// Count is the number of values.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// Quantiles are the usual points, nil when nothing was recorded.
func (h *Histogram) Quantiles() *Quantiles {
	if h.h.TotalCount() == 0 {
		return nil
	}
	at := func(q float64) float64 { return round(float64(h.h.ValueAtQuantile(q)) / 1e3) }
	return &Quantiles{P50: at(50), P95: at(95), P99: at(99), Max: round(float64(h.h.Max()) / 1e3), N: h.h.TotalCount()}
}

// P99MS is the 99th percentile in milliseconds, zero when empty.
func (h *Histogram) P99MS() float64 {
	if h.h.TotalCount() == 0 {
		return 0
	}
	return round(float64(h.h.ValueAtQuantile(99)) / 1e3)
}

// Points is the distribution for a plot: ever finer towards the slow end.
func (h *Histogram) Points() []Distribution {
	if h.h.TotalCount() == 0 {
		return nil
	}
	var out []Distribution
	for _, b := range h.h.CumulativeDistributionWithTicks(5) {
		out = append(out, Distribution{Quantile: b.Quantile / 100, MS: float64(b.ValueAt) / 1e3})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
