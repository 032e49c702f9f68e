package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lectern/netpoll/frame"
	"lectern/netpoll/simnet"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// stompClient is a STOMP client on the simulated network.
type stompClient struct {
	t        *testing.T
	h        *hall
	c        *simnet.Client
	reader   ws.Reader
	frames   []string
	closed   string
	upgraded bool
}

// stompAt connects; target may carry a guest's name, headers a token.
func stompAt(t *testing.T, h *hall, headers string) *stompClient {
	t.Helper()
	s := &stompClient{t: t, h: h, c: h.net.Dial(), reader: ws.NewReader(&ws.Config{Client: true}, false)}
	s.c.Write([]byte("GET /stomp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Protocol: v10.stomp, v12.stomp\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + headers + "\r\n"))
	h.net.Run()
	return s
}

// signedIn is a connection of the user of a token; the tests' tokens are good for the room of their name.
func signedIn(t *testing.T, h *hall, token string) *stompClient {
	t.Helper()
	s := stompAt(t, h, "")
	s.say("CONNECT|accept-version:1.2|passcode:" + token + "|heart-beat:0,0||")
	s.expect("CONNECTED|version:1.2|heart-beat:3600000,3600000|server:lectern|user-name:user|")
	return s
}

// say sends frames, written with | for line ends, each as one message.
func (s *stompClient) say(frames ...string) {
	for _, f := range frames {
		s.c.Write(ws.AppendMaskedText(nil, []byte(strings.ReplaceAll(f, "|", "\n")+"\x00"), 7))
	}
	s.h.net.Run()
}

// Message implements ws.Handler: a frame as one line.
func (s *stompClient) Message(_ bool, payload []byte) bool {
	text := strings.TrimSuffix(string(payload), "\x00")
	s.frames = append(s.frames, strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "|"))
	return true
}

// Control implements ws.Handler.
func (s *stompClient) Control(op ws.OpCode, payload []byte) bool {
	if op == ws.OpClose {
		code, reason, _ := ws.ParseClose(payload)
		s.closed = fmt.Sprint(code, " ", reason)
	}
	return true
}

func (s *stompClient) read() []string {
	s.t.Helper()
	s.h.net.Run()
	got := s.c.Read()
	if !s.upgraded {
		head, rest, ok := bytes.Cut(got, []byte("\r\n\r\n"))
		if !ok || !bytes.Contains(head, []byte(" 101 ")) || !bytes.Contains(head, []byte("Protocol: v10.stomp")) {
			s.t.Fatalf("no upgrade: %q", got)
		}
		s.upgraded, got = true, rest
	}
	s.frames = nil
	if err := s.reader.Feed(got, s); err != nil {
		s.t.Fatal(err)
	}
	return s.frames
}

// expect reads what has come. Each line must begin as wanted; a line's message-id is put aside.
func (s *stompClient) expect(want ...string) {
	s.t.Helper()
	got := s.read()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = strings.HasPrefix(withoutID(got[i]), want[i])
	}
	if !ok {
		s.t.Errorf("got\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func withoutID(line string) string {
	before, rest, ok := strings.Cut(line, "message-id:")
	if !ok {
		return line
	}
	_, after, _ := strings.Cut(rest, "|")
	return before + after
}

// room answers for the room: it delivers an output for the connection that sent the last command.
func (h *hall) room(room string, o effect.Output) {
	if o.Kind != effect.Event || o.Audience == effect.ToConn {
		o.Conn = h.posts.last.From.Conn
		if o.Kind == effect.Reply {
			o.Req = h.posts.last.From.Req
		}
	}
	h.Deliver(0, []rooms.Delivery{{Room: room, Output: o}}, func() {})
	h.net.Run()
}

// takeIn answers the last join.
func (h *hall) takeIn(room string) {
	h.room(room, effect.Output{Kind: effect.Join, Role: wire.RoleParticipant})
	h.room(room, effect.Output{Kind: effect.Reply, Data: &wire.JoinReply{Room: room, Epoch: "e", Seq: 4}})
}

const welcomed = "MESSAGE|subscription:%s|destination:/topic/room.r|content-type:application/json;charset=utf-8|" +
	"event:room\\cjoin|room:r|epoch:e|seq:4|recovered:false|content-length:"

func TestStompTopics(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:a|destination:/topic/room.r|since:3|epoch:e|role:observer|receipt:1||")
	join, ok := h.posts.last.Body.(*wire.JoinData)
	if !ok || *join.Since != 3 || join.Epoch != "e" || join.Role != wire.RoleObserver || h.posts.last.Room != "r" {
		t.Fatalf("SUBSCRIBE became %+v", h.posts.last)
	}
	s.expect()
	h.takeIn("r")
	s.expect(fmt.Sprintf(welcomed, "a"), "RECEIPT|receipt-id:1|")
	// What a room sends again is the topic's too.
	h.room("r", effect.Output{Audience: effect.ToConn, Seq: 4, TS: 5, Name: "chat:message", Data: json.RawMessage(`{}`)})
	const head = "|destination:/topic/room.r|content-type:application/json;charset=utf-8|event:"
	s.expect("MESSAGE|subscription:a" + head + "chat\\cmessage|room:r|seq:4|ts:5|content-length:2||{}")
	// The second subscription to the room, the wildcard, and a queue, which gets nothing of it.
	s.say("SUBSCRIBE|id:b|destination:/topic/room.*|ack:client|receipt:2||", "SUBSCRIBE|id:q|destination:/user/queue/*||")
	s.expect("RECEIPT|receipt-id:2|")
	h.room("r", effect.Output{Seq: 5, TS: 6, Name: "x", Data: nil})
	s.expect("MESSAGE|subscription:a"+head+"x|room:r|seq:5|ts:6|content-length:4||null",
		"MESSAGE|subscription:b|ack:r\\c5"+head+"x|room:r|seq:5|ts:6|content-length:4||null")
	h.room("other", effect.Output{Seq: 5, TS: 6, Name: "x"})
	s.expect()
	s.say("ACK|id:r\\c5|receipt:3||") // needless, and harmless
	s.expect("RECEIPT|receipt-id:3|")
	// The room is left with the last subscription that holds it; the wildcard holds the token's room.
	s.say("UNSUBSCRIBE|id:a|receipt:4||")
	s.expect("RECEIPT|receipt-id:4|")
	if h.posts.last.Op != wire.OpRoomJoin {
		t.Errorf("the room is told %s", h.posts.last.Op)
	}
	s.say("UNSUBSCRIBE|id:b|receipt:5||")
	s.expect("RECEIPT|receipt-id:5|")
	if h.posts.last.Op != wire.OpRoomLeave {
		t.Errorf("the room is told %s", h.posts.last.Op)
	}
	h.room("r", effect.Output{Kind: effect.Leave})
	h.room("r", effect.Output{Kind: effect.Reply})
	s.expect()
}

// The wildcard alone joins the only room that the token is good for.
func TestStompWildcardJoinsTheTokensRoom(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:w|destination:/topic/room.*|receipt:1||")
	h.takeIn("r")
	s.expect(fmt.Sprintf(welcomed, "w"), "RECEIPT|receipt-id:1|")
}

func TestStompRequests(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:t|destination:/topic/room.r||")
	h.takeIn("r")
	s.say("SUBSCRIBE|id:q|destination:/user/queue/replies||")
	s.read()
	const head = "MESSAGE|subscription:q|destination:/user/queue/replies|content-type:application/json;charset=utf-8|"
	answer := `{"question":1,"answer":"1","key":"k"`
	for _, frame := range []string{
		"SEND|destination:/app/quiz.answer|room:r|receipt:1|correlation-id:c||" + answer + "}",
		"SEND|destination:/app/quiz.answer|receipt:1|correlation-id:c||" + answer + `,"room":"r"}`,
		"SEND|destination:/app/quiz\\canswer|receipt:1|correlation-id:c||" + answer + "}",
	} {
		s.say(frame)
		data, ok := h.posts.last.Body.(*wire.AnswerData)
		if !ok || data.Key != "k" || h.posts.last.Room != "r" {
			t.Fatalf("%s became %+v", frame, h.posts.last)
		}
		s.expect() // not durable yet
		h.room("r", effect.Output{Kind: effect.Reply, Data: &wire.AnswerReply{Receipt: "R", Durable: true}})
		s.expect(head+`ok:true|op:quiz\canswer|correlation-id:c|content-length:`, "RECEIPT|receipt-id:1|")
		h.posts.last = rooms.Command{From: h.posts.last.From}
	}
	for frame, want := range map[string]string{
		"SEND|destination:/app/quiz.answer|receipt:2||{}": `error:invalid_data|op:quiz\canswer|correlation-id:2`,
		"SEND|destination:/app/quiz.answer|room:r r||{}":  "error:bad_message|op:quiz\\canswer|content-length",
		"SEND|destination:/app/chat.send||{":              "error:bad_json|",
		"SEND|destination:/app/nothing||":                 "error:unknown_op|content-length",
		"SEND|destination:/topic/room.r||{}":              "error:unknown_op|content-length",
		"SEND|destination:/app/room.leave|room:x||":       "error:forbidden|",
	} {
		s.say(frame)
		s.expect(head + "ok:false|" + want)
	}
	// Without a queue for answers the refusal of what wants a receipt ends the connection.
	s.say("UNSUBSCRIBE|id:q||", "SEND|destination:/app/chat.send||{}")
	s.expect()
	s.say("SEND|destination:/app/chat.send|receipt:9||{}")
	s.expect("ERROR|message:SEND to /app/chat.send\\c invalid_data\\c ")
	if !strings.HasPrefix(s.closed, "1008 SEND to /app/chat.send: invalid_data: ") {
		t.Errorf("closed with %q", s.closed)
	}
}

func TestStompSignIn(t *testing.T) {
	for _, tt := range []struct {
		dev                            bool
		headers, connect, want, closed string
	}{
		{true, "", "login:Ada|passcode:guest", "CONNECTED|", ""},
		{true, "", "login:Ada|passcode:a.b.c", "CONNECTED|", ""},
		{false, "", "login:Ada|passcode:a.b.c", "CONNECTED|", ""},
		{false, "", "AUTHORIZATION:bearer r", "CONNECTED|", ""},
		{false, "Authorization: Bearer r\r\n", "host:h", "CONNECTED|", ""},
		{false, "", "login:Ada", "ERROR|message:CONNECT needs a token", "4203 CONNECT needs a token"},
		{true, "", "login:" + strings.Repeat("x", 41), "ERROR|message:login\\c ", "1008 login: "},
		{true, "", "host:h", "ERROR|message:CONNECT needs a token", "4203 CONNECT needs a token"},
		{false, "", "passcode:expired", "ERROR|message:the token has expired|", "4002 the token has expired"},
		{false, "", "passcode:bad|receipt:1", "ERROR|message:no good|receipt-id:1|", "4203 no good"},
	} {
		h := newHall(t)
		h.cfg.Dev = tt.dev
		h.tokens = choosy{}
		s := stompAt(t, h, tt.headers)
		s.say("CONNECT|accept-version:1.2|" + tt.connect + "||")
		s.expect(tt.want)
		if !strings.HasPrefix(s.closed, tt.closed) || (tt.closed == "") != (s.closed == "") {
			t.Errorf("%+v: closed with %q", tt, s.closed)
		}
	}
}

// choosy refuses some tokens.
type choosy struct{ scopes }

func (c choosy) Verify(now time.Time, token string) (auth.Claims, *wire.Error) {
	switch token {
	case "expired":
		return auth.Claims{}, wire.NewError(wire.CodeTokenExpired, "the token has expired")
	case "bad":
		return auth.Claims{}, wire.NewError(wire.CodeInvalidToken, "no good")
	}
	return c.scopes.Verify(now, token)
}

// A room that can't be joined ends the connection with a code that says whether to come back.
func TestStompRefusedSubscription(t *testing.T) {
	for code, want := range map[wire.Code]string{
		wire.CodeBanned: "4200 ", wire.CodeRoomFull: "1008 ", wire.CodeUnavailable: "4102 ", wire.CodeRateLimited: "4100 ",
	} {
		h := newHall(t)
		s := signedIn(t, h, "r")
		s.say("SUBSCRIBE|id:a|destination:/topic/room.r|receipt:1||")
		h.room("r", effect.Output{Kind: effect.Reply, Err: wire.NewError(code, "why")})
		s.expect("ERROR|message:SUBSCRIBE\\c " + string(code) + "\\c why|receipt-id:1|close-code:" + want[:4])
		if !strings.HasPrefix(s.closed, want) {
			t.Errorf("%s closes with %q", code, s.closed)
		}
	}
}

// A user's queue outlives the connection: what was not acknowledged comes again on the next one, with the same id.
func TestStompQueuesAreRedelivered(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:t|destination:/topic/room.r||")
	h.takeIn("r")
	s.say("SUBSCRIBE|id:q|destination:/user/queue/events|ack:client-individual||")
	s.read()
	rank := func(n int) {
		h.room("r", effect.Output{
			Audience: effect.ToConn, TS: 9, Name: wire.EvQuizRank, Data: json.RawMessage(fmt.Sprintf(`{"rank":%d}`, n)),
		})
	}
	rank(1)
	rank(2)
	first := s.read()
	const head = "MESSAGE|subscription:q|ack:%d|%sdestination:/user/queue/quiz.rank|" +
		"content-type:application/json;charset=utf-8|event:quiz\\crank|room:r|ts:9|content-length:10||{\"rank\":%d}"
	for i, line := range first {
		if want := fmt.Sprintf(head, i+1, "", i+1); withoutID(line) != want {
			t.Fatalf("%s is not %s", line, want)
		}
	}
	s.say("ACK|id:1||", "NACK|id:2||")
	s.expect(fmt.Sprintf(head, 3, "redelivered:true|", 2))
	s.c.Close()
	h.net.Run()
	s = signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:auto|destination:/user/queue/events||",
		"SUBSCRIBE|id:other|destination:/user/queue/replies|ack:client||")
	s.expect()
	s.say("SUBSCRIBE|id:q|destination:/user/queue/quiz.rank|ack:client||")
	got := s.read()
	if len(got) != 1 || withoutID(got[0]) != fmt.Sprintf(head, 1, "redelivered:true|", 2) ||
		!strings.Contains(first[1], "message-id:"+idOf(got[0])+"|") {
		t.Fatalf("on the next connection came %q, before %q", got, first)
	}
	s.say("UNSUBSCRIBE|id:q||", "SUBSCRIBE|id:q|destination:/user/queue/quiz.rank|ack:client||")
	s.expect(fmt.Sprintf(head, 2, "redelivered:true|", 2))
	s.say("ACK|id:2||", "DISCONNECT||")
	s.read()
	if !strings.HasPrefix(s.closed, "1000") {
		t.Errorf("after DISCONNECT: %q", s.closed)
	}
	s = signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:q|destination:/user/queue/*|ack:client||")
	s.expect()
	if st := h.Stats(); st.Redelivered != 2 || st.QueueDropped != 0 {
		t.Errorf("%d were redelivered, %d dropped", st.Redelivered, st.QueueDropped)
	}
}

func idOf(line string) string {
	_, rest, _ := strings.Cut(line, "message-id:")
	id, _, _ := strings.Cut(rest, "|")
	return id
}

func TestKeptQueuesAreBounded(t *testing.T) {
	h := newHall(t)
	now := h.now()
	one := func(id string, size int) []*stomp.Delivery {
		return []*stomp.Delivery{{ID: id, Event: "e", Body: make([]byte, size)}}
	}
	all := stomp.Target{Kind: stomp.UserQueue, Name: stomp.QueueAll}
	for i := range queueMessagesMax + 3 {
		h.queues.put("ann", one(fmt.Sprintf("%04d", i), 0), now)
	}
	h.queues.put("", one("nobody's", 0), now)
	if got := h.queues.take("ann", all, now); len(got) != queueMessagesMax || got[0].ID != "0003" {
		t.Errorf("%d messages are kept", len(got))
	}
	h.queues.put("bob", one("big", queueBytesMax+1), now)
	if got := h.queues.take("bob", all, now); len(got) != 0 {
		t.Error("a message beyond the user's limit is kept")
	}
	for i := range queuesBytesMax/(60<<10) + 1 {
		h.queues.put(fmt.Sprint("user", i), one("m", 60<<10), now.Add(time.Duration(i)))
	}
	if got := h.queues.take("user0", all, now); got != nil || h.queues.bytes > queuesBytesMax {
		t.Errorf("%d bytes are kept", h.queues.bytes)
	}
	got := h.queues.take("user1", all, now.Add(time.Hour))
	if got != nil || h.queues.bytes != 0 || len(h.queues.users) != 0 {
		t.Errorf("after an hour %d bytes are kept", h.queues.bytes)
	}
}

// No frame is free: what needs no answer counts against the quota too.
func TestStompFloodIsStopped(t *testing.T) {
	h := newHall(t)
	h.cfg.MessagesPer = quota.Limit{Count: 1, Per: time.Minute, Burst: 3}
	s := signedIn(t, h, "r")
	s.say("BEGIN|transaction:t||", "ABORT|transaction:t||", "ACK|id:1||", "ACK|id:1|receipt:4||")
	s.expect("ERROR|message:too many frames on this connection; slow down|receipt-id:4|close-code:4100|")
	if !strings.HasPrefix(s.closed, "4100 ") {
		t.Errorf("closed with %q", s.closed)
	}
}

// A subscription that has ended before its room answered gets nothing, and the room is left.
func TestStompUnsubscribeBeforeTheAnswer(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:a|destination:/topic/room.r|receipt:1||")
	join := h.posts.last
	s.say("UNSUBSCRIBE|id:a||")
	if h.posts.last.Op != wire.OpRoomLeave {
		t.Errorf("the room is told %s", h.posts.last.Op)
	}
	h.posts.last = join
	h.takeIn("r")
	h.room("r", effect.Output{Seq: 5, TS: 6, Name: "x"})
	s.expect("RECEIPT|receipt-id:1|")
}

func TestStompHeartBeats(t *testing.T) {
	h := newHall(t)
	h.cfg.PingEvery = 10 * time.Second
	beats := stompAt(t, h, "")
	beats.say("CONNECT|accept-version:1.2|login:a|heart-beat:5000,1000||")
	beats.expect("CONNECTED|version:1.2|heart-beat:10000,10000|")
	pinged := stompAt(t, h, "")
	pinged.say("CONNECT|accept-version:1.2|login:a||")
	pinged.expect("CONNECTED|")
	late := stompAt(t, h, "")
	late.read()
	beat := func() { beats.c.Write(ws.AppendMaskedText(nil, []byte("\n"), 7)) }
	for range 4 {
		h.net.Advance(10 * time.Second)
		beats.expect("")
		beat()
	}
	if pinged.read(); !strings.HasPrefix(pinged.closed, "4103 no answer to a ping") {
		t.Errorf("a silent client without heart-beats: %q", pinged.closed)
	}
	h.net.Advance(time.Minute)
	if beats.read(); !strings.HasPrefix(beats.closed, "4103 no heart-beat came") {
		t.Errorf("a client that stopped beating: %q", beats.closed)
	}
	if late.read(); !strings.HasPrefix(late.closed, "4101 no CONNECT came in time") {
		t.Errorf("a client that does not connect: %q", late.closed)
	}
}

// What the server closes by itself is said in an ERROR frame first.
func TestStompCloses(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:t|destination:/topic/room.r||")
	h.takeIn("r")
	s.read()
	h.room("r", effect.Output{Kind: effect.Close, CloseCode: wire.CloseKicked})
	s.expect("ERROR|message:removed by the host|close-code:4202|")
	if s.closed != "4202 removed by the host" {
		t.Errorf("%q", s.closed)
	}
	s = signedIn(t, h, "r")
	s.say("SEND|no destination||")
	s.expect("ERROR|message:a header is not of the form name\\cvalue|close-code:1002|")
	if !strings.HasPrefix(s.closed, "1002 ") {
		t.Errorf("%q", s.closed)
	}
	h.tokens = choosy{}
	late := stompAt(t, h, "Authorization: Bearer bad\r\n")
	late.expect("ERROR|message:the token is not valid here; sign in again|close-code:4203|")
}

// Members with the same subscription id share the frame, whoever is at the same loop; the native ones go on sharing
// theirs.
func TestStompMembersShareFrames(t *testing.T) {
	h := newHall(t)
	before := frame.Live()
	var clients []*stompClient
	for range 3 {
		s := signedIn(t, h, "r")
		s.say("SUBSCRIBE|id:sub-0|destination:/topic/room.r||")
		h.takeIn("r")
		s.read()
		clients = append(clients, s)
	}
	native := h.enter("r", "")
	for _, s := range clients {
		s.c.Pause() // so that the frames stay in the outboxes
	}
	h.Deliver(0, []rooms.Delivery{
		{Room: "r", Output: effect.Output{Seq: 5, TS: 6, Name: "x", Data: json.RawMessage(`{"a":1}`)}},
		{Room: "r", Output: effect.Output{Seq: 6, TS: 6, Name: "y", Data: json.RawMessage(`2`)}},
	}, func() {})
	h.net.Run()
	batch := `[{"ev":"x","room":"r","seq":5,"ts":6,"data":{"a":1}},{"ev":"y"`
	if got := string(native.Read()); !strings.Contains(got, batch) {
		t.Errorf("the native member got %q", got)
	}
	var texts []string
	for _, s := range clients {
		s.c.Resume()
		got := s.read()
		if len(got) != 2 || !strings.HasSuffix(got[0], "|event:x|room:r|seq:5|ts:6|content-length:7||{\"a\":1}") ||
			!strings.HasSuffix(got[1], "|event:y|room:r|seq:6|ts:6|content-length:1||2") {
			t.Errorf("got %q", got)
		}
		texts = append(texts, strings.Join(got, "\n"))
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("three members with the same subscription got %q", texts)
	}
	if n := frame.Live(); n != before {
		t.Errorf("%d frames are held", n-before)
	}
	if n := h.Stats().Members["stomp"]; n != 3 {
		t.Errorf("%d members speak STOMP", n)
	}
}

// Nothing comes before a subscription's first message, also when the room is one that the connection is in already.
func TestStompSecondSubscriptionBeginsWithItsWelcome(t *testing.T) {
	h := newHall(t)
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:a|destination:/topic/room.r||")
	h.takeIn("r")
	s.read()
	s.say("SUBSCRIBE|id:b|destination:/topic/room.r||")
	h.room("r", effect.Output{Seq: 4, TS: 5, Name: "x"})
	const event = "MESSAGE|subscription:%s|destination:/topic/room.r|content-type:application/json;charset=utf-8|event:x|"
	s.expect(fmt.Sprintf(event, "a"))
	h.takeIn("r")
	h.room("r", effect.Output{Seq: 5, TS: 5, Name: "x"})
	s.expect(fmt.Sprintf(welcomed, "b"), fmt.Sprintf(event, "a"), fmt.Sprintf(event, "b"))
}

// A subscription's id can't be made to look like a place of a Socket.IO client, to give it frames of STOMP.
func TestStompIDsAreNoOffsets(t *testing.T) {
	h := newHall(t)
	h.seals = wax{}
	s := signedIn(t, h, "r")
	s.say("SUBSCRIBE|id:x/e/4|destination:/topic/room.r||")
	h.takeIn("r")
	s.read()
	p := connectSocket(t, h, `40{"name":"Ada"}`)
	p.connected()
	for _, room := range []string{"01.2x", "r"} {
		p.say(`42["room:join","` + room + `"]`)
		h.join(room, "e", 4, false)
	}
	p.hears()
	h.deliver("r", "e", said("x", 5, "1"))
	p.expect(`42["x",1,{"room":"r","seq":5,"ts":5},"01.2x/e/4|r/e/5"]`)
}
