package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"lectern/netpoll/limit"
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

// perAddress caps the open connections of one address; nil without a cap.
func perAddress(most int) func(remote string) (released func(), ok bool) {
	if most == 0 {
		return nil
	}
	// Only what is open counts here: how fast everybody together may come is conns.accept_rate's.
	return limit.New(limit.Config{ConnsPerAddr: most, OpensPerSecond: math.MaxInt32, OpensBurst: math.MaxInt32}).Admit
}
