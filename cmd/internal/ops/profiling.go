package ops

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits of a request for profiling.
const (
	profilingDefault = 30 * time.Second
	profilingMax     = 10 * time.Minute
	mutexFractionMax = 1_000_000
)

// profiling turns the block and mutex profiles on for a bounded time: both cost something at every lock and channel, so
// nothing may leave them on by mistake.
type profiling struct {
	now   func() time.Time
	after func(time.Duration, func()) (stop func() bool)

	mu    sync.Mutex
	state profilingState
	turn  int // of set calls: a timer of an earlier one resets nothing
	stop  func() bool
}

// profilingState is what runs now.
type profilingState struct {
	Block string `json:"block"` // blocking events are sampled once per so much time blocked; "off"
	Mutex int    `json:"mutex"` // one of so many contentions is sampled; 0: off
	Until string `json:"until,omitempty"`
}

func newProfiling() *profiling {
	return &profiling{
		now: time.Now, state: profilingState{Block: "off"},
		after: func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop },
	}
}

func (p *profiling) show(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sayJSON(w, p.state)
}

// set starts profiling with the query's rates, or ends it without any.
func (p *profiling) set(w http.ResponseWriter, r *http.Request) {
	block, mutex, length, err := readProfiling(r.URL.Query())
	if err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetLocked()
	if block > 0 || mutex > 0 {
		runtime.SetBlockProfileRate(int(block))
		runtime.SetMutexProfileFraction(mutex)
		p.state = profilingState{Block: "off", Mutex: mutex, Until: p.now().Add(length).UTC().Format(time.RFC3339)}
		if block > 0 {
			p.state.Block = block.String()
		}
		turn := p.turn
		p.stop = p.after(length, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.turn == turn {
				p.resetLocked()
			}
		})
	}
	sayJSON(w, p.state)
}

func readProfiling(q url.Values) (block time.Duration, mutex int, length time.Duration, err error) {
	length = profilingDefault
	for name := range q {
		value := q.Get(name)
		switch name {
		case "block":
			if block, err = time.ParseDuration(value); err != nil || block < 0 || block > time.Minute {
				return 0, 0, 0, fmt.Errorf("block=%s: give the time blocked per sample, for example 10us; 0 is off", value)
			}
		case "mutex":
			if mutex, err = strconv.Atoi(value); err != nil || mutex < 0 || mutex > mutexFractionMax {
				return 0, 0, 0, fmt.Errorf("mutex=%s: give n to sample one of n contentions, for example 10; 0 is off", value)
			}
		case "for":
			if length, err = time.ParseDuration(value); err != nil || length <= 0 || length > profilingMax {
				return 0, 0, 0, fmt.Errorf("for=%s: give a time up to %s, for example 30s", value, profilingMax)
			}
		default:
			return 0, 0, 0, fmt.Errorf("there is no %q here: use block, mutex and for", name)
		}
	}
	return block, mutex, length, nil
}

func (p *profiling) resetLocked() {
	p.turn++
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	if p.state.Until != "" {
		runtime.SetBlockProfileRate(0)
		runtime.SetMutexProfileFraction(0)
	}
	p.state = profilingState{Block: "off"}
}

func (p *profiling) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetLocked()
}

// Describe is the unchecked kind, as collector's.
func (p *profiling) Describe(chan<- *prometheus.Desc) {}

// Collect says whether somebody pays for profiles now.
func (p *profiling) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge(out, profileRate, on(p.state.Block != "off"), "block")
	gauge(out, profileRate, on(p.state.Mutex > 0), "mutex")
}
