package chat

import (
	"strconv"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Policy is what the chat asks of the room. The room implements it over moderation and presence. It must not change
// anything and must be quick: it is asked for every message.
type Policy interface {
	// MayWrite refuses a user who is muted or banned, and everybody but staff during a lockdown.
	MayWrite(user string, role wire.Role, now int64) *wire.Error
	// CheckText gives the text as it is to be shown, or refuses it (text_rejected).
	CheckText(text string) (clean string, err *wire.Error)
	// Links lists the hosts of the links in text.
	Links(text string) []string
	// Members lists the ids of the users with this display name; case does not matter.
	Members(name string) []string
	// SlowMs is the least time between two messages of one participant; zero: no slow mode.
	SlowMs() int64
	// Lockdown is true while only staff may write.
	Lockdown() bool
}

// Config holds the limits of a chat. Zero members mean the defaults.
type Config struct {
	MessagesMax   int   // messages kept in memory; default 1,000
	PinsMax       int   // default 5
	TextRunesMax  int   // characters of a message; default 2,000
	ReactionsMax  int   // reactions kept in the room; default 200,000
	EditWindowMs  int64 // how long an author may edit; default 15 minutes
	SnapshotCount int   // messages of a snapshot; default 50
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&c.MessagesMax, 1000)
	set(&c.PinsMax, 5)
	set(&c.TextRunesMax, 2000)
	set(&c.ReactionsMax, 200_000)
	set(&c.SnapshotCount, 50)
	if c.EditWindowMs <= 0 {
		c.EditWindowMs = 15 * 60 * 1000
	}
	return c
}

// Limits that are not settings.
const (
	keyBytesMax     = 64
	emojisMax       = 20 // different ones of a message
	historyMax      = 100
	historyDefault  = 50
	typingMs        = 1000
	typingSweepSize = 1024
	slowSweepSize   = 1024
)

// reaction is one emoji of a message and who gave it.
type reaction struct {
	emoji string
	users map[string]struct{}
}

// message is one message as it is kept.
type message struct {
	n         uint64
	seq       uint64 // of its chat:message event; zero until the room has told
	id        string
	user      string
	name      string
	text      string
	replyTo   string
	key       string
	mentions  []string
	links     []string
	reactions []reaction // in order of first use
	ts        int64
	editedAt  int64
	role      wire.Role
	deleted   bool
	pinned    bool
}

// sentKey names an idempotency key: keys of different users never meet.
type sentKey struct{ user, key string }

// typingState is the last typing event of a user.
type typingState struct {
	at     int64
	typing bool
}

// Machine is the chat of one room.
type Machine struct {
	cfg    Config
	policy Policy

	// Written by Apply only.
	lastN     uint64
	msgs      []*message // in order of n; at most cfg.MessagesMax
	byID      map[string]*message
	byKey     map[sentKey]*message
	pins      []*message // in order of pinning
	reactions int        // kept in all messages
	lastSent  map[string]int64
	slowMs    int64 // greatest slow mode that entries of lastSent were made under

	// Volatile: not part of the recorded state.
	typing map[string]typingState
	snap   *wire.ChatSnapshot // nil when the state has changed since it was made
}

// New makes an empty chat.
func New(cfg Config, p Policy) *Machine {
	return &Machine{
		cfg: cfg.withDefaults(), policy: p,
		byID: make(map[string]*message), byKey: make(map[sentKey]*message),
		lastSent: make(map[string]int64), typing: make(map[string]typingState),
	}
}

// Handle carries out one command of a member: it replies or refuses, and records what has happened. body is a pointer
// to the op's payload type, or nil where the op's data may be left out.
func (m *Machine) Handle(env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects) {
	var reply any
	var err *wire.Error
	switch b := body.(type) {
	case *wire.ChatSendData:
		m.send(env, from, b, out) // replies itself: its reply must follow its event
		return
	case *wire.ChatEditData:
		err = m.edit(env, from, b, out)
	case *wire.ChatIDData:
		err = m.remove(env, from, b, out)
	case *wire.ChatReactData:
		err = m.react(env, from, b, out)
	case *wire.ChatPinData:
		err = m.pin(env, from, b, out)
	case *wire.ChatTypingData:
		err = m.setTyping(env, from, b, out)
	case *wire.ChatHistoryData:
		reply, err = m.history(b)
	case nil:
		reply, err = m.handleBare(env, from, op, out)
	default:
		err = wire.NewError(wire.CodeInvalidData, "send the data that %s takes", op)
	}
	if err != nil {
		out.Refuse(from, err)
		return
	}
	out.Reply(from, reply)
}

// handleBare carries out the ops whose data may be left out.
func (m *Machine) handleBare(env effect.Env, from effect.Caller, op wire.Op, out *effect.Effects) (any, *wire.Error) {
	switch op {
	case wire.OpChatTyping:
		return nil, m.setTyping(env, from, &wire.ChatTypingData{}, out)
	case wire.OpChatHistory:
		return m.history(&wire.ChatHistoryData{})
	}
	return nil, wire.NewError(wire.CodeInvalidData, "send the data that %s takes", op)
}

// record keeps a fact and applies it.
func (m *Machine) record(f effect.Fact, out *effect.Effects) {
	out.Facts = append(out.Facts, f)
	m.Apply(f, out)
}

// NoteSeq tells the machine the seq that the room gave to the chat:message event of a message, so that a repeated
// chat:send gets the same reply as the first. It must be called when outputs are numbered, live and on replay alike.
func (m *Machine) NoteSeq(id string, seq uint64) {
	if msg := m.byID[id]; msg != nil {
		msg.seq = seq
	}
}

// Deadline is 0: the chat has no timers.
func (m *Machine) Deadline() int64 { return 0 }

// Tick does nothing: the chat has no timers.
func (m *Machine) Tick(effect.Env, *effect.Effects) {}

// messageID is the id of message n: ids count up, so that paging needs no index.
func messageID(n uint64) string { return "m" + strconv.FormatUint(n, 10) }

// messageN is the inverse of messageID.
func messageN(id string) (n uint64, ok bool) {
	if len(id) < 2 || id[0] != 'm' || id[1] == '0' || id[1] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(id[1:], 10, 64)
	return n, err == nil
}
