package spool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/rooms"
)

var errAway = errors.New("connection refused")

// mode is how a database behaves.
type mode int32

const (
	up   mode = iota
	down      // refuses everything
	mute      // does what it is told, and the answer is lost
)

// flaky is a database in memory that can be away.
type flaky struct {
	*mem.Store
	mode  atomic.Int32
	tries atomic.Int32 // appends that were tried
	hold  atomic.Pointer[chan struct{}]
}

func newFlaky() *flaky { return &flaky{Store: mem.New(nil)} }

func (f *flaky) is(m mode) { f.mode.Store(int32(m)) }

// Close keeps what is stored: it is another process's.
func (f *flaky) Close() error { return nil }

func (f *flaky) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	f.tries.Add(1)
	switch mode(f.mode.Load()) {
	case down:
		return errAway
	case mute:
		_ = f.Store.AppendRecords(ctx, recs)
		return errAway
	}
	if hold := f.hold.Load(); hold != nil && len(recs) != firstDrain {
		<-*hold
	}
	return f.Store.AppendRecords(ctx, recs)
}

// firstDrain is the size of the batches that a long spool is drained by; hold stops what comes after them.
const firstDrain = 5_000

func (f *flaky) ReadRoom(ctx context.Context, room string, visit func(rooms.Record) error) error {
	if mode(f.mode.Load()) != up {
		return errAway
	}
	return f.Store.ReadRoom(ctx, room, visit)
}

func (f *flaky) LiveRooms(ctx context.Context) ([]string, error) {
	if mode(f.mode.Load()) != up {
		return nil, errAway
	}
	return f.Store.LiveRooms(ctx)
}

func (f *flaky) MarkAlive(ctx context.Context, at int64) error {
	if mode(f.mode.Load()) != up {
		return errAway
	}
	return f.Store.MarkAlive(ctx, at)
}

func (f *flaky) LastAlive(ctx context.Context) (int64, error) {
	if mode(f.mode.Load()) != up {
		return 0, errAway
	}
	return f.Store.LastAlive(ctx)
}

var errFile = errors.New("the disk is full")

// memLog is a spool in memory whose calls can fail.
type memLog struct {
	mu       sync.Mutex
	recs     []rooms.Record
	seqs     []int64
	next     int64
	refused  []rooms.Record
	notes    map[string]string
	noAppend bool // Append fails and keeps nothing
	noRemove bool // Remove fails, as a kill before it does
}

func newMemLog() *memLog { return &memLog{notes: make(map[string]string)} }

func (l *memLog) Append(_ context.Context, recs []rooms.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noAppend {
		return errFile
	}
	for i := range recs {
		l.next++
		l.recs, l.seqs = append(l.recs, recs[i]), append(l.seqs, l.next)
	}
	return nil
}

func (l *memLog) Next(_ context.Context, limit int) ([]rooms.Record, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(limit, len(l.recs))
	if n == 0 {
		return nil, 0, nil
	}
	return slices.Clone(l.recs[:n]), l.seqs[n-1], nil
}

func (l *memLog) Remove(_ context.Context, upTo int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noRemove {
		return errFile
	}
	n := 0
	for n < len(l.seqs) && l.seqs[n] <= upTo {
		n++
	}
	l.recs, l.seqs = l.recs[n:], l.seqs[n:]
	return nil
}

func (l *memLog) Room(_ context.Context, room string) (out []rooms.Record, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.recs {
		if r.Room == room {
			out = append(out, r)
		}
	}
	return out, nil
}

func (l *memLog) Refuse(_ context.Context, room, _ string) (n int, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var recs []rooms.Record
	var seqs []int64
	for i, r := range l.recs {
		if r.Room == room {
			l.refused = append(l.refused, r)
			n++
			continue
		}
		recs, seqs = append(recs, r), append(seqs, l.seqs[i])
	}
	l.recs, l.seqs = recs, seqs
	return n, nil
}

func (l *memLog) Refused(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.refused)), nil
}

func (l *memLog) Tails(context.Context) (map[string]persist.SpoolTail, int64, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tails := make(map[string]persist.SpoolTail)
	for _, r := range l.recs {
		tail, ok := tails[r.Room]
		if !ok {
			tail.First = r.Index
		}
		tail.First, tail.Last = min(tail.First, r.Index), max(tail.Last, r.Index)
		tails[r.Room] = tail
	}
	return tails, int64(len(l.recs)), persist.SpoolBytes(l.recs), nil
}

func (l *memLog) Lives(context.Context) (created, closed []string, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.recs {
		switch r.Kind {
		case rooms.KindRoomCreated:
			created = append(created, r.Room)
		case rooms.KindRoomClosed:
			closed = append(closed, r.Room)
		}
	}
	return created, closed, nil
}

func (l *memLog) Note(_ context.Context, name, value string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noAppend {
		return errFile
	}
	l.notes[name] = value
	return nil
}

func (l *memLog) Noted(_ context.Context, name string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notes[name], nil
}

func (l *memLog) Path() string { return "spool.db" }
func (l *memLog) Close() error { return nil }

// eventually waits for something that another goroutine does.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(until) {
			t.Fatalf("it does not come to this: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
