package chat

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// policy is a room's policy in tests.
type policy struct {
	muted    map[string]bool
	names    map[string][]string // lower-case name → users
	slow     int64
	lockdown bool
}

func (p *policy) MayWrite(user string, role wire.Role, _ int64) *wire.Error {
	if p.muted[user] || p.lockdown && role < wire.RoleModerator {
		return wire.NewError(wire.CodeMuted, "muted")
	}
	return nil
}

func (p *policy) CheckText(text string) (string, *wire.Error) {
	if strings.Contains(text, "bad") {
		return "", wire.NewError(wire.CodeTextRejected, "no")
	}
	return text, nil
}

func (p *policy) Links(text string) []string {
	if strings.Contains(text, "example.org") {
		return []string{"example.org"}
	}
	return nil
}

func (p *policy) Members(name string) []string { return p.names[strings.ToLower(name)] }
func (p *policy) SlowMs() int64                { return p.slow }
func (p *policy) Lockdown() bool               { return p.lockdown }

var class = map[string]wire.Role{
	"host": wire.RoleHost, "mod": wire.RoleModerator, "ada": wire.RoleParticipant, "bob": wire.RoleParticipant,
}

// room is a machine with what a room does around it: it numbers events and keeps the facts.
type room struct {
	t     testing.TB
	m     *Machine
	p     *policy
	now   int64
	seq   uint64
	facts []effect.Fact
	out   *effect.Effects
}

func newRoom(t testing.TB, cfg Config) *room {
	p := &policy{muted: map[string]bool{}, names: map[string][]string{
		"ada": {"ada"}, "bob": {"bob"}, "ada lovelace": {"lady"}, "twin": {"t1", "t2"}, "dr. no": {"no"},
	}}
	return &room{t: t, p: p, m: New(cfg, p), now: 1_000_000}
}

var opOf = map[reflect.Type]wire.Op{
	reflect.TypeFor[*wire.ChatSendData]():    wire.OpChatSend,
	reflect.TypeFor[*wire.ChatEditData]():    wire.OpChatEdit,
	reflect.TypeFor[*wire.ChatIDData]():      wire.OpChatDelete,
	reflect.TypeFor[*wire.ChatReactData]():   wire.OpChatReact,
	reflect.TypeFor[*wire.ChatPinData]():     wire.OpChatPin,
	reflect.TypeFor[*wire.ChatTypingData]():  wire.OpChatTyping,
	reflect.TypeFor[*wire.ChatHistoryData](): wire.OpChatHistory,
}

// number gives seqs as a room does.
func (r *room) number(out *effect.Effects) {
	last := uint64(0)
	for i := range out.Outputs {
		o := &out.Outputs[i]
		if o.Kind == effect.Event && o.Resumable {
			r.seq++
			o.Seq, last = r.seq, r.seq
			if msg, ok := o.Data.(*wire.ChatMessage); ok && o.Name == wire.EvChatMessage {
				r.m.NoteSeq(msg.ID, r.seq)
			}
		}
		if d, ok := o.Data.(*wire.ChatSendReply); ok && d.Seq == 0 {
			d.Seq = last
		}
	}
}

// do carries out one command of a user and gives the reply.
func (r *room) do(user string, body any) (any, *wire.Error) {
	r.t.Helper()
	r.out = &effect.Effects{}
	from := effect.Caller{Conn: 7, Req: 1, User: user, Name: strings.ToUpper(user), Role: class[user], Member: true}
	r.m.Handle(effect.Env{Now: r.now}, from, opOf[reflect.TypeOf(body)], body, r.out)
	r.number(r.out)
	r.facts = append(r.facts, r.out.Facts...)
	var replies []effect.Output
	for _, o := range r.out.Outputs {
		if o.Kind == effect.Reply {
			replies = append(replies, o)
		}
	}
	if len(replies) != 1 {
		r.t.Fatalf("%d replies", len(replies))
	}
	if replies[0].Err != nil && len(r.out.Facts) > 0 {
		r.t.Fatalf("refused, yet recorded: %+v", r.out.Facts)
	}
	return replies[0].Data, replies[0].Err
}

// must is do for what must succeed.
func (r *room) must(user string, body any) any {
	r.t.Helper()
	data, err := r.do(user, body)
	if err != nil {
		r.t.Fatalf("%s %T: %v", user, body, err)
	}
	return data
}

