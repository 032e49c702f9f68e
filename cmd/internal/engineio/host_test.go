package engineio

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/protocol/eio"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/ws"
)

// host is a netpoll.Handler that serves Engine.IO at /engine.io/ and gives the rest to net/http. Every session echoes.
type host struct {
	engine *Server
	cfg    session.Config
	loops  []*netpoll.Loop
	mu     sync.Mutex
	conns  chan net.Conn
	shut   chan struct{}
	once   sync.Once
	ended  chan eio.Reason
	begun  chan *Session
}

// peer is a connection's state.
type peer struct {
	h       *host
	conn    *netpoll.Conn
	machine session.Machine
	session *Session
	probe   *Probe
	move    *netpoll.Loop
	open    bool
	swap    bool
}

func (h *host) LoopStarted(l *netpoll.Loop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops = append(h.loops, l)
}

func (h *host) allLoops() []*netpoll.Loop {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loops
}

func (h *host) Opened(c *netpoll.Conn) { c.State = &peer{h: h, conn: c, machine: *session.New(&h.cfg)} }

func (h *host) Data(c *netpoll.Conn, in []byte) {
	p := c.State.(*peer)
	out, result := p.machine.Feed(in, p, nil)
	p.Flush(out)
	if p.swap {
		s, err := p.probe.TakeOver()
		if err != nil {
			panic(err)
		}
		c = s.Conn()
		c.State.(*peer).machine = p.machine
		p.machine, p.swap = *session.New(&h.cfg), false
	}
	switch result.Action {
	case session.HandOff:
		if p.move != nil {
			if err := c.MoveTo(p.move, result.Raw); err != nil {
				c.Close(netpoll.ReasonDone)
			}
			return
		}
		head := string(result.Raw)
		conn, err := c.Detach()
		if err != nil {
			c.Close(netpoll.ReasonDone)
			return
		}
		h.conns <- &headConn{Conn: conn, Reader: io.MultiReader(strings.NewReader(head), conn)}
	case session.Close:
		c.Close(netpoll.ReasonDone)
	}
}

type headConn struct {
	net.Conn
	io.Reader
}

func (c *headConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (h *host) Task(l *netpoll.Loop, task any) {
	if t, ok := task.(Task); ok {
		t.Run(l)
	}
}

func (h *host) TurnEnded(*netpoll.Loop) {}

func (h *host) Timer(c *netpoll.Conn, kind netpoll.TimerKind) {
	p := c.State.(*peer)
	switch {
	case p.session != nil && kind == netpoll.TimerHeartbeat:
		p.session.Heartbeat()
	case p.session != nil && kind == netpoll.TimerIdle:
		p.session.Idle()
	case p.probe != nil && kind == netpoll.TimerHeartbeat:
		p.probe.Heartbeat()
	case p.probe != nil && kind == netpoll.TimerIdle:
		p.probe.Idle()
	}
}

func (h *host) Closed(c *netpoll.Conn, reason netpoll.Reason) {
	switch p := c.State.(*peer); {
	case p.session != nil && p.open:
		p.session.Closed(reason)
	case p.probe != nil:
		p.probe.Closed()
	}
}

// begin is Config.Begin.
func (h *host) begin(s *Session) {
	p := s.Conn().State.(*peer)
	p.session, p.open = s, true
	s.Run(echo{p})
	select {
	case h.begun <- s:
	default:
	}
}

func (p *peer) Flush(out []byte) []byte {
	if len(out) > 0 {
		p.conn.SendBytes(netpoll.Reliable, out)
	}
	return out[:0]
}

func (p *peer) Head(req *http1.Request) session.Verdict {
	j := p.h.engine.Head(p.conn, req)
	p.session, p.probe, p.move = j.Session, j.Probe, j.Move
	return j.Verdict
}

func (p *peer) Opened() {
	p.open = true
	p.conn.StopTimer(netpoll.TimerHandshake)
	if p.probe != nil {
		p.probe.Opened()
		return
	}
	p.session.Run(echo{p})
	p.session.Opened()
}

// Message is what the machine reads.
func (p *peer) Message(binary bool, payload []byte) {
	switch {
	case p.probe != nil:
		p.swap = p.probe.Message(binary, payload) || p.swap
	default:
		p.session.Message(binary, payload)
	}
}
func (p *peer) Pong()                     {}
func (p *peer) PeerClosed(uint16, string) {}

// echo is the program of a peer's session.
type echo struct{ p *peer }

func (e echo) Message(binary bool, payload []byte) {
	if string(payload) == "end" {
		e.p.session.sendPacket("4bye")
		e.p.session.End(eio.ForcedClose)
		return
	}
	if binary {
		e.p.session.conn.SendBytes(netpoll.Reliable, ws.AppendBinary(nil, payload))
		return
	}
	e.p.session.sendPacket("4" + string(payload))
}

func (e echo) Ended(why eio.Reason) {
	select {
	case e.p.h.ended <- why:
	default:
	}
}

func (h *host) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

func (h *host) Close() error {
	h.once.Do(func() { close(h.shut) })
	return nil
}

func (h *host) Addr() net.Addr { return &net.TCPAddr{} }

// world is a running server with a client.
type world struct {
	t    *testing.T
	h    *host
	net  *netpoll.Server
	addr string
	http *http.Client
}

var quick = eio.Settings{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, MaxPayload: 1e6}

var calm = eio.Settings{PingInterval: time.Minute, PingTimeout: time.Minute, MaxPayload: 1e6}

func start(t *testing.T, settings eio.Settings, change ...func(*Config, *netpoll.Config)) *world {
	t.Helper()
	before := frame.Live()
	h := &host{
		conns: make(chan net.Conn, 4096), shut: make(chan struct{}), ended: make(chan eio.Reason, 4096),
		begun: make(chan *Session, 1),
	}
	cfg := Config{
		Settings: settings, UpgradeTimeout: 10 * time.Second, PacketsMax: 100, Begin: h.begin, Loops: h.allLoops,
		OriginAllowed: func(origin, _ string) bool { return origin != "http://evil.example" },
		Accepting:     func() bool { return true },
	}
	netCfg := netpoll.Config{Addr: "127.0.0.1:0", Loops: 2}
	for _, f := range change {
		f(&cfg, &netCfg)
	}
	h.engine = New(cfg)
	server, err := netpoll.New(netCfg, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", h.engine)
	web := &http.Server{Handler: mux}
	served := make(chan struct{})
	go func() { defer close(served); _ = web.Serve(h) }()
	w := &world{t: t, h: h, net: server, addr: server.Addr().String(), http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 20 * time.Second,
	}}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		_ = web.Close()
		_ = h.Close()
		<-served
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
		if live := frame.Live() - before; live != 0 {
			t.Errorf("%d frames were not released", live)
		}
		if s := h.engine.Stats(); s.Sessions[eio.Polling]+s.Sessions[eio.WebSocket] != 0 {
			t.Errorf("sessions are left: %v", s.Sessions)
		}
	})
	return w
}

