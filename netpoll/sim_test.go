package netpoll_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/netpoll/simnet"
)

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func simulate(t fataler, cfg netpoll.Config, h netpoll.Handler, opts simnet.Options) *simnet.Net {
	t.Helper()
	if cfg.Loops == 0 {
		cfg.Loops = 1
	}
	n, err := simnet.New(cfg, h, opts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOutboxKeepsItsPromises sends frames of all classes to a peer that reads now and then, and compares what arrives
// with what the classes promise.
func TestOutboxKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := frame.Live()
		var conn *netpoll.Conn
		var reason netpoll.Reason
		cfg := netpoll.Config{
			OutboxHighBytes: 1 << 10, OutboxHardBytes: 1 << rapid.IntRange(10, 14).Draw(t, "hard"), UringConnsMin: 1,
		}
		n := simulate(t, cfg, &script{
			opened: func(c *netpoll.Conn) { conn = c; c.StopTimer(netpoll.TimerHandshake) },
			closed: func(_ *netpoll.Conn, r netpoll.Reason) { reason = r },
		}, simnet.Options{
			Seed: rapid.Uint64().Draw(t, "seed"), Chop: true, Wide: rapid.Bool().Draw(t, "wide"),
			SendBufferBytes: rapid.SampledFrom([]int{64, 1000, 1 << 20}).Draw(t, "kernel"),
		})
		client := n.Dial()
		n.Run()
		var got bytes.Buffer
		s := sender{t: t, net: n, newest: map[uint64]int{}, forbidden: map[int]bool{}}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"send", "send", "send", "pause", "resume", "wait"}).Draw(t, "step") {
			case "send":
				s.turn(conn, rapid.IntRange(1, 12).Draw(t, "frames"))
				if q, most := conn.QueuedBytes(), max(2*cfg.OutboxHardBytes, s.largest); q > most {
					t.Fatalf("%d bytes queued, the limit is %d", q, most)
				}
			case "pause":
				client.Pause()
			case "resume":
				client.Resume()
			case "wait":
				n.Advance(15 * time.Millisecond)
			}
			got.Write(client.Read())
		}
		client.Resume()
		for range 10_000 {
			if n.Advance(10 * time.Millisecond); client.Held() == 0 && conn.QueuedBytes() == 0 {
				break
			}
		}
		got.Write(client.Read())
		s.check(got.String(), reason, n.Stats())
		n.Stop()
		if live := frame.Live() - before; live != 0 {
			t.Fatalf("%d frames were not released", live)
		}
	})
}

// sender sends numbered lines and remembers what must and must not arrive.
type sender struct {
	t         *rapid.T
	net       *simnet.Net
	sent      int
	largest   int
	reliable  []int
	newest    map[uint64]int // key → number of the newest state
	forbidden map[int]bool   // refused at once
}

func (s *sender) turn(c *netpoll.Conn, frames int) {
	type message struct {
		class  netpoll.Class
		key    uint64
		size   int
		copied bool
	}
	var batch []message
	for range frames {
		m := message{
			class:  netpoll.Class(rapid.IntRange(0, 2).Draw(s.t, "class")),
			size:   rapid.SampledFrom([]int{0, 10, 100, 600}).Draw(s.t, "size"),
			copied: rapid.Bool().Draw(s.t, "copied"),
		}
		if m.class == netpoll.State && !m.copied {
			m.key = rapid.Uint64Range(0, 3).Draw(s.t, "key")
		}
		batch = append(batch, m)
	}
	s.net.Loops()[0].Post(func() {
		for _, m := range batch {
			s.sent++
			line := fmt.Sprintf("%d %s\n", s.sent, strings.Repeat("x", m.size))
			s.largest = max(s.largest, len(line))
			var status netpoll.SendStatus
			if m.copied {
				status = c.SendBytes(m.class, []byte(line))
			} else {
				f := frame.Of([]byte(line))
				status = c.Send(m.class, m.key, f)
				f.Release()
			}
			switch {
			case status == netpoll.Dropped && m.class != netpoll.Volatile:
				s.t.Errorf("a %v frame was dropped", m.class)
			case status == netpoll.Dropped || status == netpoll.Closed:
				s.forbidden[s.sent] = true
			case m.class == netpoll.Reliable || m.class == netpoll.State && m.key == 0:
				s.reliable = append(s.reliable, s.sent)
			case m.class == netpoll.State:
				s.newest[m.key] = s.sent
			}
		}
	})
	s.net.Run()
}

