package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lectern/cmd/internal/engineio"
	"lectern/cmd/internal/handoff"
	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/protocol/forwarded"
	"lectern/protocol/session"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// Config is what the gateway needs to know. Durations and limits must be positive.
type Config struct {
	Dev             bool          // guests without a token; everybody may create rooms and publish
	AuthTimeout     time.Duration // from the upgrade to a good token
	PingEvery       time.Duration // a silent connection is asked this often, and closed after two questions
	MessagesPer     quota.Limit   // per connection
	ChatPer         quota.Limit   // of these, messages, edits and reactions in chats
	PingsPer        quota.Limit   // pings of one connection; one more closes it
	MessageTimeout  time.Duration // from the first byte of a message to its last
	UserConnsMax    int           // connections of one user; zero: no limit
	UserJoinsPer    quota.Limit   // room:join of one user, over all its connections
	RoomsPerConn    int           // joined at the same time
	OriginsAllowed  []string      // besides the server's own; "*" allows every origin
	DeflateBytesMin int           // batches below this size are not compressed
	Session         session.Config
	// Proxies are trusted to say for whom they speak; ProxyProtocol says that their connections begin with a header of
	// the PROXY protocol. AdmitClient is the limit per address for whom they speak for; nil: none. Any goroutine.
	Proxies          forwarded.Proxies
	ProxyProtocol    bool
	AdmitClient      func(client netip.Addr) (released func(), ok bool)
	HandOffQueueMax  int // HTTP connections that net/http has not accepted yet
	PendingRoomsCmds int // commands of one loop's turn per shard before they are posted early
}

// Tokens is what the gateway asks of package auth.
type Tokens interface {
	Verify(now time.Time, token string) (auth.Claims, *wire.Error)
	IssueAccess(now time.Time, c auth.Claims) (token string, expiresAt time.Time, err error)
}

// Seals authenticates what clients keep for the server. Any goroutine.
type Seals interface {
	MAC(purpose string, data []byte) [32]byte
	CheckMAC(purpose string, data, mac []byte) bool
}

// Posts is the way to the shards; rooms.Router implements it.
type Posts interface {
	Shards() int
	ShardOf(room string) int
	Post(shard int, commands []rooms.Command) bool
	PostAlways(shard int, commands []rooms.Command)
}

// Quizzes finds stored quizzes for quiz:create by id. It may block and is never called on a loop.
type Quizzes interface {
	Quiz(id string) (q *wire.Quiz, owner string, err *wire.Error)
}

// Gateway implements netpoll.Handler (on the loops) and rooms.Outlet (on the shards).
type Gateway struct {
	// Immutable after New and SetPosts.
	cfg     Config
	posts   Posts
	tokens  Tokens
	quizzes Quizzes
	pins    *rooms.Directory
	rand    func() effect.Random // a random source for one goroutine
	now     func() time.Time
	clock   func() int64 // the shards', Unix milliseconds
	log     *slog.Logger
	work    chan func() // for what may block: signing, reading quizzes

	// Parts that guard themselves, and what is guarded or atomic.
	handOff  *handoff.Listener
	engine   *engineio.Server
	seals    Seals
	bridge   bridge
	sealer   *sealer
	users    users
	loopsMu  sync.Mutex                      // guards changes of loops
	loops    atomic.Pointer[[]*netpoll.Loop] // those that have started; no other has members
	draining atomic.Bool
	backAt   atomic.Int64 // while draining: when somebody serves this port again, Unix milliseconds
	// backSpreadMs is over how long those come back who are told of backAt.
	backSpreadMs atomic.Int64
	counters     counters
	queues       userQueues

	// Immutable.
	stompLimits stomp.Limits

	// Atomic.
	commandTimes, fanoutTimes histogram
}

// Options are the gateway's neighbours.
type Options struct {
	Tokens  Tokens
	Quizzes Quizzes
	PINs    *rooms.Directory
	Rand    func() effect.Random
	Now     func() time.Time
	Clock   func() int64 // what the shards go by, Unix milliseconds; members set their clocks by it
	Logger  *slog.Logger
	Seals   Seals // nil: Socket.IO clients can't come back to the same state
	// SignReceipt signs a receipt: no I/O, any goroutine. Nil: the rooms make receipts that need no signature.
	SignReceipt func(*wire.ReceiptClaims) (string, error)
}

