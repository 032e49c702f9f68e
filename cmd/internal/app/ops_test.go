package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// shape checks that a reply or an event has the members named, and gives all of them.
func shape(t *testing.T, m message, members ...string) map[string]any {
	t.Helper()
	got := into[map[string]any](t, m)
	for _, name := range members {
		if _, ok := got[name]; !ok {
			t.Errorf("%s%d: no member %s in %s", m.Ev, m.Re, name, m.Data)
		}
	}
	return got
}

func TestRoomOps(t *testing.T) {
	t.Parallel()
	s := start(t)
	a, b := s.dial("/ws?guest=Ada"), s.dial("/ws?guest=Bob")
	sync := shape(t, a.do(wire.OpTimeSync, "", wire.TimeSyncData{T0: 12.5}), "t0", "t1", "t2")
	if sync["t0"] != 12.5 || sync["t1"].(float64) > sync["t2"].(float64) {
		t.Errorf("time:sync: %v", sync)
	}
	shape(t, a.do(wire.OpAuth, "", wire.AuthData{Name: "Ada"}), "user", "roles", "expiresAt")

	joined := shape(t, a.do(wire.OpRoomJoin, "r1", nil), "room", "epoch", "seq", "recovered", "snapshot")
	if joined["recovered"] != false || joined["seq"] != 0.0 || joined["epoch"] == "" {
		t.Errorf("room:join: %v", joined)
	}
	b.join("r1", wire.JoinData{})
	if got := shape(t, a.do(wire.OpRoomPublish, "r1", wire.PublishData{
		Event: "note", Payload: json.RawMessage(`{"x":[1,"ä"]}`), Key: "k",
	}), "seq"); got["seq"] != 1.0 {
		t.Errorf("room:publish: %v", got)
	}
	for _, c := range []*conn{a, b} {
		if m := c.event("note"); m.Seq != 1 || m.Room != "r1" || string(m.Data) != `{"x":[1,"ä"]}` ||
			time.Since(time.UnixMilli(m.TS)) > patience {
			t.Errorf("event: %+v", m)
		}
	}
	again := a.do(wire.OpRoomPublish, "r1", wire.PublishData{Event: "note", Payload: json.RawMessage(`2`), Key: "k"})
	if got := shape(t, again, "seq"); got["seq"] != 1.0 {
		t.Errorf("the same key again: %v", got)
	}
	// Without a room's name the only one joined is meant.
	a.do(wire.OpRoomPublish, "", wire.PublishData{Event: "v", Payload: json.RawMessage(`null`), Volatile: true})
	if m := b.event("v"); m.Seq != 0 || string(m.Data) != "null" {
		t.Errorf("volatile event: %+v", m)
	}
	for _, mode := range []string{"", "count", "sample", "page"} {
		got := shape(t, a.do(wire.OpRoomPresence, "r1", wire.PresenceData{Mode: mode}), "count")
		listed := mode == "sample" || mode == "page"
		if members, _ := got["members"].([]any); got["count"] != 2.0 || listed != (len(members) == 2) {
			t.Errorf("room:presence %q: %v", mode, got)
		}
	}
	b.do(wire.OpProgressUpdate, "r1", wire.ProgressData{Unit: "u", Done: 1, Total: 3})
	b.do(wire.OpRoomLeave, "r1", nil)
	b.refused(wire.CodeNotMember, wire.OpRoomPublish, "r1", wire.PublishData{Event: "x", Payload: json.RawMessage(`1`)})
	a.do(wire.OpRoomPublish, "r1", wire.PublishData{Event: "note", Payload: json.RawMessage(`"late"`)})
	if m := a.next(); m.Seq != 2 {
		t.Errorf("after the repeated key the next seq is %d", m.Seq)
	}
	b.do(wire.OpTimeSync, "", wire.TimeSyncData{})
	for _, m := range b.queue {
		if string(m.Data) == `"late"` {
			t.Error("an event came after room:leave")
		}
	}
}

