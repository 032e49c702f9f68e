package gateway

import (
	"encoding/json"
	"strings"

	"lectern/cmd/internal/engineio"
	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/native"
	"lectern/protocol/sio"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// sioPhase is how far a Socket.IO connection is.
type sioPhase uint8

const (
	sioFresh      sioPhase = iota // no CONNECT yet
	sioRecovering                 // rooms of an earlier connection are being joined
	sioLeaving                    // that failed, and they are being left again
	sioConnected
)

// socketIO is the dialect of Socket.IO clients: revision 5 of its protocol, over a session of Engine.IO. A request is
// an event with the op's name, its reply is the ack. docs/PROTOCOL.md has the words.
type socketIO struct {
	m       *member
	session *engineio.Session
	decoder sio.Decoder

	sid       string // the socket's id, as the client knows it
	recovery  *recovery
	phase     sioPhase
	packed    bool   // MessagePack
	announced int    // rooms when the client was last told its offset
	quiet     uint32 // requests without an ack so far
}

// Requests that the dialect makes by itself; what a client may send is below.
const (
	reqQuiet   = 1 << 60 // requests without an ack, plus their number
	reqRecover = 2 << 60 // joins of a recovery, plus the index of the room
	reqUndo    = 3 << 60 // leaves after a failed recovery
	reqKinds   = 3 << 60
)

func newSocketIO(m *member, s *engineio.Session) *socketIO {
	d := &socketIO{m: m, session: s, decoder: sio.Decoder{Limits: sio.DefaultLimits}}
	d.decoder.Limits.AttachmentBytesMax = m.gateway().cfg.messageBytesMax()
	s.Run(d)
	return d
}

func (d *socketIO) variant(bool) variant { return variantSocketAsked }

func (d *socketIO) opened(m *member) {
	d.session.Opened()
	m.awaitToken()
}

func (d *socketIO) message(_ *member, binary bool, payload []byte) {
	d.session.Message(binary, payload)
}
func (d *socketIO) heartbeat(*member) { d.session.Heartbeat() }
func (d *socketIO) idle(*member)      { d.session.Idle() }
func (d *socketIO) gone(m *member)    { d.session.Closed(m.conn.Reason()) }

// Message implements engineio.Program.
func (d *socketIO) Message(binary bool, payload []byte) {
	if d.session.Transport() == eio.Polling { // what comes by WebSocket has been charged
		d.m.chargeSize(len(payload))
	}
	p, ok, err := d.decode(binary, payload)
	if err != nil {
		d.session.End(eio.ParseError)
		return
	}
	if ok {
		d.packet(&p)
	}
}

// Ended implements engineio.Program: the gateway's Closed does what there is to do.
func (d *socketIO) Ended(eio.Reason) {}

// decode reads a message. A client that begins with bytes speaks MessagePack from then on.
func (d *socketIO) decode(binary bool, payload []byte) (sio.Packet, bool, error) {
	switch {
	case binary && (d.packed || d.phase == sioFresh && !d.decoder.Waiting()):
		d.packed = true
		p, err := d.decoder.Msgpack(payload)
		return p, true, err
	case binary:
		return d.decoder.Binary(payload)
	case d.packed:
		return sio.Packet{}, false, sio.ErrOrder
	}
	return d.decoder.Text(payload)
}

func (d *socketIO) packet(p *sio.Packet) {
	switch p.Type {
	case sio.Connect:
		d.connect(p)
	case sio.Event, sio.BinaryEvent:
		if p.Namespace != sio.Main || d.phase != sioConnected { // as the official server does
			d.session.End(eio.ForcedClose)
			return
		}
		d.request(p)
	case sio.Disconnect:
		if p.Namespace == sio.Main {
			d.session.End(eio.TransportClose)
		}
	case sio.Ack, sio.BinaryAck: // nothing is sent that asks for one
		d.admit()
	default:
		d.session.End(eio.ParseError)
	}
}

// admit charges for a packet that is no request, so that none is free. One that is beyond the quota counts for nothing.
func (d *socketIO) admit() bool {
	m := d.m
	ok, _ := m.quota.Take(m.gateway().cfg.MessagesPer, m.conn.Loop().Now().UnixMilli(), 1)
	if !ok {
		m.gateway().counters.hit(limitMessages)
		m.strike(1)
	}
	return ok
}

// sioAuth is what a client sends with CONNECT: its own part, and what the client library adds to come back.
type sioAuth struct {
	Token  string  `json:"token"`
	Name   string  `json:"name"`
	PID    string  `json:"pid"`
	Offset *string `json:"offset"`
}

// connect answers a CONNECT. A second one is told the same again.
func (d *socketIO) connect(p *sio.Packet) {
	switch fresh := p.Namespace == sio.Main && d.phase == sioFresh; {
	case !fresh && !d.admit():
		return
	case p.Namespace != sio.Main:
		d.send(&sio.Packet{
			Type: sio.ConnectError, Namespace: p.Namespace, ID: sio.NoID, Data: []byte(`{"message":"Invalid namespace"}`),
		})
		return
	case d.phase == sioConnected:
		d.sayConnected()
		return
	case d.phase != sioFresh:
		return
	}
	now := d.m.conn.Loop().Now().UnixMilli()
	if ok, retryAfterMs := d.m.quota.Take(d.m.gateway().cfg.MessagesPer, now, commands[wire.OpAuth].cost); !ok {
		err := wire.NewError(wire.CodeRateLimited, "too many attempts on this connection; slow down")
		err.RetryAfterMs = retryAfterMs
		d.refuseConnect(err)
		d.m.strike(commands[wire.OpAuth].cost)
		return
	}
	var auth sioAuth
	if len(p.Data) > 0 && json.Unmarshal(p.Data, &auth) != nil {
		d.refuseConnect(wire.NewError(wire.CodeInvalidData, "auth must be an object with the text token or name"))
		return
	}
	old, known := d.openPID(auth.PID)
	if err := d.signIn(&auth, &old); err != nil {
		d.refuseConnect(err)
		return
	}
	if known && auth.Offset != nil && old.user == d.m.user && d.recover(old.sid, *auth.Offset) {
		return
	}
	if auth.PID != "" {
		d.m.gateway().counters.notRecovered.Add(1)
	}
	d.becomeConnected("")
}

// signIn makes the client somebody, if it says who it is. It may do so later, with the op auth.
func (d *socketIO) signIn(auth *sioAuth, old *sioIdentity) *wire.Error {
	m := d.m
	token := auth.Token
	if h := d.session.Handshake.Authorization; token == "" && len(h) > 7 && strings.EqualFold(h[:7], "bearer ") {
		token = strings.TrimSpace(h[7:])
	}
	switch {
	case token != "":
		return m.open(token)
	case old.guest != "" && m.gateway().cfg.Dev:
		m.guest(old.guest)
		m.user = old.user
	case auth.Name != "" && m.gateway().cfg.Dev:
		m.guest(auth.Name)
	case auth.Name != "":
		return wire.NewError(wire.CodeAuthRequired,
			"guests need a token here: join with a PIN, or start the server with --dev")
	}
	return nil
}

// refuseConnect is what a middleware's error is with the official server. The client may try again, on the same
// connection, until the time for a token is over.
func (d *socketIO) refuseConnect(err *wire.Error) {
	message, _ := native.AppendData(nil, err.Message)
	data := append(append([]byte(`{"message":`), message...), `,"data":`...)
	data, _ = native.AppendData(data, err)
	d.send(&sio.Packet{Type: sio.ConnectError, Namespace: sio.Main, ID: sio.NoID, Data: append(data, '}')})
}

// becomeConnected begins the conversation. sid is the socket's id of an earlier connection; empty: a new one.
func (d *socketIO) becomeConnected(sid string) {
	if sid == "" {
		sid = newSocketID(state(d.m.conn.Loop()).rand)
	}
	d.sid, d.phase = sid, sioConnected
	d.session.Handshake = engineio.Handshake{} // has been read, and may be large
	d.sayConnected()
	d.chooseVariant()
}

func (d *socketIO) sayConnected() {
	text := sio.AppendConnected(nil, sio.Main, d.sid, d.makePID())
	d.send(&sio.Packet{Type: sio.Connect, Namespace: sio.Main, ID: sio.NoID, Data: text[1:]})
}

// chooseVariant takes the shared frames while they say what this connection must hear.
func (d *socketIO) chooseVariant() {
	v := variantSocketAsked
	if d.phase == sioConnected && d.roomsNow() <= 1 {
		v = variantSocket
		if d.packed {
			v = variantSocketPacked
		}
	}
	if m := d.m; v != m.variant {
		counters := &m.gateway().counters
		counters.speaks(v, 1)
		counters.speaks(m.variant, -1)
		m.variant = v
	}
}

// roomsNow is how many rooms have the connection as a member.
func (d *socketIO) roomsNow() (n int) {
	for i := range d.m.joined {
		if d.m.joined[i].room != nil {
			n++
		}
	}
	return n
}

// request carries out an event: emit(op, data, ack), emit(op, room, ack) or emit(op, room, data, ack).
func (d *socketIO) request(p *sio.Packet) {
	var space [4][]byte
	args := sio.Args(space[:0], p.Data)
	name, _ := sio.Name(args[0])
	req := native.Request{Op: wire.ParseOpBytes(name)}
	if p.ID >= 0 {
		req.ID = uint64(p.ID) + 1
	} else { // no ack: what goes wrong is told all the same
		d.quiet++
		req.ID = reqQuiet + uint64(d.quiet)
	}
	var err *wire.Error
	switch {
	case req.Op == wire.OpNone:
		err = wire.NewError(wire.CodeUnknownOp, "there is no such op").At("op")
	case len(p.Attachments) > 0:
		err = wire.NewError(wire.CodeInvalidData, "no op takes binary data").At("data")
	default:
		err = readArgs(&req, args[1:])
	}
	d.m.perform(&req, err)
}

// readArgs finds room and data among an event's arguments. The room may be the first argument, or a member of data.
func readArgs(req *native.Request, args [][]byte) *wire.Error {
	var room []byte
	if len(args) > 0 && args[0][0] == '"' && (req.Op != wire.OpQuizCreate || len(args) > 1) {
		room, args = args[0], args[1:]
	}
	if len(args) > 0 && string(args[0]) != "null" {
		req.Data = args[0]
	}
	if room == nil {
		if room = sio.Member(req.Data, "room"); string(room) == "null" {
			room = nil
		}
	}
	if room != nil {
		name, ok := sio.Name(room)
		if !ok || len(name) > 0 && !wire.ValidRoomID(string(name)) {
			return wire.NewError(wire.CodeBadMessage, "room must be at most %d characters of A-Z a-z 0-9 . _ : -",
				wire.RoomIDBytesMax).At("room")
		}
		req.Room = string(name)
	}
	return nil
}

// reply answers by the ack. What the dialect asked by itself is its own affair.
func (d *socketIO) reply(m *member, req uint64, data any) {
	if joined, ok := data.(*wire.JoinReply); ok {
		d.noteJoin(joined)
	}
	switch req & reqKinds {
	case 0:
		d.ack(m, req, data)
	case reqRecover:
		joined, ok := data.(*wire.JoinReply)
		d.recovered(ok && joined.Recovered)
	case reqUndo:
		d.undone()
	}
	if d.phase == sioConnected {
		d.chooseVariant()
		d.announce()
	}
}

func (d *socketIO) ack(m *member, req uint64, data any) {
	d.sendAck(req, func(dst []byte) []byte {
		dst = append(dst, `[{"ok":true`...)
		if data == nil {
			return append(dst, `}]`...)
		}
		mark := len(dst)
		dst, err := native.AppendData(append(dst, `,"data":`...), data)
		if err != nil {
			m.gateway().counters.refused(wire.CodeInternal)
			return append(dst[:mark-len(`[{"ok":true`)], internalAck...)
		}
		return append(dst, `}]`...)
	})
}

const internalAck = `[{"ok":false,"error":{"code":"internal","message":"the reply could not be written"}}]`

// refuse answers by the ack; without one the client hears of it by the event error.
func (d *socketIO) refuse(m *member, req uint64, err *wire.Error) {
	switch req & reqKinds {
	case reqRecover:
		d.recovered(false)
		return
	case reqUndo:
		d.undone()
		return
	}
	if req == 0 || req&reqKinds == reqQuiet {
		d.send(&sio.Packet{Type: sio.Event, Namespace: sio.Main, ID: sio.NoID, Data: d.args("error", err)})
		return
	}
	d.sendAck(req, func(dst []byte) []byte {
		dst, _ = native.AppendData(append(dst, `[{"ok":false,"error":`...), err)
		return append(dst, `}]`...)
	})
}

// args is the JSON of an event of the dialect's own.
func (d *socketIO) args(name string, data any) []byte {
	b := append(append([]byte(`["`), name...), `",`...)
	b, _ = native.AppendData(b, data) // plain structs always marshal
	return append(b, ']')
}

// goodbye is the event before the server ends a connection.
type goodbye struct {
	Code   wire.CloseCode `json:"code"`
	Reason string         `json:"reason"`
}

// farewell tells the client why, by an event. Who is not to come back is disconnected from the namespace, after which
// the client library does not try again; all others lose the transport, after which it does.
func (d *socketIO) farewell(_ *member, code wire.CloseCode, why string) {
	if d.phase == sioConnected {
		d.send(&sio.Packet{
			Type: sio.Event, Namespace: sio.Main, ID: sio.NoID, Data: d.args("session:close", &goodbye{code, why}),
		})
	}
	if code >= 4200 && code < 4300 {
		d.send(&sio.Packet{Type: sio.Disconnect, Namespace: sio.Main, ID: sio.NoID})
	}
	d.session.Leave(uint16(code), why, reasonOf(code))
}

// event gives one event to this connection, with its place in the room's history where it has one.
func (d *socketIO) event(_ *member, it *rooms.Delivery) {
	data, err := native.AppendData(nil, it.Data)
	if err != nil || it.Data == nil {
		data = nil
	}
	e := sioEvent{name: it.Name, room: it.Room, epoch: it.Epoch, seq: it.Seq, ts: it.TS, data: data}
	if it.Seq > 0 {
		e.others = d.otherOffsets(it.Room)
	}
	frame := e.appendFrame(nil, d.packed)
	if d.phase != sioConnected {
		d.hold(frame)
		return
	}
	d.m.conn.SendBytes(netpoll.Class(it.Class), frame)
}

// group gives a group's events to a connection for which the shared frame does not do.
func (d *socketIO) group(m *member, g *group) int {
	others := d.otherOffsets(g.room)
	build := func(dst []byte) []byte { return g.appendSocket(dst, others, d.packed) }
	if d.phase != sioConnected {
		d.hold(build(nil))
		return g.events
	}
	own := others
	if d.packed {
		own = "packed " + others
	}
	if f := state(m.conn.Loop()).sharedFrame(g, own, build); f != nil {
		return taken(m.conn.Send(g.class, g.key, f), g.events)
	}
	return taken(m.conn.SendBytes(g.class, build(nil)), g.events)
}
