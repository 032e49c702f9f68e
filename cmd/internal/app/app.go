// Package app is the composition root: the one place where the parts meet, start in order and stop in order.
//
//	store → journal → loader → shards → gateway → netpoll → net/http behind it → admin port
//
// Each part is stopped before the ones that it leans on: first the door, then the members are sent away, then the rooms
// finish, then the journal writes out, then the store closes. A server that takes over from another one opens its port
// first and the rest once the other one has let go of the store (takeover.go).
package app

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"lectern/cmd/internal/api"
	"lectern/cmd/internal/config"
	"lectern/cmd/internal/gateway"
	"lectern/cmd/internal/handover"
	"lectern/cmd/internal/ops"
	"lectern/cmd/internal/web"
	"lectern/netpoll"
	"lectern/persist"
	"lectern/persist/search"
	"lectern/protocol/forwarded"
	"lectern/protocol/native"
	"lectern/protocol/session"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/quiz"
	"lectern/rooms/quota"
)

// App is a running server. Start makes one; Stop ends it.
type App struct {
	// The parts, in the order in which they start.
	cfg     *config.Config
	log     *slog.Logger
	clock   func() int64 // of the rooms
	alive   int64        // until when the process before was alive, by that clock; zero when there was none
	store   persist.Store
	journal *persist.Journal
	loader  *rooms.Loader
	router  *rooms.Router
	pins    *rooms.Directory
	issuer  *auth.Issuer
	gateway *gateway.Gateway
	net     *netpoll.Server
	handler *lateGateway // what net shows its connections to
	http    *http.Server
	api     *api.API
	admin   *ops.Server
	indexer *search.Indexer // nil: the index can't be used

	// Who stands in front, and what the clients behind may take.
	proxies    forwarded.Proxies
	perAddress *addressLimit

	// Taking over and being taken over from (takeover.go).
	offer       *handover.Listener // for who takes over from this server; nil: nobody can
	takenOver   chan error         // yields once, when somebody has
	predecessor *handover.Peer     // whom this server took over from
	successor   *handover.Peer     // who took over from this server

	// What stops them.
	roomsCfg    *rooms.Config
	restored    chan struct{} // closed when the rooms that were alive are back
	stopRooms   context.CancelFunc
	stopLoader  context.CancelFunc
	stopSearch  context.CancelFunc
	stopWork    chan struct{}
	roomsDone   chan struct{}
	journalDone chan struct{}
	background  sync.WaitGroup
	adopting    sync.WaitGroup // ends with the predecessor, which may outlive the rooms if a third server takes over
	demo        *Demo
	stopOnce    sync.Once
	drainAsked  chan struct{}         // by the admin port
	endHTTP     func(context.Context) // once
	endRooms    func(context.Context) error
	shared      *shared // nil without Redis
}

// Start opens the store, rebuilds the rooms that were alive, and listens; with the setting takeover it takes port and
// store over from the server that has them, if one does. What it has started is stopped again when a later step fails.
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{
		cfg: cfg, log: log, clock: steadyMs(time.Now(), 0), stopWork: make(chan struct{}), handler: new(lateGateway),
		takenOver: make(chan error, 1), drainAsked: make(chan struct{}, 1), restored: make(chan struct{}),
	}
	a.endHTTP, a.endRooms = onlyOnce(a.stopHTTP), onlyOnceErr(a.stopRoomsAndStore)
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = a.Stop(stopCtx)
			a = nil
		}
	}()
	if cfg.Dev {
		log.Warn("--dev is on: anybody is a guest, may create rooms and publish; never do this where others can reach it")
	}
	if a.proxies, err = forwarded.ParseProxies(cfg.TrustedProxies); err != nil {
		return a, err
	}
	a.perAddress = newAddressLimit(cfg.Conns.PerAddressMax, a.proxies)
	debug.SetGCPercent(cfg.GOGC)
	limitMemory(cfg.MemoryPercent, "/proc", "/sys/fs/cgroup", log)
	if err := native.Warm(); err != nil { // the codec compiles here, not at the first message of a kind
		log.Warn("the codec can't be compiled at start; the first messages of each kind are slower", "err", err)
	}
	if a.roomsCfg, err = RoomsConfig(cfg); err != nil {
		return a, err
	}
	if err = a.openRedis(); err != nil {
		return a, err
	}
	ended := int64(0) // when the predecessor's rooms ended
	if cfg.Takeover {
		if ended, err = a.takeOver(ctx); err != nil {
			return a, err
		}
	}
	if err = a.openStore(ctx, ended != 0); err != nil {
		return a, err
	}
	if err = a.setClock(ctx, time.Now()); err != nil {
		return a, err
	}
	if err = a.startRooms(ctx); err != nil {
		return a, err
	}
	if err = a.startNet(ctx); err != nil {
		return a, err
	}
	a.startShared()
	if err = a.startAdmin(); err != nil {
		return a, err
	}
	if cfg.Dev && a.pins.Missing() == nil {
		if a.demo, err = a.makeDemo(ctx); err != nil {
			return a, err
		}
		a.api.SetDemo(a.demo.Room, a.demo.PIN)
	}
	a.tookOver(ended)
	a.offerTakeover()
	return a, nil
}

