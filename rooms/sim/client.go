package sim

import (
	"encoding/json"
	"fmt"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// client is one user's device. It believes what it was told and remembers it across connections.
type client struct {
	w     *world
	user  string
	host  bool
	conn  *conn // nil: away
	views []*view
	made  int // intents so far, for keys
	game  string
	title int
}

// view is a client's knowledge of one room.
type view struct {
	room    string
	epoch   string
	seq     uint64
	joining bool // or leaving: nothing else is asked until the reply
	joined  bool
	leaving bool
	unsure  bool // a join was refused: events may come or not until the next one succeeds
	ended   bool // the game is over: the client leaves and doesn't come back
	out     bool // is not to come back: banned, or the room is gone
	open    int  // question, as far as the client knows
	intents []*intent
}

// intent is something that a client wants to have done once, however often it must ask.
type intent struct {
	op       wire.Op
	key      string
	question int
	body     any
	done     bool   // acknowledged, or refused for good
	acked    string // receipt, id or seq
	asked    int    // how often
	life     int    // the user's, when it was made
}

// request is one message that waits for its reply.
type request struct {
	op     wire.Op
	view   *view
	intent *intent
	since  uint64 // of a join
}

func newClient(w *world, user string, host bool) *client {
	return &client{w: w, user: user, host: host}
}

func (c *client) view(room string) *view {
	for _, v := range c.views {
		if v.room == room {
			return v
		}
	}
	v := &view{room: room}
	c.views = append(c.views, v)
	return v
}

// ask sends a command.
func (c *client) ask(v *view, op wire.Op, body any, in *intent) {
	k := c.conn
	k.nextReq++
	c.w.trace("%s asks %s of %s, request %d.%d", c.user, op, v.room, k.id, k.nextReq)
	k.requests[k.nextReq] = &request{op: op, view: v, intent: in, since: v.seq}
	if in != nil {
		in.asked++
	}
	role := wire.RoleParticipant
	if c.host {
		role = wire.RoleHost
	}
	k.wire = append(k.wire, rooms.Command{
		Room: v.room, Op: op, Body: body, MayCreate: v.room[0] == 'p',
		From: effect.Caller{Conn: k.id, Req: k.nextReq, User: c.user, Name: c.user, Role: role},
	})
}

// lost is called when the connection is gone.
func (c *client) lost(k *conn) {
	if c.conn != k {
		return
	}
	c.conn = nil
	for _, v := range c.views {
		v.joining, v.joined, v.leaving, v.unsure = false, false, false, false
	}
}

// act does something that a user might do.
func (c *client) act() {
	if c.conn == nil {
		c.conn = c.w.connect(c)
	}
	if c.host && c.game == "" {
		c.create()
		return
	}
	v := c.pick()
	if v == nil || v.joining {
		return
	}
	switch {
	case v.leaving || v.ended && v.joined:
		c.leave(v)
		return
	case !v.joined:
		c.join(v)
		return
	}
	switch n := c.w.rng.IntN(100); {
	case c.host && v.room == c.game && n < 60:
		c.run(v)
	case n < 60 && v.open != 0:
		c.answer(v)
	case n < 30:
		c.intend(v, wire.OpRoomPublish)
	case n < 60:
		c.intend(v, wire.OpChatSend)
	case n < 85:
		c.repeat(v)
	case n < 90:
		c.edit(v)
	case n < 92:
		c.ask(v, wire.OpRoomPresence, &wire.PresenceData{}, nil)
	case n < 94:
		c.ask(v, wire.OpQuizState, nil, nil)
	case n < 96:
		c.leave(v)
	case n < 97:
		c.join(v) // once more, as a member
	}
}

// pick chooses a room to act in.
func (c *client) pick() *view {
	w := c.w
	if c.host && c.game != "" && w.chance(700) {
		return c.view(c.game)
	}
	live := w.games[max(0, len(w.games)-w.cfg.Hosts):]
	n := w.rng.IntN(w.cfg.Rooms + 3*len(live))
	var v *view
	if n < w.cfg.Rooms {
		v = c.view(fmt.Sprintf("p%d", n))
	} else {
		v = c.view(live[(n-w.cfg.Rooms)/3])
	}
	for _, other := range c.views {
		if other.ended && other.joined && !other.joining && w.chance(500) {
			v = other
		}
	}
	if v.out {
		return nil
	}
	return v
}

// leave is repeated until it is confirmed.
func (c *client) leave(v *view) {
	v.joining, v.leaving = true, true
	c.ask(v, wire.OpRoomLeave, nil, nil)
}

func (c *client) join(v *view) {
	v.joining = true
	data := &wire.JoinData{}
	if v.epoch != "" {
		seq := v.seq
		data.Since, data.Epoch = &seq, v.epoch
	}
	c.ask(v, wire.OpRoomJoin, data, nil)
	if c.w.chance(30) {
		c.ask(v, wire.OpRoomJoin, data, nil)
	}
}

// life is how often the user was removed from the room's game: who enters again is somebody new, and answers anew. It
// is the log's knowledge: a client that was away does not hear of it.
func (c *client) life(v *view) int {
	if f := c.w.log[v.room]; f != nil {
		return f.lives[c.user]
	}
	return 0
}

// alive is false for an answer of a former life.
func (c *client) alive(v *view, in *intent) bool {
	return in.op != wire.OpQuizAnswer || in.life == c.life(v)
}

func (c *client) intend(v *view, op wire.Op) {
	c.made++
	in := &intent{op: op, key: fmt.Sprintf("%s-%d", c.user, c.made)}
	if op == wire.OpRoomPublish {
		in.body = &wire.PublishData{Event: "x:said", Payload: json.RawMessage(`"` + in.key + `"`), Key: in.key}
	} else {
		in.body = &wire.ChatSendData{Text: "text of " + in.key, Key: in.key}
	}
	v.intents = append(v.intents, in)
	c.ask(v, op, in.body, in)
	if c.w.chance(150) {
		c.w.report.Repeats++
		c.ask(v, op, in.body, in) // impatient
	}
}

// answer gives the client's answer to the open question: always under the same key.
func (c *client) answer(v *view) {
	life := c.life(v)
	for _, in := range v.intents {
		if in.question == v.open && in.life == life {
			c.ask(v, in.op, in.body, in)
			return
		}
	}
	in := &intent{op: wire.OpQuizAnswer, question: v.open, key: fmt.Sprintf("q%d.%d", v.open, life), life: life}
	in.body = &wire.AnswerData{Question: v.open, Answer: json.RawMessage(fmt.Sprint(c.w.rng.IntN(2))), Key: in.key}
	v.intents = append(v.intents, in)
	c.ask(v, in.op, in.body, in)
}

// repeat sends something again that may or may not have been answered.
func (c *client) repeat(v *view) {
	if len(v.intents) == 0 {
		return
	}
	n := len(v.intents)
	in := v.intents[n-1-c.w.rng.IntN(min(n, 8))]
	if c.alive(v, in) {
		c.w.report.Repeats++
		c.ask(v, in.op, in.body, in)
	}
}

// edit changes or deletes one of the client's own messages.
func (c *client) edit(v *view) {
	for _, in := range slices.Backward(v.intents) {
		if in.op != wire.OpChatSend || in.acked == "" {
			continue
		}
		if c.w.chance(500) {
			c.ask(v, wire.OpChatDelete, &wire.ChatIDData{ID: in.acked}, nil)
		} else {
			c.made++
			c.ask(v, wire.OpChatEdit, &wire.ChatEditData{ID: in.acked, Text: fmt.Sprint("edit ", c.made)}, nil)
		}
		return
	}
}

// receive reads one message.
func (c *client) receive(k *conn, it *rooms.Delivery) {
	if it.Kind == effect.Reply {
		req := k.requests[it.Req]
		if req == nil {
			c.w.violate("%s gets a second reply to request %d", c.user, it.Req)
			return
		}
		delete(k.requests, it.Req)
		c.replied(req, it)
		return
	}
	v := c.view(it.Room)
	if it.Seq != 0 && !v.unsure {
		c.w.trace("%s sees %s/%d %s", c.user, it.Room, it.Seq, it.Name)
		if !v.joined {
			c.w.violate("%s gets %s/%d without being in", c.user, it.Room, it.Seq)
		} else if it.Seq != v.seq+1 {
			c.w.violate("%s gets %s/%d after %d", c.user, it.Room, it.Seq, v.seq)
		}
		v.seq = it.Seq
	}
	switch data := it.Data.(type) {
	case *wire.QuestionView:
		v.open = data.Number
	case *wire.QuizResults, *wire.QuizLeaderboard:
		v.open = 0
	}
	if it.Name == wire.EvQuizEnd {
		v.ended = true
		if v.room == c.game {
			c.game = ""
		}
	}
}

func (c *client) replied(req *request, it *rooms.Delivery) {
	v := req.view
	c.w.trace("%s reads the reply to %d.%d of %s: %s", c.user, it.Conn, it.Req, v.room, outcome(it.Err))
	if it.Err != nil {
		c.refused(req, it.Err)
		return
	}
	switch data := it.Data.(type) {
	case *wire.QuizCreateReply:
		c.game = v.room
		c.w.games = append(c.w.games, v.room)
		c.w.report.Games++
	case *wire.JoinReply:
		c.entered(v, data, req.since)
	case *wire.AnswerReply:
		c.acked(req, data.Receipt, &c.w.report.AckedAnswers)
	case *wire.ChatSendReply:
		c.acked(req, data.ID, &c.w.report.AckedChats)
	case *wire.PublishReply:
		c.acked(req, fmt.Sprint(data.Seq), &c.w.report.AckedPubs)
	}
	if req.op == wire.OpRoomLeave {
		v.joining, v.joined, v.leaving = false, false, false
		v.out = v.ended
	}
}

func (c *client) entered(v *view, data *wire.JoinReply, since uint64) {
	c.w.report.Joins++
	v.joining, v.joined, v.unsure = false, true, false
	if data.Recovered {
		c.w.report.Resumes++
		if data.Epoch != v.epoch || data.Seq < v.seq {
			c.w.violate("%s resumes %s at %d and is given %d", c.user, v.room, v.seq, data.Seq)
		}
		v.seq = since // a member that joins again gets what came meanwhile once more
		return
	}
	if data.Snapshot == nil {
		c.w.violate("%s gets neither snapshot nor events of %s", c.user, v.room)
		return
	}
	if v.epoch != "" && v.epoch != data.Epoch {
		c.w.violate("the history of %s is another one", v.room)
	}
	if v.epoch == data.Epoch && data.Seq < v.seq {
		c.w.violate("%s has seen %d of %s and comes back to %d", c.user, v.seq, v.room, data.Seq)
	}
	v.epoch, v.seq, v.open = data.Epoch, data.Seq, 0
	if q := data.Snapshot.Quiz; q != nil {
		v.ended = q.Phase == wire.PhaseEnded
		if q.Phase == wire.PhaseOpen {
			v.open = q.Question.Number
		}
	}
}

// acked notes what was promised; a second promise for the same key must be the same.
func (c *client) acked(req *request, what string, count *int) {
	in := req.intent
	if in.acked != "" && in.acked != what && c.alive(req.view, in) {
		c.w.violate("%s: %s was acknowledged as %s and again as %s", c.user, in.key, in.acked, what)
	}
	if in.acked == "" {
		*count++
	}
	in.done, in.acked = true, what
}

func (c *client) refused(req *request, err *wire.Error) {
	v := req.view
	later := err.Code == wire.CodeUnavailable || err.Code == wire.CodeRateLimited
	if later {
		c.w.report.Unavailable++
	}
	if req.intent != nil && !later && err.Code != wire.CodeNotMember {
		if req.intent.acked != "" && c.alive(v, req.intent) && err.Code != wire.CodeUnknownRoom {
			c.w.violate("%s: %s was acknowledged and is now refused: %v", c.user, req.intent.key, err)
		}
		req.intent.done = true
	}
	switch req.op {
	case wire.OpRoomJoin:
		v.joining, v.joined, v.unsure = false, false, true
		locked := err.Code == wire.CodeWrongState || err.Code == wire.CodeRoomLocked
		v.out = err.Code == wire.CodeBanned || err.Code == wire.CodeUnknownRoom || locked && (v.ended || c.w.calm)
	case wire.OpRoomLeave:
		v.joining = false
	case wire.OpQuizCreate:
		c.game = ""
	}
}

// finish is what a client does when the run comes to rest: it comes back and asks for what was not acknowledged.
func (c *client) finish() (busy bool) {
	if c.conn == nil {
		c.conn = c.w.connect(c)
	}
	if len(c.conn.requests) > 0 {
		return true
	}
	for _, v := range c.views {
		switch {
		case v.out || v.epoch == "":
		case v.leaving:
			c.leave(v)
			busy = true
		case !v.joined:
			c.join(v)
			busy = true
		default:
			for _, in := range v.intents {
				if !in.done && c.alive(v, in) {
					c.ask(v, in.op, in.body, in)
					busy = true
				}
			}
		}
	}
	return busy
}

func outcome(err *wire.Error) string {
	if err == nil {
		return "ok"
	}
	return string(err.Code)
}
