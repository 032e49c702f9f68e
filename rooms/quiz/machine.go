package quiz

import (
	"strings"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Config are the limits and times of a game. Zero values mean the defaults; a negative time means none at all.
type Config struct {
	ParticipantsMax int   // default 100,000
	LeadMs          int64 // from the announcement of a question to its opening; default 3,000
	GraceMs         int64 // after closesAt, for answers under way; default 500
	AutoAdvanceMs   int64 // how long results and leaderboard stay with autoAdvance; default 5,000

	Room string // the room's id, which receipts name
	// ReceiptKey names the key that signs the receipts of a question that opens now: no I/O, any goroutine. Nil or empty:
	// receipts are random words that only this server can check.
	ReceiptKey func() string
}

func (c Config) withDefaults() Config {
	if c.ParticipantsMax <= 0 {
		c.ParticipantsMax = 100_000
	}
	for _, t := range []struct {
		field *int64
		usual int64
	}{{&c.LeadMs, 3000}, {&c.GraceMs, 500}, {&c.AutoAdvanceMs, 5000}} {
		if *t.field == 0 {
			*t.field = t.usual
		}
		*t.field = max(*t.field, 0)
	}
	return c
}

// Limits and defaults of wire.Quiz that the machine falls back to.
const (
	timeLimitMsDefault    = 20_000
	pointsDefault         = 1000
	leaderboardTopDefault = 5
	leaderboardTopMax     = 100
	extendMsDefault       = 10_000
)

// comeBackMs is how long after a restart participants are still expected to come back.
const comeBackMs = 30_000

// player is one participant; its index in Machine.players is its order of joining.
type player struct {
	user, name string
	joinedAt   int64
	score      int32
	delta      int32 // points of the last question
	answerMs   int32 // sum of elapsed times
	streak     int32
	rank       int32
	removedAt  int32 // questions scored by then
	removed    bool
	connected  bool // volatile
	expected   bool // volatile: the open question waits for this one
}

// Machine is the quiz of one room. It belongs to the room's shard: no method is safe for more than one goroutine.
type Machine struct {
	cfg Config

	// Written by Apply only.
	quiz       *wire.Quiz
	pin, owner string
	phase      wire.QuizPhase // by the become setters only
	pausedFrom wire.QuizPhase
	pausedAt   int64
	locked     bool
	questions  []question
	current    int // index of the question in play; -1 before the first
	scored     int // number of the last question with results, 0 before
	startedAt  int64
	endedAt    int64
	createdAt  int64
	advanceAt  int64 // autoAdvance: when the next step is due; 0 none
	lastFactAt int64
	acting     string // user whose op is being carried out; empty: nobody's, time passes
	board      board

	players  []player
	byUser   map[string]int32
	byName   map[string]int32 // folded names
	volatile presence
}

// New makes a machine without a quiz: its phase is none.
func New(cfg Config) *Machine {
	return &Machine{
		cfg: cfg.withDefaults(), phase: wire.PhaseNone, current: -1,
		byUser: make(map[string]int32), byName: make(map[string]int32), volatile: newPresence(),
	}
}

// Create gives the room its quiz, which must be validated and must not be changed afterwards. It replies nothing. A
// room that has a quiz keeps it: ask Phase first.
func (m *Machine) Create(env effect.Env, from effect.Caller, q *wire.Quiz, pin string, out *effect.Effects) {
	if m.phase != wire.PhaseNone || q == nil {
		return
	}
	m.record(FactCreated, env.Now, &Created{Quiz: q, PIN: pin, Owner: from.User}, out)
}

func (m *Machine) record(kind string, at int64, data any, out *effect.Effects) {
	f := effect.Fact{Kind: kind, At: at, Data: data}
	out.Facts = append(out.Facts, f)
	m.Apply(f, out)
}

// Handle carries out a quiz op other than quiz:create. body is a pointer to the op's validated payload, or nil. It
// replies or refuses through out.
func (m *Machine) Handle(env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects) {
	var err *wire.Error
	switch op {
	case wire.OpQuizAnswer:
		d, ok := body.(*wire.AnswerData)
		if !ok {
			err = wire.NewError(wire.CodeInvalidData, "an answer needs question, answer and key")
			break
		}
		if err = m.answer(env, from, d, out); err == nil {
			return // answer has replied
		}
	case wire.OpQuizState:
		out.Reply(from, m.Snapshot(env.Now, from))
		return
	default:
		if from.Role < wire.RoleHost {
			err = wire.NewError(wire.CodeForbidden, "only the host runs the quiz")
			break
		}
		m.acting = from.User
		err = m.step(env, op, body, out)
		m.acting = ""
	}
	if err != nil {
		out.Refuse(from, err)
		return
	}
	out.Reply(from, nil)
}

// Enter admits a member as participant, or says why not. A user who is in the game keeps name and score; calling it
// for each of a user's connections is right. Without a quiz there is nothing to enter and all is well: the room
// enters its members again after Create. The room has filtered the name.
func (m *Machine) Enter(env effect.Env, from effect.Caller, out *effect.Effects) *wire.Error {
	if m.phase == wire.PhaseNone {
		return nil
	}
	i, ok := m.byUser[from.User]
	if !ok {
		if err := m.admissible(from); err != nil {
			return err
		}
		m.record(FactJoined, env.Now, &Joined{User: from.User, Name: strings.TrimSpace(from.Name)}, out)
		i = m.byUser[from.User]
	}
	p := &m.players[i]
	if p.connected {
		return nil
	}
	p.connected = true
	m.volatile.connected++
	m.expect(i)
	m.touchLobby(env.Now, out)
	m.touchProgress(env.Now, out)
	return nil
}

func (m *Machine) admissible(from effect.Caller) *wire.Error {
	switch {
	case m.phase == wire.PhaseEnded:
		return wire.NewError(wire.CodeWrongState, "this quiz is over")
	case m.locked:
		return wire.NewError(wire.CodeRoomLocked, "the host admits nobody new at the moment")
	case m.phase != wire.PhaseLobby && m.quiz.Settings.LateJoin != nil && !*m.quiz.Settings.LateJoin:
		return wire.NewError(wire.CodeWrongState, "this quiz has begun and takes no late participants")
	case len(m.byUser) >= m.cfg.ParticipantsMax:
		return wire.NewError(wire.CodeRoomFull, "all %d places are taken", m.cfg.ParticipantsMax)
	}
	name := foldText(from.Name, false)
	if name == "" {
		return wire.NewError(wire.CodeInvalidData, "choose a name").At("name")
	}
	if _, taken := m.byName[name]; taken {
		return wire.NewError(wire.CodeNameTaken, "somebody has this name already: choose another")
	}
	return nil
}

// Leave says that the last connection of a user went. The user stays in the game.
func (m *Machine) Leave(env effect.Env, user string, out *effect.Effects) {
	i, ok := m.byUser[user]
	if !ok || !m.players[i].connected {
		return
	}
	m.players[i].connected = false
	m.volatile.connected--
	m.touchLobby(env.Now, out)
}

// Remove takes a user out of the game and out of the ranks; entering again makes a new participant.
func (m *Machine) Remove(env effect.Env, user string, out *effect.Effects) {
	if _, ok := m.byUser[user]; !ok {
		return
	}
	m.record(FactRemoved, env.Now, &Removed{User: user}, out)
	m.touchLobby(env.Now, out)
	m.touchProgress(env.Now, out)
	m.closeIfAllAnswered(env.Now, out)
}

// Recover is called once, after the last fact of a journal was applied to a new machine: it gives an open question the
// time back in which no server was there. That began at aliveAt (Unix milliseconds), or, where the last recorded fact
// is later or aliveAt isn't known (0), with that fact. For a while, questions that open then wait for everybody in the
// game, connected or not: the first to come back must not close them for the others.
func (m *Machine) Recover(env effect.Env, aliveAt int64, out *effect.Effects) {
	m.volatile.patientUntil = env.Now + comeBackMs
	running := m.phase == wire.PhaseOpen || (m.advanceAt != 0 && m.phase != wire.PhasePaused)
	if stoodSince := max(m.lastFactAt, aliveAt); running && env.Now > stoodSince {
		m.record(FactRecovered, env.Now, &Recovered{ByMs: env.Now - stoodSince}, out)
	}
}

// Deadline is when Tick has something to do, in Unix milliseconds; 0 is never.
func (m *Machine) Deadline() int64 {
	due := m.volatile.due()
	if m.phase == wire.PhaseOpen {
		due = earlier(due, m.questions[m.current].closesAt+m.cfg.GraceMs)
	}
	if m.phase == wire.PhaseResults || m.phase == wire.PhaseLeaderboard {
		due = earlier(due, m.advanceAt)
	}
	return due
}

// earlier is the smaller of two times of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// Tick does what is due at env.Now: closes a question, advances by itself, sends sampled counts.
func (m *Machine) Tick(env effect.Env, out *effect.Effects) {
	switch {
	case m.phase == wire.PhaseOpen && env.Now >= m.questions[m.current].closesAt+m.cfg.GraceMs:
		m.record(FactClosed, env.Now, &Closed{N: m.current + 1}, out)
	case m.advanceAt != 0 && env.Now >= m.advanceAt && m.phase == wire.PhaseResults:
		m.record(FactRanked, env.Now, &Ranked{N: m.current + 1}, out)
	case m.advanceAt != 0 && env.Now >= m.advanceAt && m.phase == wire.PhaseLeaderboard:
		m.openNext(env.Now, out)
	}
	m.flushSamples(env.Now, out)
}

// Phase is the state of the game, none without a quiz. The grace after closesAt still counts as open here.
func (m *Machine) Phase() wire.QuizPhase { return m.phase }

// PIN is what participants enter to find the room; empty without a quiz.
func (m *Machine) PIN() string { return m.pin }

// Owner is the user who created the quiz.
func (m *Machine) Owner() string { return m.owner }

// Title is the quiz's title.
func (m *Machine) Title() string {
	if m.quiz == nil {
		return ""
	}
	return m.quiz.Title
}

// Locked says whether new participants are refused.
func (m *Machine) Locked() bool { return m.locked }

// Participants is the number of users in the game, connected or not.
func (m *Machine) Participants() int { return len(m.byUser) }
