package rooms

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// fakeJournal keeps records in memory and answers when the test says so.
type fakeJournal struct {
	durable map[string][]Record
	waiting []fakeAppend
	refuse  error // of Append
	broken  error // of Load
	auto    bool  // commits at once
	appends int
}

type fakeAppend struct {
	recs []Record
	done func(error)
}

var errTest = errors.New("the test says no")

func newFakeJournal() *fakeJournal { return &fakeJournal{durable: make(map[string][]Record)} }

func (j *fakeJournal) Append(recs []Record, done func(error)) error {
	j.appends++
	if j.refuse != nil {
		return j.refuse
	}
	j.waiting = append(j.waiting, fakeAppend{recs, done})
	if j.auto {
		j.commit()
	}
	return nil
}

// commit makes everything that waits durable, in order.
func (j *fakeJournal) commit() {
	for len(j.waiting) > 0 {
		j.commitOne(nil)
	}
}

// commitOne answers the oldest append.
func (j *fakeJournal) commitOne(err error) {
	a := j.waiting[0]
	j.waiting = j.waiting[1:]
	if err == nil {
		j.store(a.recs)
	}
	a.done(err)
}

func (j *fakeJournal) store(recs []Record) {
	for _, r := range recs {
		if want := uint64(len(j.durable[r.Room]) + 1); r.Index != want {
			panic("the shard left a gap in its records")
		}
		j.durable[r.Room] = append(j.durable[r.Room], r)
	}
}

