package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lectern/persist"
	"lectern/rooms"
)

// Log is the file that records wait in; sqlite.Spool is one. An Append that has returned nil is on the disk.
type Log interface {
	Append(ctx context.Context, recs []rooms.Record) error
	// Next gives the oldest records, at most limit, and what Remove takes once they are stored elsewhere.
	Next(ctx context.Context, limit int) (recs []rooms.Record, upTo int64, err error)
	Remove(ctx context.Context, upTo int64) error
	// Room gives a room's records in the order of Append.
	Room(ctx context.Context, room string) ([]rooms.Record, error)
	// Refuse sets a room's records aside for good.
	Refuse(ctx context.Context, room, reason string) (int, error)
	Refused(ctx context.Context) (int64, error)
	Tails(ctx context.Context) (tails map[string]persist.SpoolTail, records, bytes int64, err error)
	Lives(ctx context.Context) (created, closed []string, err error)
	Note(ctx context.Context, name, value string) error
	Noted(ctx context.Context, name string) (string, error)
	Path() string
	Close() error
}

// Config is a Store's settings.
type Config struct {
	Origin     string        // which database the records are for; a spool of another one is refused
	BytesMax   int64         // of the spool (persist.SpoolBytes); default 1 GiB
	ProbeEvery time.Duration // how often a database that is away is tried; default 1 s
	Logger     *slog.Logger  // each change of state, once; default slog.Default
}

// Store implements persist.Spooler over a primary store and a Log.
type Store struct {
	// Immutable.
	primary persist.Store
	log     Log
	cfg     Config
	stop    context.CancelFunc
	drainer sync.WaitGroup

	fileFailed bool // the drainer's: the file's last failure was logged

	away chan struct{} // one slot: the state is no longer direct

	// Atomic: for readers that must not wait for a write. Written with mu held.
	state            atomic.Uint32
	full             atomic.Bool
	reachable        atomic.Bool // the last try succeeded, while the state is not direct
	records, bytes   atomic.Int64
	outages, drained atomic.Uint64
	setAside         atomic.Int64
	closed           atomic.Bool

	mu     sync.Mutex // guards all below; held while records are written, so that their order is one
	tails  map[string]persist.SpoolTail
	fenced map[string]bool // rooms whose records were set aside, until they are read again
	since  time.Time       // of the outage
}

var (
	_ persist.Spooler = (*Store)(nil)
	_ persist.Gate    = (*Store)(nil)
)

// Open puts a spool in front of primary. What an earlier process has left in it goes to the database first; Open
// returns when that is done. The store owns both from then on, also when Open fails.
func Open(ctx context.Context, primary persist.Store, log Log, cfg Config) (*Store, error) {
	if cfg.BytesMax <= 0 {
		cfg.BytesMax = 1 << 30
	}
	if cfg.ProbeEvery <= 0 {
		cfg.ProbeEvery = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Store{
		primary: primary, log: log, cfg: cfg, away: make(chan struct{}, 1), fenced: make(map[string]bool),
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.takeOver(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.drainer.Go(func() { s.drainWhenBack(run) })
	return s, nil
}

const originNote = "origin"

// takeOver drains what is left of an earlier process.
func (s *Store) takeOver(ctx context.Context) error {
	tails, records, bytes, err := s.log.Tails(ctx)
	if err != nil {
		return err
	}
	setAside, err := s.log.Refused(ctx)
	if err != nil {
		return err
	}
	origin, err := s.log.Noted(ctx, originNote)
	if err != nil {
		return err
	}
	s.tails = tails
	s.records.Store(records)
	s.bytes.Store(bytes)
	s.setAside.Store(setAside)
	if setAside > 0 {
		s.cfg.Logger.Warn("the spool holds records that the database refused; they are in its table refused",
			"records", setAside, "spool", s.log.Path())
	}
	if origin != s.cfg.Origin {
		if records > 0 {
			return fmt.Errorf("spool: %s holds %d records of another database: name that one with --store, or move the "+
				"file away to go on without them", s.log.Path(), records)
		}
		if err := s.log.Note(ctx, originNote, s.cfg.Origin); err != nil {
			return err
		}
	}
	if records == 0 {
		return nil
	}
	s.cfg.Logger.Warn("the spool holds records from before the start; they go to the database first",
		"records", records, "spool", s.log.Path())
	s.state.Store(uint32(persist.SpoolAway))
	if err := s.drain(ctx); err != nil {
		return fmt.Errorf("spool: %s holds %d records that must go to the database first; none is lost: %w", s.log.Path(),
			s.records.Load(), err)
	}
	return nil
}

// isAway says whether an error means that the database did not answer, so that the spool stands in for it.
func isAway(ctx context.Context, err error) bool {
	var refused *persist.RecordError
	return err != nil && ctx.Err() == nil && !errors.As(err, &refused) && !errors.Is(err, persist.ErrInvalid) &&
		!errors.Is(err, persist.ErrClosed)
}

// AppendRecords implements persist.Store.
func (s *Store) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	if err := persist.CheckRecords(recs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return persist.ErrClosed
	}
	if err := ctx.Err(); err != nil || len(recs) == 0 {
		return err
	}
	if s.State() == persist.SpoolDirect {
		err := s.primary.AppendRecords(ctx, recs)
		if !isAway(ctx, err) {
			return err
		}
		s.becomeAway(err)
	}
	return s.spool(ctx, recs)
}

// spool keeps recs in the file. The caller holds mu.
func (s *Store) spool(ctx context.Context, recs []rooms.Record) error {
	fresh, tails, err := s.plan(ctx, recs)
	if err != nil || len(fresh) == 0 {
		return err
	}
	size := persist.SpoolBytes(fresh)
	if s.bytes.Load()+size > s.cfg.BytesMax {
		s.full.Store(true)
		return fmt.Errorf("%w (%s, spool.bytes_max %d)", persist.ErrSpoolFull, s.log.Path(), s.cfg.BytesMax)
	}
	if err := s.log.Append(ctx, fresh); err != nil {
		if !s.full.Swap(true) { // rooms that have not lost anything yet are to keep what they have
			s.cfg.Logger.Error("the spool can't be written: what would have to be recorded is refused", "err", err)
		}
		return err
	}
	for room, tail := range tails {
		s.tails[room] = tail
	}
	s.records.Add(int64(len(fresh)))
	s.bytes.Add(size)
	s.noteFull()
	return nil
}

// plan leaves out what is spooled already and refuses what doesn't follow from it. Of a room that is not in the spool
// the database knows better; it is asked when it is back. The caller holds mu.
func (s *Store) plan(ctx context.Context, recs []rooms.Record) ([]rooms.Record, map[string]persist.SpoolTail, error) {
	tails := make(map[string]persist.SpoolTail)
	fresh := make([]rooms.Record, 0, len(recs))
	for i := range recs {
		r := &recs[i]
		tail, ok := tails[r.Room]
		if !ok {
			tail, ok = s.tails[r.Room]
		}
		switch {
		case s.fenced[r.Room]:
			return nil, nil, &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrConflict}
		case !ok:
			tail = persist.SpoolTail{First: r.Index, Last: r.Index}
		case r.Index > tail.Last+1:
			return nil, nil, &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrGap}
		case r.Index == tail.Last+1:
			tail.Last++
		default:
			there, same, err := s.spooled(ctx, fresh, r)
			switch {
			case err != nil:
				return nil, nil, err
			case there && !same:
				return nil, nil, &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrConflict}
			case there:
				continue
			} // otherwise the database has it already, or something else in its place: that shows when it gets it
		}
		tails[r.Room] = tail
		fresh = append(fresh, *r)
	}
	return fresh, tails, nil
}

