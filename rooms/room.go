package rooms

import (
	"lectern/protocol/wire"
	"lectern/rooms/chat"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
	"lectern/rooms/presence"
	"lectern/rooms/progress"
	"lectern/rooms/quiz"
)

// Config holds what all rooms of a process share. It must not change once rooms exist.
type Config struct {
	Quiz       quiz.Config
	Chat       chat.Config
	Filter     *moderation.Filter // words and names; nil: nothing is filtered
	MembersMax int                // connections per room; zero: 1,000,000
	// OpenPublish lets every member publish (serve --dev); otherwise moderators and above may.
	OpenPublish bool
}

// Room is one room. It is owned by its shard (while it is being loaded: by the loader), and nothing in it is safe for
// another goroutine.
type Room struct {
	// Immutable.
	id  string
	cfg *Config

	// Event-sourced: changed by apply only.
	created  bool
	closed   bool
	epoch    string
	owner    string // user id of the host who created it; empty: nobody's
	index    uint64 // of the last fact
	seq      uint64 // of the last resumable event
	lastAt   int64  // of the last fact; time never runs backwards in a room
	mod      *moderation.Machine
	chat     *chat.Machine
	quiz     *quiz.Machine
	progress *progress.Machine
	keys     keyMemory // idempotency keys of published events

	// Derived from the facts.
	ring ring

	// Volatile.
	members *presence.Tracker
	roles   map[wire.ConnID]wire.Role
}

// NewRoom makes a room that doesn't exist yet: it has no facts. Replay or a creating command brings it to life.
func NewRoom(id string, cfg *Config) *Room {
	r := &Room{id: id, cfg: cfg, members: presence.New(), roles: make(map[wire.ConnID]wire.Role)}
	r.mod = moderation.New(moderation.Config{}, r)
	r.chat = chat.New(cfg.Chat, (*chatPolicy)(r))
	game := cfg.Quiz
	game.Room = id
	r.quiz = quiz.New(game)
	r.progress = progress.New(progress.Config{})
	return r
}

// ID is the room's id.
func (r *Room) ID() string { return r.id }

// Exists is true once the room has been created and until it is closed.
func (r *Room) Exists() bool { return r.created && !r.closed }

// Index is the index of the room's last fact, Seq the seq of its last resumable event, Epoch the name of the history
// that seq counts in.
func (r *Room) Index() uint64 { return r.index }

// Seq is the seq of the last resumable event.
func (r *Room) Seq() uint64 { return r.seq }

// Epoch names the history that seq counts in; it changes only when a room's history is gone.
func (r *Room) Epoch() string { return r.epoch }

// Quiz is the room's game, for reading (replay, exports).
func (r *Room) Quiz() *quiz.Machine { return r.quiz }

// Connections is the number of member connections.
func (r *Room) Connections() int { return r.members.Conns() }

// has says whether a connection is a member.
func (r *Room) has(conn wire.ConnID) bool {
	_, ok := r.roles[conn]
	return ok
}

// Step carries out one command and appends what follows from it to out, whose facts and outputs are this step's alone.
// A room that doesn't exist is created by a command that may do so and otherwise refuses with CodeUnknownRoom.
func (r *Room) Step(env effect.Env, cmd *Command, out *effect.Effects) {
	env.Now = max(env.Now, r.lastAt)
	r.dispatch(env, cmd, out)
	r.finish(out)
}

// Deadline is when Tick wants to be called, Unix milliseconds; zero: never. A closed room has no more facts, so its
// clock stands still.
func (r *Room) Deadline() int64 {
	if r.closed {
		return 0
	}
	return soonest(r.quiz.Deadline(), r.members.Deadline(), r.progress.Deadline(), r.chat.Deadline(), r.mod.Deadline())
}

// Idle is true when nothing in the room needs the clock. The end of a ban doesn't: a replay restores it.
func (r *Room) Idle() bool {
	return r.closed ||
		soonest(r.quiz.Deadline(), r.members.Deadline(), r.progress.Deadline(), r.chat.Deadline()) == 0
}

// Tick lets time pass for the room's machines.
func (r *Room) Tick(env effect.Env, out *effect.Effects) {
	env.Now = max(env.Now, r.lastAt)
	if due(r.quiz.Deadline(), env.Now) {
		r.quiz.Tick(env, out)
	}
	if due(r.members.Deadline(), env.Now) {
		r.members.Tick(env.Now, out)
	}
	if due(r.progress.Deadline(), env.Now) {
		r.progress.Tick(env, out)
	}
	if due(r.chat.Deadline(), env.Now) {
		r.chat.Tick(env, out)
	}
	if due(r.mod.Deadline(), env.Now) {
		r.mod.Tick(env, out)
	}
	r.finish(out)
}

// Recover is called once after a room has been rebuilt in a new process, before its first command. aliveAt is until
// when the process before was alive for certain, Unix milliseconds; zero where nobody knows.
func (r *Room) Recover(env effect.Env, aliveAt int64, out *effect.Effects) {
	if !r.Exists() {
		return
	}
	r.quiz.Recover(env, aliveAt, out)
	r.finish(out)
}

// finish numbers the step's facts and resumable events. Replies that name a seq get the one of their event, which the
// machines put just before them.
func (r *Room) finish(out *effect.Effects) {
	for i := range out.Facts {
		r.index++
		r.lastAt = max(r.lastAt, out.Facts[i].At)
	}
	numbered := false
	for i := range len(out.Outputs) { // addressing a user's further connections appends
		o := &out.Outputs[i]
		switch {
		case o.Kind == effect.Event && o.Audience == effect.ToUser:
			r.address(i, out)
		case o.Kind == effect.Event && o.Resumable:
			r.number(o)
			numbered = true
		case o.Kind == effect.Reply && numbered:
			switch data := o.Data.(type) {
			case *wire.ChatSendReply:
				data.Seq = r.seq
			case *wire.PublishReply:
				data.Seq = r.seq
			}
		}
	}
}

