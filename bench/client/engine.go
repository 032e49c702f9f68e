package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Handler gets an engine's callbacks, all on the engine's goroutine. Payloads are borrowed until the callback returns.
// now and at are by Now, in nanoseconds.
type Handler interface {
	// Opened is called once the handshake is done.
	Opened(c *Conn, now int64)
	// Message is called for every complete text or binary message; now is when its bytes were read.
	Message(c *Conn, payload []byte, now int64)
	// Closed is called exactly once per Dial that returned a connection. It may Dial again.
	Closed(c *Conn, end End)
	// Timer is called at or after the time that After named; at is that time, for latencies from the intended moment.
	Timer(c *Conn, kind uint8, at int64)
	// TurnEnded is called after each batch of readable connections, and before the engine waits.
	TurnEnded(now int64)
}

// Config is what an engine needs to know. Addr must be an IPv4 or IPv6 address with a port; Host goes into the request.
type Config struct {
	Addr        *net.TCPAddr
	Host        string
	Subprotocol string // empty: none is asked for
	ConnsMax    int    // the greatest number of connections of this engine at a time
}

const (
	readBufBytes  = 256 << 10
	connsPerAddr  = 1000 // far below the 25,000 ports an address can give, and kind to limits per address
	eventsMax     = 1024
	spareBufsMax  = 64
	spareBufBytes = 64 << 10
)

// Engine drives its connections on one goroutine. Dial and the methods of Conn belong to that goroutine; Do and the
// counters may be used from any.
type Engine struct {
	// Immutable.
	cfg     Config
	handler Handler
	key     string
	accept  string
	epfd    int
	wakefd  int
	sources bool // bind to many loopback addresses

	// Owned by the engine's goroutine.
	readBuf []byte
	timers  timerHeap
	slots   []*Conn
	free    []int32
	spare   [][]byte
	rng     uint64
	dialled int
	pings   int64

	// Guarded by mu: the door for other goroutines.
	mu     sync.Mutex
	tasks  []func()
	closed bool

	// Atomic.
	waitedNs atomic.Int64
	cpuNs    atomic.Int64
	stopping atomic.Bool
}

// NewEngine makes an engine; Run starts it.
func NewEngine(cfg Config, handler Handler) (*Engine, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("bench: eventfd: %w", err)
	}
	var seed [24]byte
	_, _ = rand.Read(seed[:])
	e := &Engine{
		cfg: cfg, handler: handler, epfd: epfd, wakefd: wakefd,
		key:     base64.StdEncoding.EncodeToString(seed[:16]),
		sources: cfg.Addr.IP.IsLoopback() && cfg.Addr.IP.To4() != nil,
		readBuf: make([]byte, readBufBytes),
		rng:     binary.LittleEndian.Uint64(seed[16:]) | 1,
	}
	e.accept = acceptFor(e.key)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wakefd, &ev); err != nil {
		_ = unix.Close(epfd)
		_ = unix.Close(wakefd)
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	return e, nil
}

// Do runs f on the engine's goroutine, in the order of the calls. It does not wait. After Run has returned f is
// dropped.
func (e *Engine) Do(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks = append(e.tasks, f)
	if len(e.tasks) == 1 {
		e.wakeLocked()
	}
}

// wakeLocked checks closed under the lock: the descriptor's number may belong to somebody else afterwards.
func (e *Engine) wakeLocked() {
	if e.closed {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(e.wakefd, one[:])
}

// Usage is how long the engine's goroutine waited for events and how much CPU it used, in nanoseconds since Run began.
func (e *Engine) Usage() (waitedNs, cpuNs int64) { return e.waitedNs.Load(), e.cpuNs.Load() }

// Pings is the number of the server's pings that were answered; on the engine's goroutine, or after Run has returned.
func (e *Engine) Pings() int64 { return e.pings }

// Run drives the engine until ctx ends; then it closes all connections (Handler.Closed is called) and returns.
func (e *Engine) Run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, func() {
		e.stopping.Store(true)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.wakeLocked()
	})
	defer stop()
	events := make([]unix.EpollEvent, eventsMax)
	for !e.stopping.Load() {
		before := Now()
		n := e.wait(events, before)
		e.waitedNs.Add(Now() - before)
		e.turn(events[:n])
		e.cpuNs.Store(threadCPU())
	}
	for _, c := range e.slots {
		if c != nil {
			c.Close(1000)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	_ = unix.Close(e.epfd)
	_ = unix.Close(e.wakefd)
}

// At runs do on the engine's goroutine at or after the time at (by Now); engine goroutine only.
func (e *Engine) At(at int64, do func()) { e.timers.push(timer{at: at, do: do}) }

func (e *Engine) turn(events []unix.EpollEvent) {
	for i := range events {
		ev := &events[i]
		if ev.Fd < 0 {
			var drain [8]byte
			_, _ = unix.Read(e.wakefd, drain[:])
			continue
		}
		c := e.slots[ev.Fd]
		// A connection closed earlier in this turn, or its slot's next tenant, is not meant.
		if c == nil || uint32(ev.Pad) != c.gen {
			continue
		}
		e.ready(c, ev.Events)
	}
	e.mu.Lock()
	tasks := e.tasks
	e.tasks = nil
	e.mu.Unlock()
	for _, f := range tasks {
		f()
	}
	for now := Now(); len(e.timers) > 0 && e.timers[0].at <= now; {
		t := e.timers.pop()
		switch {
		case t.do != nil:
			t.do()
		case t.conn.state != stateClosed:
			e.handler.Timer(t.conn, t.kind, t.at)
		}
	}
	e.handler.TurnEnded(Now())
}

func (e *Engine) ready(c *Conn, events uint32) {
	if c.state == stateConnecting {
		e.connected(c)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		c.Flush()
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.readable(Now())
	}
}

// Dial starts a connection that asks for path, with the access token as its Authorization (RFC 6750 section 2.1) unless
// that is empty. The outcome comes as Opened or Closed, possibly (Closed) before Dial returns. id is the caller's own
// number.
func (e *Engine) Dial(id int, path, token string) *Conn {
	c := &Conn{ID: id, engine: e, path: path, token: token, started: Now(), state: stateConnecting}
	fd, err := e.connect()
	if err != nil {
		c.state = stateClosed
		e.handler.Closed(c, End{Name: "connect", Err: err})
		return c
	}
	c.fd = int32(fd)
	if n := len(e.free); n > 0 {
		c.slot, e.free = e.free[n-1], e.free[:n-1]
	} else {
		c.slot = int32(len(e.slots))
		e.slots = append(e.slots, nil)
	}
	e.dialled++
	c.gen = uint32(e.dialled)
	e.slots[c.slot] = c
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: c.slot, Pad: int32(c.gen)}
	if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		c.finish(End{Name: "connect", Err: err})
	}
	return c
}

