package engineio

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/protocol/eio"
)

func expect(t *testing.T, what string, r reply, want string) {
	t.Helper()
	if r.String() != want {
		t.Errorf("%s: %s, want %s", what, r, want)
	}
}

func TestHandshakes(t *testing.T) {
	w := start(t, calm)
	r := w.do("GET", polling, "")
	tail := `","upgrades":["websocket"],"pingInterval":60000,"pingTimeout":60000,"maxPayload":1000000}`
	if r.status != 200 || !strings.HasSuffix(r.body, tail) ||
		r.header.Get("Content-Type") != "text/plain; charset=UTF-8" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", r, r.header)
	}
	s := w.dial(webSocket)
	if got := s.next(); !strings.HasPrefix(got, `0{"sid":"`) || !strings.Contains(got, `"upgrades":[],`) {
		t.Errorf("over a WebSocket: %s", got)
	}
	refusals := []struct{ method, query, want string }{
		{"GET", "EIO=4", `400 {"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=abc", `400 {"code":0,"message":"Transport unknown"}`},
		{"GET", polling + "&sid=abc", `400 {"code":1,"message":"Session ID unknown"}`},
		{"POST", polling + "&sid=../..", `400 {"code":1,"message":"Session ID unknown"}`},
		{"POST", polling, `400 {"code":2,"message":"Bad handshake method"}`},
		{"PUT", polling, `400 {"code":2,"message":"Bad handshake method"}`},
		{"GET", "EIO=4&transport=websocket", `400 {"code":3,"message":"Bad request"}`},
		{"GET", "transport=polling", `400 {"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=3&transport=polling", `400 {"code":5,"message":"Unsupported protocol version"}`},
	}
	for _, c := range refusals {
		expect(t, c.method+" "+c.query, w.do(c.method, c.query, ""), c.want)
	}
	for query, want := range map[string]string{
		"transport=websocket": "400 Unsupported protocol version", "EIO=4": "400 Transport unknown",
		webSocket + "&sid=abc": "400 Session ID unknown", polling: "400 Bad request",
	} {
		if got := w.dial(query).status; got != want {
			t.Errorf("a WebSocket with %s: %s, want %s", query, got, want)
		}
	}
	st := w.h.engine.Stats()
	if st.Refused["unknown_transport"] != 3 || st.Refused["unknown_sid"] != 3 || st.Opened["polling"] != 1 ||
		st.Opened["websocket"] != 1 || st.Sessions["polling"] != 1 {
		t.Errorf("%+v", st)
	}
}

func TestMessages(t *testing.T) {
	w := start(t, calm)
	sid := w.session()
	for _, payload := range []string{
		"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4" + strings.Repeat("é", 90_000),
	} {
		expect(t, "a POST", w.post(sid, payload), "200 ok")
		expect(t, "a GET", w.get(sid), "200 "+payload)
	}
	waiting := make(chan reply, 1)
	go func() { waiting <- w.get(sid) }()
	for w.h.engine.find(sid).polls.Load() == 0 { //nolint:revive // until the GET is there
	}
	expect(t, "a POST beside a GET", w.post(sid, "4late"), "200 ok")
	expect(t, "a GET that waited", <-waiting, "200 4late")
	s := w.dial(webSocket)
	s.next()
	s.send("4hello", "4again")
	s.sendBinary("\x01\x02")
	s.expect("4hello", "4again", "b:\x01\x02")
}

// ended waits for the end of a session.
func (w *world) ended(name string, want eio.Reason) {
	w.t.Helper()
	select {
	case got := <-w.h.ended:
		if got != want {
			w.t.Errorf("%s: ended by %s, want %s", name, got, want)
		}
	case <-time.After(5 * time.Second):
		w.t.Errorf("%s: it goes on", name)
	}
}

