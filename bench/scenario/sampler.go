package scenario

import (
	"sync"
	"time"

	"lectern/bench/client"
	"lectern/bench/measure"
	"lectern/bench/report"
)

// sampleEvery is the step of the time series and of the progress display.
const sampleEvery = 250 * time.Millisecond

// sampler reads the counters at regular times on a goroutine of its own.
type sampler struct {
	r       *run
	pid     int
	quit    chan struct{}
	done    sync.WaitGroup
	samples []report.Sample // owned by the goroutine until stop has returned

	mu   sync.Mutex
	name string // guarded by mu: the phase
}

func startSampler(r *run) *sampler {
	s := &sampler{r: r, pid: r.pid, quit: make(chan struct{}), name: "connect"}
	s.done.Go(s.loop)
	return s
}

// phase names what the progress display shows; any goroutine.
func (s *sampler) phase(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

func (s *sampler) stop() {
	close(s.quit)
	s.done.Wait()
}

func (s *sampler) loop() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	last := reading{at: client.Now(), self: measure.SelfCPU()}
	last.server, _ = measure.ReadProcess(s.pid)
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
			last = s.sample(last)
		}
	}
}

type reading struct {
	at        int64
	delivered int64
	server    measure.Process
	self      time.Duration
}

func (s *sampler) sample(last reading) reading {
	now := reading{at: client.Now(), delivered: s.r.nDelivered.Load(), self: measure.SelfCPU()}
	if s.pid != 0 {
		now.server, _ = measure.ReadProcess(s.pid)
	}
	step := float64(now.at-last.at) / 1e9
	point := report.Sample{
		AtS:          float64(now.at-s.r.started) / 1e9,
		DeliveriesPS: float64(now.delivered-last.delivered) / step,
		ServerCPU:    max((now.server.CPU-last.server.CPU).Seconds()/step, 0),
		GeneratorCPU: (now.self - last.self).Seconds() / step,
		ServerRSS:    now.server.RSSBytes,
		Ready:        s.r.nReady.Load(),
	}
	s.samples = append(s.samples, point)
	if s.r.opt.Progress != nil {
		s.mu.Lock()
		name := s.name
		s.mu.Unlock()
		s.r.opt.Progress(Progress{
			Phase: name, Elapsed: time.Duration(now.at - s.r.started), Ready: point.Ready, Conns: int64(s.r.opt.Conns),
			Sent: s.r.nSent.Load(), Delivered: now.delivered, PerSecond: point.DeliveriesPS, Errors: s.r.nErrors.Load(),
			ServerCPU: point.ServerCPU, ServerRSS: point.ServerRSS,
		})
	}
	return now
}
