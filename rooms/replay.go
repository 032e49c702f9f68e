package rooms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"lectern/protocol/wire"
	"lectern/rooms/chat"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
	"lectern/rooms/progress"
	"lectern/rooms/quiz"
)

const kindPublished = "room.published"

// The facts of a room itself.
type (
	created struct {
		Epoch string `json:"epoch"`
		Owner string `json:"owner,omitempty"`
	}
	closed    struct{}
	published struct {
		Event   string          `json:"event"`
		Payload json.RawMessage `json:"payload"`
		User    string          `json:"user,omitempty"`
		Key     string          `json:"key,omitempty"`
		Staff   bool            `json:"staff,omitempty"` // by a moderator or above; version 0.1.0 did not say so
	}
)

// EncodeFact makes the record of a fact.
func EncodeFact(room string, index uint64, f effect.Fact) (Record, error) {
	rec := Record{Room: room, Index: index, Kind: f.Kind, At: f.At}
	if quick, ok := f.Data.(quickFact); ok {
		if data, ok := quick.AppendJSON(make([]byte, 0, quickFactBytes)); ok {
			rec.Data = data
			return rec, nil
		}
	}
	data, err := json.Marshal(f.Data)
	if err != nil {
		return Record{}, fmt.Errorf("rooms: encode fact %s: %w", f.Kind, err)
	}
	rec.Data = data
	return rec, nil
}

// quickFact is a fact that can marshal itself without reflection, at least in the usual case.
type quickFact interface {
	AppendJSON(dst []byte) (_ []byte, ok bool)
}

// quickFactBytes is enough for the usual one.
const quickFactBytes = 128

// DecodeFact is the inverse of EncodeFact. An unknown kind is an error: a record that is not understood must not be
// passed over, because everything after it may depend on it.
func DecodeFact(rec Record) (effect.Fact, error) {
	domain, _, _ := strings.Cut(rec.Kind, ".")
	var data any
	var err error
	switch domain {
	case "room":
		data, err = decodeOwn(rec.Kind, rec.Data)
	case "quiz":
		data, err = quiz.DecodeFact(rec.Kind, rec.Data)
	case "chat":
		data, err = chat.DecodeFact(rec.Kind, rec.Data)
	case "mod":
		data, err = moderation.DecodeFact(rec.Kind, rec.Data)
	case "progress":
		data, err = progress.DecodeFact(rec.Kind, rec.Data)
	default:
		err = fmt.Errorf("unknown kind")
	}
	if err != nil {
		return effect.Fact{}, fmt.Errorf("rooms: record %d of room %s (%s): %w", rec.Index, rec.Room, rec.Kind, err)
	}
	return effect.Fact{Kind: rec.Kind, At: rec.At, Data: data}, nil
}

func decodeOwn(kind string, data []byte) (any, error) {
	var fact any
	switch kind {
	case KindRoomCreated:
		fact = new(created)
	case KindRoomClosed:
		fact = new(closed)
	case kindPublished:
		fact = new(published)
	default:
		return nil, fmt.Errorf("unknown kind")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(fact); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one value")
	}
	return fact, nil
}

// Replay applies one record to the room. Records must come in order of their index without a gap. scratch is reset;
// after the call it holds the events that the fact made, numbered as they were the first time.
func (r *Room) Replay(rec Record, scratch *effect.Effects) error {
	if rec.Index != r.index+1 {
		return fmt.Errorf("rooms: room %s: record %d follows record %d", rec.Room, rec.Index, r.index)
	}
	f, err := DecodeFact(rec)
	if err != nil {
		return err
	}
	scratch.Reset()
	scratch.Replaying = true
	scratch.Facts = append(scratch.Facts, f)
	switch domain, _, _ := strings.Cut(rec.Kind, "."); domain {
	case "quiz":
		r.quiz.Apply(f, scratch)
	case "chat":
		r.chat.Apply(f, scratch)
	case "mod":
		r.mod.Apply(f, scratch)
	case "progress":
		r.progress.Apply(f, scratch)
	default:
		r.apply(f, scratch)
	}
	r.finish(scratch)
	return nil
}

// adopt gives a rebuilt room the members of the one that it replaces, and enters participants in the game again: who
// had joined by facts that are no more joins anew.
func (r *Room) adopt(env effect.Env, old *Room, out *effect.Effects) {
	r.members, r.roles = old.members, old.roles
	if !r.Exists() || r.quiz.Phase() == wire.PhaseNone {
		return
	}
	env.Now = max(env.Now, r.lastAt)
	for m := range r.members.Each() {
		if m.Role == wire.RoleParticipant {
			// Whoever can't enter any more stays a member that watches; the next answer is refused with the reason.
			_ = r.quiz.Enter(env, effect.Caller{User: m.User, Name: m.Name, Role: m.Role, Member: true}, out)
		}
	}
	r.finish(out)
}

// connections lists the member connections in order.
func (r *Room) connections() []wire.ConnID { return slices.Sorted(maps.Keys(r.roles)) }

const (
	idAlphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32 characters that can't be mistaken for one another
	epochChars = 12
)

// randomID is a random word of n characters, 5 bits each.
func randomID(rand effect.Random, n int) string {
	id := make([]byte, n)
	for i := range id {
		id[i] = idAlphabet[rand.Uint64()>>59]
	}
	return string(id)
}

// NewRoomID makes the id of a new room: 80 random bits, so that it can't be guessed.
func NewRoomID(rand effect.Random) string { return randomID(rand, 16) }

// NewGuestID makes the user id of a guest: 60 random bits.
func NewGuestID(rand effect.Random) string { return "guest-" + randomID(rand, 12) }

// CheckReceipt is the verdict of a rebuilt room on a receipt with a good signature; the room may be unknown to the
// journal.
func CheckReceipt(r *Room, c *wire.ReceiptClaims) *wire.ReceiptVerdict {
	v := r.quiz.CheckReceipt(c)
	switch {
	case r.index == 0:
		v.Reason, v.Message = "unknown_room", "the log has no such session"
	case c.Room != r.id:
		v.Verdict, v.Counts, v.Reason, v.Message = wire.ReceiptNotInLog, false, "unknown_room",
			"this receipt belongs to another session: "+c.Room
	}
	return v
}
