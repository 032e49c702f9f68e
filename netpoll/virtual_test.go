package netpoll_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/netpoll/simnet"
)

// mailbox is a virtual transport that a test empties.
type mailbox struct {
	conn *netpoll.Conn
	held []byte
	left int // how often Unseated was called
}

func (m *mailbox) Write(p []byte) (int, error) {
	m.held = append(m.held, p...)
	return len(p), nil
}

func (m *mailbox) Writev(bs [][]byte) (n int, err error) {
	for i, b := range bs {
		m.held = append(m.held, b...)
		n += len(b)
		bs[i] = nil
	}
	return n, nil
}

func (m *mailbox) OutboundBuffered() int { return len(m.held) }
func (m *mailbox) RemoteAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 1} }
func (m *mailbox) Seated(c *netpoll.Conn) {
	m.conn = c
}

func (m *mailbox) Unseated() []byte {
	m.left++
	return m.held
}

// take empties the mailbox, as a GET would.
func (m *mailbox) take() string {
	s := string(m.held)
	m.held = nil
	m.conn.Drained()
	return s
}

// on runs f on the loop, in a turn of its own.
func on(n *simnet.Net, f func()) {
	n.Loops()[0].Post(f)
	n.Run()
}

func TestVirtualConnection(t *testing.T) {
	before := frame.Live()
	var opened, closed []string
	h := &script{
		opened: func(c *netpoll.Conn) { opened = append(opened, c.RemoteAddr()) },
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { closed = append(closed, r.String()) },
	}
	released := 0
	n := simulate(t, netpoll.Config{
		ConnsMax: 2, AcceptRate: 1, OutboxHighBytes: 1 << 10, OutboxHardBytes: 2 << 10,
		Admit: func(string) (func(), bool) { return func() { released++ }, true },
	}, h, simnet.Options{Wide: true})
	a, b := &mailbox{}, &mailbox{}
	send := func(class netpoll.Class, key uint64, text string) (status netpoll.SendStatus) {
		on(n, func() {
			f := frame.Of([]byte(text))
			status = a.conn.Send(class, key, f)
			f.Release()
		})
		return status
	}
	on(n, func() {
		if n.Loops()[0].Seat(a) == nil || n.Loops()[0].Seat(b) == nil || n.Loops()[0].Seat(&mailbox{}) != nil {
			t.Error("two of three must be seated")
		}
		if a.conn.Late() || b.conn.Late() || a.conn.Virtual() != a {
			t.Error("a virtual connection counts against no rate of accepts")
		}
	})
	if strings.Join(opened, " ") != "10.9.8.7:1 10.9.8.7:1" || n.Stats().Open != 2 {
		t.Fatalf("opened %v, open %d", opened, n.Stats().Open)
	}
	if s := send(netpoll.Volatile, 0, "first "); s != netpoll.Sent || a.take() != "first " {
		t.Fatalf("an empty mailbox: %v", s)
	}
	for _, c := range []struct {
		class netpoll.Class
		key   uint64
		text  string
		want  netpoll.SendStatus
	}{
		{netpoll.Reliable, 0, "r1 ", netpoll.Sent},
		{netpoll.Volatile, 0, "v ", netpoll.Dropped},
		{netpoll.State, 7, "s1 ", netpoll.Queued},
		{netpoll.State, 7, "s2 ", netpoll.Replaced},
		{netpoll.Reliable, 0, "r2 ", netpoll.Queued},
	} {
		if got := send(c.class, c.key, c.text); got != c.want {
			t.Errorf("%s: %v, want %v", c.text, got, c.want)
		}
	}
	var first, second string
	on(n, func() { first = a.take() })
	on(n, func() { second = a.take() })
	if first != "r1 " || second != "s2 r2 " {
		t.Errorf("took %q, then %q", first, second)
	}
	send(netpoll.Reliable, 0, "x")
	for range 4 {
		send(netpoll.Reliable, 0, strings.Repeat("x", 1000))
	}
	on(n, func() { b.conn.Close(netpoll.ReasonPolicy) })
	if got := strings.Join(closed, " "); got != "slow_consumer policy" || a.left != 1 || b.left != 1 || released != 2 {
		t.Errorf("closed %q, unseated %d and %d times, released %d", got, a.left, b.left, released)
	}
	if st, live := n.Stats(), frame.Live()-before; live != 0 || st.Open != 0 || st.Blocked != 0 || st.Timers != 0 {
		t.Errorf("left over: %d frames, %+v", live, st)
	}
}

func TestTakingAnEmptiedMailboxOn(t *testing.T) {
	n := simulate(t, netpoll.Config{}, &script{}, simnet.Options{})
	m := &mailbox{}
	on(n, func() { n.Loops()[0].Seat(m) })
	on(n, func() { m.conn.SendBytes(netpoll.Reliable, []byte("1")) })
	on(n, func() { m.conn.SendBytes(netpoll.Reliable, []byte("2")) })
	m.held = nil // nobody says so: the loop looks by itself
	n.Advance(50 * time.Millisecond)
	if string(m.held) != "2" {
		t.Errorf("holds %q", m.held)
	}
}

// numbers is the first n numbers, each with a space behind it.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d ", i)
	}
	return b.String()
}

