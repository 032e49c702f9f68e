package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lectern/bench"
)

func benchCommand() *cobra.Command {
	var opt bench.Options
	var jsonFile, htmlFile, tokensFile string
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
			if tokensFile != "" {
				tokens, err := os.ReadFile(tokensFile) //nolint:gosec // the operator names it
				if err != nil {
					return usageError{fmt.Errorf("--tokens: %w", err)}
				}
				opt.Tokens = strings.Fields(string(tokens))
			}
			return runBench(cmd, &opt, jsonFile, htmlFile, check)
		},
	}
	f := c.Flags()
	f.StringVar(&opt.Target, "target", "http://127.0.0.1:8080", "the server's URL")
	f.StringVar(&opt.Adaptor, "adaptor", "lectern", "lectern, stomp (the same server), socketio, centrifuge, "+
		"or raw (the simple servers of bench/peers)")
	f.IntVar(&opt.Conns, "conns", 1000, "connections")
	f.IntVar(&opt.Rooms, "rooms", 1, "rooms, over which the connections are spread")
	f.Float64Var(&opt.Rate, "rate", 0, "messages a second: per room in fanout, chat and mixed, of all in echo; "+
		"connections a second in storm")
	f.IntVar(&opt.Burst, "burst", 0, "fanout: so many messages of each room at once, and again when all have arrived")
	f.IntVar(&opt.Stalled, "stalled", 0, "fanout: so many of the connections stop reading")
	f.DurationVar(&opt.Duration, "duration", 10*time.Second, "how long the measured phase sends")
	f.IntVar(&opt.PayloadBytes, "payload", 128, "fanout: bytes of a published payload")
	f.Float64Var(&opt.ConnectRate, "connect-rate", 0, "connections a second while setting up; 0: as fast as possible")
	f.DurationVar(&opt.ConnectTimeout, "connect-timeout", time.Minute, "how long to wait for members to get ready")
	f.IntVar(&opt.Engines, "engines", 0, "threads of the generator; 0: one below 2,000 connections, else two")
	f.IntVar(&opt.ServerPID, "server-pid", 0, "the server's process; 0: whoever listens on the target's port")
	f.Float64Var(&opt.Quiz.RetryShare, "retry-share", 0.05, "quiz: share of answers sent twice with the same key; "+
		"negative: none")
	f.IntVar(&opt.Quiz.Questions, "questions", 5, "quiz: number of questions")
	f.DurationVar(&opt.Quiz.TimeLimit, "time-limit", 10*time.Second, "quiz: of each question")
	f.DurationVar(&opt.Quiz.Window, "window", 0, "quiz: how long after the opening the answers come (default half of "+
		"the limit)")
	f.StringVar(&tokensFile, "tokens", "", "file with an access token a line, one for each connection, as lectern token "+
		"--count prints; without it members are guests of --dev")
	f.DurationVar(&opt.Patience, "patience", time.Minute, "how long the server may owe something; more for "+
		"emulated machines")
	f.StringVar(&opt.Quiz.Room, "room", "", "quiz: take part in the quiz of this room, which another generator hosts; "+
		"the quiz's other flags must be its")
	f.IntVar(&opt.Quiz.First, "first", 0, "quiz: number of the first member, where several generators play")
	f.IntVar(&opt.Quiz.Of, "of", 0, "quiz: participants of all generators; the host's waits for them and prints its room")
	f.DurationVar(&opt.Quiz.Hold, "hold", 0, "quiz: how long everybody stays connected before the first question")
	f.StringVar(&opt.Quiz.HostToken, "host-token", "", "quiz: a host's access token, for servers without --dev")
	f.StringVar(&jsonFile, "json", "", "append the result to this file, one JSON object a line; - is standard output")
	f.StringVar(&htmlFile, "html", "", "write a page with plots")
	f.BoolVar(&check, "check", true, "exit with status 1 when something expected was lost, doubled or wrong")
	c.AddCommand(capacityCommand())
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
	show, done := bench.NewProgress(os.Stderr)
	opt.Progress = show
	if opt.Quiz.Of > opt.Conns && opt.Quiz.Room == "" {
		opt.Quiz.Opened = func(room string) {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%d more participants are waited for: lectern bench quiz --target %s "+
				"--room %s --first %d …\n", opt.Quiz.Of-opt.Conns, opt.Target, room, opt.Conns)
		}
	}
	result, err := bench.Run(ctx, *opt)
	done()
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
		bench.WriteText(cmd.OutOrStdout(), &result)
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
