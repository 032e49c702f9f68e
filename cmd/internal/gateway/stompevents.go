package gateway

import (
	"strconv"

	"lectern/netpoll"
	"lectern/protocol/native"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
)

// enqueue delivers a message to the queues that get it.
func (t *stompTalk) enqueue(d *stomp.Delivery) (delivered bool) {
	for _, sub := range t.session.Subscriptions() {
		if !d.For(sub.Target) {
			continue
		}
		delivered = true
		if fail := t.session.Deliver(sub, d, t); fail != nil {
			t.fail(fail)
			break
		}
	}
	return delivered
}

// messageID is unique among all that this process sends.
func (t *stompTalk) messageID() string {
	ls := state(t.m.conn.Loop())
	ls.messages++
	return ls.messagePrefix + strconv.FormatUint(ls.messages, 36)
}

// welcome is the first message of a topic: the answer to the join.
func (t *stompTalk) welcome(sub *stomp.Subscription, data any, body []byte) {
	headers := stompHeaders(stomp.RoomDestination(sub.Room), stomp.Header{Name: "event", Value: wire.OpRoomJoin.String()})
	if join, ok := data.(*wire.JoinReply); ok {
		headers = append(headers,
			stomp.Header{Name: "room", Value: join.Room}, stomp.Header{Name: "epoch", Value: join.Epoch},
			stomp.Header{Name: "seq", Value: strconv.FormatUint(join.Seq, 10)},
			stomp.Header{Name: "recovered", Value: strconv.FormatBool(join.Recovered)})
		headers[0].Value = stomp.RoomDestination(join.Room)
	}
	d := &stomp.Delivery{ID: t.messageID(), Headers: headers, Body: body}
	sub.Welcome = true
	auto := *sub // a topic's messages are not held: coming back gets them from the room
	auto.Mode = stomp.AckAuto
	_ = t.session.Deliver(&auto, d, t) // which is why it can't be refused
}

// event is for this connection alone: what a room sends again to somebody who comes back goes to the room's topic, the
// rest to the user's queues.
func (t *stompTalk) event(m *member, it *rooms.Delivery) {
	if it.Seq != 0 {
		g := &group{room: it.Room, class: netpoll.Reliable}
		g.add(it, true)
		t.group(m, g)
		return
	}
	body, err := native.AppendData(nil, it.Data)
	if err != nil || it.Data == nil {
		body = []byte("null")
	}
	t.enqueue(&stomp.Delivery{ID: t.messageID(), Event: it.Name, Body: body, Headers: stompHeaders(
		stomp.QueueDestination(stomp.Dotted(it.Name)), stomp.Header{Name: "event", Value: it.Name},
		stomp.Header{Name: "room", Value: it.Room}, stomp.Header{Name: "ts", Value: strconv.FormatInt(it.TS, 10)})})
}

// group sends a room's events to the subscriptions that cover it. Those of this loop that have the same id share the
// frame.
func (t *stompTalk) group(m *member, g *group) (delivered int) {
	if t.session.State() != stomp.Open {
		return 0
	}
	for i, sub := range t.session.Subscriptions() {
		if !covers(sub, g.room) {
			continue
		}
		key := g.key
		if key != 0 && i > 0 { // the state of another subscription does not replace this one's
			key = max(key^uint64(i)*0x9e3779b97f4a7c15, 1)
		}
		build := func(dst []byte) []byte { return t.appendGroup(dst, sub, g) }
		var status netpoll.SendStatus
		if f := state(m.conn.Loop()).sharedFrame(g, sub.Own, build); f != nil {
			status = m.conn.Send(g.class, key, f)
		} else {
			status = m.conn.SendBytes(g.class, build(nil))
		}
		delivered = max(delivered, taken(status, g.events))
	}
	return delivered
}

// appendGroup appends a MESSAGE for each event, each a WebSocket message.
func (t *stompTalk) appendGroup(dst []byte, sub *stomp.Subscription, g *group) []byte {
	ls, v := state(t.m.conn.Loop()), t.session.Version()
	for i := range g.list {
		e := &g.list[i]
		id := g.room + ":" + strconv.FormatUint(e.seq, 10)
		if e.seq == 0 {
			id = t.messageID()
		}
		text := stomp.AppendIdentity(stomp.AppendCommand(ls.text[:0], stomp.Message), v, sub, id)
		if sub.Mode != stomp.AckAuto && v == stomp.V12 { // libraries answer it; nothing waits for that
			text = stomp.AppendHeader(text, v, "ack", id)
		}
		text = stomp.AppendHeader(text, v, "destination", stomp.RoomDestination(g.room))
		text = stomp.AppendHeader(text, v, "content-type", stompJSON)
		text = stomp.AppendHeader(text, v, "event", e.name)
		text = stomp.AppendHeader(text, v, "room", g.room)
		if e.seq != 0 {
			text = stomp.AppendHeaderInt(text, "seq", int64(e.seq))
		}
		text = stomp.AppendHeaderInt(text, "ts", e.ts)
		body := g.data(e)
		if len(body) == 0 {
			body = []byte("null")
		}
		text = stomp.AppendBody(text, stomp.Message, body)
		dst = ws.AppendText(dst, text)
		ls.text = keep(text)
	}
	return dst
}

// openQueue gives a new subscription of the user's queue what nobody has acknowledged so far.
func (t *stompTalk) openQueue(sub *stomp.Subscription, p *stomp.Pending) *stomp.Error {
	g := t.m.gateway()
	p.Done(t.session, t)
	if sub.Mode == stomp.AckAuto {
		return nil
	}
	for _, d := range g.queues.take(t.m.user, sub.Target, g.now()) {
		g.counters.redelivered.Add(1)
		if fail := t.session.Deliver(sub, d, t); fail != nil {
			return fail
		}
	}
	return nil
}

// Dropped implements stomp.Sink.
func (t *stompTalk) Dropped(*stomp.Delivery) { t.m.gateway().counters.queueDropped.Add(1) }
