package gateway

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lectern/netpoll"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// shards stands in for the rooms: it keeps what the gateway posts.
type shards struct {
	full   atomic.Bool
	posted chan rooms.Command
}

func (s *shards) Shards() int        { return 1 }
func (s *shards) ShardOf(string) int { return 0 }
func (s *shards) PostAlways(_ int, commands []rooms.Command) {
	for _, cmd := range commands {
		s.posted <- cmd
	}
}

func (s *shards) Post(shard int, commands []rooms.Command) bool {
	if s.full.Load() {
		return false
	}
	s.PostAlways(shard, commands)
	return true
}

// next waits for the next command that the gateway posts.
func (s *shards) next(t *testing.T) rooms.Command {
	t.Helper()
	select {
	case cmd := <-s.posted:
		return cmd
	case <-time.After(patience):
		t.Fatal("the gateway posts nothing")
		panic("unreachable")
	}
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// scopes are tokens: each is good for the room of its name.
type scopes struct{}

func (scopes) Verify(now time.Time, token string) (auth.Claims, *wire.Error) {
	return auth.Claims{
		Subject: "user", Name: "user", Role: wire.RoleParticipant, Room: token, ExpiresAt: now.Add(time.Hour),
	}, nil
}

func (scopes) IssueAccess(now time.Time, _ auth.Claims) (string, time.Time, error) {
	return "token", now.Add(time.Hour), nil
}

// station is a gateway on real sockets, with one loop and nothing behind it.
type station struct {
	*Gateway
	net    *netpoll.Server
	shards *shards
}

func open(t *testing.T, change ...func(*Config)) *station {
	t.Helper()
	limit := quota.Limit{Count: 1000, Per: time.Second, Burst: 1000}
	s := &station{shards: &shards{posted: make(chan rooms.Command, 1000)}}
	cfg := Config{
		Dev: true, AuthTimeout: time.Minute, PingEvery: time.Minute,
		MessageTimeout: time.Minute, MessagesPer: limit, ChatPer: limit, RoomsPerConn: 10,
		HandOffQueueMax: 1,
	}
	for _, f := range change {
		f(&cfg)
	}
	s.Gateway = New(cfg, Options{
		Tokens: scopes{}, PINs: rooms.NewDirectory(), Now: time.Now,
		Clock: func() int64 { return 77_000 }, Logger: slog.New(slog.DiscardHandler),
		Rand: func() effect.Random { return rand.New(rand.NewPCG(1, 2)) },
	})
	s.SetPosts(s.shards)
	var err error
	if s.net, err = netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 1}, s.Gateway); err != nil {
		t.Fatal(err)
	}
	if err := s.net.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.net.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial upgrades a connection; token is the room that it is good for, empty for a guest of --dev.
func (s *station) dial(t *testing.T, token string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.net.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	target, header := "/ws?guest=Ada", ""
	if token != "" {
		target, header = "/ws", "Authorization: Bearer "+token+"\r\n"
	}
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", target, header)
	br := bufio.NewReader(c)
	if head, err := http.ReadResponse(br, nil); err != nil || head.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(head, err)
	}
	return c, br
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write(ws.AppendMaskedText(nil, []byte(text), 7)); err != nil {
		t.Fatal(err)
	}
}

// deliver hands one output to the loops, as a shard does.
func (s *station) deliver(room string, o effect.Output) {
	s.Deliver(0, []rooms.Delivery{{Room: room, Output: o}}, func() {})
}

// A connection joins, leaves and joins again, and is gone before the room's answers arrive. The first answer to its
// leaving made the gateway forget the room; the room must be told all the same.
func TestJoinOfAConnectionThatIsGoneIsTakenBack(t *testing.T) {
	s := open(t)
	c, br := s.dial(t, "")
	say(t, c, `{"id":1,"op":"room:join","room":"r"}`)
	conn := s.shards.next(t).From.Conn
	s.deliver("r", effect.Output{Kind: effect.Join, Conn: conn, Role: wire.RoleParticipant})
	say(t, c, `{"id":2,"op":"room:leave","room":"r"}`)
	s.shards.next(t)
	say(t, c, `{"id":3,"op":"room:join","room":"r"}`)
	s.shards.next(t)
	s.deliver("r", effect.Output{Kind: effect.Leave, Conn: conn})
	s.deliver("r", effect.Output{Kind: effect.Reply, Conn: conn, Req: 2})
	if _, err := br.ReadByte(); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	for s.net.Stats().Open > 0 {
		runtime.Gosched()
	}
	s.deliver("r", effect.Output{Kind: effect.Join, Conn: conn, Role: wire.RoleParticipant})
	cmd := s.shards.next(t)
	if _, gone := cmd.Body.(*rooms.Disconnect); !gone || cmd.Room != "r" || cmd.From.Conn != conn {
		t.Fatalf("the room is told %+v", cmd)
	}
}

