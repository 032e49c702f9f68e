package wire

import "encoding/json"

// Command payloads: the data member of a client's message, one type per op. Ops without a type here take no data.
// Each has a Validate in validate.go, which names the faulty member. Members without omitempty or omitzero must be
// there.

// AuthData is the data of auth: a token, or (with --dev) a guest's name. Without either it asks who the connection is.
type AuthData struct {
	Token string `json:"token,omitempty"`
	Name  string `json:"name,omitempty"`
}

// AuthReply answers auth.
type AuthReply struct {
	User      string `json:"user"`
	Name      string `json:"name,omitempty"`
	Roles     []Role `json:"roles"`
	Room      string `json:"room,omitempty"` // the only room that the token is good for
	ExpiresAt int64  `json:"expiresAt"`
}

// TimeSyncData is the data of time:sync: the client's send time, in any unit it likes; it comes back unchanged.
type TimeSyncData struct {
	T0 float64 `json:"t0,omitempty"`
}

// TimeSyncReply answers time:sync: t1 is when the server received, t2 when it sent, Unix milliseconds.
type TimeSyncReply struct {
	T0 float64 `json:"t0"`
	T1 int64   `json:"t1"`
	T2 int64   `json:"t2"`
}

// JoinData is the data of room:join. Since and Epoch resume; Role asks for less than the token allows (observer for a
// projector screen). Name overrides the token's display name.
type JoinData struct {
	Since *uint64 `json:"since,omitempty"`
	Epoch string  `json:"epoch,omitempty"`
	Role  Role    `json:"role,omitzero"`
	Name  string  `json:"name,omitempty"`
}

// JoinReply answers room:join. Recovered says that the missed events follow; otherwise Snapshot is the room's state at
// Seq.
// Me is the caller's own state and comes in both cases.
type JoinReply struct {
	Room      string        `json:"room"`
	Epoch     string        `json:"epoch"`
	Seq       uint64        `json:"seq"`
	Recovered bool          `json:"recovered"`
	Role      Role          `json:"role"`
	Snapshot  *RoomSnapshot `json:"snapshot,omitempty"`
	Me        *QuizMe       `json:"me,omitempty"`
}

// RoomSnapshot is a room's state as one member may see it.
type RoomSnapshot struct {
	Members int           `json:"members"`
	Quiz    *QuizSnapshot `json:"quiz,omitempty"`
	Chat    *ChatSnapshot `json:"chat,omitempty"`
}

// PublishData is the data of room:publish. Payload is any JSON value and reaches the members as it is.
type PublishData struct {
	Event    string          `json:"event"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Volatile bool            `json:"volatile,omitempty"`
	Key      string          `json:"key,omitempty"` // idempotency key
}

// PublishReply answers room:publish; Seq is zero for a volatile event.
type PublishReply struct {
	Seq uint64 `json:"seq"`
}

// PresenceData is the data of room:presence.
type PresenceData struct {
	Mode  string `json:"mode,omitempty"`  // count (default) | sample | page
	Limit int    `json:"limit,omitempty"` // sample and page: 1–100, default 20
	After string `json:"after,omitempty"` // page: the last user id of the page before
}

// PresenceReply answers room:presence, and is the data of the event room:presence (count only).
type PresenceReply struct {
	Count   int          `json:"count"` // users, not connections
	Members []MemberView `json:"members,omitempty"`
	Next    string       `json:"next,omitempty"` // page: what to give as after; empty on the last page
}

// MemberView is one member as others see it.
type MemberView struct {
	User string `json:"user"`
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// QuizCreateData is the data of quiz:create: a whole quiz in place, under quiz or as data itself, or the id of a stored
// one.
type QuizCreateData struct {
	QuizID string `json:"quizId,omitempty"`
	Quiz   *Quiz  `json:"quiz,omitempty"`
}

// QuizCreateReply answers quiz:create.
type QuizCreateReply struct {
	Room      string `json:"room"`
	PIN       string `json:"pin"`
	HostToken string `json:"hostToken"`
}

// QuizExtendData is the data of quiz:extend: milliseconds added to the open question, 1,000–600,000 (default 10,000).
type QuizExtendData struct {
	ByMs int64 `json:"byMs,omitempty"`
}

// QuizLockData is the data of quiz:lock: no new participants (default true); false opens again.
type QuizLockData struct {
	Locked *bool `json:"locked,omitempty"`
}

// RegradeData is the data of quiz:regrade: another key for a question, or whether it counts. With AnswerKey, Void must
// not be true: a question that gets a key counts (again).
type RegradeData struct {
	Question  int        `json:"question"`
	AnswerKey *AnswerKey `json:"answerKey,omitempty"`
	Void      *bool      `json:"void,omitempty"`   // true: nobody gets points for it; false: it counts again
	Reason    string     `json:"reason,omitempty"` // everybody sees it; at most 200 characters
}

// AnswerKey is what is right for a question, in the members that belong to its type.
type AnswerKey struct {
	Options     []string      `json:"options,omitempty"`     // choices: the ids of the right ones
	Correct     *bool         `json:"correct,omitempty"`     // true_false
	Numbers     []NumberRange `json:"numbers,omitempty"`     // numeric: any of these is right
	Texts       []string      `json:"texts,omitempty"`       // short_text: any is right
	CaseMatters *bool         `json:"caseMatters,omitempty"` // short_text; left out: as it was
}

// QuizRegraded is the data of quiz:regraded.
type QuizRegraded struct {
	Number int    `json:"number"`
	Void   bool   `json:"void"`
	Reason string `json:"reason,omitempty"`
}

// AnswerData is the data of quiz:answer. Question is the number of the question. Answer is, by type: an option id or
// index (single_choice,
// poll), an array of them (multiple_choice), a boolean or "true"/"false" (true_false), a number or its text (numeric),
// a
// string (short_text). Key is the client's idempotency key, 1–64 characters.
type AnswerData struct {
	Question int             `json:"question"`
	Answer   json.RawMessage `json:"answer"`
	Key      string          `json:"key"`
}

// AnswerReply answers quiz:answer, sent once the answer is durable. The same key again gives the same reply.
type AnswerReply struct {
	Receipt    string `json:"receipt"`
	AcceptedAt int64  `json:"acceptedAt"`
	Durable    bool   `json:"durable"`

	// Claims are those of a receipt that is yet to be signed; whoever carries the reply out does so before it is encoded.
	Claims *ReceiptClaims `json:"-"`
}

// ChatSendData is the data of chat:send. Text is plain text of 1–2,000 characters; Key an idempotency key.
type ChatSendData struct {
	Text    string `json:"text"`
	ReplyTo string `json:"replyTo,omitempty"`
	Key     string `json:"key,omitempty"`
}

// ChatSendReply answers chat:send.
type ChatSendReply struct {
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
	TS  int64  `json:"ts"`
}

// ChatEditData is the data of chat:edit.
type ChatEditData struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// ChatIDData is the data of chat:delete.
type ChatIDData struct {
	ID string `json:"id"`
}

// ChatReactData is the data of chat:react; Remove takes the caller's reaction back.
type ChatReactData struct {
	ID     string `json:"id"`
	Emoji  string `json:"emoji"`
	Remove bool   `json:"remove,omitempty"`
}

// ChatPinData is the data of chat:pin; Pinned false takes it down (default true).
type ChatPinData struct {
	ID     string `json:"id"`
	Pinned *bool  `json:"pinned,omitempty"`
}

// ChatTypingData is the data of chat:typing.
type ChatTypingData struct {
	Typing *bool `json:"typing,omitempty"` // default true
}

// ChatHistoryData is the data of chat:history: messages before the one named, newest last.
type ChatHistoryData struct {
	Before string `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 1–100, default 50
}

