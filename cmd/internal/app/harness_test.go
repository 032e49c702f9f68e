package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/cmd/internal/config"
	"lectern/protocol/client"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms/auth"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet's pool of workers belongs to the process and can't be ended from outside.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// patience is how long a test waits for what must come. It only passes when something is broken.
const patience = time.Minute

// server is a whole server in this process, listening on real sockets of its own.
type server struct {
	*App
	t         testing.TB
	base      string // http://host:port
	logs      *logBuffer
	stop      func()
	mallory   string // the header of a user who means no good
	talkative bool   // members of a hall answer each message, so that they are not taken for dead
	// door is what a member of a hall asks for: as a guest, unless a test says otherwise.
	door func(name string) (target string, headers []string)
}

// start runs a server on free ports, in memory unless change says otherwise.
func start(t testing.TB, change ...func(*config.Config)) *server {
	t.Helper()
	s, err := tryStart(t, change...)
	if err != nil {
		t.Fatalf("the server does not start: %v\n%s", err, s.logs)
	}
	return s
}

func tryStart(t testing.TB, change ...func(*config.Config)) (*server, error) {
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Store, cfg.Dev, cfg.Drain = "127.0.0.1:0", "127.0.0.1:0", "memory", true, 0
	cfg.Loops, cfg.Shards = 2, 2
	for _, c := range change {
		c(cfg)
	}
	s := &server{t: t, logs: new(logBuffer)}
	s.door = func(name string) (string, []string) { return "/ws?guest=" + name, nil }
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	a, err := Start(context.Background(), cfg, log)
	if err != nil {
		return s, err
	}
	s.App, s.base = a, "http://"+a.Addr().String()
	s.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s, nil
}

// noDev is a server as it runs in production.
func noDev(c *config.Config) { c.Dev = false }

// onDisk is a server whose store is in dir.
func onDisk(dir string) func(*config.Config) {
	return func(c *config.Config) { c.Store = "sqlite:" + filepath.Join(dir, "test.db") }
}

// logBuffer keeps the log for a failed test to show.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is what has been logged.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// token signs an access token as the server itself would.
func (s *server) token(sub string, role wire.Role, room string) string {
	return s.tokenAt(time.Now(), auth.Claims{Subject: sub, Name: sub, Role: role, Room: room})
}

func (s *server) tokenAt(now time.Time, c auth.Claims) string {
	s.t.Helper()
	token, _, err := s.issuer.IssueAccess(now, c)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// conn is one WebSocket connection, read by the test's own goroutine: whoever waits reads.
type conn struct {
	net.Conn
	t      testing.TB
	br     *bufio.Reader
	reader ws.Reader
	head   *http.Response
	id     uint64
	asked  map[uint64]string // op by id, to know what a reply should look like
	queue  []message         // read and not yet asked for
	frames []frame           // what arrived, frame by frame
	closed bool
	code   uint16
	reason string
}

// frame is one whole message as it arrived.
type frame struct {
	batch int // number of objects, when it was an array; zero for a single object
	bytes int
}

// message is a reply or an event.
type message struct {
	Re    uint64          `json:"re"`
	OK    bool            `json:"ok"`
	Error *wire.Error     `json:"error"`
	Ev    string          `json:"ev"`
	Room  string          `json:"room"`
	Seq   uint64          `json:"seq"`
	TS    int64           `json:"ts"`
	Data  json.RawMessage `json:"data"`
}

// into decodes the data of a reply or an event.
func into[T any](t testing.TB, m message) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(m.Data, &v); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	return v
}

const plainHandshake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// raw opens a TCP connection to the server.
func (s *server) raw() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// handshake sends an upgrade request and reads the answer.
func (s *server) handshake(target string, headers ...string) *conn {
	s.t.Helper()
	c := &conn{Conn: s.raw(), t: s.t}
	c.br = bufio.NewReaderSize(c.Conn, 64<<10)
	host := s.Addr().String()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", target, host, plainHandshake,
		headerLines(headers))
	if err != nil {
		s.t.Fatal(err)
	}
	if c.head, err = http.ReadResponse(c.br, nil); err != nil {
		s.t.Fatalf("handshake: %v", err)
	}
	deflate := strings.Contains(c.head.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	c.reader = ws.NewReader(&ws.Config{Client: true, MessageBytesMax: 16 << 20}, deflate)
	return c
}

