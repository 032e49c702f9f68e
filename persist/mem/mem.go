// Package mem is a persist.Store in memory: for tests, for conformance runs and for a demo that may forget. Nothing
// outlives the process. Memory grows with what is stored; there is no limit.
package mem

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// schemaVersion never changes: there is nothing to migrate.
const schemaVersion = 1

// Store implements persist.Store.
type Store struct {
	now func() time.Time // immutable

	mu     sync.RWMutex // guards all below
	closed bool
	rooms  map[string]*room
	order  []*room // by first record
	alive  int64   // see MarkAlive
	quizzes
	secrets
}

var _ persist.Store = (*Store)(nil)

type room struct {
	info    persist.RoomInfo
	records []rooms.Record
}

// New makes an empty store. now is the clock of quiz changes; nil is time.Now.
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, rooms: make(map[string]*room), quizzes: newQuizzes(), secrets: newSecrets()}
}

// AppendRecords implements persist.Store.
func (s *Store) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	if err := persist.CheckRecords(recs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	fresh := make([]rooms.Record, 0, len(recs))
	staged := make(map[string][]rooms.Record) // of this call, by room
	for i := range recs {
		r := &recs[i]
		var have []rooms.Record
		if known := s.rooms[r.Room]; known != nil {
			have = known.records
		}
		stored := uint64(len(have))
		next := stored + uint64(len(staged[r.Room])) + 1
		switch {
		case r.Index > next:
			return &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrGap}
		case r.Index == next:
			c := *r
			c.Data = bytes.Clone(r.Data)
			staged[r.Room] = append(staged[r.Room], c)
			fresh = append(fresh, c)
		default:
			var old rooms.Record
			if r.Index <= stored {
				old = have[r.Index-1]
			} else {
				old = staged[r.Room][r.Index-1-stored]
			}
			if old.Kind != r.Kind || old.At != r.At || !bytes.Equal(old.Data, r.Data) {
				return &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrConflict}
			}
		}
	}
	for i := range fresh {
		s.insert(&fresh[i])
	}
	return nil
}

func (s *Store) insert(r *rooms.Record) {
	known := s.rooms[r.Room]
	if known == nil {
		known = &room{info: persist.RoomInfo{Room: r.Room}}
		s.rooms[r.Room] = known
		s.order = append(s.order, known)
	}
	known.records = append(known.records, *r)
	known.info.Records++
	switch r.Kind {
	case rooms.KindRoomCreated:
		known.info.CreatedAt, known.info.Owner = r.At, persist.OwnerOf(r.Data)
	case rooms.KindRoomClosed:
		known.info.ClosedAt = r.At
	}
}

// ReadRoom implements persist.Store. visit runs without a lock and sees the records of the moment it began.
func (s *Store) ReadRoom(ctx context.Context, name string, visit func(rooms.Record) error) error {
	s.mu.RLock()
	err := s.usable(ctx)
	var records []rooms.Record
	if known := s.rooms[name]; known != nil {
		records = known.records
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	for _, r := range records {
		r.Data = bytes.Clone(r.Data)
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// LiveRooms implements persist.Store.
func (s *Store) LiveRooms(ctx context.Context) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var live []string
	for _, r := range s.order {
		if r.info.CreatedAt != 0 && r.info.ClosedAt == 0 {
			live = append(live, r.info.Room)
		}
	}
	return live, nil
}

// Rooms implements persist.Store.
func (s *Store) Rooms(ctx context.Context, limit int) ([]persist.RoomInfo, error) {
	return s.list(ctx, limit, func(*persist.RoomInfo) bool { return true })
}

// RoomsOf implements persist.Store.
func (s *Store) RoomsOf(ctx context.Context, owner string, limit int) ([]persist.RoomInfo, error) {
	return s.list(ctx, limit, func(i *persist.RoomInfo) bool { return i.Owner == owner })
}

func (s *Store) list(ctx context.Context, limit int, want func(*persist.RoomInfo) bool) ([]persist.RoomInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var out []persist.RoomInfo
	for _, r := range slices.Backward(s.order) {
		if len(out) >= limit {
			break
		}
		if want(&r.info) {
			out = append(out, r.info)
		}
	}
	return out, nil
}

// ForgetRooms implements persist.Store.
func (s *Store) ForgetRooms(ctx context.Context, closedBefore int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	before := len(s.order)
	s.order = slices.DeleteFunc(s.order, func(r *room) bool {
		old := r.info.ClosedAt != 0 && r.info.ClosedAt < closedBefore
		if old {
			delete(s.rooms, r.info.Room)
		}
		return old
	})
	return before - len(s.order), nil
}

// MarkAlive implements persist.Store.
func (s *Store) MarkAlive(ctx context.Context, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.alive = max(s.alive, at)
	return nil
}

// LastAlive implements persist.Store.
func (s *Store) LastAlive(ctx context.Context) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.alive, s.usable(ctx)
}

// SchemaVersion implements persist.Store.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return schemaVersion, s.usable(ctx)
}

// Check implements persist.Store.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.SchemaVersion(ctx)
	return err
}

// Close implements persist.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// usable is called with mu held.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return persist.ErrClosed
	}
	return ctx.Err()
}

// quizzes is the quiz library.
type quizzes struct {
	byID  map[string]*quiz
	clock uint64 // counts changes, to order those of one millisecond
}

type quiz struct {
	owner   string
	info    persist.QuizInfo
	body    []byte // JSON: nobody can change what is stored
	changed uint64
}

func newQuizzes() quizzes { return quizzes{byID: make(map[string]*quiz)} }

// PutQuiz implements persist.Store.
func (s *Store) PutQuiz(ctx context.Context, owner string, q *wire.Quiz) (string, error) {
	c := *q
	if c.ID == "" {
		c.ID = rand.Text()
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("mem: encode the quiz: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	if old := s.byID[c.ID]; q.ID != "" && (old == nil || old.owner != owner) {
		return "", persist.ErrNotFound
	}
	s.clock++
	s.byID[c.ID] = &quiz{owner: owner, body: body, changed: s.clock, info: persist.QuizInfo{
		ID: c.ID, Title: c.Title, Language: c.Language, Questions: len(c.Questions), UpdatedAt: s.now().UnixMilli(),
	}}
	return c.ID, nil
}

// GetQuiz implements persist.Store.
func (s *Store) GetQuiz(ctx context.Context, id string) (*wire.Quiz, string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, "", err
	}
	stored := s.byID[id]
	if stored == nil {
		return nil, "", persist.ErrNotFound
	}
	q := new(wire.Quiz)
	if err := json.Unmarshal(stored.body, q); err != nil {
		return nil, "", fmt.Errorf("mem: decode the quiz: %w", err)
	}
	return q, stored.owner, nil
}

// ListQuizzes implements persist.Store.
func (s *Store) ListQuizzes(ctx context.Context, owner string) ([]persist.QuizInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var mine []*quiz
	for _, q := range s.byID {
		if q.owner == owner {
			mine = append(mine, q)
		}
	}
	slices.SortFunc(mine, func(a, b *quiz) int { return int(b.changed) - int(a.changed) })
	out := make([]persist.QuizInfo, len(mine))
	for i, q := range mine {
		out[i] = q.info
	}
	return out, nil
}

// DeleteQuiz implements persist.Store.
func (s *Store) DeleteQuiz(ctx context.Context, owner, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if q := s.byID[id]; q == nil || q.owner != owner {
		return persist.ErrNotFound
	}
	delete(s.byID, id)
	return nil
}
