package persist

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"slices"

	"lectern/rooms"
	"lectern/rooms/auth"
)

// StoredQuiz is a quiz as a store keeps it.
type StoredQuiz struct {
	ID, Owner string
	UpdatedAt int64  // Unix milliseconds
	Body      []byte // wire.Quiz as JSON
}

// StoredFamily is a family of refresh tokens as a store keeps it.
type StoredFamily struct {
	auth.Family
	Newest   auth.RefreshHash
	Previous []byte // the hash that Newest has replaced; empty: none
	SpentAt  int64  // when that was first spent, Unix milliseconds
	Tokens   []auth.RefreshHash
}

// Portable is what moving a store's content to another store needs beside the rest of Store. Exports go on while others
// write, so a store is moved when no server uses it.
type Portable interface {
	// ExportQuizzes calls visit for every quiz, the last changed last.
	ExportQuizzes(ctx context.Context, visit func(StoredQuiz) error) error
	// ImportQuizzes adds quizzes in the order of their changes. An id that is there already is an error.
	ImportQuizzes(ctx context.Context, quizzes []StoredQuiz) error
	// ExportFamilies calls visit for every family in the order of the ids, its tokens in the order of their hashes.
	ExportFamilies(ctx context.Context, visit func(StoredFamily) error) error
	// ImportFamilies adds families. An id or a hash that is there already is an error.
	ImportFamilies(ctx context.Context, families []StoredFamily) error
}

// FamilyCollector makes families of rows that hold one token each, those of a family one after the other. For backends.
type FamilyCollector struct {
	Visit func(StoredFamily) error

	family StoredFamily
	begun  bool
}

// Row takes a family with one of its tokens.
func (c *FamilyCollector) Row(f *StoredFamily, token auth.RefreshHash) error {
	if !c.begun || c.family.ID != f.ID {
		if err := c.End(); err != nil {
			return err
		}
		c.family, c.begun = *f, true
	}
	c.family.Tokens = append(c.family.Tokens, token)
	return nil
}

// End visits the last family.
func (c *FamilyCollector) End() error {
	if !c.begun {
		return nil
	}
	c.begun = false
	return c.Visit(c.family)
}

// Summary counts what a store holds, and sums it up so that two stores can be compared.
type Summary struct {
	Rooms, Records, Quizzes, Keys, Families, Tokens int
	Alive                                           int64    // see Store.LastAlive
	Sum                                             [32]byte // SHA-256 of all of it, in order
}

// String tells the counts and the beginning of the sum.
func (s Summary) String() string {
	return fmt.Sprintf("%d rooms with %d records, %d quizzes, %d signing keys, %d sessions with %d tokens, sum %x",
		s.Rooms, s.Records, s.Quizzes, s.Keys, s.Families, s.Tokens, s.Sum[:8])
}

// digest takes values apart by their lengths, so that no two contents give the same bytes.
type digest struct{ hash.Hash }

func (d digest) text(values ...string) {
	for _, v := range values {
		d.number(int64(len(v)))
		_, _ = d.Write([]byte(v)) // a hash never fails
	}
}