func TestChatOps(t *testing.T) {
	t.Parallel()
	s := start(t)
	host, ada := s.as("host", wire.RoleHost), s.dial("/ws?guest=Ada")
	made := into[wire.QuizCreateReply](t, host.do(wire.OpQuizCreate, "", someQuiz()))
	room := made.Room
	host.join(room, wire.JoinData{})
	me := into[wire.AuthReply](t, ada.do(wire.OpAuth, "", wire.AuthData{Name: "-"}))
	ada.join(room, wire.JoinData{Name: "Ada"})
	hello := wire.ChatSendData{Text: "hello", Key: "1"}
	sent := shape(t, ada.do(wire.OpChatSend, room, hello), "id", "seq", "ts")
	id := sent["id"].(string)
	if again := shape(t, ada.do(wire.OpChatSend, room, hello), "id"); again["id"] != id {
		t.Errorf("the same key again: %v, first %v", again, sent)
	}
	msg := into[wire.ChatMessage](t, host.event(wire.EvChatMessage))
	if msg.ID != id || msg.Text != "hello" || msg.Name != "Ada" {
		t.Errorf("chat:message %+v", msg)
	}
	ada.do(wire.OpChatEdit, room, wire.ChatEditData{ID: id, Text: "hello all"})
	shape(t, host.event(wire.EvChatEdited), "id", "text", "editedAt")
	host.do(wire.OpChatReact, room, wire.ChatReactData{ID: id, Emoji: "👍"})
	shape(t, ada.event(wire.EvChatReaction), "id", "emoji", "count")
	host.do(wire.OpChatPin, room, wire.ChatPinData{ID: id})
	shape(t, ada.event(wire.EvChatPinned), "id", "pinned")
	ada.do(wire.OpChatTyping, room, nil)
	if m := host.event(wire.EvChatTyping); m.Seq != 0 {
		t.Errorf("typing has a seq: %+v", m)
	}
	shape(t, ada.do(wire.OpChatHistory, room, nil), "messages")
	ada.refused(wire.CodeForbidden, wire.OpChatPin, room, wire.ChatPinData{ID: id})
	ada.refused(wire.CodeUnknownMessage, wire.OpChatDelete, room, wire.ChatIDData{ID: "nope"})
	host.do(wire.OpChatDelete, room, wire.ChatIDData{ID: id})
	shape(t, ada.event(wire.EvChatDeleted), "id", "by")

	host.do(wire.OpModSlow, room, wire.ModSlowData{EveryMs: 3_600_000})
	ada.event(wire.EvChatSlow)
	ada.do(wire.OpChatSend, room, wire.ChatSendData{Text: "one"})
	more := wire.ChatSendData{Text: "again"}
	if err := ada.refused(wire.CodeRateLimited, wire.OpChatSend, room, more); err.RetryAfterMs <= 0 {
		t.Errorf("slow mode: %+v", err)
	}
	host.do(wire.OpModMute, room, wire.ModUserData{User: me.User})
	ada.event(wire.EvChatMuted)
	ada.refused(wire.CodeMuted, wire.OpChatSend, room, more)
	host.do(wire.OpModLockdown, room, nil)
	for _, op := range []wire.Op{wire.OpModApprove, wire.OpModReject} {
		if m := host.ask(op, room, map[string]any{"id": "x"}); m.OK || m.Error.Code == wire.CodeUnknownOp {
			t.Logf("%s: %+v %s", op, m.Error, m.Data)
		}
	}
	for _, op := range []wire.Op{wire.OpModMute, wire.OpModBan, wire.OpModKick} {
		ada.refused(wire.CodeForbidden, op, room, wire.ModUserData{User: "host"})
	}
}

