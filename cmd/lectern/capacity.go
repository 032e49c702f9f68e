package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lectern/bench"
	"lectern/bench/capacity"
)

func capacityCommand() *cobra.Command {
	var opt capacity.Options
	var jsonFile string
	c := &cobra.Command{
		Use:   "capacity",
		Short: "Start a server, fill it with participants from several processes, and play a quiz with all of them",
		Long: "Start a server, fill it with participants from several generator processes, keep them connected for a " +
			"while, and play\na quiz with all of them in one room. Nothing may be lost or doubled: every question, durable " +
			"acknowledgement, result\nand own rank is counted by its receiver.\n\n" +
			"The server and the generators are this program, on this machine; the server takes its settings from the " +
			"environment\n(LECTERN_…). A process needs a descriptor for each of its connections; where the limit is too " +
			"low the command says\nwhat fits.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCapacity(cmd, &opt, jsonFile) },
	}
	f := c.Flags()
	f.IntVar(&opt.Conns, "conns", 100_000, "participants")
	f.IntVar(&opt.Generators, "generators", 0, "generator processes; 0: as many as the limit of open files asks for")
	f.DurationVar(&opt.Hold, "hold", 5*time.Minute, "how long everybody stays connected before the quiz")
	f.IntVar(&opt.Questions, "questions", 1, "number of questions")
	f.DurationVar(&opt.TimeLimit, "time-limit", time.Minute, "of each question")
	f.DurationVar(&opt.Window, "window", 0, "how long after the opening the answers come (default half of the limit)")
	f.Float64Var(&opt.RetryShare, "retry-share", 0.05, "share of answers sent twice with the same key; negative: none")
	f.Float64Var(&opt.ConnectRate, "connect-rate", 0, "connections a second in all; 0: as fast as the server lets them in")
	f.DurationVar(&opt.ConnectTimeout, "connect-timeout", 5*time.Minute, "how long everybody may take to be there")
	f.DurationVar(&opt.Patience, "patience", time.Minute, "how long the server may owe something; more for "+
		"emulated machines")
	f.StringVar(&opt.Note, "note", "", "a remark for the result")
	f.StringVar(&jsonFile, "json", "", "append the result to this file, one JSON object a line; - is standard output")
	return c
}

func runCapacity(cmd *cobra.Command, opt *capacity.Options, jsonFile string) error {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if opt.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	opt.Commit = commit()
	opt.Say = func(text string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) }
	show, done := bench.NewProgress(os.Stderr)
	opt.Progress = show
	result, err := capacity.Run(ctx, *opt)
	done()
	if errors.Is(err, bench.ErrUsage) {
		return usageError{err}
	}
	if result == nil {
		return err
	}
	if jsonFile != "" {
		if writeErr := bench.WriteJSON(jsonFile, result); writeErr != nil {
			return writeErr
		}
	}
	if jsonFile != "-" {
		result.WriteText(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return result.Check()
}
