package moderation

import (
	"cmp"
	"maps"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Limits that are not settings.
const (
	dayMs         = 24 * 60 * 60 * 1000
	durationMsMax = 366 * dayMs
	// SlowMsMax is the slowest slow mode: an hour between two messages.
	SlowMsMax      = 60 * 60 * 1000
	reasonRunesMax = 200
	userBytesMax   = 256
)

// Members is what moderation asks of the room about somebody who is acted on.
type Members interface {
	// RoleOf is a user's role in the room, also of one who is away; RoleNone for somebody who was never there.
	RoleOf(user string) wire.Role
}

// Config holds the limits of a room's moderation. Zero members mean the defaults.
type Config struct {
	MutesMax int // default 10,000
	BansMax  int // default 10,000; kicks with a duration count
}

// Machine is the moderation of one room.
type Machine struct {
	cfg     Config
	members Members

	// Written by Apply only. The values are Unix milliseconds, zero: until taken back.
	mutes    map[string]int64
	bans     map[string]int64
	slowMs   int64
	lockdown bool

	next int64 // earliest end of a mute or ban; zero: none
}

// New makes the moderation of a room in which nobody is muted or banned.
func New(cfg Config, members Members) *Machine {
	if cfg.MutesMax <= 0 {
		cfg.MutesMax = 10_000
	}
	if cfg.BansMax <= 0 {
		cfg.BansMax = 10_000
	}
	return &Machine{cfg: cfg, members: members, mutes: make(map[string]int64), bans: make(map[string]int64)}
}

// MayWrite refuses a user who is banned or muted, roles below participant, and everybody below moderator during a
// lockdown.
func (m *Machine) MayWrite(user string, role wire.Role, now int64) *wire.Error {
	if role < wire.RoleParticipant {
		return wire.NewError(wire.CodeForbidden, "observers may read, not write")
	}
	if m.Banned(user, now) {
		return wire.NewError(wire.CodeBanned, "you were removed from this room")
	}
	if until, ok := m.mutes[user]; ok && (until == 0 || now < until) {
		err := wire.NewError(wire.CodeMuted, "a moderator has muted you; you may read")
		if until != 0 {
			err.RetryAfterMs = until - now
		}
		return err
	}
	if m.lockdown && role < wire.RoleModerator {
		return wire.NewError(wire.CodeMuted, "only moderators may write at the moment")
	}
	return nil
}

// Banned is true for a user who must not be let in at now.
func (m *Machine) Banned(user string, now int64) bool {
	until, ok := m.bans[user]
	return ok && (until == 0 || now < until)
}

// SlowMs is the least time between two messages of a participant; zero: no slow mode.
func (m *Machine) SlowMs() int64 { return m.slowMs }

// Lockdown is true while only staff may write.
func (m *Machine) Lockdown() bool { return m.lockdown }

// Sanction is one mute or ban.
type Sanction struct {
	User  string `json:"user"`
	Until int64  `json:"until,omitempty"` // Unix milliseconds; zero: until taken back
}

// Sanctions is what staff may see of the state: who is muted and who is banned, by user id.
type Sanctions struct {
	Muted    []Sanction `json:"muted"`
	Banned   []Sanction `json:"banned"`
	SlowMs   int64      `json:"slowMs,omitempty"`
	Lockdown bool       `json:"lockdown,omitempty"`
}

// Snapshot lists the sanctions in force, for staff.
func (m *Machine) Snapshot() *Sanctions {
	return &Sanctions{Muted: list(m.mutes), Banned: list(m.bans), SlowMs: m.slowMs, Lockdown: m.lockdown}
}

func list(of map[string]int64) []Sanction {
	out := make([]Sanction, 0, len(of))
	for user, until := range of {
		out = append(out, Sanction{User: user, Until: until})
	}
	slices.SortFunc(out, func(a, b Sanction) int { return cmp.Compare(a.User, b.User) })
	return out
}

// Handle carries out one command of staff. body is a pointer to the op's payload type; for mod:lockdown it may be nil.
func (m *Machine) Handle(env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects) {
	if err := m.handle(env, from, op, body, out); err != nil {
		out.Refuse(from, err)
		return
	}
	out.Reply(from, nil)
}

func (m *Machine) handle(
	env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects,
) *wire.Error {
	if from.Role < wire.RoleModerator {
		return wire.NewError(wire.CodeForbidden, "only moderators may do this")
	}
	switch op {
	case wire.OpModMute, wire.OpModBan, wire.OpModKick:
		if d, ok := body.(*wire.ModUserData); ok {
			return m.actOn(env, from, op, d, out)
		}
	case wire.OpModSlow:
		if d, ok := body.(*wire.ModSlowData); ok {
			return m.setSlow(env, from, d, out)
		}
	case wire.OpModLockdown:
		d, ok := body.(*wire.ModLockdownData)
		if ok || body == nil {
			on := d == nil || d.On == nil || *d.On
			if on != m.lockdown {
				m.record(effect.Fact{Kind: KindLockdown, At: env.Now, Data: &Lockdown{On: on, By: from.User}}, out)
			}
			return nil
		}
	case wire.OpModApprove, wire.OpModReject:
		return wire.NewError(wire.CodeWrongState, "nothing is held for review")
	}
	return wire.NewError(wire.CodeInvalidData, "send the data that %s takes", op)
}

// actOn carries out mute, ban and kick, and takes them back. What would change nothing is no error and leaves no fact.
func (m *Machine) actOn(
	env effect.Env, from effect.Caller, op wire.Op, d *wire.ModUserData, out *effect.Effects,
) *wire.Error {
	if d.User == "" || len(d.User) > userBytesMax {
		return wire.NewError(wire.CodeInvalidData, "name the user by id").At("user")
	}
	if d.DurationMs < 0 || d.DurationMs > durationMsMax {
		return wire.NewError(wire.CodeInvalidData, "give 0 to %d ms", int64(durationMsMax)).At("durationMs")
	}
	if m.members.RoleOf(d.User) >= from.Role {
		return wire.NewError(wire.CodeForbidden, "you may act only on somebody with a lower role")
	}
	act := Act{User: d.User, By: from.User, Undo: d.Undo, Reason: cut(d.Reason, reasonRunesMax)}
	if d.DurationMs > 0 && !d.Undo {
		act.Until = env.Now + d.DurationMs
	}
	if op == wire.OpModMute {
		if err := m.room(m.mutes, act, m.cfg.MutesMax); err != nil || m.same(m.mutes, act) {
			return err
		}
		m.record(effect.Fact{Kind: KindMuted, At: env.Now, Data: &Muted{act}}, out)
		return nil
	}
	if op == wire.OpModKick && !d.Undo {
		if act.Until != 0 {
			if err := m.room(m.bans, act, m.cfg.BansMax); err != nil {
				return err
			}
		}
		m.record(effect.Fact{Kind: KindKicked, At: env.Now, Data: &Kicked{act}}, out)
		return nil
	}
	// Taking a kick back lets the user in again, as taking back a ban does.
	if err := m.room(m.bans, act, m.cfg.BansMax); err != nil || m.same(m.bans, act) {
		return err
	}
	m.record(effect.Fact{Kind: KindBanned, At: env.Now, Data: &Banned{act}}, out)
	return nil
}

// same is true when the act is in force already.
func (m *Machine) same(of map[string]int64, act Act) bool {
	until, ok := of[act.User]
	if act.Undo {
		return !ok
	}
	return ok && until == act.Until
}

// room refuses a sanction of one more user than the limit allows.
func (m *Machine) room(of map[string]int64, act Act, limit int) *wire.Error {
	if _, ok := of[act.User]; ok || act.Undo || len(of) < limit {
		return nil
	}
	return wire.NewError(wire.CodeTooLarge, "at most %d users can be muted or banned; lock the room instead", limit)
}

func (m *Machine) setSlow(env effect.Env, from effect.Caller, d *wire.ModSlowData, out *effect.Effects) *wire.Error {
	if d.EveryMs < 0 || d.EveryMs > SlowMsMax {
		return wire.NewError(wire.CodeInvalidData, "give 0 to %d ms", SlowMsMax).At("everyMs")
	}
	if d.EveryMs != m.slowMs {
		m.record(effect.Fact{Kind: KindSlow, At: env.Now, Data: &Slow{EveryMs: d.EveryMs, By: from.User}}, out)
	}
	return nil
}

// record keeps a fact and applies it.
func (m *Machine) record(f effect.Fact, out *effect.Effects) {
	out.Facts = append(out.Facts, f)
	m.Apply(f, out)
}

// Apply makes what has happened true and tells those whom it concerns. It is the only writer of state and reads no
// clock. A fact that is not moderation's is ignored.
func (m *Machine) Apply(f effect.Fact, out *effect.Effects) {
	switch d := f.Data.(type) {
	case *Muted:
		m.sanction(m.mutes, d.Act)
		m.tellMuted(f.At, d.Act, out)
	case *Banned:
		m.sanction(m.bans, d.Act)
		if !d.Undo {
			m.tellRemoved(f.At, d.Act, true, out)
		}
	case *Kicked:
		if d.Until != 0 {
			m.sanction(m.bans, d.Act)
		}
		m.tellRemoved(f.At, d.Act, false, out)
	case *Slow:
		m.slowMs = d.EveryMs
		out.Broadcast(wire.EvChatSlow, f.At, &wire.ChatSlow{SlowMs: m.slowMs, Lockdown: m.lockdown})
	case *Lockdown:
		m.lockdown = d.On
		out.Broadcast(wire.EvChatSlow, f.At, &wire.ChatSlow{SlowMs: m.slowMs, Lockdown: m.lockdown})
	}
}

// sanction enters or takes back one mute or ban.
func (m *Machine) sanction(of map[string]int64, act Act) {
	old, had := of[act.User]
	if act.Undo {
		delete(of, act.User)
	} else {
		of[act.User] = act.Until
	}
	if had && old != 0 && old == m.next {
		m.next = m.earliest()
	}
	if !act.Undo && act.Until != 0 && (m.next == 0 || act.Until < m.next) {
		m.next = act.Until
	}
}

// earliest finds the next end of a mute or ban.
func (m *Machine) earliest() int64 {
	var next int64
	for _, of := range []map[string]int64{m.mutes, m.bans} {
		for until := range maps.Values(of) {
			if until != 0 && (next == 0 || until < next) {
				next = until
			}
		}
	}
	return next
}

func (m *Machine) tellMuted(at int64, act Act, out *effect.Effects) {
	if out.Replaying {
		return
	}
	data := &wire.ChatMuted{User: act.User, Muted: !act.Undo, Until: act.Until}
	out.User(act.User, wire.EvChatMuted, at, data)
	out.Staff(wire.EvChatMuted, at, data)
}

func (m *Machine) tellRemoved(at int64, act Act, banned bool, out *effect.Effects) {
	if out.Replaying {
		return
	}
	out.User(act.User, wire.EvRoomKicked, at, &wire.RoomKicked{Banned: banned, Until: act.Until, Reason: act.Reason})
}

// Deadline is the next end of a mute or ban: Unix milliseconds, 0 for none.
func (m *Machine) Deadline() int64 { return m.next }

// Tick ends the mutes and bans whose time has come, in order of user id so that a replay and a rerun agree.
func (m *Machine) Tick(env effect.Env, out *effect.Effects) {
	if m.next == 0 || env.Now < m.next {
		return
	}
	for _, s := range list(m.mutes) {
		if s.Until != 0 && s.Until <= env.Now {
			m.record(effect.Fact{Kind: KindMuted, At: env.Now, Data: &Muted{Act{User: s.User, Undo: true}}}, out)
		}
	}
	for _, s := range list(m.bans) {
		if s.Until != 0 && s.Until <= env.Now {
			m.record(effect.Fact{Kind: KindBanned, At: env.Now, Data: &Banned{Act{User: s.User, Undo: true}}}, out)
		}
	}
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
