package rooms

import (
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
)

const membersMaxDefault = 1_000_000

// create brings a room with a quiz to life.
func (r *Room) create(env effect.Env, cmd *Command, body *Create, out *effect.Effects) {
	if r.created {
		out.Refuse(cmd.From, wire.NewError(wire.CodeWrongState, "the room exists already"))
		return
	}
	r.record(effect.Fact{Kind: KindRoomCreated, At: env.Now, Data: &created{
		Epoch: randomID(env.Rand, epochChars), Owner: cmd.From.User,
	}}, out)
	from := cmd.From
	from.Role = wire.RoleHost
	r.quiz.Create(env, from, body.Quiz, body.PIN, out)
	out.Reply(from, &wire.QuizCreateReply{Room: r.id, PIN: body.PIN, HostToken: body.HostToken})
}

// join admits a connection: rights, ban, name, the game's own rules; then the snapshot or the missed events.
func (r *Room) join(env effect.Env, from effect.Caller, data *wire.JoinData, out *effect.Effects) *wire.Error {
	if data.Role != wire.RoleNone {
		if data.Role > from.Role {
			return wire.NewError(wire.CodeForbidden, "your token does not allow the role %s here", data.Role).At("role")
		}
		from.Role = data.Role
	}
	if err := r.admit(env, &from, data, out); err != nil {
		return err
	}
	if from.Member { // joins again: the loops know it already, but its role may differ
		r.forget(from.Conn)
	}
	from.Member = true
	r.members.Join(from.Conn, from.User, from.Name, from.Role)
	r.roles[from.Conn] = from.Role
	out.Outputs = append(out.Outputs, effect.Output{Kind: effect.Join, Conn: from.Conn, Role: from.Role})
	reply := &wire.JoinReply{Room: r.id, Epoch: r.epoch, Role: from.Role}
	if from.Role == wire.RoleParticipant {
		reply.Me = r.quiz.Me(from.User)
	}
	// Facts of this very step (quiz.joined) make no resumable event, so the room's seq is already what it will be.
	reply.Seq = r.seq
	if data.Since != nil && data.Epoch == r.epoch {
		var missed []effect.Output
		reply.Recovered = r.ring.since(*data.Since, r.seq, func(o effect.Output) {
			o.Audience, o.Conn, o.Resumable = effect.ToConn, from.Conn, false
			missed = append(missed, o)
		})
		if reply.Recovered {
			out.Reply(from, reply)
			out.Outputs = append(out.Outputs, missed...)
			return nil
		}
	}
	reply.Snapshot = r.snapshot(env.Now, from)
	out.Reply(from, reply)
	return nil
}

// admit checks whether a caller may join and, in a game, enters it as a participant.
func (r *Room) admit(env effect.Env, from *effect.Caller, data *wire.JoinData, out *effect.Effects) *wire.Error {
	if r.mod.Banned(from.User, env.Now) {
		return wire.NewError(wire.CodeBanned, "the host has removed you from this room")
	}
	limit := r.cfg.MembersMax
	if limit == 0 {
		limit = membersMaxDefault
	}
	if !from.Member && r.members.Conns() >= limit {
		return wire.NewError(wire.CodeRoomFull, "this room has reached its limit of %d members", limit)
	}
	if data.Name != "" {
		from.Name = data.Name
	}
	if known, ok := r.quiz.NameOf(from.User); ok { // who comes back keeps the name that others know
		from.Name = known
	} else if from.Role <= wire.RoleParticipant {
		name, err := r.cleanName(from.Name)
		if err != nil {
			return err
		}
		from.Name = name
	}
	if from.Role == wire.RoleParticipant && r.quiz.Phase() != wire.PhaseNone {
		return r.quiz.Enter(env, *from, out)
	}
	return nil
}

func (r *Room) cleanName(name string) (string, *wire.Error) {
	if r.cfg.Filter == nil || name == "" {
		return name, nil
	}
	return r.cfg.Filter.CleanName(name)
}

// snapshot is the room's state as one member may see it.
func (r *Room) snapshot(now int64, who effect.Caller) *wire.RoomSnapshot {
	s := &wire.RoomSnapshot{Members: r.members.Users(), Chat: r.chat.Snapshot(who)}
	if r.quiz.Phase() != wire.PhaseNone {
		s.Quiz = r.quiz.Snapshot(now, who)
	}
	return s
}

