package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Server accepts TCP connections on gnet's event loops and shows them to a Handler. Make one with New, start it once,
// stop it once.
type Server struct {
	*Core
	engine       *engine
	addr         net.Addr
	ownListeners []int // gnet's; found once, while there are few descriptors
	inherited    inherited

	started   atomic.Bool
	serving   atomic.Bool // the loops are bound
	stopAsked atomic.Bool
	ended     chan struct{} // closed when gnet has returned and everything is released
	fatal     chan error    // one error if the engine ended unasked; then closed
}

// New checks the configuration and prepares a server that does not listen yet. The error names every wrong field.
func New(cfg Config, handler Handler) (*Server, error) {
	cfg, capErr := cfg.withinDescriptors(descriptorLimit())
	core, err := NewCore(cfg, handler)
	if err = errors.Join(capErr, err); err != nil {
		return nil, err
	}
	return &Server{Core: core, ended: make(chan struct{}), fatal: make(chan error, 1)}, nil
}

// Start is Listen and Serve. When it returns nil, connections are accepted, Addr and Loops are valid, and
// Handler.LoopStarted has been called for every loop. A taken port is an error that says so. ctx bounds the start only.
func (s *Server) Start(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Listen opens the port and starts the event engine, but shows nothing to the Handler: connections are accepted, as
// many as Config.ConnsMax, and wait with what they send until Serve. A taken port is an error that says so.
func (s *Server) Listen() error {
	if s.started.Swap(true) {
		return errors.New("netpoll: a server can be started only once")
	}
	addr, err := probe(s.cfg.Addr, s.cfg.ReusePort)
	if err != nil {
		s.abandon()
		return err
	}
	s.addr = addr
	if s.engine, err = newEngine(s.Core, s.cfg.Loops); err != nil {
		s.abandon()
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- gnet.Run(s.engine, "tcp://"+engineAddr(addr), s.options()...) }()
	select {
	case <-s.engine.booted:
	case err := <-ran:
		s.engine.release()
		s.abandon()
		return fmt.Errorf("netpoll: can't listen on %s: %w", addr, orNil(err, errEngineEnded))
	}
	s.ownListeners = findListeners(addr)
	go s.watch(ran)
	return nil
}

// Serve starts the loops of a server that listens: from here on the Handler hears of connections, those that have
// waited first. ctx bounds the start only.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.engine.bindLoops(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return errors.Join(err, s.Stop(stopCtx))
	}
	s.serving.Store(true)
	return nil
}

// abandon ends a server whose engine never ran.
func (s *Server) abandon() {
	close(s.fatal)
	close(s.ended)
}

func (s *Server) options() []gnet.Option {
	return []gnet.Option{
		gnet.WithNumEventLoop(s.cfg.Loops),
		// Each loop accepts for itself: no hand-over between threads, and the balancer's unguarded counter is ours alone.
		gnet.WithReusePort(true),
		gnet.WithReuseAddr(true),
		gnet.WithReadBufferCap(s.cfg.ReadBufferBytes),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithTCPKeepAlive(time.Minute),
		gnet.WithTicker(true), // its first call tells that all loops exist
		gnet.WithLogger(engineLogger{s.cfg.Logger}),
		// Level-triggered: edge-triggered reading costs a second read(2) per message, which finds nothing.
	}
}

// watch waits for the engine's end. gnet.Run returns nil also when the engine died, for instance because accept(2)
// failed: what nobody asked for is fatal, whatever it returned.
func (s *Server) watch(ran <-chan error) {
	err := <-ran
	s.engine.release()
	if !s.stopAsked.Load() {
		err = fmt.Errorf("netpoll: the event engine ended unasked, all connections are closed: %w",
			orNil(err, errEngineEnded))
		s.cfg.Logger.Error(err.Error())
		s.fatal <- err
	}
	close(s.fatal)
	close(s.ended)
}

var errEngineEnded = errors.New("it gave no reason; accept(2) without a free descriptor is the usual one")

func orNil(err, instead error) error {
	if err == nil {
		return instead
	}
	return err
}

// Addr is the address that the server listens on, with the port that was chosen; nil before Start.
func (s *Server) Addr() net.Addr { return s.addr }

// Done yields one error if the engine ends without Stop, and is closed when the server has ended either way.
func (s *Server) Done() <-chan error { return s.fatal }

// Stop refuses new connections, closes the open ones with ReasonServerStopped after flushing what they have queued,
// and ends the loops. It returns when all is released, or with ctx's error when a loop is stuck in its handler; what
// is left then ends as soon as that handler returns. Advice to clients and closing in waves is the caller's, before.
func (s *Server) Stop(ctx context.Context) error {
	if !s.started.Load() || s.engine == nil {
		return nil
	}
	s.stopAsked.Store(true)
	s.stopping.Store(true)
	s.stopInherited()
	if !s.serving.Load() { // no loop of ours would take the order
		asked, cancel := context.WithCancel(ctx)
		cancel()
		_ = s.engine.eng.Stop(asked) // only asks: the waiting is ours
		return s.awaitEnd(ctx)
	}
	var closed sync.WaitGroup
	for _, l := range s.loops {
		closed.Add(1)
		if !l.postCommand(func() { l.closeAll(ReasonServerStopped); closed.Done() }) {
			closed.Done()
		}
	}
	all := make(chan struct{})
	go func() { closed.Wait(); close(all) }()
	select {
	case <-all:
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	s.engine.shutdown()
	return s.awaitEnd(ctx)
}

func (s *Server) awaitEnd(ctx context.Context) error {
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("netpoll: a loop did not stop in time: %w", ctx.Err())
	}
}

// engineAddr is how gnet must be told the address: given "[::]:port" it would listen for IPv6 alone, while without a
// host it
// listens for both families, as Go's own listeners do.
func engineAddr(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.To4() == nil && tcp.IP.IsUnspecified() {
		return fmt.Sprintf(":%d", tcp.Port)
	}
	return addr.String()
}

// probe resolves the address to one with a port, and fails if someone listens there and sharing was not asked for:
// gnet's own listeners share the port, so they would not notice. A port that is shared is not tried: the kernel would
// give some of its connections to the listener that is closed at once.
func probe(addr string, share bool) (net.Addr, error) {
	if share {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("netpoll: can't listen on %q: %w", addr, err)
		}
		if tcp.Port != 0 {
			return tcp, nil
		}
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("netpoll: %s is taken: stop the program that listens there or choose another address: %w",
			addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't listen on %q: %w", addr, err)
	}
	defer ln.Close() //nolint:errcheck // it was open only to learn the port
	return ln.Addr(), nil
}
