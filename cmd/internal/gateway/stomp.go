package gateway

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"lectern/netpoll"
	"lectern/protocol/http1"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// stompTalk is STOMP on one connection: stomp.Session knows the protocol, this knows what its destinations mean here.
// Rooms are topics, requests are sent to /app/OP, and what is for the user alone comes through queues.
type stompTalk struct {
	session  *stomp.Session
	m        *member
	requests []stompRequest // under way, in the order of their ids
	next     uint64
	said     bool // an ERROR, or that there is none to be said
}

// stompRequest is what must be known when the answer comes.
type stompRequest struct {
	id          uint64
	pending     *stomp.Pending
	sub         *stomp.Subscription // of a join that a SUBSCRIBE asked for
	op          wire.Op
	correlation string
	quiet       bool // nobody asked, nobody is answered
}

// stompRequestsMax bounds the requests of one connection that have no answer yet.
const stompRequestsMax = 1024

func speakStomp(m *member, _ *http1.Request, _ string) dialect {
	g := m.gateway()
	return &stompTalk{m: m, session: stomp.NewSession(&g.stompLimits, g.cfg.PingEvery)}
}

func (t *stompTalk) variant(bool) variant { return variantStomp }

func (t *stompTalk) opened(m *member) {
	m.conn.SetTimer(netpoll.TimerIdle, m.gateway().cfg.AuthTimeout)
}

func (t *stompTalk) message(_ *member, _ bool, payload []byte) {
	before := t.session.State()
	if fail := t.session.Feed(payload, t); fail != nil {
		t.fail(fail)
	}
	if before == stomp.AwaitConnect && t.session.State() == stomp.Open {
		t.beat()
	}
}

// beat arms the timers for the heart-beats that were agreed on.
func (t *stompTalk) beat() {
	send, expect := t.session.Beats()
	if send != 0 { // the first one sooner, so that clients that came together are not all served together
		t.m.conn.SetTimer(netpoll.TimerHeartbeat, within(t.m.conn.Loop(), send))
	}
	if expect == 0 {
		expect = t.m.gateway().cfg.PingEvery / 2 // it is asked instead
	}
	t.m.conn.SetTimer(netpoll.TimerIdle, 2*expect)
}

// fail says ERROR and closes the connection.
func (t *stompTalk) fail(e *stomp.Error) {
	if t.m.conn.Closing() {
		return
	}
	t.session.Fail()
	t.said = true
	t.Frame(t.session.AppendError(nil, e))
	t.m.close(e.Close, e.Message)
	t.m.session.Abort()
}

// Frame implements stomp.Sink: one frame is one WebSocket message.
func (t *stompTalk) Frame(frame []byte) {
	ls := state(t.m.conn.Loop())
	ls.framed = ws.AppendText(ls.framed[:0], frame)
	t.m.conn.SendBytes(netpoll.Reliable, ls.framed)
	ls.framed = keep(ls.framed)
}

// SignIn implements stomp.Sink. The token stands in Authorization or passcode; what the handshake brought counts if
// CONNECT brings none. With --dev a login without a token makes a guest, whatever the passcode: examples have "guest"
// in both.
func (t *stompTalk) SignIn(f *stomp.Frame) (user string, fail *stomp.Error) {
	m := t.m
	login, token := f.Get("login"), bearer(f)
	if token == "" {
		token = f.Get("passcode")
		if m.gateway().cfg.Dev && login != "" && !isJWS(token) {
			token = ""
		}
	}
	switch {
	case token != "":
		if err := m.open(token); err != nil {
			return "", &stomp.Error{Message: err.Message, Close: closeFor(err)}
		}
	case m.authed:
	case login != "" && m.gateway().cfg.Dev:
		if err := (&wire.AuthData{Name: login}).Validate(); err != nil {
			return "", &stomp.Error{Message: "login: " + err.Message, Close: wire.ClosePolicyViolation}
		}
		m.guest(login)
	default:
		return "", &stomp.Error{
			Message: "CONNECT needs a token, in the header Authorization as Bearer TOKEN or in passcode",
			Close:   wire.CloseInvalidToken,
		}
	}
	return m.user, nil
}

// isJWS says whether a text could be a signed token: three parts with dots between (RFC 7515, section 7.1).
func isJWS(text string) bool { return strings.Count(text, ".") == 2 }

// Admit implements stomp.Sink: frames count against the connection's quota, so that none is free.
func (t *stompTalk) Admit(*stomp.Frame) *stomp.Error {
	ok, _ := t.m.quota.Take(t.m.gateway().cfg.MessagesPer, t.m.conn.Loop().Now().UnixMilli(), 1)
	if ok {
		return nil
	}
	t.m.gateway().counters.refused(wire.CodeRateLimited)
	t.m.gateway().counters.hit(limitMessages)
	return &stomp.Error{Message: "too many frames on this connection; slow down", Close: wire.CloseRateLimited}
}

// bearer is the token of a CONNECT's Authorization, however that is spelt.
func bearer(f *stomp.Frame) string {
	for _, h := range f.Headers {
		if strings.EqualFold(h.Name, "authorization") {
			if value := h.Value; len(value) > 7 && strings.EqualFold(value[:7], "bearer ") {
				return strings.TrimSpace(value[7:])
			}
		}
	}
	return ""
}

