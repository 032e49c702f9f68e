package scenario

import (
	"bytes"
	"strconv"

	"lectern/protocol/stomp"
	"lectern/protocol/wire"
)

// stompAdaptor speaks STOMP 1.2 to Lectern: a member subscribes to its answers and to its room, publishes with
// /app/room.publish, and an echo is /app/time.sync. Each frame is a WebSocket message.
type stompAdaptor struct{}

func (stompAdaptor) subprotocol() string { return stomp.Subprotocols[0] }
func (stompAdaptor) structured() bool    { return false }
func (stompAdaptor) quoteBytes() int     { return 2 }
func (stompAdaptor) needsJoin() bool     { return true }

func (stompAdaptor) path(base, name, _ string) string {
	if base == "" {
		base = "/stomp"
	}
	return withQuery(base, "guest="+name)
}

// The room is subscribed to when CONNECTED has come; its receipt says that the member is in.
const (
	stompConnect = "CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\x00"
	stompReady   = "joined"
)

func (stompAdaptor) appendJoin(dst []byte, _ string) []byte { return append(dst, stompConnect...) }

func appendStompSubscribe(dst []byte, id, destination, receipt string) []byte {
	dst = stomp.AppendCommand(dst, stomp.Subscribe)
	dst = stomp.AppendHeader(dst, stomp.V12, "id", id)
	dst = stomp.AppendHeader(dst, stomp.V12, "destination", destination)
	if receipt != "" {
		dst = stomp.AppendHeader(dst, stomp.V12, "receipt", receipt)
	}
	return stomp.AppendBody(dst, stomp.Subscribe, nil)
}

func appendStompSend(dst []byte, op wire.Op, room string) []byte {
	dst = stomp.AppendCommand(dst, stomp.Send)
	dst = stomp.AppendHeader(dst, stomp.V12, "destination", stomp.AppDestination(op))
	if room != "" {
		dst = stomp.AppendHeader(dst, stomp.V12, "room", room)
	}
	return append(dst, '\n')
}

func (stompAdaptor) appendPublish(dst []byte, room string, _ uint64, text []byte) []byte {
	dst = append(appendStompSend(dst, wire.OpRoomPublish, room), `{"event":"`+publishEvent+`","payload":"`...)
	return append(append(dst, text...), "\"}\x00"...)
}

func (stompAdaptor) appendEcho(dst []byte, _ uint64, t0 int64) []byte {
	dst = append(appendStompSend(dst, wire.OpTimeSync, ""), `{"t0":`...)
	return append(strconv.AppendInt(dst, t0, 10), "}\x00"...)
}

var (
	stompConnected = []byte("CONNECTED\n")
	stompReceipt   = []byte("RECEIPT\n")
	stompMessage   = []byte("MESSAGE\n")
	stompReplies   = []byte("\ndestination:/user/queue/replies\n")
	stompBench     = []byte("\nevent:" + publishEvent + "\n")
	stompRefused   = []byte("\nok:false\n")
)

func (stompAdaptor) read(w *worker, m *member, payload []byte, now int64) {
	head, body, _ := bytes.Cut(payload, []byte("\n\n"))
	head = append(head[:len(head):len(head)], '\n')
	switch {
	case bytes.HasPrefix(head, stompMessage) && bytes.Contains(head, stompReplies):
		w.stompReply(m, head, body, now)
	case bytes.HasPrefix(head, stompMessage):
		if !bytes.Contains(head, stompBench) {
			return // the welcome, presence
		}
		if text, ok := lastString(body, `"`, "\"\x00"); ok {
			w.play.text(m, text, now)
		}
	case bytes.HasPrefix(head, stompConnected):
		w.scratch = appendStompSubscribe(w.scratch[:0], "replies", stomp.QueueDestination(stomp.QueueReplies), "")
		m.conn.Send(w.scratch)
		w.scratch = appendStompSubscribe(w.scratch[:0], "room", stomp.RoomDestination(w.f.rooms[m.room]), stompReady)
		m.conn.Send(w.scratch)
	case bytes.HasPrefix(head, stompReceipt):
		w.becomeReady(m, now)
	case len(payload) == 1: // a heart-beat
	default:
		w.fault("stomp_unexpected")
	}
}

// stompReply gives an echo's t0 to the play as the text that the other adaptors bring it in.
func (w *worker) stompReply(m *member, head, body []byte, now int64) {
	if bytes.Contains(head, stompRefused) {
		w.fault("refused")
		return
	}
	rest, ok := bytes.CutPrefix(body, []byte(`{"t0":`))
	if !ok {
		return // a publication's seq
	}
	t0, _, _ := bytes.Cut(rest, []byte(","))
	w.scratch = append(append(w.scratch[:0], 'E'), t0...)
	w.play.text(m, w.scratch, now)
}
