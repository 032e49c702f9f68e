package scenario

import (
	"bytes"
	"strconv"
	"sync/atomic"
)

// socketioAdaptor speaks Socket.IO 5 over Engine.IO 4, on WebSocket from the start: "0" opens, "40" connects to the
// main namespace, "42[id][...]" is an event, "43id[...]" its acknowledgement, "2" a ping and "3" its answer
// (https://socket.io/docs/v4/engine-io-protocol, .../socket-io-protocol).
//
// To a small program on the official library the room is joined by the event "join" with an acknowledgement, "m" is
// published to the room, "e" is acknowledged with what it brought. Lectern has ops instead. Which of the two answers
// shows at the first join: Lectern knows no op "join".
type socketioAdaptor struct {
	lectern *atomic.Bool
}

func (socketioAdaptor) subprotocol() string { return "" }
func (socketioAdaptor) structured() bool    { return false }
func (socketioAdaptor) quoteBytes() int     { return 2 }
func (socketioAdaptor) needsJoin() bool     { return true }

func (socketioAdaptor) path(base, _, _ string) string {
	if base == "" {
		base = "/socket.io/"
	}
	return withQuery(base, "EIO=4&transport=websocket")
}

func (socketioAdaptor) appendJoin(dst []byte, _ string) []byte { return dst }

func (a socketioAdaptor) appendPublish(dst []byte, room string, id uint64, text []byte) []byte {
	if a.lectern.Load() {
		dst = strconv.AppendUint(append(dst, "42"...), id, 10)
		dst = append(append(dst, `["room:publish",{"room":"`...), room...)
		dst = append(append(dst, `","event":"`+publishEvent+`","payload":"`...), text...)
		return append(dst, `"}]`...)
	}
	dst = append(dst, `42["m","`...)
	dst = append(dst, text...)
	return append(dst, `"]`...)
}

func (a socketioAdaptor) appendEcho(dst []byte, id uint64, t0 int64) []byte {
	dst = strconv.AppendUint(append(dst, "42"...), id, 10)
	if a.lectern.Load() {
		dst = strconv.AppendInt(append(dst, `["time:sync",{"t0":`...), t0, 10)
		return append(dst, "}]"...)
	}
	dst = append(dst, `["e","E`...)
	dst = strconv.AppendInt(dst, t0, 10)
	return append(dst, `"]`...)
}

const (
	lecternPublished = `42["` + publishEvent + `","`
	lecternUnknownOp = `430[{"ok":false,"error":{"code":"unknown_op"`
	lecternRefusal   = `[{"ok":false`
	lecternTimeReply = `[{"ok":true,"data":{"t0":`
)

func (a socketioAdaptor) read(w *worker, m *member, payload []byte, now int64) {
	switch {
	case bytes.HasPrefix(payload, []byte(lecternPublished)):
		text, _, _ := bytes.Cut(payload[len(lecternPublished):], []byte(`"`))
		w.play.text(m, text, now)
	case bytes.HasPrefix(payload, []byte("42[")):
		if text, ok := lastString(payload, `42["m","`, `"]`); ok {
			w.play.text(m, text, now)
		}
	case bytes.HasPrefix(payload, []byte("43")):
		a.ack(w, m, payload, now)
	case bytes.Equal(payload, []byte("2")):
		m.conn.Send([]byte("3"))
	case bytes.HasPrefix(payload, []byte("0{")): // both take a name here, one of them needs it
		w.scratch = appendLetters(append(w.scratch[:0], `40{"name":"S`...), uint64(m.conn.ID), 5)
		m.conn.Send(append(w.scratch, `"}`...))
	case bytes.HasPrefix(payload, []byte("40")):
		a.join(w, m)
	default:
		w.fault("socketio_unexpected")
	}
}

func (a socketioAdaptor) join(w *worker, m *member) {
	op := `420["join","`
	if a.lectern.Load() {
		op = `420["room:join","`
	}
	w.scratch = append(append(append(w.scratch[:0], op...), w.f.rooms[m.room]...), `"]`...)
	m.conn.Send(w.scratch)
}

