package gateway

import (
	"cmp"
	"slices"

	"lectern/protocol/native"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
)

// Send implements stomp.Sink: a request.
func (t *stompTalk) Send(f *stomp.Frame, p *stomp.Pending) {
	request := stompRequest{pending: p, correlation: f.Get("correlation-id")}
	if request.correlation == "" {
		request.correlation = f.Get("receipt")
	}
	data, room, err := native.Body(f.Body)
	if name := f.Get("room"); err == nil && name != "" {
		if room = name; !wire.ValidRoomID(room) {
			err = native.BadRoom()
		}
	}
	op, app := stomp.ParseApp(f.Get("destination"))
	switch {
	case !app:
		err = wire.NewError(wire.CodeUnknownOp, "send to /app/ and an op with a dot, for example /app/chat.send")
	case op == wire.OpNone:
		err = wire.NewError(wire.CodeUnknownOp, "there is no such op")
	}
	request.op = op
	t.perform(request, room, data, err)
}

func (t *stompTalk) perform(r stompRequest, room string, data []byte, err *wire.Error) {
	if err == nil && len(t.requests) >= stompRequestsMax {
		err = wire.NewError(wire.CodeRateLimited, "too many requests await their answers")
	}
	t.next++
	r.id = t.next
	t.requests = append(t.requests, r)
	t.m.perform(&native.Request{ID: r.id, Op: r.op, Room: room, Data: data}, err)
}

// answered takes a request out of the list. An idle connection holds no list.
func (t *stompTalk) answered(id uint64) (r stompRequest, ok bool) {
	at, ok := slices.BinarySearchFunc(t.requests, id, func(r stompRequest, id uint64) int { return cmp.Compare(r.id, id) })
	if !ok {
		return r, false
	}
	r = t.requests[at]
	if t.requests = slices.Delete(t.requests, at, at+1); len(t.requests) == 0 {
		t.requests = nil
	}
	return r, true
}

func (t *stompTalk) reply(m *member, id uint64, data any) {
	r, ok := t.answered(id)
	if !ok || r.quiet || m.conn.Closing() {
		return
	}
	body := []byte("{}")
	if data != nil {
		var err error
		if body, err = native.AppendData(nil, data); err != nil { // a programming error
			t.refused(r, wire.NewError(wire.CodeInternal, "the reply could not be written"))
			return
		}
	}
	if r.sub != nil {
		if slices.Contains(t.session.Subscriptions(), r.sub) { // it may have ended meanwhile
			t.welcome(r.sub, data, body)
		}
	} else {
		t.answer(r, body, stomp.Header{Name: "ok", Value: "true"})
	}
	r.pending.Done(t.session, t)
}

// refuse says no. A SUBSCRIBE that fails ends the connection, as STOMP has it. So does a SEND that asked for a receipt
// and has no queue for answers: nothing else could tell the client that there will be no receipt.
func (t *stompTalk) refuse(m *member, id uint64, err *wire.Error) {
	r, ok := t.answered(id)
	if !ok || r.quiet || m.conn.Closing() {
		return
	}
	t.refused(r, err)
}

func (t *stompTalk) refused(r stompRequest, err *wire.Error) {
	receipt := r.pending.Receipt()
	r.pending.Fail(t.session, t)
	body, _ := native.AppendData(nil, err)
	what := "SUBSCRIBE"
	if r.sub == nil {
		heard := t.answer(r, body, stomp.Header{Name: "ok", Value: "false"},
			stomp.Header{Name: "error", Value: string(err.Code)})
		if heard || receipt == "" {
			return
		}
		what = "SEND to " + stomp.AppDestination(r.op)
	}
	t.fail(&stomp.Error{
		Message: what + ": " + string(err.Code) + ": " + err.Message, Close: closeForRefusal(err.Code), Receipt: receipt,
	})
}

// closeForRefusal tells the client by the code's range whether to come back.
func closeForRefusal(code wire.Code) wire.CloseCode {
	switch code {
	case wire.CodeRateLimited:
		return wire.CloseRateLimited
	case wire.CodeUnavailable, wire.CodeInternal:
		return wire.CloseOverloaded
	case wire.CodeTokenExpired:
		return wire.CloseTokenExpired
	case wire.CodeInvalidToken, wire.CodeAuthRequired:
		return wire.CloseInvalidToken
	case wire.CodeBanned:
		return wire.CloseBanned
	}
	return wire.ClosePolicyViolation
}

// stompHeaders are what the messages of queues have in common.
func stompHeaders(destination string, more ...stomp.Header) []stomp.Header {
	return append([]stomp.Header{
		{Name: "destination", Value: destination}, {Name: "content-type", Value: stompJSON},
	}, more...)
}

const stompJSON = "application/json;charset=utf-8"

// answer gives an answer to the queues that want it; false: there is none.
func (t *stompTalk) answer(r stompRequest, body []byte, more ...stomp.Header) bool {
	headers := stompHeaders(stomp.QueueDestination(stomp.QueueReplies), more...)
	if r.op != wire.OpNone {
		headers = append(headers, stomp.Header{Name: "op", Value: r.op.String()})
	}
	if r.correlation != "" {
		headers = append(headers, stomp.Header{Name: "correlation-id", Value: r.correlation})
	}
	return t.enqueue(&stomp.Delivery{ID: t.messageID(), Headers: headers, Body: body})
}
