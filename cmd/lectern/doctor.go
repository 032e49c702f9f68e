package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist/sqlite"
)

// finding is one thing that the doctor looked at.
type finding struct {
	OK     bool   `json:"ok"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"` // a command or a setting, when it is not ok
}

// fine and look make findings; advice is the command that helps.
func fine(format string, args ...any) finding {
	return finding{OK: true, What: fmt.Sprintf(format, args...)}
}

func look(advice, format string, args ...any) finding {
	return finding{What: fmt.Sprintf(format, args...), Advice: advice}
}

// wantedConns is the number of connections that one node is meant to hold when nobody says another.
const wantedConns = 100_000

func doctorCommand() *cobra.Command {
	var file string
	var conns uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what of this machine or configuration stands in the way, and the command that helps",
		Long: "Say what of this machine or configuration stands in the way, and the command that helps.\n\n" +
			"Exit status: 0 all is well, 1 something wants a look, 2 the configuration or the command line is wrong. It " +
			"changes nothing and may run beside a server, whose ports it then finds taken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return usageError{err}
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			findings := diagnose(ctx, cfg, thisMachine(), wanted(cfg, conns))
			return giveFindings(cmd.OutOrStdout(), findings, asJSON)
		},
	}
	c.Flags().StringVar(&file, "config", os.Getenv("LECTERN_CONFIG"), "YAML file with settings")
	c.Flags().Uint64Var(&conns, "connections", 0, fmt.Sprintf("how many connections are to be held (default: conns.max, "+
		"or %d)", wantedConns))
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object instead of text")
	addConfigFlags(c, serveFlags...)
	return c
}

func wanted(cfg *config.Config, conns uint64) uint64 {
	switch {
	case conns > 0:
		return conns
	case cfg.Conns.Max > 0:
		return uint64(cfg.Conns.Max)
	}
	return wantedConns
}

// diagnose looks at everything, in the order in which a connection meets it.
func diagnose(ctx context.Context, cfg *config.Config, m machine, conns uint64) []finding {
	findings := []finding{settings(cfg), port("listen", cfg.Listen), port("admin", cfg.Admin), storeOf(ctx, cfg)}
	if kind, _, _ := cfg.StoreKind(); kind == "postgres" {
		findings = append(findings, spoolOf(ctx, cfg))
	}
	findings = append(findings, m.descriptors(conns), m.memory(conns))
	return append(findings, m.network(conns)...)
}

func giveFindings(out io.Writer, findings []finding, asJSON bool) error {
	bad := 0
	for _, f := range findings {
		if !f.OK {
			bad++
		}
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err := e.Encode(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{bad == 0, findings})
		if err != nil {
			return err
		}
	} else {
		tell(out, findings, bad)
	}
	if bad > 0 {
		return errSilent
	}
	return nil
}

func tell(out io.Writer, findings []finding, bad int) {
	for _, f := range findings {
		if f.OK {
			fmt.Fprintf(out, "ok    %s\n", f.What)
			continue
		}
		fmt.Fprintf(out, "look  %s\n      %s\n", f.What, f.Advice)
	}
	if bad > 0 {
		fmt.Fprintf(out, "\n%d of %d things want a look\n", bad, len(findings))
	}
}

// settings looks for what is allowed and still not wise; what is wrong has ended the command before.
func settings(cfg *config.Config) finding {
	switch {
	case cfg.Dev && !loopback(cfg.Listen):
		return look("leave --dev out, or --listen 127.0.0.1:8080",
			"config: dev is on and %s is open to other machines: there anybody may host", cfg.Listen)
	case cfg.Admin != "" && !loopback(cfg.Admin):
		return look("--admin 127.0.0.1:9090, or a firewall",
			"config: the admin port %s is open to other machines; it has no authentication", cfg.Admin)
	}
	return fine("config: no fault")
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func port(setting, addr string) finding {
	if addr == "" {
		return fine("%s: none", setting)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return look(fmt.Sprintf("end what listens there (ss -ltnp), or choose another with --%s", setting),
			"%s: %s can't be used: %v", setting, addr, err)
	}
	_ = l.Close()
	return fine("%s: %s is free", setting, addr)
}

func storeOf(ctx context.Context, cfg *config.Config) finding {
	kind, path, _ := cfg.StoreKind()
	if _, err := os.Stat(path); kind == "sqlite" && os.IsNotExist(err) {
		return fine("store: %s does not exist yet; the first start makes it", cfg.Store)
	}
	store, err := app.OpenStore(ctx, cfg, slog.New(slog.DiscardHandler), app.ForReading)
	if err != nil {
		return look("see the message", "store: %v", err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Check(ctx); err != nil {
		return look("see the message", "store: %v", err)
	}
	return fine("store: %s is sound", cfg.StoreName())
}

// spoolOf looks at what waits for PostgreSQL, and at what it did not take.
func spoolOf(ctx context.Context, cfg *config.Config) finding {
	path := cfg.Spool.File
	if path == "" {
		return look("set spool.file", "spool: none: while PostgreSQL is away, what must be recorded is refused")
	}
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return fine("spool: %s does not exist yet; the first start makes it", path)
	}
	spool, err := sqlite.OpenSpool(ctx, path)
	if errors.Is(err, sqlite.ErrInUse) {
		return fine("spool: %s is a running server's; see its /readyz", path)
	}
	if err != nil {
		return look("see the message", "spool: %v", err)
	}
	defer func() { _ = spool.Close() }()
	_, records, bytes, err := spool.Tails(ctx)
	if err != nil {
		return look("see the message", "spool: %v", err)
	}
	refused, err := spool.Refused(ctx)
	switch {
	case err != nil:
		return look("see the message", "spool: %v", err)
	case records > 0:
		return look("start the server, which writes them to PostgreSQL; don't delete the file",
			"spool: %s holds %d records (%d bytes) that are nowhere else", path, records, bytes)
	case refused > 0:
		return look("see \"When PostgreSQL is away\" in docs/OPERATIONS.md",
			"spool: %s holds %d records that PostgreSQL refused", path, refused)
	}
	return fine("spool: %s is empty", path)
}
