package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"lectern/persist"
	"lectern/protocol/wire"
)

// PutQuiz implements persist.Store.
func (s *Store) PutQuiz(ctx context.Context, owner string, q *wire.Quiz) (string, error) {
	c := *q
	if c.ID == "" {
		c.ID = rand.Text()
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("sqlite: encode the quiz: %w", err)
	}
	now := s.cfg.Now().UnixMilli()
	err = s.write(ctx, "store the quiz", func(w *writer) error {
		if q.ID == "" {
			return w.execText("INSERT INTO quizzes (id, owner, title, language, questions, updated_at, change, body) VALUES "+
				"(?, ?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM quizzes WHERE owner = ?), ?)",
				c.ID, owner, c.Title, c.Language, len(c.Questions), now, owner, body)
		}
		return w.execOne("UPDATE quizzes SET title = ?, language = ?, questions = ?, updated_at = ?, body = ?, "+
			"change = (SELECT max(change) + 1 FROM quizzes WHERE owner = ?) WHERE id = ? AND owner = ?",
			c.Title, c.Language, len(c.Questions), now, body, owner, c.ID, owner)
	})
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// GetQuiz implements persist.Store.
func (s *Store) GetQuiz(ctx context.Context, id string) (*wire.Quiz, string, error) {
	var owner string
	var body []byte
	err := s.read.QueryRowContext(ctx, "SELECT owner, body FROM quizzes WHERE id = ?", id).Scan(&owner, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", persist.ErrNotFound
	}
	if err != nil {
		return nil, "", s.explain("read the quiz", err)
	}
	q := new(wire.Quiz)
	if err := json.Unmarshal(body, q); err != nil {
		return nil, "", fmt.Errorf("sqlite: decode the quiz: %w", err)
	}
	return q, owner, nil
}

// ListQuizzes implements persist.Store.
func (s *Store) ListQuizzes(ctx context.Context, owner string) ([]persist.QuizInfo, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT id, title, language, questions, updated_at FROM quizzes "+
		"WHERE owner = ? ORDER BY change DESC", owner)
	if err != nil {
		return nil, s.explain("list the quizzes", err)
	}
	defer rows.Close()
	var out []persist.QuizInfo
	for rows.Next() {
		var q persist.QuizInfo
		if err := rows.Scan(&q.ID, &q.Title, &q.Language, &q.Questions, &q.UpdatedAt); err != nil {
			return nil, s.explain("list the quizzes", err)
		}
		out = append(out, q)
	}
	return out, s.explain("list the quizzes", rows.Err())
}

// DeleteQuiz implements persist.Store.
func (s *Store) DeleteQuiz(ctx context.Context, owner, id string) error {
	return s.write(ctx, "delete the quiz", func(w *writer) error {
		return w.execOne("DELETE FROM quizzes WHERE id = ? AND owner = ?", id, owner)
	})
}

// execText runs a statement that is too rare to be kept prepared.
func (w *writer) execText(query string, args ...any) error {
	_, err := w.conn.ExecContext(context.Background(), query, args...)
	return err
}

// execOne is execText for a statement that must hit a row; otherwise persist.ErrNotFound.
func (w *writer) execOne(query string, args ...any) error {
	result, err := w.conn.ExecContext(context.Background(), query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(persist.ErrNotFound, err)
	}
	return nil
}
