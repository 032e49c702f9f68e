package mem

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// ExportQuizzes implements persist.Portable.
func (s *Store) ExportQuizzes(ctx context.Context, visit func(persist.StoredQuiz) error) error {
	s.mu.RLock()
	err := s.usable(ctx)
	all := make([]*quiz, 0, len(s.byID))
	for _, q := range s.byID {
		all = append(all, q)
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *quiz) int { return cmp.Compare(a.changed, b.changed) })
	for _, q := range all {
		stored := persist.StoredQuiz{ID: q.info.ID, Owner: q.owner, UpdatedAt: q.info.UpdatedAt, Body: bytes.Clone(q.body)}
		if err := visit(stored); err != nil {
			return err
		}
	}
	return nil
}

// ImportQuizzes implements persist.Portable.
func (s *Store) ImportQuizzes(ctx context.Context, quizzes []persist.StoredQuiz) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	for _, q := range quizzes {
		var body wire.Quiz
		if err := json.Unmarshal(q.Body, &body); err != nil {
			return fmt.Errorf("mem: decode the quiz: %w", err)
		}
		if s.byID[q.ID] != nil {
			return fmt.Errorf("mem: the quiz %s exists already", q.ID)
		}
		s.clock++
		s.byID[q.ID] = &quiz{owner: q.Owner, body: bytes.Clone(q.Body), changed: s.clock, info: persist.QuizInfo{
			ID: q.ID, Title: body.Title, Language: body.Language, Questions: len(body.Questions), UpdatedAt: q.UpdatedAt,
		}}
	}
	return nil
}

// ExportFamilies implements persist.Portable.
func (s *Store) ExportFamilies(ctx context.Context, visit func(persist.StoredFamily) error) error {
	s.mu.RLock()
	err := s.usable(ctx)
	var all []persist.StoredFamily
	for _, f := range s.families {
		out := persist.StoredFamily{Family: f.Family, Newest: f.newest, SpentAt: f.spentAt}
		if f.previous != (auth.RefreshHash{}) {
			out.Previous = bytes.Clone(f.previous[:])
		}
		for hash, of := range s.tokens {
			if of == f {
				out.Tokens = append(out.Tokens, hash)
			}
		}
		slices.SortFunc(out.Tokens, func(a, b auth.RefreshHash) int { return bytes.Compare(a[:], b[:]) })
		all = append(all, out)
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b persist.StoredFamily) int { return cmp.Compare(a.ID, b.ID) })
	for _, f := range all {
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// ImportFamilies implements persist.Portable.
func (s *Store) ImportFamilies(ctx context.Context, families []persist.StoredFamily) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	for i := range families {
		in := &families[i]
		f := &family{Family: in.Family, newest: in.Newest, spentAt: in.SpentAt}
		copy(f.previous[:], in.Previous)
		if s.families[f.ID] != nil {
			return errDuplicateFamily
		}
		s.families[f.ID] = f
		for _, hash := range in.Tokens {
			s.tokens[hash] = f
		}
	}
	return nil
}