func TestWhatEndsASession(t *testing.T) {
	w := start(t, calm)
	unknown := `400 {"code":1,"message":"Session ID unknown"}`
	bad := `400 {"code":3,"message":"Bad request"}`
	ended := w.ended
	for body, why := range map[string]eio.Reason{
		"abc": eio.ParseError, "": eio.ParseError, "\x1e": eio.ParseError, "4a\x1e": eio.ParseError, "b**": eio.ParseError,
		"4\xff": eio.ParseError, strings.Repeat("4\x1e", 100) + "4": eio.ParseError,
	} {
		sid := w.session()
		expect(t, fmt.Sprintf("%.9q", body), w.post(sid, body), bad)
		ended(body, why)
		expect(t, "after it", w.get(sid), unknown)
	}
	sid := w.session()
	expect(t, "a client's ping", w.post(sid, "2"), "200 ok")
	ended("a client's ping", eio.TransportError)
	expect(t, "after it", w.get(sid), unknown)

	sid = w.session()
	first := make(chan reply, 1)
	go func() { first <- w.get(sid) }()
	for w.h.engine.find(sid).polls.Load() == 0 { //nolint:revive // until the GET is there
	}
	expect(t, "a second GET", w.get(sid), bad)
	expect(t, "the first GET", <-first, "200 1")
	ended("two GETs", eio.TransportError)
	expect(t, "after two GETs", w.get(sid), unknown)

	sid = w.session()
	go func() { first <- w.get(sid) }()
	expect(t, "a close", w.post(sid, "1"), "200 ok")
	expect(t, "the GET beside it", <-first, "200 6")
	ended("a close", eio.TransportClose)
	expect(t, "after a close", w.get(sid), unknown)

	sid = w.session()
	expect(t, "a close alone", w.post(sid, "4x\x1e1\x1e4y"), "200 ok")
	ended("a close alone", eio.TransportClose)
	expect(t, "after a close alone", w.get(sid), unknown)

	sid = w.session()
	expect(t, "the server's end", w.post(sid, "4first\x1e4end\x1e4never"), "200 ok")
	ended("the server's end", eio.ForcedClose)
	expect(t, "last words", w.get(sid), "200 4first\x1e4bye")
	expect(t, "the close behind them", w.get(sid), "200 1")
	expect(t, "after last words", w.get(sid), unknown)
}

func TestWhatEndsAWebSocket(t *testing.T) {
	w := start(t, calm)
	s := w.dial(webSocket)
	s.next()
	s.send("abc")
	s.expect("closed", "closed")
	w.ended("no packet", eio.ParseError)
	s = w.dial(webSocket)
	s.next()
	s.send("1")
	s.expect("closed", "closed")
	w.ended("a close over a WebSocket", eio.TransportClose)
	s = w.dial(webSocket)
	s.next()
	_ = s.conn.Close()
	w.ended("a WebSocket that is gone", eio.TransportClose)
}

func TestRequestsThatDontFit(t *testing.T) {
	w := start(t, calm)
	sid := w.session()
	if r := w.post(sid, "4"+strings.Repeat("x", 1e6)); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("over maxPayload: %s", r)
	}
	expect(t, "the most", w.post(sid, "4"+strings.Repeat("x", 1e6-1)), "200 ok")
	if r := w.get(sid); r.status != 200 || len(r.body) != 1e6 {
		t.Errorf("the most came back as %d, %d bytes", r.status, len(r.body))
	}
	expect(t, "PUT", w.do("PUT", polling+"&sid="+sid, ""), `400 {"code":3,"message":"Bad request"}`)
	old := w.do("POST", polling+"&sid="+sid, "x", "Content-Type", "application/octet-stream")
	expect(t, "a payload of revision 3", old, `400 {"code":3,"message":"Bad request"}`)
	expect(t, "after it", w.get(sid), `400 {"code":1,"message":"Session ID unknown"}`)

	// A body that never ends holds up this session's POSTs and nobody else.
	sid = w.session()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it is over
	_, _ = fmt.Fprintf(conn, "POST /engine.io/?%s&sid=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n4x",
		polling, sid)
	for !w.h.engine.find(sid).posting.Load() { //nolint:revive // until the first POST is there
	}
	expect(t, "a second POST", w.post(sid, "4y"), `400 {"code":3,"message":"Bad request"}`)
	expect(t, "after it", w.get(sid), `400 {"code":1,"message":"Session ID unknown"}`)
	if n := w.h.engine.Stats().Overlaps; n != 1 {
		t.Errorf("%d overlaps were counted", n)
	}
}

func TestCORS(t *testing.T) {
	w := start(t, calm)
	r := w.do("GET", polling, "", "Origin", "https://school.example")
	if r.header.Get("Access-Control-Allow-Origin") != "https://school.example" || r.header.Get("Vary") != "Origin" ||
		r.header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("%v", r.header)
	}
	r = w.do("OPTIONS", polling, "", "Origin", "https://school.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization")
	if r.status != 204 || r.header.Get("Access-Control-Allow-Methods") != "GET,POST" ||
		r.header.Get("Access-Control-Allow-Headers") != "authorization" || r.header.Get("Access-Control-Max-Age") == "" {
		t.Errorf("%s %v", r, r.header)
	}
	r = w.do("GET", polling, "", "Origin", "http://evil.example")
	expect(t, "another origin", r, `403 {"code":4,"message":"Forbidden"}`)
	if r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin may read the answer")
	}
	if got := w.dial(webSocket, "Origin: http://evil.example\r\n").status; got != "403 Forbidden" {
		t.Errorf("another origin's WebSocket: %s", got)
	}
}