// reply is an HTTP answer.
type reply struct {
	status int
	body   string
	header http.Header
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

func (w *world) do(method, query, body string, header ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+w.addr+"/engine.io/?"+query,
		strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Error(err)
		return reply{}
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Error(err)
	}
	return reply{resp.StatusCode, string(text), resp.Header}
}

const polling = "EIO=4&transport=polling"

// session opens a long-polling session and returns its id.
func (w *world) session() string {
	w.t.Helper()
	r := w.do("GET", polling, "")
	if r.status != 200 || !strings.HasPrefix(r.body, `0{"sid":"`) {
		w.t.Fatalf("the handshake: %s", r)
	}
	sid, _, _ := strings.Cut(r.body[len(`0{"sid":"`):], `"`)
	return sid
}

func (w *world) get(sid string) reply { return w.do("GET", polling+"&sid="+sid, "") }
func (w *world) post(sid, body string) reply {
	return w.do("POST", polling+"&sid="+sid, body, "Content-Type", "text/plain;charset=UTF-8")
}

// socket is a WebSocket client.
type socket struct {
	t      *testing.T
	conn   net.Conn
	in     *bufio.Reader
	status string
}

func (w *world) dial(query string, header ...string) *socket {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = fmt.Fprintf(conn, "GET /engine.io/?%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", query, strings.Join(header, ""))
	s := &socket{t: w.t, conn: conn, in: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(s.in, &http.Request{Method: "GET"})
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		s.status = fmt.Sprintf("%d %s", resp.StatusCode, body)
	}
	_ = resp.Body.Close()
	return s
}

const webSocket = "EIO=4&transport=websocket"

func (s *socket) send(texts ...string) {
	s.t.Helper()
	var b []byte
	for _, text := range texts {
		b = ws.AppendMaskedText(b, []byte(text), 0x01020304)
	}
	if _, err := s.conn.Write(b); err != nil {
		s.t.Error(err)
	}
}

func (s *socket) sendBinary(data string) {
	s.t.Helper()
	_, _ = s.conn.Write(ws.AppendMasked(nil, ws.OpBinary, true, false, []byte(data), 0x01020304))
}

// next is the next message: its text, "b:" and bytes, or "closed" for a close frame or the end.
func (s *socket) next() string {
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return "closed"
	}
	n := int(head[1])
	if n == 126 {
		var more [2]byte
		_, _ = io.ReadFull(s.in, more[:])
		n = int(more[0])<<8 | int(more[1])
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return "cut"
	}
	switch ws.OpCode(head[0] & 0x0f) {
	case ws.OpBinary:
		return "b:" + string(payload)
	case ws.OpClose:
		return "closed"
	}
	return string(payload)
}

// expect reads messages and compares them.
func (s *socket) expect(want ...string) {
	s.t.Helper()
	for _, text := range want {
		if got := s.next(); got != text {
			s.t.Errorf("the WebSocket got %q, want %q", got, text)
			return
		}
	}
}
