package capacity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"lectern/bench/measure"
	"lectern/bench/report"
	"lectern/bench/scenario"
)

// Options say what to hold. A zero duration or number means its default.
type Options struct {
	// Program is the file to start, for the server and the generators.
	Program string
	// Conns is the number of participants (default 100,000); Generators the number of processes that play them (default:
	// as many as the limit of open files makes necessary, at least two).
	Conns, Generators int
	// Hold is how long everybody stays connected before the quiz (default 5 min).
	Hold time.Duration
	// Questions is the number of questions (default 1), TimeLimit that of each (default 60 s); Window is how long after
	// the opening the answers come, at random (default half of TimeLimit).
	Questions         int
	TimeLimit, Window time.Duration
	// RetryShare is the share of answers that are sent twice with the same key (default 0.05; negative: none).
	RetryShare float64
	// ConnectRate is connections per second of all generators together (zero: as fast as the server lets them in);
	// ConnectTimeout is how long everybody may take to be there (default 5 min).
	ConnectRate    float64
	ConnectTimeout time.Duration
	// Patience is that of scenario.Options (default 1 min).
	Patience time.Duration
	// Note goes into the result: what a reader must know of the machine.
	Note string
	// Commit names the tested version in the result.
	Commit string
	// Say, if set, is told what goes on, a line at a time; Progress is that of scenario.Options.
	Say      func(text string)
	Progress func(scenario.Progress)
}

func (o Options) withDefaults() (Options, error) {
	if o.Conns < 0 || o.Generators < 0 || o.Questions < 0 || o.Hold < 0 || o.ConnectRate < 0 {
		return o, fmt.Errorf("bench: %w: numbers must not be negative", scenario.ErrUsage)
	}
	fill := func(v *time.Duration, fallback time.Duration) {
		if *v == 0 {
			*v = fallback
		}
	}
	if o.Conns == 0 {
		o.Conns = 100_000
	}
	if o.Questions == 0 {
		o.Questions = 1
	}
	if o.RetryShare == 0 {
		o.RetryShare = 0.05
	}
	fill(&o.Hold, 5*time.Minute)
	fill(&o.TimeLimit, time.Minute)
	fill(&o.Window, o.TimeLimit/2)
	fill(&o.ConnectTimeout, 5*time.Minute)
	fill(&o.Patience, time.Minute)
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return o, nil
}

// players is a run under way. It belongs to the goroutine of Run.
type players struct {
	opt        Options
	dir        string
	shares     []int
	server     *server
	generators []*generator
	results    chan error // one for each generator that was started
	fail       context.CancelCauseFunc
	result     *Result
	last       reading
}

