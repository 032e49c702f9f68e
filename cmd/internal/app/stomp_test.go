package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lectern/bench/scenario"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// stompConn is a STOMP client over real sockets.
type stompConn struct {
	*conn
	decoder stomp.Decoder
	got     []stomp.Frame
}

func (s *server) stomp(token string) *stompConn {
	s.t.Helper()
	c := &stompConn{
		conn: s.dial("/stomp", "Sec-WebSocket-Protocol: v12.stomp"), decoder: stomp.NewDecoder(&stomp.DefaultLimits),
	}
	c.decoder.SetVersion(stomp.V12)
	c.say("CONNECT|accept-version:1.2|passcode:" + token + "||")
	c.await(stomp.Connected, "version", "1.2")
	return c
}

// say sends frames, written with | for line ends, over several WebSocket messages each.
func (c *stompConn) say(frames ...string) {
	c.t.Helper()
	for _, f := range frames {
		text := []byte(strings.ReplaceAll(f, "|", "\n") + "\x00")
		for len(text) > 0 {
			n := min(len(text), 1+rand.IntN(40))
			if _, err := c.Write(ws.AppendMaskedText(nil, text[:n], 7)); err != nil {
				c.t.Fatal(err)
			}
			text = text[n:]
		}
	}
}

// Message implements ws.Handler.
func (c *stompConn) Message(_ bool, payload []byte) bool {
	fail := c.decoder.Feed(payload, func(f *stomp.Frame) *stomp.Error {
		c.got = append(c.got, stomp.Frame{
			Command: f.Command, Headers: append([]stomp.Header(nil), f.Headers...), Body: append([]byte(nil), f.Body...),
		})
		return nil
	})
	if fail != nil {
		c.t.Errorf("the server sends %q: %v", payload, fail)
	}
	return true
}

// await waits for the first frame of a command that has a header of this value, and drops what came before it.
func (c *stompConn) await(command stomp.Command, name, value string) stomp.Frame {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 64<<10)
	for {
		for i := range c.got {
			if f := c.got[i]; f.Command == command && f.Get(name) == value {
				c.got = c.got[i+1:]
				return f
			}
		}
		n, err := c.br.Read(buf)
		if err != nil {
			c.t.Fatalf("no %s with %s:%s came: %v; there was %v", command, name, value, err, c.got)
		}
		if fault := c.reader.Feed(buf[:n], c); fault != nil {
			c.t.Fatalf("the server breaks the protocol: %v", fault)
		}
	}
}

// A STOMP client that was away comes back with its last seq and gets what it has missed, in order and once.
func TestStompComesBack(t *testing.T) {
	s := start(t, noDev)
	host := s.as("host", wire.RoleHost)
	host.join("r", wire.JoinData{})
	say := func(n int) { host.do(wire.OpChatSend, "r", map[string]any{"text": fmt.Sprint("text number ", n)}) }
	token := s.token("ann", wire.RoleParticipant, "r")
	c := s.stomp(token)
	c.say("SUBSCRIBE|id:a|destination:/topic/room.r|receipt:in||")
	epoch := ""
	if welcome := c.await(stomp.Message, "event", "room:join"); welcome.Get("recovered") != "false" {
		t.Errorf("at first: %+v", welcome)
	} else {
		epoch = welcome.Get("epoch")
	}
	c.await(stomp.Receipt, "receipt-id", "in")
	say(1)
	first := c.await(stomp.Message, "event", "chat:message")
	_ = c.Close()
	say(2)
	say(3)
	c = s.stomp(token)
	c.say("SUBSCRIBE|id:b|destination:/topic/room.*|since:" + first.Get("seq") + "|epoch:" + epoch + "||")
	if welcome := c.await(stomp.Message, "event", "room:join"); welcome.Get("recovered") != "true" {
		t.Errorf("coming back: %+v %s", welcome.Headers, welcome.Body)
	}
	say(4)
	for n := 2; n <= 4; n++ {
		f := c.await(stomp.Message, "event", "chat:message")
		var message wire.ChatMessage
		if err := json.Unmarshal(f.Body, &message); err != nil || message.Text != fmt.Sprint("text number ", n) ||
			f.Get("seq") != fmt.Sprint(n) || f.Get("destination") != "/topic/room.r" {
			t.Errorf("number %d is %+v %s", n, f.Headers, f.Body)
		}
	}
}

// The token of a connection is renewed over STOMP too; another user's is refused; a kicked user learns why.
func TestStompTokensAndKicks(t *testing.T) {
	s := start(t, noDev)
	host := s.as("host", wire.RoleHost)
	host.join("r", wire.JoinData{})
	c := s.stomp(s.token("ann", wire.RoleParticipant, "r"))
	c.say("SUBSCRIBE|id:t|destination:/topic/room.r||", "SUBSCRIBE|id:q|destination:/user/queue/*|receipt:q||")
	c.await(stomp.Receipt, "receipt-id", "q")
	auth := func(user string) stomp.Frame {
		c.say("SEND|destination:/app/auth|correlation-id:" + user +
			`||{"token":"` + s.token(user, wire.RoleParticipant, "r") + `"}`)
		return c.await(stomp.Message, "correlation-id", user)
	}
	if f := auth("ann"); f.Get("ok") != "true" {
		t.Errorf("renewing: %+v %s", f.Headers, f.Body)
	}
	if f := auth("bob"); f.Get("error") != string(wire.CodeForbidden) {
		t.Errorf("another user's token: %+v %s", f.Headers, f.Body)
	}
	c.say("SEND|destination:/app/chat.send|correlation-id:1||{\"text\":\"hello\"}")
	c.await(stomp.Message, "correlation-id", "1")
	host.do(wire.OpModBan, "r", map[string]any{"user": "ann", "reason": "noise"})
	c.await(stomp.Message, "event", "room:kicked")
	if f := c.await(stomp.Failure, "close-code", "4200"); f.Get("message") != "removed by the host" {
		t.Errorf("%+v", f.Headers)
	}
}

// A whole fan-out and an echo over STOMP, with the load harness: nothing is lost or doubled.
func TestHarnessSpeaksStomp(t *testing.T) {
	s := start(t)
	for _, name := range []string{"fanout", "echo"} {
		opt := scenario.Options{
			Scenario: name, Target: s.base, Adaptor: "stomp", Conns: 40, Rooms: 2, Rate: 40, Duration: time.Second,
		}
		result, err := scenario.Run(context.Background(), opt)
		if err != nil {
			t.Fatal(name, err)
		}
		if result.Sent == 0 || result.Delivered != result.Expected || result.Lost+result.Duplicated != 0 ||
			len(result.Errors) != 0 {
			t.Errorf("%s: %+v", name, result)
		}
	}
}
