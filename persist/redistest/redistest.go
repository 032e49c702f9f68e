// Package redistest starts private Redis servers for tests: on free ports of the loopback interface, in a temporary
// folder, alone, as a cluster of three, or as a primary with a replica and a Sentinel. It is imported by tests only.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Instance is a running redis-server (or Sentinel).
type Instance struct {
	Port int

	dir     string
	args    []string
	process *exec.Cmd
	ended   chan struct{}
}

// patience is how long a server may take for anything on a busy machine.
const patience = 30 * time.Second

// Single is one instance for one test. Options are of redis.conf: name, value, name, value, …
func Single(tb testing.TB, options ...string) *Instance {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Skip("Redis is not installed (Debian's package redis-server; make test installs it)")
	}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	i := &Instance{Port: port, dir: tb.TempDir()}
	i.args = []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", i.dir, "--save", ""}
	for n := 0; n+1 < len(options); n += 2 {
		i.args = append(i.args, "--"+options[n], options[n+1])
	}
	i.Start(tb)
	tb.Cleanup(i.Stop)
	return i
}

// freePort finds a port whose cluster bus port, 10,000 above, is a valid one.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55_000 {
			return port, nil
		}
	}
	return 0, errors.New("redistest: no port below 55000 is free")
}

// Start starts a stopped instance and waits until it answers.
func (i *Instance) Start(tb testing.TB) {
	tb.Helper()
	log, err := os.OpenFile(filepath.Join(i.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	i.process = exec.Command("redis-server", i.args...)
	i.process.Dir, i.process.Stdout, i.process.Stderr = i.dir, log, log
	// It ends with the tests, however those end. The signal is sent when the thread that started it ends, so the
	// goroutine keeps its thread until then.
	i.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	i.ended = make(chan struct{})
	started := make(chan error, 1)
	go func(process *exec.Cmd, ended chan struct{}) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait()
		}
	}(i.process, i.ended)
	if err := <-started; err != nil {
		tb.Fatal(err)
	}
	i.await(tb, func() bool { // any answer will do, also that a password is needed
		said := i.Do(tb, "PING")
		return said == "PONG" || strings.HasPrefix(said, "NOAUTH")
	})
}

// Addr is host:port.
func (i *Instance) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.Port)) }

// URL leads to the instance.
func (i *Instance) URL() string { return "redis://" + i.Addr() }

// Stop ends the instance at once, as a crash does.
func (i *Instance) Stop() {
	i.Thaw()
	_ = i.process.Process.Kill()
	<-i.ended
}

// Freeze stops the instance without ending it: connections stay open and nothing answers. Thaw lets it go on.
func (i *Instance) Freeze() { _ = i.process.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (i *Instance) Thaw() { _ = i.process.Process.Signal(syscall.SIGCONT) }

// Do runs a command with redis-cli and returns what it prints.
func (i *Instance) Do(tb testing.TB, command ...string) string {
	tb.Helper()
	out, _ := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(i.Port)}, command...)...).CombinedOutput()
	return strings.TrimSpace(string(out))
}

func (i *Instance) await(tb testing.TB, ok func() bool) {
	tb.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		select {
		case <-i.ended:
			tb.Fatalf("Redis ended at once:\n%s", i.log())
		default:
		}
		if ok() {
			return
		}
	}
	tb.Fatalf("Redis does not become ready:\n%s", i.log())
}

func (i *Instance) log() string {
	text, _ := os.ReadFile(filepath.Join(i.dir, "log"))
	return string(text)
}

// Cluster is three primaries that share the slots. It gives the URL of them all.
func Cluster(tb testing.TB) (url string, nodes []*Instance) {
	tb.Helper()
	const slots, size = 16_384, 3
	for range size {
		nodes = append(nodes, Single(tb, "cluster-enabled", "yes", "cluster-node-timeout", "5000"))
	}
	for n, node := range nodes {
		from, to := n*slots/size, (n+1)*slots/size-1
		if said := node.Do(tb, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to)); said != "OK" {
			tb.Fatal(said)
		}
		if n > 0 {
			node.Do(tb, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(nodes[0].Port))
		}
	}
	for _, node := range nodes {
		node.await(tb, func() bool {
			info := node.Do(tb, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") &&
				strings.Contains(info, "cluster_slots_ok:16384")
		})
	}
	return fmt.Sprintf("%s?addr=%s&addr=%s", nodes[0].URL(), nodes[1].Addr(), nodes[2].Addr()), nodes
}

// Sentinel is a primary with a replica, watched by one Sentinel that alone decides. It gives the URL of the Sentinel.
func Sentinel(tb testing.TB) (url string, primary, replica *Instance) {
	tb.Helper()
	primary = Single(tb)
	replica = Single(tb, "replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port))
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Instance{Port: port, dir: tb.TempDir()}
	conf := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor lesson 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds lesson 1000\nsentinel failover-timeout lesson 3000\n", port, s.dir, primary.Port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.args = []string{conf, "--sentinel"}
	s.Start(tb)
	tb.Cleanup(s.Stop)
	s.await(tb, func() bool { // it asks the primary for its replicas every ten seconds
		return strings.Contains(s.Do(tb, "SENTINEL", "REPLICAS", "lesson"), strconv.Itoa(replica.Port)) &&
			strings.Contains(replica.Do(tb, "INFO", "replication"), "master_link_status:up")
	})
	return "redis://" + s.Addr() + "?master_set=lesson", primary, replica
}
