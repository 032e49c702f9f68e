// Command compare runs Lectern and the bare gnet prototype in turn on the same fan-out, several rounds interleaved, and
// appends every run and a line of medians with the ratio of server CPU per delivery to a result file. Interleaving and
// medians are needed because the generator and the servers share the machine with whatever else it does.
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
	"syscall"
	"time"

	"lectern/bench"
)

func main() {
	var c compare
	flag.StringVar(&c.lectern, "lectern", "bin/lectern", "Lectern's binary")
	flag.StringVar(&c.prototype, "prototype", "", "the prototype's binary (empty: built with go build)")
	flag.StringVar(&c.out, "out", "bench/results/fanout-vs-gnet.ndjson", "result file")
	flag.IntVar(&c.rounds, "rounds", 3, "rounds")
	flag.IntVar(&c.opt.Conns, "conns", 10_000, "connections")
	flag.IntVar(&c.opt.Rooms, "rooms", 10, "rooms")
	flag.IntVar(&c.opt.Burst, "burst", 10, "messages of each room waiting at once; 0: one at a time, at the rate")
	flag.Float64Var(&c.opt.Rate, "rate", 5, "messages per second and room without bursts")
	flag.DurationVar(&c.opt.Duration, "duration", 5*time.Second, "of each run")
	flag.StringVar(&c.opt.Commit, "commit", "", "tested version")
	flag.StringVar(&c.only, "only", "", "lectern or gnet: run one of them only")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

type compare struct {
	lectern, prototype, out, only string
	rounds                        int
	opt                           bench.Options
	dir                           string
	costs                         map[string][]float64 // server CPU per delivery, microseconds, by name
}

func (c *compare) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lectern-compare-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c.dir, c.costs = dir, map[string][]float64{}
	if c.prototype == "" {
		c.prototype = filepath.Join(dir, "gnetproto")
		//nolint:gosec // Our own source.
		build := exec.CommandContext(ctx, "go", "build", "-o", c.prototype, "./bench/peers/gnetproto")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the prototype: %w", err)
		}
	}
	for round := range c.rounds {
		for _, name := range []string{"lectern", "gnet"} {
			if c.only != "" && c.only != name {
				continue
			}
			if err := c.one(ctx, name, round); err != nil {
				return fmt.Errorf("%s, round %d: %w", name, round+1, err)
			}
		}
	}
	return c.summary()
}

// one starts a server, runs the workload against it and stops it again.
func (c *compare) one(ctx context.Context, name string, round int) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	args := []string{c.prototype, "--listen", addr}
	if name == "lectern" {
		admin, err := freeAddr()
		if err != nil {
			return err
		}
		store := filepath.Join(c.dir, fmt.Sprintf("round%d.db", round))
		args = []string{c.lectern, "serve", "--dev", "--listen", addr, "--admin", admin, "--store", "sqlite:" + store}
	}
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	server := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator names it
	server.Stdout, server.Stderr, server.Dir = log, log, c.dir
	if !filepath.IsAbs(args[0]) {
		if server.Path, err = filepath.Abs(args[0]); err != nil {
			return err
		}
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}()
	if err := awaitListener(ctx, addr); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w; it said:\n%s", err, said)
	}
	opt := c.opt
	opt.Scenario, opt.Target, opt.Adaptor, opt.ServerPID = "fanout", "ws://"+addr, "lectern", server.Process.Pid
	if name == "gnet" {
		opt.Adaptor = "raw"
	}
	result, err := bench.Run(ctx, opt)
	if err != nil {
		return err
	}
	bench.WriteText(os.Stderr, &result)
	if result.Server == nil || result.Delivered == 0 {
		return errors.New("nothing was measured")
	}
	c.costs[name] = append(c.costs[name], result.Server.CPUUsPerDelivery)
	return bench.WriteJSON(c.out, &result)
}

// summary appends the medians and their ratio.
func (c *compare) summary() error {
	line := map[string]any{
		"scenario": "fanout-vs-gnet", "conns": c.opt.Conns, "rooms": c.opt.Rooms, "burst": c.opt.Burst, "rounds": c.rounds,
		"commit": c.opt.Commit, "at": time.Now().UTC().Format(time.RFC3339),
	}
	for name, costs := range c.costs {
		line[name+"_cpu_us_per_delivery"] = median(costs)
	}
	if a, b := median(c.costs["lectern"]), median(c.costs["gnet"]); a > 0 && b > 0 {
		line["ratio"] = float64(int(a/b*1000+0.5)) / 1000
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return err
	}
	fmt.Println(string(encoded))
	f, err := os.OpenFile(c.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	if _, err := f.Write(append(encoded, '\n')); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	return sorted[len(sorted)/2]
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
