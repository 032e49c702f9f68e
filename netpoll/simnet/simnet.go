// Package simnet runs netpoll's loops and connections without a kernel: in memory, on one goroutine, with a virtual
// clock and one seed that decides what happens next and how bytes are cut into pieces. The same seed and the same calls
// give the same run. It is for tests and for simulations of more connections than this machine has descriptors.
//
// It is stricter than a real network where that finds mistakes: bytes lent to Handler.Data are overwritten when it
// returns, and writing to a closed connection panics.
package simnet

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lectern/netpoll"
)

// stepsMax ends a run that never comes to rest.
const stepsMax = 50_000_000

// Options shape a simulated network. The zero value of a field means its default.
type Options struct {
	// Seed decides the order of events and the cuts.
	Seed uint64
	// Chop cuts what travels into pieces of random size, in both directions, instead of delivering it whole.
	Chop bool
	// Wide lets the loops send in wide submissions, as over io_uring, from Config.UringConnsMin connections on. With Chop
	// they are taken in part, and now and then refused for good.
	Wide bool
	// SendBufferBytes is how much the simulated kernel takes for a peer that does not read. Default 64 KiB.
	SendBufferBytes int
	// Start is the virtual time at the beginning. Default 2026-01-01 UTC.
	Start time.Time
}

// Net is a simulated network with a server on it. Everything but Bell and what the loops' Post does is for one
// goroutine, which is also the one that every Handler method runs on.
type Net struct {
	*netpoll.Core
	opts  Options
	rnd   *rand.Rand
	loops []*loop
	ready []item
	dials uint32
	lent  []byte // what Handler.Data is given, overwritten after each call

	nowNanos atomic.Int64

	mu    sync.Mutex
	woken []*loop // Guarded by mu.
	bell  chan struct{}
}

// item is something that can happen next: a loop's turn or a connection's event.
type item struct {
	loop   *loop
	client *Client
}

// loop drives one of netpoll's loops.
type loop struct {
	net     *Net
	port    *netpoll.Port
	timerAt time.Time // zero: none
}

