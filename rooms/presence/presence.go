// Package presence knows who is in a room now: counts, samples, pages and look-ups by name. It is volatile: nothing of
// it is recorded, and after a restart it fills again as the members come back.
//
// Joining and leaving cost O(1) and tell nobody: members hear a count, at most twice a second, because N members who
// each hear of each other are N² messages. Whoever wants names asks for a sample or a page.
//
// Memory: under 200 bytes for a member with one connection, beside its strings (a test counts them). The number of
// members is limited by the room, not here.
//
// Nothing here is safe for more than one goroutine; a Tracker belongs to its room's shard.
package presence

import (
	"strings"
	"unicode"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// The least time between two room:presence events is CountIntervalMs and a tenth of a millisecond per member: in a
// small room the count is lively, and a room of 100,000 that fills up doesn't spend its time on telling everybody so.
const (
	CountIntervalMs      = 500
	membersPerIntervalMs = 10
)

// stateKey conflates room:presence events at the connections.
const stateKey = "presence"

// none ends a chain of members with the same name hash.
const none = int32(-1)

// member is one user. Most have one connection, so only the second and later ones go to Tracker.more.
type member struct {
	user     string
	name     string
	conn     wire.ConnID
	nextName int32 // next member with the same name hash
	role     wire.Role
}

// Tracker is the presence of one room.
type Tracker struct {
	members []member // dense, in no order: a sample is a random index
	users   map[string]int32
	conns   map[wire.ConnID]int32
	names   map[uint64]int32 // hash of the folded name → first member of the chain
	more    map[int32][]wire.ConnID

	sentCount int   // what the members were told last
	sentAt    int64 // Unix milliseconds
}

// New makes an empty Tracker.
func New() *Tracker {
	return &Tracker{
		users: make(map[string]int32), conns: make(map[wire.ConnID]int32),
		names: make(map[uint64]int32), more: make(map[int32][]wire.ConnID),
	}
}

// Join adds a connection of a user. A user who is there already takes the new name and role. first is true when it is
// the user's first connection. A connection that is there already is moved to user. O(1).
func (t *Tracker) Join(conn wire.ConnID, user, name string, role wire.Role) (first bool) {
	if i, there := t.conns[conn]; there {
		if t.members[i].user == user {
			t.rename(i, name)
			t.members[i].role = role
			return false
		}
		t.Leave(conn)
	}
	i, there := t.users[user]
	if there {
		t.more[i] = append(t.more[i], conn)
		t.conns[conn] = i
		t.rename(i, name)
		t.members[i].role = role
		return false
	}
	i = int32(len(t.members))
	t.members = append(t.members, member{user: user, name: name, conn: conn, nextName: none, role: role})
	t.users[user] = i
	t.conns[conn] = i
	t.link(i)
	return true
}

// Leave takes a connection out. last is true when the user has no other connection here; user is empty when the
// connection was not here. O(1).
func (t *Tracker) Leave(conn wire.ConnID) (user string, last bool) {
	i, there := t.conns[conn]
	if !there {
		return "", false
	}
	delete(t.conns, conn)
	m := &t.members[i]
	user = m.user
	more := t.more[i]
	if len(more) == 0 {
		t.remove(i)
		return user, true
	}
	end := len(more) - 1
	if m.conn == conn {
		m.conn = more[end]
	} else {
		for k, c := range more {
			if c == conn {
				more[k] = more[end]
				break
			}
		}
	}
	if end == 0 {
		delete(t.more, i)
	} else {
		t.more[i] = more[:end]
	}
	return user, false
}

// remove takes member i out and puts the last one in its place.
func (t *Tracker) remove(i int32) {
	t.unlink(i)
	delete(t.users, t.members[i].user)
	last := int32(len(t.members) - 1)
	if i != last {
		t.unlink(last)
		t.members[i] = t.members[last]
		m := &t.members[i]
		t.users[m.user] = i
		t.conns[m.conn] = i
		if more, ok := t.more[last]; ok {
			delete(t.more, last)
			t.more[i] = more
			for _, c := range more {
				t.conns[c] = i
			}
		}
		t.link(i)
	}
	t.members[last] = member{}
	t.members = t.members[:last]
}

// rename gives member i another name.
func (t *Tracker) rename(i int32, name string) {
	if t.members[i].name == name {
		return
	}
	t.unlink(i)
	t.members[i].name = name
	t.link(i)
}

// link puts member i at the head of its name's chain.
func (t *Tracker) link(i int32) {
	h := nameHash(t.members[i].name)
	next, ok := t.names[h]
	if !ok {
		next = none
	}
	t.members[i].nextName = next
	t.names[h] = i
}

// unlink takes member i out of its name's chain.
func (t *Tracker) unlink(i int32) {
	h := nameHash(t.members[i].name)
	at := t.names[h]
	next := t.members[i].nextName
	if at == i {
		if next == none {
			delete(t.names, h)
		} else {
			t.names[h] = next
		}
		return
	}
	for t.members[at].nextName != i {
		at = t.members[at].nextName
	}
	t.members[at].nextName = next
}

// Users is the number of users, Conns that of connections.
func (t *Tracker) Users() int { return len(t.members) }

// Conns is the number of connections.
func (t *Tracker) Conns() int { return len(t.conns) }

// Member gives a user's name and role; ok is false when the user is not here.
func (t *Tracker) Member(user string) (v wire.MemberView, ok bool) {
	i, ok := t.users[user]
	if !ok {
		return wire.MemberView{}, false
	}
	return t.view(i), true
}

// MemberOf gives the member that a connection belongs to.
func (t *Tracker) MemberOf(conn wire.ConnID) (v wire.MemberView, ok bool) {
	i, ok := t.conns[conn]
	if !ok {
		return wire.MemberView{}, false
	}
	return t.view(i), true
}

// ConnsOf calls yield for every connection of a user until it returns false. Use it with range. The Tracker must not
// be changed meanwhile.
func (t *Tracker) ConnsOf(user string) func(yield func(wire.ConnID) bool) {
	return func(yield func(wire.ConnID) bool) {
		i, ok := t.users[user]
		if !ok || !yield(t.members[i].conn) {
			return
		}
		for _, c := range t.more[i] {
			if !yield(c) {
				return
			}
		}
	}
}

// Each calls yield for every member, in no particular order, until it returns false. Use it with range. The Tracker
// must not be changed meanwhile.
func (t *Tracker) Each() func(yield func(wire.MemberView) bool) {
	return func(yield func(wire.MemberView) bool) {
		for i := range t.members {
			if !yield(t.view(int32(i))) {
				return
			}
		}
	}
}

// ByName lists the ids of the users with this display name; case does not matter. O(1).
func (t *Tracker) ByName(name string) []string {
	i, ok := t.names[nameHash(name)]
	if !ok {
		return nil
	}
	var ids []string
	for ; i != none; i = t.members[i].nextName {
		if strings.EqualFold(t.members[i].name, name) {
			ids = append(ids, t.members[i].user)
		}
	}
	return ids
}

func (t *Tracker) view(i int32) wire.MemberView {
	m := &t.members[i]
	return wire.MemberView{User: m.user, Name: m.name, Role: m.role}
}

// Deadline is when Tick has something to say: Unix milliseconds, 0 when the members know the count already.
func (t *Tracker) Deadline() int64 {
	if len(t.members) == t.sentCount {
		return 0
	}
	return max(t.sentAt+CountIntervalMs+int64(len(t.members)/membersPerIntervalMs), 1)
}

// Tick tells the members the count when it has changed and the last event is old enough.
func (t *Tracker) Tick(now int64, out *effect.Effects) {
	due := t.Deadline()
	if due == 0 || now < due {
		return
	}
	t.sentCount, t.sentAt = len(t.members), now
	out.State(effect.ToAll, wire.EvRoomPresence, stateKey, now, &wire.PresenceReply{Count: t.sentCount})
}

// nameHash is FNV-1a (64 bits) over the simple case folding of name, so that names that strings.EqualFold calls equal
// hash alike.
func nameHash(name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, r := range name {
		h = (h ^ uint64(foldRune(r))) * prime
	}
	return h
}

// foldRune is the smallest rune of r's folding orbit: one representative for all its cases.
func foldRune(r rune) rune {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		// K and S fold with the Kelvin sign and the long s, which are above; the lower-case letter stands for all.
		return r
	}
	smallest := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		smallest = min(smallest, f)
	}
	if 'A' <= smallest && smallest <= 'Z' {
		return smallest + 'a' - 'A'
	}
	return smallest
}
