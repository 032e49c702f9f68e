package gateway

import (
	"encoding/base64"
	"strconv"
	"strings"

	"lectern/netpoll"
	"lectern/protocol/native"
	"lectern/protocol/sio"
	"lectern/protocol/wire"
)

// A client that lost its connection may come back to the same state, also after a restart of the server. What the
// server would have to remember is given to the client instead: who it is (pid, sealed), and where it is in the history
// of each of its rooms (offset: the last argument of every event that can be resumed, which the client library keeps by
// itself). Rooms keep their newest events anyway.

// sioIdentity is what a pid says.
type sioIdentity struct {
	sid, user string
	guest     string // the name of a guest of --dev, who has no token to show
}

const pidPurpose = "socket.io pid"

// makePID seals the socket's id and its user; empty when nobody can come back.
func (d *socketIO) makePID() string {
	m := d.m
	seals := m.gateway().seals
	if seals == nil || !m.authed {
		return ""
	}
	guest := ""
	if m.expiresAt == 0 {
		guest = m.name
	}
	data := []byte(d.sid + "\n" + m.user + "\n" + guest)
	mac := seals.MAC(pidPurpose, data)
	return base64.RawURLEncoding.EncodeToString(append(mac[:], data...))
}

// openPID reads what makePID has made; ok is false for anything else.
func (d *socketIO) openPID(pid string) (id sioIdentity, ok bool) {
	const macBytes, pidBytesMax = 32, 1024
	seals := d.m.gateway().seals
	if seals == nil || len(pid) > pidBytesMax {
		return id, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(pid)
	if err != nil || len(raw) < macBytes || !seals.CheckMAC(pidPurpose, raw[macBytes:], raw[:macBytes]) {
		return id, false
	}
	parts := strings.SplitN(string(raw[macBytes:]), "\n", 3)
	if len(parts) < 3 {
		return id, false
	}
	return sioIdentity{sid: parts[0], user: parts[1], guest: parts[2]}, true
}

// appendOffset appends where a connection is: others, and room/epoch/seq.
func appendOffset(dst []byte, others, room, epoch string, seq uint64) []byte {
	if others != "" {
		dst = append(append(dst, others...), '|')
	}
	dst = append(append(append(append(dst, room...), '/'), epoch...), '/')
	return strconv.AppendUint(dst, seq, 10)
}

// otherOffsets is where the connection is in all its rooms but one.
func (d *socketIO) otherOffsets(room string) string {
	if len(d.m.joined) <= 1 {
		return ""
	}
	var b []byte
	for i := range d.m.joined {
		if j := &d.m.joined[i]; j.room != nil && j.id != room && j.room.epoch != "" {
			b = appendOffset(b, "", j.id, j.room.epoch, j.room.seq)
			b = append(b, '|')
		}
	}
	return strings.TrimSuffix(string(b), "|")
}

// noteJoin notes where a room is, for a loop that has had no event of it yet.
func (d *socketIO) noteJoin(reply *wire.JoinReply) {
	if at := d.m.find(reply.Room); at >= 0 {
		if r := d.m.joined[at].room; r != nil && (r.epoch != reply.Epoch || r.seq < reply.Seq) {
			r.epoch, r.seq = reply.Epoch, reply.Seq
		}
	}
}

// announce tells the client its offset when its rooms have changed: an event that need not be listened to, since the
// client library keeps its last argument.
func (d *socketIO) announce() {
	n := d.roomsNow()
	if n == d.announced || d.m.gateway().seals == nil {
		return
	}
	d.announced = n
	data := append([]byte(`["session:offset","`), d.otherOffsets("")...)
	if n == 1 {
		for i := range d.m.joined {
			if j := &d.m.joined[i]; j.room != nil {
				data = appendOffset(data, "", j.id, j.room.epoch, j.room.seq)
			}
		}
	}
	d.send(&sio.Packet{Type: sio.Event, Namespace: sio.Main, ID: sio.NoID, Data: append(data, `"]`...)})
}

// recovery is a client's way back to its rooms.
type recovery struct {
	sid    string
	left   int    // rooms that have not answered
	failed bool   // one could not tell everything that was missed
	held   []byte // what the client must hear after it is connected, framed
}

// recoveryHeldMax bounds what is held for a client on its way back, in bytes.
const recoveryHeldMax = 2 << 20

// place is a room and where a client is in it.
type place struct {
	room, epoch string
	seq         uint64
}

// parseOffset reads room/epoch/seq|…; an empty offset is no room at all.
func parseOffset(offset string, roomsMax int) ([]place, bool) {
	if offset == "" {
		return nil, true
	}
	parts := strings.Split(offset, "|")
	if len(parts) > roomsMax {
		return nil, false
	}
	places := make([]place, 0, len(parts))
	for _, part := range parts {
		f := strings.Split(part, "/")
		if len(f) != 3 || !wire.ValidRoomID(f[0]) || f[1] == "" {
			return nil, false
		}
		seq, err := strconv.ParseUint(f[2], 10, 53)
		if err != nil {
			return nil, false
		}
		places = append(places, place{room: f[0], epoch: f[1], seq: seq})
	}
	return places, true
}

// recover joins the rooms of an earlier connection. It reports false when there is nothing to go by.
func (d *socketIO) recover(sid, offset string) bool {
	m := d.m
	places, ok := parseOffset(offset, m.gateway().cfg.RoomsPerConn)
	if !ok {
		return false
	}
	if len(places) == 0 {
		m.gateway().counters.recovered.Add(1)
		d.becomeConnected(sid)
		return true
	}
	d.phase = sioRecovering
	d.recovery = &recovery{sid: sid, left: len(places)}
	for i, p := range places {
		req := native.Request{ID: reqRecover + uint64(i), Op: wire.OpRoomJoin, Room: p.room}
		data := &wire.JoinData{Since: &p.seq, Epoch: p.epoch}
		if err := m.allowed(&req); err != nil {
			d.recovered(false)
			continue
		}
		m.opJoin(&req, data)
	}
	return true
}

// recovered takes the answer of one room.
func (d *socketIO) recovered(ok bool) {
	r := d.recovery
	if r == nil {
		return
	}
	r.failed = r.failed || !ok
	if r.left--; r.left > 0 {
		return
	}
	if !r.failed {
		d.m.gateway().counters.recovered.Add(1)
		d.recovery = nil
		d.announced = d.roomsNow()
		d.becomeConnected(r.sid)
		if len(r.held) > 0 {
			d.m.conn.SendBytes(netpoll.Reliable, r.held)
		}
		return
	}
	d.m.gateway().counters.notRecovered.Add(1)
	// The client begins anew, so it must not hear of rooms that it has not joined.
	d.phase = sioLeaving
	r.held, r.left = nil, 1
	for i := len(d.m.joined) - 1; i >= 0; i-- {
		r.left++
		d.m.opLeave(&native.Request{ID: reqUndo + uint64(i), Op: wire.OpRoomLeave, Room: d.m.joined[i].id}, nil)
	}
	d.undone()
}

// undone takes the answer to one leave.
func (d *socketIO) undone() {
	r := d.recovery
	if r == nil || d.phase != sioLeaving {
		return
	}
	if r.left--; r.left > 0 {
		return
	}
	d.recovery = nil
	d.becomeConnected("")
}

// hold keeps frames until the client is connected.
func (d *socketIO) hold(frames []byte) {
	r := d.recovery
	if r == nil || d.phase != sioRecovering {
		return
	}
	if r.failed || len(r.held)+len(frames) > recoveryHeldMax {
		r.failed, r.held = true, nil
		return
	}
	r.held = append(r.held, frames...)
}
