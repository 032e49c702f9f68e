package client

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lectern/protocol/wire"
)

var (
	// ErrDisconnected is what a request gets whose connection ends before its reply: it may have been carried out or not.
	ErrDisconnected = errors.New("client: the connection was lost before the reply came")
	// ErrClosed is what requests get after Run has returned.
	ErrClosed = errors.New("client: closed")
	// ErrQueueFull is what a request gets when Config.WaitingMax others wait for a connection already. Those that wait
	// keep their places: they were there first, and their callers count on them.
	ErrQueueFull = errors.New("client: too many requests wait for a connection")
)

// ClosedError is returned by Run when the server closed the connection for good (close codes 4200–4299).
type ClosedError struct {
	Code   wire.CloseCode
	Reason string
}

// Error names the code and the server's reason.
func (e *ClosedError) Error() string {
	return fmt.Sprintf("client: the server closed the connection for good: %d %s", e.Code, e.Reason)
}

// Random is a source of random numbers; *math/rand/v2.Rand implements it. The client uses it under a lock.
type Random interface{ Uint64() uint64 }

// Config says where to connect and as whom. Only URL must be set.
type Config struct {
	// URL is the server's WebSocket address, for example wss://quiz.example.org/ws or ws://127.0.0.1:8080/ws.
	URL string
	// Token returns an access token that is good for a while. It is asked at every connect, and before the token of an
	// open connection expires. Nil: Guest's name is sent instead (serve --dev).
	Token func(ctx context.Context) (string, error)
	Guest string
	// Now and Rand are for tests that fix them (default: the real clock, a generator seeded by the system).
	Now  func() time.Time
	Rand Random
	// Event is called for every event, in order, each resumable one exactly once.
	Event func(Event)
	// Rejoined is called, in order with Event, when a room was joined again after a lost connection; without
	// reply.Recovered the missed events are gone and reply.Snapshot takes their place.
	Rejoined func(room string, reply wire.JoinReply)
	// Changed is called when the connection becomes usable (true) or is lost (false).
	Changed func(ready bool)
	// Timeout is how long a reply may take, if the request's context does not say (default 10 s).
	Timeout time.Duration
	// WaitingMax is how many requests may wait for a connection at once; more get ErrQueueFull (default 1,024).
	WaitingMax int
	// ClockSamples is how often the server's clock is asked for after each connect; the sample with the shortest round
	// trip counts (default 5).
	ClockSamples int
	// Backoff is the least and BackoffMax the greatest mean wait before connecting again (default 500 ms and 30 s).
	Backoff, BackoffMax time.Duration
	// TLS is for wss addresses (default: the system's roots, TLS 1.2 at least). Dial replaces it and net.Dialer.
	TLS  *tls.Config
	Dial Dialer
}

// Event is one event of a room or of the connection.
type Event struct {
	Name string
	Room string
	Seq  uint64 // zero: not resumable
	TS   int64  // Unix milliseconds of the server's clock
	Data json.RawMessage
}

// Client is one user's connection. Its methods may be called from any goroutine but from inside a callback only where
// they say so.
type Client struct {
	cfg Config

	mu      sync.Mutex // guards everything below; never held during I/O or callbacks
	ready   chan struct{}
	conn    *conn // nil while there is none
	usable  bool
	closed  bool
	queued  int // requests that wait for a connection
	lastID  uint64
	waiting map[uint64]*pending
	rooms   map[string]*joined
	me      wire.AuthReply
	offset  time.Duration
	rtt     time.Duration
}

// pending is a request whose reply is waited for. done has room for one.
type pending struct {
	conn *conn
	done chan outcome
	// onReply, if set, is called by the reader before it reads on, so that events behind the reply find its effects.
	onReply func(data json.RawMessage)
}

type outcome struct {
	data json.RawMessage
	err  error
}

// joined is what must be known of a room to come back to it.
type joined struct {
	data  wire.JoinData
	epoch string
	seq   uint64
	live  bool // joined on the present connection
}

