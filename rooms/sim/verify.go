package sim

import (
	"encoding/json"
	"fmt"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
	"lectern/rooms/quiz"
)

// verify checks, at rest, the live rooms against the log and every promise against both.
func (w *world) verify() {
	for _, c := range w.conns {
		for req, open := range c.reached {
			if open {
				w.violate("request %d of %s was never answered", req, c.client.user)
			}
		}
	}
	for _, c := range w.clients {
		for _, v := range c.views {
			w.verifyView(c, v)
		}
	}
	for _, room := range w.journal.order {
		w.verifyRoom(room)
	}
}

func (w *world) verifyView(c *client, v *view) {
	f := w.log[v.room]
	if v.joined && (f == nil || f.room.Seq() != v.seq || f.room.Epoch() != v.epoch) {
		w.violate("%s is at %d of %s, the log is elsewhere", c.user, v.seq, v.room)
	}
	for _, in := range v.intents {
		if in.acked == "" {
			continue
		}
		ok := f != nil
		switch {
		case !ok:
		case in.op == wire.OpQuizAnswer:
			a, found := f.answers[in.acked]
			ok = found && a.user == c.user && a.key == in.key
		case in.op == wire.OpChatSend:
			ok = f.sent[c.user+" "+in.key] == in.acked
		default:
			ok = fmt.Sprint(f.pubs[c.user+" "+in.key]) == in.acked
		}
		if !ok {
			w.violate("%s was promised %s for %s in %s, and the log knows nothing of it", c.user, in.acked, in.key, v.room)
		}
	}
}

func (w *world) verifyRoom(room string) {
	f := w.log[room]
	again, err := rooms.Rebuild(w.journal, room, w.rooms)
	if err != nil {
		w.violate("%v", err)
		return
	}
	table := again.Quiz().Results()
	w.verifyTable(room, f, table)
	if f.over {
		w.report.Closed++
		return
	}
	items := w.query(room, wire.OpNone, &rooms.ResultsQuery{})
	if r, ok := items.Data.(*rooms.Results); !ok || !same(r.Table, table) {
		w.violate("the scores of %s differ from a replay: %v", room, items.Err)
	}
	users := make(map[string]bool)
	for _, l := range w.process.loops {
		for _, c := range l.rooms[room] {
			users[c.client.user] = true
		}
	}
	state := w.query(room, wire.OpNone, &rooms.InfoQuery{})
	if info, ok := state.Data.(*rooms.Info); !ok || info.Phase != again.Quiz().Phase() {
		w.violate("room %s is not what its log says: %v", room, state.Err)
	}
	count := w.query(room, wire.OpRoomPresence, &wire.PresenceData{})
	if p, ok := count.Data.(*wire.PresenceReply); !ok || p.Count != len(users)+1 { // the one who asks
		w.violate("room %s counts %+v, the loops have %d users: %v", room, count.Data, len(users), count.Err)
	}
}

// verifyTable checks that each answer in the log counts once, and no other does.
func (w *world) verifyTable(room string, f *follower, table quiz.Table) {
	counted := make(map[string]bool)
	for _, p := range table.Participants {
		score := 0
		for i, a := range p.Answers {
			score += a.Points
			if a.Receipt == "" {
				continue
			}
			logged, ok := f.answers[a.Receipt]
			if !ok || counted[a.Receipt] || logged.user != p.User || logged.question != table.Questions[i].Results.Number {
				w.violate("%s: the table of %s counts an answer that the log doesn't", p.User, room)
			}
			counted[a.Receipt] = true
		}
		if score != p.Score {
			w.violate("%s: %s has %d points for answers worth %d", room, p.User, p.Score, score)
		}
	}
	for receipt, a := range f.answers {
		if a.life == f.lives[a.user] && f.closed[a.question] && !counted[receipt] {
			w.violate("%s: the answer of %s to question %d does not count", room, a.user, a.question)
		}
	}
}

// query asks a room as its administrator, on a connection of its own, and gives the reply.
func (w *world) query(room string, op wire.Op, body any) effect.Output {
	admin := newClient(w, "admin", true)
	k := w.connect(admin)
	admin.conn = k
	from := effect.Caller{Conn: k.id, User: admin.user, Name: admin.user, Role: wire.RoleAdmin}
	reply := make([]effect.Output, 3)
	for i, cmd := range []rooms.Command{
		{Room: room, Op: wire.OpRoomJoin, Body: &wire.JoinData{}},
		{Room: room, Op: op, Body: body},
		{Room: room, Op: wire.OpRoomLeave},
	} {
		cmd.From = from
		cmd.From.Req = uint64(i + 1)
		k.requests[cmd.From.Req] = &request{op: cmd.Op, view: &view{room: room}}
		k.wire = append(k.wire, cmd)
	}
	k.up(3)
	for range 10 {
		for i := range w.process.shards {
			w.turn(i)
		}
		for w.process.loader.Work() {
			continue
		}
		w.journal.answer(len(w.journal.queue))
		for i := range w.process.loops {
			for len(w.process.loops[i].queue) > 0 {
				w.process.run(i)
			}
		}
	}
	for _, m := range k.down {
		if m.item.Kind == effect.Reply && m.item.Req <= 3 {
			reply[m.item.Req-1] = m.item.Output
		}
	}
	k.down = nil
	k.drop()
	return reply[1]
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