func (s *sender) check(received string, reason netpoll.Reason, stats netpoll.Stats) {
	arrived := map[int]bool{}
	last := 0
	for line := range strings.Lines(received) {
		number := 0
		if _, err := fmt.Sscanf(line, "%d ", &number); err != nil {
			s.t.Fatalf("a broken line arrived: %q", line)
		}
		if number <= last {
			s.t.Fatalf("%d arrived after %d", number, last)
		}
		if s.forbidden[number] {
			s.t.Fatalf("%d was refused and arrived", number)
		}
		arrived[number], last = true, number
	}
	if reason != netpoll.ReasonNone {
		if reason != netpoll.ReasonSlowConsumer {
			s.t.Fatalf("closed for %v", reason)
		}
		return
	}
	for _, number := range s.reliable {
		if !arrived[number] {
			s.t.Fatalf("%d is reliable and did not arrive", number)
		}
	}
	for key, number := range s.newest {
		if !arrived[number] {
			s.t.Fatalf("%d is the newest state of key %d and did not arrive", number, key)
		}
	}
	dropped := int(stats.Dropped[netpoll.Volatile] + stats.Dropped[netpoll.State])
	copied := stats.Dropped[netpoll.Reliable]
	if copied != 0 {
		s.t.Fatalf("%d reliable frames are counted as lost", copied)
	}
	if missing := s.sent - len(arrived); missing < dropped || (missing > 0) != (dropped > 0) {
		s.t.Fatalf("%d frames are missing, %d counted as dropped", missing, dropped)
	}
}

// TestLifeOfConnections lets connections come, talk, break and be closed in any order, on the simulated network, and
// checks the promises of Handler.
func TestLifeOfConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := frame.Live()
		w := &witness{t: t, open: map[netpoll.ConnID]*netpoll.Conn{}}
		n := simulate(t, netpoll.Config{Loops: 2, ConnsMax: 12, UringConnsMin: 2}, w, simnet.Options{
			Seed: rapid.Uint64().Draw(t, "seed"), Chop: true, Wide: rapid.Bool().Draw(t, "wide"), SendBufferBytes: 256,
		})
		var clients []*simnet.Client
		some := func() *simnet.Client {
			if len(clients) == 0 {
				t.Skip("nobody there")
			}
			return rapid.SampledFrom(clients).Draw(t, "client")
		}
		t.Repeat(map[string]func(*rapid.T){
			"dial":  func(*rapid.T) { clients = append(clients, n.Dial()) },
			"write": func(t *rapid.T) { some().Write([]byte(rapid.SampledFrom(commands).Draw(t, "command"))) },
			"close": func(*rapid.T) { some().Close() },
			"reset": func(*rapid.T) { some().Reset() },
			"pause": func(*rapid.T) { some().Pause() },
			"run": func(t *rapid.T) {
				n.Run()
				for id, c := range w.open {
					if netpoll.Stuck(c) {
						t.Fatalf("frames for %v wait for nothing", id)
					}
				}
			},
			"some": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "steps") {
					n.Step()
				}
			},
			"time": func(*rapid.T) { n.Advance(3 * time.Second) },
			"post": func(t *rapid.T) {
				l := n.Loops()[rapid.IntRange(0, 1).Draw(t, "loop")]
				l.Post("broadcast")
			},
			"": func(t *rapid.T) {
				if got := n.Stats().Open; got != len(w.open) {
					t.Fatalf("%d connections counted, %d known", got, len(w.open))
				}
			},
		})
		n.Stop()
		if len(w.open) != 0 {
			t.Fatalf("%d connections were never closed", len(w.open))
		}
		st := n.Stats()
		var closed uint64
		for _, v := range st.Closed {
			closed += v
		}
		if st.Accepted != closed || st.Open != 0 || st.Blocked != 0 || st.Timers != 0 {
			t.Fatalf("the counts don't balance: %+v", st)
		}
		if live := frame.Live() - before; live != 0 {
			t.Fatalf("%d frames were not released", live)
		}
	})
}

var commands = []string{"echo ", "broadcast ", "done ", "panic ", "timer ", "kick ", "big "}

// witness is a handler that checks the order of its own callbacks.
type witness struct {
	t    *rapid.T
	open map[netpoll.ConnID]*netpoll.Conn
	past []netpoll.ConnID
}

func (w *witness) LoopStarted(l *netpoll.Loop) { l.State = w }

func (w *witness) Opened(c *netpoll.Conn) {
	if w.open[c.ID()] != nil || c.Loop().Lookup(c.ID()) != c {
		w.t.Fatalf("%v opened twice or can't be found", c.ID())
	}
	w.open[c.ID()] = c
	for _, id := range w.past {
		if c.Loop().Lookup(id) != nil {
			w.t.Fatalf("%v is closed and was found", id)
		}
	}
}

func (w *witness) known(c *netpoll.Conn, callback string) {
	if w.open[c.ID()] != c {
		w.t.Fatalf("%s for %v, which is not open", callback, c.ID())
	}
}

