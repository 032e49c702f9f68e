package gateway

import (
	"lectern/protocol/native"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

// commandSpec is one row of the dispatch table.
type commandSpec struct {
	cost int       // tokens of the connection's quota
	role wire.Role // the least that a token must have; what it means in the room is the room's to say
	// here answers on the loop; nil: the command goes to its room.
	here func(m *member, req *native.Request, data any)
	open bool // may be sent before auth
	chat bool // counts against the chat's quota as well
}

// commands is the dispatch table; a test holds it complete.
var commands [wire.OpCount]commandSpec

func init() {
	room := func(cost int, role wire.Role) commandSpec { return commandSpec{cost: cost, role: role} }
	for op := wire.OpNone + 1; int(op) < wire.OpCount; op++ {
		commands[op] = room(1, wire.RoleObserver)
	}
	commands[wire.OpAuth] = commandSpec{cost: 5, open: true, here: (*member).opAuth}
	commands[wire.OpTimeSync] = commandSpec{cost: 1, open: true, here: (*member).opTimeSync}
	commands[wire.OpRoomJoin] = commandSpec{cost: 5, role: wire.RoleObserver, here: (*member).opJoin}
	commands[wire.OpRoomLeave] = commandSpec{cost: 1, role: wire.RoleObserver, here: (*member).opLeave}
	commands[wire.OpQuizCreate] = commandSpec{cost: 20, role: wire.RoleParticipant, here: (*member).opQuizCreate}
	commands[wire.OpRoomPublish] = room(1, wire.RoleParticipant)
	commands[wire.OpQuizAnswer] = room(1, wire.RoleParticipant)
	for _, op := range []wire.Op{wire.OpChatSend, wire.OpChatEdit, wire.OpChatReact} {
		commands[op] = commandSpec{cost: 2, role: wire.RoleParticipant, chat: true}
	}
	commands[wire.OpQuizRegrade] = room(20, wire.RoleParticipant) // does all sums of the game again
	commands[wire.OpChatHistory] = room(3, wire.RoleObserver)
	commands[wire.OpRoomPresence] = room(3, wire.RoleObserver)
}

// perform carries out a request that the dialect has read; err is what it could not read. The answer goes to
// the dialect's reply or refuse, now or later.
func (m *member) perform(req *native.Request, err *wire.Error) {
	m.gateway().counters.received(req.Op)
	if limited := m.pay(req.Op); limited != nil { // what can't be read is not free either
		err = limited
	} else if err == nil {
		err = m.entitled(req)
	}
	var data any
	if err == nil {
		data, err = native.DecodeData(req.Op, req.Data)
	}
	if err != nil {
		m.refuse(req.ID, err)
		if err.Code == wire.CodeRateLimited {
			m.strike(max(commands[req.Op].cost, 1))
		}
		return
	}
	spec := &commands[req.Op]
	if spec.here != nil {
		spec.here(m, req, data)
		return
	}
	if err := m.toRoom(req, data); err != nil {
		m.refuse(req.ID, err)
	}
}

// allowed checks quota, token and role, in this order: a flood is stopped before it costs anything else.
func (m *member) allowed(req *native.Request) *wire.Error {
	if err := m.pay(req.Op); err != nil {
		return err
	}
	return m.entitled(req)
}

// pay takes what an op costs from the quotas; one that there is not costs as much as any.
func (m *member) pay(op wire.Op) *wire.Error {
	spec := &commands[op]
	now := m.conn.Loop().Now().UnixMilli()
	ok, retryAfterMs := m.quota.Take(m.gateway().cfg.MessagesPer, now, max(spec.cost, 1))
	if ok && spec.chat && m.role < wire.RoleModerator {
		ok, retryAfterMs = m.chat.Take(m.gateway().cfg.ChatPer, now, 1)
	}
	if !ok {
		m.gateway().counters.hit(limitMessages)
		err := wire.NewError(wire.CodeRateLimited, "too many messages on this connection; slow down")
		err.RetryAfterMs = retryAfterMs
		return err
	}
	return nil
}

// entitled checks token and role.
func (m *member) entitled(req *native.Request) *wire.Error {
	spec := &commands[req.Op]
	now := m.conn.Loop().Now().UnixMilli()
	if spec.open {
		return nil
	}
	if !m.authed {
		return wire.NewError(wire.CodeAuthRequired, "send auth with a token first")
	}
	if m.expiresAt != 0 && m.expiresAt <= now {
		return wire.NewError(wire.CodeTokenExpired, "the token has expired; send auth with a new one")
	}
	if m.role < spec.role {
		return wire.NewError(wire.CodeForbidden, "%s needs the role %s", req.Op, spec.role)
	}
	return nil
}

// toRoom puts a command into the turn's batch for its shard.
func (m *member) toRoom(req *native.Request, data any) *wire.Error {
	room, err := m.roomOf(req.Room)
	if err != nil {
		return err
	}
	if !rooms.OpenToOutsiders(req.Op) && m.find(room) < 0 { // the shard would load the room only to say so
		return wire.NewError(wire.CodeNotMember, "join the room before %s", req.Op)
	}
	m.toShard(m.command(room, req, data))
	return nil
}

// toShard puts a command into the turn's batch, and measures it if its turn has come.
func (m *member) toShard(cmd rooms.Command) {
	l := m.conn.Loop()
	ls := state(l)
	ls.commands.started(l, commandKey{cmd.From.Conn, cmd.From.Req})
	m.gateway().enqueue(ls, cmd)
}

func (m *member) command(room string, req *native.Request, data any) rooms.Command {
	return rooms.Command{
		Room: room, Op: req.Op, Scope: m.scope, Body: data,
		From: effect.Caller{Conn: m.id(), Req: req.ID, User: m.user, Name: m.name, Role: m.role},
	}
}

// roomOf finds the room that a command means: the one it names, by id or PIN, or the only one that the connection is
// in. A token for one room gets the same answer for all others, whether there is such a room or not.
func (m *member) roomOf(name string) (string, *wire.Error) {
	room, known := name, true
	switch {
	case isPIN(name):
		if room, known = m.gateway().pins.Room(name); !known {
			room = name
		}
	case name != "":
	case len(m.joined) == 1:
		room = m.joined[0].id
	case m.scope != "":
		room = m.scope
	default:
		return "", wire.NewError(wire.CodeBadMessage, "name the room in the member room")
	}
	switch {
	case m.scope != "" && room != m.scope:
		return "", wire.NewError(wire.CodeForbidden, "this token is good for another room only")
	case !known: // not the name of a room that joining would create
		if missing := m.gateway().pins.Missing(); missing != nil {
			return "", missing
		}
		return "", wire.NewError(wire.CodeUnknownRoom, "no room has this PIN")
	}
	return room, nil
}

// isPIN says whether a name can only be a PIN: six digits.
func isPIN(name string) bool {
	if len(name) != pinDigits {
		return false
	}
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return true
}

const pinDigits = 6

func (m *member) opAuth(req *native.Request, body any) {
	data := body.(*wire.AuthData)
	var err *wire.Error
	switch {
	case data.Token != "":
		err = m.open(data.Token)
	case m.authed: // asks who it is
	case data.Name != "" && m.gateway().cfg.Dev:
		m.guest(data.Name)
	case data.Name != "":
		err = wire.NewError(wire.CodeAuthRequired, "guests need a token here: join with a PIN, or start the server with "+
			"--dev")
	default:
		err = wire.NewError(wire.CodeInvalidData, "auth needs a token").At("token")
	}
	if err != nil {
		m.refuse(req.ID, err)
		return
	}
	m.reply(req.ID, &wire.AuthReply{
		User: m.user, Name: m.name, Roles: []wire.Role{m.role}, Room: m.scope, ExpiresAt: m.expiresAt,
	})
}

func (m *member) opTimeSync(req *native.Request, body any) {
	g := m.gateway()
	sent := g.clock() // the rooms' clock: it is for the times of questions that members ask
	received := sent - max(0, g.now().Sub(m.conn.Loop().Now()).Milliseconds())
	m.reply(req.ID, &wire.TimeSyncReply{T0: body.(*wire.TimeSyncData).T0, T1: received, T2: sent})
}

func (m *member) opJoin(req *native.Request, body any) {
	room, err := m.roomOf(req.Room)
	if err == nil {
		err = m.mayJoin()
	}
	if err != nil {
		m.refuse(req.ID, err)
		return
	}
	if m.find(room) < 0 {
		if most := m.gateway().cfg.RoomsPerConn; len(m.joined) >= most {
			m.refuse(req.ID, wire.NewError(wire.CodeRateLimited, "a connection may be in %d rooms", most))
			return
		}
		m.joined = append(m.joined, joined{id: room})
	}
	cmd := m.command(room, req, body)
	cmd.MayCreate = m.gateway().cfg.Dev || m.role >= wire.RoleHost || m.scope == room
	m.toShard(cmd)
}

func (m *member) opLeave(req *native.Request, _ any) {
	if err := m.toRoom(req, nil); err != nil {
		m.refuse(req.ID, err)
	}
}

// opQuizCreate makes a room with a quiz. Signing the host's token and reading a stored quiz would hold up the loop, so
// they are done elsewhere, and the command goes to its shard from there.
func (m *member) opQuizCreate(req *native.Request, body any) {
	g := m.gateway()
	if m.role < wire.RoleHost && !g.cfg.Dev {
		m.refuse(req.ID, wire.NewError(wire.CodeForbidden, "creating a quiz needs the role host"))
		return
	}
	data := body.(*wire.QuizCreateData)
	cmd := m.command("", req, nil)
	loop, id := m.conn.Loop(), cmd.From.Conn
	job := func() {
		ready, err := g.NewSession(cmd.From, data)
		posted := loop.Post(resume{conn: id, then: func(m *member) {
			if err != nil {
				m.refuse(cmd.From.Req, err)
				return
			}
			g.enqueue(state(m.conn.Loop()), ready)
		}, gone: func() { g.dropSession(&ready) }})
		if !posted {
			g.dropSession(&ready)
		}
	}
	select {
	case g.work <- job:
	default:
		err := wire.NewError(wire.CodeUnavailable, "too many quizzes are being created; try again")
		err.RetryAfterMs = 1000
		m.refuse(req.ID, err)
	}
}

// resume is a task that goes on with a connection after work elsewhere, if it is still there; otherwise gone undoes the
// work.
type resume struct {
	conn wire.ConnID
	then func(*member)
	gone func()
}

// dropSession frees the PIN of a command from NewSession that never reaches a shard; of others there is nothing to
// free. Any goroutine.
func (g *Gateway) dropSession(cmd *rooms.Command) {
	if body, ok := cmd.Body.(*rooms.Create); ok {
		g.pins.Release(body.PIN, cmd.Room)
	}
}

// NewSession prepares the command that creates a room for a quiz: reads the quiz, reserves a PIN, signs the host's
// token.
// It blocks; never call it on a loop.
func (g *Gateway) NewSession(host effect.Caller, data *wire.QuizCreateData) (rooms.Command, *wire.Error) {
	quiz := data.Quiz
	if quiz == nil {
		stored, owner, err := g.quizzes.Quiz(data.QuizID)
		if err != nil {
			return rooms.Command{}, err
		}
		if owner != host.User && host.Role < wire.RoleAdmin {
			return rooms.Command{}, wire.NewError(wire.CodeUnknownQuiz, "you have no quiz with this id").At("quizId")
		}
		quiz = stored
	}
	rand := g.rand()
	room := rooms.NewRoomID(rand)
	pin, err := g.pins.Reserve(rand, room)
	if err != nil {
		return rooms.Command{}, err
	}
	token, _, signErr := g.tokens.IssueAccess(g.now(), auth.Claims{
		Subject: host.User, Name: host.Name, Role: wire.RoleHost, Room: room,
	})
	if signErr != nil {
		g.pins.Release(pin, room)
		g.log.Error("a host token can't be signed", "err", signErr)
		return rooms.Command{}, wire.NewError(wire.CodeInternal, "the host token can't be signed")
	}
	return rooms.Command{
		Room: room, Op: wire.OpQuizCreate, From: host, Body: &rooms.Create{Quiz: quiz, PIN: pin, HostToken: token},
	}, nil
}

// workQueueMax is the number of jobs that may wait for a worker.
const workQueueMax = 1024

// Work runs jobs that would hold up a loop, until stop is closed. Start a few of them.
func (g *Gateway) Work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case job := <-g.work:
			job()
		}
	}
}

// find is the index of a room among those the connection has joined, or -1.
func (m *member) find(room string) int {
	for i := range m.joined {
		if m.joined[i].id == room {
			return i
		}
	}
	return -1
}

// forgetPending takes a join back that never reached its room.
func (m *member) forgetPending(room string) {
	if at := m.find(room); at >= 0 && m.joined[at].room == nil {
		m.joined = append(m.joined[:at], m.joined[at+1:]...)
	}
}

// RevokeFamily closes every connection whose token comes from a revoked refresh family. Any goroutine.
func (g *Gateway) RevokeFamily(family string) {
	g.everywhere(func(m *member) {
		if m.family == family && family != "" {
			m.close(wire.CloseTokenRevoked, "the token was revoked")
		}
	})
}

// everywhere runs f for every connection on its loop. It costs a walk over all of them, so it is for rare events.
func (g *Gateway) everywhere(f func(*member)) {
	for _, l := range *g.loops.Load() {
		l.Post(walk(f))
	}
}

// walk is a task that visits every connection of a loop.
type walk func(*member)