// spooled says whether a record's place is taken, in the spool or in what is staged, and by the same content.
func (s *Store) spooled(ctx context.Context, staged []rooms.Record, r *rooms.Record) (there, same bool, err error) {
	spooled, err := s.log.Room(ctx, r.Room)
	if err != nil {
		return false, false, err
	}
	for _, list := range [][]rooms.Record{spooled, staged} {
		for i := range list {
			if list[i].Room == r.Room && list[i].Index == r.Index {
				return true, persist.SameRecord(&list[i], r), nil
			}
		}
	}
	return false, false, nil
}

// State is where records go now.
func (s *Store) State() persist.SpoolState { return persist.SpoolState(s.state.Load()) }

// SpoolStats implements persist.Spooler.
func (s *Store) SpoolStats() persist.SpoolStats {
	return persist.SpoolStats{
		State: s.State(), Full: s.full.Load(), Records: s.records.Load(), Bytes: s.bytes.Load(), BytesMax: s.cfg.BytesMax,
		Outages: s.outages.Load(), Drained: s.drained.Load(), SetAside: s.setAside.Load(),
	}
}

// Refuses implements persist.Gate.
func (s *Store) Refuses() error {
	if s.full.Load() {
		return persist.ErrSpoolFull
	}
	return nil
}

// becomeAway begins an outage. The caller holds mu.
func (s *Store) becomeAway(cause error) {
	s.state.Store(uint32(persist.SpoolAway))
	s.reachable.Store(false)
	s.outages.Add(1)
	s.since = time.Now()
	s.cfg.Logger.Error("the database is away; records are spooled and nothing acknowledged is lost", "err", cause,
		"spool", s.log.Path())
	select {
	case s.away <- struct{}{}:
	default:
	}
}

// becomeDraining notes that the database answers again. The caller need not hold mu: only the drainer calls it.
func (s *Store) becomeDraining() {
	if s.State() != persist.SpoolAway {
		return
	}
	s.reachable.Store(true)
	s.state.Store(uint32(persist.SpoolDraining))
	s.cfg.Logger.Info("the database is back; the spool is written to it", "records", s.records.Load())
}

// becomeDirect ends an outage. The caller holds mu, and the spool is empty.
func (s *Store) becomeDirect() {
	s.state.Store(uint32(persist.SpoolDirect))
	s.reachable.Store(true)
	clear(s.tails)
	s.records.Store(0)
	s.bytes.Store(0)
	s.noteFull()
	if !s.since.IsZero() {
		s.cfg.Logger.Info("the spool is empty; records go to the database again",
			"away", time.Since(s.since).Round(time.Millisecond).String())
	}
}

// noteFull turns the gate: on from nine tenths, off below eight. The caller holds mu.
func (s *Store) noteFull() {
	bytes := s.bytes.Load()
	switch full := s.full.Load(); {
	case !full && bytes >= s.cfg.BytesMax/10*9:
		s.full.Store(true)
		s.cfg.Logger.Error("the spool is full: what would have to be recorded is refused until the database is back",
			"bytes", bytes, "max", s.cfg.BytesMax, "setting", "spool.bytes_max")
	case full && bytes < s.cfg.BytesMax/10*8:
		s.full.Store(false)
		s.cfg.Logger.Info("the spool has room again")
	}
}

// Close ends the drainer and closes both stores. What is spooled stays in the file.
func (s *Store) Close() error {
	s.stop()
	s.drainer.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	return errors.Join(s.log.Close(), s.primary.Close())
}