func TestQuizOps(t *testing.T) {
	t.Parallel()
	s := start(t, lead(0))
	host, ada := s.as("host", wire.RoleHost), s.dial("/ws?guest=Ada")
	made := shape(t, host.do(wire.OpQuizCreate, "", someQuiz()), "room", "pin", "hostToken")
	room, pin := made["room"].(string), made["pin"].(string)
	if len(pin) != 6 || len(room) < 8 {
		t.Errorf("quiz:create: %v", made)
	}
	byToken := s.dial("/ws", "Authorization: Bearer "+made["hostToken"].(string))
	if r := byToken.join(room, wire.JoinData{}); r.Role != wire.RoleHost || r.Snapshot.Quiz.Quiz == nil {
		t.Errorf("the host token joins as %v", r.Role)
	}
	host.join(room, wire.JoinData{})
	if r := ada.join(pin, wire.JoinData{}); r.Room != room || r.Snapshot.Quiz.Quiz != nil {
		t.Errorf("joined by PIN: %+v", r)
	}
	ada.refused(wire.CodeForbidden, wire.OpQuizStart, room, nil)
	host.refused(wire.CodeWrongState, wire.OpQuizNext, room, nil)
	host.do(wire.OpQuizLock, room, nil)
	ada.event(wire.EvQuizLocked)
	s.dial("/ws?guest=Late").refused(wire.CodeRoomLocked, wire.OpRoomJoin, room, nil)
	host.do(wire.OpQuizLock, room, wire.QuizLockData{Locked: new(bool)})
	host.do(wire.OpQuizStart, room, nil)
	ada.event(wire.EvQuizStart)
	q := shape(t, ada.event(wire.EvQuizQuestion), "number", "of", "text", "options", "opensAt", "closesAt")
	if q["number"] != 1.0 || strings.Contains(fmt.Sprint(q), "correct") {
		t.Errorf("quiz:question: %v", q)
	}
	host.do(wire.OpQuizExtend, room, wire.QuizExtendData{ByMs: 5000})
	shape(t, ada.event(wire.EvQuizTime), "number", "closesAt")
	host.do(wire.OpQuizPause, room, nil)
	shape(t, ada.event(wire.EvQuizPaused), "number", "remainingMs")
	ada.refused(wire.CodeQuestionClosed, wire.OpQuizAnswer, room,
		wire.AnswerData{Question: 1, Answer: json.RawMessage(`"0"`), Key: "p"})
	host.do(wire.OpQuizResume, room, nil)
	ada.event(wire.EvQuizResumed)
	shape(t, ada.do(wire.OpQuizState, room, nil), "phase", "question", "participants", "me")
	ada.refused(wire.CodeInvalidData, wire.OpQuizAnswer, room,
		wire.AnswerData{Question: 1, Answer: json.RawMessage(`"0"`)})
	answer := wire.AnswerData{Question: 1, Answer: json.RawMessage(`"0"`), Key: "k1"}
	first := ada.do(wire.OpQuizAnswer, room, answer)
	if got := shape(t, first, "receipt", "acceptedAt", "durable"); got["durable"] != true || got["receipt"] == "" {
		t.Errorf("quiz:answer: %v", got)
	}
	// Everybody has answered, so the question is closed already; the same key still gets its receipt.
	shape(t, ada.event(wire.EvQuizResults), "number", "type", "answered", "correct", "counts", "key")
	if again := ada.do(wire.OpQuizAnswer, room, answer); string(again.Data) != string(first.Data) {
		t.Errorf("the same key again: %s, first %s", again.Data, first.Data)
	}
	ada.refused(wire.CodeAlreadyAnswer, wire.OpQuizAnswer, room,
		wire.AnswerData{Question: 1, Answer: json.RawMessage(`"1"`), Key: "k2"})
	rank := shape(t, ada.event(wire.EvQuizRank), "number", "rank", "of", "score", "points", "outcome", "streak")
	if rank["outcome"] != "correct" || rank["rank"] != 1.0 {
		t.Errorf("quiz:rank: %v", rank)
	}
	host.do(wire.OpQuizNext, room, nil)
	shape(t, ada.event(wire.EvQuizLeaderboard), "number", "top", "participants")
	host.do(wire.OpQuizNext, room, nil)
	ada.event(wire.EvQuizQuestion)
	host.do(wire.OpQuizSkip, room, nil)
	ada.event(wire.EvQuizResults)
	ada.refused(wire.CodeQuestionClosed, wire.OpQuizAnswer, room,
		wire.AnswerData{Question: 2, Answer: json.RawMessage(`"0"`), Key: "k3"})
	host.do(wire.OpQuizEnd, room, nil)
	shape(t, ada.event(wire.EvQuizEnd), "top", "participants")
	host.refused(wire.CodeWrongState, wire.OpQuizStart, room, nil)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.dial("/ws?guest=Ada")
	for _, tt := range []struct {
		text string
		re   uint64
		code wire.Code
		path string
	}{
		{`{"id":1`, 0, wire.CodeBadJSON, ""},
		{`[]`, 0, wire.CodeBadJSON, ""},
		{`nonsense`, 0, wire.CodeBadJSON, ""},
		{``, 0, wire.CodeBadJSON, ""},
		{`{"op":"time:sync"}`, 0, wire.CodeBadMessage, ""},
		{`{"id":3}`, 3, wire.CodeBadMessage, ""},
		{`{"id":4,"op":"no:such"}`, 4, wire.CodeUnknownOp, ""},
		{`{"id":5,"op":"time:sync","data":{"t0":"x"}}`, 5, wire.CodeInvalidData, "t0"},
		{`{"id":6,"op":"room:publish","room":"r","data":{"event":"quiz:end","payload":1}}`, 6, wire.CodeInvalidData, "event"},
		{`{"id":7,"op":"room:join","data":{}}`, 7, wire.CodeBadMessage, ""},
		{`{"id":8,"op":"room:publish","room":"no-such-room","data":{"event":"x","payload":1}}`, 8, wire.CodeNotMember, ""},
		{
			`{"id":9,"op":"quiz:create","data":{"title":"t","questions":[{"type":"single_choice","text":"q","options":[]}]}}`,
			9, wire.CodeInvalidData, "questions[0].options",
		},
		{`{"id":10,"op":"quiz:create","data":{"quizId":"nope"}}`, 10, wire.CodeUnknownQuiz, "quizId"},
		{`{"id":11,"op":"quiz:start","room":"no-such-room"}`, 11, wire.CodeUnknownRoom, ""},
		{`{"id":12,"op":"room:join","room":"a/b","data":{}}`, 12, wire.CodeBadMessage, ""},
	} {
		c.send(tt.text)
		m := c.take(func(m *message) bool { return m.Ev == "" })
		if m.OK || m.Error == nil || m.Re != tt.re || m.Error.Code != tt.code ||
			tt.path != "" && !strings.HasSuffix(m.Error.Path, tt.path) {
			t.Errorf("%s: re %d, %+v; want %s at %q", tt.text, m.Re, m.Error, tt.code, tt.path)
		}
	}
	c.do(wire.OpTimeSync, "", wire.TimeSyncData{}) // none of it ended the connection
	stats := s.gateway.Stats()
	if stats.Errors[wire.CodeBadJSON] != 4 || stats.Errors[wire.CodeUnknownOp] != 1 {
		t.Errorf("counted: %v", stats.Errors)
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	participant, observer := s.as("p", wire.RoleParticipant), s.as("o", wire.RoleObserver)
	participant.refused(wire.CodeForbidden, wire.OpQuizCreate, "", someQuiz())
	observer.refused(wire.CodeForbidden, wire.OpChatSend, "r", wire.ChatSendData{Text: "x"})
	participant.refused(wire.CodeUnknownRoom, wire.OpRoomJoin, "not-made-yet", nil) // only hosts make rooms
	host := s.as("h", wire.RoleHost)
	host.join("open", wire.JoinData{})
	participant.join("open", wire.JoinData{})
	publish := wire.PublishData{Event: "x", Payload: json.RawMessage(`1`)}
	participant.refused(wire.CodeForbidden, wire.OpRoomPublish, "open", publish)
	host.do(wire.OpRoomPublish, "open", publish)
	scoped := s.dial("/ws", "Authorization: Bearer "+s.token("x", wire.RoleParticipant, "open"))
	host.join("elsewhere", wire.JoinData{})
	scoped.refused(wire.CodeForbidden, wire.OpRoomJoin, "elsewhere", nil)
	scoped.join("", wire.JoinData{})
	participant.refused(wire.CodeForbidden, wire.OpRoomJoin, "open", wire.JoinData{Role: wire.RoleModerator})
}

// Breaches of the protocol close the connection with the code of RFC 6455 and leave others alone.
func TestBreachesCloseTheConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	witness := s.dial("/ws?guest=Witness")
	masked := func(op ws.OpCode, fin bool, payload string) []byte {
		return ws.AppendMasked(nil, op, fin, false, []byte(payload), 0x01020304)
	}
	big := strings.Repeat("x", 300<<10)
	for name, tt := range map[string]struct {
		bytes []byte
		code  wire.CloseCode
	}{
		"oversize": {masked(ws.OpText, true, big), wire.CloseMessageTooBig},
		"oversize by parts": {
			append(masked(ws.OpText, false, big[:200<<10]), masked(ws.OpContinuation, true, big[:200<<10])...),
			wire.CloseMessageTooBig,
		},
		"invalid UTF-8":     {masked(ws.OpText, true, `{"id":1,"op":"`+"\xff\xfe"+`"}`), wire.CloseInvalidPayload},
		"binary":            {masked(ws.OpBinary, true, "\x00\x01"), wire.CloseUnsupportedData},
		"unmasked":          {ws.AppendText(nil, []byte(`{}`)), wire.CloseProtocolError},
		"reserved bit":      {ws.AppendMasked(nil, ws.OpText, true, true, []byte(`{}`), 1), wire.CloseProtocolError},
		"unknown opcode":    {masked(ws.OpCode(5), true, "x"), wire.CloseProtocolError},
		"lone continuation": {masked(ws.OpContinuation, true, "x"), wire.CloseProtocolError},
		"long ping":         {masked(ws.OpPing, true, strings.Repeat("x", 126)), wire.CloseProtocolError},
	} {
		c := s.dial("/ws?guest=Ada")
		if _, err := c.Write(tt.bytes); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := c.ended(); got != uint16(tt.code) {
			t.Errorf("%s: closed with %d %q, want %d", name, got, c.reason, tt.code)
		}
	}
	deflating := s.dial("/ws?guest=Ada", deflateOffer)
	bomb := ws.AppendDeflated(nil, make([]byte, 64<<20))
	if _, err := deflating.Write(ws.AppendMasked(nil, ws.OpText, true, true, bomb, 7)); err != nil {
		t.Fatal(err)
	}
	deflating.goneWith(wire.CloseMessageTooBig)
	normal := s.dial("/ws?guest=Ada")
	if _, err := normal.Write(ws.AppendMaskedClose(nil, 1000, 1)); err != nil {
		t.Fatal(err)
	}
	normal.goneWith(wire.CloseNormal)
	witness.do(wire.OpTimeSync, "", wire.TimeSyncData{})
}

