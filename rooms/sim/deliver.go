package sim

import (
	"encoding/json"
	"fmt"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/chat"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
	"lectern/rooms/quiz"
)

// follower replays a room's records as they become durable: it is what anybody may know of the room.
type follower struct {
	room    *rooms.Room
	events  map[uint64]string // seq → what the event says
	answers map[string]answered
	sent    map[string]string // user and key → message id
	pubs    map[string]uint64 // user and key → seq
	once    map[string]int    // how often a key of a user was recorded
	index   map[string]uint64 // of that record
	lives   map[string]int    // user → how often removed from the game
	banned  map[string]bool
	closed  map[int]bool // questions
	over    bool
}

// answered is an answer in the log. A user who is removed and enters again is somebody new.
type answered struct {
	user, key string
	question  int
	life      int
}

func (w *world) follow(rec rooms.Record) {
	f := w.log[rec.Room]
	if f == nil {
		f = &follower{
			room: rooms.NewRoom(rec.Room, w.rooms), events: make(map[uint64]string),
			answers: make(map[string]answered),
			sent:    make(map[string]string), pubs: make(map[string]uint64), once: make(map[string]int),
			lives: make(map[string]int), index: make(map[string]uint64), banned: make(map[string]bool),
			closed: make(map[int]bool),
		}
		w.log[rec.Room] = f
	}
	var out effect.Effects
	if err := f.room.Replay(rec, &out); err != nil {
		w.violate("the log of %s can't be replayed: %v", rec.Room, err)
		return
	}
	for i := range out.Outputs {
		if o := &out.Outputs[i]; o.Kind == effect.Event && o.Seq != 0 {
			f.events[o.Seq] = content(o)
		}
	}
	fact, _ := rooms.DecodeFact(rec) // Replay has decoded it
	f.note(w, rec, fact)
}

func (f *follower) note(w *world, rec rooms.Record, fact effect.Fact) {
	once := func(name string) {
		f.index[name] = rec.Index
		if f.once[name]++; f.once[name] > 1 {
			w.violate("room %s: %s is in the log twice", rec.Room, name)
		}
	}
	switch d := fact.Data.(type) {
	case *quiz.Answered:
		life := f.lives[d.User]
		f.answers[d.Receipt] = answered{d.User, d.Key, d.N, life}
		once(recordName(wire.OpQuizAnswer, d.User, d.Key, life))
	case *quiz.Removed:
		f.lives[d.User]++
	case *quiz.Closed:
		f.closed[d.N] = true
	case *chat.Sent:
		f.sent[d.User+" "+d.Key] = chatID(d.N)
		once(recordName(wire.OpChatSend, d.User, d.Key, 0))
	case *moderation.Banned:
		f.banned[d.User] = !d.Undo
	}
	switch rec.Kind {
	case rooms.KindRoomClosed:
		f.over = true
	case "room.published":
		var d struct{ User, Key string }
		if err := json.Unmarshal(rec.Data, &d); err != nil {
			w.violate("record %s/%d: %v", rec.Room, rec.Index, err)
		}
		f.pubs[d.User+" "+d.Key] = f.room.Seq()
		once(recordName(wire.OpRoomPublish, d.User, d.Key, 0))
	}
}

// recordName names what must be in a log at most once.
func recordName(op wire.Op, user, key string, life int) string {
	return fmt.Sprintf("%s %s of %s (%d)", op, key, user, life)
}

func chatID(n uint64) string {
	text, _ := json.Marshal(n) // a number always marshals
	return "m" + string(text)
}

// content is what an event says, without what may be taken out of it later: the text of a chat message.
func content(o *effect.Output) string {
	if m, ok := o.Data.(*wire.ChatMessage); ok {
		return o.Name + " " + m.ID + " " + m.User
	}
	text, err := json.Marshal(o.Data)
	if err != nil {
		return o.Name + " " + err.Error()
	}
	return o.Name + " " + string(text)
}

