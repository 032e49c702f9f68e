//go:build linux

package netpoll_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lectern/netpoll"
)

func init() { childModes["tables"] = tablesChild }

const (
	tableLimit = 256
	tableLoops = 4
	tableConns = 400 // more than one table takes
	tableFlood = 800 // more than all tables take
)

// tablesChild serves more connections than one descriptor table holds. "out" as the first line of a connection has it
// answered by a goroutine of the process; one connection waits from before the loops were bound.
func tablesChild() {
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(3)
		}
	}
	limit := unix.Rlimit{Cur: tableLimit, Max: tableLimit}
	fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	s, err := netpoll.New(netpoll.Config{
		Addr: "127.0.0.1:0", Loops: tableLoops, ConnsMax: tableFlood + 90, OwnDescriptors: true, IO: netpoll.IOWrites,
	}, &script{data: func(c *netpoll.Conn, in []byte) {
		switch string(in) {
		case "out\n":
			tcp, err := c.Detach()
			fail(err)
			go func() {
				defer tcp.Close() //nolint:errcheck // the peer sees it
				_, _ = io.WriteString(tcp, "outside\n")
			}()
		case "end\n":
			c.Close(netpoll.ReasonDone)
		default:
			echo(c, in)
		}
	}})
	fail(err)
	fail(s.Listen())
	fmt.Println(s.Addr())
	var word [1]byte
	_, _ = os.Stdin.Read(word[:]) // the parent has connected
	fail(s.Serve(context.Background()))
	fmt.Println("serving")
	_, _ = os.Stdin.Read(word[:])
	fmt.Println("refused some:", s.Stats().Refused > 0)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	fail(s.Stop(ctx))
	tick := time.NewTicker(5 * time.Millisecond)
	for range 2000 { // the kernel takes a moment to end a thread
		if ownTables() == 0 {
			fmt.Println("fine")
			return
		}
		<-tick.C
	}
	fmt.Println("failed: threads keep tables of their own:", ownTables())
}

// ownTables counts the threads that hold a loop's poller, which the process has closed. Go parks the main thread
// instead of ending it, so that is left out.
func ownTables() (n int) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if task.Name() == strconv.Itoa(os.Getpid()) {
			continue
		}
		dir := "/proc/self/task/" + task.Name() + "/fd/"
		fds, _ := os.ReadDir(dir)
		pollers := 0
		for _, f := range fds {
			if link, err := os.Readlink(dir + f.Name()); err == nil && link == "anon_inode:[eventpoll]" {
				pollers++
			}
		}
		if pollers > 1 { // one is the Go runtime's
			n++
		}
	}
	return n
}

// tables is the child as its parent sees it.
type tables struct {
	t      *testing.T
	in     io.WriteCloser
	said   *bufio.Reader
	target string
}

func startTables(t *testing.T) *tables {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NETPOLL_TEST_CHILD=tables")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	c := &tables{t: t, in: in, said: bufio.NewReader(out)}
	c.target = c.hear()
	return c
}

// hear is the child's next line.
func (c *tables) hear() string {
	line, _ := c.said.ReadString('\n')
	return strings.TrimSpace(line)
}

func (c *tables) dial(n int) []net.Conn {
	c.t.Helper()
	open := make([]net.Conn, 0, n)
	for range n {
		conn, err := net.DialTimeout("tcp", c.target, 10*time.Second)
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		open = append(open, conn)
	}
	return open
}

// Each loop has a limit of its own: more than one table takes is served, and whoever ends is let go of by all tables,
// those who came before the loops were bound too.
func TestLoopsWithTablesOfTheirOwn(t *testing.T) {
	child := startTables(t)
	const early = 20
	open := child.dial(early) // accepted by loops that share the process's table
	write(t, open[0], "hello\n")
	_, _ = io.WriteString(child.in, "x")
	if got := child.hear(); got != "serving" {
		t.Fatal(got)
	}
	if got := readLine(t, open[0]); got != "hello" {
		t.Errorf("the first says %q", got)
	}
	open = append(open, child.dial(tableConns-early)...)
	for i, c := range open[1:] {
		write(t, c, fmt.Sprintln("to", i))
	}
	for i, c := range open[1:] {
		if got := readLine(t, c); got != fmt.Sprint("to ", i) {
			t.Fatalf("connection %d says %q", i, got)
		}
	}
	for i, c := range open {
		if i%2 == 0 {
			write(t, c, "end\n")
			continue
		}
		write(t, c, "out\n")
		if got := readLine(t, c); got != "outside" {
			t.Fatalf("outside the loop, connection %d says %q", i, got)
		}
	}
	for i, c := range open { // a table that still held one would keep its peer waiting
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d did not end: %d, %v", i, n, err)
		}
	}
	child.flood()
	_ = child.in.Close()
	if got := child.hear(); got != "refused some: true" {
		t.Error(got)
	}
	if got := child.hear(); got != "fine" {
		t.Error(got)
	}
}

// flood connects more than all tables take: the loops must not run out of descriptors, which would end the engine.
func (c *tables) flood() {
	c.t.Helper()
	served := 0
	for _, conn := range c.dial(tableFlood) {
		if _, err := io.WriteString(conn, "still\n"); err != nil {
			continue
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && line == "still\n" {
			served++
		}
	}
	if served < tableConns || served == tableFlood {
		c.t.Errorf("%d of %d were served", served, tableFlood)
	}
}
