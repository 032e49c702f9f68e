package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// ExportQuizzes implements persist.Portable.
func (s *Store) ExportQuizzes(ctx context.Context, visit func(persist.StoredQuiz) error) error {
	return s.export(ctx, "read the quizzes", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT id, owner, updated_at, body FROM quizzes ORDER BY change, id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var q persist.StoredQuiz
			if err := rows.Scan(&q.ID, &q.Owner, &q.UpdatedAt, &q.Body); err != nil {
				return err
			}
			q.ID, q.Owner = decodeText(q.ID), decodeText(q.Owner)
			if err := visit(q); err != nil {
				return &visitError{err}
			}
		}
		return rows.Err()
	})
}

// export is call for what may read much, with a visitor whose errors are its own.
func (s *Store) export(ctx context.Context, doing string, f func(context.Context) error) error {
	if s.closed.Load() {
		return persist.ErrClosed
	}
	limited, cancel := context.WithTimeout(ctx, readPatience*s.cfg.Timeout)
	defer cancel()
	err := f(limited)
	var own *visitError
	if errors.As(err, &own) {
		return own.err
	}
	return s.explain(ctx, doing, err)
}

// ImportQuizzes implements persist.Portable.
func (s *Store) ImportQuizzes(ctx context.Context, quizzes []persist.StoredQuiz) error {
	b := new(pgx.Batch)
	for _, q := range quizzes {
		var body wire.Quiz
		if err := json.Unmarshal(q.Body, &body); err != nil {
			return fmt.Errorf("pg: decode the quiz: %w", err)
		}
		b.Queue("INSERT INTO quizzes (id, owner, title, language, questions, updated_at, change, body) "+
			"VALUES ($1, $2, $3, $4, $5, $6, nextval('quiz_changes'), $7)", encodeText(q.ID), encodeText(q.Owner),
			encodeText(body.Title), encodeText(body.Language), len(body.Questions), q.UpdatedAt, q.Body)
	}
	return s.write(ctx, "store quizzes", func(ctx context.Context) error { return s.pool.SendBatch(ctx, b).Close() })
}

// ExportFamilies implements persist.Portable. Ids are compared as bytes, as the other stores do.
func (s *Store) ExportFamilies(ctx context.Context, visit func(persist.StoredFamily) error) error {
	return s.export(ctx, "read the sessions", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT f.id, f.subject, f.name, f.role, f.room, f.created_at, f.expires_at, "+
			"f.revoked_at, f.newest, f.previous, f.spent_at, t.hash FROM refresh_families f "+
			"JOIN refresh_tokens t ON t.family = f.id ORDER BY f.id COLLATE \"C\", t.hash")
		if err != nil {
			return err
		}
		defer rows.Close()
		collect := persist.FamilyCollector{Visit: func(f persist.StoredFamily) error {
			if err := visit(f); err != nil {
				return &visitError{err}
			}
			return nil
		}}
		for rows.Next() {
			var f persist.StoredFamily
			var role string
			var newest, hash []byte
			if err := rows.Scan(&f.ID, &f.Subject, &f.Name, &role, &f.Room, &f.CreatedAt, &f.ExpiresAt, &f.RevokedAt, &newest,
				&f.Previous, &f.SpentAt, &hash); err != nil {
				return err
			}
			f.ID, f.Subject, f.Name, f.Room = decodeText(f.ID), decodeText(f.Subject), decodeText(f.Name), decodeText(f.Room)
			f.Role, _ = wire.ParseRole(role)
			copy(f.Newest[:], newest)
			if err := collect.Row(&f, auth.RefreshHash(hash)); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return collect.End()
	})
}

// ImportFamilies implements persist.Portable.
func (s *Store) ImportFamilies(ctx context.Context, families []persist.StoredFamily) error {
	b := new(pgx.Batch)
	for i := range families {
		f := &families[i]
		b.Queue(insertFamily, encodeText(f.ID), encodeText(f.Subject), encodeText(f.Name), f.Role.String(),
			encodeText(f.Room), f.CreatedAt, f.ExpiresAt, f.RevokedAt, f.Newest[:], blob(f.Previous), f.SpentAt)
		for _, hash := range f.Tokens {
			b.Queue(insertToken, hash[:], encodeText(f.ID))
		}
	}
	return s.write(ctx, "store sessions", func(ctx context.Context) error { return s.pool.SendBatch(ctx, b).Close() })
}