// ChatMessage is a message as members see it: the data of chat:message and chat:edited.
type ChatMessage struct {
	ID        string         `json:"id"`
	User      string         `json:"user"`
	Name      string         `json:"name"`
	Role      Role           `json:"role"`
	Text      string         `json:"text"`
	ReplyTo   string         `json:"replyTo,omitempty"`
	Mentions  []string       `json:"mentions,omitempty"` // user ids
	Links     []string       `json:"links,omitempty"`    // hosts of links in the text: shown with a warning
	Reactions map[string]int `json:"reactions,omitempty"`
	TS        int64          `json:"ts"`
	EditedAt  int64          `json:"editedAt,omitempty"`
	Deleted   bool           `json:"deleted,omitempty"` // text is empty then
	Pinned    bool           `json:"pinned,omitempty"`
}

// ChatSnapshot is the chat part of a room's snapshot and the reply to chat:history.
type ChatSnapshot struct {
	Messages []ChatMessage `json:"messages"` // newest last
	Pinned   []ChatMessage `json:"pinned,omitempty"`
	SlowMs   int64         `json:"slowMs,omitempty"`
	Lockdown bool          `json:"lockdown,omitempty"`
	More     bool          `json:"more,omitempty"` // older ones exist
}

// ChatDeleted is the data of chat:deleted.
type ChatDeleted struct {
	ID string `json:"id"`
	By string `json:"by"` // author | moderator
}

// ChatReaction is the data of chat:reaction: the new count of one emoji.
type ChatReaction struct {
	ID    string `json:"id"`
	Emoji string `json:"emoji"`
	Count int    `json:"count"`
}

// ChatPinned is the data of chat:pinned.
type ChatPinned struct {
	ID     string `json:"id"`
	Pinned bool   `json:"pinned"`
}

// ChatTyping is the data of the event chat:typing.
type ChatTyping struct {
	User   string `json:"user"`
	Name   string `json:"name"`
	Typing bool   `json:"typing"`
}

// Notification is the data of notify: somebody mentioned the receiver.
type Notification struct {
	Kind    string `json:"kind"` // mention
	Message string `json:"message"`
	From    string `json:"from"`
	Name    string `json:"name"`
	Text    string `json:"text"`
}

// ModUserData is the data of mod:mute, mod:kick and mod:ban. DurationMs zero means until taken back; Undo takes it
// back.
type ModUserData struct {
	User       string `json:"user"`
	DurationMs int64  `json:"durationMs,omitempty"`
	Undo       bool   `json:"undo,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// ModSlowData is the data of mod:slow: the least time between two messages of one participant; zero ends slow mode.
type ModSlowData struct {
	EveryMs int64 `json:"everyMs"`
}

// ModLockdownData is the data of mod:lockdown: only moderators may write (default true).
type ModLockdownData struct {
	On *bool `json:"on,omitempty"`
}

// ChatMuted is the data of chat:muted, directed to the muted user and the moderators.
type ChatMuted struct {
	User  string `json:"user"`
	Muted bool   `json:"muted"`
	Until int64  `json:"until,omitempty"`
}

// ChatSlow is the data of chat:slow.
type ChatSlow struct {
	SlowMs   int64 `json:"slowMs"`
	Lockdown bool  `json:"lockdown"`
}

// ProgressData is the data of progress:update and, with User and Name, of progress:changed.
type ProgressData struct {
	User  string `json:"user,omitempty"`
	Name  string `json:"name,omitempty"`
	Unit  string `json:"unit"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// RoomKicked is the data of room:kicked: why the receiver is removed.
type RoomKicked struct {
	Banned bool   `json:"banned"`
	Until  int64  `json:"until,omitempty"` // may come back then; zero: at once if kicked, never if banned
	Reason string `json:"reason,omitempty"`
}
