package sim

import (
	"hash/fnv"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// process is all that a kill takes away: shards and loops.
type process struct {
	w      *world
	shards []*rooms.Shard
	loader *rooms.Loader
	pins   *rooms.Directory
	loops  []*loop
}

// loop is one event loop's view of the rooms.
type loop struct {
	queue []*delivery
	rooms map[string][]*conn // members, in order of joining
}

// delivery is on its way through all loops.
type delivery struct {
	items   []rooms.Delivery
	pending int
	done    func()
}

// message is what a client reads.
type message struct {
	item  rooms.Delivery
	close bool
}

// conn is one connection, client's and server's side.
type conn struct {
	w      *world
	id     wire.ConnID
	client *client
	closed bool
	wire   []rooms.Command // sent by the client, not yet at the server
	down   []message       // sent by the server, not yet read
	// What the gateway knows.
	joined []string             // asked for
	roles  map[string]wire.Role // member of, as the loops see it
	// What the client knows.
	requests map[uint64]*request
	nextReq  uint64
	reached  map[uint64]bool // requests that got to the server; false once they were answered
}

func (w *world) connect(c *client) *conn {
	w.nextID++
	k := &conn{
		w: w, id: w.nextID, client: c, roles: make(map[string]wire.Role),
		requests: make(map[uint64]*request), reached: make(map[uint64]bool),
	}
	w.conns = append(w.conns, k)
	return k
}

func (w *world) conn(id wire.ConnID) *conn {
	for _, c := range w.conns {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (p *process) shardOf(room string) *rooms.Shard {
	h := fnv.New32a()
	h.Write([]byte(room))
	return p.shards[int(h.Sum32())%len(p.shards)]
}

// up passes the oldest n messages of the client on to the shards.
func (c *conn) up(n int) {
	for ; n > 0 && len(c.wire) > 0 && !c.closed; n-- {
		cmd := c.wire[0]
		c.wire = c.wire[1:]
		c.reached[cmd.From.Req] = true
		if cmd.Op == wire.OpRoomJoin && !slices.Contains(c.joined, cmd.Room) {
			c.joined = append(c.joined, cmd.Room)
		}
		if !c.w.process.shardOf(cmd.Room).Post([]rooms.Command{cmd}) {
			c.w.violate("the inbox is full")
		}
	}
}

// drop is a connection that breaks: what was under way is lost, and the rooms hear of it.
func (c *conn) drop() {
	c.up(c.w.rng.IntN(len(c.wire) + 1))
	c.cut()
	for _, room := range c.joined {
		c.w.process.shardOf(room).PostAlways([]rooms.Command{
			{Room: room, From: effect.Caller{Conn: c.id, User: c.client.user}, Body: &rooms.Disconnect{}},
		})
	}
}

// cut ends both sides.
func (c *conn) cut() {
	c.closed = true
	c.w.conns = slices.DeleteFunc(c.w.conns, func(o *conn) bool { return o == c })
	for _, l := range c.w.process.loops {
		for room := range c.roles {
			l.remove(room, c)
		}
	}
	c.client.lost(c)
}

func (l *loop) remove(room string, c *conn) {
	l.rooms[room] = slices.DeleteFunc(l.rooms[room], func(o *conn) bool { return o == c })
}

// Deliver implements rooms.Outlet.
func (p *process) Deliver(_ int, items []rooms.Delivery, done func()) {
	p.w.report.Deliveries++
	p.w.trace("%d outputs leave, the first of %s", len(items), items[0].Room)
	for i := range items {
		p.w.leaves(&items[i])
	}
	d := &delivery{items: items, pending: len(p.loops), done: done}
	for _, l := range p.loops {
		l.queue = append(l.queue, d)
	}
}

// run carries out the oldest delivery of a loop.
func (p *process) run(index int) {
	l := p.loops[index]
	if len(l.queue) == 0 {
		return
	}
	d := l.queue[0]
	l.queue = l.queue[1:]
	for i := range d.items {
		p.item(index, l, d.items[i])
	}
	if d.pending--; d.pending == 0 {
		d.done()
	}
}

func (p *process) item(index int, l *loop, it rooms.Delivery) {
	if it.Kind == effect.Event && it.Audience != effect.ToConn {
		for _, c := range l.rooms[it.Room] {
			if c.id == it.Except || it.Audience == effect.ToStaff && c.roles[it.Room] < wire.RoleModerator ||
				it.Class != wire.ClassReliable && p.w.chance(300) {
				continue
			}
			c.tell(it)
		}
		return
	}
	if int(it.Conn)%len(p.loops) != index {
		return
	}
	c := p.w.conn(it.Conn)
	if c == nil {
		if it.Kind == effect.Join { // gone before its join was through: the room must not keep it
			p.shardOf(it.Room).PostAlways([]rooms.Command{
				{Room: it.Room, From: effect.Caller{Conn: it.Conn, User: it.User}, Body: &rooms.Disconnect{}},
			})
		}
		return
	}
	switch it.Kind {
	case effect.Join:
		if !slices.Contains(c.joined, it.Room) { // an earlier join was refused, this one not
			c.joined = append(c.joined, it.Room)
		}
		if p.w.banned[it.Room+" "+c.client.user] {
			p.w.violate("%s is banned from %s and joins", c.client.user, it.Room)
		}
		if _, ok := c.roles[it.Room]; !ok {
			l.rooms[it.Room] = append(l.rooms[it.Room], c)
		}
		c.roles[it.Room] = it.Role
	case effect.Leave:
		l.remove(it.Room, c)
		delete(c.roles, it.Room)
		c.joined = slices.DeleteFunc(c.joined, func(r string) bool { return r == it.Room })
	case effect.Close:
		if f := p.w.log[it.Room]; it.CloseCode == wire.CloseBanned && f != nil && f.banned[c.client.user] {
			p.w.banned[it.Room+" "+c.client.user] = true
		}
		c.down = append(c.down, message{close: true})
	default:
		c.tell(it)
	}
}

// tell queues a message for the client.
func (c *conn) tell(it rooms.Delivery) {
	if it.Kind == effect.Event && c.w.banned[it.Room+" "+c.client.user] {
		c.w.violate("%s is banned from %s and gets %s", c.client.user, it.Room, it.Name)
	}
	c.down = append(c.down, message{item: it})
}

// read lets the client see its oldest n messages.
func (c *conn) read(n int) {
	for ; n > 0 && len(c.down) > 0 && !c.closed; n-- {
		m := c.down[0]
		c.down = c.down[1:]
		if m.close {
			c.w.trace("%s is sent away", c.client.user)
			c.drop()
			return
		}
		c.client.receive(c, &m.item)
	}
}