// number gives an event the next seq and keeps it for those who come back. A text that has been changed or deleted
// since doesn't come back.
func (r *Room) number(o *effect.Output) {
	r.seq++
	o.Seq = r.seq
	r.keys.setSeq(r.seq)
	switch data := o.Data.(type) {
	case *wire.ChatMessage:
		if o.Name == wire.EvChatMessage {
			r.chat.NoteSeq(data.ID, r.seq)
		} else {
			r.ring.redact(data.ID, data)
		}
	case *wire.ChatDeleted:
		r.ring.redact(data.ID, nil)
	}
	r.ring.add(*o)
}

// address turns an event for a user into events for the user's connections here. A user who is away gets nothing: what
// must not be missed stands in the snapshot.
func (r *Room) address(i int, out *effect.Effects) {
	o := &out.Outputs[i]
	user := o.User
	o.Audience, o.User, o.Conn = effect.ToConn, "", 0
	for conn := range r.members.ConnsOf(user) {
		if o.Conn == 0 {
			o.Conn = conn
			continue
		}
		more := *o
		more.Conn = conn
		out.Outputs = append(out.Outputs, more)
		o = &out.Outputs[i]
	}
}

func (r *Room) dispatch(env effect.Env, cmd *Command, out *effect.Effects) {
	switch body := cmd.Body.(type) {
	case *Disconnect:
		r.leave(env, cmd.From, out)
		return
	case *Create:
		r.create(env, cmd, body, out)
		return
	}
	if !r.Exists() && !(r.closed && afterTheEnd(cmd)) {
		if cmd.Op != wire.OpRoomJoin || !cmd.MayCreate || r.closed {
			r.refuse(cmd, unknownRoom(), out)
			return
		}
		r.record(effect.Fact{Kind: KindRoomCreated, At: env.Now, Data: &created{Epoch: randomID(env.Rand, epochChars)}}, out)
	}
	from, err := r.identify(cmd)
	if err == nil {
		err = permit(cmd.Op, from)
	}
	if err != nil {
		r.refuse(cmd, err, out)
		return
	}
	r.handle(env, cmd, from, out)
}

// afterTheEnd says whether a closed room still carries a command out. Marks can be put right, and receipts be checked,
// for as long as there is a log: what a closed room records comes after its end, under the same fence, and it stays
// closed.
func afterTheEnd(cmd *Command) bool {
	_, receipt := cmd.Body.(*ReceiptQuery)
	return cmd.Op == wire.OpQuizRegrade || receipt
}

// refuse answers a command with an error. A join that is refused also tells the loop to forget that it was asked for.
func (r *Room) refuse(cmd *Command, err *wire.Error, out *effect.Effects) {
	if cmd.Op == wire.OpRoomJoin && !r.has(cmd.From.Conn) {
		out.Outputs = append(out.Outputs, effect.Output{Kind: effect.Leave, Conn: cmd.From.Conn})
	}
	out.Refuse(cmd.From, err)
}

func (r *Room) handle(env effect.Env, cmd *Command, from effect.Caller, out *effect.Effects) {
	switch cmd.Op {
	case wire.OpNone:
		r.query(env, cmd, from, out)
	case wire.OpRoomJoin:
		if err := r.join(env, from, cmd.Body.(*wire.JoinData), out); err != nil {
			r.refuse(cmd, err, out)
		}
	case wire.OpRoomLeave:
		r.leave(env, from, out)
		out.Reply(from, nil)
	case wire.OpRoomPublish:
		r.publish(env, from, cmd.Body.(*wire.PublishData), out)
	case wire.OpRoomPresence:
		r.presence(env, from, cmd.Body.(*wire.PresenceData), out)
	case wire.OpQuizState:
		out.Reply(from, r.quiz.Snapshot(env.Now, from))
	case wire.OpQuizStart, wire.OpQuizNext, wire.OpQuizPause, wire.OpQuizResume, wire.OpQuizExtend, wire.OpQuizSkip,
		wire.OpQuizLock, wire.OpQuizEnd, wire.OpQuizAnswer, wire.OpQuizRegrade:
		r.quiz.Handle(env, from, cmd.Op, cmd.Body, out)
	case wire.OpChatSend, wire.OpChatEdit, wire.OpChatDelete, wire.OpChatReact, wire.OpChatPin, wire.OpChatTyping,
		wire.OpChatHistory:
		r.chat.Handle(env, from, cmd.Op, cmd.Body, out)
	case wire.OpModMute, wire.OpModBan, wire.OpModKick, wire.OpModApprove, wire.OpModReject, wire.OpModLockdown,
		wire.OpModSlow:
		r.moderate(env, from, cmd.Op, cmd.Body, out)
	case wire.OpProgressUpdate:
		r.progress.Handle(env, from, cmd.Op, cmd.Body, out)
	default:
		out.Refuse(from, wire.NewError(wire.CodeUnknownOp, "a room has no operation %s", cmd.Op))
	}
}

// record appends a fact of the room's own and applies it.
func (r *Room) record(f effect.Fact, out *effect.Effects) {
	out.Facts = append(out.Facts, f)
	r.apply(f, out)
}

func unknownRoom() *wire.Error {
	return wire.NewError(wire.CodeUnknownRoom, "there is no such room; check the PIN or ask the host")
}

func due(deadline, now int64) bool { return deadline != 0 && deadline <= now }

func soonest(deadlines ...int64) int64 {
	var first int64
	for _, d := range deadlines {
		if d != 0 && (first == 0 || d < first) {
			first = d
		}
	}
	return first
}