func (w *witness) Data(c *netpoll.Conn, in []byte) {
	w.known(c, "Data")
	switch in[0] {
	case 'e':
		c.StopTimer(netpoll.TimerHandshake)
		c.SendBytes(netpoll.Reliable, in)
	case 'b':
		w.broadcast(c.Loop())
	case 'd':
		c.SendBytes(netpoll.Reliable, []byte("bye"))
		c.Close(netpoll.ReasonDone)
	case 'p':
		panic("on purpose")
	case 't':
		c.SetTimer(netpoll.TimerUser, time.Second)
	case 'k': // close everybody else, inside a walk
		for _, o := range w.open {
			if o.Loop() == c.Loop() && o != c {
				o.Close(netpoll.ReasonPolicy)
			}
		}
	case 'g':
		c.SendBytes(netpoll.State, make([]byte, 1000))
	}
}

func (w *witness) broadcast(l *netpoll.Loop) {
	f := frame.Of([]byte("to all"))
	defer f.Release()
	for _, c := range w.open {
		if c.Loop() == l {
			c.Send(netpoll.Reliable, 0, f)
		}
	}
}

func (w *witness) Task(l *netpoll.Loop, _ any) { w.broadcast(l) }
func (w *witness) TurnEnded(*netpoll.Loop)     {}

func (w *witness) Timer(c *netpoll.Conn, _ netpoll.TimerKind) {
	w.known(c, "Timer")
	c.SendBytes(netpoll.Volatile, []byte("tick"))
}

func (w *witness) Closed(c *netpoll.Conn, r netpoll.Reason) {
	w.known(c, "Closed")
	delete(w.open, c.ID())
	w.past = append(w.past, c.ID())
	if status := c.SendBytes(netpoll.Reliable, []byte("late")); status != netpoll.Closed {
		w.t.Fatalf("sending on a closed connection gave %v", status)
	}
	if c.Loop().Lookup(c.ID()) != nil || r == netpoll.ReasonNone {
		w.t.Fatalf("%v closed for %v and can still be found", c.ID(), r)
	}
	w.broadcast(c.Loop()) // sending to others inside Closed is allowed
}

// What Closed sends to others while a failing write is being dealt with leaves in the same turn.
func TestSendingInsideAFailedWrite(t *testing.T) {
	failed := 0
	for seed := range uint64(20) {
		var members []*netpoll.Conn
		n := simulate(t, netpoll.Config{UringConnsMin: 1}, &script{
			opened: func(c *netpoll.Conn) { members = append(members, c) },
			closed: func(_ *netpoll.Conn, r netpoll.Reason) {
				if r == netpoll.ReasonWriteFailed {
					failed++
				}
				members[1].SendBytes(netpoll.Reliable, []byte("left"))
			},
		}, simnet.Options{Seed: seed, Wide: seed%2 == 0})
		first := n.Dial()
		n.Run()
		second := n.Dial()
		n.Run()
		n.Loops()[0].Post(func() { members[0].SendBytes(netpoll.Reliable, []byte("x")) })
		first.Reset()
		n.Run()
		if got := string(second.Read()); got != "left" {
			t.Fatalf("seed %d: the other read %q", seed, got)
		}
	}
	if failed == 0 {
		t.Error("no write failed: the test shows nothing")
	}
}

func TestTimersOfAConnection(t *testing.T) {
	var fired []string
	var start time.Time
	n := simulate(t, netpoll.Config{HandshakeTimeout: time.Second}, &script{
		opened: func(c *netpoll.Conn) {
			start = c.OpenedAt()
			c.SetTimer(netpoll.TimerUser, 300*time.Millisecond)
			c.SetTimer(netpoll.TimerIdle, 200*time.Millisecond)
			c.SetTimer(netpoll.TimerHeartbeat, 100*time.Millisecond)
			c.SetTimer(netpoll.TimerUser, 50*time.Millisecond) // moved
			c.StopTimer(netpoll.TimerIdle)
		},
		timer: func(c *netpoll.Conn, kind netpoll.TimerKind) {
			fired = append(fired, fmt.Sprintf("%v@%v", kind, c.Loop().Now().Sub(start)))
			if kind == netpoll.TimerHandshake {
				c.SendBytes(netpoll.Reliable, []byte("too slow"))
			}
		},
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { fired = append(fired, r.String()) },
	}, simnet.Options{})
	c := n.Dial()
	n.Advance(time.Minute)
	want := "[user@50ms heartbeat@100ms handshake@1s handshake_timeout]"
	if got := fmt.Sprint(fired); got != want {
		t.Errorf("fired %s, want %s", got, want)
	}
	if got := string(c.Read()); got != "too slow" || !c.Closed() {
		t.Errorf("the client read %q, closed %v", got, c.Closed())
	}
}

