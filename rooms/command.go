package rooms

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
	"lectern/rooms/quiz"
)

// Command is one request to a room on its way from a loop (or the HTTP side) to the shard. Once posted it belongs to
// the shard.
type Command struct {
	Room  string
	Op    wire.Op       // OpNone for the bodies of this package
	From  effect.Caller // Role is the token's; the room works out what it means here
	Scope string        // the only room that the token is good for; empty: any
	Body  any           // pointer to the op's payload type in package wire, or one of the types below
	// MayCreate says that joining a room that doesn't exist creates it.
	MayCreate bool
}

// records says whether carrying the command out makes facts in the usual case. Joining is let through although a new
// participant is one: those who come back must get in.
func (c *Command) records() bool {
	switch c.Op {
	case wire.OpNone:
		_, creates := c.Body.(*Create)
		return creates
	case wire.OpRoomJoin, wire.OpRoomLeave, wire.OpRoomPresence, wire.OpQuizState, wire.OpChatTyping, wire.OpChatHistory:
		return false
	case wire.OpRoomPublish:
		data, ok := c.Body.(*wire.PublishData)
		return !ok || !data.Volatile
	}
	return true
}

// storageFull answers what can't be recorded at the moment.
func storageFull() *wire.Error {
	err := wire.NewError(wire.CodeUnavailable, "the server's storage is full at the moment; nothing is lost, try again")
	err.RetryAfterMs = lostRetryMs
	return err
}

// Create is the body of OpQuizCreate: the room's id is new and random, the PIN is reserved, the token is signed.
type Create struct {
	Quiz      *wire.Quiz
	PIN       string
	HostToken string
}

// Disconnect says that a connection is gone. It gets no reply and is never refused.
type Disconnect struct{}

// InfoQuery asks for an Info. Name asks whether a new participant could have it.
type InfoQuery struct{ Name string }

// Info is what may be said of a room to somebody who knows its PIN.
type Info struct {
	Room         string         `json:"room"`
	PIN          string         `json:"pin"`
	Title        string         `json:"title"`
	Phase        wire.QuizPhase `json:"phase"`
	Locked       bool           `json:"locked"`
	Participants int            `json:"participants"`
	NameTaken    bool           `json:"-"`
}

// ResultsQuery asks for a finished or running game's Results; hosts only.
type ResultsQuery struct{}

// Results is the reply to a ResultsQuery.
type Results struct {
	Title string
	Table quiz.Table
}

// ReceiptQuery asks what the room knows of a receipt with a good signature; the reply is a *wire.ReceiptVerdict.
// Anybody may ask.
type ReceiptQuery struct{ Claims *wire.ReceiptClaims }
