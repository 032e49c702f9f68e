package ops

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/arl/statsviz"

	"lectern/cmd/internal/gateway"
)

// inspection is /debug/lectern: what is where, now. Latencies are upper bounds of buckets since the start, in
// milliseconds; -1 is beyond the last bucket.
type inspection struct {
	Ready string `json:"ready"` // "ok", or why not

	Connections struct {
		Open         int    `json:"open"`
		HTTP         int    `json:"http"`
		Blocked      int    `json:"blocked"`
		BlockedBytes int    `json:"blockedBytes"`
		Deflate      int64  `json:"deflate"`
		Accepted     uint64 `json:"accepted"`
		Refused      uint64 `json:"refused"`
		IO           string `json:"io"`
	} `json:"connections"`
	Loops  []loopNow  `json:"loops"`
	Shards []shardNow `json:"shards"`
	Rooms  struct {
		Loaded  int64 `json:"loaded"`
		Members int64 `json:"members"`
		PINs    int   `json:"pins"`
	} `json:"rooms"`
	Journal struct {
		QueueRecords int    `json:"queueRecords"`
		QueueBytes   int    `json:"queueBytes"`
		Records      uint64 `json:"records"`
		Failed       uint64 `json:"failedCommits"`
		FailedRooms  int    `json:"failedRooms"`
	} `json:"journal"`
	Deliveries int64     `json:"deliveries"`
	CommandMs  quantiles `json:"commandMs"`
	FanoutMs   quantiles `json:"fanoutMs"`
}

type loopNow struct {
	Loop        int `json:"loop"`
	Connections int `json:"connections"`
}

type shardNow struct {
	Shard    int     `json:"shard"`
	Waiting  int     `json:"waiting"`
	Peak     int     `json:"peak"`
	Rooms    int64   `json:"rooms"`
	Members  int64   `json:"members"`
	Commands int64   `json:"commands"`
	BusyS    float64 `json:"busySeconds"`
}

type quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func quantilesOf(h *gateway.Histogram) quantiles {
	return quantiles{quantile(h, 0.5), quantile(h, 0.99)}
}

func inspect(o *Options) *inspection {
	v := &inspection{Ready: "ok", Loops: []loopNow{}, Shards: []shardNow{}}
	if err := o.Ready(); err != nil {
		v.Ready = err.Error()
	}
	n, g, r, j := o.Net(), o.Gateway(), o.Rooms(), o.Journal()
	c := &v.Connections
	c.Open, c.HTTP, c.Blocked, c.BlockedBytes = n.Open, n.Detached, n.Blocked, n.Waiting
	c.Deflate, c.Accepted, c.Refused, c.IO = g.DeflateConns, n.Accepted, n.Refused, string(n.IO)
	for _, l := range o.Loops() {
		v.Loops = append(v.Loops, loopNow{l.Index(), l.Conns()})
	}
	for i, s := range o.Shards() {
		v.Shards = append(v.Shards, shardNow{
			i, s.InboxDepth, s.InboxPeak, s.Rooms, s.Members, s.Commands, s.Busy.Seconds(),
		})
	}
	v.Rooms.Loaded, v.Rooms.Members, v.Rooms.PINs = r.Rooms, r.Members, o.PINs()
	v.Journal.QueueRecords, v.Journal.QueueBytes, v.Journal.Records = j.QueueRecords, j.QueueBytes, j.Records
	v.Journal.Failed, v.Journal.FailedRooms = j.FailedBatches, j.FailedRooms
	v.Deliveries = g.Deliveries
	latency := o.Latency()
	v.CommandMs, v.FanoutMs = quantilesOf(&latency.Commands), quantilesOf(&latency.Fanout)
	return v
}

func handleDebug(mux *http.ServeMux, o *Options, p *profiling, s *statsPage) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/profiling", p.show)
	mux.HandleFunc("POST /debug/profiling", p.set)
	mux.Handle("/debug/statsviz", http.RedirectHandler("/debug/statsviz/", http.StatusMovedPermanently))
	mux.Handle("/debug/statsviz/", s)
	mux.HandleFunc("GET /debug/lectern", func(w http.ResponseWriter, _ *http.Request) { sayJSON(w, inspect(o)) })
}

func sayJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

// statsPage is statsviz, started by its first visitor: it reads the runtime's metrics every second from then on, which
// nobody should pay for who doesn't look.
type statsPage struct {
	mu     sync.Mutex
	server *statsviz.Server
	mux    *http.ServeMux
	closed bool
}

// ServeHTTP implements http.Handler.
func (s *statsPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux, err := s.start()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	mux.ServeHTTP(w, r)
}

func (s *statsPage) start() (*http.ServeMux, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, http.ErrServerClosed
	}
	if s.server == nil {
		server, err := statsviz.NewServer()
		if err != nil {
			return nil, err
		}
		s.server, s.mux = server, http.NewServeMux()
		server.Register(s.mux)
	}
	return s.mux, nil
}

func (s *statsPage) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.server != nil {
		_ = s.server.Close()
	}
}
