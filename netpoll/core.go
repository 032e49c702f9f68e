package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// Handler is the program above the loops. Every method runs on the goroutine of the loop concerned, so a handler needs
// no locks for what belongs to one loop. A panic in any of them is recovered, counted, logged, and closes the
// connection it concerned with ReasonPanic.
type Handler interface {
	// LoopStarted is called once per loop, before any other method for that loop.
	LoopStarted(l *Loop)
	// Opened is called once per connection, first.
	Opened(c *Conn)
	// Data delivers all bytes that were read. They are borrowed: valid until the method returns.
	Data(c *Conn, in []byte)
	// Task delivers what Loop.Post was given, strictly in the order of the posts.
	Task(l *Loop, task any)
	// TurnEnded is called after each readable callback (after several, when many connections are ready at once), after
	// each batch of tasks and timers, and again after connections were closed, each time before what was sent is
	// flushed: the place to hand batches on.
	TurnEnded(l *Loop)
	// Timer is called when a timer of the connection fires.
	Timer(c *Conn, kind TimerKind)
	// Closed is called exactly once per Opened, last. The connection must leave every list of the handler here.
	Closed(c *Conn, reason Reason)
}

// Transport is the lower half of one connection: a gnet connection or a simulated one. All methods are for the loop's
// goroutine. Write and Writev either take everything (what the peer does not take at once is copied and counted by
// OutboundBuffered) or fail; a failing call may report the end through Port.Closed before it returns.
type Transport interface {
	Write(p []byte) (int, error)
	Writev(bs [][]byte) (int, error)
	OutboundBuffered() int
	RemoteAddr() net.Addr
}

// Driver is what a loop needs from whatever runs it.
type Driver interface {
	// Wake arranges for Port.Turn to be called soon on the loop's goroutine. Any goroutine, never two at a time, and
	// never between a Wake and the start of the Turn that answers it.
	Wake()
	// WakeAfter arranges for Port.TimersDue to be called once after d; a later call replaces an earlier one. Loop's
	// goroutine.
	WakeAfter(d time.Duration)
	// Now is the time. Any goroutine.
	Now() time.Time
	// Attach ties the transport to its connection, before the handler hears of it. Loop's goroutine.
	Attach(t Transport, c *Conn)
	// Close ends a connection and reports it through Port.Closed before it returns. Loop's goroutine.
	Close(t Transport)
	// Dup returns a second handle on the connection that outlives Close. Loop's goroutine.
	Dup(t Transport) (*net.TCPConn, error)
}

// rawSender is a Driver that can also write without telling Go's scheduler. SendRaw writes what the kernel takes at
// once and returns how many bytes that was; whatever is left, for whichever reason, is then written through
// the Transport,
// which knows what to do about it. It must not be called while the transport has bytes buffered. Loop's goroutine.
type rawSender interface {
	SendRaw(t Transport, bs [][]byte) int
}

// Core is what the loops of one server share. Server and simnet.Net each have one; programs use those.
type Core struct {
	// Immutable.
	cfg     Config
	handler Handler
	loops   []*Loop

	// Atomic.
	open     atomic.Int64 // connections between Opened and Closed
	detached atomic.Int64 // handed-off connections that are not closed yet
	refusing atomic.Bool
	stopping atomic.Bool
	accepted atomic.Uint64
	forward  atomic.Pointer[func(fd int) bool] // where connections go once another process takes over

	forwarded atomic.Uint64
	turned    [refusalCount]atomic.Uint64
}

// NewCore checks the configuration and returns a core without loops.
func NewCore(cfg Config, handler Handler) (*Core, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if handler == nil {
		return nil, errors.New("netpoll: a handler is needed")
	}
	return &Core{cfg: cfg, handler: handler}, nil
}

// Config is the configuration with defaults filled in.
func (k *Core) Config() Config { return k.cfg }

// Loops lists the loops in order of their index. The slice is shared: don't change it.
func (k *Core) Loops() []*Loop { return k.loops }

