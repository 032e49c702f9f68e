package netpoll_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/netpoll/simnet"
)

// crowd is a server with n clients connected, all on one loop.
func crowd(t *testing.T, cfg netpoll.Config, n int) (*netpoll.Server, []*netpoll.Conn, []*net.TCPConn) {
	t.Helper()
	opened := make(chan *netpoll.Conn, 1)
	s := serve(t, cfg, &script{opened: func(c *netpoll.Conn) { opened <- c }})
	var conns []*netpoll.Conn
	var clients []*net.TCPConn
	for range n {
		clients = append(clients, dial(t, s))
		conns = append(conns, recv(t, opened))
	}
	return s, conns, clients
}

// Several batches of connections, with one frame or several, shared or their own, small or too large to be gathered:
// each gets all of its own, in order, and the paths are used as the statistics say.
func TestWideFanOutReachesEveryone(t *testing.T) {
	eachPath(t, func(t *testing.T, path netpoll.Config) {
		const members, turns = 600, 5
		s, conns, clients := crowd(t, path, members)
		want := make([]bytes.Buffer, members)
		for turn := range turns {
			do(t, s.Loops()[0], func() {
				shared := frame.Of(fmt.Appendf(nil, "turn %d to all\n", turn))
				large := frame.Of([]byte(strings.Repeat("x", 9<<10) + "\n"))
				defer shared.Release()
				defer large.Release()
				send := func(i int, f *frame.Frame) {
					conns[i].Send(netpoll.Reliable, 0, f)
					want[i].Write(f.Bytes())
				}
				for i := range conns {
					send(i, shared)
					if i%2 == 0 {
						send(i, shared) // the same pair for many: copied once
					}
					if i%3 == turn%3 {
						own := fmt.Appendf(nil, "%d to %d\n", turn, i)
						conns[i].SendBytes(netpoll.Reliable, own)
						want[i].Write(own)
					}
					if i%50 == 0 {
						send(i, large)
					}
				}
			})
		}
		for i, c := range clients {
			got := make([]byte, want[i].Len())
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want[i].Bytes()) {
				t.Fatalf("member %d read %d bytes, %v, and not what it was sent", i, len(got), err)
			}
		}
		do(t, s.Loops()[0], func() {}) // a client may read before its write is counted
		st := s.Stats()
		if st.Writes+st.Uring < members {
			t.Errorf("%d writes and %d sends by io_uring are counted for %d members", st.Writes, st.Uring, members)
		}
		if uring := path.IO == netpoll.IOUring; uring != (st.Uring > 0) || uring != (st.IO == netpoll.IOUring) {
			t.Errorf("the path is %v, counted: %d by io_uring, in use: %v", path.IO, st.Uring, st.IO)
		}
		if st.Enters > st.Uring/32 { // half of what a full submission holds
			t.Errorf("%d system calls for %d sends", st.Enters, st.Uring)
		}
	})
}

// Below the threshold a submission is no cheaper than the writes.
func TestFewConnectionsAreWritten(t *testing.T) {
	s, conns, clients := crowd(t, netpoll.Config{}, 7)
	do(t, s.Loops()[0], func() {
		for _, c := range conns {
			c.SendBytes(netpoll.Reliable, []byte("hello\n"))
		}
	})
	for _, c := range clients {
		readLine(t, c)
	}
	do(t, s.Loops()[0], func() {})
	if st := s.Stats(); st.Uring != 0 || st.Writes != 7 {
		t.Errorf("%d sends by io_uring, %d writes", st.Uring, st.Writes)
	}
}

// Each loop has a ring, and it is given back when the server stops.
func TestRingsAreClosed(t *testing.T) {
	if err := netpoll.UringUsable(); err != nil {
		t.Skip("io_uring can't be used here: ", err)
	}
	if n := rings(t); n != 0 {
		t.Fatalf("%d rings are open before the start", n)
	}
	t.Run("server", func(t *testing.T) {
		serve(t, netpoll.Config{Loops: 3, IO: netpoll.IOUring}, &script{})
		if n := rings(t); n != 3 {
			t.Errorf("3 loops have %d rings", n)
		}
	})
	if n := rings(t); n != 0 {
		t.Errorf("%d rings are open after the stop", n)
	}
}

// rings counts this process's descriptors of io_uring.
func rings(t *testing.T) (n int) {
	t.Helper()
	const dir = "/proc/self/fd"
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && strings.Contains(to, "io_uring") {
			n++
		}
	}
	return n
}

// refusingSender is a kernel that stops taking submissions.
type refusingSender struct{ result netpoll.WideResult }

// SendWide implements netpoll.WideSender.
func (r refusingSender) SendWide([]netpoll.Sending) netpoll.WideResult { return r.result }

// When the kernel refuses submissions for good everything is written instead. When it is not known what became of one,
// its connections are closed, since a message sent twice or in part would break them, and its bytes are never reused.
func TestKernelThatStopsTakingSubmissions(t *testing.T) {
	const members = 20
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost=%v", lost), func(t *testing.T) {
			var conns []*netpoll.Conn
			n := simulate(t, netpoll.Config{UringConnsMin: members}, &script{
				opened: func(c *netpoll.Conn) { conns = append(conns, c) },
			}, simnet.Options{Wide: true})
			var clients []*simnet.Client
			for range members {
				clients = append(clients, n.Dial())
				n.Run() // one by one, so that the order is the same on both sides
			}
			bystander := n.Dial()
			n.Run()
			before := frame.Live()
			send := func(text string) {
				n.Loops()[0].Post(func() {
					f := frame.Of([]byte(text))
					defer f.Release()
					for _, c := range conns[:members] {
						c.Send(netpoll.Reliable, 0, f)
					}
				})
				n.Run()
			}
			result := netpoll.WideUnavailable
			if lost {
				result = netpoll.WideLost
			}
			netpoll.ReplaceWide(n.Loops()[0], refusingSender{result})
			send("one ")
			send("two")
			n.Loops()[0].Post(func() { conns[members].SendBytes(netpoll.Reliable, []byte("here")) })
			n.Run()
			for i, c := range clients {
				if got := string(c.Read()); !lost && got != "one two" || lost && (got != "" || !c.Closed()) {
					t.Fatalf("member %d read %q, closed %v", i, got, c.Closed())
				}
			}
			if got := string(bystander.Read()); got != "here" {
				t.Errorf("the bystander read %q", got)
			}
			want := uint64(0)
			if lost {
				want = members
			}
			if got := n.Stats().Closed[netpoll.ReasonWriteFailed]; got != want {
				t.Errorf("%d connections were closed, want %d", got, want)
			}
			if live := frame.Live() - before; lost != (live == 1) {
				t.Errorf("%d frames are kept from reuse", live)
			}
			if n.Stats().IO != netpoll.IOWrites {
				t.Error("the statistics still say io_uring")
			}
		})
	}
}
