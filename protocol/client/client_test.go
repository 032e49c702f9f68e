package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServer speaks just enough lectern.v1: one room whose events it keeps, and answers that count once per key.
type fakeServer struct {
	t        *testing.T
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	conns    []*fakeConn
	events   []string // data of event i+1
	keys     map[string]string
	loseNext bool           // the next answer is recorded, and its connection cut before the reply
	refuse   wire.CloseCode // auth is answered with this close code
	auths    int
	tokens   []string         // that auth was called with
	expires  func() time.Time // what auth says; nil: never
	busy     int              // so many answers are refused with unavailable
}

type fakeConn struct {
	net.Conn
	s      *fakeServer
	joined bool
}

func startFake(t *testing.T) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startFakeOn(t, l)
}

func startFakeOn(t *testing.T, l net.Listener) *fakeServer {
	t.Helper()
	s := &fakeServer{t: t, listener: l, keys: map[string]string{}}
	s.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fc := &fakeConn{Conn: c, s: s}
			s.mu.Lock()
			s.conns = append(s.conns, fc)
			s.mu.Unlock()
			s.done.Go(fc.serve)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.dropAll(0)
		s.done.Wait()
	})
	return s
}

// dropAll closes every connection, with a close frame if code is not zero.
func (s *fakeServer) dropAll(code wire.CloseCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		if code != 0 {
			_, _ = c.Write(ws.AppendClose(nil, uint16(code), "go"))
		}
		_ = c.Close()
	}
	s.conns = nil
}

func (s *fakeServer) publish(data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, data)
	for _, c := range s.conns {
		if c.joined {
			c.event(len(s.events))
		}
	}
}

func (c *fakeConn) event(seq int) {
	c.send(fmt.Sprintf(`[{"ev":"note","room":"r","seq":%d,"ts":1,"data":%q}]`, seq, c.s.events[seq-1]))
}

func (c *fakeConn) send(text string) { _, _ = c.Write(ws.AppendText(nil, []byte(text))) }

func (c *fakeConn) serve() {
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	accept := acceptFor(req.Header.Get("Sec-WebSocket-Key"))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: lectern.v1\r\n\r\n", accept)
	reader := ws.NewReader(&ws.Config{}, false)
	buf := make([]byte, 4096)
	for {
		n, err := br.Read(buf)
		if err != nil || reader.Feed(buf[:n], c) != nil {
			return
		}
	}
}

// Control implements ws.Handler.
func (c *fakeConn) Control(op ws.OpCode, _ []byte) bool { return op != ws.OpClose }

