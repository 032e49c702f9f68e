package sim

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/quiz"
)

// Config is the size of a run. Zero values take the defaults in parentheses.
type Config struct {
	Shards  int  // (2)
	Loops   int  // (2)
	Rooms   int  // that anybody creates by joining (3)
	Hosts   int  // who run one game after the other (2)
	Clients int  // beside the hosts (8)
	Steps   int  // things that happen before everything comes to rest (4,000)
	Calm    bool // the journal works and the process lives
	Trace   int  // the last lines of the trace that a report keeps (200)
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *int
		usual int
	}{
		{&c.Shards, 2}, {&c.Loops, 2}, {&c.Rooms, 3}, {&c.Hosts, 2}, {&c.Clients, 8}, {&c.Steps, 4000}, {&c.Trace, 200},
	} {
		if *d.field <= 0 {
			*d.field = d.usual
		}
	}
	return c
}

// Report is what came of a run. Violations is empty when all promises were kept.
type Report struct {
	Seed       uint64
	Violations []string
	Trace      []string // the last things that happened, oldest first

	Steps, Restarts, Drops, Joins, Resumes                  int
	Records, Commits, FailedCommits, RefusedAppends         int
	Events, Deliveries, AckedAnswers, AckedChats, AckedPubs int
	Repeats, Unavailable, Kicks, Games, Closed              int
}

// world is one run.
type world struct {
	cfg     Config
	rng     *rand.Rand
	now     int64
	calm    bool // everything works from here on
	journal *journal
	process *process
	clients []*client
	hosts   []*client
	games   []string // rooms of games that exist
	log     map[string]*follower
	banned  map[string]bool // room + user: the ban is durable and the user was sent away
	conns   []*conn         // that live
	nextID  wire.ConnID
	rooms   *rooms.Config
	report  Report
}

const (
	startMs       = 1_764_000_000_000
	violationsMax = 5
)

func newWorld(seed uint64, cfg Config) *world {
	cfg = cfg.withDefaults()
	w := &world{
		cfg: cfg, rng: rand.New(rand.NewPCG(seed, 0x6c656374)), now: startMs, calm: cfg.Calm,
		log: make(map[string]*follower), banned: make(map[string]bool),
		rooms: &rooms.Config{OpenPublish: true, Quiz: quiz.Config{LeadMs: 200, GraceMs: 100, AutoAdvanceMs: 1000}},
	}
	w.report.Seed = seed
	w.journal = newJournal(w)
	w.boot()
	for i := range cfg.Clients {
		w.clients = append(w.clients, newClient(w, fmt.Sprintf("u%d", i), false))
	}
	for i := range cfg.Hosts {
		h := newClient(w, fmt.Sprintf("h%d", i), true)
		w.hosts = append(w.hosts, h)
		w.clients = append(w.clients, h)
	}
	return w
}

// Run runs one simulation. It needs no time of its own: the same seed and cfg give the same Report.
func Run(seed uint64, cfg Config) Report {
	w := newWorld(seed, cfg)
	for w.report.Steps < w.cfg.Steps && !w.failed() {
		w.report.Steps++
		w.step()
	}
	w.calm = true
	if !w.failed() {
		w.comeToRest()
	}
	if !w.failed() {
		w.verify()
	}
	return w.report
}

func (w *world) failed() bool { return len(w.report.Violations) > 0 }

// violate notes a broken promise.
func (w *world) violate(format string, args ...any) {
	if len(w.report.Violations) < violationsMax {
		text := fmt.Sprintf(format, args...)
		w.report.Violations = append(w.report.Violations, text)
		w.trace("VIOLATION %s", text)
	}
}

func (w *world) trace(format string, args ...any) {
	t := &w.report.Trace
	*t = append(*t, fmt.Sprintf("%d +%d ", w.report.Steps, w.now-startMs)+fmt.Sprintf(format, args...))
	if len(*t) > 2*w.cfg.Trace {
		*t = append((*t)[:0], (*t)[len(*t)-w.cfg.Trace:]...)
	}
}