func (d digest) number(values ...int64) {
	for _, v := range values {
		_, _ = d.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
}

// Summarise reads the whole store.
func Summarise(ctx context.Context, s Store) (sum Summary, err error) {
	d := digest{sha256.New()}
	list, err := oldestFirst(ctx, s)
	if err != nil {
		return sum, err
	}
	sum.Rooms = len(list)
	for i := range list {
		info := &list[i]
		d.text(info.Room, info.Owner)
		d.number(info.CreatedAt, info.ClosedAt, int64(info.Records))
		err := s.ReadRoom(ctx, info.Room, func(r rooms.Record) error {
			sum.Records++
			d.number(int64(r.Index), r.At)
			d.text(r.Kind, string(r.Data))
			return nil
		})
		if err != nil {
			return sum, err
		}
	}
	err = s.ExportQuizzes(ctx, func(q StoredQuiz) error {
		sum.Quizzes++
		d.text(q.ID, q.Owner, string(q.Body))
		d.number(q.UpdatedAt)
		return nil
	})
	if err != nil {
		return sum, err
	}
	if err := summariseSecrets(ctx, s, d, &sum); err != nil {
		return sum, err
	}
	if sum.Alive, err = s.LastAlive(ctx); err != nil {
		return sum, err
	}
	d.number(sum.Alive)
	d.Sum(sum.Sum[:0])
	return sum, nil
}

func summariseSecrets(ctx context.Context, s Store, d digest, sum *Summary) error {
	keys, err := s.LoadKeys(ctx)
	if err != nil {
		return err
	}
	sum.Keys = len(keys)
	for _, k := range keys {
		d.text(k.ID, string(k.PKCS8))
		d.number(k.CreatedAt, k.RetiresAt)
	}
	return s.ExportFamilies(ctx, func(f StoredFamily) error {
		sum.Families++
		sum.Tokens += len(f.Tokens)
		d.text(f.ID, f.Subject, f.Name, f.Role.String(), f.Room, string(f.Newest[:]), string(f.Previous))
		d.number(f.CreatedAt, f.ExpiresAt, f.RevokedAt, f.SpentAt)
		for _, token := range f.Tokens {
			d.text(string(token[:]))
		}
		return nil
	})
}

func oldestFirst(ctx context.Context, s Store) ([]RoomInfo, error) {
	list, err := s.Rooms(ctx, math.MaxInt32)
	slices.Reverse(list)
	return list, err
}

const (
	transferRecords = 5_000
	transferBytes   = 4 << 20
	transferOthers  = 500
)

// Transfer copies everything from one store to another, which must be empty, and compares what both hold afterwards. No
// server may use either. progress, which may be nil, is told now and then how many records are copied.
func Transfer(ctx context.Context, from, to Store, progress func(records int)) (Summary, error) {
	there, err := Summarise(ctx, to)
	if err != nil {
		return Summary{}, err
	}
	if there.Rooms+there.Quizzes+there.Keys+there.Families > 0 {
		return Summary{}, fmt.Errorf("%w: it holds %s", ErrNotEmpty, there)
	}
	copying := []func(context.Context, Store, Store) error{transferQuizzes, transferSecrets}
	if err := transferRooms(ctx, from, to, progress); err != nil {
		return Summary{}, err
	}
	for _, part := range copying {
		if err := part(ctx, from, to); err != nil {
			return Summary{}, err
		}
	}
	want, err := Summarise(ctx, from)
	if err != nil {
		return Summary{}, err
	}
	got, err := Summarise(ctx, to)
	if err == nil && got != want {
		err = fmt.Errorf("persist: the copy differs: there %s; here %s", want, got)
	}
	return got, err
}

func transferRooms(ctx context.Context, from, to Store, progress func(int)) error {
	list, err := oldestFirst(ctx, from)
	if err != nil {
		return err
	}
	var batch []rooms.Record
	bytes, total := 0, 0
	flush := func() error {
		if err := to.AppendRecords(ctx, batch); err != nil {
			return err
		}
		total += len(batch)
		batch, bytes = batch[:0], 0
		if progress != nil {
			progress(total)
		}
		return nil
	}
	for i := range list {
		err := from.ReadRoom(ctx, list[i].Room, func(r rooms.Record) error {
			batch = append(batch, r)
			if bytes += len(r.Data); len(batch) >= transferRecords || bytes >= transferBytes {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return flush()
}

func transferQuizzes(ctx context.Context, from, to Store) error {
	var batch []StoredQuiz
	err := from.ExportQuizzes(ctx, func(q StoredQuiz) error {
		if batch = append(batch, q); len(batch) < transferOthers {
			return nil
		}
		defer func() { batch = nil }()
		return to.ImportQuizzes(ctx, batch)
	})
	if err != nil {
		return err
	}
	return to.ImportQuizzes(ctx, batch)
}

func transferSecrets(ctx context.Context, from, to Store) error {
	keys, err := from.LoadKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := to.AddKey(ctx, k, 0, false); err != nil {
			return err
		}
	}
	var batch []StoredFamily
	err = from.ExportFamilies(ctx, func(f StoredFamily) error {
		if batch = append(batch, f); len(batch) < transferOthers {
			return nil
		}
		defer func() { batch = nil }()
		return to.ImportFamilies(ctx, batch)
	})
	if err != nil {
		return err
	}
	if err := to.ImportFamilies(ctx, batch); err != nil {
		return err
	}
	alive, err := from.LastAlive(ctx)
	if err != nil || alive == 0 {
		return err
	}
	return to.MarkAlive(ctx, alive)
}
