package rooms

import (
	"context"
	"fmt"
	"sync"

	"lectern/rooms/effect"
)

// Loader rebuilds rooms from the journal on goroutines of its own, so that no shard waits for a store.
type Loader struct {
	journal Journal
	mu      sync.Mutex
	queue   []loadRequest
	wake    chan struct{}
}

type loadRequest struct {
	room string
	cfg  *Config
	done func(*Room, error)
}

// loadWorkers is how many rooms are rebuilt at the same time.
const loadWorkers = 2

// NewLoader makes a loader; Run makes it work.
func NewLoader(journal Journal) *Loader {
	return &Loader{journal: journal, wake: make(chan struct{}, loadWorkers)}
}

// Load asks for a room; done is called once from a goroutine of the loader, with a room that has no facts when the
// journal knows none. The queue is bounded by the callers: a shard asks once per room. Any goroutine.
func (l *Loader) Load(room string, cfg *Config, done func(*Room, error)) {
	l.mu.Lock()
	l.queue = append(l.queue, loadRequest{room, cfg, done})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends; rooms that still wait then are not loaded.
func (l *Loader) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range loadWorkers {
		workers.Go(func() {
			for ctx.Err() == nil {
				if l.Work() {
					continue
				}
				select {
				case <-ctx.Done():
				case <-l.wake:
				}
			}
		})
	}
	workers.Wait()
}

// Work rebuilds one room that waits, and says whether there was one. Run calls it; a simulation calls it by itself.
func (l *Loader) Work() bool {
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.mu.Unlock()
		return false
	}
	req := l.queue[0]
	l.queue = l.queue[1:]
	more := len(l.queue) > 0
	l.mu.Unlock()
	if more {
		select { // another worker may help
		case l.wake <- struct{}{}:
		default:
		}
	}
	room, err := Rebuild(l.journal, req.room, req.cfg)
	req.done(room, err)
	return true
}

// Rebuild replays a room's records. It blocks on the journal. A room that the journal doesn't know has no facts. A
// panic on the way is an error: one room's records must not end the process.
func Rebuild(journal Journal, id string, cfg *Config) (_ *Room, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("rooms: replay of room %s panicked: %v", id, p)
		}
	}()
	room := NewRoom(id, cfg)
	var scratch effect.Effects
	err = journal.Load(id, func(rec Record) error { return room.Replay(rec, &scratch) })
	if err != nil {
		return nil, err
	}
	return room, nil
}