// ack takes the answer to the join, an echo's, or one that only says that it went well.
func (a socketioAdaptor) ack(w *worker, m *member, payload []byte, now int64) {
	at := max(bytes.IndexByte(payload, '['), 0)
	body := payload[at:]
	switch {
	case m.state == memberJoining && bytes.HasPrefix(payload, []byte(lecternUnknownOp)):
		a.lectern.Store(true)
		a.join(w, m)
	case bytes.HasPrefix(body, []byte(lecternRefusal)):
		w.fault("socketio_refused")
	case m.state == memberJoining:
		w.becomeReady(m, now)
	case bytes.HasPrefix(body, []byte(lecternTimeReply)):
		t0, _, _ := bytes.Cut(body[len(lecternTimeReply):], []byte(","))
		w.scratch = append(append(w.scratch[:0], 'E'), t0...)
		w.play.text(m, w.scratch, now)
	default:
		if text, ok := lastString(body, `["`, `"]`); ok {
			w.play.text(m, text, now)
		}
	}
}

// lastString cuts what stands between a prefix and a suffix; the harness's texts need no unescaping.
func lastString(b []byte, prefix, suffix string) ([]byte, bool) {
	b, ok := bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(b, []byte(suffix))
}

// centrifugeAdaptor speaks Centrifuge's JSON protocol: commands {"id":…,"NAME":{…}}, several to a frame on lines of
// their own; {} is a ping and its answer (https://centrifugal.dev/docs/transports/client_protocol). Publishing is
// acknowledged; an echo is an rpc.
type centrifugeAdaptor struct{}

func (centrifugeAdaptor) subprotocol() string { return "" }
func (centrifugeAdaptor) structured() bool    { return false }
func (centrifugeAdaptor) quoteBytes() int     { return 2 }
func (centrifugeAdaptor) needsJoin() bool     { return true }

func (centrifugeAdaptor) path(base, _, _ string) string {
	if base == "" {
		base = "/connection/websocket"
	}
	return base
}

// Ids 1 and 2 are taken by the opening; requests' own are shifted past them.
const centrifugeIDs = 2

func (centrifugeAdaptor) appendJoin(dst []byte, room string) []byte {
	dst = append(dst, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":"`...)
	dst = append(dst, room...)
	return append(dst, `"}}`...)
}

func (centrifugeAdaptor) appendPublish(dst []byte, room string, id uint64, text []byte) []byte {
	dst = strconv.AppendUint(append(dst, `{"id":`...), id+centrifugeIDs, 10)
	dst = append(append(dst, `,"publish":{"channel":"`...), room...)
	dst = append(append(dst, `","data":"`...), text...)
	return append(dst, `"}}`...)
}

func (centrifugeAdaptor) appendEcho(dst []byte, id uint64, t0 int64) []byte {
	dst = strconv.AppendUint(append(dst, `{"id":`...), id+centrifugeIDs, 10)
	dst = append(dst, `,"rpc":{"method":"e","data":"E`...)
	dst = strconv.AppendInt(dst, t0, 10)
	return append(dst, `"}}`...)
}

var (
	centrifugeSubscribed = []byte(`{"id":2,"subscribe":`)
	centrifugeData       = []byte(`"data":"`)
	centrifugePush       = []byte(`{"push":`)
	centrifugeError      = []byte(`"error":`)
)

func (centrifugeAdaptor) read(w *worker, m *member, payload []byte, now int64) {
	for line := range bytes.SplitSeq(payload, []byte("\n")) {
		switch {
		case len(line) == 0:
		case bytes.Equal(line, []byte("{}")):
			m.conn.Send([]byte("{}"))
		case m.state == memberJoining && bytes.HasPrefix(line, centrifugeSubscribed):
			w.becomeReady(m, now)
		case bytes.HasPrefix(line, centrifugePush) || bytes.Contains(line, centrifugeData):
			_, rest, _ := bytes.Cut(line, centrifugeData)
			if text, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
				w.play.text(m, text, now)
			}
		case bytes.Contains(line, centrifugeError):
			w.fault("centrifuge_error")
		}
	}
}
