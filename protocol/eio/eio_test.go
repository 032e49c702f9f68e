package eio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var limits = Limits{BytesMax: 1000, PacketsMax: 5}

// packets is the payload's packets as text, and the error.
func packets(body string, limits Limits) (string, error) {
	var out []string
	err := DecodePayload([]byte(body), limits, func(p Packet) bool {
		kind := ""
		if p.Binary {
			kind = "b"
		}
		out = append(out, fmt.Sprintf("%s%s:%s", kind, p.Type, p.Data))
		return true
	})
	return strings.Join(out, " "), err
}

func TestDecodePayload(t *testing.T) {
	for _, c := range []struct {
		body, want string
		err        error
	}{
		{"4hello", "message:hello", nil},
		{"4a\x1e4b\x1e1", "message:a message:b close:", nil},
		{"4h\x1ebAQID", "message:h bmessage:\x01\x02\x03", nil},
		{"bAQI=", "bmessage:\x01\x02", nil},
		{"bAQI", "bmessage:\x01\x02", nil},
		{"b", "bmessage:", nil},
		{"3probe", "pong:probe", nil},
		{"", "", ErrPacket},
		{"abc", "", ErrPacket},
		{"7x", "", ErrPacket},
		{"/", "", ErrPacket},
		{"4a\x1e", "message:a", ErrPacket},
		{"\x1e4a", "", ErrPacket},
		{"4a\x1e\x1e4b", "message:a", ErrPacket},
		{"4a\x1ebA", "message:a", ErrBase64},
		{"bAQ*=", "", ErrBase64},
		{"4\xff", "", ErrUTF8},
		{"41\x1e42\x1e43\x1e44\x1e45\x1e46", "message:1 message:2 message:3 message:4 message:5", ErrTooManyPackets},
		{"4" + strings.Repeat("x", 1000), "", ErrTooLarge},
	} {
		got, err := packets(c.body, limits)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v; want %q, %v", c.body, got, err, c.want, c.err)
		}
	}
	n := 0
	err := DecodePayload([]byte("41\x1e1\x1e4x"), limits, func(p Packet) bool { n++; return p.Type != Close })
	if err != nil || n != 2 {
		t.Errorf("%d packets were delivered after a stop, %v", n, err)
	}
}

