package quiz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lectern/protocol/wire"
)

// Kinds of the facts of this package, as they stand in effect.Fact.Kind and in the journal.
const (
	FactCreated   = "quiz.created"
	FactJoined    = "quiz.joined"
	FactRemoved   = "quiz.removed"
	FactLocked    = "quiz.locked"
	FactStarted   = "quiz.started"
	FactOpened    = "quiz.opened"
	FactExtended  = "quiz.extended"
	FactAnswered  = "quiz.answered"
	FactClosed    = "quiz.closed"
	FactRanked    = "quiz.ranked"
	FactPaused    = "quiz.paused"
	FactResumed   = "quiz.resumed"
	FactRecovered = "quiz.recovered"
	FactEnded     = "quiz.ended"
	FactRegraded  = "quiz.regraded"
)

// ByHost is who did it, in facts that a host's op leads to; empty when time or the participants did, and in facts of
// version 0.1.0.
type ByHost struct {
	By string `json:"by,omitempty"` // user id
}

// HostAct is a fact that holds a ByHost.
type HostAct interface{ Host() string }

// Host is the user id, or empty.
func (b ByHost) Host() string { return b.By }

// Created says that the room has a quiz now.
type Created struct {
	Quiz  *wire.Quiz `json:"quiz"`
	PIN   string     `json:"pin"`
	Owner string     `json:"owner"` // user id
}

// Joined says that a participant entered for the first time (or again after Removed).
type Joined struct {
	User string `json:"user"`
	Name string `json:"name"` // trimmed
}

// Removed says that a participant was taken out of the game.
type Removed struct {
	User string `json:"user"`
}

// Locked says whether new participants are refused from now on.
type Locked struct {
	Locked bool `json:"locked"`
	ByHost
}

// Started says that the game began.
type Started struct{ ByHost }

// Opened says that a question was announced, with its times in Unix milliseconds.
type Opened struct {
	N        int   `json:"n"` // number of the question, from 1
	OpensAt  int64 `json:"opensAt"`
	ClosesAt int64 `json:"closesAt"`
	// ReceiptKey is the id of the key that signs the receipts of the answers, whatever key is in use when they are asked
	// for again. Empty, as in earlier versions: the random words themselves are the receipts.
	ReceiptKey string `json:"receiptKey,omitempty"`
	ByHost
}

// Extended says that the open question closes later.
type Extended struct {
	N    int   `json:"n"`
	ByMs int64 `json:"byMs"`
	ByHost
}

// Answered says that an answer was accepted. Its acceptance time is the fact's At.
type Answered struct {
	N         int             `json:"n"`
	User      string          `json:"user"`
	Answer    json.RawMessage `json:"answer"` // canonical: 2, [0,2], true, 3.5 or "text"
	Key       string          `json:"key"`
	ElapsedMs int64           `json:"elapsedMs"` // since opensAt, at most the time limit
	Receipt   string          `json:"receipt"`   // the salt of the receipt: 16 characters of base32, random
}

// Closed says that a question takes no more answers. Skipped: nobody gets points for it.
type Closed struct {
	N       int  `json:"n"`
	Skipped bool `json:"skipped,omitempty"`
	ByHost
}

// Ranked says that the leaderboard after a question was shown.
type Ranked struct {
	N int `json:"n"`
	ByHost
}

// Paused says that the game stands still.
type Paused struct{ ByHost }

// Resumed says that the game goes on; the times of an open question move by the length of the pause.
type Resumed struct{ ByHost }

// Recovered says that the server was away for ByMs; the times of an open question move by it.
type Recovered struct {
	ByMs int64 `json:"byMs"`
}

// Ended says that the game is over.
type Ended struct{ ByHost }

// Regraded says that a question's key was changed, or that it counts no more or again. Scores, streaks and ranks are
// then what they would be had the game been played so from the start.
type Regraded struct {
	N      int             `json:"n"`
	Void   bool            `json:"void,omitempty"`
	Key    *wire.AnswerKey `json:"key,omitempty"` // nil: as it was
	Reason string          `json:"reason,omitempty"`
	ByHost
}

// DecodeFact is the inverse of marshalling a fact's Data: a pointer to the type of kind. It is strict: an unknown kind,
// unknown members, trailing bytes, or values that the machine can't have recorded are errors.
func DecodeFact(kind string, data []byte) (any, error) {
	if v := plainFact(kind, data); v != nil {
		if err := checkFact(v); err != nil {
			return nil, fmt.Errorf("quiz: fact %s: %w", kind, err)
		}
		return v, nil
	}
	v := newFact(kind)
	if v == nil {
		return nil, fmt.Errorf("quiz: unknown fact %q", kind)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return nil, fmt.Errorf("quiz: fact %s: %w", kind, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("quiz: fact %s: bytes after the object", kind)
	}
	if err := checkFact(v); err != nil {
		return nil, fmt.Errorf("quiz: fact %s: %w", kind, err)
	}
	return v, nil
}

func newFact(kind string) any {
	switch kind {
	case FactCreated:
		return new(Created)
	case FactJoined:
		return new(Joined)
	case FactRemoved:
		return new(Removed)
	case FactLocked:
		return new(Locked)
	case FactStarted:
		return new(Started)
	case FactOpened:
		return new(Opened)
	case FactExtended:
		return new(Extended)
	case FactAnswered:
		return new(Answered)
	case FactClosed:
		return new(Closed)
	case FactRanked:
		return new(Ranked)
	case FactPaused:
		return new(Paused)
	case FactResumed:
		return new(Resumed)
	case FactRecovered:
		return new(Recovered)
	case FactEnded:
		return new(Ended)
	case FactRegraded:
		return new(Regraded)
	}
	return nil
}

func checkFact(v any) error {
	switch f := v.(type) {
	case *Created:
		if f.Quiz == nil {
			return errors.New("no quiz")
		}
	case *Joined:
		if f.User == "" {
			return errors.New("no user")
		}
	case *Removed:
		if f.User == "" {
			return errors.New("no user")
		}
	case *Opened:
		if f.OpensAt > f.ClosesAt {
			return errors.New("closes before it opens")
		}
	case *Extended:
		if f.ByMs < 0 {
			return errors.New("negative extension")
		}
	case *Recovered:
		if f.ByMs < 0 {
			return errors.New("negative shift")
		}
	case *Answered:
		if f.User == "" || f.ElapsedMs < 0 || f.ElapsedMs > elapsedMsMax {
			return errors.New("no user, or elapsed time out of range")
		}
		if _, ok := parseSalt(f.Receipt); !ok {
			return errors.New("malformed receipt")
		}
	}
	return nil
}