func (r *room) refused(user string, body any, code wire.Code) *wire.Error {
	r.t.Helper()
	_, err := r.do(user, body)
	if err == nil || err.Code != code {
		r.t.Fatalf("%s %T: %v, want %s", user, body, err, code)
	}
	return err
}

func (r *room) say(user, text string) string {
	r.t.Helper()
	return r.must(user, &wire.ChatSendData{Text: text}).(*wire.ChatSendReply).ID
}

// events are the names of the events of the last command, with the user of directed ones.
func (r *room) events() []string {
	var names []string
	for _, o := range r.out.Outputs {
		if o.Kind == effect.Event {
			name := o.Name
			if o.Audience == effect.ToUser {
				name += " to " + o.User
			}
			names = append(names, name)
		}
	}
	return names
}

func (r *room) wantEvents(want ...string) {
	r.t.Helper()
	if got := r.events(); !slices.Equal(got, want) {
		r.t.Fatalf("events %q, want %q", got, want)
	}
}

func TestSend(t *testing.T) {
	r := newRoom(t, Config{})
	first := r.say("ada", "  hello example.org ")
	r.wantEvents(wire.EvChatMessage)
	msg := r.out.Outputs[0].Data.(*wire.ChatMessage)
	want := wire.ChatMessage{
		ID: first, User: "ada", Name: "ADA", Role: wire.RoleParticipant, Text: "hello example.org",
		Links: []string{"example.org"}, TS: r.now,
	}
	if !reflect.DeepEqual(*msg, want) {
		t.Errorf("message %+v, want %+v", *msg, want)
	}
	reply := r.must("bob", &wire.ChatSendData{Text: "hi", ReplyTo: first}).(*wire.ChatSendReply)
	if reply.Seq != 2 || reply.TS != r.now || reply.ID == first {
		t.Errorf("reply %+v", reply)
	}
	for text, code := range map[string]wire.Code{
		"": wire.CodeInvalidData, " \n ": wire.CodeInvalidData, "so bad": wire.CodeTextRejected, "\xff": wire.CodeInvalidData,
		strings.Repeat("ä", 2001): wire.CodeTooLarge,
	} {
		r.refused("ada", &wire.ChatSendData{Text: text}, code)
	}
	r.say("ada", strings.Repeat("ä", 2000))
	r.refused("ada", &wire.ChatSendData{Text: "x", ReplyTo: "m99"}, wire.CodeUnknownMessage)
	r.refused("ada", &wire.ChatSendData{Text: "x", Key: strings.Repeat("k", 65)}, wire.CodeInvalidData)
	r.p.muted["bob"] = true
	r.refused("bob", &wire.ChatSendData{Text: "x"}, wire.CodeMuted)
}

// TestNoReplyWanted: a command without an id is carried out, and refused, in silence.
func TestNoReplyWanted(t *testing.T) {
	m := New(Config{}, &policy{})
	out := &effect.Effects{}
	from := effect.Caller{User: "a", Role: wire.RoleHost}
	m.Handle(effect.Env{Now: 1}, from, wire.OpChatSend, &wire.ChatSendData{Text: "x"}, out)
	if len(out.Outputs) != 1 || len(out.Facts) != 1 {
		t.Errorf("%+v", out)
	}
	m.Handle(effect.Env{Now: 1}, effect.Caller{User: "a"}, wire.OpChatSend, &wire.ChatSendData{}, out)
	m.Handle(effect.Env{Now: 1}, effect.Caller{User: "a"}, wire.OpChatSend, nil, out)
	if len(out.Outputs) != 1 {
		t.Errorf("%+v", out)
	}
}

func TestSameKeySendsOnce(t *testing.T) {
	r := newRoom(t, Config{MessagesMax: 3})
	d := &wire.ChatSendData{Text: "once", Key: "k1"}
	first := *r.must("ada", d).(*wire.ChatSendReply)
	r.say("bob", "between")
	r.now += 5000
	again := *r.must("ada", d).(*wire.ChatSendReply)
	if again != first || first.Seq != 1 || len(r.out.Facts) != 0 {
		t.Errorf("again %+v, first %+v", again, first)
	}
	if other := *r.must("bob", d).(*wire.ChatSendReply); other.ID == first.ID {
		t.Error("another user's key is the same message")
	}
	r.must("ada", &wire.ChatIDData{ID: first.ID})
	if again := *r.must("ada", d).(*wire.ChatSendReply); again != first {
		t.Errorf("after deletion %+v", again)
	}
	for i := range 5 {
		r.say("bob", fmt.Sprint("filler ", i))
	}
	if len(r.m.byKey) != 0 || len(r.m.byID) != 3 || len(r.m.msgs) != 3 {
		t.Errorf("%d keys, %d ids, %d messages are kept", len(r.m.byKey), len(r.m.byID), len(r.m.msgs))
	}
}