// Everything sent in one turn leaves in one write per connection, whoever sent it.
func TestOneWritePerTurn(t *testing.T) {
	n := simulate(t, netpoll.Config{}, &script{
		data: func(c *netpoll.Conn, in []byte) {
			f := frame.Of(in)
			defer f.Release()
			for range 50 {
				c.Send(netpoll.Reliable, 0, f)
				c.SendBytes(netpoll.Reliable, in)
			}
		},
		turn: func(l *netpoll.Loop) {
			if c := l.State; c != nil {
				c.(*netpoll.Conn).SendBytes(netpoll.Reliable, []byte("end"))
			}
		},
		opened: func(c *netpoll.Conn) { c.Loop().State = c },
	}, simnet.Options{})
	c := n.Dial()
	n.Run()
	before := n.Stats().Writes
	c.Read()
	c.Write([]byte("x"))
	n.Run()
	if got := n.Stats().Writes - before; got != 1 {
		t.Errorf("%d writes for one turn", got)
	}
	if got := string(c.Read()); got != strings.Repeat("x", 100)+"end" {
		t.Errorf("the client read %q", got)
	}
}

// writev(2) takes 1,024 pieces; the simulated one fails above that as the real one does.
func TestMoreFramesThanOneWriteTakes(t *testing.T) {
	n := simulate(t, netpoll.Config{}, &script{data: func(c *netpoll.Conn, in []byte) {
		for i := range 3000 {
			f := frame.Of([]byte{byte(i)})
			c.Send(netpoll.Reliable, 0, f)
			f.Release()
		}
	}}, simnet.Options{})
	c := n.Dial()
	c.Write([]byte("x"))
	n.Run()
	if got := c.Read(); len(got) != 3000 || c.Closed() {
		t.Fatalf("%d of 3000 frames arrived, closed %v", len(got), c.Closed())
	}
	if w := n.Stats().Writes; w != 3 {
		t.Errorf("%d writes", w)
	}
}

// A peer that was behind and has just caught up gets the last words all the same: nobody has looked since.
func TestLastWordsAfterCatchingUp(t *testing.T) {
	n := simulate(t, netpoll.Config{}, &script{data: func(c *netpoll.Conn, in []byte) {
		if in[0] == 'x' {
			c.SendBytes(netpoll.Reliable, bytes.Repeat([]byte("y"), 200_000))
			return
		}
		c.SendBytes(netpoll.Reliable, []byte("bye"))
		c.Close(netpoll.ReasonDone)
	}}, simnet.Options{})
	c := n.Dial()
	c.Write([]byte("x"))
	n.Run()
	if n.Stats().Blocked != 1 {
		t.Fatal("the peer is not behind: the test shows nothing")
	}
	var got []byte
	for c.Held() > 0 {
		got = append(got, c.Read()...)
		n.Run()
	}
	c.Write([]byte("."))
	n.Run()
	got = append(got, c.Read()...)
	if len(got) != 200_003 || !bytes.HasSuffix(got, []byte("bye")) {
		t.Errorf("%d bytes arrived, the last words are missing", len(got))
	}
}

func TestRefusing(t *testing.T) {
	n := simulate(t, netpoll.Config{Admit: func(remote string) (func(), bool) {
		return nil, !strings.HasPrefix(remote, "10.0.0.2:")
	}}, &script{}, simnet.Options{})
	first, second := n.Dial(), n.Dial()
	n.Run()
	n.Refuse(true)
	third := n.Dial()
	n.Run()
	n.Refuse(false)
	fourth := n.Dial()
	n.Run()
	got := []bool{first.Refused(), second.Refused(), third.Refused(), fourth.Refused()}
	if fmt.Sprint(got) != "[false true true false]" {
		t.Errorf("refused: %v", got)
	}
	if st := n.Stats(); st.Refused != 2 || st.Open != 2 {
		t.Errorf("counted %+v", st)
	}
}

// TestHundredThousand holds 100,000 connections on simulated sockets and sends to all of them.
func TestHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or two")
	}
	const conns = 100_000
	var members []*netpoll.Conn
	n := simulate(t, netpoll.Config{Loops: 4, ConnsMax: conns}, &script{
		opened: func(c *netpoll.Conn) { members = append(members, c) },
		task: func(l *netpoll.Loop, v any) {
			for _, c := range members {
				if c.Loop() == l {
					c.Send(netpoll.Reliable, 0, v.(*frame.Frame))
				}
			}
		},
	}, simnet.Options{})
	clients := make([]*simnet.Client, conns)
	for i := range clients {
		clients[i] = n.Dial()
	}
	n.Run()
	f := frame.Of([]byte("hello"))
	for _, l := range n.Loops() {
		l.Post(f)
	}
	n.Run()
	for i, c := range clients {
		if got := string(c.Read()); got != "hello" {
			t.Fatalf("client %d read %q", i, got)
		}
	}
	if f.Refs() != 1 {
		t.Errorf("%d references left", f.Refs())
	}
	f.Release()
	n.Stop()
}
