package gateway

import (
	"lectern/netpoll"
	"lectern/protocol/native"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
)

const subprotocol = "lectern.v1"

// lecternV1 is the native dialect: JSON in text frames. It remembers nothing.
type lecternV1 struct{}

func (lecternV1) variant(zipped bool) variant {
	if zipped {
		return variantZipped
	}
	return variantText
}

func (lecternV1) opened(m *member) {
	m.conn.SetTimer(netpoll.TimerHeartbeat, m.firstHeartbeat())
	m.awaitToken()
}

// message decodes one message and sends it on its way.
func (lecternV1) message(m *member, binary bool, payload []byte) {
	if binary {
		m.close(wire.CloseUnsupportedData, "lectern.v1 speaks JSON in text frames")
		m.session.Abort()
		return
	}
	req, err := native.Decode(payload)
	m.perform(&req, err)
}

func (lecternV1) reply(m *member, req uint64, data any) {
	m.sendText(func(dst []byte) []byte { return native.AppendReply(dst, req, data) })
}

func (lecternV1) refuse(m *member, req uint64, err *wire.Error) {
	m.sendText(func(dst []byte) []byte { return native.AppendError(dst, req, err) })
}

func (lecternV1) event(m *member, it *rooms.Delivery) {
	m.sendText(func(dst []byte) []byte {
		return native.AppendEvent(dst, it.Name, it.Room, it.Seq, it.TS, it.Data)
	})
}

// group is for a connection whose frame is missing because its variant was not wanted yet when the group was made.
func (lecternV1) group(m *member, g *group) int {
	status := m.conn.SendBytes(g.class, ws.AppendText(nil, g.json()))
	return taken(status, g.events)
}

// heartbeat asks a silent peer, and closes one that stays silent.
func (lecternV1) heartbeat(m *member) {
	if m.heardOrAsked() {
		m.conn.SetTimer(netpoll.TimerHeartbeat, m.gateway().cfg.PingEvery)
	}
}

func (lecternV1) idle(*member) {}

// farewell is a close frame.
func (lecternV1) farewell(m *member, code wire.CloseCode, why string) {
	m.conn.SendBytes(netpoll.Reliable, ws.AppendClose(nil, uint16(code), why))
}

func (lecternV1) gone(*member) {}