// leaves checks an output at the moment when a shard lets it go.
func (w *world) leaves(it *rooms.Delivery) {
	f := w.log[it.Room]
	switch it.Kind {
	case effect.Event:
		w.report.Events++
		if it.Seq != 0 {
			if f == nil || f.events[it.Seq] == "" {
				w.violate("%s of %s leaves as %d and is not durable", it.Name, it.Room, it.Seq)
			} else if said := content(&it.Output); said != f.events[it.Seq] {
				w.violate("%s/%d is %q in the log and leaves as %q", it.Room, it.Seq, f.events[it.Seq], said)
			}
		}
		if r, ok := it.Data.(*wire.QuizResults); ok && (f == nil || !f.closed[r.Number]) {
			w.violate("the key of question %d of %s leaves before it is closed", r.Number, it.Room)
		}
	case effect.Reply:
		c := w.conn(it.Conn)
		if c == nil {
			return
		}
		if !c.reached[it.Req] {
			w.violate("request %d of %s is answered without being open", it.Req, c.client.user)
			return
		}
		c.reached[it.Req] = false
		if it.Err == nil {
			w.promise(f, c, it)
		} else {
			w.honest(f, c, it)
		}
	}
}

// honest checks a refusal: what was asked for once and is durable, as the journal said, must not be called lost.
func (w *world) honest(f *follower, c *conn, it *rooms.Delivery) {
	req := c.requests[it.Req]
	switch {
	case it.Err.Code == wire.CodeInternal:
		w.violate("%s got %v", c.client.user, it.Err)
	case it.Err.Code == wire.CodeUnavailable && f != nil && req.intent != nil && req.intent.asked == 1:
		at := f.index[recordName(req.op, c.client.user, req.intent.key, req.intent.life)]
		if w.journal.said[recordID{it.Room, at}] {
			w.violate("%s is told that %s was not stored, and it was", c.client.user, req.intent.key)
		}
	}
}

// promise checks that what a reply says is durable when it leaves.
func (w *world) promise(f *follower, c *conn, it *rooms.Delivery) {
	req, user := c.requests[it.Req], c.client.user
	if f == nil {
		w.violate("%s of %s succeeds in %s, of which nothing is durable", req.op, user, it.Room)
		return
	}
	switch data := it.Data.(type) {
	case *wire.AnswerReply:
		a, ok := f.answers[data.Receipt]
		if !ok || a.user != user || a.key != req.intent.key || a.question != req.intent.question || !data.Durable {
			w.violate("%s gets a receipt for %s that the log doesn't have: %+v", user, req.intent.key, a)
		}
	case *wire.ChatSendReply:
		if f.sent[user+" "+req.intent.key] != data.ID || f.events[data.Seq] != wire.EvChatMessage+" "+data.ID+" "+user {
			w.violate("%s is told %s/%d for its message %s", user, data.ID, data.Seq, req.intent.key)
		}
	case *wire.PublishReply:
		if f.pubs[user+" "+req.intent.key] != data.Seq {
			w.violate("%s is told seq %d for its event %s", user, data.Seq, req.intent.key)
		}
	case *wire.JoinReply:
		if f.room.Epoch() != data.Epoch || f.room.Seq() < data.Seq {
			w.violate("%s joins %s at %d, durable is %d", user, it.Room, data.Seq, f.room.Seq())
		}
		if w.banned[it.Room+" "+user] {
			w.violate("%s is banned from %s and is let in", user, it.Room)
		}
		if s := data.Snapshot; s != nil && s.Quiz != nil {
			if s.Quiz.Quiz != nil && data.Role < wire.RoleHost {
				w.violate("%s gets the quiz with its key", user)
			}
			if r := s.Quiz.Results; r != nil && !f.closed[r.Number] {
				w.violate("the key of question %d of %s is in a snapshot", r.Number, it.Room)
			}
		}
	}
}