func TestEdit(t *testing.T) {
	r := newRoom(t, Config{})
	id := r.say("ada", "helo @bob")
	r.refused("bob", &wire.ChatEditData{ID: id, Text: "x"}, wire.CodeForbidden)
	r.refused("host", &wire.ChatEditData{ID: id, Text: "x"}, wire.CodeForbidden)
	r.refused("ada", &wire.ChatEditData{ID: "m9", Text: "x"}, wire.CodeUnknownMessage)
	r.refused("ada", &wire.ChatEditData{ID: id, Text: "bad"}, wire.CodeTextRejected)
	r.now += 10
	r.must("ada", &wire.ChatEditData{ID: id, Text: "hello @bob @twin"})
	r.wantEvents(wire.EvChatEdited) // nobody is notified again
	msg := r.out.Outputs[0].Data.(*wire.ChatMessage)
	if msg.Text != "hello @bob @twin" || msg.EditedAt != r.now || len(msg.Mentions) != 3 {
		t.Errorf("message %+v", msg)
	}
	r.must("ada", &wire.ChatEditData{ID: id, Text: "hello @bob @twin"})
	if len(r.out.Facts) != 0 {
		t.Error("an edit that changes nothing is recorded")
	}
	r.now += 15*60*1000 - 10
	r.must("ada", &wire.ChatEditData{ID: id, Text: "in time"})
	r.now++
	r.refused("ada", &wire.ChatEditData{ID: id, Text: "too late"}, wire.CodeForbidden)
}

func TestDelete(t *testing.T) {
	r := newRoom(t, Config{})
	id, host := r.say("ada", "secret text"), r.say("host", "rules")
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "👍"})
	r.must("mod", &wire.ChatPinData{ID: id})
	r.refused("bob", &wire.ChatIDData{ID: id}, wire.CodeForbidden)
	r.refused("mod", &wire.ChatIDData{ID: host}, wire.CodeForbidden)
	r.refused("mod", &wire.ChatIDData{ID: "m77"}, wire.CodeUnknownMessage)
	r.must("mod", &wire.ChatIDData{ID: id})
	r.wantEvents(wire.EvChatDeleted)
	if got := *r.out.Facts[0].Data.(*Deleted); got != (Deleted{ID: id, User: "mod", By: "moderator"}) {
		t.Errorf("audit %+v", got)
	}
	if got := *r.out.Outputs[0].Data.(*wire.ChatDeleted); got != (wire.ChatDeleted{ID: id, By: "moderator"}) {
		t.Errorf("event %+v", got)
	}
	r.must("mod", &wire.ChatIDData{ID: id})
	if len(r.out.Facts) != 0 {
		t.Error("the second delete is recorded")
	}
	snap, _ := json.Marshal(r.m.Snapshot(effect.Caller{}))
	history, _ := json.Marshal(r.must("bob", &wire.ChatHistoryData{}))
	for _, data := range [][]byte{snap, history} {
		if strings.Contains(string(data), "secret") || !strings.Contains(string(data), `"deleted":true`) {
			t.Errorf("shown: %s", data)
		}
	}
	if r.m.reactions != 0 || len(r.m.pins) != 0 {
		t.Errorf("%d reactions, %d pins are left", r.m.reactions, len(r.m.pins))
	}
	for _, body := range []any{
		&wire.ChatEditData{ID: id, Text: "x"}, &wire.ChatReactData{ID: id, Emoji: "👍"}, &wire.ChatPinData{ID: id},
	} {
		r.refused("mod", body, wire.CodeUnknownMessage)
	}
	own := r.say("bob", "oops")
	r.p.muted["bob"] = true
	r.must("bob", &wire.ChatIDData{ID: own})
	if got := r.out.Facts[0].Data.(*Deleted); got.By != "author" {
		t.Errorf("audit %+v", got)
	}
}