// chance is true in n of 1,000 cases.
func (w *world) chance(n int) bool { return w.rng.IntN(1000) < n }

// step lets one thing happen.
func (w *world) step() {
	switch n := w.rng.IntN(1000); {
	case n < 250:
		w.clients[w.rng.IntN(len(w.clients))].act()
	case n < 450:
		if c := w.anyConn(); c != nil {
			c.up(1 + w.rng.IntN(3))
		}
	case n < 580:
		w.turn(w.rng.IntN(len(w.process.shards)))
	case n < 680:
		w.journal.answer(1 + w.rng.IntN(3))
	case n < 720:
		w.process.loader.Work()
	case n < 820:
		w.process.run(w.rng.IntN(w.cfg.Loops))
	case n < 960:
		if c := w.anyConn(); c != nil {
			c.read(1 + w.rng.IntN(8))
		}
	case n < 993:
		w.now += 1 + w.rng.Int64N(150)
	case n < 996:
		w.now += w.rng.Int64N(3000)
	case n < 998:
		if c := w.anyConn(); c != nil {
			w.report.Drops++
			c.drop()
		}
	case w.chance(400) && !w.calm:
		w.restart()
	}
}

func (w *world) anyConn() *conn {
	if len(w.conns) == 0 {
		return nil
	}
	return w.conns[w.rng.IntN(len(w.conns))]
}

func (w *world) turn(shard int) { w.process.shards[shard].Turn(w.now) }

// boot starts a process over what is durable.
func (w *world) boot() {
	p := &process{w: w, loader: rooms.NewLoader(w.journal), pins: rooms.NewDirectory()}
	for range w.cfg.Loops {
		p.loops = append(p.loops, &loop{rooms: make(map[string][]*conn)})
	}
	cfg := rooms.ShardConfig{IdleUnloadMs: 3_000}
	if w.chance(300) {
		cfg.HeldOutputsMax = 40
	}
	for i := range w.cfg.Shards {
		p.shards = append(p.shards, rooms.NewShard(i, cfg, w.rooms, rooms.Ports{
			Journal: w.journal, Loader: p.loader, Outlet: p, PINs: p.pins,
			Rand: rand.New(rand.NewPCG(w.rng.Uint64(), uint64(i))), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}))
	}
	w.process = p
	live, _ := w.journal.LiveRooms()
	for _, room := range live {
		p.shardOf(room).Restore(room, func() {})
	}
}

// restart kills the process. Some of what the journal was writing becomes durable, and nobody hears of it.
func (w *world) restart() {
	w.report.Restarts++
	w.trace("the process is killed")
	w.journal.crash()
	for len(w.conns) > 0 {
		c := w.conns[0]
		c.read(w.rng.IntN(len(c.down) + 1)) // what was on the wire still arrives
		if !c.closed {
			c.cut()
		}
	}
	w.boot()
}

// comeToRest lets everybody come back and finish, with everything working, until nothing is left to do.
func (w *world) comeToRest() {
	w.trace("coming to rest")
	for range 400 {
		busy := false
		for _, c := range w.clients {
			busy = c.finish() || busy
		}
		for range 3 {
			busy = w.pump() || busy
		}
		if w.failed() || !busy {
			return
		}
		w.now += 40
	}
	w.violate("the run does not come to rest")
}

// pump moves everything that can move once.
func (w *world) pump() (busy bool) {
	for _, c := range append([]*conn(nil), w.conns...) {
		busy = len(c.wire)+len(c.down) > 0 || busy
		c.up(len(c.wire))
	}
	for i := range w.process.shards {
		w.turn(i)
	}
	busy = len(w.journal.queue) > 0 || busy
	w.journal.answer(len(w.journal.queue))
	for w.process.loader.Work() {
		busy = true
	}
	for i := range w.process.loops {
		busy = len(w.process.loops[i].queue) > 0 || busy
		for len(w.process.loops[i].queue) > 0 {
			w.process.run(i)
		}
	}
	for _, c := range append([]*conn(nil), w.conns...) {
		c.read(len(c.down))
	}
	return busy
}
