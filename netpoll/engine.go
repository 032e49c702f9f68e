package netpoll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// engine translates between gnet and the loops. What gnet promises and does not promise is in doc.go.
type engine struct {
	core   *Core
	loops  []*gnetLoop
	booted chan struct{} // closed when all of gnet's loops exist

	bootOnce sync.Once
	eng      gnet.Engine
	bound    sync.Map // gnet.EventLoop → *gnetLoop

	balancer sync.Mutex // held while connections are registered: gnet's choice of the loop is not guarded

	mu      sync.Mutex
	early   map[gnet.EventLoop][]gnet.Conn // accepted before their loop was bound
	waiting int                            // in all of early
}

// gnetLoop drives one Loop by one of gnet's event loops. gnet does not show its loops, so each gets a socket pair
// enrolled as a connection when the server starts: its first event binds the two, and a byte on it is the wake-up. That
// is one readable event among others, so tasks can't starve the sockets, as gnet's own task queue would let them: it is
// emptied to the last task, however fast new ones come.
type gnetLoop struct {
	port  *Port
	bell  int // our end of the pair
	timer *time.Timer
	rawScratch
	wide

	// Owned by the loop after binding.
	loop gnet.EventLoop

	shutdown atomic.Bool
}

func newEngine(core *Core, loops int) (*engine, error) {
	e := &engine{core: core, booted: make(chan struct{}), early: make(map[gnet.EventLoop][]gnet.Conn)}
	for range loops {
		d := &gnetLoop{bell: -1}
		d.port = core.AddLoop(d)
		d.timer = time.AfterFunc(time.Hour, d.port.TimersDue)
		d.timer.Stop()
		e.loops = append(e.loops, d)
	}
	if err := e.openWide(); err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

// openWide gives every loop what it needs for wide submissions, or none of them any: all loops send the same way.
func (e *engine) openWide() error {
	how := e.core.cfg.IO
	if how == IOWrites {
		return nil
	}
	for i, d := range e.loops {
		err := d.openWide()
		if err == nil {
			continue
		}
		for _, opened := range e.loops[:i] {
			opened.closeWide()
		}
		if how == IOUring {
			return fmt.Errorf("netpoll: io_uring is demanded but can't be used here (%w): "+
				"allow it (kernel.io_uring_disabled=0, the container's seccomp profile) or set io to auto or writes", err)
		}
		e.core.cfg.Logger.Info("netpoll: io_uring can't be used here; wide fan-outs go by write(2)", "why", err)
		return nil
	}
	for _, d := range e.loops {
		d.port.SendsWide(d)
	}
	return nil
}

// bindLoops enrols a socket pair in each of gnet's loops. The balancer hands them out in turn and nobody else uses it,
// so each pair meets another loop.
func (e *engine) bindLoops(ctx context.Context) error {
	e.balancer.Lock()
	defer e.balancer.Unlock()
	for _, d := range e.loops {
		theirs, err := d.openBell()
		if err != nil {
			return err
		}
		enrolled, err := e.eng.Register(gnet.NewNetConnContext(gnet.NewContext(context.Background(), d), theirs))
		if err != nil {
			_ = theirs.Close()
			return fmt.Errorf("netpoll: can't reach an event loop: %w", err)
		}
		select {
		case r := <-enrolled:
			if r.Err != nil {
				return fmt.Errorf("netpoll: can't reach an event loop: %w", r.Err)
			}
		case <-ctx.Done():
			return fmt.Errorf("netpoll: starting the loops took too long: %w", ctx.Err())
		}
	}
	bound := 0
	e.bound.Range(func(_, _ any) bool { bound++; return true })
	if bound != len(e.loops) {
		return fmt.Errorf("netpoll: only %d of %d event loops could be reached", bound, len(e.loops))
	}
	return nil
}

// openBell makes the socket pair, keeps one end and returns the other.
func (d *gnetLoop) openBell() (net.Conn, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't make a socket pair: %w", err)
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	d.port.l.mu.Lock()
	d.bell = pair[0]
	d.port.l.mu.Unlock()
	file := os.NewFile(uintptr(pair[1]), "bell")
	defer file.Close() //nolint:errcheck // FileConn has its own descriptor
	return net.FileConn(file)
}

// shutdown makes the first loop ask gnet to end; gnet then ends the others.
func (e *engine) shutdown() {
	d := e.loops[0]
	d.shutdown.Store(true)
	d.port.l.wake()
}

// release frees what the engine held, after gnet has returned.
func (e *engine) release() {
	for _, d := range e.loops {
		d.port.Shut()
		d.timer.Stop()
		d.closeWide()
		if d.bell >= 0 {
			_ = unix.Close(d.bell)
			d.bell = -1
		}
	}
}

// OnBoot is gnet's; the loops don't exist yet.
func (e *engine) OnBoot(eng gnet.Engine) gnet.Action {
	e.eng = eng
	return gnet.None
}

// OnTick is gnet's, on a goroutine of its own that starts after all loops exist: that it is called is all we need.
func (e *engine) OnTick() (time.Duration, gnet.Action) {
	e.bootOnce.Do(func() { close(e.booted) })
	return 24 * time.Hour, gnet.None
}

// OnShutdown is gnet's. It fires before connections and pollers are closed: from here on nothing may be posted.
func (e *engine) OnShutdown(gnet.Engine) {
	for _, d := range e.loops {
		d.port.Shut()
	}
}

// OnOpen is gnet's, on the loop's goroutine.
func (e *engine) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	if d, ok := gc.Context().(*gnetLoop); ok {
		e.bind(d, gc.EventLoop())
		return nil, gnet.None
	}
	if a, ok := gc.Context().(*adopted); ok {
		return nil, a.d.arrived(gc, a)
	}
	if forward := e.core.forward.Load(); forward != nil {
		if !e.core.passOn(gc, *forward) {
			e.core.turned[RefusalShut].Add(1)
		}
		return nil, gnet.Close
	}
	d := e.loopOf(gc.EventLoop())
	if d == nil {
		return nil, e.wait(gc)
	}
	if d.port.Opened(gc) == nil {
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// wait keeps a connection until its loop is bound, or refuses it: running out of descriptors would end the engine.
func (e *engine) wait(gc gnet.Conn) gnet.Action {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting >= e.core.cfg.ConnsMax {
		e.core.turned[RefusalCap].Add(1)
		return gnet.Close
	}
	e.waiting++
	e.early[gc.EventLoop()] = append(e.early[gc.EventLoop()], gc)
	return gnet.None
}

// bind joins one of gnet's loops with one of ours, on the loop's goroutine, and opens what was accepted before.
func (e *engine) bind(d *gnetLoop, loop gnet.EventLoop) {
	d.loop = loop
	e.bound.Store(loop, d)
	d.port.Started()
	e.mu.Lock()
	early := e.early[loop]
	delete(e.early, loop)
	e.waiting -= len(early)
	e.mu.Unlock()
	for _, gc := range early {
		if d.port.Opened(gc) == nil {
			_ = loop.Close(gc)
			continue
		}
		if gc.InboundBuffered() > 0 {
			_ = e.OnTraffic(gc)
		}
	}
}

func (e *engine) loopOf(loop gnet.EventLoop) *gnetLoop {
	v, _ := e.bound.Load(loop)
	d, _ := v.(*gnetLoop)
	return d
}

// OnTraffic is gnet's, on the loop's goroutine. All bytes are taken every time: gnet would keep the rest in a buffer
// without a limit.
func (e *engine) OnTraffic(gc gnet.Conn) gnet.Action {
	switch v := gc.Context().(type) {
	case *Conn:
		if in, err := gc.Next(-1); err == nil && len(in) > 0 {
			(&Port{l: v.loop}).Data(v, in)
		}
	case *gnetLoop:
		_, _ = gc.Discard(-1)
		v.port.Turn()
		if v.shutdown.Load() {
			return gnet.Shutdown
		}
	case nil: // it waits for its loop to be bound, and gnet keeps what it sends, however much that is
		if gc.InboundBuffered() > earlyBytesMax {
			e.core.turned[RefusalCap].Add(1)
			return gnet.Close
		}
	}
	return gnet.None
}

// earlyBytesMax is how much a connection may send before its loop is bound, in bytes: heads of requests are smaller by
// far, and who sends more can't wait for its answer.
const earlyBytesMax = 128 << 10

// OnClose is gnet's, on the loop's goroutine, perhaps inside a write of ours.
func (e *engine) OnClose(gc gnet.Conn, err error) gnet.Action {
	if c, ok := gc.Context().(*Conn); ok {
		(&Port{l: c.loop}).Closed(c, err)
		return gnet.None
	}
	if gc.Context() == nil { // refused, or still waiting for its loop to be bound
		e.mu.Lock()
		loop := gc.EventLoop()
		before := len(e.early[loop])
		e.early[loop] = slices.DeleteFunc(e.early[loop], func(o gnet.Conn) bool { return o == gc })
		e.waiting -= before - len(e.early[loop])
		e.mu.Unlock()
	}
	return gnet.None
}

// Wake implements Driver. The lock of the loop is held, so the descriptor can't be closed meanwhile.
func (d *gnetLoop) Wake() {
	if d.bell >= 0 {
		_, _ = unix.Write(d.bell, []byte{1}) // full means that a wake is on its way already
	}
}

// WakeAfter implements Driver.
func (d *gnetLoop) WakeAfter(after time.Duration) { d.timer.Reset(after) }

// Now implements Driver.
func (d *gnetLoop) Now() time.Time { return time.Now() }

// Attach implements Driver: the context ties gnet's connection to ours.
func (d *gnetLoop) Attach(t Transport, c *Conn) {
	if gc, ok := t.(gnet.Conn); ok {
		gc.SetContext(c)
	}
}

// Close implements Driver.
func (d *gnetLoop) Close(t Transport) {
	if gc, ok := t.(gnet.Conn); ok {
		_ = d.loop.Close(gc)
	}
}

// Dup implements Driver.
func (d *gnetLoop) Dup(t Transport) (*net.TCPConn, error) {
	gc, ok := t.(gnet.Conn)
	if !ok {
		return nil, errors.New("netpoll: not a socket")
	}
	fd, err := gc.Dup()
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't duplicate the descriptor: %w", err)
	}
	file := os.NewFile(uintptr(fd), "handed-off")
	defer file.Close() //nolint:errcheck // FileConn has its own descriptor
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't hand the connection off: %w", err)
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("netpoll: not a TCP connection")
	}
	return tcp, nil
}

// engineLogger shows gnet's log lines in ours.
type engineLogger struct{ log *slog.Logger }

// Debugf implements gnet's logger; its debug lines are of no use to an operator.
func (engineLogger) Debugf(string, ...any) {}

// Infof implements gnet's logger.
func (g engineLogger) Infof(format string, args ...any) { g.log.Debug(g.line(format, args)) }

// Warnf implements gnet's logger.
func (g engineLogger) Warnf(format string, args ...any) { g.log.Warn(g.line(format, args)) }

// Errorf implements gnet's logger.
func (g engineLogger) Errorf(format string, args ...any) { g.log.Error(g.line(format, args)) }

// Fatalf implements gnet's logger. It does not end the process: Server.Done reports the end of the engine.
func (g engineLogger) Fatalf(format string, args ...any) { g.log.Error(g.line(format, args)) }

func (engineLogger) line(format string, args []any) string {
	return "netpoll: gnet: " + fmt.Sprintf(format, args...)
}
