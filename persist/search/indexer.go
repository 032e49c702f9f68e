package search

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lectern/persist"
	"lectern/rooms"
)

const (
	queueRecordsMax = 20_000
	queueBytesMax   = 16 << 20
	// chunkChanges is how many changes of a room that is read back go into one Apply.
	chunkChanges = 1000
	// retryEvery is how often a room whose indexing failed is tried again.
	retryEvery = 10 * time.Second
	// roomsMax bounds the rooms that CatchUp looks at, the newest first.
	roomsMax = 100_000
)

// Indexer keeps an index behind the journal. Make one with NewIndexer, give Store to the journal, start Run.
type Indexer struct {
	// Immutable.
	index Index
	store persist.Store
	log   *slog.Logger
	wake  chan struct{}

	// Guarded by mu.
	mu         sync.Mutex
	queue      []rooms.Record
	queueBytes int
	behind     map[string]bool // rooms to be read from the store; their new records are not queued
	working    bool
	idle       []chan struct{} // closed when there is nothing left to do

	indexed, failed atomic.Int64
}

// NewIndexer makes an indexer that reads what it has missed from store.
func NewIndexer(index Index, store persist.Store, log *slog.Logger) *Indexer {
	return &Indexer{
		index: index, store: store, log: log, wake: make(chan struct{}, 1), behind: make(map[string]bool),
	}
}

// Store is the store with the indexer behind it: what is stored through it is indexed.
func (x *Indexer) Store() persist.Store { return &tee{Store: x.store, indexer: x} }

// tee shows the indexer what was stored.
type tee struct {
	persist.Store
	indexer *Indexer
}

// AppendRecords implements persist.Store.
func (t *tee) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	err := t.Store.AppendRecords(ctx, recs)
	if err == nil {
		t.indexer.offer(recs)
	}
	return err
}

// offer queues records that were stored. It never waits: a room whose records find no place is behind from then on.
func (x *Indexer) offer(recs []rooms.Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	some := false
	for i := range recs {
		rec := &recs[i]
		if !rooms.HasTexts(rec.Kind) || x.behind[rec.Room] {
			continue
		}
		if len(x.queue) >= queueRecordsMax || x.queueBytes+len(rec.Data) > queueBytesMax {
			x.behind[rec.Room] = true
		} else {
			x.queue = append(x.queue, *rec)
			x.queueBytes += len(rec.Data)
		}
		some = true
	}
	if some {
		x.signal()
	}
}