func TestReact(t *testing.T) {
	r := newRoom(t, Config{ReactionsMax: 3})
	id := r.say("ada", "x")
	count := func() wire.ChatReaction { return *r.out.Outputs[0].Data.(*wire.ChatReaction) }
	r.must("ada", &wire.ChatReactData{ID: id, Emoji: "👍"})
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "👍"})
	if got := count(); got != (wire.ChatReaction{ID: id, Emoji: "👍", Count: 2}) {
		t.Errorf("event %+v", got)
	}
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "👍"})
	if len(r.out.Facts) != 0 {
		t.Error("the same reaction is counted twice")
	}
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "❤️"})
	r.refused("ada", &wire.ChatReactData{ID: id, Emoji: "🎉"}, wire.CodeTooLarge)
	got := r.m.Snapshot(effect.Caller{}).Messages[0].Reactions
	if !reflect.DeepEqual(got, map[string]int{"👍": 2, "❤️": 1}) {
		t.Errorf("snapshot %v", got)
	}
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "❤️", Remove: true})
	if got := count(); got.Count != 0 {
		t.Errorf("event %+v", got)
	}
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "❤️", Remove: true})
	if len(r.out.Facts) != 0 || len(r.m.msgs[0].reactions) != 1 || r.m.reactions != 2 {
		t.Error("the reaction is not gone")
	}
	r.refused("bob", &wire.ChatReactData{ID: id, Emoji: "no"}, wire.CodeInvalidData)
	r = newRoom(t, Config{})
	id = r.say("ada", "x")
	for i := range emojisMax {
		r.must("bob", &wire.ChatReactData{ID: id, Emoji: string(rune(0x1F600 + i))})
	}
	r.refused("bob", &wire.ChatReactData{ID: id, Emoji: "👍"}, wire.CodeTooLarge)
	r.must("ada", &wire.ChatReactData{ID: id, Emoji: string(rune(0x1F600))})
}

