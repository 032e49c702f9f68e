package persist_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"lectern/persist"
	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/persist/sqlite"
	"lectern/rooms"
)

// curvePoint is one line of bench/results/persist.ndjson.
type curvePoint struct {
	Scenario  string  `json:"scenario"`
	Store     string  `json:"store"`
	Round     int     `json:"round"`
	Rate      int     `json:"rate"` // records a second that were offered
	Achieved  float64 `json:"records_per_s"`
	P50       float64 `json:"ack_p50_ms"`
	P99       float64 `json:"ack_p99_ms"`
	Max       float64 `json:"ack_max_ms"`
	Records   int     `json:"records"`
	Refused   int     `json:"refused"` // records that the journal's queue had no room for
	Batches   uint64  `json:"commits"`
	PerCommit float64 `json:"records_per_commit"`
	CPUs      int     `json:"cpus"`
	Go        string  `json:"go"`
	At        string  `json:"at"`
}

// curveRates are records a second; the last ones look for the limit.
var curveRates = []int{1_000, 5_000, 10_000, 20_000, 50_000, 80_000, 120_000}

// TestCurve measures how long records wait for their acknowledgement at a rate, for each store, with the rates offered
// whether the store keeps up or not. make bench-persist runs it; it asserts only that nothing goes wrong.
func TestCurve(t *testing.T) {
	out := os.Getenv("LECTERN_BENCH_PERSIST")
	if out == "" {
		t.Skip("measures for minutes: run make bench-persist")
	}
	rounds := 1
	if text := os.Getenv("LECTERN_BENCH_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	p := pgtest.New(t, "shared_buffers=256MB", "max_wal_size=4GB")
	f, err := os.OpenFile(out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for round := range rounds {
		for _, rate := range curveRates {
			for name, open := range map[string]func() (persist.Store, error){
				"sqlite": func() (persist.Store, error) {
					return sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "l.db")})
				},
				"postgres": func() (persist.Store, error) {
					return pg.Open(t.Context(), pg.Config{URL: p.Database(t)})
				},
				"postgres, synchronous_commit off": func() (persist.Store, error) {
					return pg.Open(t.Context(), pg.Config{URL: p.Database(t), Async: true})
				},
			} {
				store, err := open()
				if err != nil {
					t.Fatal(err)
				}
				point := measure(t, store, rate, 4*time.Second)
				point.Store, point.Round = name, round+1
				line, err := json.Marshal(point)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(f, "%s\n", line)
				t.Logf("%-34s %7d/s offered %7.0f/s stored  p50 %7.2f ms  p99 %8.2f ms  %5.0f a commit", name, rate,
					point.Achieved, point.P50, point.P99, point.PerCommit)
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// wait is how long so many records waited.
type wait struct {
	took    time.Duration
	records int
}

// measure offers a rate for a while. Every millisecond what is due goes to the journal in one call, as a shard's turn
// does: runs of a few rooms.
func measure(t *testing.T, store persist.Store, rate int, length time.Duration) curvePoint {
	j := persist.New(store, persist.Config{})
	ended := make(chan error, 1)
	go func() { ended <- j.Run(context.Background()) }()
	var mu sync.Mutex
	var waits []wait
	var acks sync.WaitGroup
	data := []byte(`{"question":3,"user":"0H3K5PZ4Q8RT","answer":"2","key":"c0ffee00-1234-4321-9876-0123456789ab",` +
		`"receipt":"7yQwX1b0Yk2m","elapsedMs":4321,"points":873}`)
	var next [50]uint64
	sent, refused := 0, 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for now := range tick.C {
		elapsed := now.Sub(began)
		if elapsed > length {
			break
		}
		due := int(elapsed.Seconds()*float64(rate)) - sent - refused
		if due <= 0 {
			continue
		}
		recs := make([]rooms.Record, due)
		room := (sent / 64) % len(next)
		for i := range recs {
			if i%64 == 63 {
				room = (room + 1) % len(next)
			}
			recs[i] = rooms.Record{Room: fmt.Sprint("room", room), Kind: "quiz.answered", At: now.UnixMilli(), Data: data}
			next[room]++
			recs[i].Index = next[room]
		}
		offered := time.Now()
		acks.Add(1)
		err := j.Append(recs, func(err error) {
			defer acks.Done()
			if err != nil {
				t.Errorf("%d records: %v", due, err)
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, wait{time.Since(offered), due})
		})
		switch {
		case errors.Is(err, persist.ErrFull):
			acks.Done()
			refused += due
			for i := range recs {
				next[indexOf(recs[i].Room)]--
			}
		case err != nil:
			t.Fatal(err)
		default:
			sent += due
		}
	}
	acks.Wait()
	took := time.Since(began)
	stats := j.Stats()
	if err := errors.Join(j.Close(t.Context()), <-ended); err != nil {
		t.Fatal(err)
	}
	return curvePoint{
		Scenario: "journal", Rate: rate, Achieved: float64(sent) / took.Seconds(), Records: sent, Refused: refused,
		P50: quantile(waits, 0.5), P99: quantile(waits, 0.99), Max: quantile(waits, 1),
		Batches: stats.Batches, PerCommit: float64(sent) / float64(max(stats.Batches, 1)),
		CPUs: runtime.NumCPU(), Go: runtime.Version(), At: time.Now().UTC().Format(time.RFC3339),
	}
}

func indexOf(room string) int {
	n, _ := strconv.Atoi(room[len("room"):])
	return n
}

// quantile is over records, in milliseconds.
func quantile(waits []wait, q float64) float64 {
	slices.SortFunc(waits, func(a, b wait) int { return cmp.Compare(a.took, b.took) })
	total := 0
	for _, w := range waits {
		total += w.records
	}
	seen := 0
	for _, w := range waits {
		if seen += w.records; float64(seen) >= q*float64(total) {
			return float64(w.took.Microseconds()) / 1000
		}
	}
	return 0
}
