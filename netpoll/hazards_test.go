package netpoll_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lectern/netpoll"
	"lectern/netpoll/frame"
)

// A descriptor number is used again as soon as it is free, so a write through a connection that is closed would reach
// whoever has the number now.
func TestClosedConnectionNeverWritesToTheNextOwner(t *testing.T) {
	eachPath(t, func(t *testing.T, path netpoll.Config) {
		opened := make(chan *netpoll.Conn, 4)
		closed := make(chan *netpoll.Conn, 4)
		h := &script{
			opened: func(c *netpoll.Conn) { opened <- c },
			closed: func(c *netpoll.Conn, _ netpoll.Reason) { closed <- c },
		}
		s := serve(t, path, h)
		l := s.Loops()[0]
		first := dial(t, s)
		old := recv(t, opened)
		var fd int
		var client net.Conn
		// The next client connects while the loop is held, so that the first free number goes to its acceptance.
		do(t, l, func() {
			fd = netpoll.Descriptor(old)
			client = dial(t, s)
			old.SendBytes(netpoll.Reliable, []byte("to the first\n"))
			old.Close(netpoll.ReasonDone)
			if got := old.SendBytes(netpoll.Reliable, []byte("secret\n")); got != netpoll.Closed {
				t.Errorf("sending while closing gave %v", got)
			}
		})
		recv(t, closed)
		second := recv(t, opened)
		do(t, l, func() {
			if got := netpoll.Descriptor(second); got != fd {
				t.Errorf("the descriptor was not used again (%d, was %d): the test shows nothing", got, fd)
			}
			f := frame.Of([]byte("secret\n"))
			defer f.Release()
			if got := old.Send(netpoll.Reliable, 0, f); got != netpoll.Closed {
				t.Errorf("sending on a closed connection gave %v", got)
			}
			old.SendBytes(netpoll.Reliable, []byte("secret\n"))
			old.Close(netpoll.ReasonDone)
			old.SetTimer(netpoll.TimerUser, 0)
			netpoll.ForceFlush(old, []byte("secret\n"))
			if _, err := old.Detach(); err == nil {
				t.Error("a closed connection could be detached")
			}
			second.SendBytes(netpoll.Reliable, []byte("yours\n"))
		})
		if got := readLine(t, client); got != "yours" {
			t.Fatalf("the next owner of the descriptor read %q", got)
		}
		if got, err := io.ReadAll(first); err != nil || string(got) != "to the first\n" {
			t.Fatalf("the first client read %q, %v", got, err)
		}
	})
}

func panicOrEcho(c *netpoll.Conn, in []byte) {
	switch {
	case bytes.HasPrefix(in, []byte("die")):
		var m map[string]int
		m[string(in)]++
	case bytes.HasPrefix(in, []byte("timer")):
		c.SetTimer(netpoll.TimerUser, 0)
	default:
		echo(c, in)
	}
}