const (
	timeoutDefault    = 10 * time.Second
	backoffDefault    = 500 * time.Millisecond
	backoffMaxDefault = 30 * time.Second

	waitingMaxDefault   = 1024
	clockSamplesDefault = 5
)

// New makes a client; Run connects it.
func New(cfg Config) (*Client, error) {
	if cfg.URL == "" {
		return nil, errors.New("client: the URL is not set: it should look like ws://127.0.0.1:8080/ws")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // never fails since Go 1.24
		cfg.Rand = rand.NewChaCha8(seed)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = timeoutDefault
	}
	if cfg.WaitingMax <= 0 {
		cfg.WaitingMax = waitingMaxDefault
	}
	if cfg.ClockSamples <= 0 {
		cfg.ClockSamples = clockSamplesDefault
	}
	if cfg.Backoff <= 0 {
		cfg.Backoff = backoffDefault
	}
	if cfg.BackoffMax <= 0 {
		cfg.BackoffMax = backoffMaxDefault
	}
	return &Client{
		cfg: cfg, ready: make(chan struct{}), waiting: map[uint64]*pending{}, rooms: map[string]*joined{},
	}, nil
}

// Me is the server's answer to auth: who this client is.
func (c *Client) Me() wire.AuthReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.me
}

// Request sends an op and waits for its reply, which is decoded into reply (nil: thrown away). It waits for the
// connection to be usable first. A refusal is a *wire.Error.
func (c *Client) Request(ctx context.Context, op wire.Op, room string, data, reply any) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.await(ctx); err != nil {
		return err
	}
	return c.request(ctx, op, room, data, reply, nil)
}

// Retry is Request for what may be asked twice: a lost connection is waited out, so is a refusal that says to come
// back (rate_limited, unavailable), and the same data is sent again, until ctx ends. Use it for reads, and for commands
// whose data holds an idempotency key.
func (c *Client) Retry(ctx context.Context, op wire.Op, room string, data, reply any) error {
	for {
		if err := c.await(ctx); err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		err := c.request(attempt, op, room, data, reply, nil)
		cancel()
		if refused := (*wire.Error)(nil); errors.As(err, &refused) && comesBack(refused.Code) {
			if pauseErr := c.pause(ctx, refused); pauseErr != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, ErrDisconnected) && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
	}
}

func comesBack(code wire.Code) bool {
	return code == wire.CodeRateLimited || code == wire.CodeUnavailable
}