// connect makes a non-blocking socket and starts connecting it, from one of many loopback addresses if the target is on
// loopback: one address has only some 28,000 ports. IP_BIND_ADDRESS_NO_PORT leaves the choice of the port to connect,
// which may then reuse a port towards another destination.
func (e *Engine) connect() (int, error) {
	family := unix.AF_INET
	var to unix.Sockaddr
	if ip := e.cfg.Addr.IP.To4(); ip != nil {
		sa := &unix.SockaddrInet4{Port: e.cfg.Addr.Port}
		copy(sa.Addr[:], ip)
		to = sa
	} else {
		family = unix.AF_INET6
		sa := &unix.SockaddrInet6{Port: e.cfg.Addr.Port}
		copy(sa.Addr[:], e.cfg.Addr.IP.To16())
		to = sa
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if e.sources {
		k := e.dialled / connsPerAddr
		from := &unix.SockaddrInet4{Addr: [4]byte{127, byte(10 + k/60000%200), byte(k / 250 % 240), byte(1 + k%250)}}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, from); err != nil {
			_ = unix.Close(fd)
			return 0, err
		}
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func (e *Engine) connected(c *Conn) {
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		c.finish(End{Name: "connect", Err: err})
		return
	}
	c.state = stateUpgrading
	c.watch(false)
	c.pending = e.appendRequest(e.buffer(), c.path, c.token)
	c.Flush()
}

func (e *Engine) release(c *Conn) {
	e.slots[c.slot] = nil
	e.free = append(e.free, c.slot)
}

// buffer and recycle keep a few write buffers: connections own one only while something waits.
func (e *Engine) buffer() []byte {
	if n := len(e.spare); n > 0 {
		b := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return b
	}
	return nil
}

func (e *Engine) recycle(b []byte) {
	if len(e.spare) < spareBufsMax && cap(b) > 0 && cap(b) <= spareBufBytes {
		e.spare = append(e.spare, b[:0])
	}
}

// mask gives the next frame's masking key (xorshift64): unpredictable to a proxy, cheap for us.
func (e *Engine) mask() uint32 {
	e.rng ^= e.rng << 13
	e.rng ^= e.rng >> 7
	e.rng ^= e.rng << 17
	return uint32(e.rng >> 16)
}

// Random gives a number below n from the engine's own generator; engine goroutine only.
func (e *Engine) Random(n int) int {
	if n <= 1 {
		return 0
	}
	return int(uint64(e.mask()) % uint64(n))
}

// waitMaxNs bounds a wait, so that the CPU counters stay fresh.
const waitMaxNs = int64(100e6)

// wait is epoll_pwait2 (Linux 5.11), because a millisecond's rounding would show in an open loop's latencies.
func (e *Engine) wait(events []unix.EpollEvent, now int64) int {
	timeout := waitMaxNs
	if len(e.timers) > 0 {
		timeout = min(max(e.timers[0].at-now, 0), timeout)
	}
	ts := unix.NsecToTimespec(timeout)
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.epfd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno == unix.ENOSYS {
		m, err := unix.EpollWait(e.epfd, events, int((timeout+999_999)/1_000_000))
		if err != nil {
			return 0
		}
		return m
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

func threadCPU() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// rawRead and rawWrite skip the scheduler's bookkeeping: the sockets never block (measured: 10–25 % cheaper).
func rawRead(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func rawWrite(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
