package gateway

import (
	"sync/atomic"
	"time"

	"lectern/netpoll"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// delivery is what a shard gave to the loops: the same value for each of them. It is immutable but for pending.
type delivery struct {
	items   []rooms.Delivery
	groups  []group
	groupAt []int32 // per item: the index of the group that it heads, plus one; zero: none
	pending atomic.Int32
	done    func()
	gw      *Gateway
	begun   time.Time

	apart bool // of the groups: a variant wants the events one by one
}

// Deliver implements rooms.Outlet: it signs receipts (see sealer), encodes, and hands the result to every loop. done is
// called when all of them have written.
func (g *Gateway) Deliver(_ int, items []rooms.Delivery, done func()) {
	d := &delivery{items: items, gw: g, done: done, groupAt: make([]int32, len(items)), begun: g.now()}
	if at := g.sealer.unsigned(items); len(at) > 0 {
		g.sealer.share(items, at, d.leave)
		return
	}
	d.leave()
}

// leave hands the delivery to the loops. It runs on the shard's goroutine or on a sealer's.
func (d *delivery) leave() {
	d.encode()
	d.gw.bridge.take(d.items)
	loops := *d.gw.loops.Load()
	d.pending.Store(int32(len(loops)) + 1)
	defer d.finish() // with no loop at all there is only the bridge
	for _, l := range loops {
		if !l.Post(d) { // the loop has stopped, and with it its members
			d.gw.counters.lostDeliveries.Add(1)
			d.finish()
		}
	}
}

// encode makes the groups. Events of a room between two changes of its membership form one group, at the place of the
// first: replies in between don't divide it, so natural batches survive request and response traffic.
func (d *delivery) encode() {
	wanted := d.gw.counters.members.wanted()
	d.apart = d.gw.counters.apart.Load() > 0
	open := make(map[string]int32) // room → its group that still takes events
	for i := range d.items {
		it := &d.items[i]
		switch it.Kind {
		case effect.Join, effect.Leave:
			delete(open, it.Room)
		case effect.Event:
			if it.Audience != effect.ToConn {
				d.place(i, open)
			}
		}
	}
	for i := range d.groups {
		d.groups[i].seal(&wanted, &d.gw.cfg)
	}
	d.gw.counters.groups.Add(int64(len(d.groups)))
}

func (d *delivery) place(i int, open map[string]int32) {
	it := &d.items[i]
	alone := it.Class != wire.ClassReliable || it.Audience != effect.ToAll || it.Except != 0
	if at, ok := open[it.Room]; ok && !alone {
		if g := &d.groups[at]; len(g.text) < groupBytesMax {
			g.add(it, d.apart)
			return
		}
	}
	g := group{room: it.Room, epoch: it.Epoch, audience: it.Audience, class: netpoll.Class(it.Class), except: it.Except}
	if it.Class == wire.ClassState {
		g.key = stateKey(it)
	}
	g.add(it, d.apart)
	d.groups = append(d.groups, g)
	d.groupAt[i] = int32(len(d.groups))
	if !alone {
		open[it.Room] = int32(len(d.groups) - 1)
	}
}

// finish is called once per loop, and once by Deliver.
func (d *delivery) finish() {
	if d.pending.Add(-1) != 0 {
		return
	}
	for i := range d.groups {
		d.groups[i].release()
	}
	d.done()
}

// run writes the delivery to this loop's members. What it queues for a connection leaves in one write when the turn
// ends.
func (d *delivery) run(l *netpoll.Loop) {
	defer d.finish()
	ls := state(l)
	defer ls.dropShared()
	var given int64
	defer func() { ls.deliveries.delivered(l, d.begun, given) }()
	for i := range d.items {
		it := &d.items[i]
		if head := d.groupAt[i]; head != 0 {
			if r := ls.rooms[it.Room]; r != nil {
				n := int64(r.write(&d.groups[head-1]))
				d.gw.counters.deliveries.Add(n)
				given += n
			}
			continue
		}
		if it.Conn == 0 || netpoll.ConnID(it.Conn).Loop() != l.Index() {
			continue
		}
		c := l.Lookup(netpoll.ConnID(it.Conn))
		if c == nil {
			d.tooLate(ls, it)
			continue
		}
		d.single(ls, c.State.(*member), it)
		given++
	}
}

// tooLate deals with an output for a connection that is gone. Closed tells only the rooms that the connection knew of;
// a room that took it in after it had left, or after another join was refused, has a member that nobody else will take
// back.
func (d *delivery) tooLate(ls *loopState, it *rooms.Delivery) {
	if it.Kind == effect.Join {
		d.gw.enqueue(ls, rooms.Command{
			Room: it.Room, From: effect.Caller{Conn: it.Conn}, Body: &rooms.Disconnect{},
		})
	}
}

// single carries out an output for one connection.
func (d *delivery) single(ls *loopState, m *member, it *rooms.Delivery) {
	switch it.Kind {
	case effect.Join:
		ls.join(m, it.Room, it.Role)
	case effect.Leave:
		ls.leave(m, it.Room)
	case effect.Close:
		m.close(it.CloseCode, closeReason(it.CloseCode))
	case effect.Reply:
		ls.commands.replied(m.conn.Loop(), commandKey{it.Conn, it.Req}, &d.gw.commandTimes)
		if it.Err != nil {
			m.refuse(it.Req, it.Err)
			return
		}
		m.reply(it.Req, it.Data)
	case effect.Event:
		d.gw.counters.deliveries.Add(1)
		m.dialect.event(m, it)
	}
}

// closeReason is what a room's close says to people.
func closeReason(code wire.CloseCode) string {
	switch code {
	case wire.CloseKicked, wire.CloseBanned:
		return "removed by the host"
	case wire.CloseNodeChange:
		return "the room was rebuilt; come back"
	case wire.CloseOverloaded:
		return "the room can't be served now; come back later"
	}
	return "closed by the room"
}

// loopRoom is a room's members on one loop. staff lists the moderators and hosts again, so that what is for them alone
// doesn't cost a walk over everybody.
type loopRoom struct {
	members []*member
	staff   []*member
	epoch   string // where its members are in the room's history: the last event that they were sent
	seq     uint64
}

func (ls *loopState) join(m *member, room string, role wire.Role) {
	at := m.find(room)
	if at < 0 { // a first join was refused while this one was on its way: the room has it as a member, so it is one
		m.joined = append(m.joined, joined{id: room})
		at = len(m.joined) - 1
	}
	j := &m.joined[at]
	if j.room == nil {
		r := ls.rooms[room]
		if r == nil {
			r = &loopRoom{}
			ls.rooms[room] = r
		}
		j.room, j.place = r, len(r.members)
		r.members = append(r.members, m)
	}
	j.room.unstaff(m)
	if role >= wire.RoleModerator {
		j.room.staff = append(j.room.staff, m)
	}
}

func (ls *loopState) leave(m *member, room string) {
	at := m.find(room)
	if at < 0 {
		return
	}
	if r := m.joined[at].room; r != nil {
		r.remove(m)
		if r.empty() {
			delete(ls.rooms, room)
		}
	}
	m.joined = append(m.joined[:at], m.joined[at+1:]...)
}

// remove takes m out in O(1): the last member takes its place.
func (r *loopRoom) remove(m *member) {
	for i := range m.joined {
		j := &m.joined[i]
		if j.room != r {
			continue
		}
		last := r.members[len(r.members)-1]
		r.members[j.place] = last
		for k := range last.joined {
			if last.joined[k].room == r {
				last.joined[k].place = j.place
			}
		}
		r.members[len(r.members)-1] = nil
		r.members = r.members[:len(r.members)-1]
		j.room = nil
		break
	}
	r.unstaff(m)
}

func (r *loopRoom) unstaff(m *member) {
	for i, s := range r.staff {
		if s == m {
			r.staff = append(r.staff[:i], r.staff[i+1:]...)
			return
		}
	}
}

func (r *loopRoom) empty() bool { return len(r.members) == 0 }

// write queues a group for the members it is for, and says how many events that made. Nothing is written, and so nobody
// leaves the list, before the turn ends.
func (r *loopRoom) write(g *group) (delivered int) {
	if g.lastSeq > r.seq || g.epoch != r.epoch && g.lastSeq > 0 {
		r.epoch, r.seq = g.epoch, g.lastSeq
	}
	list := r.members
	if g.audience == effect.ToStaff {
		list = r.staff
	}
	for _, m := range list {
		if g.except != 0 && m.id() == g.except {
			continue
		}
		if f := g.frames[m.variant]; f != nil {
			delivered += taken(m.conn.Send(g.class, g.key, f), g.events)
		} else {
			delivered += m.dialect.group(m, g)
		}
	}
	return delivered
}

// taken is how many of a frame's events count as delivered.
func taken(status netpoll.SendStatus, events int) int {
	if status == netpoll.Dropped || status == netpoll.Closed {
		return 0
	}
	return events
}