func headerLines(headers []string) (lines string) {
	for _, h := range headers {
		lines += h + "\r\n"
	}
	return lines
}

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; " +
	"server_no_context_takeover"

// dial is a handshake that must succeed.
func (s *server) dial(target string, headers ...string) *conn {
	s.t.Helper()
	c := s.handshake(target, headers...)
	if c.head.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(c.head.Body)
		s.t.Fatalf("handshake: %s: %s", c.head.Status, body)
	}
	return c
}

// as opens a connection that is authenticated by a token.
func (s *server) as(sub string, role wire.Role, headers ...string) *conn {
	s.t.Helper()
	return s.dial("/ws", append(headers, "Authorization: Bearer "+s.token(sub, role, ""))...)
}

// Message implements ws.Handler.
func (c *conn) Message(_ bool, payload []byte) bool {
	f := frame{bytes: len(payload)}
	c.judge(payload)
	if payload[0] == '[' {
		var list []message
		if err := json.Unmarshal(payload, &list); err != nil {
			c.t.Errorf("a batch is no JSON: %v: %.200s", err, payload)
		}
		f.batch = len(list)
		c.queue = append(c.queue, list...)
	} else {
		var m message
		if err := json.Unmarshal(payload, &m); err != nil {
			c.t.Errorf("a message is no JSON: %v: %.200s", err, payload)
		}
		c.queue = append(c.queue, m)
	}
	c.frames = append(c.frames, f)
	return true
}

// judge holds every message to the published schemas.
func (c *conn) judge(payload []byte) {
	var list []json.RawMessage
	if payload[0] != '[' {
		list = []json.RawMessage{payload}
	} else if json.Unmarshal(payload, &list) != nil {
		return // Message says so
	}
	for _, raw := range list {
		var reply struct{ Re uint64 }
		_ = json.Unmarshal(raw, &reply) // an event has none
		promised(c.t, c.asked[reply.Re], raw)
	}
}

// Control implements ws.Handler.
func (c *conn) Control(op ws.OpCode, payload []byte) bool {
	if op == ws.OpClose {
		c.code, c.reason, _ = ws.ParseClose(payload)
		return false
	}
	return true
}

// fill reads once; it is false when the connection has ended.
func (c *conn) fill() bool {
	if c.closed {
		return false
	}
	buf := make([]byte, 64<<10)
	n, err := c.br.Read(buf)
	if n > 0 {
		if fault := c.reader.Feed(buf[:n], c); fault != nil {
			c.t.Fatalf("the server breaks the protocol: %v", fault)
		}
	}
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
		c.t.Fatalf("nothing came in %v", patience)
	}
	if err != nil || c.code != 0 {
		c.closed = true
	}
	return !c.closed || n > 0
}

// take waits for the first message that fits and removes it from the queue; what came before it stays.
func (c *conn) take(fits func(m *message) bool) message {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for from := 0; ; {
		for i := from; i < len(c.queue); i++ {
			if m := c.queue[i]; fits(&m) {
				c.queue = append(c.queue[:i], c.queue[i+1:]...)
				return m
			}
		}
		from = len(c.queue)
		if !c.fill() {
			c.t.Fatalf("the connection ended (%d %s) before what was waited for", c.code, c.reason)
		}
	}
}

// event waits for an event of a name.
func (c *conn) event(name string) message {
	c.t.Helper()
	return c.take(func(m *message) bool { return m.Ev == name })
}

// next waits for the next resumable event, whatever its name.
func (c *conn) next() message {
	c.t.Helper()
	return c.take(func(m *message) bool { return m.Seq != 0 })
}