func TestAppendOpen(t *testing.T) {
	settings := Settings{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, MaxPayload: 1e6}
	for upgradable, upgrades := range map[bool]string{true: `["websocket"]`, false: `[]`} {
		got := string(AppendOpen(nil, "abc", upgradable, settings))
		want := `0{"sid":"abc","upgrades":` + upgrades + `,"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
		if got != want || !json.Valid([]byte(got[1:])) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	sessions := map[string]string{"p": Polling, "w": WebSocket}
	get, post := "GET", "POST"
	for _, c := range []struct {
		req  Request
		want Refusal
	}{
		{Request{get, false, "4", "polling", ""}, Accepted},
		{Request{get, true, "4", "websocket", ""}, Accepted},
		{Request{get, false, "4", "polling", "p"}, Accepted},
		{Request{post, false, "4", "polling", "p"}, Accepted},
		{Request{get, true, "4", "websocket", "p"}, Accepted},
		{Request{get, true, "4", "websocket", "w"}, Accepted}, // the session itself closes a second one
		{Request{get, false, "4", "", ""}, UnknownTransport},
		{Request{get, false, "4", "webtransport", ""}, UnknownTransport},
		{Request{get, true, "4", "constructor", ""}, UnknownTransport},
		{Request{get, false, "4", "polling", "nobody"}, UnknownSID},
		{Request{post, false, "4", "polling", "__proto__"}, UnknownSID},
		{Request{post, false, "4", "polling", ""}, BadHandshakeMethod},
		{Request{"PUT", false, "4", "polling", ""}, BadHandshakeMethod},
		{Request{"PUT", false, "4", "polling", "p"}, BadRequest},
		{Request{get, false, "4", "polling", "w"}, BadRequest},
		{Request{get, false, "4", "websocket", ""}, BadRequest},
		{Request{get, true, "4", "polling", ""}, BadRequest},
		{Request{get, true, "4", "polling", "p"}, BadRequest},
		{Request{get, false, "3", "polling", ""}, UnsupportedRevision},
		{Request{get, false, "", "polling", ""}, UnsupportedRevision},
		{Request{get, true, "abc", "websocket", ""}, UnsupportedRevision},
	} {
		if got := c.req.Judge(func(sid string) string { return sessions[sid] }); got != c.want {
			t.Errorf("%+v: %v, want %v", c.req, got, c.want)
		}
	}
}

func TestRefusalsOnTheWire(t *testing.T) {
	want := []string{
		`400 {"code":0,"message":"Transport unknown"}`, `400 {"code":1,"message":"Session ID unknown"}`,
		`400 {"code":2,"message":"Bad handshake method"}`, `400 {"code":3,"message":"Bad request"}`,
		`403 {"code":4,"message":"Forbidden"}`, `400 {"code":5,"message":"Unsupported protocol version"}`,
	}
	for i, r := range Refusals() {
		if got := fmt.Sprintf("%d %s", r.Status(), r.AppendJSON(nil)); i >= len(want) || got != want[i] {
			t.Errorf("%v: %s", r, got)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := NewPolling()
	if s.PongDue() != Ignore || s.PingDue() != SendPing || s.PingDue() != Ignore {
		t.Fatal("the first ping")
	}
	if s.Packet(Packet{Type: Message}) != Deliver || s.Packet(Packet{Type: Pong}) != Alive || s.PongDue() != Ignore {
		t.Fatal("an answered ping")
	}
	if s.PingDue() != SendPing || s.PongDue() != End || s.Reason() != PingTimeout || s.PongDue() != Ignore {
		t.Fatalf("an unanswered ping: %q", s.Reason())
	}
	if s.Packet(Packet{Type: Message}) != Ignore || s.End(ForcedClose) != Ignore || s.Reason() != PingTimeout {
		t.Fatal("after the end")
	}
}

func TestPacketsThatEnd(t *testing.T) {
	for typ, why := range map[Type]Reason{Close: TransportClose, Ping: TransportError} {
		var s Session
		if s.Packet(Packet{Type: typ}) != End || s.Reason() != why || !s.Ended() {
			t.Errorf("%v: %q", typ, s.Reason())
		}
	}
	for _, typ := range []Type{Open, Upgrade, Noop} {
		var s Session
		if s.Packet(Packet{Type: typ}) != Ignore || s.Ended() {
			t.Errorf("%v was not ignored", typ)
		}
	}
}

func TestUpgrade(t *testing.T) {
	probe, upgrade := Packet{Type: Ping, Data: []byte("probe")}, Packet{Type: Upgrade}
	s := NewPolling()
	if s.Transport() != Polling || !s.Probe() || s.Probe() {
		t.Fatal("one probe at a time")
	}
	if s.ProbePacket(probe) != ReplyProbe || s.Transport() != Polling || s.ProbePacket(upgrade) != Switch ||
		s.Transport() != WebSocket || s.Probing() || s.Probe() {
		t.Fatal("an upgrade in order")
	}
	if s.ProbePacket(probe) != DropProbe {
		t.Fatal("a probe after the upgrade")
	}
	for name, p := range map[string]Packet{
		"unprobed": upgrade, "message": {Type: Message, Data: []byte("x")}, "ping": {Type: Ping},
		"binary": {Type: Message, Binary: true}, "wrong probe": {Type: Ping, Data: []byte("prob")},
	} {
		s := NewPolling()
		if !s.Probe() || s.ProbePacket(p) != DropProbe || s.Transport() != Polling || s.Ended() || !s.Probe() {
			t.Errorf("%s: the session must go on and another may probe", name)
		}
	}
	s = NewPolling()
	s.Probe()
	s.ProbeGone()
	if !s.Probe() {
		t.Error("no second try after a probe that went away")
	}
	s.End(TransportClose)
	if s.Probe() || s.ProbePacket(probe) != DropProbe {
		t.Error("a session that is over was probed")
	}
	var ws Session
	if ws.Probe() {
		t.Error("a WebSocket was upgraded")
	}
}

// FuzzPayload checks that what is accepted comes out again as it went in, and that limits hold.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		"4hello", "4a\x1ebAQID\x1e2probe", "\x1e", "b\x1eb", "bAQ==", "4\x1e\x1e", "1\x1e4x", "40/a,{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		var again []byte
		n := 0
		err := DecodePayload(bytes.Clone(body), limits, func(p Packet) bool {
			if n++; n > 1 {
				again = append(again, Separator)
			}
			if p.Binary {
				again = AppendBinary(again, p.Data)
			} else {
				again = Append(again, p.Type, string(p.Data))
			}
			return true
		})
		if n > limits.PacketsMax || err == nil && n == 0 {
			t.Fatalf("%d packets, %v", n, err)
		}
		if err != nil {
			return
		}
		var second []byte
		if err := DecodePayload(bytes.Clone(again), Limits{2 * limits.BytesMax, limits.PacketsMax}, func(p Packet) bool {
			if len(second) > 0 {
				second = append(second, Separator)
			}
			if p.Binary {
				second = AppendBinary(second, p.Data)
			} else {
				second = Append(second, p.Type, string(p.Data))
			}
			return true
		}); err != nil || !bytes.Equal(again, second) {
			t.Fatalf("%q became %q, then %q, %v", given, again, second, err)
		}
		if !bytes.ContainsAny(given, "b=") && !bytes.Equal(given, again) {
			t.Fatalf("%q became %q", given, again)
		}
	})
}