// startRooms starts the journal, the loader and the shards, and brings back the rooms that were alive.
func (a *App) startRooms(ctx context.Context) error {
	var err error
	a.issuer, err = auth.NewIssuer(ctx, time.Now(), a.store, a.refreshStore(), auth.Config{
		AccessTTL: a.cfg.Auth.AccessTTL, RefreshTTL: a.cfg.Auth.RefreshTTL,
	}, crand.Reader)
	if err != nil {
		return err
	}
	if err := a.issuer.MakeReceiptKey(ctx, time.Now()); err != nil {
		return err
	}
	a.roomsCfg.Quiz.ReceiptKey = func() string { return a.issuer.Receipts().Current() }
	a.startSearch(ctx)
	gate, _ := a.store.(persist.Gate) // recorded may hide it
	a.journal = persist.New(a.recorded(), persist.Config{Logger: a.log, Gate: gate, Pace: a.cfg.Journal.Pace})
	a.journalDone = make(chan struct{})
	go func() {
		defer close(a.journalDone)
		pprof.Do(context.Background(), pprof.Labels("part", "journal"), func(ctx context.Context) {
			_ = a.journal.Run(ctx) // ends with Close
		})
	}()
	a.loader = rooms.NewLoader(a.journal)
	loaderCtx, stopLoader := context.WithCancel(context.Background())
	a.stopLoader = stopLoader
	a.background.Go(func() { a.loader.Run(loaderCtx) })

	a.pins = rooms.NewDirectory()
	a.gateway = a.newGateway()
	a.handler.Gateway = a.gateway
	shards := make([]*rooms.Shard, orCPUs(a.cfg.Shards))
	for i := range shards {
		shards[i] = rooms.NewShard(i, rooms.ShardConfig{
			IdleUnloadMs: a.cfg.Rooms.IdleUnload.Milliseconds(), AliveUntilMs: a.alive,
		}, a.roomsCfg, rooms.Ports{
			Journal: a.journal, Loader: a.loader, Outlet: a.gateway, PINs: a.pins, Rand: newRand(), Logger: a.log,
		})
	}
	a.router = rooms.NewRouter(shards, a.clock)
	a.gateway.SetPosts(a.router)
	live, err := a.journal.LiveRooms()
	if err != nil {
		return err
	}
	a.pins.Await(true)
	a.router.Restore(live, func() {
		a.pins.Await(false)
		close(a.restored)
	})
	a.background.Go(a.keepAliveMark)
	roomsCtx, stopRooms := context.WithCancel(context.Background())
	a.stopRooms = stopRooms
	a.roomsDone = make(chan struct{})
	go func() {
		defer close(a.roomsDone)
		a.router.Run(roomsCtx)
	}()
	if len(live) > 0 {
		a.log.Info("rooms come back", "rooms", len(live))
	}
	return a.awaitRestored(ctx)
}

// restoreWait is how long the port stays shut at most while rooms come back; after it, commands wait for their room,
// and PINs that are not known yet are "unavailable".
const restoreWait = 10 * time.Second

