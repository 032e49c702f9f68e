package netpoll_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/netpoll"
	"lectern/netpoll/frame"
)

func TestMain(m *testing.M) {
	if child := childModes[os.Getenv("NETPOLL_TEST_CHILD")]; child != nil {
		child()
		return
	}
	goleak.VerifyTestMain(m,
		// gnet's process-wide worker pool, which has no way to be stopped.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

// script is a handler whose methods are functions; the zero one does nothing.
type script struct {
	started func(l *netpoll.Loop)
	opened  func(c *netpoll.Conn)
	data    func(c *netpoll.Conn, in []byte)
	task    func(l *netpoll.Loop, task any)
	turn    func(l *netpoll.Loop)
	timer   func(c *netpoll.Conn, kind netpoll.TimerKind)
	closed  func(c *netpoll.Conn, reason netpoll.Reason)
}

func (s *script) LoopStarted(l *netpoll.Loop) {
	if s.started != nil {
		s.started(l)
	}
}

func (s *script) Opened(c *netpoll.Conn) {
	if s.opened != nil {
		s.opened(c)
	}
}

func (s *script) Data(c *netpoll.Conn, in []byte) {
	if s.data != nil {
		s.data(c, in)
	}
}

// Task runs functions itself and gives the rest to the script.
func (s *script) Task(l *netpoll.Loop, task any) {
	if run, ok := task.(func()); ok {
		run()
	} else if s.task != nil {
		s.task(l, task)
	}
}

func (s *script) TurnEnded(l *netpoll.Loop) {
	if s.turn != nil {
		s.turn(l)
	}
}

func (s *script) Timer(c *netpoll.Conn, kind netpoll.TimerKind) {
	if s.timer != nil {
		s.timer(c, kind)
	}
}

func (s *script) Closed(c *netpoll.Conn, reason netpoll.Reason) {
	if s.closed != nil {
		s.closed(c, reason)
	}
}

func echo(c *netpoll.Conn, in []byte) { c.SendBytes(netpoll.Reliable, in) }

// eachPath runs a test over every way in which bytes reach the kernel. io_uring is used from one connection on.
func eachPath(t *testing.T, test func(t *testing.T, path netpoll.Config)) {
	t.Helper()
	for name, path := range map[string]netpoll.Config{
		"writes": {IO: netpoll.IOWrites},
		"raw":    {IO: netpoll.IOWrites, RawSend: true},
		"uring":  {IO: netpoll.IOUring, UringConnsMin: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if err := netpoll.UringUsable(); path.IO == netpoll.IOUring && err != nil {
				t.Skip("io_uring can't be used here: ", err)
			}
			test(t, path)
		})
	}
}

// serve starts a server on a free port and stops it when the test ends. It checks that no frame is left behind.
func serve(t *testing.T, cfg netpoll.Config, h netpoll.Handler) *netpoll.Server {
	t.Helper()
	before := frame.Live()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Loops == 0 {
		cfg.Loops = 1
	}
	s, err := netpoll.New(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if n := frame.Live() - before; n != 0 {
			t.Errorf("%d frames were not released", n)
		}
		if st := s.Stats(); st.Open != 0 || st.Blocked != 0 || st.Timers != 0 {
			t.Errorf("left over after the stop: %+v", st)
		}
	})
	return s
}

// dial connects a client that is closed when the test ends; reads and writes fail after ten seconds.
func dial(t *testing.T, s *netpoll.Server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// readLine reads one line without its end.
func readLine(t *testing.T, c net.Conn) string {
	t.Helper()
	line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// do runs f on the loop and waits for it.
func do(t *testing.T, l *netpoll.Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		t.Fatal("the loop takes no tasks")
	}
	recv(t, done)
}

// recv waits for a value, for ten seconds at most.
func recv[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// logs collects log output.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
