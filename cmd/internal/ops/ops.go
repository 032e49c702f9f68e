// Package ops is the admin port: health, metrics and profiles. It listens on loopback unless told otherwise, because
// profiles show memory. Its handlers only read counters, so they never wait for a loop or a shard.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lectern/cmd/internal/gateway"
	"lectern/netpoll"
	"lectern/persist"
	"lectern/rooms"
)

// Options are the sources of what the port shows. All functions must be safe for any goroutine.
type Options struct {
	Addr    string
	Logger  *slog.Logger
	Net     func() netpoll.Stats
	Gateway func() gateway.Stats
	Rooms   func() rooms.Stats
	Journal func() persist.Stats
	PINs    func() int
	Ready   func() error
}

// Server is the running admin port.
type Server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// Start listens and serves. A taken port is an error that says what to do.
func Start(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("ops: can't listen on the admin address %s (choose another with --admin, or \"\" for "+
			"none): %w",
			o.Addr, err)
	}
	s := &Server{
		listener: listener, done: make(chan struct{}),
		http: &http.Server{Handler: Handler(o), ReadHeaderTimeout: 5 * time.Second},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the admin port ended", "err", err)
		}
	}()
	return s, nil
}

// Addr is the address that it listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close ends it; requests under way get a second.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
	return nil
}

// Handler is the admin port's routes.
func Handler(o Options) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{o},
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "lectern admin port: /healthz /readyz /metrics /debug/pprof/")
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}