func TestValidEmoji(t *testing.T) {
	for _, s := range []string{
		"👍", "👍🏽", "❤", "❤️", "👨‍👩‍👧‍👦",
		"🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F", "🇩🇪", "1️⃣", "#️⃣", "✅", "‼️",
		"↔️", "☺", "🫠",
	} {
		if !ValidEmoji(s) {
			t.Errorf("%q (%+q) is refused", s, s)
		}
	}
	for _, s := range []string{
		"", "a", "1", "ok", "👍a", "<b>", " ", "\u200D", "\uFE0F", "👍 ", "\xff", strings.Repeat("👍", 9),
		"ä", "\u0301", "+",
	} {
		if ValidEmoji(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestPin(t *testing.T) {
	r := newRoom(t, Config{MessagesMax: 6, PinsMax: 2})
	a, b, c := r.say("ada", "a"), r.say("ada", "b"), r.say("ada", "c")
	r.refused("ada", &wire.ChatPinData{ID: a}, wire.CodeForbidden)
	r.must("mod", &wire.ChatPinData{ID: a})
	r.wantEvents(wire.EvChatPinned)
	r.must("mod", &wire.ChatPinData{ID: a})
	if len(r.out.Facts) != 0 {
		t.Error("pinned twice")
	}
	r.must("mod", &wire.ChatPinData{ID: b})
	r.refused("mod", &wire.ChatPinData{ID: c}, wire.CodeWrongState)
	for range 10 {
		r.say("bob", "filler")
	}
	if got := r.m.Snapshot(effect.Caller{}); len(got.Pinned) != 2 || got.Pinned[0].Text != "a" {
		t.Errorf("pinned %+v", got.Pinned)
	}
	off := false
	r.must("mod", &wire.ChatPinData{ID: a, Pinned: &off})
	r.refused("mod", &wire.ChatPinData{ID: a}, wire.CodeUnknownMessage) // too old, and now gone
	if len(r.m.byID) != 7 {
		t.Errorf("%d messages are kept", len(r.m.byID))
	}
}

func TestMentions(t *testing.T) {
	r := newRoom(t, Config{})
	for text, want := range map[string][]string{
		"hi @bob!":                     {"bob"},
		"hi @BOB, how":                 {"bob"},
		"@Ada Lovelace is here":        {"lady"},
		"@Ada lovelace.":               {"lady"},
		"@Dr. No":                      {"no"},
		"@bob @bob @bob":               {"bob"},
		"@twin":                        {"t1", "t2"},
		"(@bob) and @twin":             {"bob", "t1", "t2"},
		"mail x@bob":                   nil,
		"@nobody @ @@ @":               nil,
		"@@bob":                        {"bob"},
		"me @ada":                      nil,
		"@bob@twin":                    {"bob"},
		"@ bob":                        nil,
		"@" + strings.Repeat("b", 2e3): nil,
	} {
		if got := r.m.mentions(text, "ada"); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", cutFor(text), got, want)
		}
	}
	r.say("ada", "hey @bob and @twin")
	r.wantEvents(wire.EvChatMessage, "notify to bob", "notify to t1", "notify to t2")
	if got := *r.out.Outputs[1].Data.(*wire.Notification); got != (wire.Notification{
		Kind: "mention", Message: "m1", From: "ada", Name: "ADA", Text: "hey @bob and @twin",
	}) {
		t.Errorf("notification %+v", got)
	}
	for i := range 30 {
		r.p.names[fmt.Sprint("u", i)] = []string{fmt.Sprint("id", i)}
	}
	text := ""
	for i := range 30 {
		text += fmt.Sprint("@u", i, " ")
	}
	if got := r.m.mentions(text, "ada"); len(got) != mentionsMax {
		t.Errorf("%d are notified", len(got))
	}
}

func cutFor(s string) string { return s[:min(len(s), 40)] }

func TestTyping(t *testing.T) {
	r := newRoom(t, Config{})
	off := false
	r.must("ada", &wire.ChatTypingData{})
	r.wantEvents(wire.EvChatTyping)
	o := r.out.Outputs[0]
	if o.Class != wire.ClassVolatile || o.Except != 7 || o.Resumable || len(r.out.Facts) != 0 {
		t.Errorf("event %+v", o)
	}
	r.now += 999
	r.must("ada", &wire.ChatTypingData{})
	r.wantEvents()
	r.must("ada", &wire.ChatTypingData{Typing: &off})
	r.wantEvents(wire.EvChatTyping)
	r.must("ada", &wire.ChatTypingData{Typing: &off})
	r.wantEvents()
	r.must("ada", &wire.ChatTypingData{})
	r.wantEvents() // on and off again is no way round the limit
	r.now++
	r.must("ada", &wire.ChatTypingData{})
	r.wantEvents(wire.EvChatTyping)
	r.must("bob", &wire.ChatTypingData{})
	r.wantEvents(wire.EvChatTyping)
	for i := range 5000 {
		r.must(fmt.Sprint("u", i), &wire.ChatTypingData{})
	}
	if len(r.m.typing) > typingSweepSize {
		t.Errorf("%d typing states are kept", len(r.m.typing))
	}
}

func TestSlowMode(t *testing.T) {
	r := newRoom(t, Config{})
	r.p.slow = 5000
	r.say("ada", "one")
	r.now += 1000
	if err := r.refused("ada", &wire.ChatSendData{Text: "two"}, wire.CodeRateLimited); err.RetryAfterMs != 4000 {
		t.Errorf("retry after %d", err.RetryAfterMs)
	}
	r.say("bob", "mine")
	r.say("mod", "exempt")
	r.say("mod", "exempt")
	r.now += 4000
	r.say("ada", "two")
	for i := range 10_000 {
		r.now += 10
		r.say(fmt.Sprint("u", i), "x")
	}
	if len(r.m.lastSent) > 2*slowSweepSize {
		t.Errorf("%d times are kept", len(r.m.lastSent))
	}
	r.p.slow = 0
	r.say("ada", "a")
	r.say("ada", "b")
	if snap := r.m.Snapshot(effect.Caller{}); snap.SlowMs != 0 || len(snap.Messages) != 50 || !snap.More {
		t.Errorf("snapshot: %d messages, slow %d", len(snap.Messages), snap.SlowMs)
	}
	r.p.slow, r.p.lockdown = 7, true
	if snap := r.m.Snapshot(effect.Caller{}); snap.SlowMs != 7 || !snap.Lockdown {
		t.Errorf("snapshot: slow %d, lockdown %v", snap.SlowMs, snap.Lockdown)
	}
}

func TestHistory(t *testing.T) {
	r := newRoom(t, Config{MessagesMax: 120})
	for i := range 130 {
		r.say("mod", fmt.Sprint("text ", i+1))
	}
	var texts []string
	before := ""
	for {
		page := r.must("ada", &wire.ChatHistoryData{Before: before, Limit: 50}).(*wire.ChatSnapshot)
		var part []string
		for _, msg := range page.Messages {
			part = append(part, msg.Text)
		}
		texts = append(part, texts...)
		if !page.More {
			break
		}
		before = page.Messages[0].ID
	}
	if len(texts) != 120 || texts[0] != "text 11" || texts[119] != "text 130" {
		t.Fatalf("%d texts, %q to %q", len(texts), texts[0], texts[len(texts)-1])
	}
	if page := r.must("ada", &wire.ChatHistoryData{Limit: 1000}).(*wire.ChatSnapshot); len(page.Messages) != historyMax {
		t.Errorf("%d messages", len(page.Messages))
	}
	page := r.must("ada", &wire.ChatHistoryData{Before: "m5"}).(*wire.ChatSnapshot)
	if len(page.Messages) != 0 || page.More {
		t.Errorf("before the memory: %+v", page)
	}
	for _, id := range []string{"m131", "x", "m", "m-1", "m+1", "m01", "m99999999999999999999"} {
		r.refused("ada", &wire.ChatHistoryData{Before: id}, wire.CodeUnknownMessage)
	}
	empty, _ := json.Marshal(newRoom(t, Config{}).must("ada", &wire.ChatHistoryData{}))
	if string(empty) != `{"messages":[]}` {
		t.Errorf("an empty chat: %s", empty)
	}
}

// TestEventsDoNotShareState: what has been said goes out later, so it must not change with the message.
func TestEventsDoNotShareState(t *testing.T) {
	r := newRoom(t, Config{})
	id := r.say("ada", "one")
	sent := r.out.Outputs[0].Data.(*wire.ChatMessage)
	snap := r.m.Snapshot(effect.Caller{})
	if again := r.m.Snapshot(effect.Caller{}); again != snap {
		t.Error("an unchanged snapshot is made again")
	}
	r.must("ada", &wire.ChatEditData{ID: id, Text: "two"})
	r.must("bob", &wire.ChatReactData{ID: id, Emoji: "👍"})
	if sent.Text != "one" || snap.Messages[0].Text != "one" || snap.Messages[0].Reactions != nil {
		t.Errorf("changed: %+v, %+v", sent, snap.Messages[0])
	}
	if got := r.m.Snapshot(effect.Caller{}).Messages[0]; got.Text != "two" || got.Reactions["👍"] != 1 {
		t.Errorf("the snapshot is stale: %+v", got)
	}
}

// TestReplayGivesTheSameState plays random commands, sends the facts through JSON, and applies them to a new machine:
// the same snapshot, the same events with the same seq, the same reply to a repeated key.
func TestReplayGivesTheSameState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{MessagesMax: 5, PinsMax: 2}
		r := newRoom(t, cfg)
		var events []effect.Output
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			r.now += rapid.Int64Range(0, 2000).Draw(rt, "dt")
			r.p.slow = rapid.SampledFrom([]int64{0, 0, 500}).Draw(rt, "slow")
			user := rapid.SampledFrom([]string{"host", "mod", "ada", "bob"}).Draw(rt, "user")
			r.do(user, drawCommand(rt, r.m.lastN))
			for _, o := range r.out.Outputs {
				if o.Resumable {
					events = append(events, o)
				}
			}
			check(rt, r.m)
		}
		again := newRoom(t, cfg)
		again.p.slow = r.p.slow
		var replayed []effect.Output
		for _, f := range r.facts {
			data, err := json.Marshal(f.Data)
			if err != nil {
				rt.Fatal(err)
			}
			v, err := DecodeFact(f.Kind, data)
			if err != nil || !reflect.DeepEqual(v, f.Data) {
				rt.Fatalf("%s comes back as %+v, %v", data, v, err)
			}
			out := &effect.Effects{Replaying: true}
			again.m.Apply(effect.Fact{Kind: f.Kind, At: f.At, Data: v}, out)
			again.number(out)
			replayed = append(replayed, out.Outputs...)
		}
		if !reflect.DeepEqual(replayed, events) {
			rt.Fatalf("replayed events %+v, want %+v", replayed, events)
		}
		if got, want := again.m.Snapshot(effect.Caller{}), r.m.Snapshot(effect.Caller{}); !reflect.DeepEqual(got, want) {
			rt.Fatalf("replayed %+v, want %+v", got, want)
		}
		if !reflect.DeepEqual(again.m.byKey, r.m.byKey) || !reflect.DeepEqual(again.m.lastSent, r.m.lastSent) {
			rt.Fatal("replayed keys or times differ")
		}
		check(rt, again.m)
	})
}

