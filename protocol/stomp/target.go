package stomp

import (
	"strings"

	"lectern/protocol/wire"
)

// Kind is what a destination that can be subscribed to stands for.
type Kind uint8

// The kinds.
const (
	// RoomTopic is /topic/room.R: the events of one room.
	RoomTopic Kind = iota + 1
	// AllRooms is /topic/room.*: the events of every room that the connection is in.
	AllRooms
	// UserQueue is /user/queue/NAME: what is for this user alone.
	UserQueue
)

// Target is a destination taken apart.
type Target struct {
	Kind Kind
	// Name is a RoomTopic's room (or PIN); of a UserQueue it is QueueReplies, QueueEvents, QueueAll, or the name of the
	// only event it gets.
	Name string
}

// The queues that are not named after an event.
const (
	QueueReplies = "replies" // answers to SEND
	QueueEvents  = "events"  // events for the user alone
	QueueAll     = "*"       // both
)

const (
	roomPrefix  = "/topic/room."
	queuePrefix = "/user/queue/"
	appPrefix   = "/app/"
)

// RoomDestination is the destination of a room's events.
func RoomDestination(room string) string { return roomPrefix + room }

// QueueDestination is the destination of a user's queue.
func QueueDestination(name string) string { return queuePrefix + name }

// AppDestination is where a request for an op is sent: /app/quiz.answer for quiz:answer.
func AppDestination(op wire.Op) string { return appPrefix + Dotted(op.String()) }

// Dotted is an op's or event's name with a dot for the colon.
func Dotted(name string) string { return strings.Replace(name, ":", ".", 1) }

func undotted(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return strings.Replace(name, ".", ":", 1)
}

// ParseTarget takes the destination of a SUBSCRIBE apart; ok is false if there is no such one.
func ParseTarget(destination string) (t Target, ok bool) {
	if room, found := strings.CutPrefix(destination, roomPrefix); found {
		if room == "*" {
			return Target{Kind: AllRooms}, true
		}
		return Target{RoomTopic, room}, wire.ValidRoomID(room)
	}
	name, found := strings.CutPrefix(destination, queuePrefix)
	if !found || name == "" || len(name) > wire.RoomIDBytesMax {
		return Target{}, false
	}
	return Target{UserQueue, undotted(name)}, true
}

// ParseApp is the op that a SEND's destination names; ok is false if it is not below /app/. An unknown op is
// wire.OpNone.
func ParseApp(destination string) (op wire.Op, ok bool) {
	name, ok := strings.CutPrefix(destination, appPrefix)
	if !ok {
		return wire.OpNone, false
	}
	return wire.ParseOp(undotted(name)), true
}

// Replies is true for a queue that gets answers.
func (t Target) Replies() bool {
	return t.Kind == UserQueue && (t.Name == QueueReplies || t.Name == QueueAll)
}

// Gets is true for a queue that gets the event.
func (t Target) Gets(event string) bool {
	return t.Kind == UserQueue && (t.Name == event || t.Name == QueueEvents || t.Name == QueueAll)
}