func (j *fakeJournal) Load(room string, visit func(Record) error) error {
	if j.broken != nil {
		return j.broken
	}
	for _, r := range j.durable[room] {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

func (j *fakeJournal) LiveRooms() ([]string, error) { return nil, nil }

// fakeOutlet collects deliveries; with hold set it is busy until the test calls done.
type fakeOutlet struct {
	items []Delivery
	calls int
	hold  bool
	done  func()
}

func (o *fakeOutlet) Deliver(_ int, items []Delivery, done func()) {
	if o.done != nil {
		panic("a second delivery while the first is under way")
	}
	o.calls++
	o.items = append(o.items, items...)
	if o.hold {
		o.done = done
		return
	}
	done()
}

func (o *fakeOutlet) finish() {
	done := o.done
	o.done = nil
	done()
}

// world is a shard with everything around it in the test's hands: no goroutine, no clock.
type world struct {
	t       testing.TB
	now     int64
	journal *fakeJournal
	loader  *Loader
	outlet  *fakeOutlet
	pins    *Directory
	shard   *Shard
	rooms   *Config
	next    int64 // what the last drain said
}

const startMs = 1_764_000_000_000

func newWorld(t testing.TB, cfg ShardConfig, rooms *Config) *world {
	if rooms == nil {
		rooms = &Config{OpenPublish: true}
	}
	w := &world{t: t, now: startMs, journal: newFakeJournal(), outlet: &fakeOutlet{}, pins: NewDirectory(), rooms: rooms}
	w.start(cfg)
	return w
}

// start makes a new shard over the same journal, as a restart does.
func (w *world) start(cfg ShardConfig) {
	w.loader = NewLoader(w.journal)
	w.shard = NewShard(0, cfg, w.rooms, Ports{
		Journal: w.journal, Loader: w.loader, Outlet: w.outlet, PINs: w.pins,
		Rand: rand.New(rand.NewPCG(1, 2)), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// drain carries out what waits, once.
func (w *world) drain() {
	commands, signals := w.shard.inbox.take(nil, nil)
	w.next = w.shard.Drain(w.now, commands, signals)
}

// settle drains and loads until nothing is left to do; commits only what the journal commits by itself.
func (w *world) settle() {
	for range 100 {
		w.drain()
		for w.loader.Work() {
		}
		w.shard.inbox.mu.Lock()
		idle := len(w.shard.inbox.commands)+len(w.shard.inbox.signals) == 0
		w.shard.inbox.mu.Unlock()
		if idle {
			return
		}
	}
	w.t.Fatal("the shard doesn't come to rest")
}

// commit makes everything durable and settles.
func (w *world) commit() {
	w.settle()
	for len(w.journal.waiting) > 0 {
		w.journal.commit()
		w.settle()
	}
}

func (w *world) post(cmds ...Command) {
	w.t.Helper()
	if !w.shard.Post(cmds) {
		w.t.Fatal("the inbox refused")
	}
}

// took gives what was delivered since the last call.
func (w *world) took() []Delivery {
	items := w.outlet.items
	w.outlet.items = nil
	return items
}

// do posts, commits and gives what was delivered.
func (w *world) do(cmds ...Command) []Delivery {
	w.t.Helper()
	w.post(cmds...)
	w.commit()
	return w.took()
}

var reqs uint64

// cmd makes a command of connection conn, whose user is "u<conn>" unless opts say otherwise.
func cmd(room string, op wire.Op, conn wire.ConnID, body any, opts ...func(*Command)) Command {
	reqs++
	user := "u" + string(rune('a'+conn%26))
	c := Command{
		Room: room, Op: op, Body: body, MayCreate: op == wire.OpRoomJoin,
		From: effect.Caller{Conn: conn, Req: reqs, User: user, Name: "N" + user, Role: wire.RoleParticipant},
	}
	for _, o := range opts {
		o(&c)
	}
	return c
}

func as(role wire.Role) func(*Command) { return func(c *Command) { c.From.Role = role } }
func user(id string) func(*Command) {
	return func(c *Command) { c.From.User, c.From.Name = id, "N"+id }
}
func scope(room string) func(*Command) { return func(c *Command) { c.Scope = room } }

func joinCmd(room string, conn wire.ConnID, opts ...func(*Command)) Command {
	return cmd(room, wire.OpRoomJoin, conn, &wire.JoinData{}, opts...)
}

func since(room string, conn wire.ConnID, seq uint64, epoch string, opts ...func(*Command)) Command {
	return cmd(room, wire.OpRoomJoin, conn, &wire.JoinData{Since: &seq, Epoch: epoch}, opts...)
}

func publishCmd(room string, conn wire.ConnID, payload, key string) Command {
	data := &wire.PublishData{Event: "x:y", Payload: json.RawMessage(payload), Key: key}
	return cmd(room, wire.OpRoomPublish, conn, data)
}

func say(room string, conn wire.ConnID, text, key string) Command {
	return cmd(room, wire.OpChatSend, conn, &wire.ChatSendData{Text: text, Key: key})
}

// reply finds the one reply to a command.
func reply(t testing.TB, items []Delivery, c Command) effect.Output {
	t.Helper()
	found := -1
	for i, it := range items {
		if it.Kind == effect.Reply && it.Req == c.From.Req && it.Conn == c.From.Conn {
			if found >= 0 {
				t.Fatalf("%s was answered twice", c.Op)
			}
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("%s was not answered in %s", c.Op, kinds(items))
	}
	return items[found].Output
}

func okReply(t testing.TB, items []Delivery, c Command) any {
	t.Helper()
	o := reply(t, items, c)
	if o.Err != nil {
		t.Fatalf("%s: %v", c.Op, o.Err)
	}
	return o.Data
}

func wantErr(t testing.TB, items []Delivery, c Command, code wire.Code) {
	t.Helper()
	o := reply(t, items, c)
	if o.Err == nil || o.Err.Code != code {
		t.Fatalf("%s: got %v, %v; want %s", c.Op, o.Data, o.Err, code)
	}
}

func events(items []Delivery, name string) []effect.Output {
	var out []effect.Output
	for _, it := range items {
		if it.Kind == effect.Event && it.Name == name {
			out = append(out, it.Output)
		}
	}
	return out
}

// kinds tells the outputs apart in a few letters each.
func kinds(items []Delivery) string {
	text := ""
	for _, it := range items {
		switch it.Kind {
		case effect.Event:
			text += it.Name
		case effect.Reply:
			text += "reply"
			if it.Err != nil {
				text += "!" + string(it.Err.Code)
			}
		case effect.Join:
			text += "join"
		case effect.Leave:
			text += "leave"
		case effect.Close:
			text += "close"
		}
		text += " "
	}
	return text
}

func seqs(items []Delivery) []uint64 {
	var out []uint64
	for _, it := range items {
		if it.Kind == effect.Event && it.Seq != 0 {
			out = append(out, it.Seq)
		}
	}
	return out
}

func wantSeqs(t testing.TB, items []Delivery, want ...uint64) {
	t.Helper()
	if got := seqs(items); !slices.Equal(got, want) {
		t.Fatalf("seqs %v, want %v in %s", got, want, kinds(items))
	}
}

func testQuiz() *wire.Quiz {
	one := []wire.Option{{Text: "a", Correct: true}, {Text: "b"}}
	two := []wire.Option{{Text: "a"}, {Text: "b", Correct: true}}
	return &wire.Quiz{Title: "T", Questions: []wire.Question{
		{Type: wire.SingleChoice, Text: "one", TimeLimitMs: 10_000, Options: one},
		{Type: wire.SingleChoice, Text: "two", TimeLimitMs: 10_000, Options: two},
	}}
}

const hostConn = 7 // its user is "uh"

// game creates a room with a quiz; the host is "uh".
func (w *world) game(room string) string {
	w.t.Helper()
	pin, err := w.pins.Reserve(rand.New(rand.NewPCG(3, 4)), room)
	if err != nil {
		w.t.Fatal(err)
	}
	c := cmd(room, wire.OpQuizCreate, hostConn, &Create{Quiz: testQuiz(), PIN: pin, HostToken: "t"}, as(wire.RoleHost))
	okReply(w.t, w.do(c), c)
	return pin
}

func answerCmd(room string, conn wire.ConnID, n int, answer, key string) Command {
	return cmd(room, wire.OpQuizAnswer, conn, &wire.AnswerData{Question: n, Answer: json.RawMessage(answer), Key: key})
}

func hostCmd(room string, op wire.Op) Command {
	return cmd(room, op, hostConn, nil, as(wire.RoleHost))
}
