// Command gnetproto is the yardstick for Lectern's fan-out: the least that a WebSocket server on gnet can do. It knows
// no users, rights, sequence numbers, history or limits. A client connects to /raw?room=R; a text frame that begins
// with P goes to all members of R, the sender among them, as it came; one that begins with E comes back to its sender.
// Each loop has a FIFO inbox that one Execute
// wakes; whatever is waiting there for a room leaves in one write per member (natural batches).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9100", "address to listen on")
	loops := flag.Int("loops", runtime.NumCPU(), "event loops")
	flag.Parse()
	if err := run(*listen, *loops); err != nil {
		fmt.Fprintln(os.Stderr, "gnetproto:", err)
		os.Exit(1)
	}
}

func run(listen string, loops int) error {
	s := newServer()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		_ = s.engine.Stop(context.Background())
	}()
	return serve(s, listen, loops)
}

func serve(h gnet.EventHandler, listen string, loops int) error {
	return gnet.Run(h, "tcp://"+listen, gnet.WithNumEventLoop(loops), gnet.WithReusePort(true),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay))
}

func newServer() *server { return &server{byLoop: map[gnet.EventLoop]*loop{}} }

type server struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine

	mu     sync.RWMutex // guards what follows; taken per new connection and per turn with messages, never per member
	byLoop map[gnet.EventLoop]*loop
	loops  []*loop
}

// loop is what one event loop owns.
type loop struct {
	gnetLoop gnet.EventLoop
	rooms    map[string]*room // owned by the loop's goroutine

	mu    sync.Mutex
	inbox []post // guarded by mu
	armed atomic.Bool
}

type room struct {
	name    string
	members []gnet.Conn
	waiting []byte // frames of the inbox that is being drained
}

// post is a prepared frame for a room.
type post struct {
	room  string
	frame []byte
}

// peer is a connection's state, owned by its loop.
type peer struct {
	loop   *loop
	room   *room
	index  int    // in room.members
	turn   []byte // frames that this turn publishes
	closed bool
}

// OnBoot implements gnet.EventHandler.
func (s *server) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	return gnet.None
}

// OnOpen implements gnet.EventHandler.
func (s *server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&peer{loop: s.loopOf(c.EventLoop())})
	return nil, gnet.None
}

func (s *server) loopOf(g gnet.EventLoop) *loop {
	s.mu.RLock()
	l := s.byLoop[g]
	s.mu.RUnlock()
	if l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l = &loop{gnetLoop: g, rooms: map[string]*room{}}
	s.byLoop[g] = l
	s.loops = append(s.loops, l)
	return l
}

// OnClose implements gnet.EventHandler.
func (s *server) OnClose(c gnet.Conn, _ error) gnet.Action {
	p, ok := c.Context().(*peer)
	if !ok || p.closed {
		return gnet.None
	}
	p.closed = true
	if p.room != nil {
		p.room.members[p.index] = nil // the walk over members skips it; join fills the gap
	}
	return gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	p := c.Context().(*peer)
	if p.room == nil {
		return s.upgrade(c, p)
	}
	buf, _ := c.Peek(-1)
	used := 0
	for {
		n, keep := s.frame(c, p, buf[used:])
		if !keep {
			return gnet.Close
		}
		if n == 0 {
			break
		}
		used += n
	}
	_, _ = c.Discard(used)
	if len(p.turn) > 0 {
		s.broadcast(post{room: p.room.name, frame: p.turn})
		p.turn = nil
	}
	return gnet.None
}

// upgrade answers the handshake once the head is complete.
func (s *server) upgrade(c gnet.Conn, p *peer) gnet.Action {
	buf, _ := c.Peek(-1)
	end := strings.Index(string(buf), "\r\n\r\n")
	if end < 0 {
		return gnet.None
	}
	var name string
	up := ws.Upgrader{OnRequest: func(uri []byte) error {
		_, name, _ = strings.Cut(string(uri), "room=")
		return nil
	}}
	var out strings.Builder
	head := struct {
		io.Reader
		io.Writer
	}{strings.NewReader(string(buf[:end+4])), &out}
	if _, err := up.Upgrade(head); err != nil {
		return gnet.Close
	}
	_, _ = c.Discard(end + 4)
	p.loop.join(name, c, p)
	_, _ = c.Write([]byte(out.String()))
	return gnet.None
}

func (l *loop) join(name string, c gnet.Conn, p *peer) {
	r := l.rooms[name]
	if r == nil {
		r = &room{name: name}
		l.rooms[name] = r
	}
	p.room, p.index = r, len(r.members)
	r.members = append(r.members, c)
}

// frame handles one client frame at the head of b; n is its size, zero when it is incomplete.
func (s *server) frame(c gnet.Conn, p *peer, b []byte) (n int, keep bool) {
	if len(b) < 2 {
		return 0, true
	}
	reader := strings.NewReader(string(b[:min(len(b), ws.MaxHeaderSize)]))
	h, err := ws.ReadHeader(reader)
	if err != nil {
		return 0, len(b) < ws.MaxHeaderSize
	}
	head := min(len(b), ws.MaxHeaderSize) - reader.Len()
	if len(b) < head+int(h.Length) {
		return 0, true
	}
	payload := b[head : head+int(h.Length)]
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	switch {
	case h.OpCode == ws.OpClose:
		return 0, false
	case h.OpCode == ws.OpPing:
		frame, _ := ws.CompileFrame(ws.NewPongFrame(payload))
		_, _ = c.Write(frame)
	case h.OpCode == ws.OpText && len(payload) > 0 && payload[0] == 'P':
		frame, _ := ws.CompileFrame(ws.NewTextFrame(payload))
		p.turn = append(p.turn, frame...)
	case h.OpCode == ws.OpText && len(payload) > 0 && payload[0] == 'E':
		frame, _ := ws.CompileFrame(ws.NewTextFrame(payload))
		_, _ = c.Write(frame)
	}
	return head + int(h.Length), true
}

// broadcast puts the frames into every loop's inbox; the caller's own loop gets them the same way, so that all orders
// agree.
func (s *server) broadcast(m post) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.loops {
		l.mu.Lock()
		l.inbox = append(l.inbox, m)
		l.mu.Unlock()
		if l.armed.CompareAndSwap(false, true) {
			_ = l.gnetLoop.Execute(context.Background(), gnet.RunnableFunc(l.drain))
		}
	}
}

// drain takes the whole inbox, joins what waits for each room, and writes it once to each member.
func (l *loop) drain(context.Context) error {
	l.armed.Store(false)
	l.mu.Lock()
	posts := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	var touched []*room
	for _, m := range posts {
		r := l.rooms[m.room]
		if r == nil {
			continue
		}
		if len(r.waiting) == 0 {
			touched = append(touched, r)
		}
		r.waiting = append(r.waiting, m.frame...)
	}
	for _, r := range touched {
		for _, c := range r.members {
			if c != nil {
				_, _ = c.Write(r.waiting)
			}
		}
		r.waiting = r.waiting[:0]
	}
	return nil
}
