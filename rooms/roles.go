package rooms

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
)

// identify works out who the caller is in this room: the role that a token gives is not the role that it has here.
//
//	token                                        role here
//	admin                                        admin
//	scoped to this room                          the token's
//	scoped to another room                       refused
//	the owner of this room                       host
//	host or moderator of no room in particular   the token's where nobody owns the room, otherwise participant
//	participant, observer                        the same
//
// A member keeps the role it joined with, which may be a lower one that it asked for.
func (r *Room) identify(cmd *Command) (effect.Caller, *wire.Error) {
	from := cmd.From
	if cmd.Scope != "" && cmd.Scope != r.id {
		return from, wire.NewError(wire.CodeForbidden, "this token is good for another room only")
	}
	switch {
	case from.Role >= wire.RoleAdmin, cmd.Scope == r.id:
	case r.owner != "" && from.User == r.owner:
		from.Role = wire.RoleHost
	case r.owner != "" && from.Role > wire.RoleParticipant:
		from.Role = wire.RoleParticipant
	}
	if role, ok := r.roles[from.Conn]; ok {
		from.Member = true
		from.Role = min(from.Role, role)
	}
	if member, ok := r.members.Member(from.User); ok {
		from.Name = member.Name
	}
	return from, nil
}

// RoleOf is a user's role in the room, also of one who is away; RoleNone for somebody who was never there.
func (r *Room) RoleOf(user string) wire.Role {
	if user != "" && user == r.owner {
		return wire.RoleHost
	}
	if member, ok := r.members.Member(user); ok {
		return member.Role
	}
	if _, ok := r.quiz.NameOf(user); ok {
		return wire.RoleParticipant
	}
	return wire.RoleNone
}

// opRule is who may do what in a room.
type opRule struct {
	role      wire.Role
	outsiders bool // may be done without having joined
}

var opRules = [wire.OpCount]opRule{
	wire.OpNone:           {wire.RoleNone, true},
	wire.OpRoomJoin:       {wire.RoleObserver, true},
	wire.OpRoomLeave:      {wire.RoleObserver, true},
	wire.OpRoomPublish:    {wire.RoleParticipant, false}, // and see Room.publish
	wire.OpRoomPresence:   {wire.RoleObserver, false},
	wire.OpQuizState:      {wire.RoleObserver, false},
	wire.OpQuizStart:      {wire.RoleHost, true},
	wire.OpQuizNext:       {wire.RoleHost, true},
	wire.OpQuizPause:      {wire.RoleHost, true},
	wire.OpQuizResume:     {wire.RoleHost, true},
	wire.OpQuizExtend:     {wire.RoleHost, true},
	wire.OpQuizSkip:       {wire.RoleHost, true},
	wire.OpQuizLock:       {wire.RoleHost, true},
	wire.OpQuizEnd:        {wire.RoleHost, true},
	wire.OpQuizRegrade:    {wire.RoleHost, true},
	wire.OpQuizAnswer:     {wire.RoleParticipant, false},
	wire.OpChatSend:       {wire.RoleParticipant, false},
	wire.OpChatEdit:       {wire.RoleParticipant, false},
	wire.OpChatDelete:     {wire.RoleParticipant, false},
	wire.OpChatReact:      {wire.RoleParticipant, false},
	wire.OpChatPin:        {wire.RoleModerator, false},
	wire.OpChatTyping:     {wire.RoleParticipant, false},
	wire.OpChatHistory:    {wire.RoleObserver, false},
	wire.OpModMute:        {wire.RoleModerator, true},
	wire.OpModBan:         {wire.RoleModerator, true},
	wire.OpModKick:        {wire.RoleModerator, true},
	wire.OpModApprove:     {wire.RoleModerator, true},
	wire.OpModReject:      {wire.RoleModerator, true},
	wire.OpModLockdown:    {wire.RoleModerator, true},
	wire.OpModSlow:        {wire.RoleModerator, true},
	wire.OpProgressUpdate: {wire.RoleParticipant, false},
}

// OpenToOutsiders says whether an op may be sent to a room by somebody who has not joined it. Any goroutine.
func OpenToOutsiders(op wire.Op) bool { return opRules[op].outsiders }

// permit checks role and membership. Rights come first: somebody without them isn't told to join.
func permit(op wire.Op, from effect.Caller) *wire.Error {
	rule := opRules[op]
	if from.Role < rule.role {
		return wire.NewError(wire.CodeForbidden, "%s needs the role %s here", op, rule.role)
	}
	if !rule.outsiders && !from.Member {
		return wire.NewError(wire.CodeNotMember, "join the room before %s", op)
	}
	return nil
}

// chatPolicy lets the chat ask the room about moderation without knowing it.
type chatPolicy Room

// MayWrite says why a user may not write, or nil.
func (p *chatPolicy) MayWrite(user string, role wire.Role, now int64) *wire.Error {
	return p.mod.MayWrite(user, role, now)
}

// SlowMs is the least time between two messages of one participant.
func (p *chatPolicy) SlowMs() int64 { return p.mod.SlowMs() }

// Lockdown is true while only moderators may write.
func (p *chatPolicy) Lockdown() bool { return p.mod.Lockdown() }

// CheckText refuses a text that the word filter hits.
func (p *chatPolicy) CheckText(text string) (string, *wire.Error) {
	if p.cfg.Filter == nil {
		return text, nil
	}
	return text, p.cfg.Filter.CheckText(text)
}

// Links are the hosts of the links in a text.
func (p *chatPolicy) Links(text string) []string {
	return moderation.Links(text)
}

// Members are the ids of the members with this display name.
func (p *chatPolicy) Members(name string) []string { return p.members.ByName(name) }
