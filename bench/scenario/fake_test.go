package scenario

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/protocol/ws"
)

// fake is a server that speaks enough lectern.v1 for every scenario, with faults to order. One mutex, one goroutine
// per connection: it is for checking the harness's counting, not for measuring.
type fake struct {
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	conns map[*fakeConn]bool
	rooms map[string]*fakeRoom
	fault string // what goes wrong, once
	limit int    // handshakes beyond this many get 503; zero: none
	count int
}

type fakeRoom struct {
	members []*fakeConn
	seq     int
	quiz    *fakeQuiz
}

type fakeQuiz struct {
	number, total int
	phase         string
	answers       map[*fakeConn]int
	receipts      map[string]string
	scores        map[*fakeConn]int
}

type fakeConn struct {
	net.Conn
	s    *fake
	name string
	raw  *fakeRoom // adaptor raw
}

func startFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fake{listener: l, conns: map[*fakeConn]bool{}, rooms: map[string]*fakeRoom{}}
	s.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fc := &fakeConn{Conn: c, s: s}
			s.mu.Lock()
			s.conns[fc] = true
			s.mu.Unlock()
			s.done.Go(fc.serve)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.done.Wait()
	})
	return s
}

func (s *fake) target() string { return "ws://" + s.listener.Addr().String() }

// order asks for a fault.
func (s *fake) order(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// faulty is true once for the fault that was ordered; the caller holds mu.
func (s *fake) faulty(name string) bool {
	if s.fault != name {
		return false
	}
	s.fault = ""
	return true
}

// takeOnly refuses the handshakes after the first n.
func (s *fake) takeOnly(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
}

func (s *fake) room(name string) *fakeRoom {
	r := s.rooms[name]
	if r == nil {
		r = &fakeRoom{}
		s.rooms[name] = r
	}
	return r
}

func (c *fakeConn) serve() {
	defer func() {
		_ = c.Close()
		c.s.mu.Lock()
		delete(c.s.conns, c)
		c.s.mu.Unlock()
	}()
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	c.name = req.URL.Query().Get("guest")
	c.s.mu.Lock()
	c.s.count++
	full := c.s.limit > 0 && c.s.count > c.s.limit
	if strings.HasPrefix(req.URL.Path, "/raw") {
		c.raw = c.s.room(req.URL.Query().Get("room"))
		c.raw.members = append(c.raw.members, c)
	}
	c.s.mu.Unlock()
	if full {
		_, _ = fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return
	}
	key := req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(key)) //nolint:gosec // RFC 6455
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = c.Write(ws.AppendPing(nil, []byte("hello")))
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

func (c *fakeConn) send(text string) { _, _ = c.Write(ws.AppendText(nil, []byte(text))) }

type fakeMessage struct {
	ID   uint64
	Op   string
	Room string
	Data json.RawMessage
}

// Message implements ws.Handler.
func (c *fakeConn) Message(_ bool, payload []byte) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.raw != nil {
		for _, m := range c.raw.members {
			m.send(string(payload))
		}
		return true
	}
	var m fakeMessage
	if json.Unmarshal(payload, &m) != nil {
		c.send(`{"re":null,"ok":false,"error":{"code":"bad_json","message":"no"}}`)
		return true
	}
	switch m.Op {
	case "time:sync":
		var d struct{ T0 int64 }
		_ = json.Unmarshal(m.Data, &d)
		c.ok(m, fmt.Sprintf(`{"t0":%d,"t1":1,"t2":1}`, d.T0))
	case "room:join":
		r := c.s.room(m.Room)
		r.members = append(r.members, c)
		c.ok(m, `{"epoch":"e","seq":0,"recovered":false}`)
	case "room:presence":
		c.ok(m, fmt.Sprintf(`{"count":%d}`, len(c.s.room(m.Room).members)))
	case "room:publish":
		var d struct {
			Event   string
			Payload json.RawMessage
		}
		_ = json.Unmarshal(m.Data, &d)
		if c.s.faulty("refuse") {
			c.refuse(m, "rate_limited")
			break
		}
		r := c.s.room(m.Room)
		c.ok(m, "{}")
		c.s.broadcast(r, m.Room, d.Event, string(d.Payload))
	case "chat:send":
		r := c.s.room(m.Room)
		c.ok(m, "{}")
		c.s.broadcast(r, m.Room, "chat:message", string(m.Data))
	default:
		c.s.quizOp(c, m)
	}
	return true
}

