package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
)

// finding is one thing that the doctor looked at.
type finding struct {
	ok     bool
	what   string
	advice string // a command or a setting, when it is not ok
}

func doctorCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what of this machine or configuration stands in the way, and the command that helps",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return usageError{err}
			}
			return diagnose(cmd.Context(), cmd.OutOrStdout(), cfg)
		},
	}
	c.Flags().StringVar(&file, "config", os.Getenv("LECTERN_CONFIG"), "YAML file with settings")
	addConfigFlags(c, serveFlags...)
	return c
}

func diagnose(ctx context.Context, out io.Writer, cfg *config.Config) error {
	if ctx == nil {
		ctx = context.Background()
	}
	findings := []finding{
		descriptors(cfg), sysctl("net.core.somaxconn", 4096), sysctl("net.ipv4.tcp_max_syn_backlog", 4096),
		sysctl("net.core.netdev_max_backlog", 10_000), port("listen", cfg.Listen), port("admin", cfg.Admin), storeOf(ctx,
			cfg),
	}
	bad := 0
	for _, f := range findings {
		mark := "ok  "
		if !f.ok {
			mark = "look"
			bad++
		}
		fmt.Fprintf(out, "%s  %s\n", mark, f.what)
		if !f.ok {
			fmt.Fprintf(out, "      %s\n", f.advice)
		}
	}
	if bad > 0 {
		fmt.Fprintf(out, "\n%d of %d things want a look\n", bad, len(findings))
		return errSilent
	}
	return nil
}

// wantedConns is the number of connections that one node is meant to hold.
const wantedConns = 100_000

func descriptors(cfg *config.Config) finding {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return finding{false, "descriptors: " + err.Error(), "check ulimit -n"}
	}
	want := uint64(cfg.Conns.Max)
	if want == 0 {
		want = wantedConns
	}
	return finding{
		limit.Cur >= want,
		fmt.Sprintf("descriptors: this process may open %d, for %d connections", limit.Cur, want),
		fmt.Sprintf("ulimit -n %d, or LimitNOFILE=%d in the systemd unit", want+1024, want+1024),
	}
}

func sysctl(name string, want int) finding {
	raw, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return finding{true, name + ": can't be read here", ""}
	}
	have, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return finding{
		have >= want, fmt.Sprintf("%s: %d (at least %d for large events)", name, have, want),
		fmt.Sprintf("sysctl -w %s=%d", name, want),
	}
}

func port(setting, addr string) finding {
	if addr == "" {
		return finding{true, setting + ": none", ""}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return finding{
			false, fmt.Sprintf("%s: %s can't be used: %v", setting, addr, err),
			fmt.Sprintf("end what listens there (ss -ltnp), or choose another with --%s", setting),
		}
	}
	_ = l.Close()
	return finding{true, fmt.Sprintf("%s: %s is free", setting, addr), ""}
}

func storeOf(ctx context.Context, cfg *config.Config) finding {
	_, path, _ := cfg.StoreKind()
	if _, err := os.Stat(path); path != "" && os.IsNotExist(err) {
		return finding{true, "store: " + cfg.Store + " does not exist yet; the first start makes it", ""}
	}
	store, err := app.OpenStore(ctx, cfg, true)
	if err != nil {
		return finding{false, "store: " + err.Error(), "see the message"}
	}
	defer func() { _ = store.Close() }()
	if err := store.Check(ctx); err != nil {
		return finding{false, "store: " + err.Error(), "see the message"}
	}
	return finding{true, "store: " + cfg.Store + " is sound", ""}
}
