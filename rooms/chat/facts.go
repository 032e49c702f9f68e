package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"lectern/protocol/wire"
)

// Kinds of the facts.
const (
	KindSent    = "chat.sent"
	KindEdited  = "chat.edited"
	KindDeleted = "chat.deleted"
	KindReacted = "chat.reacted"
	KindPinned  = "chat.pinned"
)

// Sent is the data of chat.sent. SlowMs is the slow mode that was in force for the author (0: none).
type Sent struct {
	N        uint64    `json:"n"` // number of the message in the room, from 1
	User     string    `json:"user"`
	Name     string    `json:"name"`
	Role     wire.Role `json:"role"`
	Text     string    `json:"text"`
	ReplyTo  string    `json:"replyTo,omitempty"`
	Mentions []string  `json:"mentions,omitempty"` // user ids
	Links    []string  `json:"links,omitempty"`    // hosts
	Key      string    `json:"key,omitempty"`      // idempotency key
	SlowMs   int64     `json:"slowMs,omitempty"`
}

// Edited is the data of chat.edited.
type Edited struct {
	ID       string   `json:"id"`
	Text     string   `json:"text"`
	Mentions []string `json:"mentions,omitempty"`
	Links    []string `json:"links,omitempty"`
}

// Deleted is the data of chat.deleted: who did it, and whether as the author or as a moderator.
type Deleted struct {
	ID   string `json:"id"`
	User string `json:"user"`
	By   string `json:"by"` // author | moderator
}

// Reacted is the data of chat.reacted.
type Reacted struct {
	ID     string `json:"id"`
	User   string `json:"user"`
	Emoji  string `json:"emoji"`
	Remove bool   `json:"remove,omitempty"`
}

// Pinned is the data of chat.pinned.
type Pinned struct {
	ID     string `json:"id"`
	User   string `json:"user"`
	Pinned bool   `json:"pinned"`
}

// DecodeFact reads a recorded fact back: a pointer to the type of its kind. It is strict: an unknown kind, an unknown
// member or anything after the object is an error, because guessing at history would change it.
func DecodeFact(kind string, data []byte) (any, error) {
	var v any
	switch kind {
	case KindSent:
		v = new(Sent)
	case KindEdited:
		v = new(Edited)
	case KindDeleted:
		v = new(Deleted)
	case KindReacted:
		v = new(Reacted)
	case KindPinned:
		v = new(Pinned)
	default:
		return nil, fmt.Errorf("chat: unknown fact kind %q", kind)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("chat: fact %s: %w", kind, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("chat: fact %s: more than one value", kind)
	}
	return v, nil
}