// Run starts everything, plays, and stops everything. The error is about the run itself; Check says whether all that
// was expected came. Whatever was measured is in the result even then.
func Run(ctx context.Context, opt Options) (*Result, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	limit, err := descriptors(serverDescriptors(opt.Conns))
	if err != nil {
		return nil, err
	}
	shares, err := split(opt.Conns, opt.Generators, limit)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lectern-capacity-")
	if err != nil {
		return nil, fmt.Errorf("bench: make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	opt.Say(fmt.Sprintf("%d participants, %d generators, at most %d open files a process", opt.Conns, len(shares), limit))
	p := &players{
		opt: opt, dir: dir, shares: shares, results: make(chan error, len(shares)), result: newResult(&opt, shares),
	}
	if p.server, err = startServer(ctx, &opt, dir); err != nil {
		return nil, err
	}
	defer func() { p.server.stop(stopPatience * opt.Patience) }()
	err = p.play(ctx)
	return p.result, err
}

// play is the run of the first generator, with the others beside it.
func (p *players) play(ctx context.Context) error {
	ctx, p.fail = context.WithCancelCause(ctx)
	defer p.fail(nil)
	p.read("empty")
	first, err := scenario.Run(ctx, scenario.Options{
		Scenario: "quiz", Target: p.server.url, Conns: p.shares[0], Engines: 1, ServerPID: p.server.cmd.Process.Pid,
		ConnectRate:    p.opt.ConnectRate * float64(p.shares[0]) / float64(p.opt.Conns),
		ConnectTimeout: p.opt.ConnectTimeout, Patience: p.opt.Patience, Commit: p.opt.Commit,
		Progress: p.opt.Progress, PhaseDone: p.phaseDone,
		Quiz: scenario.QuizOptions{
			Questions: p.opt.Questions, TimeLimit: p.opt.TimeLimit, Window: p.opt.Window, RetryShare: p.opt.RetryShare,
			Of: p.opt.Conns, Hold: p.opt.Hold, Opened: p.startOthers,
		},
	})
	p.result.add(&first)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if waitErr := p.awaitOthers(err != nil); err == nil {
		err = waitErr
	}
	p.result.finish()
	return err
}

// startOthers is called when the room is there.
func (p *players) startOthers(room string) {
	begin := p.shares[0]
	for i, conns := range p.shares[1:] {
		g, err := startGenerator(&p.opt, p.dir, room, p.server, i+1, begin, conns)
		if err != nil {
			p.fail(err)
			return
		}
		begin += conns
		p.generators = append(p.generators, g)
		go func() {
			err := g.wait()
			if err != nil {
				p.fail(err) // the host would wait for its members in vain
			}
			p.results <- err
		}()
	}
}

// awaitOthers waits for the other generators and adds what they counted.
func (p *players) awaitOthers(broken bool) error {
	if broken {
		for _, g := range p.generators {
			_ = g.cmd.Process.Signal(os.Interrupt)
		}
	}
	var failed error
	for range p.generators {
		if err := <-p.results; err != nil && failed == nil {
			failed = err
		}
	}
	for _, g := range p.generators {
		line, err := os.ReadFile(g.result)
		if err != nil {
			if failed == nil {
				failed = fmt.Errorf("bench: a generator left no result: %w", err)
			}
			continue
		}
		var r report.Result
		if err := json.Unmarshal(bytes.TrimSpace(line), &r); err != nil {
			return fmt.Errorf("bench: a generator's result: %w", err)
		}
		p.result.add(&r)
	}
	return failed
}

// phaseDone reads the server's and the kernel's memory at the end of each phase.
func (p *players) phaseDone(name string) {
	if len(p.shares) > 1 {
		switch name {
		case "connect":
			return // of the first generator only
		case "gather":
			name = "connect"
		}
	}
	step := p.read(name)
	p.opt.Say(fmt.Sprintf("%-10s %8.1f s, server: cpu %8.2f s, %7.1f MiB; kernel %7.1f MiB, %d sockets", step.Name,
		step.DurationS, step.ServerCPUS, mib(step.RSSBytes), mib(step.KernelBytes), step.Sockets))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

type reading struct {
	at  time.Time
	cpu time.Duration
}

// read adds a step to the result.
func (p *players) read(name string) Step {
	now := reading{at: time.Now()}
	kernel := measure.ReadKernelMemory()
	step := Step{Name: name, KernelBytes: kernel.Bytes, Sockets: kernel.TCPSockets}
	if s, err := measure.ReadProcess(p.server.cmd.Process.Pid); err == nil {
		now.cpu, step.RSSBytes = s.CPU, s.RSSBytes
	}
	step.PeakRSSBytes = measure.PeakRSS(p.server.cmd.Process.Pid)
	if !p.last.at.IsZero() {
		step.DurationS = roundTo(now.at.Sub(p.last.at).Seconds(), 3)
		step.ServerCPUS = roundTo((now.cpu - p.last.cpu).Seconds(), 3)
	}
	p.last = now
	p.result.Steps = append(p.result.Steps, step)
	return step
}

// settings are the server's settings that the environment changes and that say something about capacity.
func settings() []string {
	var list []string
	for _, e := range os.Environ() {
		for _, prefix := range []string{"LECTERN_CONNS_", "LECTERN_QUIZ_", "LECTERN_IO=", "LECTERN_GOGC=", "GOMEMLIMIT="} {
			if strings.HasPrefix(e, prefix) {
				list = append(list, e)
			}
		}
	}
	return list
}