func drawCommand(rt *rapid.T, lastN uint64) any {
	id := messageID(rapid.Uint64Range(1, lastN+1).Draw(rt, "id"))
	flag := rapid.Bool().Draw(rt, "flag")
	text := rapid.SampledFrom([]string{"hello", "@bob look", "bad", "see example.org", "@Ada Lovelace"}).Draw(rt, "text")
	switch rapid.IntRange(0, 6).Draw(rt, "kind") {
	case 0, 1:
		d := &wire.ChatSendData{Text: text, Key: rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(rt, "key")}
		if flag {
			d.ReplyTo = id
		}
		return d
	case 2:
		return &wire.ChatEditData{ID: id, Text: text}
	case 3:
		return &wire.ChatIDData{ID: id}
	case 4:
		return &wire.ChatPinData{ID: id, Pinned: &flag}
	case 5:
		return &wire.ChatTypingData{Typing: &flag}
	}
	return &wire.ChatReactData{ID: id, Emoji: rapid.SampledFrom([]string{"👍", "🎉"}).Draw(rt, "emoji"), Remove: flag}
}

// check holds the machine's indexes against each other.
func check(rt *rapid.T, m *Machine) {
	reactions := 0
	for id, msg := range m.byID {
		if msg.id != id || m.evicted(msg) && !msg.pinned {
			rt.Fatalf("%s is kept without a reason", id)
		}
		for _, r := range msg.reactions {
			if len(r.users) == 0 {
				rt.Fatalf("%s keeps an empty reaction", id)
			}
			reactions += len(r.users)
		}
		if msg.deleted && (msg.text != "" || msg.pinned) {
			rt.Fatalf("%s is deleted, yet has %q", id, msg.text)
		}
	}
	if reactions != m.reactions || len(m.msgs) > m.cfg.MessagesMax || len(m.pins) > m.cfg.PinsMax {
		rt.Fatalf("%d reactions counted as %d; %d messages, %d pins", reactions, m.reactions, len(m.msgs), len(m.pins))
	}
	for k, msg := range m.byKey {
		if m.byID[msg.id] != msg || k != (sentKey{msg.user, msg.key}) {
			rt.Fatalf("key %+v leads to %s", k, msg.id)
		}
	}
}

