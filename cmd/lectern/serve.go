package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
)

// serveFlags are the settings that have a flag of their own; every setting has a key in the file and a variable.
var serveFlags = []string{"listen", "admin", "store", "redis", "broker", "dev", "url", "takeover"}

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server.\n\nEvery setting is also a key of the YAML file given with --config and an environment " +
			"variable:\n\n" +
			settingsTable(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), cfg, os.Stdout)
		},
	}
	c.Flags().StringVar(&file, "config", os.Getenv("LECTERN_CONFIG"), "YAML file with settings")
	addConfigFlags(c, serveFlags...)
	return c
}

// addConfigFlags gives a command flags for settings.
func addConfigFlags(c *cobra.Command, keys ...string) {
	for _, s := range config.Settings() {
		for _, key := range keys {
			if s.Key != key {
				continue
			}
			if key == "dev" || key == "takeover" {
				c.Flags().Bool(key, false, s.Doc)
			} else {
				c.Flags().String(key, s.Default, s.Doc)
			}
		}
	}
}

func loadConfig(c *cobra.Command, file string) (*config.Config, error) {
	given := make(map[string]string)
	for _, key := range serveFlags {
		if f := c.Flags().Lookup(key); f != nil && f.Changed {
			given[key] = f.Value.String()
		}
	}
	var environ []string
	for _, e := range os.Environ() { // LECTERN_CONFIG names the file and is no setting
		if !strings.HasPrefix(e, "LECTERN_CONFIG=") {
			environ = append(environ, e)
		}
	}
	return config.Load(file, environ, given)
}

func settingsTable() string {
	var b strings.Builder
	for _, s := range config.Settings() {
		fmt.Fprintf(&b, "  %-28s %s", s.Key, s.Doc)
		if s.Default != "" {
			fmt.Fprintf(&b, " (default %s)", s.Default)
		}
		b.WriteByte('\n')
	}
	b.WriteString("\nThe variable of a key is LECTERN_ and the key in capitals with underscores, for example " +
		"LECTERN_CONNS_MAX.\n")
	return b.String()
}

// stopGrace is what a stop may take beyond the time in which members are sent away.
const stopGrace = 15 * time.Second

func serve(ctx context.Context, cfg *config.Config, out io.Writer) error {
	ctx, stopSignals := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stopSignals()
	replace := make(chan os.Signal, 1)
	signal.Notify(replace, syscall.SIGUSR2) // before anybody is told that the server is there: it would end the process
	defer signal.Stop(replace)
	log := app.NewLogger(cfg, os.Stderr)
	a, err := app.Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	greet(out, a, cfg)
	tellSupervisor(log)
	ended := untilEnd(ctx, a, replace, log)
	stopSignals() // a second signal ends at once
	log.Info("stopping", "drain", cfg.Drain.String())
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Drain+stopGrace)
	defer cancel()
	if err := a.Stop(stopCtx); err != nil && ended == nil {
		return err
	}
	return ended
}

// untilEnd waits for what ends a server: a signal, a fault, or another server that takes over. SIGUSR2 starts such a
// one.
func untilEnd(ctx context.Context, a *app.App, replace <-chan os.Signal, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.Done():
			return err
		case err := <-a.TakenOver():
			return err
		case <-a.DrainAsked():
			return nil
		case <-replace:
			startSuccessor(log)
		}
	}
}

// greet says where everything is, in a form that people and scripts can read.
func greet(out io.Writer, a *app.App, cfg *config.Config) {
	base := "http://" + reachable(a.Addr())
	fmt.Fprintf(out, "Lectern listens on %s\n", a.Addr())
	fmt.Fprintf(out, "  pages      %s/\n", base)
	fmt.Fprintf(out, "  WebSocket  ws%s/ws\n", strings.TrimPrefix(base, "http"))
	if lan := lanAddr(a.Addr()); lan != "" {
		fmt.Fprintf(out, "  other machines reach it at http://%s/ (host with this address too: the QR code leads to it)\n",
			lan)
	}
	if admin := a.AdminAddr(); admin != nil {
		fmt.Fprintf(out, "  admin      http://%s/\n", reachable(admin))
	}
	if demo := a.Demo(); demo != nil {
		fmt.Fprintf(out, "\nA demo quiz is ready. PIN %s\n", demo.PIN)
		fmt.Fprintf(out, "  host it    %s/host?room=%s#token=%s\n", base, demo.Room, demo.HostToken)
		fmt.Fprintf(out, "  play it    %s/join?pin=%s\n", base, demo.PIN)
	} else {
		fmt.Fprintf(out, "\nTo host, open %s/host#token=TOKEN with the output of:\n", base)
		fmt.Fprintf(out, "  lectern token --store %s --sub YOU --role host\n", cfg.StoreName())
	}
}

// reachable is an address that a browser on this machine can open.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.IP != nil && !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}

// lanAddr is the first address that other machines can use, when the server listens on all of them.
func lanAddr(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.IP != nil && !tcp.IP.IsUnspecified() {
		return ""
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return net.JoinHostPort(ip.IP.String(), strconv.Itoa(tcp.Port))
		}
	}
	return ""
}