func TestPanicsAreContained(t *testing.T) {
	var out logs
	reasons := make(chan netpoll.Reason, 16)
	opened := make(chan *netpoll.Conn, 16)
	var panicTurn, panicClosed atomic.Bool
	h := &script{
		opened: func(c *netpoll.Conn) { opened <- c },
		data:   panicOrEcho,
		task:   func(*netpoll.Loop, any) { panic("the secret of a task") },
		timer:  func(*netpoll.Conn, netpoll.TimerKind) { panic(errors.New("secret")) },
		turn: func(*netpoll.Loop) {
			if panicTurn.Swap(false) {
				panic("secret")
			}
		},
		closed: func(_ *netpoll.Conn, r netpoll.Reason) {
			reasons <- r
			if panicClosed.Swap(false) {
				panic("secret")
			}
		},
	}
	s := serve(t, netpoll.Config{Logger: slog.New(slog.NewTextHandler(&out, nil))}, h)
	bystander := dial(t, s)
	recv(t, opened)
	want := uint64(0)
	check := func(what string) {
		t.Helper()
		want++
		write(t, bystander, "after "+what+"\n")
		if got := readLine(t, bystander); got != "after "+what {
			t.Fatalf("after a panic in %s the bystander read %q", what, got)
		}
		if got := s.Stats().Panics; got != want {
			t.Fatalf("after a panic in %s %d panics are counted, want %d", what, got, want)
		}
	}
	for _, message := range []string{"die", "timer"} {
		victim := dial(t, s)
		recv(t, opened)
		write(t, victim, message+" secret\n")
		if r := recv(t, reasons); r != netpoll.ReasonPanic {
			t.Fatalf("closed for %v", r)
		}
		if _, err := victim.Read(make([]byte, 1)); err == nil {
			t.Fatal("the victim is still connected")
		}
		check(message)
	}
	s.Loops()[0].Post("boom")
	do(t, s.Loops()[0], func() {}) // the task has run when the one behind it has
	check("Task")
	panicTurn.Store(true)
	check("TurnEnded")
	victim := dial(t, s)
	recv(t, opened)
	panicClosed.Store(true)
	_ = victim.Close()
	recv(t, reasons)
	check("Closed")
	if text := out.String(); strings.Contains(text, "secret") || !strings.Contains(text, "nil map") {
		t.Errorf("the log must show runtime errors and no payloads:\n%s", text)
	}
}

func TestPanicInOpenedClosesThatConnection(t *testing.T) {
	reasons := make(chan netpoll.Reason, 1)
	s := serve(t, netpoll.Config{}, &script{
		opened: func(*netpoll.Conn) { panic("no") },
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
	})
	c := dial(t, s)
	if r := recv(t, reasons); r != netpoll.ReasonPanic {
		t.Fatalf("closed for %v", r)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("still connected")
	}
}

// More than 1,024 waiting tasks are where gnet's own queue lets later ones overtake.
func TestTasksStayInOrderUnderBacklog(t *testing.T) {
	const producers, each = 4, 5000
	type task struct{ producer, n int }
	next := [producers]int{}
	done := make(chan struct{})
	left := producers * each
	s := serve(t, netpoll.Config{}, &script{task: func(_ *netpoll.Loop, v any) {
		k := v.(task)
		if next[k.producer] != k.n {
			t.Errorf("producer %d: task %d came in place of %d", k.producer, k.n, next[k.producer])
		}
		next[k.producer]++
		if left--; left == 0 {
			close(done)
		}
	}})
	l := s.Loops()[0]
	stuck, held := make(chan struct{}), make(chan struct{})
	l.Post(func() { close(held); <-stuck })
	recv(t, held)
	finished := make(chan struct{})
	for p := range producers {
		go func() {
			for n := range each {
				if !l.Post(task{p, n}) {
					t.Error("refused")
				}
				if n == each/2 && p == 0 {
					close(stuck) // half of them met a standing loop, the others a running one
				}
			}
			finished <- struct{}{}
		}()
	}
	for range producers {
		recv(t, finished)
	}
	recv(t, done)
}

// A task that posts itself for ever stands for producers that never pause: sockets must still be served.
func TestTasksDontStarveSockets(t *testing.T) {
	var stop atomic.Bool
	s := serve(t, netpoll.Config{}, &script{
		data: echo,
		task: func(l *netpoll.Loop, v any) {
			if !stop.Load() {
				l.Post(v)
			}
		},
	})
	for range 1000 {
		s.Loops()[0].Post("again")
	}
	c := dial(t, s)
	for i := range 20 {
		want := strconv.Itoa(i)
		write(t, c, want+"\n")
		if got := readLine(t, c); got != want {
			t.Fatalf("read %q, want %q", got, want)
		}
	}
	stop.Store(true)
}