// New makes a gateway. SetPosts must follow before the first connection.
func New(cfg Config, o Options) *Gateway {
	g := &Gateway{
		cfg: cfg, tokens: o.Tokens, quizzes: o.Quizzes, pins: o.PINs, rand: o.Rand, now: o.Now, clock: o.Clock,
		log:  o.Logger,
		work: make(chan func(), workQueueMax), handOff: handoff.New(cfg.HandOffQueueMax),
		sealer: newSealer(o.SignReceipt),
	}
	g.queues.dropped = &g.counters.queueDropped
	g.stompLimits = stomp.DefaultLimits
	g.users.init(cfg.UserConnsMax, cfg.UserJoinsPer)
	g.bridge.waiting = make(map[uint64]chan<- bridgeReply)
	g.loops.Store(new([]*netpoll.Loop))
	g.seals = o.Seals
	g.engine = g.newEngine()
	return g
}

// SetPosts names the shards; they need the gateway as their outlet, so they come second.
func (g *Gateway) SetPosts(p Posts) { g.posts = p }

// HandOff is the listener that gets every HTTP connection that is no WebSocket.
func (g *Gateway) HandOff() *handoff.Listener { return g.handOff }

// loopState is what a loop owns.
type loopState struct {
	gateway *Gateway
	rand    effect.Random
	rooms   map[string]*loopRoom
	doors   map[netpoll.ConnID]*door // of connections from trusted proxies
	batches [][]rooms.Command        // per shard, of this turn
	dirty   []int                    // shards with something in batches
	out     []byte                   // what the session machine writes
	text    []byte                   // one message as JSON
	framed  []byte                   // one message as a frame

	switched bool // the connection that is being fed is to give its socket to a long-polling session, once it is fed

	shared     map[sharedKey]*frame.Frame // of the delivery that is being written
	lastShared sharedKey
	lastFrame  *frame.Frame

	messages      uint64 // that got an id
	messagePrefix string // of such ids, this loop's own

	commands   commandClock
	deliveries deliveryClock
	closed     closedRing
}

// LoopStarted makes the loop's state. It runs on the loop before anything else, so the label of profiles that it sets
// is the loop's for good.
func (g *Gateway) LoopStarted(l *netpoll.Loop) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("loop", strconv.Itoa(l.Index()))))
	source := g.rand()
	l.State = &loopState{
		gateway: g, rand: source, rooms: make(map[string]*loopRoom),
		doors:   make(map[netpoll.ConnID]*door),
		batches: make([][]rooms.Command, g.posts.Shards()), commands: make(commandClock),
		shared:        make(map[sharedKey]*frame.Frame),
		messagePrefix: fmt.Sprintf("%d-%x-", l.Index(), source.Uint64()>>32),
	}
	g.loopsMu.Lock()
	defer g.loopsMu.Unlock()
	loops := append([]*netpoll.Loop(nil), *g.loops.Load()...)
	loops = append(loops, l)
	g.loops.Store(&loops)
}

func state(l *netpoll.Loop) *loopState { return l.State.(*loopState) }

// Opened makes the connection's state.
func (g *Gateway) Opened(c *netpoll.Conn) {
	c.State = &member{
		conn: c, session: *session.New(&g.cfg.Session),
	}
	g.openDoor(c)
}

// Data feeds the session machine. The bytes are borrowed.
func (g *Gateway) Data(c *netpoll.Conn, in []byte) {
	m := c.State.(*member)
	if d := g.doorOf(c); d != nil && d.waits {
		if in = g.enter(c, d, in); len(in) == 0 {
			return
		}
	}
	ls := state(c.Loop())
	m.heard = true
	out, result := m.session.Feed(in, m, ls.out[:0])
	ls.out = keep(m.Flush(out))
	if ls.switched {
		ls.switched = false
		c = g.takeOver(m)
	}
	if now, ok := c.State.(*member); ok {
		now.watchMessage()
	}
	switch result.Action {
	case session.HandOff:
		if to, ok := m.dialect.(moving); ok {
			to.move(g, c, result.Raw)
			return
		}
		g.toHTTP(c, result.Raw)
	case session.Close:
		c.Close(g.reasonOfBreach(result))
	}
}

