package wire

import "reflect"

// OpInfo says what an op's messages hold. The published schemas are made from it.
type OpInfo struct {
	Op      Op
	Data    reflect.Type // of the request; nil: it takes none
	Reply   reflect.Type // nil: the reply has none
	Summary string
}

// EventInfo says what an event holds and what becomes of it on a slow connection.
type EventInfo struct {
	Name    string
	Data    reflect.Type
	Class   Class
	Seq     bool // can be resumed
	Summary string
}

// none stands for no data.
type none struct{}

func opInfo[Data, Reply any](op Op, summary string) OpInfo {
	return OpInfo{Op: op, Data: typeOf[Data](), Reply: typeOf[Reply](), Summary: summary}
}

func typeOf[T any]() reflect.Type {
	if t := reflect.TypeFor[T](); t != reflect.TypeFor[none]() {
		return t
	}
	return nil
}

func reliable[Data any](name, summary string) EventInfo {
	return EventInfo{Name: name, Data: typeOf[Data](), Class: ClassReliable, Seq: true, Summary: summary}
}

// directed events go to single users.
func directed[Data any](name, summary string) EventInfo {
	return EventInfo{Name: name, Data: typeOf[Data](), Class: ClassReliable, Summary: summary}
}

func stateEvent[Data any](name, summary string) EventInfo {
	return EventInfo{Name: name, Data: typeOf[Data](), Class: ClassState, Summary: summary}
}

// Ops describes every op, in the order of their numbers; a test holds it complete.
func Ops() []OpInfo {
	return []OpInfo{
		opInfo[AuthData, AuthReply](OpAuth, "Sign in, renew the connection's token, or ask who one is"),
		opInfo[TimeSyncData, TimeSyncReply](OpTimeSync, "Measure the server's clock"),
		opInfo[JoinData, JoinReply](OpRoomJoin, "Enter a room, or come back to it with since and epoch"),
		opInfo[none, none](OpRoomLeave, "Leave a room"),
		opInfo[PublishData, PublishReply](OpRoomPublish, "Send an event of one's own to all members"),
		opInfo[PresenceData, PresenceReply](OpRoomPresence, "Ask who is there"),
		opInfo[QuizCreateData, QuizCreateReply](OpQuizCreate, "Open a room for a quiz"),
		opInfo[none, none](OpQuizStart, "Begin the game"),
		opInfo[none, none](OpQuizNext, "Go on: close the question, show the leaderboard, or ask the next"),
		opInfo[none, none](OpQuizPause, "Stop the clock"),
		opInfo[none, none](OpQuizResume, "Let the clock run again"),
		opInfo[QuizExtendData, none](OpQuizExtend, "Give the open question more time"),
		opInfo[none, none](OpQuizSkip, "Close the question without points, or ask the next at once"),
		opInfo[QuizLockData, none](OpQuizLock, "Admit nobody new, or open again"),
		opInfo[none, none](OpQuizEnd, "End the game"),
		opInfo[AnswerData, AnswerReply](OpQuizAnswer, "Answer the open question; acknowledged once it is durable"),
		opInfo[none, QuizSnapshot](OpQuizState, "Ask for the state of the quiz"),
		opInfo[ChatSendData, ChatSendReply](OpChatSend, "Write a message"),
		opInfo[ChatEditData, none](OpChatEdit, "Change one's own message, for 15 minutes"),
		opInfo[ChatIDData, none](OpChatDelete, "Delete a message"),
		opInfo[ChatReactData, none](OpChatReact, "React to a message, or take that back"),
		opInfo[ChatPinData, none](OpChatPin, "Pin a message, or take it down"),
		opInfo[ChatTypingData, none](OpChatTyping, "Tell the others that one is writing"),
		opInfo[ChatHistoryData, ChatSnapshot](OpChatHistory, "Read older messages"),
		opInfo[ModUserData, none](OpModMute, "Let somebody read, not write"),
		opInfo[ModUserData, none](OpModBan, "Remove somebody for good, or for a time"),
		opInfo[ModUserData, none](OpModKick, "Remove somebody"),
		opInfo[ChatIDData, none](OpModApprove, "Let a message pass that is held for review"),
		opInfo[ChatIDData, none](OpModReject, "Refuse a message that is held for review"),
		opInfo[ModLockdownData, none](OpModLockdown, "Only moderators may write, or all again"),
		opInfo[ModSlowData, none](OpModSlow, "Set the least time between two messages of a participant"),
		opInfo[ProgressData, none](OpProgressUpdate, "Report one's own progress"),
		opInfo[RegradeData, none](OpQuizRegrade, "Give a question another key, or let it count no more"),
	}
}

// Events describes every event that the server sends of its own, in alphabetical order of the domains.
func Events() []EventInfo {
	return []EventInfo{
		reliable[ChatMessage](EvChatMessage, "A message was written"),
		reliable[ChatMessage](EvChatEdited, "A message was changed"),
		reliable[ChatDeleted](EvChatDeleted, "A message was deleted"),
		reliable[ChatReaction](EvChatReaction, "The count of an emoji changed"),
		reliable[ChatPinned](EvChatPinned, "A message was pinned or taken down"),
		{Name: EvChatTyping, Data: typeOf[ChatTyping](), Class: ClassVolatile, Summary: "Somebody writes"},
		reliable[ChatSlow](EvChatSlow, "Slow mode or lockdown changed"),
		directed[ChatMuted](EvChatMuted, "Somebody was muted: to that user and to staff"),
		directed[Notification](EvNotify, "The receiver was mentioned"),
		stateEvent[ProgressData](EvProgressChanged, "A participant's progress: to staff"),
		stateEvent[QuizLobby](EvQuizLobby, "Who waits in the lobby"),
		reliable[QuizStart](EvQuizStart, "The game begins"),
		reliable[QuestionView](EvQuizQuestion, "A question, shortly before it opens"),
		reliable[QuizTime](EvQuizTime, "The times of the open question changed"),
		stateEvent[QuizProgress](EvQuizProgress, "How many have answered"),
		reliable[QuizResults](EvQuizResults, "The question is closed: the key and how all answered"),
		directed[QuizRank](EvQuizRank, "The receiver's own standing"),
		reliable[QuizLeaderboard](EvQuizLeaderboard, "The best"),
		reliable[QuizTime](EvQuizPaused, "The clock stands still"),
		reliable[QuizTime](EvQuizResumed, "The clock runs again"),
		reliable[QuizLocked](EvQuizLocked, "Whether anybody new is admitted"),
		reliable[QuizRegraded](EvQuizRegraded, "A key was changed or a question voided; results and ranks follow"),
		reliable[QuizLeaderboard](EvQuizEnd, "The game is over: the podium"),
		stateEvent[PresenceReply](EvRoomPresence, "How many are there"),
		directed[RoomKicked](EvRoomKicked, "The receiver is removed; the connection closes next"),
	}
}