const createQuiz = `{"id":1,"op":"quiz:create","data":{"quiz":{"title":"T","questions":[` +
	`{"type":"single_choice","text":"Q","timeLimitMs":20000,"options":[{"text":"a","correct":true},{"text":"b"}]}]}}}`

// A quiz that never reaches its shard, because its connection went away meanwhile or because the shard has no room for
// it, doesn't keep its PIN.
func TestPINOfAQuizThatNeverComesToBeIsFree(t *testing.T) {
	s := open(t)
	c, _ := s.dial(t, "")
	say(t, c, createQuiz)
	job := <-s.work
	_ = c.Close()
	for s.net.Stats().Open > 0 {
		runtime.Gosched()
	}
	job()
	for s.pins.Len() > 0 { // the loop has the task; go test's own limit ends a wait that is in vain
		runtime.Gosched()
	}
	c, br := s.dial(t, "")
	s.shards.full.Store(true)
	say(t, c, createQuiz)
	(<-s.work)()
	if _, err := br.ReadByte(); err != nil {
		t.Fatal(err)
	}
	if n := s.pins.Len(); n != 0 {
		t.Errorf("after a refused batch %d PINs are in use", n)
	}
	cmd, err := s.NewSession(effect.Caller{User: "host"}, &wire.QuizCreateData{Quiz: &wire.Quiz{}})
	if err != nil || s.pins.Len() != 1 {
		t.Fatal(err, s.pins.Len())
	}
	if _, err := s.Call(t.Context(), cmd); err == nil || s.pins.Len() != 0 {
		t.Errorf("after a refused call %d PINs are in use: %v", s.pins.Len(), err)
	}
}

// A room that a connection has no business with isn't asked, and so isn't loaded.
func TestWhatIsRefusedWithoutAskingTheRoom(t *testing.T) {
	s := open(t)
	pin, _ := s.pins.Reserve(rand.New(rand.NewPCG(3, 4)), "other")
	for _, tt := range []struct {
		token, op, room string
		want            wire.Code
	}{
		{"mine", "room:join", "other", wire.CodeForbidden},
		{"mine", "room:join", pin, wire.CodeForbidden},
		{"mine", "room:join", "000000", wire.CodeForbidden},
		{"mine", "quiz:end", "guess", wire.CodeForbidden},
		{"mine", "chat:typing", "", wire.CodeNotMember},
		{"", "chat:typing", "guess", wire.CodeNotMember},
		{"", "room:join", "000000", wire.CodeUnknownRoom},
		{"", "room:join", pin, ""},
		{"", "room:join", "room-1", ""},
		{"", "quiz:next", "room-1", ""},
		{"mine", "room:join", "", ""},
	} {
		c, br := s.dial(t, tt.token)
		say(t, c, fmt.Sprintf(`{"id":1,"op":%q,"room":%q,"data":{}}`, tt.op, tt.room))
		if tt.want == "" {
			if cmd := s.shards.next(t); cmd.Op.String() != tt.op {
				t.Errorf("%+v: posted %+v", tt, cmd)
			}
			continue
		}
		answer := make([]byte, 512)
		n, err := br.Read(answer)
		if err != nil || !strings.Contains(string(answer[:n]), fmt.Sprintf("%q", tt.want)) {
			t.Errorf("%+v: answered %s %v", tt, answer[:n], err)
		}
		if len(s.shards.posted) > 0 {
			t.Errorf("%+v: the room is asked: %+v", tt, s.shards.next(t))
		}
	}
}

// The HTTP side doesn't wait for ever for a room that doesn't answer.
func TestCallEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{HandOffQueueMax: 1}, Options{PINs: rooms.NewDirectory()})
		g.SetPosts(&shards{posted: make(chan rooms.Command, 1)})
		began := time.Now()
		_, err := g.Call(context.Background(), rooms.Command{Room: "r"})
		if err == nil || err.Code != wire.CodeUnavailable || time.Since(began) != callTimeout {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// Members set their clocks by the rooms' clock, not by the machine's, which somebody may set.
func TestTimeSyncTellsTheTimeOfTheRooms(t *testing.T) {
	s := open(t)
	c, br := s.dial(t, "")
	say(t, c, `{"id":1,"op":"time:sync","data":{"t0":5}}`)
	answer := make([]byte, 512)
	n, err := br.Read(answer)
	if err != nil || !strings.Contains(string(answer[:n]), `"t2":77000`) {
		t.Errorf("%s %v", answer[:n], err)
	}
}
