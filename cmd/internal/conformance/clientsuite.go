package conformance

import (
	"encoding/json"
	"strconv"
	"time"

	"lectern/protocol/sio"
)

// clientSuite answers the events with which the official JavaScript client's own tests speak to their server, in the
// main namespace. It reports false for an event that is none of them.
func (a *socketApp) clientSuite(name string, p *sio.Packet, args [][]byte) bool {
	switch name {
	case "hi":
		a.emit(p, "hi")
	case "false":
		a.emit(p, "false", "false")
	case "echo":
		if len(args) > 0 {
			a.ack(p, string(args[0]))
		}
	case "ack":
		a.asked++
		a.send(&sio.Packet{Type: sio.Event, Namespace: p.Namespace, ID: a.asked, Data: []byte(`["ack"]`)})
	case "getId":
		a.ack(p, strconv.Quote(a.ids[p.Namespace]))
	case "getHandshake":
		a.ack(p, a.handshake(p.Namespace))
	case "getAckDate":
		a.ack(p, today())
	case "getDate":
		a.emit(p, "takeDate", today())
	case "getDateObj":
		a.emit(p, "takeDateObj", `{"date":`+today()+`}`)
	case "getUtf8":
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			a.emit(p, "takeUtf8", strconv.Quote(text))
		}
	case "doge", "getbin":
		a.emitBytes(p, map[string]string{"doge": "doge", "getbin": "takebin"}[name], []byte("asdfasdf"))
	default:
		return a.binarySuite(name, p, args)
	}
	return true
}

// binarySuite answers events that must bring bytes, some of them in an order.
func (a *socketApp) binarySuite(name string, p *sio.Packet, args [][]byte) bool {
	mixed := func() bool {
		return len(args) > 0 && len(p.Attachments) == 1 && string(sio.Member(args[0], "hello")) == `"lol"` &&
			string(sio.Member(args[0], "goodbye")) == `"gotcha"`
	}
	answers := map[string]struct {
		answer string
		ok     bool
	}{
		"buffa":    {"buffack", len(p.Attachments) == 1},
		"blob":     {"back", len(p.Attachments) == 1},
		"jsonbuff": {"jsonbuff-ack", len(args) > 0 && mixed()},
		"jsonblob": {"jsonblob-ack", len(args) > 0 && mixed()},
		"abuff1":   {"", len(p.Attachments) == 1},
		"abuff2":   {"abuff2-ack", a.before == "abuff1"},
		"blob1":    {"", len(p.Attachments) == 1},
		"blob2":    {"", a.before == "blob1" && len(args) > 0 && string(args[0]) == `"second"`},
		"blob3":    {"blob3-ack", a.before == "blob2" && len(p.Attachments) == 1},
	}
	known, found := answers[name]
	if found && known.ok {
		a.before = name
		if known.answer != "" {
			a.emit(p, known.answer)
		}
	}
	return found
}

// acknowledged takes the client's answer to the event ack.
func (a *socketApp) acknowledged(p *sio.Packet) {
	args := sio.Args(nil, p.Data)
	if p.ID == a.asked && len(args) == 2 && string(args[0]) == "5" && string(sio.Member(args[1], "test")) == "true" {
		a.emit(p, "got it")
	}
}

func today() string { return time.Now().UTC().Format(`"2006-01-02T15:04:05.000Z"`) }

// handshake is what the official server knows of a socket's beginning, as far as its client's tests look at it.
func (a *socketApp) handshake(namespace string) string {
	h := struct {
		Query map[string]string `json:"query"`
		Auth  json.RawMessage   `json:"auth"`
	}{Query: make(map[string]string), Auth: a.auths[namespace]}
	for name, values := range a.query {
		h.Query[name] = values[0]
	}
	text, err := json.Marshal(h)
	if err != nil {
		return "null"
	}
	return string(text)
}

// emit sends an event in the namespace of p; args are JSON.
func (a *socketApp) emit(p *sio.Packet, name string, args ...string) {
	data := append([]byte(`["`), name...)
	data = append(data, '"')
	for _, arg := range args {
		data = append(append(data, ','), arg...)
	}
	a.send(&sio.Packet{Type: sio.Event, Namespace: p.Namespace, ID: sio.NoID, Data: append(data, ']')})
}

func (a *socketApp) emitBytes(p *sio.Packet, name string, bytes []byte) {
	a.send(&sio.Packet{
		Type: sio.BinaryEvent, Namespace: p.Namespace, ID: sio.NoID, Attachments: [][]byte{bytes},
		Data: []byte(`["` + name + `",{"_placeholder":true,"num":0}]`),
	})
}

func (a *socketApp) ack(p *sio.Packet, arg string) {
	if p.ID >= 0 {
		a.send(&sio.Packet{Type: sio.Ack, Namespace: p.Namespace, ID: p.ID, Data: []byte("[" + arg + "]")})
	}
}
