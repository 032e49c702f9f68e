package conformance

import (
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"

	"lectern/cmd/internal/engineio"
	"lectern/protocol/eio"
	"lectern/protocol/sio"
)

// socketApp is what the official suite of Socket.IO's protocol speaks to. In the namespaces / and /custom, and in
// /dynamic-1, /dynamic-2 and so on, a socket is first told its auth by the event auth; message comes back as
// message-back, and message-with-ack is acknowledged with its own arguments. The events and namespaces of the official
// JavaScript client's own tests are there as well.
type socketApp struct {
	s       *engineio.Session
	decoder sio.Decoder
	packed  bool
	ids     map[string]string // of the namespaces that were joined
	auths   map[string]json.RawMessage
	query   url.Values // of the handshake

	asked  int64  // the last ack that was asked for
	before string // the event that came before, where the order matters
}

func newSocketApp(s *engineio.Session) engineio.Program {
	query, _ := url.ParseQuery(s.Handshake.Query) // what can't be read is not there
	return &socketApp{
		s: s, decoder: sio.Decoder{Limits: sio.DefaultLimits}, ids: make(map[string]string),
		auths: make(map[string]json.RawMessage), query: query,
	}
}

// plain are the namespaces that only have to be there, for the official client's own tests; /no refuses.
var plain = map[string]bool{
	"/foo": true, "/timeout_socket": true, "/valid": true, "/asd": true, "/abc": true, "/no": true,
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
	return namespace == sio.Main || namespace == "/custom" || plain[namespace]
}

// Ended implements engineio.Program.
func (*socketApp) Ended(eio.Reason) {}

// Message implements engineio.Program.
func (a *socketApp) Message(binary bool, payload []byte) {
	var p sio.Packet
	var err error
	ok := true
	switch {
	case binary && (a.packed || len(a.ids) == 0):
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
	if a.ids[p.Namespace] == "" { // the official server ends the connection as well
		a.s.End(eio.ForcedClose)
		return
	}
	switch p.Type {
	case sio.Disconnect:
		delete(a.ids, p.Namespace)
		if len(a.ids) == 0 {
			a.s.End(eio.TransportClose)
		}
	case sio.Event, sio.BinaryEvent:
		a.event(p)
	case sio.Ack, sio.BinaryAck:
		a.acknowledged(p)
	}
}

func (a *socketApp) connect(p *sio.Packet) {
	refusal := ""
	switch {
	case !served(p.Namespace):
		refusal = "Invalid namespace"
	case p.Namespace == "/no":
		refusal = "Auth failed (custom namespace)"
	case p.Namespace == sio.Main && a.query.Get("fail") != "":
		refusal = "Auth failed (main namespace)"
	}
	if refusal != "" {
		a.send(&sio.Packet{
			Type: sio.ConnectError, Namespace: p.Namespace, ID: sio.NoID, Data: []byte(`{"message":"` + refusal + `"}`),
		})
		return
	}
	var raw [15]byte
	_, _ = crand.Read(raw[:]) // never fails on the systems we run on
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	a.ids[p.Namespace] = id
	a.auths[p.Namespace] = json.RawMessage("{}")
	if p.Data != nil {
		a.auths[p.Namespace] = append(json.RawMessage(nil), p.Data...)
	}
	a.send(&sio.Packet{Type: sio.Connect, Namespace: p.Namespace, ID: sio.NoID, Data: []byte(`{"sid":"` + id + `"}`)})
	switch {
	case p.Namespace == "/abc":
		a.emit(p, "handshake", a.handshake(p.Namespace))
	case !plain[p.Namespace]:
		a.emit(p, "auth", string(a.auths[p.Namespace]))
	}
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
		a.clientSuite(string(name), p, args[1:])
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
