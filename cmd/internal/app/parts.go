package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/moderation"
)

// quizzes lets the gateway find stored quizzes.
type quizzes struct{ store persist.Store }

// Quiz reads a stored quiz and its owner.
func (q quizzes) Quiz(id string) (*wire.Quiz, string, *wire.Error) {
	quiz, owner, err := q.store.GetQuiz(context.Background(), id)
	switch {
	case errors.Is(err, persist.ErrNotFound):
		return nil, "", wire.NewError(wire.CodeUnknownQuiz, "there is no such quiz").At("quizId")
	case err != nil:
		return nil, "", wire.NewError(wire.CodeUnavailable, "the quiz can't be read now; try again")
	}
	return quiz, owner, nil
}

// wordFilter is the built-in word list with the files of the configuration added.
func wordFilter(files []string) (*moderation.Filter, error) {
	words := moderation.DefaultWords()
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("app: the word list of the setting words can't be read: %w", err)
		}
		more, err := moderation.ReadWords(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("app: the word list %s: %w", path, err)
		}
		words = words.Add(more)
	}
	return moderation.NewFilter(words), nil
}
