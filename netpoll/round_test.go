package netpoll_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"lectern/netpoll"
	"lectern/netpoll/simnet"
)

// Requests that are ready together are answered together, each connection's in order; a request alone is answered at
// once.
func TestReadsShareATurnWhenManyAreReady(t *testing.T) {
	eachPath(t, func(t *testing.T, path netpoll.Config) {
		const clients, rounds = 200, 20
		var reads, turns atomic.Int64
		path.UringConnsMin = 0 // as it is by default
		s := serve(t, path, &script{
			data: func(c *netpoll.Conn, in []byte) { reads.Add(1); echo(c, in) },
			turn: func(*netpoll.Loop) { turns.Add(1) },
		})
		conns := make([]*net.TCPConn, clients)
		for i := range conns {
			conns[i] = dial(t, s)
			write(t, conns[i], "hello\n")
			readLine(t, conns[i])
		}
		reads.Store(0)
		turns.Store(0)
		for round := range rounds {
			stuck, held := make(chan struct{}), make(chan struct{})
			s.Loops()[0].Post(func() { close(held); <-stuck })
			recv(t, held) // so that all are ready when the loop looks again
			for i, c := range conns {
				write(t, c, fmt.Sprintf("%d.%d\n", round, i))
			}
			close(stuck)
			for i, c := range conns {
				if got, want := readLine(t, c), fmt.Sprintf("%d.%d", round, i); got != want {
					t.Fatalf("read %q, want %q", got, want)
				}
			}
		}
		if r, n := reads.Load(), turns.Load(); n > r/3 {
			t.Errorf("%d readable callbacks in %d turns", r, n)
		}
	})
}

// Whatever a shared turn holds back leaves although nothing else happens, also beside closes, which end it.
func TestNothingIsHeldBackForLong(t *testing.T) {
	s := serve(t, netpoll.Config{UringConnsMin: 1}, &script{data: func(c *netpoll.Conn, in []byte) {
		echo(c, in)
		if in[0] == 'q' {
			c.Close(netpoll.ReasonDone)
		}
	}})
	var all sync.WaitGroup
	for i := range 50 {
		c := dial(t, s)
		all.Go(func() {
			for k := range 20 {
				text := fmt.Sprintf("%d", k)
				if k == 19 && i%2 == 0 {
					text = "quit"
				}
				if _, err := c.Write([]byte(text + "\n")); err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, len(text)+1)
				if _, err := c.Read(got); err != nil || string(got) != text+"\n" {
					t.Errorf("read %q, %v, want %q", got, err, text)
					return
				}
			}
		})
	}
	all.Wait()
}

// A loop that stops while a turn is held open neither hangs nor loses what can still be sent.
func TestStopDuringASharedTurn(t *testing.T) {
	n := simulate(t, netpoll.Config{UringConnsMin: 1}, &script{data: echo}, simnet.Options{})
	var clients []*simnet.Client
	for range 10 {
		clients = append(clients, n.Dial())
	}
	n.Run()
	for _, c := range clients {
		c.Write([]byte("x"))
	}
	for range 5 {
		n.Step()
	}
	n.Stop()
	if st := n.Stats(); st.Open != 0 || st.Closed[netpoll.ReasonServerStopped] != 10 {
		t.Errorf("counted %+v", st)
	}
}