// FuzzDecodeFact: damaged records are refused, never a panic, and what is accepted can be applied.
func FuzzDecodeFact(f *testing.F) {
	f.Add(KindSent, []byte(`{"n":1,"user":"a","name":"b","role":"host","text":"x","key":"k"}`))
	f.Add(KindEdited, []byte(`{"id":"m1","text":"x"}`))
	f.Add(KindDeleted, []byte(`{"id":"m1","user":"a","by":"author"}`))
	f.Add(KindReacted, []byte(`{"id":"m1","user":"a","emoji":"x","remove":true}`))
	f.Add(KindPinned, []byte(`{"id":"m1","user":"a","pinned":true} {}`))
	f.Fuzz(func(_ *testing.T, kind string, data []byte) {
		v, err := DecodeFact(kind, data)
		if err != nil {
			return
		}
		m := New(Config{}, &policy{})
		m.Apply(effect.Fact{Kind: KindSent, At: 1, Data: &Sent{N: 1, User: "a", Text: "x"}}, &effect.Effects{})
		m.Apply(effect.Fact{Kind: kind, At: 2, Data: v}, &effect.Effects{})
		m.Snapshot(effect.Caller{})
	})
}

// FuzzMentions: any text is scanned in bounded time without a panic, and only known users come out.
func FuzzMentions(f *testing.F) {
	f.Add("hi @bob and @Ada Lovelace, @")
	f.Add("@\xff@ @\u3000x")
	f.Fuzz(func(t *testing.T, text string) {
		users := newRoom(t, Config{}).m.mentions(text, "ada")
		if len(users) > mentionsMax || slices.Contains(users, "ada") {
			t.Fatalf("%q", users)
		}
		ValidEmoji(text)
	})
}