// heartbeat sends one, if the client wants them.
func (t *stompTalk) heartbeat(m *member) {
	send, _ := t.session.Beats()
	if send == 0 {
		return
	}
	m.conn.SendBytes(netpoll.Volatile, ws.AppendText(nil, []byte{'\n'}))
	m.conn.SetTimer(netpoll.TimerHeartbeat, send)
}

// idle closes a connection that brings no CONNECT, or that has been silent for two of its heart-beats. One that sends
// none is asked with WebSocket pings.
func (t *stompTalk) idle(m *member) {
	_, expect := t.session.Beats()
	switch {
	case t.session.State() == stomp.AwaitConnect:
		m.close(wire.CloseAuthTimeout, "no CONNECT came in time")
	case expect == 0:
		if m.heardOrAsked() {
			m.conn.SetTimer(netpoll.TimerIdle, m.gateway().cfg.PingEvery)
		}
	case m.heard:
		m.heard = false
		m.conn.SetTimer(netpoll.TimerIdle, 2*expect)
	default:
		m.close(wire.CloseIdle, "no heart-beat came: the client must send one as often as heart-beat says")
	}
}

// farewell is ERROR and a close frame; after DISCONNECT the latter alone.
func (t *stompTalk) farewell(m *member, code wire.CloseCode, why string) {
	if !t.said {
		t.said = true
		t.Frame(t.session.AppendError(nil, &stomp.Error{Message: why, Close: code}))
	}
	t.session.Fail()
	m.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, uint16(code), why))
}

// Bye implements stomp.Sink.
func (t *stompTalk) Bye() {
	t.said = true
	t.m.close(wire.CloseNormal, "")
	t.m.session.Abort()
}

// gone keeps for the user what nobody acknowledged.
func (t *stompTalk) gone(m *member) {
	m.gateway().queues.put(m.user, t.session.Unacknowledged(), m.gateway().now())
}

// Subscribe implements stomp.Sink. A topic joins its room, and the subscription's first message is the join's answer.
func (t *stompTalk) Subscribe(sub *stomp.Subscription, f *stomp.Frame, p *stomp.Pending) *stomp.Error {
	sub.Own = "stomp " + strconv.Itoa(int(sub.Mode)) + t.session.Version().String() + sub.ID
	room := sub.Target.Name
	switch sub.Target.Kind {
	case stomp.UserQueue:
		return t.openQueue(sub, p)
	case stomp.AllRooms:
		if room = t.m.scope; room == "" || t.m.find(room) >= 0 {
			p.Done(t.session, t)
			return nil
		}
	case stomp.RoomTopic:
		if id, err := t.m.roomOf(room); err == nil {
			sub.Room = id
		}
	}
	data, fail := joinData(f)
	if fail != nil {
		return fail
	}
	t.perform(stompRequest{pending: p, sub: sub, op: wire.OpRoomJoin}, room, data, nil)
	return nil
}

// joinData is what a SUBSCRIBE says about coming back.
func joinData(f *stomp.Frame) ([]byte, *stomp.Error) {
	data := map[string]any{}
	for _, name := range []string{"epoch", "role", "name"} {
		if value, ok := f.Find(name); ok {
			data[name] = value
		}
	}
	if value, ok := f.Find("since"); ok {
		since, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return nil, &stomp.Error{
				Message: "since must be the seq of the last event that was handled", Close: wire.CloseProtocolError,
			}
		}
		data["since"] = since
	}
	raw, err := json.Marshal(data)
	if err != nil { // strings and a number
		return nil, &stomp.Error{Message: "SUBSCRIBE can't be read", Close: wire.CloseInternalError}
	}
	return raw, nil
}

// Unsubscribe implements stomp.Sink: a room is left when its last subscription ends.
func (t *stompTalk) Unsubscribe(sub *stomp.Subscription, unacked []*stomp.Delivery) {
	m := t.m
	room := t.holds(sub)
	switch {
	case sub.Target.Kind == stomp.UserQueue:
		m.gateway().queues.put(m.user, unacked, m.gateway().now())
	case room == "" || m.find(room) < 0:
	case !slices.ContainsFunc(t.session.Subscriptions(), func(s *stomp.Subscription) bool { return t.holds(s) == room }):
		t.perform(stompRequest{op: wire.OpRoomLeave, quiet: true}, room, nil, nil)
	}
}

// holds is the room that the connection is in because of a subscription; empty: none.
func (t *stompTalk) holds(sub *stomp.Subscription) string {
	switch sub.Target.Kind {
	case stomp.RoomTopic:
		return sub.Room
	case stomp.AllRooms:
		return t.m.scope
	}
	return ""
}

// covers is true for a subscription that gets the events of a room that the connection is in.
func covers(sub *stomp.Subscription, room string) bool {
	return sub.Target.Kind == stomp.AllRooms || sub.Welcome && sub.Target.Kind == stomp.RoomTopic && sub.Room == room
}