// New makes a network with Config.Loops loops (Addr is not used) and tells the handler that they started.
func New(cfg netpoll.Config, handler netpoll.Handler, opts Options) (*Net, error) {
	if opts.SendBufferBytes == 0 {
		opts.SendBufferBytes = 64 << 10
	}
	if opts.Start.IsZero() {
		opts.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	core, err := netpoll.NewCore(cfg, handler)
	if err != nil {
		return nil, err
	}
	n := &Net{
		Core: core, opts: opts, rnd: rand.New(rand.NewPCG(opts.Seed, opts.Seed^0x9e3779b97f4a7c15)),
		bell: make(chan struct{}, 1),
	}
	n.nowNanos.Store(opts.Start.UnixNano())
	for range core.Config().Loops {
		l := &loop{net: n}
		l.port = core.AddLoop(l)
		if opts.Wide {
			l.port.SendsWide(l)
		}
		n.loops = append(n.loops, l)
	}
	for _, l := range n.loops {
		l.port.Started()
	}
	return n, nil
}

// Now is the virtual time. Any goroutine.
func (n *Net) Now() time.Time { return time.Unix(0, n.nowNanos.Load()).UTC() }

// Bell yields a value after another goroutine has posted to a loop, so that a test with real goroutines beside the
// network can wait for work and then call Run.
func (n *Net) Bell() <-chan struct{} { return n.bell }

// Step lets one thing happen, chosen by the seed, and reports whether there was any.
func (n *Net) Step() bool {
	n.mu.Lock()
	for _, l := range n.woken {
		n.ready = append(n.ready, item{loop: l})
	}
	n.woken = n.woken[:0]
	n.mu.Unlock()
	if len(n.ready) == 0 {
		return false
	}
	i := n.rnd.IntN(len(n.ready))
	it := n.ready[i]
	last := len(n.ready) - 1
	n.ready[i] = n.ready[last]
	n.ready[last] = item{}
	n.ready = n.ready[:last]
	if it.loop != nil {
		it.loop.port.Turn()
	} else {
		it.client.queued = false
		it.client.happen()
	}
	return true
}

// Run steps until nothing is left to happen at this moment of virtual time, and returns the number of steps. It panics
// when the run never comes to rest.
func (n *Net) Run() int {
	steps := 0
	for n.Step() {
		if steps++; steps > stepsMax {
			panic("simnet: the run does not come to rest")
		}
	}
	return steps
}

// Advance runs, and moves virtual time on by d, stopping at every timer on the way and running again.
func (n *Net) Advance(d time.Duration) {
	target := n.Now().Add(d)
	for {
		n.Run()
		var next *loop
		for _, l := range n.loops {
			if !l.timerAt.IsZero() && !l.timerAt.After(target) && (next == nil || l.timerAt.Before(next.timerAt)) {
				next = l
			}
		}
		if next == nil {
			break
		}
		if next.timerAt.After(n.Now()) {
			n.nowNanos.Store(next.timerAt.UnixNano())
		}
		next.timerAt = time.Time{}
		next.port.TimersDue()
	}
	n.nowNanos.Store(target.UnixNano())
}

// Stop refuses new connections, closes all open ones with ReasonServerStopped and shuts the loops' inboxes.
func (n *Net) Stop() {
	n.Refuse(true)
	n.Run()
	for _, l := range n.loops {
		l.port.CloseAll(netpoll.ReasonServerStopped)
	}
	n.Run()
	for _, l := range n.loops {
		l.port.Shut()
	}
}

// Dial connects a client to the next loop in turn. The connection opens when the network runs.
func (n *Net) Dial() *Client { return n.DialLoop(int(n.dials) % len(n.loops)) }

// DialLoop connects a client to the loop with that index.
func (n *Net) DialLoop(index int) *Client {
	n.dials++
	ip := netip.AddrFrom4([4]byte{10, byte(n.dials >> 16), byte(n.dials >> 8), byte(n.dials)})
	c := &Client{net: n, loop: n.loops[index], addr: netip.AddrPortFrom(ip, 40000)}
	c.enqueue()
	return c
}

// Wake implements netpoll.Driver. Any goroutine.
func (l *loop) Wake() {
	l.net.mu.Lock()
	l.net.woken = append(l.net.woken, l)
	l.net.mu.Unlock()
	select {
	case l.net.bell <- struct{}{}:
	default:
	}
}

// WakeAfter implements netpoll.Driver.
func (l *loop) WakeAfter(d time.Duration) { l.timerAt = l.net.Now().Add(d) }

// Now implements netpoll.Driver.
func (l *loop) Now() time.Time { return l.net.Now() }

// Attach implements netpoll.Driver.
func (l *loop) Attach(t netpoll.Transport, c *netpoll.Conn) { t.(*serverEnd).conn = c }

// Close implements netpoll.Driver. As with a real socket, what the simulated kernel has taken still reaches the client
// and what it has not taken is lost.
func (l *loop) Close(t netpoll.Transport) {
	c := (*Client)(t.(*serverEnd))
	if c.serverClosed {
		return
	}
	l.port.Closed(c.conn, nil)
	c.endServer()
}

// SendWide implements netpoll.WideSender. As the real one it never reports an end: the write that follows does. It
// panics for a transport that the caller must not send to: one that is closed or has bytes buffered.
func (l *loop) SendWide(batch []netpoll.Sending) netpoll.WideResult {
	n := l.net
	result, taken := netpoll.WideSent, len(batch)
	if n.opts.Chop && n.rnd.IntN(100) == 0 {
		result, taken = netpoll.WideUnavailable, n.rnd.IntN(len(batch)+1)
	}
	for i := range batch[:taken] {
		c := (*Client)(batch[i].T.(*serverEnd))
		if c.serverClosed || len(c.outbound) > 0 {
			panic("simnet: a wide send to a connection that is closed or has bytes buffered")
		}
		k := min(n.opts.SendBufferBytes-len(c.kernel), len(batch[i].B))
		if c.reset || k <= 0 {
			continue
		}
		if n.rnd.IntN(2) == 0 {
			k = n.piece(k)
		}
		c.kernel = append(c.kernel, batch[i].B[:k]...)
		batch[i].N = k
		c.enqueue()
	}
	return result
}

// Dup implements netpoll.Driver: there is no descriptor to hand off.
func (l *loop) Dup(netpoll.Transport) (*net.TCPConn, error) {
	return nil, errors.New("simnet: a simulated connection can't be handed off")
}

// Client is the peer's end of a connection. Its methods are for the goroutine that steps the network.
type Client struct {
	net  *Net
	loop *loop
	conn *netpoll.Conn
	addr netip.AddrPort

	toServer []byte // written by the client, not yet read by the server
	kernel   []byte // taken from the server, not yet read by the client
	outbound []byte // what the kernel did not take: the engine's buffer
	received []byte // read by the client

	opened, refused, paused, queued bool
	halfClosed, reset, serverClosed bool
}

// Write sends bytes to the server. It reports false when the connection has ended.
func (c *Client) Write(b []byte) bool {
	if c.halfClosed || c.reset || c.serverClosed {
		return false
	}
	c.toServer = append(c.toServer, b...)
	c.enqueue()
	return true
}

// Read takes all that has arrived so far; it does not run the network.
func (c *Client) Read() []byte {
	b := c.received
	c.received = nil
	return b
}

// Pause makes the client stop reading: what the server sends stays in its buffers.
func (c *Client) Pause() { c.paused = true }

// Resume makes the client read again.
func (c *Client) Resume() {
	c.paused = false
	c.enqueue()
}

// Close ends the client's side in order: the server sees the end after the bytes written before.
func (c *Client) Close() {
	c.halfClosed = true
	c.enqueue()
}

// Reset breaks the connection: bytes under way are lost in both directions, the server's next write fails, and without
// one it sees the reset when it reads.
func (c *Client) Reset() {
	c.reset = true
	c.toServer, c.kernel = nil, nil
	c.enqueue()
}

// Closed reports whether the server has ended the connection (or refused it) and the client has read all before that.
func (c *Client) Closed() bool { return c.serverClosed && len(c.kernel) == 0 }

// Refused reports whether the server turned the connection away.
func (c *Client) Refused() bool { return c.refused }

// Conn is the server's end, nil before it opened. Only to look at between steps.
func (c *Client) Conn() *netpoll.Conn { return c.conn }

// Held is how many bytes the simulated engine and kernel hold for a client that does not read.
func (c *Client) Held() int { return len(c.outbound) + len(c.kernel) }

func (c *Client) enqueue() {
	if !c.queued {
		c.queued = true
		c.net.ready = append(c.net.ready, item{client: c})
	}
}

// happen lets one thing happen to the connection and queues it again when more can.
func (c *Client) happen() {
	if !c.opened {
		c.open()
		return
	}
	canDeliver := !c.serverClosed && (len(c.toServer) > 0 || c.halfClosed || c.reset)
	canRead := len(c.kernel) > 0 && !c.paused && !c.reset
	switch {
	case canDeliver && (!canRead || c.net.rnd.IntN(2) == 0):
		c.deliver()
	case canRead:
		c.takeIn()
	default:
		return
	}
	c.enqueue()
}

func (c *Client) open() {
	c.opened = true
	if c.loop.port.Opened((*serverEnd)(c)) == nil {
		c.refused = true
		c.endServer()
		return
	}
	c.enqueue()
}

// deliver gives the server what the client wrote, or its end.
func (c *Client) deliver() {
	n := c.net
	switch {
	case c.reset:
		c.loop.port.Closed(c.conn, syscall.ECONNRESET)
		c.endServer()
	case len(c.toServer) > 0:
		k := min(n.piece(len(c.toServer)), n.Config().ReadBufferBytes)
		n.lent = append(n.lent[:0], c.toServer[:k]...)
		c.toServer = c.toServer[k:]
		c.loop.port.Data(c.conn, n.lent)
		for i := range n.lent {
			n.lent[i] = 0xDB
		}
	default:
		c.loop.port.Closed(c.conn, io.EOF)
		c.endServer()
	}
}

// takeIn lets the client read, and the engine refill the kernel's buffer.
func (c *Client) takeIn() {
	k := c.net.piece(len(c.kernel))
	c.received = append(c.received, c.kernel[:k]...)
	c.kernel = c.kernel[k:]
	c.fillKernel()
	if len(c.kernel) == 0 {
		c.kernel = nil
	}
}

func (c *Client) fillKernel() {
	if k := min(c.net.opts.SendBufferBytes-len(c.kernel), len(c.outbound)); k > 0 {
		c.kernel = append(c.kernel, c.outbound[:k]...)
		c.outbound = c.outbound[k:]
	}
	if len(c.outbound) == 0 {
		c.outbound = nil
	}
}

// endServer is what the engine does after it has announced the end.
func (c *Client) endServer() {
	c.fillKernel()
	c.outbound = nil
	c.serverClosed = true
	c.enqueue()
}

func (n *Net) piece(all int) int {
	if !n.opts.Chop {
		return all
	}
	return 1 + n.rnd.IntN(all)
}

// serverEnd is the same connection as the server's transport.
type serverEnd Client

// Write implements netpoll.Transport. It panics after a close: netpoll must never write then.
func (s *serverEnd) Write(p []byte) (int, error) {
	c := (*Client)(s)
	if c.serverClosed {
		panic("simnet: write to a closed connection")
	}
	if c.reset {
		c.loop.port.Closed(c.conn, syscall.EPIPE) // as gnet does: inside the failing call
		c.endServer()
		return 0, syscall.EPIPE
	}
	c.outbound = append(c.outbound, p...)
	if len(c.kernel) < c.net.opts.SendBufferBytes {
		c.fillKernel()
	}
	c.enqueue()
	return len(p), nil
}

// Writev implements netpoll.Transport. Like the real one it changes the slices that it is given.
func (s *serverEnd) Writev(bs [][]byte) (int, error) {
	if len(bs) > 1024 { // IOV_MAX: the real writev(2) fails, and gnet closes the connection for it
		c := (*Client)(s)
		c.loop.port.Closed(c.conn, syscall.EINVAL)
		c.endServer()
		return 0, syscall.EINVAL
	}
	total := 0
	for i, b := range bs {
		n, err := s.Write(b)
		if err != nil {
			return total, err
		}
		total += n
		bs[i] = bs[i][n:]
	}
	return total, nil
}

// OutboundBuffered implements netpoll.Transport.
func (s *serverEnd) OutboundBuffered() int { return len(s.outbound) }

// RemoteAddr implements netpoll.Transport.
func (s *serverEnd) RemoteAddr() net.Addr {
	if s.serverClosed {
		return nil
	}
	return net.TCPAddrFromAddrPort(s.addr)
}
