package netpoll_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"lectern/netpoll"
)

// While one server still owns a port and another one waits for its turn, every new connection reaches the other one,
// whichever of the two the kernel gave it to, with all that was sent meanwhile.
func TestTakeoverLosesNoConnection(t *testing.T) {
	first := serve(t, netpoll.Config{Loops: 2, ReusePort: true}, &script{data: func(c *netpoll.Conn, _ []byte) {
		c.SendBytes(netpoll.Reliable, []byte("first\n"))
	}})
	member, silent := dial(t, first), dial(t, first)
	write(t, member, "?")
	if got := readLine(t, member); got != "first" {
		t.Fatalf("read %q", got)
	}
	second, err := netpoll.New(netpoll.Config{Addr: first.Addr().String(), Loops: 2, ReusePort: true}, &script{data: echo})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, second) })
	first.Forward(func(fd int) bool {
		f := os.NewFile(uintptr(fd), "forwarded")
		defer f.Close() //nolint:errcheck // FileConn has its own descriptor
		c, err := net.FileConn(f)
		return err == nil && second.Adopt(c) == nil
	})
	for _, l := range first.Loops() { // those that have said nothing yet can be passed on too
		do(t, l, func() {
			l.Each(func(c *netpoll.Conn) {
				if c.RemoteAddr() == silent.LocalAddr().String() && !c.Forward() {
					t.Error("it stays")
				}
			})
		})
	}
	const conns = 100
	all := make([]net.Conn, conns)
	for i := range all {
		if all[i] = silent; i > 0 {
			all[i] = dial(t, first)
		}
		write(t, all[i], fmt.Sprintf("hello %d\n", i))
	}
	write(t, member, "?") // who was here before still is
	if got := readLine(t, member); got != "first" {
		t.Errorf("read %q", got)
	}
	if err := second.Serve(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		if got := readLine(t, c); got != fmt.Sprintf("hello %d", i) {
			t.Errorf("connection %d reads %q", i, got)
		}
	}
	forwarded := first.Stats().Forwarded
	t.Logf("%d of %d were forwarded", forwarded, conns)
	if s := second.Stats(); s.Accepted != conns || s.Refused != 0 || forwarded < 2 || forwarded == conns {
		t.Errorf("accepted %d, refused %d, forwarded %d of %d", s.Accepted, s.Refused, forwarded, conns)
	}
	inherit(t, first, second)
	stopWhileMoreConnect(t, first)
}

// stopWhileMoreConnect ends the first server; nobody who connects meanwhile notices.
func stopWhileMoreConnect(t *testing.T, first *netpoll.Server) {
	t.Helper()
	late := make(chan []net.Conn, 1)
	connecting := make(chan struct{})
	go func() { late <- connectAllTheTime(first.Addr().String(), connecting) }()
	<-connecting
	stop(t, first)
	for i, c := range recv(t, late) {
		if c == nil {
			t.Errorf("connect %d failed", i)
			continue
		}
		write(t, c, fmt.Sprintf("after %d\n", i))
		if got := readLine(t, c); got != fmt.Sprintf("after %d", i) {
			t.Errorf("connection %d reads %q", i, got)
		}
		_ = c.Close()
	}
}

// inherit gives the second server the sockets that the first one listens on.
func inherit(t *testing.T, first, second *netpoll.Server) {
	t.Helper()
	fds := first.Listeners()
	if len(fds) != 2 {
		t.Fatalf("%d listeners", len(fds))
	}
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(f)
		if err == nil {
			err = second.Inherit(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

// connectAllTheTime says when it is well under way; a connect that failed is nil.
func connectAllTheTime(addr string, underWay chan<- struct{}) (all []net.Conn) {
	for i := range 400 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			c = nil
		}
		all = append(all, c)
		if i == 20 {
			close(underWay)
		}
	}
	return all
}

// A server that waits for its turn is bounded, and can be stopped without ever having had it.
func TestWaitingConnectionsAreBounded(t *testing.T) {
	opened := make(chan struct{}, 8)
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 1, ConnsMax: 3}, &script{
		opened: func(*netpoll.Conn) { opened <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		dial(t, s)
	}
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Refused < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("refused %d", s.Stats().Refused)
		}
		dial(t, s)
	}
	if len(opened) != 0 {
		t.Error("the handler has heard of a connection")
	}
	stop(t, s)
	if err, ok := <-s.Done(); ok {
		t.Error(err)
	}
}

// What somebody sends before the server has its turn is bounded too; a request's head is not too much.
func TestWhatWaitingConnectionsSendIsBounded(t *testing.T) {
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 1}, &script{data: echo})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	modest, greedy := dial(t, s), dial(t, s)
	write(t, modest, strings.Repeat("x", 64<<10)+"\n")
	if n, err := greedy.Write(make([]byte, 8<<20)); err == nil {
		t.Errorf("%d bytes were taken from a connection that nobody serves yet", n)
	}
	if err := s.Serve(context.Background()); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(modest).ReadString('\n')
	if err != nil || len(line) != 64<<10+1 {
		t.Errorf("%d bytes come back, %v", len(line), err)
	}
}

func stop(t *testing.T, s *netpoll.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}
