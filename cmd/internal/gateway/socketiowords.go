package gateway

import (
	"strconv"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/protocol/eio"
	"lectern/protocol/sio"
	"lectern/protocol/ws"
	"lectern/rooms/effect"
)

// sioEvent is an event as Socket.IO clients get it: [name, data, {room, seq, ts}, offset]. The last is there when the
// event can be resumed: the client library keeps it and brings it back.
type sioEvent struct {
	name, room, epoch string
	others            string // offsets of other rooms
	seq               uint64
	ts                int64
	data              []byte // JSON; empty: null
}

func (e *sioEvent) appendArgs(dst []byte) []byte {
	dst = append(append(append(dst, `["`...), e.name...), `",`...)
	if len(e.data) > 0 {
		dst = append(dst, e.data...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(append(append(dst, `,{"room":"`...), e.room...), '"')
	if e.seq != 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), e.seq, 10)
	}
	dst = append(strconv.AppendInt(append(dst, `,"ts":`...), e.ts, 10), '}')
	if e.seq != 0 {
		dst = append(appendOffset(append(dst, `,"`...), e.others, e.room, e.epoch, e.seq), '"')
	}
	return append(dst, ']')
}

// appendFrame appends the event as a WebSocket message.
func (e *sioEvent) appendFrame(dst []byte, packed bool) []byte {
	if packed {
		return appendPacked(dst, &sio.Packet{Type: sio.Event, Namespace: sio.Main, ID: sio.NoID, Data: e.appendArgs(nil)})
	}
	return appendSized(dst, len(e.name)+len(e.room)+len(e.epoch)+len(e.others)+len(e.data)+sioEventExtra, e.appendText)
}

// sioEventExtra is more than what stands around an event's own words.
const sioEventExtra = 128

func (e *sioEvent) appendText(dst []byte) []byte {
	return e.appendArgs(append(dst, byte(eio.Message), '0'+byte(sio.Event)))
}

// appendSized appends a text frame whose payload is written in place: at most most bytes long, so that the length of
// the header is known but for short ones, which are moved.
func appendSized(dst []byte, most int, write func([]byte) []byte) []byte {
	from, head := len(dst), ws.HeaderSize(most)
	dst = append(dst, make([]byte, head)...)
	dst = write(dst)
	n := len(dst) - from - head
	if short := ws.HeaderSize(n); short < head {
		copy(dst[from+short:], dst[from+head:])
		dst = dst[:len(dst)-(head-short)]
	}
	ws.AppendHeader(dst[from:from], ws.OpText, true, false, n)
	return dst
}

// appendPacked appends a packet in MessagePack as a binary frame.
func appendPacked(dst []byte, p *sio.Packet) []byte {
	packed, err := sio.AppendMsgpack(nil, p)
	if err != nil {
		return dst // its JSON is our own
	}
	return ws.AppendBinary(dst, packed)
}

// send sends a packet without attachments.
func (d *socketIO) send(p *sio.Packet) {
	if d.packed {
		d.m.conn.SendBytes(netpoll.Reliable, appendPacked(nil, p))
		return
	}
	d.m.sendText(func(dst []byte) []byte { return sio.Append(append(dst, byte(eio.Message)), p) })
}

// sendAck answers the request req; data appends the JSON array.
func (d *socketIO) sendAck(req uint64, data func(dst []byte) []byte) {
	id := int64(req) - 1
	if d.packed {
		d.send(&sio.Packet{Type: sio.Ack, Namespace: sio.Main, ID: id, Data: data(nil)})
		return
	}
	d.m.sendText(func(dst []byte) []byte {
		return data(sio.AppendHeader(append(dst, byte(eio.Message)), sio.Ack, sio.Main, id, 0))
	})
}

// encodeSocket is the frame of a group for connections that are in one room: one WebSocket message per event.
func (g *group) encodeSocket(*Config) *frame.Frame { return g.sealSocket(false) }

func (g *group) encodeSocketPacked(*Config) *frame.Frame { return g.sealSocket(true) }

func (g *group) sealSocket(packed bool) *frame.Frame {
	f := frame.Get(len(g.text) + g.events*sioEventExtra)
	f.Buf = g.appendSocket(f.Buf, "", packed)
	f.Seal()
	return f
}

// appendSocket appends the group's events as WebSocket messages; others are the offsets of the connection's other
// rooms.
func (g *group) appendSocket(dst []byte, others string, packed bool) []byte {
	for i := range g.list {
		ev := &g.list[i]
		e := sioEvent{
			name: ev.name, room: g.room, epoch: g.epoch, others: others, seq: ev.seq, ts: ev.ts, data: g.data(ev),
		}
		dst = e.appendFrame(dst, packed)
	}
	return dst
}

// newSocketID is an id like the official server's: twenty characters of base64url.
func newSocketID(rand effect.Random) string {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var id [20]byte
	for i := range id {
		id[i] = chars[rand.IntN(len(chars))]
	}
	return string(id[:])
}