// Message implements ws.Handler.
func (c *fakeConn) Message(_ bool, payload []byte) bool {
	var m struct {
		ID   uint64
		Op   string
		Data json.RawMessage
	}
	if json.Unmarshal(payload, &m) != nil {
		return false
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	ok := func(data string) { c.send(fmt.Sprintf(`{"re":%d,"ok":true,"data":%s}`, m.ID, data)) }
	switch m.Op {
	case "auth":
		c.s.auths++
		if c.s.refuse != 0 {
			_, _ = c.Write(ws.AppendClose(nil, uint16(c.s.refuse), "no"))
			return true
		}
		var d wire.AuthData
		_ = json.Unmarshal(m.Data, &d)
		c.s.tokens = append(c.s.tokens, d.Token)
		expiresAt := int64(0)
		if c.s.expires != nil {
			expiresAt = c.s.expires().UnixMilli()
		}
		ok(fmt.Sprintf(`{"user":"u1","roles":["participant"],"expiresAt":%d}`, expiresAt))
	case "time:sync":
		ok(`{"t0":1,"t1":5000,"t2":5000}`)
	case "room:join":
		var d wire.JoinData
		_ = json.Unmarshal(m.Data, &d)
		recovered := d.Since != nil && d.Epoch == "e1"
		ok(fmt.Sprintf(`{"room":"r","epoch":"e1","seq":%d,"recovered":%v}`, len(c.s.events), recovered))
		c.joined = true
		if recovered {
			for seq := int(*d.Since) + 1; seq <= len(c.s.events); seq++ {
				c.event(seq)
			}
		}
	case "quiz:answer":
		var d wire.AnswerData
		_ = json.Unmarshal(m.Data, &d)
		if c.s.busy > 0 {
			c.s.busy--
			c.send(fmt.Sprintf(`{"re":%d,"ok":false,"error":{"code":"unavailable","message":"m","retryAfterMs":1}}`, m.ID))
			return true
		}
		if c.s.keys[d.Key] == "" {
			c.s.keys[d.Key] = fmt.Sprintf("receipt-%d", len(c.s.keys)+1)
		}
		if c.s.loseNext {
			c.s.loseNext = false
			_ = c.Close()
			return false
		}
		ok(fmt.Sprintf(`{"receipt":%q,"acceptedAt":1,"durable":true}`, c.s.keys[d.Key]))
	default:
		c.send(fmt.Sprintf(`{"re":%d,"ok":false,"error":{"code":"unknown_op","message":"no"}}`, m.ID))
	}
	return true
}

// run starts a client against the fake; the cleanup stops it.
func (s *fakeServer) run(t *testing.T, cfg Config) (*Client, chan error) {
	t.Helper()
	cfg.Guest = "Ada"
	if cfg.URL == "" {
		cfg.URL = "ws://" + s.listener.Addr().String() + "/ws"
	}
	cfg.Backoff = 4 * time.Millisecond
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var done sync.WaitGroup
	done.Go(func() { ended <- c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return c, ended
}

func TestEventsComeOnceAcrossReconnects(t *testing.T) {
	s := startFake(t)
	events := make(chan Event, 100)
	changed := make(chan bool, 100)
	c, _ := s.run(t, Config{Event: func(e Event) { events <- e }, Changed: func(up bool) { changed <- up }})
	reply, err := c.Join(t.Context(), "r", wire.JoinData{})
	if err != nil || reply.Epoch != "e1" || reply.Recovered {
		t.Fatalf("%+v, %v", reply, err)
	}
	if !<-changed {
		t.Fatal("the first change was no connect")
	}
	s.publish("a")
	if e := <-events; e.Seq != 1 || string(e.Data) != `"a"` {
		t.Fatalf("%+v", e)
	}
	for round, code := range []wire.CloseCode{wire.CloseDrain, 0, wire.CloseSlowConsumer} {
		s.dropAll(code)
		s.publish("missed")
		for up := range changed {
			if up {
				break
			}
		}
		s.publish("live")
		for i := range 2 {
			want := uint64(2 + 2*round + i)
			if e := <-events; e.Seq != want {
				t.Fatalf("round %d: seq %d, want %d", round, e.Seq, want)
			}
		}
	}
	select {
	case e := <-events:
		t.Fatalf("one event too many: %+v", e)
	default:
	}
}

func TestAnswerIsSentAgainUntilAcknowledged(t *testing.T) {
	s := startFake(t)
	c, _ := s.run(t, Config{})
	s.mu.Lock()
	s.loseNext = true
	s.mu.Unlock()
	reply, err := c.Answer(t.Context(), "r", wire.AnswerData{Question: 1, Answer: json.RawMessage(`1`), Key: "k"})
	if err != nil || reply.Receipt != "receipt-1" || !reply.Durable {
		t.Fatalf("%+v, %v", reply, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) != 1 || s.auths != 2 {
		t.Fatalf("%d answers, %d connects", len(s.keys), s.auths)
	}
}

func TestRefusalsAreWireErrors(t *testing.T) {
	s := startFake(t)
	c, _ := s.run(t, Config{})
	err := c.Request(t.Context(), wire.OpQuizState, "r", nil, nil)
	if refused := (*wire.Error)(nil); !errors.As(err, &refused) || refused.Code != wire.CodeUnknownOp {
		t.Fatal(err)
	}
	if me := c.Me(); me.User != "u1" {
		t.Fatalf("%+v", me)
	}
}

func TestFinalCloseCodesEndRun(t *testing.T) {
	s := startFake(t)
	s.refuse = wire.CloseBanned
	c, ended := s.run(t, Config{})
	err := <-ended
	if final := (*ClosedError)(nil); !errors.As(err, &final) || final.Code != wire.CloseBanned || final.Reason != "no" {
		t.Fatal(err)
	}
	if err := c.Request(t.Context(), wire.OpQuizState, "r", nil, nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestClockOffsetIsTheMiddleOfTheRoundTrip(t *testing.T) {
	s := startFake(t)
	var mu sync.Mutex
	now := time.UnixMilli(1000)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(10 * time.Millisecond)
		return now
	}
	c, _ := s.run(t, Config{Now: clock, ClockSamples: 1})
	// Sent at 1,010 or later by 20 each time, received 10 later; the server says 5,000 both times.
	offset, trip, err := c.SyncClock(t.Context())
	if err != nil || trip != 10*time.Millisecond {
		t.Fatalf("round trip %v, %v", trip, err)
	}
	if want := 5000 - 1035; offset.Milliseconds() != int64(want) {
		t.Fatalf("offset %v, want %d ms", offset, want)
	}
}

func TestDelayFollowsTheCloseCode(t *testing.T) {
	c, err := New(Config{URL: "ws://x/ws", Now: time.Now, Rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if d := c.delay(wire.CloseDrain, 0); d < 50*time.Millisecond || d >= 150*time.Millisecond {
			t.Fatalf("drain: %v", d)
		}
		if d := c.delay(wire.CloseRateLimited, 0); d < limitWait/2 {
			t.Fatalf("limits: %v", d)
		}
		if d := c.delay(0, 40); d < backoffMaxDefault/2 || d >= 3*backoffMaxDefault/2 {
			t.Fatalf("many failures: %v", d)
		}
	}
}

func TestAdviceInACloseReason(t *testing.T) {
	for reason, want := range map[string]time.Duration{
		"the server restarts; come back; retryAfterMs=6200": 6200 * time.Millisecond,
		"overloaded; retryAfterMs=10, or later":             10 * time.Millisecond,
		"retryAfterMs=999999999999":                         adviceMax,
		"retryAfterMs=":                                     0,
		"retryAfterMs=-5":                                   0,
		"come back":                                         0,
	} {
		if got := adviceIn(reason); got != want {
			t.Errorf("%q: %v, want %v", reason, got, want)
		}
	}
}