func TestInboxIsBounded(t *testing.T) {
	ran := make(chan struct{}, 50)
	s := serve(t, netpoll.Config{InboxTasksMax: 10}, &script{task: func(*netpoll.Loop, any) { ran <- struct{}{} }})
	l := s.Loops()[0]
	stuck, held := make(chan struct{}), make(chan struct{})
	l.Post(func() { close(held); <-stuck })
	recv(t, held)
	taken := 0
	for range 50 {
		if l.Post(1) {
			taken++
		}
	}
	close(stuck)
	if taken != 10 {
		t.Errorf("a full inbox took %d tasks, want 10", taken)
	}
	for range taken {
		recv(t, ran)
	}
	if st := s.Stats(); st.InboxRefused != 40 || st.InboxTasksHigh != 10 {
		t.Errorf("refused %d, highest %d", st.InboxRefused, st.InboxTasksHigh)
	}
}

// A peer that never reads: memory stays bounded and the connection is closed, with the advice for slow consumers
// where it still fits.
func TestPeerThatNeverReads(t *testing.T) {
	eachPath(t, func(t *testing.T, path netpoll.Config) {
		const hard = 256 << 10
		reasons := make(chan netpoll.Reason, 1)
		opened := make(chan *netpoll.Conn, 1)
		path.OutboxHighBytes, path.OutboxHardBytes = 64<<10, hard
		path.SlowConsumerFrame = func() []byte { return []byte("slow") }
		s := serve(t, path, &script{
			opened: func(c *netpoll.Conn) { opened <- c },
			closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
		})
		dial(t, s)
		c := recv(t, opened)
		payload := frame.Of(make([]byte, 1000))
		defer payload.Release()
		most, engine, sent := 0, 0, 0
		for over := false; !over; {
			do(t, s.Loops()[0], func() {
				for range 200 { // more in a turn than the engine may be given
					if c.Send(netpoll.Reliable, 0, payload) == netpoll.Closed {
						over = true
						return
					}
					sent += payload.Len()
					most = max(most, c.QueuedBytes())
					engine = max(engine, netpoll.EngineBytes(c))
				}
			})
			if sent > 1<<30 {
				t.Fatal("a gigabyte was queued for a peer that never reads")
			}
		}
		if r := recv(t, reasons); r != netpoll.ReasonSlowConsumer {
			t.Fatalf("closed for %v", r)
		}
		if most > 2*hard {
			t.Errorf("%d bytes were queued, the limit is %d", most, hard)
		}
		if engine > 64<<10 {
			t.Errorf("the engine held %d bytes: it must get nothing while it has some", engine)
		}
		if st := s.Stats(); st.Dropped[netpoll.Reliable] == 0 || st.Closed[netpoll.ReasonSlowConsumer] != 1 {
			t.Errorf("counted %+v", st)
		}
	})
}

// A peer that pauses and comes back gets everything, in order and whole.
func TestPeerThatCatchesUp(t *testing.T) {
	eachPath(t, func(t *testing.T, path netpoll.Config) {
		opened := make(chan *netpoll.Conn, 1)
		path.OutboxHardBytes = 64 << 20
		s := serve(t, path,
			&script{opened: func(c *netpoll.Conn) { opened <- c }})
		client := dial(t, s)
		c := recv(t, opened)
		var want bytes.Buffer
		for i := range 400 {
			do(t, s.Loops()[0], func() {
				for j := range 20 {
					line := fmt.Sprintf("%d.%d %s\n", i, j, strings.Repeat("x", 1000+i))
					want.WriteString(line)
					c.SendBytes(netpoll.Reliable, []byte(line))
				}
			})
		}
		if s.Stats().Blocked != 1 {
			t.Error("the connection should have been behind")
		}
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Error("the bytes differ")
		}
	})
}

// Members that are gone make writes fail while the loop walks over those it owes something; their removal must not
// make the walk skip or repeat anybody.
func TestFailedWritesInsideAWalk(t *testing.T) { eachPath(t, failedWritesInsideAWalk) }

