package app

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
	"lectern/rooms/quota"
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

// tenfold is a rate per second of which ten seconds' worth may come at once.
func tenfold(perSecond int) quota.Limit {
	return quota.Limit{Count: perSecond, Per: time.Second, Burst: 10 * perSecond}
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

// NewLogger makes the process's log, on w.
func NewLogger(cfg *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // config has checked it
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// newRand is a random source for one goroutine, seeded by the system.
func newRand() effect.Random {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil { // never fails on the systems we run on
		binary.LittleEndian.PutUint64(seed[:], rand.Uint64())
	}
	return rand.New(rand.NewChaCha8(seed))
}

// orNone is a duration in milliseconds for package quiz, where zero asks for the default and a negative one for none.
func orNone(d time.Duration) int64 {
	if d == 0 {
		return -1
	}
	return d.Milliseconds()
}

func orCPUs(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}
