package scenario

import (
	"context"
	"fmt"
	"math"
	"time"

	"lectern/bench/client"
	"lectern/bench/measure"
	"lectern/bench/report"
)

// script is what a scenario adds to the common frame of a run.
type script interface {
	// newPlay makes the part of one engine.
	newPlay(w *worker) play
	// run drives the measured phase from the control goroutine; it returns when all that was expected has come or no
	// more will. It marks the phase's begin and end on r.
	run(ctx context.Context, r *run) error
	// collect adds the scenario's figures after the engines have stopped.
	collect(r *run)
}

// run is one run's bookkeeping, owned by the control goroutine.
type run struct {
	*fleet
	result  *report.Result
	pid     int
	before  measure.Process // the server before the first connection
	begin   mark
	end     mark
	phaseAt int64
	sampler *sampler
}

// mark is a reading of all counters at one moment.
type mark struct {
	at     int64
	server measure.Process
	self   time.Duration
	kernel measure.Kernel
	waited []int64
	cpu    []int64
}

// Run runs one scenario against a running server. The error is about the run itself (nothing to connect to, wrong
// options); lost messages are in the result. When ctx ends, the run is broken off and what was measured is returned
// with ctx's error.
func Run(ctx context.Context, opt Options) (report.Result, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return report.Result{}, err
	}
	ad, err := newAdaptor(opt.Adaptor)
	if err != nil {
		return report.Result{}, err
	}
	ep, err := resolve(opt.Target)
	if err != nil {
		return report.Result{}, err
	}
	s, err := newScript(opt)
	if err != nil {
		return report.Result{}, err
	}
	if err := checkLimits(opt); err != nil {
		return report.Result{}, err
	}
	r := &run{result: newResult(opt)}
	r.findServer(opt, ep)
	r.fleet, err = newFleet(ctx, opt, ep, ad, s.newPlay)
	if err != nil {
		return report.Result{}, err
	}
	r.phaseAt = r.started
	r.sampler = startSampler(r)
	err = r.perform(ctx, s)
	r.sampler.stop()
	r.stop()
	s.collect(r)
	r.finish()
	return *r.result, err
}

func newScript(opt Options) (script, error) {
	own := opt.Adaptor == "lectern"
	switch opt.Scenario {
	case "idle":
		return &idleScript{}, nil
	case "storm":
		return &stormScript{}, nil
	case "fanout":
		return newFanout(opt), nil
	case "echo":
		return &echoScript{}, nil
	case "chat":
		if own {
			return &chatScript{}, nil
		}
	case "quiz":
		if own {
			return newQuiz(opt), nil
		}
	case "mixed":
		if own {
			return newMixed(opt), nil
		}
	}
	return nil, usage("the scenario %s needs the adaptor lectern", opt.Scenario)
}

func newResult(opt Options) *report.Result {
	res := &report.Result{
		Run: report.Run{
			Scenario: opt.Scenario, Adaptor: opt.Adaptor, Target: opt.Target, Conns: opt.Conns, Rooms: opt.Rooms,
			Rate: opt.Rate, Burst: opt.Burst, Stalled: opt.Stalled,
		},
		Errors: map[string]int64{}, Machine: measure.ReadMachine(), Commit: opt.Commit,
		At: time.Now().UTC().Format(time.RFC3339), LatenciesMS: map[string]*report.Quantiles{},
		Distributions: map[string][]report.Distribution{},
	}
	if opt.Scenario == "fanout" {
		res.Payload = opt.PayloadBytes
	}
	return res
}

// findServer looks for the server's process; not finding one costs the server's figures only.
func (r *run) findServer(opt Options, ep endpoint) {
	r.pid = opt.ServerPID
	if r.pid == 0 {
		if !measure.Local(ep.addr.IP) {
			r.note("the server runs elsewhere: its CPU and memory are not measured")
			return
		}
		pid, err := measure.ListenerPID(ep.addr.Port)
		if err != nil {
			r.note(err.Error())
			return
		}
		r.pid = pid
	}
	base, err := measure.ReadProcess(r.pid)
	if err != nil {
		r.note(err.Error())
		r.pid = 0
		return
	}
	r.before = base
}

func (r *run) note(text string) { r.result.Notes = append(r.result.Notes, text) }

// perform connects everybody and lets the scenario run.
func (r *run) perform(ctx context.Context, s script) error {
	if err := s.run(ctx, r); err != nil {
		return err
	}
	return ctx.Err()
}

// connectAll is the phase "connect" of every scenario.
func (r *run) connectAll(ctx context.Context) error {
	r.sampler.phase("connect")
	before := r.read()
	start, already := client.Now(), r.nReady.Load()
	r.connect(r.connectRate(), 1)
	err := r.waitReady(ctx, r.opt.Conns)
	took := float64(client.Now()-start) / 1e9
	r.phaseDone("connect")
	after := r.read()
	if ready := r.nReady.Load() - already; ready > 0 {
		r.result.ConnectPerS = math.Round(float64(ready) / took)
		if r.pid != 0 {
			r.serverResult().CPUUsPerConnect = perUnit(after.server.CPU-before.server.CPU, ready)
		}
	}
	return err
}

func (r *run) serverResult() *report.Server {
	if r.result.Server == nil {
		r.result.Server = &report.Server{PID: r.pid}
	}
	return r.result.Server
}

func perUnit(d time.Duration, n int64) float64 {
	if n <= 0 {
		return 0
	}
	return math.Round(float64(d)/float64(n)/10) / 100 // nanoseconds to microseconds with two decimals
}

