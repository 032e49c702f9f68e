package pg_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"lectern/persist/pg"
	"lectern/persist/pgtest"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// BenchmarkAppend writes answers (about 150 bytes) of 50 rooms, one transaction per operation, by each of the two ways.
// Seen on two cores that others used at the same time, records/s by arrays and by COPY: 610 and 430 one by one, 7,000
// and 4,600 by ten, 24,000 and 23,000 by the hundred, 67,000 and 75,000 by the thousand, 99,000 and 139,000 by ten
// thousand.
func BenchmarkAppend(b *testing.B) {
	p := pgtest.New(b, "shared_buffers=256MB", "max_wal_size=4GB")
	for _, batch := range []int{1, 10, 100, 1_000, 10_000} {
		for name, write := range map[string]func(*pg.Store, context.Context, []rooms.Record) error{
			"arrays": (*pg.Store).AppendByArrays, "copy": (*pg.Store).AppendByCopy,
		} {
			b.Run(fmt.Sprintf("%s/%d", name, batch), func(b *testing.B) {
				s := open(b, pg.Config{URL: p.Database(b)})
				data := []byte(`{"question":3,"user":"0H3K5PZ4Q8RT","answer":"2","key":"c0ffee00-1234-4321-9876-0123456789ab",` +
					`"receipt":"7yQwX1b0Yk2m","elapsedMs":4321,"points":873}`)
				next := [50]uint64{}
				recs := make([]rooms.Record, batch)
				total := 0
				for b.Loop() {
					for i := range recs {
						room := (total + i) * 50 / max(batch, 50) % 50
						next[room]++
						recs[i] = rooms.Record{
							Room: fmt.Sprint("room", room), Index: next[room], Kind: "quiz.answered",
							At: 1_764_000_000_000, Data: data,
						}
					}
					if err := write(s, b.Context(), recs); err != nil {
						b.Fatal(err)
					}
					total += batch
				}
				b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkLogins stores families from 64 goroutines over pools of several sizes.
func BenchmarkLogins(b *testing.B) {
	p := pgtest.New(b, "shared_buffers=256MB", "max_wal_size=4GB")
	for _, conns := range []int{1, 2, 4, 8, 16, 32} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			s := open(b, pg.Config{URL: p.Database(b), Conns: conns})
			var n atomic.Uint64
			for range 4 * conns { // so that connecting is not measured
				if _, err := s.LoadKeys(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.SetParallelism(32)
			b.ResetTimer()
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
			b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "logins/s")
		})
	}
}
