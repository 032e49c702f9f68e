package moderation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Kinds of the facts.
const (
	KindMuted    = "mod.muted"
	KindBanned   = "mod.banned"
	KindKicked   = "mod.kicked"
	KindSlow     = "mod.slow"
	KindLockdown = "mod.lockdown"
)

// Act is what the facts about a user have in common.
type Act struct {
	User   string `json:"user"`             // to whom
	By     string `json:"by,omitempty"`     // who did it; empty: it ended by itself
	Until  int64  `json:"until,omitempty"`  // Unix milliseconds; zero: until taken back
	Undo   bool   `json:"undo,omitempty"`   // taken back
	Reason string `json:"reason,omitempty"` // as the moderator wrote it
}

// Muted is the data of mod.muted.
type Muted struct{ Act }

// Banned is the data of mod.banned. The user is to be removed and not let in again.
type Banned struct{ Act }

// Kicked is the data of mod.kicked. The user is to be removed, and not let in before Until.
type Kicked struct{ Act }

// Slow is the data of mod.slow.
type Slow struct {
	EveryMs int64  `json:"everyMs"`
	By      string `json:"by"`
}

// Lockdown is the data of mod.lockdown.
type Lockdown struct {
	On bool   `json:"on"`
	By string `json:"by"`
}

// Removal says whether a fact means that a user is to be taken out of the room, and the code that its connections
// close with. The room does so after the outputs of the fact, so that the user still learns why.
func Removal(f effect.Fact) (user string, code wire.CloseCode, ok bool) {
	switch d := f.Data.(type) {
	case *Kicked:
		return d.User, wire.CloseKicked, true
	case *Banned:
		if !d.Undo {
			return d.User, wire.CloseBanned, true
		}
	}
	return "", 0, false
}

// DecodeFact reads a recorded fact back: a pointer to the type of its kind. It is strict: an unknown kind, an unknown
// member or anything after the object is an error.
func DecodeFact(kind string, data []byte) (any, error) {
	var v any
	switch kind {
	case KindMuted:
		v = new(Muted)
	case KindBanned:
		v = new(Banned)
	case KindKicked:
		v = new(Kicked)
	case KindSlow:
		v = new(Slow)
	case KindLockdown:
		v = new(Lockdown)
	default:
		return nil, fmt.Errorf("moderation: unknown fact kind %q", kind)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("moderation: fact %s: %w", kind, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("moderation: fact %s: more than one value", kind)
	}
	return v, nil
}