// scratchMax is the largest scratch buffer, in bytes, that a loop keeps between turns.
const scratchMax = 64 << 10

func keep(b []byte) []byte {
	if cap(b) > scratchMax {
		return nil
	}
	return b[:0]
}

// TurnEnded posts the turn's commands, one post per shard. It runs before the turn's writes are flushed, so a refusal
// still
// leaves with them.
func (g *Gateway) TurnEnded(l *netpoll.Loop) {
	ls := state(l)
	for _, shard := range ls.dirty {
		batch := ls.batches[shard]
		if !g.posts.Post(shard, batch) {
			g.refuseBatch(l, shard, batch)
		}
		clear(batch)
		ls.batches[shard] = batch[:0]
	}
	ls.dirty = ls.dirty[:0]
	ls.deliveries.turnEnds(l)
}

// refuseBatch answers commands that the shard has no room for. What must not be refused is handed over all the same.
func (g *Gateway) refuseBatch(l *netpoll.Loop, shard int, batch []rooms.Command) {
	err := wire.NewError(wire.CodeUnavailable, "the server is busy; try again")
	err.RetryAfterMs = 1000
	for i := range batch {
		if _, gone := batch[i].Body.(*rooms.Disconnect); gone {
			g.posts.PostAlways(shard, batch[i:i+1])
			continue
		}
		g.dropSession(&batch[i])
		if c := l.Lookup(netpoll.ConnID(batch[i].From.Conn)); c != nil {
			m := c.State.(*member)
			if batch[i].Op == wire.OpRoomJoin {
				m.forgetPending(batch[i].Room)
			}
			if g.draining.Load() { // another server has the rooms, or will have them
				m.sendOn()
				continue
			}
			m.refuse(batch[i].From.Req, err)
		}
	}
}

// Timer is the wheel's call: the handshake, the token, or the heartbeat is due.
func (g *Gateway) Timer(c *netpoll.Conn, kind netpoll.TimerKind) {
	m := c.State.(*member)
	switch kind {
	case netpoll.TimerHandshake:
		m.messageDue()
	case netpoll.TimerUser:
		m.tokenDue()
	case netpoll.TimerHeartbeat:
		m.dialect.heartbeat(m)
	case netpoll.TimerIdle:
		m.dialect.idle(m)
	}
}

// Closed takes the connection out of every list, and tells its rooms.
func (g *Gateway) Closed(c *netpoll.Conn, reason netpoll.Reason) {
	g.closeDoor(c)
	m, ok := c.State.(*member)
	if !ok {
		return
	}
	ls := state(c.Loop())
	if m.greeted {
		m.remember(c, reason, g.now())
		g.counters.speaks(m.variant, -1)
		m.dialect.gone(m)
	}
	if m.counted {
		g.users.leave(m.user, g.now().UnixMilli())
	}
	for _, j := range m.joined {
		if j.room != nil {
			j.room.remove(m)
			if j.room.empty() {
				delete(ls.rooms, j.id)
			}
		}
		g.enqueue(ls, rooms.Command{Room: j.id, From: effect.Caller{Conn: m.id(), User: m.user}, Body: &rooms.Disconnect{}})
	}
	m.joined = nil
	c.State = nil
}

// Task runs what other goroutines have sent to this loop, in the order in which it was sent.
func (g *Gateway) Task(l *netpoll.Loop, task any) {
	switch t := task.(type) {
	case *delivery:
		t.run(l)
	case passOn:
		t.run(l)
	case inspect:
		t.run(l)
	case written:
		g.measure(t)
	case engineio.Task:
		t.Run(l)
	case walk:
		l.Each(func(c *netpoll.Conn) {
			if m, ok := c.State.(*member); ok {
				t(m)
			}
		})
	case resume:
		if c := l.Lookup(netpoll.ConnID(t.conn)); c != nil {
			t.then(c.State.(*member))
		} else {
			t.gone()
		}
	}
}

// enqueue adds a command to the turn's batch for its shard.
func (g *Gateway) enqueue(ls *loopState, cmd rooms.Command) {
	shard := g.posts.ShardOf(cmd.Room)
	if len(ls.batches[shard]) == 0 {
		ls.dirty = append(ls.dirty, shard)
	}
	ls.batches[shard] = append(ls.batches[shard], cmd)
}