func (a *App) awaitRestored(ctx context.Context) error {
	patience := time.NewTimer(restoreWait)
	defer patience.Stop()
	select {
	case <-a.restored:
	case <-patience.C:
		a.log.Warn("not all rooms are back yet; the port opens all the same", "waited", restoreWait.String())
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// RoomsConfig is what the configuration says about rooms; replay and exports need it too.
func RoomsConfig(cfg *config.Config) (*rooms.Config, error) {
	filter, err := wordFilter(cfg.Words)
	if err != nil {
		return nil, err
	}
	return &rooms.Config{
		Quiz: quiz.Config{
			ParticipantsMax: cfg.Rooms.MembersMax, LeadMs: orNone(cfg.Quiz.Lead), GraceMs: orNone(cfg.Quiz.Grace),
		},
		Filter:     filter,
		MembersMax: cfg.Rooms.MembersMax, OpenPublish: cfg.Dev,
	}, nil
}

func (a *App) newGateway() *gateway.Gateway {
	cfg := a.cfg
	limit := quota.Limit{Count: cfg.Messages.PerSecond, Per: time.Second, Burst: cfg.Messages.Burst}
	chat := quota.Limit{Count: cfg.Messages.ChatPerMinute, Per: time.Minute, Burst: cfg.Messages.ChatBurst}
	if cfg.Dev { // load tests drive single connections hard
		limit.Count, limit.Burst = max(limit.Count, 20_000), max(limit.Burst, 100_000)
		chat.Count, chat.Burst = max(chat.Count, 1_000_000), max(chat.Burst, 100_000)
	}
	return gateway.New(gateway.Config{
		Dev: cfg.Dev, AuthTimeout: cfg.Conns.AuthTimeout, PingEvery: cfg.Conns.PingEvery, MessagesPer: limit, ChatPer: chat,
		PingsPer:       tenfold(cfg.Messages.PingsPerSecond),
		MessageTimeout: cfg.Messages.Timeout, UserConnsMax: cfg.Conns.PerUserMax,
		UserJoinsPer: tenfold(cfg.Rooms.JoinsPerUser),
		RoomsPerConn: cfg.Conns.RoomsMax, OriginsAllowed: cfg.Origins, DeflateBytesMin: cfg.Messages.DeflateMinBytes,
		Session:         session.Config{WS: ws.Config{MessageBytesMax: cfg.Messages.BytesMax}},
		HandOffQueueMax: 1024, Proxies: a.proxies, ProxyProtocol: cfg.ProxyProtocol,
		AdmitClient: a.perAddress.behindProxy(),
	}, gateway.Options{
		Tokens: a.issuer, Seals: a.issuer, Quizzes: quizzes{a.store}, PINs: a.pins, Rand: newRand, Now: time.Now,
		Clock: a.clock, Logger: a.log, SignReceipt: a.issuer.SignReceipt,
	})
}

// openPort listens; connections wait until the gateway is there. share allows that another server has the port too.
func (a *App) openPort(listen string, share bool) error {
	server, err := netpoll.New(netpoll.Config{
		Addr: listen, Loops: a.cfg.Loops, ConnsMax: a.cfg.Conns.Max, HandshakeTimeout: a.cfg.Conns.HandshakeTimeout,
		OutboxHighBytes: a.cfg.Conns.OutboxHighBytes, OutboxHardBytes: a.cfg.Conns.OutboxHardBytes, RawSend: a.cfg.RawSend,
		IO: netpoll.IO(a.cfg.IO), AcceptRate: a.cfg.Conns.AcceptRate, Admit: a.perAddress.atAccept(),
		SlowConsumerFrame: func() []byte {
			return ws.AppendClose(nil, uint16(wire.CloseSlowConsumer), "too slow; come back with your last seq")
		},
		ReusePort: share, Logger: a.log,
	}, a.handler)
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	a.net = server
	return nil
}

// lateGateway is the handler of a port that was opened before there was a gateway.
type lateGateway struct{ *gateway.Gateway }

// startNet starts what is behind the one port.
func (a *App) startNet(ctx context.Context) error {
	a.api = api.New(api.Options{
		Store: a.store, Issuer: a.issuer, Gateway: a.gateway, PINs: a.pins, RoomsConfig: a.roomsCfg, Journal: a.journal,
		Search: a.indexer,
		Dev:    a.cfg.Dev, URL: a.cfg.URL, Logger: a.log, Now: time.Now, Rand: newRand,
		JoinsPerMinute: a.cfg.Joins.PerMinute, WrongPerMinute: a.cfg.Joins.Wrong, SharedLimit: a.sharedLimit(),
	})
	mux := http.NewServeMux()
	a.api.Register(mux)
	mux.Handle("/socket.io/", a.gateway.Engine())
	mux.Handle("/socket.io", a.gateway.Engine())
	mux.Handle("/", web.Handler(web.Options{}))
	a.http = &http.Server{
		Handler: notFresh(fromClients(a.proxies, mux)), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if a.net == nil {
		if err := a.openPort(a.cfg.Listen, false); err != nil {
			return err
		}
	}
	if err := a.net.Serve(ctx); err != nil {
		return err
	}
	for range 2 {
		a.background.Go(func() { a.gateway.Work(a.stopWork) })
	}
	for range gateway.Sealers() {
		a.background.Go(func() { a.gateway.Seal(a.stopWork) })
	}
	a.background.Go(func() {
		if err := a.http.Serve(a.gateway.HandOff()); err != nil && !errors.Is(err, http.ErrServerClosed) &&
			!errors.Is(err, net.ErrClosed) {
			a.log.Error("net/http ended", "err", err)
		}
	})
	unsubscribe := a.issuer.Subscribe(a.gateway.RevokeFamily)
	a.background.Go(func() {
		defer unsubscribe()
		a.housekeeping()
	})
	return nil
}

// housekeeping rotates keys and forgets what has expired.
func (a *App) housekeeping() {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-a.stopWork:
			return
		case now := <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if err := a.issuer.Sweep(ctx, now); err != nil {
				a.log.Warn("expired tokens can't be swept", "err", err)
			}
			if err := a.rotateKeyWhenDue(ctx, now); err != nil {
				a.log.Warn("the signing key can't be rotated", "err", err)
			}
			a.forgetRooms(ctx, now)
			cancel()
		}
	}
}

// forgetRooms deletes what is older than the configuration wants to keep.
func (a *App) forgetRooms(ctx context.Context, now time.Time) {
	if a.cfg.Rooms.Keep == 0 {
		return
	}
	gone := 0
	for {
		n, err := a.store.ForgetRooms(ctx, now.Add(-a.cfg.Rooms.Keep).UnixMilli())
		if gone += n; err != nil {
			a.log.Warn("old rooms can't be deleted", "err", err)
		}
		if n == 0 || err != nil {
			break
		}
	}
	if gone > 0 {
		a.log.Info("old rooms are deleted (rooms.keep)", "rooms", gone)
	}
	if a.indexer == nil {
		return
	}
	if _, err := a.indexer.ForgetGone(ctx); err != nil { // also those whose turn a crash came before
		a.log.Warn("old rooms can't be removed from the search index", "err", err)
	}
}

// rotateKeyWhenDue replaces the signing key once it is old enough; tokens that it has signed stay good until they
// expire.
func (a *App) rotateKeyWhenDue(ctx context.Context, now time.Time) error {
	if a.issuer.KeyAge(now) < a.cfg.Auth.KeyEvery {
		return nil
	}
	return a.issuer.RotateKeys(ctx, now)
}

func (a *App) startAdmin() error {
	if a.cfg.Admin == "" {
		return nil
	}
	var err error
	var searches func() search.Stats
	if a.indexer != nil {
		searches = a.indexer.Stats
	}
	a.admin, err = ops.Start(ops.Options{
		Addr: a.cfg.Admin, Logger: a.log, Net: a.net.Stats, Gateway: a.gateway.Stats, Rooms: a.router.Stats,
		Journal: a.journal.Stats, PINs: a.pins.Len, Ready: a.Ready, Loops: a.net.Loops, Shards: a.router.ShardStats,
		Latency: a.gateway.Latency, Spool: a.spoolStats(), Detail: a.detail, Search: searches,
		Redis: a.redisView(), Inspect: a.inspection(),
	})
	return err
}

// Ready says whether the server should get traffic; the error says why not.
func (a *App) Ready() error {
	if a.gateway.Left() {
		return errors.New("the server is about to stop")
	}
	stats := a.journal.Stats()
	if stats.FailedRooms > 0 {
		return fmt.Errorf("storage: %d rooms wait for their records to become durable", stats.FailedRooms)
	}
	if err := a.journal.Refuses(); err != nil {
		return fmt.Errorf("storage: what must be recorded is refused: %w", err)
	}
	return nil
}

// detail is what an operator should know of a server that is ready; empty when all is as usual.
func (a *App) detail() string {
	var said []string
	for _, d := range []string{a.spoolDetail(), a.redisDetail()} {
		if d != "" {
			said = append(said, d)
		}
	}
	return strings.Join(said, "; ")
}

func (a *App) spoolDetail() string {
	stats := a.spoolStats()
	if stats == nil {
		return ""
	}
	switch s := stats(); {
	case s.State == persist.SpoolAway:
		return fmt.Sprintf("storage: PostgreSQL is away; %d records are spooled", s.Records)
	case s.State == persist.SpoolDraining:
		return fmt.Sprintf("storage: PostgreSQL is back; %d spooled records are on their way to it", s.Records)
	case s.SetAside > 0:
		return fmt.Sprintf("storage: %d records were refused by PostgreSQL and are kept in the spool's file", s.SetAside)
	}
	return ""
}

// Addr is the address of the one port; AdminAddr of the admin port, nil without one.
func (a *App) Addr() net.Addr { return a.net.Addr() }

// AdminAddr is the address of the admin port; nil without one.
func (a *App) AdminAddr() net.Addr {
	if a.admin == nil {
		return nil
	}
	return a.admin.Addr()
}

// Demo is the demo quiz of --dev; nil otherwise.
func (a *App) Demo() *Demo { return a.demo }

// Done yields an error when the server has ended by itself.
func (a *App) Done() <-chan error { return a.net.Done() }