func TestFloodIsLimited(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	c := s.as("ada", wire.RoleHost)
	const sent = 400
	for i := range sent {
		c.send(fmt.Sprintf(`{"id":%d,"op":"time:sync","data":{"t0":1}}`, i+1))
	}
	good, limited := 0, 0
	for range sent {
		m := c.take(func(m *message) bool { return m.Re != 0 })
		switch {
		case m.OK:
			good++
		case m.Error.Code == wire.CodeRateLimited && m.Error.RetryAfterMs > 0:
			limited++
		default:
			t.Fatalf("%+v", m.Error)
		}
	}
	if good < 200 || limited == 0 {
		t.Errorf("%d answered and %d limited; the burst is 200", good, limited)
	}
}

// A connection may be in so many rooms; leaving one and being refused by one give the place back.
func TestRoomsPerConnection(t *testing.T) {
	t.Parallel()
	s := start(t, noDev, func(c *config.Config) { c.Conns.RoomsMax = 3 })
	host, c := s.as("host", wire.RoleHost), s.as("ada", wire.RoleParticipant)
	for i := range 10 {
		c.refused(wire.CodeUnknownRoom, wire.OpRoomJoin, fmt.Sprintf("none-%d", i), nil)
	}
	for _, room := range []string{"a", "b", "c"} {
		host.join(room, wire.JoinData{})
		c.join(room, wire.JoinData{})
		c.join(room, wire.JoinData{}) // again is no further room
	}
	c.refused(wire.CodeRateLimited, wire.OpRoomJoin, "d", nil)
	c.refused(wire.CodeBadMessage, wire.OpRoomPresence, "", nil) // which of the three?
	c.do(wire.OpRoomLeave, "b", nil)
	host.do(wire.OpRoomLeave, "b", nil)
	host.join("d", wire.JoinData{})
	c.join("d", wire.JoinData{})
	for _, room := range []string{"a", "c", "d"} {
		host.do(wire.OpRoomPublish, room, publish("e", room))
		if m := c.event("e"); m.Room != room || string(m.Data) != fmt.Sprintf("%q", room) {
			t.Errorf("%s: %+v", room, m)
		}
	}
}
