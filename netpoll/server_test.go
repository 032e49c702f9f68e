package netpoll_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"lectern/netpoll"
)

func TestEveryLoopServes(t *testing.T) {
	started := make(chan int, 4)
	s := serve(t, netpoll.Config{Loops: 4}, &script{
		started: func(l *netpoll.Loop) { started <- l.Index() },
		data: func(c *netpoll.Conn, in []byte) {
			c.SendBytes(netpoll.Reliable, fmt.Appendf(in, "%d\n", c.Loop().Index()))
		},
	})
	seen := map[int]bool{}
	for range 4 {
		seen[recv(t, started)] = true
	}
	if len(s.Loops()) != 4 || len(seen) != 4 {
		t.Fatalf("%d loops, started %v", len(s.Loops()), seen)
	}
	for i, l := range s.Loops() {
		do(t, l, func() {
			if l.Index() != i {
				t.Errorf("loop %d says it is %d", i, l.Index())
			}
		})
	}
	used := map[string]bool{}
	for range 64 {
		c := dial(t, s)
		write(t, c, "loop ")
		used[readLine(t, c)] = true
	}
	if len(used) < 2 {
		t.Errorf("64 connections all went to %v", used)
	}
}

func TestTakenPort(t *testing.T) {
	s := serve(t, netpoll.Config{}, &script{})
	for _, share := range []bool{false, true} {
		second, err := netpoll.New(netpoll.Config{Addr: s.Addr().String(), Loops: 1, ReusePort: share}, &script{})
		if err != nil {
			t.Fatal(err)
		}
		err = second.Start(context.Background())
		if !share && (!errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "is taken")) {
			t.Errorf("a taken port gave %v", err)
		}
		if share && err != nil {
			t.Errorf("sharing a port gave %v", err)
		}
		if err := second.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongConfigNamesEveryFault(t *testing.T) {
	_, err := netpoll.New(netpoll.Config{
		Loops: 5000, ConnsMax: 1 << 23, OutboxHighBytes: 1, OutboxHardBytes: -1, InboxTasksMax: -1, ReadBufferBytes: 1,
	}, &script{})
	for _, want := range []string{"loops", "descriptors", "high mark", "hard limit", "inbox", "read buffer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name the %s: %v", want, err)
		}
	}
}

// What was sent before the stop still arrives, the peer sees an orderly end, and later posts are refused.
func TestStopFlushesAndEnds(t *testing.T) {
	reasons := make(chan netpoll.Reason, 1)
	opened := make(chan *netpoll.Conn, 1)
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 2}, &script{
		opened: func(c *netpoll.Conn) { opened <- c },
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	client := dial(t, s)
	c := recv(t, opened)
	c.Loop().Post(func() { c.SendBytes(netpoll.Reliable, []byte("last words")) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if r := recv(t, reasons); r != netpoll.ReasonServerStopped {
		t.Errorf("closed for %v", r)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "last words" {
		t.Errorf("the client read %q, %v", got, err)
	}
	if err, ok := <-s.Done(); ok {
		t.Errorf("an orderly stop is not fatal: %v", err)
	}
	if s.Loops()[0].Post(1) {
		t.Error("a stopped loop took a task")
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestStopIsBoundedWhenAHandlerHangs(t *testing.T) {
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 1}, &script{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	hang, hanging := make(chan struct{}), make(chan struct{})
	s.Loops()[0].Post(func() { close(hanging); <-hang })
	recv(t, hanging)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop gave %v", err)
	}
	close(hang)
	recv(t, s.Done())
}

func TestHandshakeTimeout(t *testing.T) {
	reasons := make(chan netpoll.Reason, 2)
	s := serve(t, netpoll.Config{HandshakeTimeout: 30 * time.Millisecond}, &script{
		data:   func(c *netpoll.Conn, in []byte) { c.StopTimer(netpoll.TimerHandshake); echo(c, in) },
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
	})
	good := dial(t, s)
	write(t, good, "hello\n")
	readLine(t, good)
	dial(t, s)
	if r := recv(t, reasons); r != netpoll.ReasonHandshakeTimeout {
		t.Errorf("closed for %v", r)
	}
	write(t, good, "still here\n")
	if got := readLine(t, good); got != "still here" {
		t.Errorf("read %q", got)
	}
}

// TestIdleConnectionIsSmall counts the memory of a connection: our own struct, and all of the heap that an idle one
// takes with gnet's part, its table slot and its timer.
func TestIdleConnectionIsSmall(t *testing.T) {
	if netpoll.ConnBytes > 176 {
		t.Errorf("a Conn has %d bytes, want at most 176", netpoll.ConnBytes)
	}
	const conns = 2000
	opened := make(chan struct{}, conns)
	s := serve(t, netpoll.Config{}, &script{opened: func(*netpoll.Conn) { opened <- struct{}{} }})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	fds := make([]int, 0, conns)
	addr := s.Addr().(*net.TCPAddr)
	sa := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	defer func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}()
	before := heap()
	for range conns {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0) // bare, so that the client's side costs no heap
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
		recv(t, opened)
	}
	each := (heap() - before) / conns
	t.Logf("%d bytes of heap per idle connection, %d of them the Conn", each, netpoll.ConnBytes)
	if each > 1100 {
		t.Errorf("an idle connection takes %d bytes of heap", each)
	}
}

// The limits of doc.go's table, added up for a small machine: 2,000 connections whose peers all stop reading must fit.
func TestLimitsFitTheBudget(t *testing.T) {
	const budget = 512 << 20
	cfg := netpoll.Config{Loops: 2, ConnsMax: 2000, OutboxHardBytes: 96 << 10}
	most, err := cfg.MemoryMax(128<<10, 256)
	if err != nil {
		t.Fatal(err)
	}
	if most > budget || most < 2000*192<<10 {
		t.Errorf("the queues can hold %d MiB, the budget is %d", most>>20, budget>>20)
	}
}
