package capacity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// startPatience is how long the server may take to listen, stopPatience to end, both in shares of Options.Patience.
const (
	startPatience = 1
	stopPatience  = 2
)

// server is the process under test.
type server struct {
	cmd   *exec.Cmd
	url   string
	log   string // file
	ended chan struct{}
}

var listensOn = regexp.MustCompile(`Lectern listens on (\S+)`)

// startServer starts a server with a store of its own in dir and waits until it listens.
func startServer(ctx context.Context, opt *Options, dir string) (*server, error) {
	s := &server{log: filepath.Join(dir, "server.log"), ended: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("bench: create the server's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	//nolint:gosec // our own program
	s.cmd = exec.Command(opt.Program, "serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--store", "sqlite:"+filepath.Join(dir, "lectern.db"))
	s.cmd.Env = os.Environ()
	if os.Getenv("LECTERN_CONNS_MAX") == "" { // by itself the server keeps an eighth of its descriptors free
		s.cmd.Env = append(s.cmd.Env, "LECTERN_CONNS_MAX="+strconv.Itoa(connsMax(opt.Conns)))
	}
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: start the server: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start the server: %w", err)
	}
	address := make(chan string, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := listensOn.FindStringSubmatch(lines.Text()); found != nil {
				address <- found[1]
			}
		}
		_ = s.cmd.Wait()
	}()
	select {
	case a := <-address:
		s.url = "http://" + a
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("bench: the server ended at its start:\n%s", tail(s.log))
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startPatience * opt.Patience):
		err = fmt.Errorf("bench: the server does not listen within %s:\n%s", startPatience*opt.Patience, tail(s.log))
	}
	s.stop(0)
	return nil, err
}

// stop asks the server to end, and ends it when it has not done so in time.
func (s *server) stop(patience time.Duration) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// generator is one further process that plays.
type generator struct {
	cmd    *exec.Cmd
	result string // file
	log    string // file
}

// startGenerator starts the generator with this number, whose members begin with the number first.
func startGenerator(opt *Options, dir, room string, s *server, number, first, conns int) (*generator, error) {
	name := filepath.Join(dir, "generator"+strconv.Itoa(number))
	g := &generator{result: name + ".json", log: name + ".log"}
	log, err := os.Create(g.log)
	if err != nil {
		return nil, fmt.Errorf("bench: create a generator's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	//nolint:gosec // our own program
	g.cmd = exec.Command(opt.Program, "bench", "quiz", "--target", s.url, "--room", room, "--check=false",
		"--json", g.result, "--engines", "1", "--server-pid", strconv.Itoa(s.cmd.Process.Pid),
		"--conns", strconv.Itoa(conns), "--first", strconv.Itoa(first), "--of", strconv.Itoa(opt.Conns),
		"--questions", strconv.Itoa(opt.Questions), "--time-limit", opt.TimeLimit.String(),
		"--window", opt.Window.String(), "--hold", opt.Hold.String(), "--patience", opt.Patience.String(),
		"--connect-timeout", opt.ConnectTimeout.String(),
		"--connect-rate", strconv.FormatFloat(opt.ConnectRate*float64(conns)/float64(opt.Conns), 'f', -1, 64),
		"--retry-share", strconv.FormatFloat(opt.RetryShare, 'f', -1, 64))
	g.cmd.Stdout, g.cmd.Stderr = log, log
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start a generator: %w", err)
	}
	return g, nil
}

// wait is nil when the generator did its part and wrote its result.
func (g *generator) wait() error {
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("bench: a generator failed (%w):\n%s", err, tail(g.log))
	}
	return nil
}

const tailBytes = 2000

// tail is the end of a log, for error messages.
func tail(path string) string {
	f, err := os.Open(path) //nolint:gosec // a log of this run
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(end-tailBytes, 0), io.SeekStart)
	}
	text, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return string(text)
}
