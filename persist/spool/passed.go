package spool

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// gate refuses what only the database can do while it is known to be away.
func (s *Store) gate() error {
	switch {
	case s.closed.Load():
		return persist.ErrClosed
	case s.State() == persist.SpoolAway && !s.reachable.Load():
		return fmt.Errorf("%w; try again later", persist.ErrUnavailable)
	}
	return nil
}

// usable makes the error of a call on a closed store plain.
func (s *Store) usable(err error) error {
	if s.closed.Load() {
		return persist.ErrClosed
	}
	return err
}

func guard[T any](s *Store, f func() (T, error)) (T, error) {
	if err := s.gate(); err != nil {
		var none T
		return none, err
	}
	return f()
}

func (s *Store) guarded(f func() error) error {
	if err := s.gate(); err != nil {
		return err
	}
	return f()
}

const aliveNote = "alive"

// MarkAlive implements persist.Store. While records are spooled, so is the mark.
func (s *Store) MarkAlive(ctx context.Context, at int64) error {
	if s.State() == persist.SpoolDirect {
		err := s.guarded(func() error { return s.primary.MarkAlive(ctx, at) })
		if !isAway(ctx, err) {
			return err
		}
		s.mu.Lock()
		if s.State() == persist.SpoolDirect { // a server that has nothing to record notices the outage too
			s.becomeAway(err)
		}
		s.mu.Unlock()
	}
	noted, err := s.aliveNoted(ctx)
	if err != nil || at <= noted {
		return s.usable(err)
	}
	if err := s.log.Note(ctx, aliveNote, strconv.FormatInt(at, 10)); err != nil {
		return s.usable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteFull() // a file that could not be written can be again
	return nil
}

func (s *Store) aliveNoted(ctx context.Context) (int64, error) {
	text, err := s.log.Noted(ctx, aliveNote)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// LastAlive implements persist.Store.
func (s *Store) LastAlive(ctx context.Context) (int64, error) {
	noted, err := s.aliveNoted(ctx)
	if err != nil {
		return 0, s.usable(err)
	}
	at, err := guard(s, func() (int64, error) { return s.primary.LastAlive(ctx) })
	return max(at, noted), err
}

// ForgetRooms implements persist.Store.
func (s *Store) ForgetRooms(ctx context.Context, closedBefore int64) (int, error) {
	return guard(s, func() (int, error) { return s.primary.ForgetRooms(ctx, closedBefore) })
}

// Rooms implements persist.Store. Rooms that are only spooled so far are not listed.
func (s *Store) Rooms(ctx context.Context, limit int) ([]persist.RoomInfo, error) {
	return guard(s, func() ([]persist.RoomInfo, error) { return s.primary.Rooms(ctx, limit) })
}

// RoomsOf implements persist.Store, as Rooms does.
func (s *Store) RoomsOf(ctx context.Context, owner string, limit int) ([]persist.RoomInfo, error) {
	return guard(s, func() ([]persist.RoomInfo, error) { return s.primary.RoomsOf(ctx, owner, limit) })
}

// PutQuiz implements persist.Store.
func (s *Store) PutQuiz(ctx context.Context, owner string, q *wire.Quiz) (string, error) {
	return guard(s, func() (string, error) { return s.primary.PutQuiz(ctx, owner, q) })
}

// GetQuiz implements persist.Store.
func (s *Store) GetQuiz(ctx context.Context, id string) (q *wire.Quiz, owner string, err error) {
	err = s.guarded(func() error {
		q, owner, err = s.primary.GetQuiz(ctx, id)
		return err
	})
	return q, owner, err
}

// ListQuizzes implements persist.Store.
func (s *Store) ListQuizzes(ctx context.Context, owner string) ([]persist.QuizInfo, error) {
	return guard(s, func() ([]persist.QuizInfo, error) { return s.primary.ListQuizzes(ctx, owner) })
}

// DeleteQuiz implements persist.Store.
func (s *Store) DeleteQuiz(ctx context.Context, owner, id string) error {
	return s.guarded(func() error { return s.primary.DeleteQuiz(ctx, owner, id) })
}

// SchemaVersion implements persist.Store.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	return guard(s, func() (int64, error) { return s.primary.SchemaVersion(ctx) })
}

// Check implements persist.Store: the database, and what the spool holds.
func (s *Store) Check(ctx context.Context) error {
	_, _, _, err := s.log.Tails(ctx)
	return s.usable(errors.Join(err, s.guarded(func() error { return s.primary.Check(ctx) })))
}

// LoadKeys implements auth.KeyStore.
func (s *Store) LoadKeys(ctx context.Context) ([]auth.StoredKey, error) {
	return guard(s, func() ([]auth.StoredKey, error) { return s.primary.LoadKeys(ctx) })
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.StoredKey, othersRetireAt int64, onlyFirst bool) error {
	return s.guarded(func() error { return s.primary.AddKey(ctx, key, othersRetireAt, onlyFirst) })
}

// DeleteRetiredKeys implements auth.KeyStore.
func (s *Store) DeleteRetiredKeys(ctx context.Context, at int64) error {
	return s.guarded(func() error { return s.primary.DeleteRetiredKeys(ctx, at) })
}

// CreateFamily implements auth.RefreshStore.
func (s *Store) CreateFamily(ctx context.Context, f auth.Family, first auth.RefreshHash) error {
	return s.guarded(func() error { return s.primary.CreateFamily(ctx, f, first) })
}

// RotateRefresh implements auth.RefreshStore.
func (s *Store) RotateRefresh(ctx context.Context, r auth.Rotation) (auth.Family, error) {
	return guard(s, func() (auth.Family, error) { return s.primary.RotateRefresh(ctx, r) })
}

// RevokeFamily implements auth.RefreshStore.
func (s *Store) RevokeFamily(ctx context.Context, token auth.RefreshHash, now int64) (auth.Family, error) {
	return guard(s, func() (auth.Family, error) { return s.primary.RevokeFamily(ctx, token, now) })
}

// RevokedFamilies implements auth.RefreshStore.
func (s *Store) RevokedFamilies(ctx context.Context, since int64) ([]auth.Revocation, error) {
	return guard(s, func() ([]auth.Revocation, error) { return s.primary.RevokedFamilies(ctx, since) })
}

// PurgeRefresh implements auth.RefreshStore.
func (s *Store) PurgeRefresh(ctx context.Context, at int64) error {
	return s.guarded(func() error { return s.primary.PurgeRefresh(ctx, at) })
}

// ExportQuizzes implements persist.Portable.
func (s *Store) ExportQuizzes(ctx context.Context, visit func(persist.StoredQuiz) error) error {
	return s.guarded(func() error { return s.primary.ExportQuizzes(ctx, visit) })
}

// ImportQuizzes implements persist.Portable.
func (s *Store) ImportQuizzes(ctx context.Context, quizzes []persist.StoredQuiz) error {
	return s.guarded(func() error { return s.primary.ImportQuizzes(ctx, quizzes) })
}

// ExportFamilies implements persist.Portable.
func (s *Store) ExportFamilies(ctx context.Context, visit func(persist.StoredFamily) error) error {
	return s.guarded(func() error { return s.primary.ExportFamilies(ctx, visit) })
}

// ImportFamilies implements persist.Portable.
func (s *Store) ImportFamilies(ctx context.Context, families []persist.StoredFamily) error {
	return s.guarded(func() error { return s.primary.ImportFamilies(ctx, families) })
}