// phaseDone notes how long the phase since the last one took.
func (r *run) phaseDone(name string) {
	now := client.Now()
	r.result.Phases = append(r.result.Phases, report.Phase{Name: name, DurationS: seconds(now - r.phaseAt)})
	r.phaseAt = now
	if r.opt.PhaseDone != nil {
		r.opt.PhaseDone(name)
	}
}

func seconds(ns int64) float64 { return math.Round(float64(ns)/1e5) / 1e4 }

func (r *run) read() mark {
	m := mark{at: client.Now(), self: measure.SelfCPU(), kernel: measure.ReadKernel()}
	if r.pid != 0 {
		if p, err := measure.ReadProcess(r.pid); err == nil {
			m.server = p
		} else {
			r.note(err.Error())
			r.pid = 0
		}
	}
	for _, w := range r.workers {
		waited, cpu := w.engine.Usage()
		m.waited = append(m.waited, waited)
		m.cpu = append(m.cpu, cpu)
	}
	return m
}

// beginMeasure and endMeasure enclose the phase that the figures are about.
func (r *run) beginMeasure(phase string) {
	r.sampler.phase(phase)
	r.begin = r.read()
}

func (r *run) endMeasure(phase string) {
	r.end = r.read()
	r.phaseDone(phase)
}

// drain waits until everything that was expected has come, or nothing comes any more. Its default patience with
// silence, three seconds, is longer than TCP's first resends.
func (r *run) drain(ctx context.Context, complete func() bool) bool {
	r.sampler.phase("drain")
	last, lastAt := r.nDelivered.Load(), time.Now()
	ok := false
	waitFor(ctx, time.Now().Add(r.opt.Patience), func() bool {
		if complete() {
			ok = true
			return true
		}
		if n := r.nDelivered.Load(); n != last {
			last, lastAt = n, time.Now()
		}
		return time.Since(lastAt) > r.opt.quiet
	})
	return ok
}

// busyShareMax is where the generator's own delays begin to colour the figures.
const busyShareMax = 0.9

// finish turns the marks and the workers' figures into the result. The engines have stopped.
func (r *run) finish() {
	res := r.result
	connect, welcome := report.NewHistogram(), report.NewHistogram()
	latency, lag := report.NewHistogram(), report.NewHistogram()
	for _, w := range r.workers {
		connect.Merge(w.connect)
		welcome.Merge(w.welcome)
		latency.Merge(w.latency)
		lag.Merge(w.lag)
		for name, n := range w.errors {
			res.Errors[name] += n
		}
		res.Heartbeats += w.engine.Pings()
	}
	if res.Scenario == "storm" {
		latency = welcome
	}
	res.ConnectMS, res.LatencyMS = connect.Quantiles(), latency.Quantiles()
	r.addLatency("welcome", welcome)
	res.Distributions["latency"], res.Distributions["connect"] = latency.Points(), connect.Points()
	res.Generator.SendLagMS = lag.P99MS()
	res.Series = r.sampler.samples
	if r.begin.at == 0 || r.end.at <= r.begin.at {
		return
	}
	wall := r.end.at - r.begin.at
	res.DurationS = seconds(wall)
	res.Lost = max(res.Expected-res.Delivered, 0)
	res.DeliveriesPerS = math.Round(float64(res.Delivered) / (float64(wall) / 1e9))
	r.finishGenerator(wall)
	kernel := r.end.kernel.Sub(r.begin.kernel)
	res.Kernel = report.Kernel{BacklogDrops: kernel.BacklogDrops, TCPResends: kernel.TCPResends}
	if kernel.BacklogDrops > 0 {
		r.note(fmt.Sprintf("the kernel dropped %d segments on loopback (net.core.netdev_max_backlog is too small); "+
			"they came again 200 ms later and are in the latencies", kernel.BacklogDrops))
	}
	if r.pid == 0 {
		return
	}
	s := r.serverResult()
	cpu := r.end.server.CPU - r.begin.server.CPU
	s.CPUS = math.Round(cpu.Seconds()*1e3) / 1e3
	if res.Scenario != "idle" { // where nothing is delivered but the members' staying
		s.CPUUsPerDelivery = perUnit(cpu, res.Delivered)
	}
	s.RSSBytes, s.RSSBaseBytes = r.end.server.RSSBytes, r.before.RSSBytes
	if ready := r.nReady.Load(); ready > 0 {
		s.RSSPerConnBytes = math.Round(float64(r.end.server.RSSBytes-r.before.RSSBytes) / float64(ready))
	}
}

func (r *run) finishGenerator(wall int64) {
	g := &r.result.Generator
	g.CPUS = math.Round((r.end.self-r.begin.self).Seconds()*1e3) / 1e3
	for i := range r.workers {
		busy := 1 - float64(r.end.waited[i]-r.begin.waited[i])/float64(wall)
		g.BusyShare = max(g.BusyShare, math.Round(busy*1e3)/1e3)
		g.CPUShare = max(g.CPUShare, math.Round(float64(r.end.cpu[i]-r.begin.cpu[i])/float64(wall)*1e3)/1e3)
	}
	if g.Bottleneck = g.BusyShare > busyShareMax; g.Bottleneck {
		r.note("the generator itself was the bottleneck (busy_share): latencies and rates of this run are not used; " +
			"the server's CPU per delivery is its own all the same")
	}
}

func (r *run) addLatency(name string, h *report.Histogram) {
	if q := h.Quantiles(); q != nil {
		r.result.LatenciesMS[name] = q
		r.result.Distributions[name] = h.Points()
	}
}
