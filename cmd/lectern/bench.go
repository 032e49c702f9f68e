package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"lectern/bench"
)

func benchCommand() *cobra.Command {
	var opt bench.Options
	var jsonFile, htmlFile string
	var check bool
	c := &cobra.Command{
		Use:   "bench SCENARIO --target URL",
		Short: "Load a server and measure it",
		Long: "Load a server and measure it. Scenarios: " + strings.Join(bench.Names(), ", ") + ".\n\n" +
			"The generator keeps no goroutine per connection, connects from many loopback addresses, and sends in an open " +
			"loop: latency\n" +
			"counts from when a message was due. The server's CPU and memory are read from /proc, so it must run on this " +
			"machine.\n" +
			"Where the generator was the bottleneck the result says so (generator.busy_share).",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Scenario = args[0]
			return runBench(cmd, &opt, jsonFile, htmlFile, check)
		},
	}
	f := c.Flags()
	f.StringVar(&opt.Target, "target", "http://127.0.0.1:8080", "the server's URL")
	f.StringVar(&opt.Adaptor, "adaptor", "lectern", "how to talk to it: lectern, or raw (the prototype in bench/peers)")
	f.IntVar(&opt.Conns, "conns", 1000, "connections")
	f.IntVar(&opt.Rooms, "rooms", 1, "rooms, over which the connections are spread")
	f.Float64Var(&opt.Rate, "rate", 0, "messages a second: per room in fanout and chat, of all in echo; connections a "+
		"second in storm")
	f.IntVar(&opt.Burst, "burst", 0, "fanout: so many messages of each room at once, and again when all have arrived")
	f.DurationVar(&opt.Duration, "duration", 10*time.Second, "how long the measured phase sends")
	f.IntVar(&opt.PayloadBytes, "payload", 128, "fanout: bytes of a published payload")
	f.Float64Var(&opt.ConnectRate, "connect-rate", 0, "connections a second while setting up; 0: as fast as possible")
	f.IntVar(&opt.Quiz.Questions, "questions", 5, "quiz: number of questions")
	f.DurationVar(&opt.Quiz.TimeLimit, "time-limit", 10*time.Second, "quiz: of each question")
	f.DurationVar(&opt.Quiz.Window, "window", 0, "quiz: how long after the opening the answers come (default half of "+
		"the limit)")
	f.StringVar(&opt.Quiz.HostToken, "host-token", "", "quiz: a host's access token, for servers without --dev")
	f.StringVar(&jsonFile, "json", "", "append the result to this file, one JSON object a line; - is standard output")
	f.StringVar(&htmlFile, "html", "", "write a page with plots")
	f.BoolVar(&check, "check", true, "exit with status 1 when something expected was lost, doubled or wrong")
	return c
}

func runBench(cmd *cobra.Command, opt *bench.Options, jsonFile, htmlFile string, check bool) error {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	opt.Commit = commit()
	show := newProgress(os.Stderr)
	opt.Progress = show.show
	result, err := bench.Run(ctx, *opt)
	show.end()
	if errors.Is(err, bench.ErrUsage) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if jsonFile != "" {
		if err := bench.WriteJSON(jsonFile, &result); err != nil {
			return err
		}
	}
	if htmlFile != "" {
		if err := bench.WriteHTML(htmlFile, &result); err != nil {
			return err
		}
	}
	if jsonFile != "-" {
		summary(cmd.OutOrStdout(), &result)
	}
	if check {
		return bench.Check(&result)
	}
	return nil
}

// commit is the version that the binary was built from.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+"
			}
		}
	}
	return rev + dirty
}

// progress shows how a run goes: one line that is written over in a terminal, a plain line every few seconds elsewhere.
type progress struct {
	out      *os.File
	terminal bool
	last     time.Duration
	phase    string
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, terminal: term.IsTerminal(int(out.Fd()))}
}

// plainEvery is the time between two plain lines.
const plainEvery = 5 * time.Second

func (p *progress) show(s bench.Progress) {
	line := fmt.Sprintf("%-10s %6.1fs  %d/%d ready  sent %d  delivered %d (%.0f/s)  errors %d  server %.2f CPU %d MiB",
		s.Phase, s.Elapsed.Seconds(), s.Ready, s.Conns, s.Sent, s.Delivered, s.PerSecond, s.Errors, s.ServerCPU,
		s.ServerRSS>>20)
	switch {
	case p.terminal:
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	case s.Phase != p.phase || s.Elapsed-p.last >= plainEvery:
		fmt.Fprintln(p.out, line)
		p.last, p.phase = s.Elapsed, s.Phase
	}
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// summary prints what most people look for.
func summary(out io.Writer, r *bench.Result) {
	fmt.Fprintf(out, "%s: %d connections, %d rooms, %.1f s\n", r.Scenario, r.Conns, r.Rooms, r.DurationS)
	fmt.Fprintf(out, "  delivered   %d of %d expected (%d lost, %d duplicated), %.0f/s\n", r.Delivered, r.Expected, r.Lost,
		r.Duplicated, r.DeliveriesPerS)
	if l := r.LatencyMS; l != nil {
		fmt.Fprintf(out, "  latency     p50 %.1f  p95 %.1f  p99 %.1f  max %.1f ms\n", l.P50, l.P95, l.P99, l.Max)
	}
	if v := r.Server; v != nil {
		fmt.Fprintf(out, "  server      %.2f CPU seconds, %.2f µs per delivery, %.0f bytes a connection\n", v.CPUS,
			v.CPUUsPerDelivery,
			v.RSSPerConnBytes)
	}
	fmt.Fprintf(out, "  generator   busy %.0f %%\n", 100*r.Generator.BusyShare)
	for name, n := range r.Errors {
		fmt.Fprintf(out, "  error       %s: %d\n", name, n)
	}
}
