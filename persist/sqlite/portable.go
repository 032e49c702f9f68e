package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// ExportQuizzes implements persist.Portable.
func (s *Store) ExportQuizzes(ctx context.Context, visit func(persist.StoredQuiz) error) error {
	rows, err := s.read.QueryContext(ctx, "SELECT id, owner, updated_at, body FROM quizzes ORDER BY change, id")
	if err != nil {
		return s.explain("read the quizzes", err)
	}
	defer rows.Close()
	for rows.Next() {
		var q persist.StoredQuiz
		if err := rows.Scan(&q.ID, &q.Owner, &q.UpdatedAt, &q.Body); err != nil {
			return s.explain("read the quizzes", err)
		}
		if err := visit(q); err != nil {
			return err
		}
	}
	return s.explain("read the quizzes", rows.Err())
}

// ImportQuizzes implements persist.Portable.
func (s *Store) ImportQuizzes(ctx context.Context, quizzes []persist.StoredQuiz) error {
	return s.write(ctx, "store quizzes", func(w *writer) error {
		for _, q := range quizzes {
			var body wire.Quiz
			if err := json.Unmarshal(q.Body, &body); err != nil {
				return fmt.Errorf("decode the quiz: %w", err)
			}
			err := w.execText("INSERT INTO quizzes (id, owner, title, language, questions, updated_at, change, body) "+
				"VALUES (?, ?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM quizzes), ?)",
				q.ID, q.Owner, body.Title, body.Language, len(body.Questions), q.UpdatedAt, q.Body)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ExportFamilies implements persist.Portable.
func (s *Store) ExportFamilies(ctx context.Context, visit func(persist.StoredFamily) error) error {
	rows, err := s.read.QueryContext(ctx, "SELECT f.id, f.subject, f.name, f.role, f.room, f.created_at, f.expires_at, "+
		"f.revoked_at, f.newest, f.previous, f.spent_at, t.hash FROM refresh_families f "+
		"JOIN refresh_tokens t ON t.family = f.id ORDER BY f.id, t.hash")
	if err != nil {
		return s.explain("read the sessions", err)
	}
	defer rows.Close()
	collect := persist.FamilyCollector{Visit: visit}
	for rows.Next() {
		var f persist.StoredFamily
		var role string
		var newest, hash []byte
		if err := rows.Scan(&f.ID, &f.Subject, &f.Name, &role, &f.Room, &f.CreatedAt, &f.ExpiresAt, &f.RevokedAt, &newest,
			&f.Previous, &f.SpentAt, &hash); err != nil {
			return s.explain("read the sessions", err)
		}
		f.Role, _ = wire.ParseRole(role)
		copy(f.Newest[:], newest)
		if err := collect.Row(&f, auth.RefreshHash(hash)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return s.explain("read the sessions", err)
	}
	return collect.End()
}

// ImportFamilies implements persist.Portable.
func (s *Store) ImportFamilies(ctx context.Context, families []persist.StoredFamily) error {
	return s.write(ctx, "store sessions", func(w *writer) error {
		for i := range families {
			f := &families[i]
			err := w.execText("INSERT INTO refresh_families (id, subject, name, role, room, created_at, expires_at, "+
				"revoked_at, newest, previous, spent_at) VALUES (?,?,?,?,?,?,?,?,?,?,?)", f.ID, f.Subject, f.Name,
				f.Role.String(), f.Room, f.CreatedAt, f.ExpiresAt, f.RevokedAt, f.Newest[:], blob(f.Previous), f.SpentAt)
			if err != nil {
				return err
			}
			for _, hash := range f.Tokens {
				if err := w.exec(w.stmts.tokenInsert, hash[:], f.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