func TestHeartbeats(t *testing.T) {
	w := start(t, quick)
	sid := w.session()
	s := w.dial(webSocket)
	s.next()
	for range 3 {
		expect(t, "a ping", w.get(sid), "200 2")
		expect(t, "a pong", w.post(sid, "3"), "200 ok")
		s.expect("2")
		s.send("3")
	}
	expect(t, "the last ping", w.get(sid), "200 2")
	expect(t, "no pong", w.get(sid), "200 1")
	expect(t, "after it", w.get(sid), `400 {"code":1,"message":"Session ID unknown"}`)
	s.expect("2", "closed", "closed")
	if st := w.h.engine.Stats(); st.Ended[string(eio.PingTimeout)] != 2 {
		t.Errorf("%v", st.Ended)
	}
	<-w.h.ended
	<-w.h.ended
	w.session() // nobody ever polls it
	if why := <-w.h.ended; why != eio.PingTimeout {
		t.Errorf("an abandoned session was ended by %s", why)
	}
}

func TestUpgrade(t *testing.T) {
	w := start(t, calm, func(_ *Config, n *netpoll.Config) { n.Loops = 3 })
	for round := range 20 {
		sid := w.session()
		expect(t, "before", w.post(sid, "4one"), "200 ok")
		s := w.dial(webSocket + "&sid=" + sid)
		s.send("2probe")
		s.expect("3probe")
		expect(t, "what waited", w.get(sid), "200 4one")
		expect(t, "a poll is let go", w.get(sid), "200 6")
		expect(t, "before the switch", w.post(sid, "4two\x1ebAQI="), "200 ok")
		if round%2 == 0 {
			s.send("5")
			s.expect("4two", "b:\x01\x02")
			s.send("4three")
		} else {
			s.send("5", "4three") // in one piece: what follows the switch is the session's
			s.expect("4two", "b:\x01\x02")
		}
		s.expect("4three")
		expect(t, "a GET after it", w.get(sid), `400 {"code":3,"message":"Bad request"}`)
		expect(t, "a POST after it", w.post(sid, "4x"), `400 {"code":3,"message":"Bad request"}`)
		second := w.dial(webSocket + "&sid=" + sid)
		second.expect("closed", "closed")
		s.send("4still here")
		s.expect("4still here")
		_ = s.conn.Close()
		select {
		case why := <-w.h.ended:
			if why != eio.TransportClose {
				t.Errorf("ended by %s", why)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the session outlives its WebSocket")
		}
	}
	if st := w.h.engine.Stats(); st.Upgrades != 20 || st.UpgradesFailed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestUpgradesThatFail(t *testing.T) {
	w := start(t, calm, func(c *Config, _ *netpoll.Config) { c.UpgradeTimeout = 300 * time.Millisecond })
	sid := w.session()
	goesOn := func(name string) {
		t.Helper()
		expect(t, name, w.post(sid, "4x"), "200 ok")
		expect(t, name, w.get(sid), "200 4x")
	}
	for _, packets := range [][]string{{"5"}, {"4hello"}, {"2"}, {"nonsense"}, {"2probe", "4x"}} {
		s := w.dial(webSocket + "&sid=" + sid)
		s.send(packets...)
		for s.next() == "3probe" { //nolint:revive // up to the end
		}
		goesOn(fmt.Sprint(packets))
	}
	s := w.dial(webSocket + "&sid=" + sid)
	s.send("2probe")
	s.expect("3probe")
	second := w.dial(webSocket + "&sid=" + sid)
	second.expect("closed", "closed")
	goesOn("a second probe")
	s.expect("closed", "closed") // it took too long
	goesOn("a slow probe")
	s = w.dial(webSocket + "&sid=" + sid)
	s.send("2probe")
	s.expect("3probe")
	expect(t, "the end", w.post(sid, "1"), "200 ok")
	s.expect("closed", "closed") // with its session
	s = w.dial(webSocket)
	own, _, _ := strings.Cut(s.next()[len(`0{"sid":"`):], `"`)
	w.dial(webSocket+"&sid="+own).expect("closed", "closed")
	s.send("4x")
	s.expect("4x")
}

// TestAGETThatGivesUp ends the session: what it was given may be lost.
func TestAGETThatGivesUp(t *testing.T) {
	w := start(t, calm)
	sid := w.session()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "GET /engine.io/?%s&sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", polling, sid)
	for w.h.engine.find(sid).polls.Load() == 0 { //nolint:revive // until the GET is there
	}
	_ = conn.Close()
	if why := <-w.h.ended; why != eio.TransportError {
		t.Errorf("ended by %s", why)
	}
	expect(t, "after it", w.get(sid), `400 {"code":1,"message":"Session ID unknown"}`)
}

// TestAStalledPoller is sent more than may wait: it is ended, and others are not held up.
func TestAStalledPoller(t *testing.T) {
	w := start(t, calm, func(_ *Config, n *netpoll.Config) { n.OutboxHardBytes, n.Loops = 200<<10, 1 })
	stalled, other := w.session(), w.session()
	big := "4" + strings.Repeat("x", 90_000)
	for range 3 {
		w.post(stalled, big)
	}
	expect(t, "the other", w.post(other, "4x"), "200 ok")
	expect(t, "the other", w.get(other), "200 4x")
	if why := <-w.h.ended; why != eio.ForcedClose {
		t.Errorf("ended by %s", why)
	}
	if n := w.net.Stats().Closed[netpoll.ReasonSlowConsumer]; n != 1 {
		t.Errorf("%d slow consumers", n)
	}
	if n := len(w.h.engine.takeFarewell(stalled)); n > farewellBytesMax {
		t.Errorf("%d bytes are kept of a session that is over", n)
	}
}

func TestNoRoomForASession(t *testing.T) {
	accepting := atomic.Bool{}
	w := start(t, calm, func(c *Config, n *netpoll.Config) {
		c.Accepting = accepting.Load
		n.Admit = func(remote string) (func(), bool) { return nil, remote != "" }
		n.ConnsMax = 4
	})
	if r := w.do("GET", polling, ""); r.status != 503 || r.header.Get("Retry-After") == "" {
		t.Errorf("while none are accepted: %s", r)
	}
	accepting.Store(true)
	sid := w.session() // the session, and the client's connections
	for full, tries := false, 0; !full; tries++ {
		if full = w.do("GET", polling, "").status == http.StatusServiceUnavailable; tries > 4 {
			t.Fatal("sessions don't count against the limit")
		}
	}
	expect(t, "the one", w.post(sid, "4x"), "200 ok")
}

// TestChurn opens, upgrades and drops sessions from many goroutines at once, with numbered messages that must come back
// once and in order.
func TestChurn(t *testing.T) {
	w := start(t, calm, func(_ *Config, n *netpoll.Config) { n.Loops = 3 })
	var wg sync.WaitGroup
	for client := range 24 {
		wg.Go(func() {
			for round := range 6 {
				w.churn(client+round, client%3 != 0)
			}
		})
	}
	wg.Wait()
}

func (w *world) churn(seed int, upgrade bool) {
	sid := w.session()
	var got []string
	take := func(r reply) {
		if r.status != 200 {
			w.t.Errorf("a GET: %s", r)
		}
		for _, p := range strings.Split(r.body, "\x1e") {
			if p != "6" {
				got = append(got, p)
			}
		}
	}
	sent, n := "", 0
	for range 5 {
		var payload []string
		for range 1 + seed%3 {
			payload = append(payload, "4"+strconv.Itoa(n))
			n++
		}
		if r := w.post(sid, strings.Join(payload, "\x1e")); r.status != 200 {
			w.t.Errorf("a POST: %s", r)
			return
		}
		if seed%2 == 0 {
			take(w.get(sid))
		}
	}
	for i := range n + 3 {
		sent += "4" + strconv.Itoa(i) + " "
	}
	rest := []string{"4" + strconv.Itoa(n), "4" + strconv.Itoa(n+1), "4" + strconv.Itoa(n+2)}
	if upgrade {
		s := w.dial(webSocket + "&sid=" + sid)
		s.send("2probe")
		s.expect("3probe")
		s.send(append([]string{"5"}, rest...)...)
		for len(got) < n+3 {
			text := s.next()
			if text == "closed" {
				break
			}
			got = append(got, text)
		}
		_ = s.conn.Close()
	} else {
		w.post(sid, strings.Join(rest, "\x1e"))
		for len(got) < n+3 {
			take(w.get(sid))
		}
		w.post(sid, "1")
	}
	if all := strings.Join(got, " ") + " "; all != sent {
		w.t.Errorf("got %s, want %s", all, sent)
	}
}
