package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lectern/protocol/wire"
)

// Two servers in turn take over from one that is in the middle of a question, while players answer and others connect
// all the time. Nobody is refused, every answer that was acknowledged counts once with the receipt that was given
// first, and the game goes on with its PIN.
func TestTakeoverWhileAnswersArrive(t *testing.T) {
	t.Parallel()
	const players, before, between = 60, 15, 40
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	first := serveProgram(t, "--dev", "--store", store)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	c := &crowd{t: t, ctx: ctx, base: first.base, address: strings.TrimPrefix(first.base, "http://")}
	t.Cleanup(func() {
		cancel()
		c.running.Wait()
	})
	pin := c.openQuestion(players)
	steady := c.callAllTheTime()
	var acknowledged atomic.Int32
	some, most := make(chan struct{}), make(chan struct{})
	receipts := make([]string, players)
	var answering sync.WaitGroup
	for i := range c.players {
		answering.Go(func() {
			switch { // the others answer while a server takes over
			case i >= between:
				<-most
			case i >= before:
				<-some
			}
			receipts[i] = c.insist(1, i)
			switch acknowledged.Add(1) {
			case before:
				close(some)
			case between:
				close(most)
			}
		})
	}
	<-some
	second := serveProgram(t, "--dev", "--store", store, "--listen", c.address, "--takeover")
	first.ended(t)
	<-most
	third := serveProgram(t, "--dev", "--store", store, "--listen", c.address, "--takeover")
	second.ended(t)
	answering.Wait()
	calls, refused, longest := steady()
	t.Logf("%d requests, the longest took %v; rooms were away for %s and %s ms", calls, longest, away(t, second),
		away(t, third))
	if refused > 0 || calls < 10 {
		t.Errorf("%d of %d requests failed\n%s\n%s\n%s", refused, calls, first.logs, second.logs, third.logs)
	}
	for i := range c.players {
		if r := c.insist(1, i); r != receipts[i] {
			t.Errorf("player %d: the same key gets another receipt", i)
		}
	}
	status, text := call(t, "GET", c.base+"/api/v1/pins/"+pin, "", nil)
	if status != http.StatusOK || !strings.Contains(string(text), c.room) {
		t.Errorf("the PIN: %d %s", status, text)
	}
	third.stop(t)
	c.checkReplay(store, players)
}

var awayMs = regexp.MustCompile(`roomsAwayMs=(\d+)`)

// away is for how long there was no room, as the server that took over says.
func away(t *testing.T, s *served) string {
	t.Helper()
	m := awayMs.FindStringSubmatch(s.logs.String())
	if m == nil {
		t.Fatalf("it does not say that it took over:\n%s", s.logs)
	}
	return m[1]
}

// callAllTheTime sends one request after another, each on a connection of its own, until the function returned is
// called; that says how many there were, how many failed, and how long the slowest took.
func (c *crowd) callAllTheTime() func() (calls, failed int, longest time.Duration) {
	done, ended := make(chan struct{}), make(chan struct{})
	var calls, failed int
	var longest time.Duration
	one := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			began := time.Now()
			calls++
			r, err := one.Get(c.base + "/api/v1/config")
			if err != nil || r.StatusCode != http.StatusOK {
				failed++
				c.t.Logf("request %d at %s: %v", calls, time.Now().Format(time.StampMicro), err)
			}
			if err == nil {
				_ = r.Body.Close()
			}
			longest = max(longest, time.Since(began))
		}
	}()
	return func() (int, int, time.Duration) {
		close(done)
		<-ended
		return calls, failed, longest
	}
}

// ended waits for a server that somebody takes over from.
func (s *served) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			t.Fatalf("the server that was taken over from: %v\n%s", err, s.logs)
		}
	case <-time.After(patience):
		t.Fatalf("the server that was taken over from does not end\n%s", s.logs)
	}
}

// SIGUSR2 replaces a server by a new process of the same program, which tells the supervisor that it is the main one.
func TestSignalReplacesTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notify := filepath.Join(dir, "notify")
	supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = supervisor.Close() }()
	_ = supervisor.SetDeadline(time.Now().Add(time.Minute))
	var s *served
	said := func() string {
		buf := make([]byte, 256)
		n, err := supervisor.Read(buf)
		if err != nil {
			t.Fatalf("%v\n%s", err, s.logs)
		}
		return string(buf[:n])
	}
	s = serveProgramWith(t, []string{"NOTIFY_SOCKET=" + notify}, "--store", "sqlite:"+filepath.Join(dir, "x.db"))
	first := said()
	if want := fmt.Sprintf("READY=1\nMAINPID=%d\n", s.cmd.Process.Pid); first != want {
		t.Errorf("the supervisor hears %q, want %q", first, want)
	}
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(said(), "READY=1\nMAINPID=%d\n", &pid); err != nil || pid == s.cmd.Process.Pid || pid < 2 {
		t.Fatalf("process %d, %v", pid, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if status, _ := call(t, "GET", s.base+"/api/v1/config", "", nil); status != http.StatusOK {
		t.Errorf("the successor answers %d", status)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	s.ended(t) // with the pipe of its output, which the successor has too
}

// A takeover that can't be is refused with a reason and changes nothing; without a server there is nothing to take.
func TestTakeoverThatCannotBe(t *testing.T) {
	t.Parallel()
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	s := serveProgram(t, "--store", store, "--takeover")
	if !strings.Contains(s.logs.String(), "nobody to take over from") {
		t.Error(s.logs)
	}
	_, stderr := wants(t, 1, "serve", "--store", store, "--listen", "127.0.0.1:1", "--admin", "", "--takeover")
	if !strings.Contains(stderr, "keeps the port") {
		t.Error(stderr)
	}
	_, stderr = wants(t, 1, "serve", "--store", "memory", "--listen", "127.0.0.1:0", "--admin", "", "--takeover")
	if !strings.Contains(stderr, "sqlite:FILE") {
		t.Error(stderr)
	}
	if status, _ := call(t, "GET", s.base+"/api/v1/config", "", nil); status != http.StatusOK {
		t.Errorf("the server that runs answers %d", status)
	}
	s.stop(t)
}

// checkReplay reads the session back: everybody's answer is there, once, and has points.
func (c *crowd) checkReplay(store string, players int) {
	t := c.t
	t.Helper()
	stdout, _ := wants(t, 0, "replay", c.room, "--json", "--store", store)
	var table struct {
		Questions    []struct{ Results wire.QuizResults }
		Participants []struct{ Score int }
	}
	if err := json.Unmarshal([]byte(stdout), &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Participants) != players || len(table.Questions) != 1 || table.Questions[0].Results.Answered != players {
		t.Errorf("%d participants; questions %+v", len(table.Participants), table.Questions)
	}
	for i, p := range table.Participants {
		if p.Score == 0 {
			t.Errorf("participant %d has no points", i)
		}
	}
}