func failedWritesInsideAWalk(t *testing.T, path netpoll.Config) {
	const clients = 60
	var members []*netpoll.Conn
	joined := make(chan struct{}, clients)
	gone := make(chan netpoll.Reason, clients)
	s := serve(t, path, &script{
		opened: func(c *netpoll.Conn) {
			c.State = len(members)
			members = append(members, c)
			joined <- struct{}{}
		},
		closed: func(c *netpoll.Conn, r netpoll.Reason) {
			at := c.State.(int)
			last := members[len(members)-1]
			members[at], last.State = last, at
			members = members[:len(members)-1]
			gone <- r
		},
	})
	conns := make([]*net.TCPConn, clients)
	for i := range conns {
		conns[i] = dial(t, s)
		recv(t, joined)
	}
	l := s.Loops()[0]
	stuck, held := make(chan struct{}), make(chan struct{})
	l.Post(func() { close(held); <-stuck })
	recv(t, held)
	for i := 0; i < clients; i += 3 { // resets that the loop has not seen when it writes
		_ = conns[i].SetLinger(0)
		_ = conns[i].Close()
	}
	l.Post(func() {
		f := frame.Of([]byte("to all\n"))
		defer f.Release()
		for _, c := range members {
			c.Send(netpoll.Reliable, 0, f)
		}
	})
	close(stuck)
	failed := 0
	for range clients / 3 {
		if recv(t, gone) == netpoll.ReasonWriteFailed {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no write failed: the test shows nothing")
	}
	do(t, l, func() {
		for _, c := range members {
			c.SendBytes(netpoll.Reliable, []byte("end\n"))
		}
	})
	for i, c := range conns {
		if i%3 == 0 {
			continue
		}
		got := make([]byte, len("to all\nend\n"))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "to all\nend\n" {
			t.Fatalf("member %d read %q, %v", i, got, err)
		}
	}
}

func TestConnectionCap(t *testing.T) {
	const most = 5
	opened := make(chan struct{}, most)
	closed := make(chan struct{}, most)
	s := serve(t, netpoll.Config{ConnsMax: most, Loops: 2}, &script{
		opened: func(*netpoll.Conn) { opened <- struct{}{} }, data: echo,
		closed: func(*netpoll.Conn, netpoll.Reason) { closed <- struct{}{} },
	})
	var kept []*net.TCPConn
	for range most {
		kept = append(kept, dial(t, s))
		recv(t, opened)
	}
	for range 10 {
		c := dial(t, s)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a connection above the cap was served")
		}
	}
	_ = kept[0].Close()
	recv(t, closed)
	c := dial(t, s)
	recv(t, opened)
	write(t, c, "hello\n")
	if got := readLine(t, c); got != "hello" {
		t.Fatalf("read %q", got)
	}
	if st := s.Stats(); st.Refused != 10 || st.Open != most || st.Accepted != most+1 {
		t.Errorf("counted %+v", st)
	}
}

// The engine's end without a request is an error even though gnet.Run returns nil.
func TestEngineEndingUnaskedIsFatalAndLoud(t *testing.T) {
	var out logs
	reasons := make(chan netpoll.Reason, 1)
	opened := make(chan struct{}, 1)
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 2, Logger: slog.New(slog.NewTextHandler(&out, nil))},
		&script{
			opened: func(*netpoll.Conn) { opened <- struct{}{} },
			closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	dial(t, s)
	recv(t, opened)
	netpoll.EndEngine(s)
	if err := recv(t, s.Done()); err == nil || !strings.Contains(err.Error(), "unasked") {
		t.Errorf("Done gave %v", err)
	}
	if r := recv(t, reasons); r != netpoll.ReasonEngineFailed {
		t.Errorf("closed for %v", r)
	}
	if !strings.Contains(out.String(), "unasked") {
		t.Errorf("the log says nothing: %s", out.String())
	}
	if s.Loops()[0].Post(1) {
		t.Error("a dead loop took a task")
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// childModes are what this test binary does when a test runs it as a process of its own.
var childModes = map[string]func(){
	"capped":  func() { childServer(false) },
	"starved": func() { childServer(true) },
}

// childServer serves until its input ends. Starved, it takes away its own descriptors after the start, which is what
// the connection cap is there to prevent.
func childServer(starve bool) {
	limit := unix.Rlimit{Cur: 256, Max: 256}
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(3)
		}
	}
	fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 1}, &script{data: echo})
	fail(err)
	fail(s.Start(context.Background()))
	if starve {
		limit.Cur = 24
		fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	}
	fmt.Println(s.Addr())
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
	select {
	case err := <-s.Done():
		fmt.Println("fatal:", err)
	case <-ended:
		fmt.Printf("fine: refused %v\n", s.Stats().Refused > 0)
	}
}

