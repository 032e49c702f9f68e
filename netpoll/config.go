package netpoll

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Limits that are not settings; doc.go has the table of all of them.
const (
	tickInterval     = 10 * time.Millisecond // resolution of every timer
	retryInterval    = 10 * time.Millisecond // how often blocked connections are looked at
	tasksPerTurnMax  = 256                   // tasks taken from the inbox before reads get their turn
	writeChunkBytes  = 64 << 10              // what is given to the kernel in one write
	iovecsMax        = 1024                  // IOV_MAX: writev(2) fails with EINVAL above it
	entryCostBytes   = 32                    // charged per queued frame, so that tiny frames are bounded too
	descriptorsSpare = 64                    // kept free of connections: listeners, logs, databases, one accept per loop
)

// Config is what a Server needs. The zero value of a field means its default.
type Config struct {
	// Addr is host:port to listen on, "127.0.0.1:0" for any free port.
	Addr string
	// Loops is the number of event loops, 1..1024; default one per processor that Go may use.
	Loops int
	// ConnsMax is the largest number of open connections, handed-off ones included; more are closed at once and
	// counted as refused. Default: the soft limit of descriptors less an eighth and 64. It must be below that limit:
	// accept(2) failing for want of a descriptor would end the engine and close everyone.
	ConnsMax int
	// AcceptRate is how many connections a second are taken up in the long run, over all loops; a second's worth may come
	// at once. Those above it, and those that take the last 32nd of ConnsMax, are accepted too but Conn.Late says so,
	// for the handler to send them away with advice. Default and negative: no limit.
	AcceptRate int
	// HandshakeTimeout closes connections whose handler did not stop TimerHandshake. Default 10 s; negative: never.
	HandshakeTimeout time.Duration
	// ReusePort allows a second process to listen on the same address (takeover by a new version). Without it a taken
	// port is an error.
	ReusePort bool
	// OutboxHighBytes is where an outbox begins to shed: volatile frames are dropped and state frames kept newest per
	// key. Default 64 KiB.
	OutboxHighBytes int
	// OutboxHardBytes is the most that may wait for a connection whose peer is behind; above it the connection is
	// closed with ReasonSlowConsumer. One turn's sends to a peer that is not behind may reach twice that. Default 1 MiB.
	OutboxHardBytes int
	// InboxTasksMax is the most tasks that may wait in one loop's inbox; Loop.Post refuses above it. Default 65,536.
	InboxTasksMax int
	// ReadBufferBytes is the size of each loop's read buffer and so of the largest slice that Handler.Data is given.
	// Default 64 KiB.
	ReadBufferBytes int
	// RawSend writes with a bare system call that does not tell Go's scheduler. It is cheaper, and safe because the
	// sockets never block. Default off.
	RawSend bool
	// IO is how wide fan-outs reach the kernel: IOWrites by a write(2) per connection, IOUring by io_uring, many
	// connections per system call (an error at the start where that is forbidden or missing), IOAuto (default) by
	// io_uring where it works. Everything else is written.
	IO IO
	// UringConnsMin is how many connections must have something to send at the end of a turn for io_uring to be used.
	// The same number of reads in a round of the poller makes them share a turn. Default 8: below that a submission is
	// hardly cheaper than the writes.
	UringConnsMin int
	// SlowConsumerFrame returns the bytes to send, best effort, before a connection is closed with
	// ReasonSlowConsumer; nil for none. Called on the loop's goroutine; the bytes are copied.
	SlowConsumerFrame func() []byte
	// Admit, when set, is asked for each new connection before it counts; false refuses it. Called on loops'
	// goroutines at the same time. released must be called when the connection ends; it may be nil.
	Admit func(remote string) (released func(), ok bool)
	// Logger gets panics and the engine's faults. Default: none.
	Logger *slog.Logger
}

// IO is a way for wide fan-outs to reach the kernel.
type IO string

const (
	// IOAuto uses io_uring where it works.
	IOAuto IO = "auto"
	// IOWrites uses write(2) only.
	IOWrites IO = "writes"
	// IOUring uses io_uring, or the server does not start.
	IOUring IO = "uring"
)

// withDefaults fills what is zero and reports every wrong field at once.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Loops, runtime.GOMAXPROCS(0))
	setDefault(&c.HandshakeTimeout, 10*time.Second)
	setDefault(&c.OutboxHighBytes, 64<<10)
	setDefault(&c.OutboxHardBytes, 1<<20)
	setDefault(&c.InboxTasksMax, 1<<16)
	setDefault(&c.ReadBufferBytes, 64<<10)
	setDefault(&c.IO, IOAuto)
	setDefault(&c.UringConnsMin, wideConnsMin)
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	var faults []error
	complain := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("netpoll: "+format, args...))
		}
	}
	setDefault(&c.ConnsMax, loopSlotsMax)
	complain(c.Loops < 1 || c.Loops > loopsMax, "loops must be between 1 and %d, not %d", loopsMax, c.Loops)
	complain(c.ConnsMax < 1 || c.ConnsMax > loopSlotsMax,
		"the largest number of connections must be between 1 and %d, not %d", loopSlotsMax, c.ConnsMax)
	complain(c.OutboxHighBytes < 1<<10, "the outbox's high mark must be at least 1024 bytes, not %d", c.OutboxHighBytes)
	complain(c.OutboxHardBytes < c.OutboxHighBytes,
		"the outbox's hard limit (%d bytes) must not be below its high mark (%d)", c.OutboxHardBytes, c.OutboxHighBytes)
	complain(c.InboxTasksMax < 1, "the inbox must have room for at least one task, not %d", c.InboxTasksMax)
	complain(c.IO != IOAuto && c.IO != IOWrites && c.IO != IOUring, "io must be auto, writes or uring, not %q", c.IO)
	complain(c.UringConnsMin < 1, "io_uring needs at least one connection to send to, not %d", c.UringConnsMin)
	complain(c.ReadBufferBytes < 1<<10 || c.ReadBufferBytes > 1<<24,
		"the read buffer must be between 1 KiB and 16 MiB, not %d bytes", c.ReadBufferBytes)
	return c, errors.Join(faults...)
}

// withinDescriptors keeps the cap on connections well under the number of descriptors that this process may open.
func (c Config) withinDescriptors(descriptors int) (Config, error) {
	setDefault(&c.ConnsMax, min(max(descriptors-descriptors/8-descriptorsSpare, 1), loopSlotsMax))
	if c.ConnsMax > descriptors-descriptorsSpare {
		return c, fmt.Errorf("netpoll: %d connections need at least %d descriptors but this process may open %d: "+
			"raise the limit (ulimit -n) or lower the number of connections",
			c.ConnsMax, c.ConnsMax+descriptorsSpare, descriptors)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// descriptorLimit is the number of descriptors that this process may have open.
func descriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}
