package conformance

import (
	crand "crypto/rand"
	"encoding/base64"

	"lectern/cmd/internal/engineio"
	"lectern/protocol/eio"
	"lectern/protocol/sio"
)

// socketApp is what the official suite of Socket.IO's protocol speaks to. In the namespaces / and /custom, and in
// /dynamic-1, /dynamic-2 and so on, a socket is first told its auth by the event auth; message comes back as
// message-back, and message-with-ack is acknowledged with its own arguments.
type socketApp struct {
	s       *engineio.Session
	decoder sio.Decoder
	packed  bool
	joined  map[string]bool
}

func newSocketApp(s *engineio.Session) engineio.Program {
	return &socketApp{s: s, decoder: sio.Decoder{Limits: sio.DefaultLimits}, joined: make(map[string]bool)}
}

// served says whether there is such a namespace.
func served(namespace string) bool {
	const dynamic = "/dynamic-"
	if len(namespace) > len(dynamic) && namespace[:len(dynamic)] == dynamic {
		for _, c := range namespace[len(dynamic):] {
			if c < '0' || c > '9' {
				return false
			}
		}
		return true
	}
	return namespace == sio.Main || namespace == "/custom"
}

// Ended implements engineio.Program.
func (*socketApp) Ended(eio.Reason) {}

// Message implements engineio.Program.
func (a *socketApp) Message(binary bool, payload []byte) {
	var p sio.Packet
	var err error
	ok := true
	switch {
	case binary && (a.packed || len(a.joined) == 0):
		a.packed = true
		p, err = a.decoder.Msgpack(payload)
	case binary:
		p, ok, err = a.decoder.Binary(payload)
	case a.packed:
		err = sio.ErrOrder
	default:
		p, ok, err = a.decoder.Text(payload)
	}
	switch {
	case err != nil:
		a.s.End(eio.ParseError)
	case ok:
		a.packet(&p)
	}
}

func (a *socketApp) packet(p *sio.Packet) {
	if p.Type == sio.Connect {
		a.connect(p)
		return
	}
	if !a.joined[p.Namespace] { // the official server ends the connection as well
		a.s.End(eio.ForcedClose)
		return
	}
	switch p.Type {
	case sio.Disconnect:
		delete(a.joined, p.Namespace)
		if len(a.joined) == 0 {
			a.s.End(eio.TransportClose)
		}
	case sio.Event, sio.BinaryEvent:
		a.event(p)
	}
}

func (a *socketApp) connect(p *sio.Packet) {
	if !served(p.Namespace) {
		a.send(&sio.Packet{
			Type: sio.ConnectError, Namespace: p.Namespace, ID: sio.NoID, Data: []byte(`{"message":"Invalid namespace"}`),
		})
		return
	}
	a.joined[p.Namespace] = true
	var id [15]byte
	_, _ = crand.Read(id[:]) // never fails on the systems we run on
	a.send(&sio.Packet{
		Type: sio.Connect, Namespace: p.Namespace, ID: sio.NoID,
		Data: []byte(`{"sid":"` + base64.RawURLEncoding.EncodeToString(id[:]) + `"}`),
	})
	auth := p.Data
	if auth == nil {
		auth = []byte("{}")
	}
	a.send(&sio.Packet{
		Type: sio.Event, Namespace: p.Namespace, ID: sio.NoID, Data: append(append([]byte(`["auth",`), auth...), ']'),
	})
}

func (a *socketApp) event(p *sio.Packet) {
	args := sio.Args(nil, p.Data)
	name, _ := sio.Name(args[0])
	reply := &sio.Packet{Namespace: p.Namespace, ID: sio.NoID, Attachments: p.Attachments}
	switch string(name) {
	case "message":
		reply.Type, reply.Data = sio.Event, []byte(`["message-back"`)
	case "message-with-ack":
		if p.ID < 0 {
			return
		}
		reply.Type, reply.ID, reply.Data = sio.Ack, p.ID, []byte(`[`)
	default:
		return
	}
	for _, arg := range args[1:] {
		if len(reply.Data) > 1 {
			reply.Data = append(reply.Data, ',')
		}
		reply.Data = append(reply.Data, arg...)
	}
	reply.Data = append(reply.Data, ']')
	a.send(reply)
}

func (a *socketApp) send(p *sio.Packet) {
	if a.packed {
		if packed, err := sio.AppendMsgpack(nil, p); err == nil {
			sendMessage(a.s, true, packed)
		}
		return
	}
	sendMessage(a.s, false, sio.Append(nil, p))
	for _, b := range p.Attachments {
		sendMessage(a.s, true, b)
	}
}
