package wire

// Op is an operation as a small number, so that dispatch is an index into a table.
type Op uint8

// The operations of lectern.v1.
const (
	OpNone Op = iota
	OpAuth
	OpTimeSync
	OpRoomJoin
	OpRoomLeave
	OpRoomPublish
	OpRoomPresence
	OpQuizCreate
	OpQuizStart
	OpQuizNext
	OpQuizPause
	OpQuizResume
	OpQuizExtend
	OpQuizSkip
	OpQuizLock
	OpQuizEnd
	OpQuizAnswer
	OpQuizState
	OpChatSend
	OpChatEdit
	OpChatDelete
	OpChatReact
	OpChatPin
	OpChatTyping
	OpChatHistory
	OpModMute
	OpModBan
	OpModKick
	OpModApprove
	OpModReject
	OpModLockdown
	OpModSlow
	OpProgressUpdate
	OpQuizRegrade
	opCount
)

// OpCount is the number of operations plus one, the size of a table indexed by Op.
const OpCount = int(opCount)

var opNames = [...]string{
	OpNone: "", OpAuth: "auth", OpTimeSync: "time:sync",
	OpRoomJoin: "room:join", OpRoomLeave: "room:leave", OpRoomPublish: "room:publish", OpRoomPresence: "room:presence",
	OpQuizCreate: "quiz:create", OpQuizStart: "quiz:start", OpQuizNext: "quiz:next", OpQuizPause: "quiz:pause",
	OpQuizResume: "quiz:resume", OpQuizExtend: "quiz:extend", OpQuizSkip: "quiz:skip", OpQuizLock: "quiz:lock",
	OpQuizEnd: "quiz:end", OpQuizAnswer: "quiz:answer", OpQuizState: "quiz:state",
	OpChatSend: "chat:send", OpChatEdit: "chat:edit", OpChatDelete: "chat:delete", OpChatReact: "chat:react",
	OpChatPin: "chat:pin", OpChatTyping: "chat:typing", OpChatHistory: "chat:history",
	OpModMute: "mod:mute", OpModBan: "mod:ban", OpModKick: "mod:kick", OpModApprove: "mod:approve",
	OpModReject: "mod:reject", OpModLockdown: "mod:lockdown", OpModSlow: "mod:slow",
	OpProgressUpdate: "progress:update", OpQuizRegrade: "quiz:regrade",
}

var opByName = func() map[string]Op {
	m := make(map[string]Op, OpCount)
	for i := 1; i < OpCount; i++ {
		m[opNames[i]] = Op(i)
	}
	return m
}()

// String is the op's name on the wire, in logs and in metric labels.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "invalid"
}

// ParseOp is the inverse of String; OpNone for an unknown name.
func ParseOp(name string) Op { return opByName[name] }

// ParseOpBytes is ParseOp without an allocation.
func ParseOpBytes(name []byte) Op { return opByName[string(name)] }

// Event names that the server sends.
const (
	EvQuizLobby       = "quiz:lobby"       // participants joined or left the lobby (sampled)
	EvQuizStart       = "quiz:start"       // the game begins
	EvQuizQuestion    = "quiz:question"    // a question opens (when only its times change: quiz:time)
	EvQuizTime        = "quiz:time"        // opensAt and closesAt of the open question changed
	EvQuizProgress    = "quiz:progress"    // how many have answered (sampled, at most 5 a second)
	EvQuizResults     = "quiz:results"     // the question is closed: the key and the distribution
	EvQuizLeaderboard = "quiz:leaderboard" // top N
	EvQuizRank        = "quiz:rank"        // one participant's own
	EvQuizPaused      = "quiz:paused"
	EvQuizResumed     = "quiz:resumed"
	EvQuizLocked      = "quiz:locked"
	EvQuizEnd         = "quiz:end"      // podium
	EvQuizRegraded    = "quiz:regraded" // a key was changed or a question voided; fresh results and ranks follow
	EvChatMessage     = "chat:message"
	EvChatEdited      = "chat:edited"
	EvChatDeleted     = "chat:deleted"
	EvChatReaction    = "chat:reaction"
	EvChatPinned      = "chat:pinned"
	EvChatTyping      = "chat:typing"
	EvChatSlow        = "chat:slow"
	EvChatMuted       = "chat:muted"
	EvNotify          = "notify"        // a mention, directed to one user
	EvRoomPresence    = "room:presence" // the member count changed (state class, at most twice a second)
	EvRoomClosed      = "room:closed"
	EvRoomKicked      = "room:kicked" // directed: you were removed
	EvProgressChanged = "progress:changed"
)