func (x *Indexer) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// CatchUp marks the rooms whose records are not all in the index, for Run to read them. Call it before the journal
// begins to write. It blocks on store and index.
func (x *Indexer) CatchUp(ctx context.Context) error {
	list, err := x.store.Rooms(ctx, roomsMax)
	if err != nil {
		return err
	}
	behind := map[string]bool{}
	for _, r := range list {
		at, err := x.index.UpTo(ctx, r.Room)
		if err != nil {
			return err
		}
		if at < r.Records {
			behind[r.Room] = true
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for room := range behind {
		x.behind[room] = true
	}
	x.signal()
	return nil
}

// Rebuild empties the index and reads every room again. It blocks until all is done.
func (x *Indexer) Rebuild(ctx context.Context) (roomsRead int, err error) {
	if err := x.index.Reset(ctx); err != nil {
		return 0, err
	}
	list, err := x.store.Rooms(ctx, roomsMax)
	if err != nil {
		return 0, err
	}
	for _, r := range list {
		if err := x.read(ctx, r.Room); err != nil {
			return roomsRead, err
		}
		roomsRead++
	}
	return roomsRead, nil
}

// ForgetGone removes from the index what the store no longer has: rooms whose time to be kept is over. Any goroutine.
func (x *Indexer) ForgetGone(ctx context.Context) (gone int, err error) {
	indexed, err := x.index.Rooms(ctx) // first: what is indexed has been stored
	if err != nil {
		return 0, err
	}
	list, err := x.store.Rooms(ctx, math.MaxInt32)
	if err != nil {
		return 0, err
	}
	there := make(map[string]bool, len(list))
	for i := range list {
		there[list[i].Room] = true
	}
	for _, room := range indexed {
		if there[room] {
			continue
		}
		// A room that is not listed may still wait in a spool.
		switch err := x.store.ReadRoom(ctx, room, func(rooms.Record) error { return errThere }); {
		case errors.Is(err, errThere):
			continue
		case err != nil:
			return gone, err
		}
		if err := x.index.Forget(ctx, []string{room}); err != nil {
			return gone, err
		}
		gone++
	}
	return gone, nil
}

// errThere ends the reading of a room that has records.
var errThere = errors.New("search: the room is there")

// Run indexes until ctx ends. What it has not done then is found by the next CatchUp.
func (x *Indexer) Run(ctx context.Context) {
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		for x.work(ctx) {
		}
		select {
		case <-ctx.Done():
			return
		case <-x.wake:
		case <-retry.C:
		}
	}
}

// work does one thing that waits, and says whether to go on.
func (x *Indexer) work(ctx context.Context) bool {
	x.mu.Lock()
	batch := x.queue
	x.queue, x.queueBytes = nil, 0
	room := ""
	if len(batch) == 0 {
		for r := range x.behind {
			room = r
			break
		}
	}
	x.working = len(batch) > 0 || room != ""
	if !x.working {
		for _, c := range x.idle {
			close(c)
		}
		x.idle = nil
	}
	x.mu.Unlock()
	switch {
	case len(batch) > 0:
		return x.live(ctx, batch)
	case room != "":
		return x.catchUpWith(ctx, room)
	}
	return false
}

// live indexes records as they come.
func (x *Indexer) live(ctx context.Context, batch []rooms.Record) bool {
	places := map[string]int{}
	var changes []Changes
	batch = x.current(batch)
	if len(batch) == 0 {
		return true
	}
	for i := range batch {
		rec := &batch[i]
		at, ok := places[rec.Room]
		if !ok {
			at = len(changes)
			places[rec.Room] = at
			changes = append(changes, Changes{Room: rec.Room})
		}
		list, err := rooms.TextChanges(*rec)
		if err != nil {
			x.failure(rec.Room, err)
			continue
		}
		changes[at].List = append(changes[at].List, list...)
		changes[at].UpTo = max(changes[at].UpTo, rec.Index)
	}
	if err := x.index.Apply(ctx, changes); err != nil {
		x.failure("", err)
		x.mu.Lock()
		defer x.mu.Unlock()
		for room := range places {
			x.behind[room] = true
		}
		return false // the ticker tries again
	}
	x.indexed.Add(int64(len(batch)))
	return true
}

// current drops the records of rooms that are behind: they will be read with those before them, of which some are
// missing.
func (x *Indexer) current(batch []rooms.Record) []rooms.Record {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(batch, func(rec rooms.Record) bool { return x.behind[rec.Room] })
}

// catchUpWith reads a room that is behind. Records that are stored meanwhile are in the store before they are offered,
// so none is missed: the mark is taken off first, and what is read twice does no harm.
func (x *Indexer) catchUpWith(ctx context.Context, room string) bool {
	x.mu.Lock()
	delete(x.behind, room)
	x.mu.Unlock()
	if err := x.read(ctx, room); err != nil {
		x.failure(room, err)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.behind[room] = true
		return false
	}
	return true
}

// read indexes what the store has of a room beyond what is indexed.
func (x *Indexer) read(ctx context.Context, room string) error {
	from, err := x.index.UpTo(ctx, room)
	if err != nil {
		return err
	}
	c := Changes{Room: room, UpTo: from}
	err = x.store.ReadRoom(ctx, room, func(rec rooms.Record) error {
		if rec.Index <= from {
			return nil
		}
		c.UpTo = rec.Index
		if !rooms.HasTexts(rec.Kind) {
			return nil
		}
		list, err := rooms.TextChanges(rec)
		if err != nil {
			x.failure(room, err) // the rest of the room can be found all the same
			return nil
		}
		x.indexed.Add(1)
		if c.List = append(c.List, list...); len(c.List) < chunkChanges {
			return nil
		}
		err = x.index.Apply(ctx, []Changes{c})
		c.List = nil
		return err
	})
	if err != nil || c.UpTo == from {
		return err
	}
	return x.index.Apply(ctx, []Changes{c})
}

// failure counts and logs. The index is derived, so nothing is lost.
func (x *Indexer) failure(room string, err error) {
	x.failed.Add(1)
	x.log.Warn("texts could not be indexed for the search; they will be found later", "room", room, "err", err)
}

// Wait returns when everything that was stored before the call is in the index, or when ctx is done: ctx's error then.
func (x *Indexer) Wait(ctx context.Context) error {
	x.mu.Lock()
	if len(x.queue) == 0 && len(x.behind) == 0 && !x.working {
		x.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	x.idle = append(x.idle, done)
	x.signal()
	x.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		x.mu.Lock()
		x.idle = slices.DeleteFunc(x.idle, func(c chan struct{}) bool { return c == done })
		x.mu.Unlock()
		return ctx.Err()
	}
}

// Stats are the indexer's counters and levels.
type Stats struct {
	Indexed, Failed      int64 // records with texts
	Waiting, RoomsBehind int
}

// Stats reads them. Any goroutine.
func (x *Indexer) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	return Stats{
		Indexed: x.indexed.Load(), Failed: x.failed.Load(), Waiting: len(x.queue), RoomsBehind: len(x.behind),
	}
}

// Index is the index behind it.
func (x *Indexer) Index() Index { return x.index }
