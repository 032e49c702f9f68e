package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lectern/persist"
	"lectern/rooms"
)

const (
	drainRecords   = 5_000 // of one transaction
	drainLast      = 500   // so few go with appends held up, after which the spool is empty
	probeEveryMost = 8     // times Config.ProbeEvery: the longest that tries of a database that is away lie apart
)

// drainWhenBack waits for outages and ends them. It runs until ctx ends.
func (s *Store) drainWhenBack(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.away:
		}
		for wait := s.cfg.ProbeEvery; s.State() != persist.SpoolDirect; wait = min(2*wait, probeEveryMost*s.cfg.ProbeEvery) {
			before := s.drained.Load()
			s.note(ctx, s.drain(ctx))
			if s.drained.Load() != before {
				wait = s.cfg.ProbeEvery
			}
			if s.State() == persist.SpoolDirect {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// awayError is what the database said, to be told from errors of the spool's file.
type awayError struct{ err error }

func (e *awayError) Error() string { return e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// note reports why a drain has stopped, each kind once in a row. The drainer only.
func (s *Store) note(ctx context.Context, err error) {
	var away *awayError
	switch {
	case err == nil:
		s.fileFailed = false
	case ctx.Err() != nil:
	case !errors.As(err, &away):
		if !s.fileFailed {
			s.cfg.Logger.Error("the spool can't be read or emptied; what it holds stays there", "err", err)
		}
		s.fileFailed = true
	case s.State() == persist.SpoolDraining:
		s.becomeAwayAgain(err)
	}
}

func (s *Store) becomeAwayAgain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Store(uint32(persist.SpoolAway))
	s.reachable.Store(false)
	s.cfg.Logger.Error("the database is away again; records are spooled", "err", err, "records", s.records.Load())
}

// drain writes the spool to the database, the oldest records first, until it is empty; then records go to the database
// again. An error means that the database, or the spool, did not answer.
func (s *Store) drain(ctx context.Context) error {
	for {
		recs, upTo, err := s.log.Next(ctx, drainRecords)
		if err != nil {
			return err
		}
		switch {
		case s.State() == persist.SpoolAway && len(recs) == 0:
			if err := s.probe(ctx); err != nil {
				return err
			}
			s.becomeDraining()
		case s.State() == persist.SpoolAway || len(recs) > drainLast:
			if err := s.move(ctx, recs, upTo); err != nil {
				return err
			}
		default:
			if done, err := s.drainLast(ctx); done || err != nil {
				return err
			}
		}
	}
}

// probe tries to write to a database that is away when there is nothing else to write.
func (s *Store) probe(ctx context.Context) error {
	noted, err := s.aliveNoted(ctx)
	if err != nil {
		return err
	}
	if err := s.primary.MarkAlive(ctx, noted); err != nil {
		return &awayError{err}
	}
	return nil
}

// drainLast moves what is left while nothing can come in, if that is little. Only a database that has just answered is
// trusted with that: while it runs, appends wait.
func (s *Store) drainLast(ctx context.Context) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	recs, upTo, err := s.log.Next(ctx, drainRecords)
	if err != nil || len(recs) > drainLast {
		return false, err
	}
	if len(recs) == 0 {
		s.becomeDirect()
		return true, nil
	}
	return false, s.moveLocked(ctx, recs, upTo)
}

func (s *Store) move(ctx context.Context, recs []rooms.Record, upTo int64) error {
	conflicts, err := s.give(ctx, recs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settle(ctx, recs, upTo, conflicts)
}

func (s *Store) moveLocked(ctx context.Context, recs []rooms.Record, upTo int64) error {
	conflicts, err := s.give(ctx, recs)
	if err != nil {
		return err
	}
	return s.settle(ctx, recs, upTo, conflicts)
}

// give writes recs to the database. It returns the rooms whose records the database refuses, with its reason.
func (s *Store) give(ctx context.Context, recs []rooms.Record) (conflicts map[string]error, err error) {
	err = s.primary.AppendRecords(ctx, recs)
	var refused *persist.RecordError
	if err == nil {
		return nil, nil
	}
	if !errors.As(err, &refused) {
		return nil, &awayError{err}
	}
	byRoom := make(map[string][]rooms.Record)
	var order []string
	for i := range recs {
		if byRoom[recs[i].Room] == nil {
			order = append(order, recs[i].Room)
		}
		byRoom[recs[i].Room] = append(byRoom[recs[i].Room], recs[i])
	}
	conflicts = make(map[string]error)
	for _, room := range order {
		err := s.primary.AppendRecords(ctx, byRoom[room])
		if errors.As(err, &refused) {
			conflicts[room] = err
		} else if err != nil {
			return nil, &awayError{err}
		}
	}
	return conflicts, nil
}

// settle takes from the spool what the database has, and sets aside what it will never have. The caller holds mu.
func (s *Store) settle(ctx context.Context, recs []rooms.Record, upTo int64, conflicts map[string]error) error {
	s.becomeDraining()
	for room, reason := range conflicts {
		n, err := s.log.Refuse(ctx, room, reason.Error())
		if err != nil {
			return err
		}
		s.fenced[room] = true
		delete(s.tails, room)
		s.setAside.Add(int64(n))
		s.cfg.Logger.Error("another server has written to this room while the database was away; what was spooled of the "+
			"room is set aside in the spool's table refused, and the room is read again", "room", room, "records", n,
			"err", reason, "spool", s.log.Path())
	}
	if err := s.log.Remove(ctx, upTo); err != nil {
		return err
	}
	s.forget(recs, conflicts)
	if len(conflicts) > 0 {
		return s.recount(ctx)
	}
	return nil
}

// forget counts moved records off. The caller holds mu.
func (s *Store) forget(recs []rooms.Record, conflicts map[string]error) {
	moved := 0
	for i := range recs {
		r := &recs[i]
		if conflicts[r.Room] != nil {
			continue
		}
		moved++
		tail, ok := s.tails[r.Room]
		if tail.First = max(tail.First, r.Index+1); ok && tail.First > tail.Last {
			delete(s.tails, r.Room)
		} else if ok {
			s.tails[r.Room] = tail
		}
	}
	s.drained.Add(uint64(moved))
	s.records.Add(-int64(len(recs)))
	s.bytes.Add(-persist.SpoolBytes(recs))
	s.noteFull()
}

// recount reads the sizes anew. The caller holds mu.
func (s *Store) recount(ctx context.Context) error {
	tails, records, bytes, err := s.log.Tails(ctx)
	if err != nil {
		return err
	}
	s.tails = tails
	s.records.Store(records)
	s.bytes.Store(bytes)
	s.noteFull()
	return nil
}

// ReadRoom implements persist.Store: what the database has, then what is spooled. The spool is read first, because
// records go from it to the database while this runs, and never back.
func (s *Store) ReadRoom(ctx context.Context, room string, visit func(rooms.Record) error) error {
	var spooled []rooms.Record
	if s.State() != persist.SpoolDirect {
		var err error
		if spooled, err = s.log.Room(ctx, room); err != nil {
			return err
		}
	}
	last := uint64(0)
	var stopped error
	pass := func(r rooms.Record) error {
		last = r.Index
		stopped = visit(r)
		return stopped
	}
	err := s.gate()
	if err == nil {
		err = s.primary.ReadRoom(ctx, room, pass)
	}
	switch {
	case stopped != nil || err == nil:
	case !isAway(ctx, err) || last > 0 || len(spooled) == 0 || spooled[0].Index != 1:
		return err
	default:
		err = nil // all of the room is here
	}
	if err != nil {
		return err
	}
	for _, r := range spooled {
		if r.Index <= last {
			continue
		}
		if r.Index != last+1 {
			return fmt.Errorf("spool: room %q: record %d follows record %d", room, r.Index, last)
		}
		if err := pass(r); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fenced, room)
	return nil
}

// LiveRooms implements persist.Store.
func (s *Store) LiveRooms(ctx context.Context) ([]string, error) {
	created, closed, err := s.log.Lives(ctx)
	if err != nil {
		return nil, s.usable(err)
	}
	live, err := guard(s, func() ([]string, error) { return s.primary.LiveRooms(ctx) })
	if err != nil {
		return nil, err
	}
	return merge(live, created, closed), nil
}

// merge adds rooms that were created and takes away those that were closed.
func merge(live, created, closed []string) []string {
	if len(created)+len(closed) == 0 {
		return live
	}
	gone := make(map[string]bool, len(closed)+len(live))
	for _, room := range closed {
		gone[room] = true
	}
	var out []string
	for _, list := range [][]string{live, created} {
		for _, room := range list {
			if !gone[room] {
				gone[room] = true // once
				out = append(out, room)
			}
		}
	}
	return out
}
