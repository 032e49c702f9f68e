package pg

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern/persist"
	"lectern/protocol/wire"
)

// LiveRooms implements persist.Store.
func (s *Store) LiveRooms(ctx context.Context) (live []string, err error) {
	err = s.call(ctx, "list the live rooms", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT room FROM rooms WHERE created_at <> 0 AND closed_at = 0 ORDER BY id")
		if err != nil {
			return err
		}
		live, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	for i := range live {
		live[i] = decodeText(live[i])
	}
	return live, err
}

const selectRooms = "SELECT room, owner, created_at, closed_at, records FROM rooms "

// Rooms implements persist.Store.
func (s *Store) Rooms(ctx context.Context, limit int) ([]persist.RoomInfo, error) {
	return s.listRooms(ctx, selectRooms+"ORDER BY id DESC LIMIT $1", max(limit, 0))
}

// RoomsOf implements persist.Store.
func (s *Store) RoomsOf(ctx context.Context, owner string, limit int) ([]persist.RoomInfo, error) {
	return s.listRooms(ctx, selectRooms+"WHERE owner = $2 ORDER BY id DESC LIMIT $1", max(limit, 0), encodeText(owner))
}

func (s *Store) listRooms(ctx context.Context, query string, args ...any) (out []persist.RoomInfo, err error) {
	err = s.call(ctx, "list the rooms", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		var r persist.RoomInfo
		var records int64
		_, err = pgx.ForEachRow(rows, []any{&r.Room, &r.Owner, &r.CreatedAt, &r.ClosedAt, &records}, func() error {
			r.Room, r.Owner, r.Records = decodeText(r.Room), decodeText(r.Owner), uint64(records)
			out = append(out, r)
			return nil
		})
		return err
	})
	return out, err
}

// PutQuiz implements persist.Store.
func (s *Store) PutQuiz(ctx context.Context, owner string, q *wire.Quiz) (string, error) {
	c := *q
	if c.ID == "" {
		c.ID = rand.Text()
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("pg: encode the quiz: %w", err)
	}
	args := []any{
		encodeText(c.ID), encodeText(owner), encodeText(c.Title), encodeText(c.Language), len(c.Questions),
		s.cfg.Now().UnixMilli(), body,
	}
	err = s.write(ctx, "store the quiz", func(ctx context.Context) error {
		if q.ID == "" {
			_, err := s.pool.Exec(ctx, "INSERT INTO quizzes (id, owner, title, language, questions, updated_at, body, change) "+
				"VALUES ($1, $2, $3, $4, $5, $6, $7, nextval('quiz_changes'))", args...)
			return err
		}
		return s.execOne(ctx, "UPDATE quizzes SET title = $3, language = $4, questions = $5, updated_at = $6, body = $7, "+
			"change = nextval('quiz_changes') WHERE id = $1 AND owner = $2", args...)
	})
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// execOne runs a statement that must hit a row; otherwise persist.ErrNotFound.
func (s *Store) execOne(ctx context.Context, query string, args ...any) error {
	tag, err := s.pool.Exec(ctx, query, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return persist.ErrNotFound
	}
	return err
}

// GetQuiz implements persist.Store.
func (s *Store) GetQuiz(ctx context.Context, id string) (*wire.Quiz, string, error) {
	var owner string
	var body []byte
	err := s.call(ctx, "read the quiz", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, "SELECT owner, body FROM quizzes WHERE id = $1", encodeText(id)).Scan(&owner, &body)
		if errors.Is(err, pgx.ErrNoRows) {
			return persist.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	q := new(wire.Quiz)
	if err := json.Unmarshal(body, q); err != nil {
		return nil, "", fmt.Errorf("pg: decode the quiz: %w", err)
	}
	return q, decodeText(owner), nil
}

// ListQuizzes implements persist.Store.
func (s *Store) ListQuizzes(ctx context.Context, owner string) (out []persist.QuizInfo, err error) {
	err = s.call(ctx, "list the quizzes", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT id, title, language, questions, updated_at FROM quizzes WHERE owner = $1 "+
			"ORDER BY change DESC", encodeText(owner))
		if err != nil {
			return err
		}
		var q persist.QuizInfo
		_, err = pgx.ForEachRow(rows, []any{&q.ID, &q.Title, &q.Language, &q.Questions, &q.UpdatedAt}, func() error {
			q.ID, q.Title, q.Language = decodeText(q.ID), decodeText(q.Title), decodeText(q.Language)
			out = append(out, q)
			return nil
		})
		return err
	})
	return out, err
}

// DeleteQuiz implements persist.Store.
func (s *Store) DeleteQuiz(ctx context.Context, owner, id string) error {
	return s.write(ctx, "delete the quiz", func(ctx context.Context) error {
		return s.execOne(ctx, "DELETE FROM quizzes WHERE id = $1 AND owner = $2", encodeText(id), encodeText(owner))
	})
}

// Check implements persist.Store: the schema, and that every room has as many records as it says, the last of which
// has that index. It reads the whole index of records.
func (s *Store) Check(ctx context.Context) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	var room string
	limited, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	err := s.pool.QueryRow(limited, "SELECT m.room FROM rooms m LEFT JOIN (SELECT born, room_id, count(*) AS n, "+
		"max(idx) AS top FROM records GROUP BY born, room_id) r ON r.born = m.born AND r.room_id = m.id "+
		"WHERE coalesce(r.n, 0) <> m.records OR coalesce(r.top, 0) <> m.records LIMIT 1").Scan(&room)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return s.explain(ctx, "check", err)
	}
	return fmt.Errorf("pg: the database %s is damaged: room %q has not the records that it should have: restore a backup",
		s.database, decodeText(room))
}
