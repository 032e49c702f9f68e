// Command run puts the same load on Lectern and on what else people would use, all in one run and in turns, because the
// machine is never quiet: every round runs every workload on every server, and what counts is the median over rounds
// of a server's CPU per unit and its ratio to the others in the same round. Every run is a line of the result file,
// followed by a summary; the page is made from it. It builds the Go servers and installs the Node ones by itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lectern/bench"
)

func main() {
	var c comparison
	var only, works string
	cache, _ := os.UserCacheDir()
	flag.StringVar(&c.lectern, "lectern", "bin/lectern", "Lectern's binary")
	flag.StringVar(&c.cache, "cache", filepath.Join(cache, "lectern-bench-peers"), "where peers are built and installed")
	flag.StringVar(&c.out, "out", "bench/results/peers.ndjson", "result file, replaced")
	flag.StringVar(&c.page, "page", "docs/BENCHMARKS.md", "page made from the results; empty: none")
	flag.StringVar(&c.from, "from", "", "only make the page, from this result file")
	flag.IntVar(&c.rounds, "rounds", 3, "rounds")
	flag.IntVar(&c.conns, "conns", 10_000, "connections")
	flag.DurationVar(&c.duration, "duration", 2*time.Second, "of each run")
	flag.StringVar(&only, "only", "", "names of servers, separated by commas; empty: all")
	flag.StringVar(&works, "workloads", "", "names of workloads, separated by commas; empty: all")
	flag.StringVar(&c.commit, "commit", "", "tested version")
	flag.Parse()
	c.only, c.works = names(only), names(works)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.main(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

type comparison struct {
	lectern, cache, out, page, from, commit string
	only, works                             []string
	rounds, conns                           int
	duration                                time.Duration
	dir                                     string
	lines                                   []line
	sum                                     *summary
}

// line is one run in the result file.
type line struct {
	Peer     string `json:"peer"`
	Workload string `json:"workload"`
	Round    int    `json:"round"`
	Failed   string `json:"failed,omitempty"`
	bench.Result
}

func (c *comparison) main(ctx context.Context) error {
	if c.from != "" {
		if err := c.read(c.from); err != nil {
			return err
		}
		return c.writePage()
	}
	dir, err := os.MkdirTemp("", "lectern-peers-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c.dir = dir
	servers, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.out), 0o755); err != nil { //nolint:gosec // results are for everybody
		return err
	}
	_ = os.Remove(c.out)
	for round := range c.rounds {
		for _, w := range workloads {
			if c.works != nil && !slices.Contains(c.works, w.name) {
				continue
			}
			for i := range servers {
				// Each round begins with another server, so that none always runs after the same one.
				s := &servers[(i+round)%len(servers)]
				if w.signed && s.tokens == nil {
					continue
				}
				if err := c.one(ctx, s, w, round+1); err != nil {
					return err
				}
			}
		}
	}
	c.sum = summarize(c.lines)
	if err := appendJSON(c.out, c.sum); err != nil {
		return err
	}
	return c.writePage()
}

// one performs and records a run; only the end of ctx and a result file that can't be written are errors.
func (c *comparison) one(ctx context.Context, s *server, w workload, round int) error {
	l := line{Peer: s.name, Workload: w.name, Round: round}
	result, err := c.perform(ctx, s, w)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.Result = result
	l.Result.Target = "" // a port of the moment
	if err != nil {
		l.Failed = err.Error()
		fmt.Fprintf(os.Stderr, "%d %-10s %-14s failed: %v\n", round, w.name, s.name, err)
	} else {
		fmt.Fprintf(os.Stderr, "%d %-10s %-14s %s\n", round, w.name, s.name, oneLine(&result))
	}
	c.lines = append(c.lines, l)
	return appendJSON(c.out, &l)
}

func oneLine(r *bench.Result) string {
	p99 := 0.0
	if r.LatencyMS != nil {
		p99 = r.LatencyMS.P99
	}
	return fmt.Sprintf("%.2f us, %.0f/s, p99 %.1f ms, connect %.0f us, %.0f B each, lost %d, drops %d, resends %d %v",
		r.Server.CPUUsPerDelivery, r.DeliveriesPerS, p99, r.Server.CPUUsPerConnect, r.Server.RSSMarginalBytes, r.Lost,
		r.Kernel.BacklogDrops, r.Kernel.TCPResends, r.Errors)
}

// perform starts the server, runs the workload and stops the server.
func (c *comparison) perform(ctx context.Context, s *server, w workload) (bench.Result, error) {
	addr, err := freeAddr()
	if err != nil {
		return bench.Result{}, err
	}
	args := s.args(addr)
	log, err := os.Create(filepath.Join(c.dir, s.name+".log"))
	if err != nil {
		return bench.Result{}, err
	}
	defer func() { _ = log.Close() }()
	process := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // our own list
	process.Stdout, process.Stderr = log, log
	process.Env = append(os.Environ(), s.env...)
	if err := process.Start(); err != nil {
		return bench.Result{}, err
	}
	ready, ended := context.WithCancel(ctx)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = process.Wait()
		ended()
	}()
	defer func() {
		// No grace: what a server does when it ends is not measured here, and ten thousand members take long to send away.
		_ = process.Process.Kill()
		<-waited
	}()
	if err := awaitListener(ready, addr); err != nil {
		said, _ := os.ReadFile(log.Name())
		return bench.Result{}, fmt.Errorf("%w; it said:\n%s", err, said)
	}
	opt := w.options
	opt.Target, opt.Adaptor, opt.ServerPID = "ws://"+addr, s.adaptor, process.Process.Pid
	opt.Conns, opt.Duration, opt.Commit = c.conns, c.duration, c.commit
	opt.ConnectTimeout = 30 * time.Second
	if w.signed {
		if opt.Tokens, err = s.tokens(ctx, c.conns); err != nil {
			return bench.Result{}, fmt.Errorf("making tokens: %w", err)
		}
	}
	result, err := bench.Run(ctx, opt)
	if err == nil && (result.Server == nil || result.Delivered == 0) {
		err = errors.New("nothing was measured")
	}
	return result, err
}

func appendJSON(path string, v any) error {
	encoded, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	if _, err := f.Write(append(encoded, '\n')); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// read takes the runs of a result file.
func (c *comparison) read(path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	for row := range strings.Lines(string(text)) {
		var l line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if l.Peer != "" {
			c.lines = append(c.lines, l)
		}
	}
	c.sum = summarize(c.lines)
	if strings.Contains(string(text), `{"summary":`) {
		return nil
	}
	return appendJSON(path, c.sum) // a run that was broken off
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// awaitListener waits until something accepts on addr.
func awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var dialer net.Dialer
		if conn, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s", addr)
		case <-tick.C:
		}
	}
}
