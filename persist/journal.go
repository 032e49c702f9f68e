package persist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lectern/rooms"
)

// Config is a Journal's settings. The zero value is the usual ones.
type Config struct {
	QueueBytesMax   int              // waiting and being written; default 64 MiB
	QueueRecordsMax int              // waiting and being written; default 500,000
	BatchBytesMax   int              // of one transaction, beyond which no further append joins it; default 4 MiB
	BatchRecordsMax int              // of one transaction, likewise; default 10,000
	FlushTimeout    time.Duration    // of one transaction; default 30 s
	Pace            time.Duration    // from the beginning of one flush to that of the next, at least; default none
	Now             func() time.Time // for durations in Stats; default time.Now
	Logger          *slog.Logger     // failed flushes; default slog.Default
	Gate            Gate             // what Refuses asks; default the store, if it is one
}

func (c Config) withDefaults() Config {
	setDefault(&c.QueueBytesMax, 64<<20)
	setDefault(&c.QueueRecordsMax, 500_000)
	setDefault(&c.BatchBytesMax, 4<<20)
	setDefault(&c.BatchRecordsMax, 10_000)
	if c.FlushTimeout <= 0 {
		c.FlushTimeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func setDefault(v *int, value int) {
	if *v <= 0 {
		*v = value
	}
}

// recordOverheadBytes is what a queued record costs beside its data.
const recordOverheadBytes = 64

// pending is one Append that waits.
type pending struct {
	recs  []rooms.Record
	done  func(error)
	bytes int
}

// Journal writes records behind the rooms, with group commit. It implements rooms.Journal. Make one with New, start Run
// on a goroutine, end it with Close.
type Journal struct {
	// Immutable.
	store Store
	cfg   Config
	wake  chan struct{} // one slot: something waits or the journal closes
	ended chan struct{} // closed when Run has returned

	// Run's goroutine only.
	lastLogged time.Time // when a failed transaction was last logged
	unlogged   int       // failed transactions since

	// Guarded by mu.
	mu           sync.Mutex
	queue        []pending
	spare        []pending // the other half of the double buffer
	queueBytes   int       // with the batch being written
	queueRecords int
	running      bool
	closing      bool
	failed       map[string]uint64 // room → the index it must restart from
	stats        counters
}

var _ rooms.Journal = (*Journal)(nil)

// New makes a journal in front of store. It does not close the store.
func New(store Store, cfg Config) *Journal {
	if gate, ok := store.(Gate); ok && cfg.Gate == nil {
		cfg.Gate = gate
	}
	return &Journal{
		store: store, cfg: cfg.withDefaults(),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), failed: make(map[string]uint64),
	}
}

// Append implements rooms.Journal. Errors: ErrFull, ErrClosed, ErrInvalid. recs belongs to the journal from then on. A
// room one of whose records could not be stored gets ErrRoomFailed through done until a record comes with the index
// that follows the last durable one.
func (j *Journal) Append(recs []rooms.Record, done func(error)) error {
	if err := CheckRecords(recs); err != nil {
		return err
	}
	bytes := 0
	for i := range recs {
		bytes += len(recs[i].Room) + len(recs[i].Kind) + len(recs[i].Data) + recordOverheadBytes
	}
	j.mu.Lock()
	if j.closing {
		j.mu.Unlock()
		return ErrClosed
	}
	if j.queueBytes+bytes > j.cfg.QueueBytesMax || j.queueRecords+len(recs) > j.cfg.QueueRecordsMax {
		j.stats.refused++
		j.mu.Unlock()
		return ErrFull
	}
	j.queue = append(j.queue, pending{recs: recs, done: done, bytes: bytes})
	j.queueBytes += bytes
	j.queueRecords += len(recs)
	j.mu.Unlock()
	j.signal()
	return nil
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Load implements rooms.Journal. Afterwards nothing is held against a room that had failed, whether it could be read or
// not: who loads it has nothing of it on the way any more and goes on from what was visited, and a late record
// would leave a gap, which the store refuses. Otherwise a room that nobody comes back to would count as failed
// for ever.
func (j *Journal) Load(room string, visit func(rooms.Record) error) error {
	err := j.store.ReadRoom(context.Background(), room, visit)
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.failed, room)
	return err
}

// LiveRooms implements rooms.Journal.
func (j *Journal) LiveRooms() ([]string, error) { return j.store.LiveRooms(context.Background()) }

// Run writes until Close is called or ctx is cancelled, and what is queued by then is written; then it returns. Call it
// once. All done callbacks run on its goroutine.
func (j *Journal) Run(ctx context.Context) error {
	j.mu.Lock()
	if j.running {
		j.mu.Unlock()
		return errors.New("persist: the journal is running already")
	}
	j.running = true
	j.mu.Unlock()
	defer close(j.ended)
	stop := context.AfterFunc(ctx, func() { j.close() })
	defer stop()
	for {
		batch, closing := j.take()
		if len(batch) > 0 {
			began := time.Now()
			j.write(batch)
			if rest := j.cfg.Pace - time.Since(began); rest > 0 && !closing {
				<-time.After(rest)
			}
			continue
		}
		if closing {
			return nil
		}
		<-j.wake
	}
}

// Close refuses further appends and waits until what is queued is written, or until ctx is done. Without a running Run,
// what is queued gets ErrClosed.
func (j *Journal) Close(ctx context.Context) error {
	if !j.close() {
		return nil
	}
	select {
	case <-j.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("persist: the journal is not written out yet: %w", ctx.Err())
	}
}

// close reports whether there is a Run to wait for.
func (j *Journal) close() bool {
	j.mu.Lock()
	j.closing = true
	running := j.running
	var dropped []pending
	if !running {
		dropped, j.queue, j.queueBytes, j.queueRecords = j.queue, nil, 0, 0
	}
	j.mu.Unlock()
	for i := range dropped {
		dropped[i].finish(ErrClosed)
	}
	j.signal()
	return running
}

func (p *pending) finish(err error) {
	if p.done != nil {
		p.done(err)
	}
}

// take returns everything that waits; the slice is the journal's own again at the next take.
func (j *Journal) take() (batch []pending, closing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch = j.queue
	j.queue, j.spare = j.spare[:0], batch
	return batch, j.closing
}

// write stores appends in transactions of bounded size, in order, and answers each.
func (j *Journal) write(appends []pending) {
	for len(appends) > 0 {
		n, bytes, records := 0, 0, 0
		for n < len(appends) && (n == 0 ||
			bytes+appends[n].bytes <= j.cfg.BatchBytesMax && records+len(appends[n].recs) <= j.cfg.BatchRecordsMax) {
			bytes += appends[n].bytes
			records += len(appends[n].recs)
			n++
		}
		j.flush(appends[:n])
		clear(appends[:n]) // the double buffer must not keep records alive
		appends = appends[n:]
	}
}

// flush stores one batch. When the store refuses one record of many appends, each append is tried by itself: one room
// that has lost its ownership must not fail the others.
func (j *Journal) flush(batch []pending) {
	verdicts := make([]error, len(batch))
	good := make([]int, 0, len(batch))
	recs := make([]rooms.Record, 0, len(batch[0].recs))
	j.mu.Lock()
	for i := range batch {
		if verdicts[i] = j.admit(batch[i].recs); verdicts[i] == nil {
			good = append(good, i)
			recs = append(recs, batch[i].recs...)
		}
	}
	j.mu.Unlock()
	err := j.commit(recs)
	var refused *RecordError
	if errors.As(err, &refused) && len(good) > 1 {
		j.flushEach(batch, good, verdicts)
	} else if err != nil {
		for _, i := range good {
			verdicts[i] = err
			j.noteFailed(batch[i].recs)
		}
	}
	j.answer(batch, verdicts)
}

// flushEach stores the good appends of batch one by one.
func (j *Journal) flushEach(batch []pending, good []int, verdicts []error) {
	for _, i := range good {
		j.mu.Lock()
		verdicts[i] = j.admit(batch[i].recs)
		j.mu.Unlock()
		if verdicts[i] != nil {
			continue
		}
		if verdicts[i] = j.commit(batch[i].recs); verdicts[i] != nil {
			j.noteFailed(batch[i].recs)
		}
	}
}

// admit refuses records that would follow lost ones, and lets a failed room go on from where its durable records end.
// The caller holds mu.
func (j *Journal) admit(recs []rooms.Record) error {
	if len(j.failed) == 0 {
		return nil
	}
	first := make(map[string]bool) // rooms whose first record was seen: the records of several rooms may be interleaved
	for i := range recs {
		room := recs[i].Room
		if first[room] {
			continue
		}
		first[room] = true
		if want, ok := j.failed[room]; ok && recs[i].Index != want {
			j.markFailed(recs) // its other rooms lose records with it
			return fmt.Errorf("%w (room %q)", ErrRoomFailed, room)
		}
	}
	for i := range recs {
		delete(j.failed, recs[i].Room)
	}
	return nil
}

func (j *Journal) noteFailed(recs []rooms.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.markFailed(recs)
}

// markFailed marks the rooms of recs, each with the lowest index that was lost. The caller holds mu.
func (j *Journal) markFailed(recs []rooms.Record) {
	for i := range recs {
		r := &recs[i]
		if at, ok := j.failed[r.Room]; !ok || r.Index < at {
			j.failed[r.Room] = r.Index
		}
	}
}

// commit writes one transaction and counts it.
func (j *Journal) commit(recs []rooms.Record) error {
	if len(recs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), j.cfg.FlushTimeout)
	defer cancel()
	began := j.cfg.Now()
	err := j.store.AppendRecords(ctx, recs)
	took := j.cfg.Now().Sub(began)
	if err != nil {
		j.logFailure(began, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.flushed(len(recs), took, err)
	return err
}

// failureLogEvery is how often failures are logged while one follows another.
const failureLogEvery = 10 * time.Second

// logFailure reports a failed transaction: a full disk must not be filled with log lines. Run's goroutine.
func (j *Journal) logFailure(now time.Time, err error) {
	j.unlogged++
	if since := now.Sub(j.lastLogged); since >= 0 && since < failureLogEvery {
		return
	}
	j.cfg.Logger.Error("journal: records were not stored", "transactions", j.unlogged, "error", err)
	j.lastLogged, j.unlogged = now, 0
}

// answer gives the batch's room in the queue back, then calls done in order.
func (j *Journal) answer(batch []pending, verdicts []error) {
	j.mu.Lock()
	for i := range batch {
		j.queueBytes -= batch[i].bytes
		j.queueRecords -= len(batch[i].recs)
	}
	j.mu.Unlock()
	for i := range batch {
		batch[i].finish(verdicts[i])
	}
}
