package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/conformance"
)

func conformanceCommand() *cobra.Command {
	cfg := conformance.Config{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	c := &cobra.Command{
		Use:   "conformance",
		Short: "Run the protocols without the product, for protocol suites",
		Long: "Run the server's loops and protocols with no domain behind them, for protocol suites and other clients.\n\n" +
			"/echo sends back every text and binary message, compressed with permessage-deflate where that is offered.\n" +
			"/engine.io/ sends back the messages of Engine.IO sessions; /socket.io/ is the application that the official\n" +
			"suite of Socket.IO's protocol expects (pings every 300 ms, 200 ms for an answer, a million bytes a message).\n" +
			"There are no accounts and no quotas: don't let others reach it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stopSignals()
			s, err := conformance.Start(ctx, cfg)
			if err != nil {
				return err
			}
			at := reachable(s.Addr())
			fmt.Fprintf(cmd.OutOrStdout(), "Lectern's conformance server listens on %s\n  echo       ws://%s/echo\n"+
				"  Engine.IO  http://%s/engine.io/\n  Socket.IO  http://%s/socket.io/\n", s.Addr(), at, at, at)
			var ended error
			select {
			case <-ctx.Done():
			case ended = <-s.Done():
			}
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			if err := s.Stop(stopCtx); err != nil && ended == nil {
				return err
			}
			return ended
		},
	}
	c.Flags().StringVar(&cfg.Listen, "listen", "127.0.0.1:9001", "address to listen on")
	return c
}
