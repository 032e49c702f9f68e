package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Two processes can serve one port in turn, without a moment in which nobody accepts (Config.ReusePort):
//
//	the new one calls Listen: connections that the kernel gives to it wait
//	the old one calls Forward: those that the kernel still gives to it go to the new one too, by way of Adopt
//	when the new one has what it needs, it calls Serve; when the old one's members are gone, it calls Stop
//
// A listener that is closed takes with it what has not been accepted, and connects that are under way. So the old
// process's listeners outlive it: the new one gets them (Listeners, Inherit) and accepts from them beside its own.

// Forward gives every connection that is accepted from now on to f instead of opening it. f gets a descriptor of its
// own, which it must close, and nothing has been read from it; it runs on the loops' goroutines and must not block.
// When it reports false the connection is refused.
func (s *Server) Forward(f func(fd int) bool) { s.forward.Store(&f) }

// passOn gives a descriptor of the connection's own to forward.
func (k *Core) passOn(t Transport, forward func(fd int) bool) bool {
	gc, ok := t.(gnet.Conn)
	if !ok {
		return false
	}
	fd, err := gc.Dup()
	if err != nil || !forward(fd) {
		return false
	}
	k.forwarded.Add(1)
	return true
}

// Forward gives this connection where Server.Forward gives the new ones, and closes it here with ReasonHandedOff, which
// the peer does not notice. Nothing may have been read from it or written to it. False: it stays. Loop's goroutine.
func (c *Conn) Forward() bool {
	forward := c.loop.core.forward.Load()
	if forward == nil || c.Closing() || c.QueuedBytes() > 0 || !c.loop.core.passOn(c.t, *forward) {
		return false
	}
	c.Close(ReasonHandedOff)
	return true
}

// Adopt opens a connection that another process has accepted; c is the server's from now on. After Listen. Any
// goroutine.
func (s *Server) Adopt(c net.Conn) error {
	if _, ok := c.(*net.TCPConn); !ok {
		_ = c.Close()
		return errors.New("netpoll: only TCP connections can be adopted")
	}
	_, err := s.engine.enrol(c)
	return err
}

// enrol gives a connection to the next loop; the channel yields when it is there.
func (e *engine) enrol(c net.Conn) (<-chan gnet.RegisteredResult, error) {
	e.balancer.Lock()
	defer e.balancer.Unlock()
	done, err := e.eng.Register(gnet.NewNetConnContext(context.Background(), c))
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("netpoll: can't adopt a connection: %w", err)
	}
	return done, nil
}

// inheritedMax bounds the listeners that are handed from process to process: each takeover adds those of one process.
const inheritedMax = 64

// inherited are the listeners of processes that this one took over from.
type inherited struct {
	mu        sync.Mutex
	listeners []*net.TCPListener
	accepting sync.WaitGroup
}

// Inherit accepts from a listener of the process that ran before, until Stop; l is the server's from now on. After
// Listen. Any goroutine.
func (s *Server) Inherit(l net.Listener) error {
	tcp, ok := l.(*net.TCPListener)
	h := &s.inherited
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok || s.stopping.Load() || len(h.listeners) >= inheritedMax {
		_ = l.Close()
		return errors.New("netpoll: this listener can't be inherited")
	}
	h.listeners = append(h.listeners, tcp)
	h.accepting.Go(func() { s.acceptFrom(tcp) })
	return nil
}

// acceptFrom takes one connection after another to its loop, each when the one before has got there: a storm must not
// fill the queue of the engine, which it empties before it looks at its sockets.
func (s *Server) acceptFrom(l *net.TCPListener) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptor is free: they wait in the kernel until somebody ends
			if !s.pause() {
				return
			}
			continue
		}
		done, err := s.engine.enrol(c)
		if err != nil { // the engine ends, or is out of goroutines for a moment
			if !s.pause() {
				return
			}
			continue
		}
		select {
		case <-done:
		case <-s.ended:
			return
		}
	}
}

// pause waits before another try to accept, and reports false when the server has ended.
func (s *Server) pause() bool {
	timer := time.NewTimer(tickInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ended:
		return false
	}
}

// Listeners returns descriptors of the sockets that this server listens on, its own and inherited ones; the caller
// closes them.
func (s *Server) Listeners() []int {
	var fds []int
	for _, fd := range s.ownListeners {
		if dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fds = append(fds, dup)
		}
	}
	s.inherited.mu.Lock()
	defer s.inherited.mu.Unlock()
	for _, l := range s.inherited.listeners {
		raw, err := l.SyscallConn()
		if err != nil {
			continue
		}
		_ = raw.Control(func(fd uintptr) {
			if dup, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
				fds = append(fds, dup)
			}
		})
	}
	return fds
}

// stopInherited closes the inherited listeners and waits until nobody accepts from them.
func (s *Server) stopInherited() {
	s.inherited.mu.Lock()
	for _, l := range s.inherited.listeners {
		_ = l.Close()
	}
	s.inherited.mu.Unlock()
	s.inherited.accepting.Wait()
}

// findListeners looks for the sockets that gnet listens on, which it does not show. Empty where there is no procfs.
func findListeners(addr net.Addr) (fds []int) {
	tcp, ok := addr.(*net.TCPAddr)
	entries, err := os.ReadDir("/proc/self/fd")
	if !ok || err != nil {
		return nil
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || listens == 0 {
			continue
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		switch sa := name.(type) {
		case *unix.SockaddrInet4:
			ok = sa.Port == tcp.Port
		case *unix.SockaddrInet6:
			ok = sa.Port == tcp.Port
		default:
			ok = false
		}
		if ok {
			fds = append(fds, fd)
		}
	}
	return fds
}