// Refuse makes the server close new connections at once (true) or accept them again (false). Any goroutine.
func (k *Core) Refuse(refuse bool) { k.refusing.Store(refuse) }

// Open is the number of open connections, handed-off ones not counted. Any goroutine.
func (k *Core) Open() int { return int(k.open.Load()) }

// AddLoop adds a loop that the driver runs and returns the driver's side of it. Not to be called once traffic flows.
func (k *Core) AddLoop(d Driver) *Port {
	l := &Loop{core: k, driver: d, index: len(k.loops), epoch: d.Now()}
	if k.cfg.RawSend {
		l.raw, _ = d.(rawSender)
	}
	k.loops = append(k.loops, l)
	return &Port{l: l}
}

// Port is the driver's side of a loop. All methods but Shut are for the loop's goroutine.
type Port struct{ l *Loop }

// Loop is the loop behind the port.
func (p *Port) Loop() *Loop { return p.l }

// SendsWide makes the loop hand wide fan-outs to s from its next turn on. Before traffic flows.
func (p *Port) SendsWide(s WideSender) {
	p.l.wide.sender = s
	p.l.count.wideOn.Store(true)
}

// Started tells the handler that the loop runs.
func (p *Port) Started() {
	l := p.l
	l.begin()
	l.callStarted()
	l.end()
}

// Opened announces a connection. The result is nil when it is refused: the driver then closes the transport itself.
func (p *Port) Opened(t Transport) *Conn { return p.l.opened(t, accepted) }

// Data announces bytes from the peer, borrowed until the call returns.
func (p *Port) Data(c *Conn, in []byte) {
	l := p.l
	if c.flags&(flagClosed|flagClosing) != 0 {
		return // what still arrives after we decided to close is not looked at
	}
	l.begin()
	l.count.bytesIn.Add(uint64(len(in)))
	l.callData(c, in)
	if l.postpone() {
		l.depth--
		return
	}
	l.end()
}

// Closed announces that the transport is closed, for whatever reason; err is nil when our side asked for it. Later
// announcements of the same connection are ignored.
func (p *Port) Closed(c *Conn, err error) { p.l.gone(c, err) }

// Turn runs waiting tasks and due timers, a bounded number of them.
func (p *Port) Turn() { p.l.turn() }

// TimersDue says that the time asked for by Driver.WakeAfter has come. Any goroutine.
func (p *Port) TimersDue() {
	p.l.timersDue.Store(true)
	p.l.wake()
}

// CloseAll closes every connection of the loop, each after flushing what it has queued.
func (p *Port) CloseAll(reason Reason) { p.l.closeAll(reason) }

// Shut ends the inbox: Post refuses from here on and the driver is never asked to wake again. Any goroutine.
func (p *Port) Shut() {
	l := p.l
	l.mu.Lock()
	l.shut = true
	l.inbox = nil
	l.mu.Unlock()
}

// reasonOf maps what the transport reported to a reason.
func (k *Core) reasonOf(c *Conn, err error) Reason {
	switch {
	case c.flags&flagClosing != 0:
		return c.reason
	case err == nil && k.stopping.Load():
		return ReasonServerStopped
	case err == nil:
		return ReasonEngineFailed
	case c.flags&flagWriting != 0:
		return ReasonWriteFailed
	case errors.Is(err, io.EOF):
		return ReasonPeerClosed
	case errors.Is(err, syscall.EPIPE):
		return ReasonWriteFailed
	default:
		return ReasonPeerReset
	}
}

// recovered is deferred around every callback. It must be deferred itself: recover works only there.
func (l *Loop) recovered(c *Conn, callback string) {
	v := recover()
	if v == nil {
		return
	}
	l.count.panics.Add(1)
	// The value may hold what a user sent, so only runtime errors are shown; the stack shows where.
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	id := ConnID(0)
	if c != nil {
		id = c.id
	}
	l.core.cfg.Logger.Error("netpoll: a callback panicked; its connection is closed",
		"callback", callback, "panic", what, "conn", id.String(), "stack", string(debug.Stack()))
	if c != nil {
		c.Close(ReasonPanic)
	}
}