// TestRebindKeepsEverything sends numbered frames to a virtual connection that is emptied now and then, and puts a
// socket under it at some moment: the peer of both must get every number once and in order, whatever was queued where.
func TestRebindKeepsEverything(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var closed []netpoll.Reason
		var socket *netpoll.Conn
		heard := ""
		n := simulate(t, netpoll.Config{OutboxHighBytes: 1 << 10, UringConnsMin: 1}, &script{
			opened: func(c *netpoll.Conn) {
				if c.Virtual() == nil {
					socket = c
				}
			},
			closed: func(_ *netpoll.Conn, r netpoll.Reason) { closed = append(closed, r) },
			data: func(c *netpoll.Conn, in []byte) {
				if heard += string(in); c.Virtual() != nil {
					t.Errorf("seed %d: %q came to a virtual connection", seed, in)
				}
			},
		}, simnet.Options{Seed: seed, Chop: seed%2 == 0, Wide: seed%3 == 0, SendBufferBytes: 300})
		m := &mailbox{}
		on(n, func() { n.Loops()[0].Seat(m) })
		peer := n.Dial()
		n.Run()
		var got strings.Builder
		sent, switchAt := 0, rnd.IntN(60)
		send := func() {
			for range rnd.IntN(4) {
				m.conn.SendBytes(netpoll.Reliable, fmt.Appendf(nil, "%d ", sent))
				sent++
			}
		}
		for step := range 80 {
			on(n, func() {
				send()
				switch {
				case step == switchAt:
					socket.SendBytes(netpoll.Reliable, []byte("probe "))
					if err := m.conn.Rebind(socket); err != nil {
						t.Fatal(err)
					}
				case step < switchAt && rnd.IntN(3) == 0:
					got.WriteString(m.take())
				}
				send()
			})
			if rnd.IntN(4) == 0 {
				peer.Pause()
			} else {
				peer.Resume()
			}
		}
		peer.Resume()
		n.Advance(time.Second)
		got.WriteString(strings.Replace(string(peer.Read()), "probe ", "", 1))
		if want := numbers(sent); got.String() != want || m.left != 1 {
			t.Fatalf("seed %d: got %q, want %q; unseated %d times", seed, got.String(), want, m.left)
		}
		if len(closed) != 1 || closed[0] != netpoll.ReasonHandedOff || peer.Conn() != m.conn || n.Stats().Open != 1 {
			t.Fatalf("seed %d: closed %v, %+v", seed, closed, n.Stats())
		}
		peer.Write([]byte("hello"))
		peer.Close()
		n.Advance(time.Second)
		if len(closed) != 2 || n.Stats().Open != 0 || heard != "hello" {
			t.Fatalf("seed %d: the peer said %q and went: %v", seed, heard, closed)
		}
	}
}

func TestWhatCantBeRebound(t *testing.T) {
	n := simulate(t, netpoll.Config{Loops: 2}, &script{}, simnet.Options{})
	a, b := &mailbox{}, &mailbox{}
	on(n, func() { n.Loops()[0].Seat(a); n.Loops()[0].Seat(b) })
	here, there := n.DialLoop(0), n.DialLoop(1)
	n.Run()
	on(n, func() {
		for name, err := range map[string]error{
			"itself": a.conn.Rebind(a.conn), "virtual": a.conn.Rebind(b.conn), "elsewhere": a.conn.Rebind(there.Conn()),
			"real": here.Conn().Rebind(here.Conn()),
		} {
			if !errors.Is(err, netpoll.ErrNotRebindable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.conn.Close(netpoll.ReasonDone)
		if err := b.conn.Rebind(here.Conn()); !errors.Is(err, netpoll.ErrNotRebindable) {
			t.Errorf("closing: %v", err)
		}
		if err := here.Conn().MoveTo(n.Loops()[1], nil); !errors.Is(err, netpoll.ErrNotMovable) {
			t.Errorf("moving in a simulation: %v", err)
		}
	})
}

// TestMoveBetweenLoops sends every connection to the other loop with what it has read; peers notice nothing.
func TestMoveBetweenLoops(t *testing.T) {
	var server atomic.Pointer[netpoll.Server]
	reasons := make(chan netpoll.Reason, 200)
	h := &script{
		data: func(c *netpoll.Conn, in []byte) {
			text, at := string(in), c.Loop().Index()
			if strings.HasPrefix(text, "move") && !strings.Contains(text, fmt.Sprint(at)) {
				if err := c.MoveTo(server.Load().Loops()[1-at], in); err != nil {
					t.Error(err)
				}
				return
			}
			c.SendBytes(netpoll.Reliable, fmt.Appendf(nil, "%d %s", at, text))
		},
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
	}
	s := serve(t, netpoll.Config{Loops: 2, HandshakeTimeout: time.Minute}, h)
	server.Store(s)
	for i := range 40 {
		c := dial(t, s)
		write(t, c, fmt.Sprintf("move to %d\n", i%2))
		if got, want := readLine(t, c), fmt.Sprintf("%d move to %d", i%2, i%2); got != want {
			t.Fatalf("read %q, want %q", got, want)
		}
		write(t, c, "more\n")
		if got, want := readLine(t, c), fmt.Sprintf("%d more", i%2); got != want {
			t.Fatalf("read %q, want %q", got, want)
		}
	}
	for len(reasons) > 0 {
		if r := <-reasons; r != netpoll.ReasonHandedOff {
			t.Errorf("ended for %v", r)
		}
	}
	if open := s.Stats().Open; open != 40 {
		t.Errorf("%d are open", open)
	}
}
