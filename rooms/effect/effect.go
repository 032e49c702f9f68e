// Package effect is what the machines of a room say to the world: facts to be recorded, and messages to be delivered.
// The domains under rooms append to an Effects value; rooms.Room gives facts their index and events their seq; the
// Shard carries them out in order: facts to the journal first, messages once the facts are durable.
//
// Nothing here is safe for more than one goroutine; an Effects belongs to the shard that steps the room.
package effect

import "lectern/protocol/wire"

// Fact is something that has happened in a room. Facts are all that is recorded: applying a room's facts in order gives
// the room's state again, and the same events with the same seq. Data is the domain's own type for Kind and must
// marshal with encoding/json; each domain has a DecodeFact for the way back.
type Fact struct {
	Kind string // domain.verb in the past tense: "quiz.answered"
	At   int64  // Unix milliseconds
	Data any
}

// Audience says which members of a room get an event.
type Audience uint8

const (
	// ToAll is every member.
	ToAll Audience = iota
	// ToStaff is members with the role moderator or above.
	ToStaff
	// ToUser is every connection of one user in this room.
	ToUser
	// ToConn is one connection.
	ToConn
)

// Kind says what an Output does.
type Kind uint8

const (
	// Event is a named event to Audience.
	Event Kind = iota
	// Reply answers request Req of connection Conn with Data, or with Err.
	Reply
	// Join adds Conn to the room's members at the loops; it comes before the reply that holds the snapshot.
	Join
	// Leave takes Conn out of the room's members at the loops.
	Leave
	// Close closes Conn with CloseCode.
	Close
)

// Output is one message or change of membership. Which members matter depends on Kind.
type Output struct {
	Kind      Kind
	Audience  Audience
	Class     wire.Class
	CloseCode wire.CloseCode
	Role      wire.Role // Join: the role in the room
	Resumable bool      // Event: gets a seq, is kept in the ring, and is held until the facts before it are durable
	Conn      wire.ConnID
	Except    wire.ConnID // Event: not to this one
	Req       uint64      // Reply
	Seq       uint64      // Event, set by the room
	TS        int64       // Event: Unix milliseconds
	Name      string      // Event
	Key       string      // Event of ClassState: only the newest per key is kept
	User      string      // ToUser
	Data      any         // marshals to the data member; a json.RawMessage goes out as it is
	Err       *wire.Error // Reply
}

// Effects collects what one step of a room brings about. The zero value is ready; Reset keeps its memory.
type Effects struct {
	Facts   []Fact
	Outputs []Output
	// Replaying is true while recorded facts are applied again: nobody listens then, and costly messages to single
	// members (own ranks) need not be made. Resumable events must be made all the same.
	Replaying bool
}

// Reset empties e and drops what it refers to.
func (e *Effects) Reset() {
	clear(e.Facts)
	clear(e.Outputs)
	e.Facts, e.Outputs = e.Facts[:0], e.Outputs[:0]
}

// Broadcast appends a reliable, resumable event to all members.
func (e *Effects) Broadcast(name string, at int64, data any) {
	e.Outputs = append(e.Outputs, Output{Kind: Event, Audience: ToAll, Resumable: true, Name: name, TS: at, Data: data})
}

// State appends an event of which only the newest per key matters; it has no seq.
func (e *Effects) State(to Audience, name, key string, at int64, data any) {
	e.Outputs = append(e.Outputs, Output{
		Kind: Event, Audience: to, Class: wire.ClassState, Name: name, Key: key, TS: at, Data: data,
	})
}

// Volatile appends an event that may be dropped, to all but one connection (zero: to all).
func (e *Effects) Volatile(name string, at int64, except wire.ConnID, data any) {
	e.Outputs = append(e.Outputs, Output{
		Kind: Event, Class: wire.ClassVolatile, Name: name, TS: at, Except: except, Data: data,
	})
}

// Staff appends a reliable event, without seq, to moderators and hosts.
func (e *Effects) Staff(name string, at int64, data any) {
	e.Outputs = append(e.Outputs, Output{Kind: Event, Audience: ToStaff, Name: name, TS: at, Data: data})
}

// User appends a reliable event, without seq, to every connection of one user.
func (e *Effects) User(user, name string, at int64, data any) {
	e.Outputs = append(e.Outputs, Output{Kind: Event, Audience: ToUser, User: user, Name: name, TS: at, Data: data})
}

// Reply answers a request. A zero req asks for no answer.
func (e *Effects) Reply(to Caller, data any) {
	if to.Req == 0 {
		return
	}
	e.Outputs = append(e.Outputs, Output{Kind: Reply, Conn: to.Conn, Req: to.Req, Data: data})
}

// Refuse answers a request with an error. A zero req asks for no answer.
func (e *Effects) Refuse(to Caller, err *wire.Error) {
	if to.Req == 0 {
		return
	}
	e.Outputs = append(e.Outputs, Output{Kind: Reply, Conn: to.Conn, Req: to.Req, Err: err})
}

// Caller is who sent a command: filled in by the gateway from the token, and by the room from its membership.
type Caller struct {
	Conn   wire.ConnID
	Req    uint64 // the client's id; zero: no reply wanted
	User   string
	Name   string
	Role   wire.Role // in this room
	Member bool      // has joined this room
}

// Env is what a machine may know of the outside at one step.
type Env struct {
	Now  int64  // Unix milliseconds
	Rand Random // for ids and tie-free choices; seeded in tests
}

// Random is a source of random numbers; *math/rand/v2.Rand implements it.
type Random interface {
	Uint64() uint64
	IntN(n int) int
}
