package conformance

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"lectern/cmd/internal/engineio"
	"lectern/cmd/internal/handoff"
	"lectern/netpoll"
	"lectern/protocol/session"
	"lectern/protocol/ws"
)

// Limits of this server; the ones of the product are settings.
const (
	MessageBytesMax   = 16 << 20
	outboxBytesMax    = 64 << 20
	handOffConnsMax   = 1024
	headerTimeout     = 10 * time.Second
	httpShutdownGrace = 2 * time.Second
)

// Config is what Start needs.
type Config struct {
	Listen string         // host:port
	Loops  int            // 0: one per processor
	IO     netpoll.IO     // zero: auto
	Apps   map[string]App // by path, besides /echo; one that is an http.Handler also gets the path's HTTP requests
	Logger *slog.Logger   // nil: none
}

// Server is a running conformance server. All methods may be called from any goroutine.
type Server struct {
	net        *netpoll.Server
	http       *http.Server
	handOff    *handoff.Listener
	background sync.WaitGroup
}

// Start listens.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s := &Server{handOff: handoff.New(handOffConnsMax)}
	h := &handler{
		apps: map[string]App{"/echo": echo{}}, handOff: s.handOff, log: cfg.Logger,
		session: session.Config{WS: ws.Config{MessageBytesMax: MessageBytesMax}},
	}
	h.apps["/engine.io/"] = newEngineApp(EngineSettings, h.allLoops, func(s *engineio.Session) engineio.Program {
		return engineEcho{s}
	})
	h.apps["/socket.io/"] = newEngineApp(EngineSettings, h.allLoops, newSocketApp)
	mux := http.NewServeMux()
	mux.HandleFunc("/", index)
	for path, app := range cfg.Apps {
		h.apps[path] = app
	}
	for path, app := range h.apps {
		if overHTTP, ok := app.(http.Handler); ok {
			mux.Handle(path, overHTTP)
		}
	}
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	var err error
	s.net, err = netpoll.New(netpoll.Config{
		Addr: cfg.Listen, Loops: cfg.Loops, RawSend: true, IO: cfg.IO, Logger: cfg.Logger,
		OutboxHighBytes: outboxBytesMax, OutboxHardBytes: outboxBytesMax,
	}, h)
	if err != nil {
		return nil, err
	}
	if err = s.net.Start(ctx); err != nil {
		return nil, err
	}
	s.background.Go(func() {
		if err := s.http.Serve(s.handOff); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			cfg.Logger.Error("net/http ended", "err", err)
		}
	})
	return s, nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() net.Addr { return s.net.Addr() }

// Stats are the counters of the loops.
func (s *Server) Stats() netpoll.Stats { return s.net.Stats() }

// Done yields an error when the server has ended by itself.
func (s *Server) Done() <-chan error { return s.net.Done() }

// Stop closes every connection and ends the server.
func (s *Server) Stop(ctx context.Context) error {
	s.net.Refuse(true)
	shutdown, cancel := context.WithTimeout(ctx, httpShutdownGrace)
	defer cancel()
	if s.http.Shutdown(shutdown) != nil {
		_ = s.http.Close()
	}
	err := errors.Join(s.handOff.Close(), s.net.Stop(ctx))
	s.background.Wait()
	return err
}

func index(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, "Lectern's conformance server. WebSockets at /echo are sent back what they say.\n"+
		"/engine.io/ sends back Engine.IO's messages; /socket.io/ is what the suite of Socket.IO's protocol speaks to.\n")
}