// pause waits as long as a refusal says, and up to half of that more.
func (c *Client) pause(ctx context.Context, refused *wire.Error) error {
	wait := max(time.Duration(refused.RetryAfterMs)*time.Millisecond, c.cfg.Backoff)
	timer := time.NewTimer(wait + time.Duration(c.random()%uint64(wait/2+1)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Answer sends an answer until it is acknowledged as durable; data.Key makes that safe.
func (c *Client) Answer(ctx context.Context, room string, data wire.AnswerData) (wire.AnswerReply, error) {
	var reply wire.AnswerReply
	err := c.Retry(ctx, wire.OpQuizAnswer, room, data, &reply)
	return reply, err
}

// Join joins a room and remembers it: after a lost connection the client joins again from where it was.
func (c *Client) Join(ctx context.Context, room string, data wire.JoinData) (wire.JoinReply, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.await(ctx); err != nil {
		return wire.JoinReply{}, err
	}
	return c.join(ctx, room, data, nil)
}

// join is also used after a new connect, before the connection is usable for others. then is called by the reader,
// before any event that follows the reply.
func (c *Client) join(
	ctx context.Context, room string, data wire.JoinData, then func(string, wire.JoinReply),
) (wire.JoinReply, error) {
	var reply wire.JoinReply
	err := c.request(ctx, wire.OpRoomJoin, room, data, &reply, func(raw json.RawMessage) {
		var r wire.JoinReply
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		state := &joined{data: data, epoch: r.Epoch, seq: r.Seq, live: true}
		state.data.Since, state.data.Epoch = nil, ""
		if r.Recovered && data.Since != nil {
			state.seq = *data.Since // the missed events follow
		}
		c.mu.Lock()
		c.rooms[room] = state
		c.mu.Unlock()
		if then != nil {
			then(room, r)
		}
	})
	return reply, err
}

// Leave leaves a room and forgets it.
func (c *Client) Leave(ctx context.Context, room string) error {
	c.mu.Lock()
	delete(c.rooms, room)
	c.mu.Unlock()
	return c.Request(ctx, wire.OpRoomLeave, room, nil, nil)
}

// ServerNow is the server's clock as this client knows it; exact to half the round trip of the best time:sync so far.
func (c *Client) ServerNow() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.Now().Add(c.offset)
}

// SyncClock asks for the server's time once and keeps the offset if the round trip was the shortest so far
// (RFC 5905 section 8: offset = ((t1−t0)+(t2−t3))/2, delay = (t3−t0)−(t2−t1)).
func (c *Client) SyncClock(ctx context.Context) (offset, roundTrip time.Duration, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.await(ctx); err != nil {
		return 0, 0, err
	}
	return c.sync(ctx)
}

func (c *Client) sync(ctx context.Context) (offset, roundTrip time.Duration, err error) {
	sent := c.cfg.Now()
	var r wire.TimeSyncReply
	// The reader takes the time, so that waking this goroutine is not part of the round trip.
	var got time.Time
	data := wire.TimeSyncData{T0: float64(sent.UnixMilli())}
	if err := c.request(ctx, wire.OpTimeSync, "", data, &r, func(json.RawMessage) { got = c.cfg.Now() }); err != nil {
		return 0, 0, err
	}
	t1, t2 := time.UnixMilli(r.T1), time.UnixMilli(r.T2)
	offset = (t1.Sub(sent) + t2.Sub(got)) / 2
	roundTrip = max(got.Sub(sent)-t2.Sub(t1), 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rtt == 0 || roundTrip <= c.rtt {
		c.offset, c.rtt = offset, max(roundTrip, 1)
	}
	return c.offset, c.rtt, nil
}

func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.Timeout)
}

// await waits until the connection is usable, if not too many do so already.
func (c *Client) await(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return ErrClosed
		case c.usable:
			return nil
		case c.queued >= c.cfg.WaitingMax:
			return ErrQueueFull
		}
		ready := c.ready
		c.queued++
		c.mu.Unlock()
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-ready:
		}
		c.mu.Lock()
		c.queued--
		if err != nil {
			return err
		}
	}
}

// request sends on the present connection, whether or not it is usable for everybody yet.
func (c *Client) request(
	ctx context.Context, op wire.Op, room string, data, reply any, onReply func(json.RawMessage),
) error {
	c.mu.Lock()
	if c.conn == nil {
		c.mu.Unlock()
		return ErrDisconnected
	}
	c.lastID++
	id := c.lastID
	p := &pending{conn: c.conn, done: make(chan outcome, 1), onReply: onReply}
	c.waiting[id] = p
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	frame, err := json.Marshal(struct {
		ID   uint64 `json:"id"`
		Op   string `json:"op"`
		Room string `json:"room,omitempty"`
		Data any    `json:"data,omitempty"`
	}{id, op.String(), room, data})
	if err != nil {
		return fmt.Errorf("client: encode %s: %w", op, err)
	}
	if err := p.conn.writeText(frame, c.random()); err != nil {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case o := <-p.done:
		if o.err != nil || reply == nil || len(o.data) == 0 {
			return o.err
		}
		if err := json.Unmarshal(o.data, reply); err != nil {
			return fmt.Errorf("client: the reply to %s is not understood: %w", op, err)
		}
		return nil
	}
}

func (c *Client) random() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.Rand.Uint64()
}