// flood starts the child, opens many connections to it, and returns what it says in the end.
func flood(t *testing.T, mode string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NETPOLL_TEST_CHILD="+mode)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	outPipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := make([]byte, 64)
	n, err := outPipe.Read(addr)
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimSpace(string(addr[:n]))
	var open []net.Conn
	for range 300 {
		c, err := net.DialTimeout("tcp", target, 5*time.Second)
		if err != nil {
			break // a dead server refuses
		}
		open = append(open, c)
	}
	if mode == "capped" { // it must still serve those it took
		write(t, open[0], "hello\n")
		_ = open[0].SetDeadline(time.Now().Add(10 * time.Second))
		if got := readLine(t, open[0]); got != "hello" {
			t.Errorf("read %q", got)
		}
		_ = in.Close()
	}
	rest, _ := io.ReadAll(outPipe)
	_ = in.Close()
	_ = cmd.Wait()
	for _, c := range open {
		_ = c.Close()
	}
	return string(rest)
}

func TestDescriptorsRunningOut(t *testing.T) {
	if got := flood(t, "starved"); !strings.Contains(got, "fatal: netpoll: the event engine ended unasked") {
		t.Errorf("without free descriptors the server said %q", got)
	}
	if got := flood(t, "capped"); !strings.Contains(got, "fine: refused true") {
		t.Errorf("with the cap the server said %q", got)
	}
}

// Plain HTTP on the same port is handed to net/http with the bytes already read.
func TestHandOff(t *testing.T) {
	handed := make(chan net.Conn, 4)
	reasons := make(chan netpoll.Reason, 4)
	s := serve(t, netpoll.Config{ConnsMax: 3}, &script{
		data: func(c *netpoll.Conn, in []byte) {
			if !bytes.HasPrefix(in, []byte("GET ")) {
				echo(c, in)
				return
			}
			nc, err := c.Detach()
			if err != nil {
				t.Error(err)
				return
			}
			handed <- &replay{Conn: nc, head: bytes.Clone(in)}
		},
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
	})
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	})}
	ln := &chanListener{conns: handed, addr: s.Addr(), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- web.Serve(ln) }()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	for i := range 3 {
		resp, err := client.Get(fmt.Sprintf("http://%s/page%d", s.Addr(), i))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := fmt.Sprintf("you asked for /page%d", i); string(body) != want {
			t.Fatalf("got %q, want %q", body, want)
		}
	}
	if r := recv(t, reasons); r != netpoll.ReasonHandedOff {
		t.Errorf("closed for %v", r)
	}
	if st := s.Stats(); st.Detached != 1 || st.Open != 0 {
		t.Errorf("counted %+v", st)
	}
	raw := dial(t, s)
	write(t, raw, "hello\n")
	if got := readLine(t, raw); got != "hello" {
		t.Fatalf("read %q", got)
	}
	client.CloseIdleConnections()
	_ = web.Close()
	if err := recv(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if n := s.Stats().Detached; n != 0 {
		t.Errorf("%d handed-off connections are still counted", n)
	}
}

type replay struct {
	net.Conn
	head []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

type chanListener struct {
	conns <-chan net.Conn
	addr  net.Addr
	done  chan struct{}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *chanListener) Addr() net.Addr { return l.addr }
