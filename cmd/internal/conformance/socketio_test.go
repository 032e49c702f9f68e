package conformance

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern/protocol/sio"
)

// pollClient is a long-polling client.
type pollClient struct {
	t   *testing.T
	url string
}

func pollAt(t *testing.T, path string) *pollClient {
	t.Helper()
	s, err := Start(context.Background(), Config{Listen: "127.0.0.1:0", Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return &pollClient{t, fmt.Sprintf("http://%s%s?EIO=4&transport=polling", s.Addr(), path)}
}

func (c *pollClient) do(method, sid, body string) string {
	c.t.Helper()
	url := c.url
	if sid != "" {
		url += "&sid=" + sid
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

func (c *pollClient) open() string {
	c.t.Helper()
	hello := c.do("GET", "", "")
	_, rest, ok := strings.Cut(hello, `{"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if !ok || !strings.HasSuffix(hello, `"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`) {
		c.t.Fatalf("the handshake: %s", hello)
	}
	return sid
}

// say posts packets and returns what the next GET brings, without pings and ids.
func (c *pollClient) say(sid, payload string) string {
	c.t.Helper()
	if got := c.do("POST", sid, payload); got != "200 ok" {
		c.t.Fatalf("POST %q: %s", payload, got)
	}
	var kept []string
	for _, p := range strings.Split(strings.TrimPrefix(c.do("GET", sid, ""), "200 "), "\x1e") {
		if head, _, ok := strings.Cut(p, `{"sid":"`); ok {
			p = head + "{sid}"
		}
		if p != "2" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}

func TestEngineEcho(t *testing.T) {
	c := pollAt(t, "/engine.io/")
	if got := c.say(c.open(), "4hello\x1ebAQIDBA=="); got != "4hello bAQIDBA==" {
		t.Errorf("came back as %s", got)
	}
}

func TestSocketApplication(t *testing.T) {
	c := pollAt(t, "/socket.io/")
	for _, step := range [][2]string{
		{"40", `40{sid} 42["auth",{}]`},
		{`40/custom,{"token":"x"}`, `40/custom,{sid} 42/custom,["auth",{"token":"x"}]`},
		{"40/dynamic-12,", `40/dynamic-12,{sid} 42/dynamic-12,["auth",{}]`},
		{"40/dynamic-x,", `44/dynamic-x,{"message":"Invalid namespace"}`},
		{"40/random", `44/random,{"message":"Invalid namespace"}`},
		{`42["message",1,"2",{"3":[true]}]`, `42["message-back",1,"2",{"3":[true]}]`},
		{`42/custom,["message"]`, `42/custom,["message-back"]`},
		{`42456["message-with-ack",1,"2"]`, `43456[1,"2"]`},
		{`421["message-with-ack"]`, `431[]`},
		{
			"451-[\"message\",{\"_placeholder\":true,\"num\":0}]\x1ebAQI=",
			`451-["message-back",{"_placeholder":true,"num":0}] bAQI=`,
		},
		{"41/custom\x1e42[\"message\",2]", `42["message-back",2]`},
	} {
		sid := c.open() // a session of its own, so that no heartbeat is due
		want := step[1]
		if !strings.HasPrefix(step[0], "40") {
			if got := c.say(sid, "40\x1e40/custom,"); !strings.HasPrefix(got, `40{sid} 42["auth",{}] 40/custom,{sid}`) {
				t.Fatalf("connecting: %s", got)
			}
		}
		if got := c.say(sid, step[0]); got != want {
			t.Errorf("%q: %s, want %s", step[0], got, want)
		}
	}
	sid := c.open()
	c.say(sid, "40")
	if got := c.say(sid, "42/custom,[\"message\"]"); got != `400 {"code":1,"message":"Session ID unknown"}` && got != "1" {
		t.Errorf("an event in a namespace that was not joined: %s", got)
	}
}

func TestSocketApplicationInMessagePack(t *testing.T) {
	c := pollAt(t, "/socket.io/")
	pack := func(p *sio.Packet) string {
		b, err := sio.AppendMsgpack(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		return "b" + base64.StdEncoding.EncodeToString(b)
	}
	sid := c.open()
	c.say(sid, pack(&sio.Packet{Type: sio.Connect, Namespace: sio.Main, ID: sio.NoID}))
	place := `{"_placeholder":true,"num":0}`
	ask := &sio.Packet{
		Type: sio.BinaryEvent, Namespace: sio.Main, ID: 3, Data: []byte(`["message-with-ack",` + place + `]`),
		Attachments: [][]byte{{7}},
	}
	got := c.say(sid, pack(ask))
	answer := &sio.Packet{
		Type: sio.BinaryAck, Namespace: sio.Main, ID: 3, Data: []byte("[" + place + "]"), Attachments: [][]byte{{7}},
	}
	if want := pack(answer); got != want {
		t.Errorf("the ack is %s, want %s", got, want)
	}
}
