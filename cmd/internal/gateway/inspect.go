package gateway

import (
	"context"
	"strconv"
	"strings"
	"time"

	"lectern/netpoll"
	"lectern/protocol/wire"
)

// ConnFilter says which connections an operator asks for; empty members fit all.
type ConnFilter struct {
	User    string
	Room    string // by id
	Address string // the peer's host, or host:port
	State   string // of those in ConnView
	Limit   int    // of all loops together
}

// ConnView is what an operator sees of a connection: no name, no text, no token.
type ConnView struct {
	ID          string   `json:"id"`
	Loop        int      `json:"loop"`
	User        string   `json:"user,omitempty"`
	Role        string   `json:"role,omitempty"`
	Address     string   `json:"address"`
	State       string   `json:"state"` // handshake, open, closed
	Variant     string   `json:"variant,omitempty"`
	Rooms       []string `json:"rooms,omitempty"`
	OpenedAt    int64    `json:"openedAt"` // Unix milliseconds, as ClosedAt
	QueuedBytes int      `json:"queuedBytes,omitempty"`
	ClosedAt    int64    `json:"closedAt,omitempty"`
	Reason      string   `json:"reason,omitempty"` // why it closed
}

// States of a ConnView.
const (
	stateHandshake = "handshake"
	stateOpen      = "open"
	stateClosed    = "closed"
)

// closedKept is how many closed connections each loop remembers.
const closedKept = 256

// closedRing holds the connections of one loop that closed last. Owned by the loop.
type closedRing struct {
	views []ConnView
	next  int
}

func (r *closedRing) add(v ConnView) {
	if len(r.views) < closedKept {
		r.views = append(r.views, v)
		return
	}
	r.views[r.next] = v
	r.next = (r.next + 1) % closedKept
}

// view describes a connection. Loop's goroutine.
func view(c *netpoll.Conn, m *member) ConnView {
	v := ConnView{
		ID: strconv.FormatUint(uint64(c.ID()), 10), Loop: c.Loop().Index(), User: m.user, Address: c.RemoteAddr(),
		State: stateHandshake, OpenedAt: c.OpenedAt().UnixMilli(), QueuedBytes: c.QueuedBytes(),
	}
	if m.authed {
		v.Role = m.role.String()
	}
	if m.greeted {
		v.State, v.Variant = stateOpen, variants[m.variant].name
	}
	for _, j := range m.joined {
		v.Rooms = append(v.Rooms, j.id)
	}
	return v
}

// fits is asked before a view is made, which costs more.
func (f *ConnFilter) fits(m *member) bool {
	state := stateHandshake
	if m.greeted {
		state = stateOpen
	}
	return (f.State == "" || f.State == state) && (f.User == "" || f.User == m.user) &&
		(f.Room == "" || m.find(f.Room) >= 0)
}

func (f *ConnFilter) fitsAddress(address string) bool {
	return f.Address == "" || address == f.Address || strings.HasPrefix(address, f.Address+":") ||
		strings.HasPrefix(address, "["+f.Address+"]:")
}

func (f *ConnFilter) fitsClosed(v *ConnView) bool {
	in := f.Room == ""
	for _, room := range v.Rooms {
		in = in || room == f.Room
	}
	return in && (f.User == "" || f.User == v.User) && f.fitsAddress(v.Address)
}

// inspect is a task that looks at a loop's connections.
type inspect struct {
	filter ConnFilter
	out    chan<- []ConnView
}

func (t inspect) run(l *netpoll.Loop) {
	var found []ConnView
	if t.filter.State == stateClosed {
		ring := &state(l).closed
		for i := range ring.views { // the newest first
			v := &ring.views[(ring.next+2*len(ring.views)-1-i)%len(ring.views)]
			if len(found) < t.filter.Limit && t.filter.fitsClosed(v) {
				found = append(found, *v)
			}
		}
	} else {
		l.Each(func(c *netpoll.Conn) {
			m, ok := c.State.(*member)
			if ok && len(found) < t.filter.Limit && t.filter.fits(m) && t.filter.fitsAddress(c.RemoteAddr()) {
				found = append(found, view(c, m))
			}
		})
	}
	t.out <- found
}

// Connections lists connections that fit, at most filter.Limit; more says that there may be others. State "closed" asks
// for the last that closed. It walks over all connections, so it is for an operator's eyes. Any goroutine but a loop's.
func (g *Gateway) Connections(ctx context.Context, filter ConnFilter) (list []ConnView, more bool) {
	loops := *g.loops.Load()
	out := make(chan []ConnView, len(loops))
	for _, l := range loops {
		if !l.Post(inspect{filter, out}) {
			out <- nil
		}
	}
	for range loops {
		select {
		case found := <-out:
			list = append(list, found...)
		case <-ctx.Done():
			return list, true
		}
	}
	if len(list) >= filter.Limit {
		return list[:filter.Limit], true
	}
	return list, false
}

// CloseConnection ends a connection with a close code. It says whether there was one. Any goroutine but a loop's.
func (g *Gateway) CloseConnection(ctx context.Context, id string, code wire.CloseCode) bool {
	n, err := strconv.ParseUint(id, 10, 64)
	loops := *g.loops.Load()
	conn := netpoll.ConnID(n)
	if err != nil || conn.Loop() >= len(loops) {
		return false
	}
	found := make(chan bool, 1)
	l := loops[conn.Loop()]
	if l.Index() != conn.Loop() {
		for _, l = range loops {
			if l.Index() == conn.Loop() {
				break
			}
		}
	}
	ok := l.Post(resume{
		conn: wire.ConnID(n), gone: func() { found <- false },
		then: func(m *member) {
			if m.greeted {
				m.close(code, "closed by an operator")
			} else {
				m.conn.Close(netpoll.ReasonPolicy)
			}
			found <- true
		},
	})
	if !ok {
		return false
	}
	select {
	case was := <-found:
		return was
	case <-ctx.Done():
		return false
	}
}

// remember keeps what an operator may want to know of a connection that has closed.
func (m *member) remember(c *netpoll.Conn, reason netpoll.Reason, now time.Time) {
	v := view(c, m)
	v.State, v.ClosedAt, v.Reason, v.QueuedBytes = stateClosed, now.UnixMilli(), reason.String(), 0
	state(c.Loop()).closed.add(v)
}