// send masks and sends one text message.
func (c *conn) send(text string) {
	c.t.Helper()
	if _, err := c.Write(ws.AppendMaskedText(nil, []byte(text), rand.Uint32())); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// post sends a request without waiting for its reply.
func (c *conn) post(op wire.Op, room string, data any) uint64 {
	c.t.Helper()
	c.id++
	if c.asked == nil {
		c.asked = map[uint64]string{}
	}
	c.asked[c.id] = op.String()
	raw, err := json.Marshal(data)
	if err != nil {
		c.t.Fatal(err)
	}
	if data == nil {
		raw = []byte("{}")
	}
	c.send(fmt.Sprintf(`{"id":%d,"op":%q,"room":%q,"data":%s}`, c.id, op.String(), room, raw))
	return c.id
}

// answerTo waits for the reply to a request.
func (c *conn) answerTo(id uint64) message {
	c.t.Helper()
	return c.take(func(m *message) bool { return m.Re == id })
}

// ask sends a request and waits for its reply.
func (c *conn) ask(op wire.Op, room string, data any) message {
	c.t.Helper()
	return c.answerTo(c.post(op, room, data))
}

// do is ask for what must succeed.
func (c *conn) do(op wire.Op, room string, data any) message {
	c.t.Helper()
	m := c.ask(op, room, data)
	if !m.OK {
		c.t.Fatalf("%s: %v", op, m.Error)
	}
	return m
}

// refused is ask for what must be refused with a code.
func (c *conn) refused(code wire.Code, op wire.Op, room string, data any) *wire.Error {
	c.t.Helper()
	m := c.ask(op, room, data)
	if m.OK || m.Error == nil || m.Error.Code != code {
		c.t.Fatalf("%s: want the refusal %s, got ok=%v %v", op, code, m.OK, m.Error)
	}
	return m.Error
}

func (c *conn) join(room string, data wire.JoinData) wire.JoinReply {
	c.t.Helper()
	return into[wire.JoinReply](c.t, c.do(wire.OpRoomJoin, room, data))
}

// ended waits for the end of the connection and gives the server's close code; 1006 when there was none.
func (c *conn) ended() uint16 {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for c.fill() {
	}
	if c.code == 0 {
		return uint16(wire.CloseAbnormal)
	}
	return c.code
}

// goneWith checks the close code.
func (c *conn) goneWith(want wire.CloseCode) {
	c.t.Helper()
	if got := c.ended(); got != uint16(want) {
		c.t.Fatalf("closed with %d %q, want %d", got, c.reason, want)
	}
}

// sdk runs the Go client against the server until the test ends.
func (s *server) sdk(cfg client.Config) (*client.Client, <-chan error) {
	s.t.Helper()
	cfg.URL, cfg.Now = "ws://"+s.Addr().String()+"/ws", time.Now
	cfg.Backoff = 5 * time.Millisecond
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(time.Now().UnixNano()))
	cfg.Rand = rand.New(rand.NewChaCha8(seed))
	c, err := client.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var done sync.WaitGroup
	done.Go(func() { ended <- c.Run(ctx) })
	s.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return c, ended
}

// receive waits for a channel.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case v := <-from:
		return v
	case <-timeout.C:
		t.Fatalf("no %s in %v", what, patience)
		panic("unreachable")
	}
}

func textQuestion(text string, options ...string) wire.Question {
	q := wire.Question{Type: wire.SingleChoice, Text: text, TimeLimitMs: 60_000}
	for i, o := range options {
		q.Options = append(q.Options, wire.Option{Text: o, Correct: i == 0})
	}
	return q
}

// someQuiz has two questions whose first option is right.
func someQuiz() *wire.Quiz {
	return &wire.Quiz{Title: "Capitals", Questions: []wire.Question{
		textQuestion("France?", "Paris", "Lyon"), textQuestion("Italy?", "Rome", "Milan"),
	}}
}

// lead lets questions open at once.
func lead(d time.Duration) func(*config.Config) { return func(c *config.Config) { c.Quiz.Lead = d } }