// leave takes a connection out: it asked to go, or it is gone. Leaving twice is no error.
func (r *Room) leave(env effect.Env, from effect.Caller, out *effect.Effects) {
	if _, ok := r.roles[from.Conn]; !ok {
		return
	}
	user, last := r.forget(from.Conn)
	out.Outputs = append(out.Outputs, effect.Output{Kind: effect.Leave, Conn: from.Conn})
	if last {
		r.quiz.Leave(env, user, out)
	}
}

func (r *Room) forget(conn wire.ConnID) (user string, last bool) {
	delete(r.roles, conn)
	return r.members.Leave(conn)
}

// presence answers room:presence.
func (r *Room) presence(env effect.Env, from effect.Caller, data *wire.PresenceData, out *effect.Effects) {
	out.Reply(from, r.members.Answer(env.Rand, *data))
}

// moderate lets the moderation machine decide, and carries out what it decided about membership.
func (r *Room) moderate(env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects) {
	target, ok := body.(*wire.ModUserData)
	if ok && target.User == r.owner && r.owner != "" && from.Role < wire.RoleAdmin {
		out.Refuse(from, wire.NewError(wire.CodeForbidden, "nobody removes or mutes the host").At("user"))
		return
	}
	before := len(out.Facts)
	r.mod.Handle(env, from, op, body, out)
	for i := range len(out.Outputs) { // whoever is removed still learns why
		if out.Outputs[i].Audience == effect.ToUser {
			r.address(i, out)
		}
	}
	for _, f := range out.Facts[before:] {
		if user, code, ok := moderation.Removal(f); ok {
			r.expel(env, user, code, out)
		}
	}
}

// expel removes a user from the game and closes the user's connections.
func (r *Room) expel(env effect.Env, user string, code wire.CloseCode, out *effect.Effects) {
	r.quiz.Remove(env, user, out)
	for _, conn := range slices.Collect(r.members.ConnsOf(user)) {
		r.forget(conn)
		out.Outputs = append(out.Outputs,
			effect.Output{Kind: effect.Leave, Conn: conn},
			effect.Output{Kind: effect.Close, Conn: conn, CloseCode: code})
	}
}

// query answers the questions of the HTTP side.
func (r *Room) query(env effect.Env, cmd *Command, from effect.Caller, out *effect.Effects) {
	switch body := cmd.Body.(type) {
	case *InfoQuery:
		state := r.quiz.Snapshot(env.Now, effect.Caller{Role: wire.RoleObserver})
		out.Reply(from, &Info{
			Room: r.id, PIN: r.quiz.PIN(), Title: r.quiz.Title(), Phase: r.quiz.Phase(),
			Locked: state.Locked, Participants: state.Participants,
			NameTaken: body.Name != "" && r.quiz.NameTaken(body.Name, from.User),
		})
	case *ResultsQuery:
		if from.Role < wire.RoleHost {
			out.Refuse(from, wire.NewError(wire.CodeForbidden, "only the host gets the results"))
			return
		}
		out.Reply(from, &Results{Title: r.quiz.Title(), Table: r.quiz.Results()})
	case *TextsQuery:
		if err := r.mayRead(env.Now, from); err != nil {
			out.Refuse(from, err)
			return
		}
		staff, host := from.Role >= wire.RoleModerator, from.Role >= wire.RoleHost
		out.Reply(from, r.texts(staff, host, body.IDs))
	case *ReceiptQuery:
		out.Reply(from, r.quiz.CheckReceipt(body.Claims))
	default:
		out.Refuse(from, wire.NewError(wire.CodeUnknownOp, "this is not a question for a room"))
	}
}

// mayRead says why a caller without a connection of its own may not read the room, or nil. Staff may; anybody else must
// be here at the moment.
func (r *Room) mayRead(now int64, from effect.Caller) *wire.Error {
	if r.mod.Banned(from.User, now) {
		return wire.NewError(wire.CodeBanned, "the host has removed you from this room")
	}
	if from.Role >= wire.RoleModerator {
		return nil
	}
	if _, here := r.members.Member(from.User); !here {
		return wire.NewError(wire.CodeNotMember, "join the room to search in it")
	}
	return nil
}

// close ends the room's life: nobody can join it again, and its PIN is free. The shard calls it for a game that is over
// or abandoned and whose last member has left long ago.
func (r *Room) close(env effect.Env, out *effect.Effects) {
	r.record(effect.Fact{Kind: KindRoomClosed, At: max(env.Now, r.lastAt), Data: &closed{}}, out)
	r.finish(out)
}

// Over is true for a game that has ended and a room that everybody has left.
func (r *Room) Over() bool {
	return r.Exists() && r.quiz.Phase() == wire.PhaseEnded && r.members.Conns() == 0
}