func (c *fakeConn) ok(m fakeMessage, data string) {
	c.send(fmt.Sprintf(`[{"re":%d,"ok":true,"data":%s}]`, m.ID, data))
}

func (c *fakeConn) refuse(m fakeMessage, code string) {
	c.send(fmt.Sprintf(`{"re":%d,"ok":false,"error":{"code":%q,"message":"no"}}`, m.ID, code))
}

func (s *fake) broadcast(r *fakeRoom, room, event, data string) {
	r.seq++
	text := fmt.Sprintf(`{"ev":%q,"room":%q,"seq":%d,"ts":%d,"data":%s}`, event, room, r.seq, time.Now().UnixMilli(), data)
	for _, c := range r.members {
		if c.name != "host" && s.faulty("lose "+event) {
			continue
		}
		c.send(text)
		if c.name != "host" && s.faulty("double "+event) {
			c.send("[" + text + "]")
		}
	}
}

// quizOp is the quiz: every right answer pays 100 points.
func (s *fake) quizOp(c *fakeConn, m fakeMessage) {
	if m.Op == "quiz:create" {
		var d struct {
			Quiz struct{ Questions []struct{} }
		}
		_ = json.Unmarshal(m.Data, &d)
		s.room("q").quiz = &fakeQuiz{total: len(d.Quiz.Questions), receipts: map[string]string{}, scores: map[*fakeConn]int{}}
		c.ok(m, `{"room":"q","pin":"123456","hostToken":"t"}`)
		return
	}
	r := s.room(m.Room)
	q := r.quiz
	switch {
	case m.Op == "quiz:start", m.Op == "quiz:next" && q.phase == "leaderboard" && q.number < q.total:
		q.number++
		q.phase, q.answers = "open", map[*fakeConn]int{}
		c.ok(m, "{}")
		now := time.Now().UnixMilli()
		s.broadcast(r, m.Room, "quiz:question",
			fmt.Sprintf(`{"number":%d,"opensAt":%d,"closesAt":%d}`, q.number, now, now+10000))
	case m.Op == "quiz:next" && q.phase == "results":
		q.phase = "leaderboard"
		c.ok(m, "{}")
		s.broadcast(r, m.Room, "quiz:leaderboard", s.board(r))
	case m.Op == "quiz:next":
		c.ok(m, "{}")
		s.broadcast(r, m.Room, "quiz:end", s.board(r))
	case m.Op == "quiz:answer":
		s.answer(c, m, r)
	}
}

func (s *fake) answer(c *fakeConn, m fakeMessage, r *fakeRoom) {
	q := r.quiz
	var d struct {
		Answer, Key string
	}
	_ = json.Unmarshal(m.Data, &d)
	_, again := q.receipts[d.Key]
	if !again || s.faulty("receipt") {
		q.receipts[d.Key] = fmt.Sprintf("r%d-%d", len(q.receipts), m.ID)
		q.answers[c] = int(d.Answer[0] - '0')
	}
	c.ok(m, fmt.Sprintf(`{"receipt":%q,"acceptedAt":1,"durable":true}`, q.receipts[d.Key]))
	if again || len(q.answers) < len(r.members)-1 {
		return
	}
	q.phase = "results"
	s.broadcast(r, m.Room, "quiz:results", fmt.Sprintf(`{"number":%d,"answered":%d}`, q.number, len(q.answers)))
	for member, choice := range q.answers {
		if choice == correctOption(q.number) {
			q.scores[member] += 100
		}
	}
	for member, choice := range q.answers {
		outcome, points := "wrong", 0
		if choice == correctOption(q.number) {
			outcome, points = "correct", 100
		}
		rank := 1
		for other := range q.answers {
			if q.scores[other] > q.scores[member] {
				rank++
			}
		}
		score := q.scores[member]
		if s.faulty("score") {
			score += 7
		}
		if s.faulty("lose quiz:rank") {
			continue
		}
		data := fmt.Sprintf(`{"number":%d,"rank":%d,"score":%d,"points":%d,"outcome":%q}`,
			q.number, rank, score, points, outcome)
		member.send(fmt.Sprintf(`{"ev":"quiz:rank","room":"q","ts":%d,"data":%s}`, time.Now().UnixMilli(), data))
	}
}

func (s *fake) board(r *fakeRoom) string {
	var rows []string
	for _, c := range r.members {
		if c.name != "host" {
			rows = append(rows, fmt.Sprintf(`{"name":%q,"score":%d}`, c.name, r.quiz.scores[c]))
		}
	}
	return `{"number":1,"top":[` + strings.Join(rows, ",") + `]}`
}
