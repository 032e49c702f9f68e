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
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lectern/cmd/internal/gateway"
	"lectern/netpoll"
	"lectern/persist"
	"lectern/persist/search"
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
	Detail  func() string             // what to say of a server that is ready; nil: nothing
	Spool   func() persist.SpoolStats // nil without a spool
	Redis   *Redis                    // nil without Redis
	Loops   func() []*netpoll.Loop
	Shards  func() []rooms.ShardStats // by index
	Latency func() gateway.Latency
	Search  func() search.Stats // nil: no search
	Inspect Inspection
}

// Server is the running admin port.
type Server struct {
	http     *http.Server
	listener net.Listener
	release  func()
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
	handler, release := Handler(o)
	s := &Server{
		listener: listener, release: release, done: make(chan struct{}),
		http: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second},
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
	s.release()
	<-s.done
	return nil
}

// Handler is the admin port's routes, and what ends the things that they have started. Requests that change something
// are refused when a page of another origin sends them: the port trusts whoever reaches it, and a browser on the same
// machine does.
func Handler(o Options) (h http.Handler, release func()) {
	registry := prometheus.NewRegistry()
	profiles, stats := newProfiling(), new(statsPage)
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{o},
		work{o}, profiles,
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text := "ready"
		if o.Detail != nil {
			if detail := o.Detail(); detail != "" {
				text += "; " + detail
			}
		}
		say(w, http.StatusOK, text)
	})
	if o.Redis != nil {
		mux.HandleFunc("GET /nodes", o.Redis.serveNodes)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	handleDebug(mux, &o, profiles, stats)
	handleInspection(mux, &o.Inspect, o.Redis)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "lectern admin port: /healthz /readyz /metrics /debug/lectern /debug/pprof/ "+
			"/debug/profiling /debug/statsviz/ /connections /rooms /drain")
	})
	return http.NewCrossOriginProtection().Handler(namedRightly(mux)), func() {
		profiles.close()
		stats.close()
	}
}

// namedRightly refuses requests that change something under a name that anybody could have pointed here: a page of that
// name is of the same origin as the port, as far as a browser can tell (DNS rebinding). Nobody can do that with an
// address, or with localhost.
func namedRightly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !safe && host != "localhost" && net.ParseIP(strings.Trim(host, "[]")) == nil {
			say(w, http.StatusMisdirectedRequest, "use the port's address, or localhost, for requests that change something")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}
