package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"lectern/persist/sqlite"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// BenchmarkAppend writes answers (about 150 bytes) of 50 rooms, one transaction per operation. Seen on two cores that
// others used at the same time: 400 to 3,700 records/s one by one (each waits for the disk), 14,000 to 28,000 by the
// hundred, 80,000 to 180,000 by the ten thousand.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []string{"full", "normal"} {
		for _, batch := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", sync, batch), func(b *testing.B) {
				s := open(b, sqlite.Config{Path: filepath.Join(b.TempDir(), "l.db"), Synchronous: sync})
				data := []byte(`{"question":3,"user":"0H3K5PZ4Q8RT","answer":"2","key":"c0ffee00-1234-4321-9876-0123456789ab",` +
					`"receipt":"7yQwX1b0Yk2m","elapsedMs":4321,"points":873}`)
				next := [50]uint64{}
				recs := make([]rooms.Record, batch)
				total := 0
				for b.Loop() {
					for i := range recs {
						room := (total + i) * 50 / max(batch, 50) % 50 // runs of one room, as shards write them
						next[room]++
						recs[i] = rooms.Record{
							Room: fmt.Sprint("room", room), Index: next[room], Kind: "quiz.answered",
							At: 1_764_000_000_000, Data: data,
						}
					}
					if err := s.AppendRecords(b.Context(), recs); err != nil {
						b.Fatal(err)
					}
					total += batch
				}
				b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkLogins stores families from 64 goroutines, which share transactions.
func BenchmarkLogins(b *testing.B) {
	s := open(b, sqlite.Config{Path: filepath.Join(b.TempDir(), "l.db")})
	var n atomic.Uint64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := n.Add(1)
			hash := auth.RefreshHash{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
			f := auth.Family{ID: fmt.Sprint(id), Subject: "u", ExpiresAt: 1}
			if err := s.CreateFamily(b.Context(), f, hash); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
