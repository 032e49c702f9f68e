package ops

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/gateway"
	"lectern/netpoll"
	"lectern/persist"
	"lectern/persist/search"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// fakes are sources in which every counter has a value, so that every series appears.
func fakes() Options {
	net := netpoll.Stats{Open: 3, IO: netpoll.IOWrites}
	gw := gateway.Stats{
		Members:  map[string]int64{"lectern.v1": 2},
		Received: map[wire.Op]int64{wire.OpRoomJoin: 1}, Errors: map[wire.Code]int64{wire.CodeUnavailable: 1},
		Closes:     map[wire.CloseCode]int64{wire.CloseSlowConsumer: 1},
		PeerCloses: map[uint16]int64{1000: 1},
	}
	gw.Limits = map[string]int64{"message": 1}
	gw.Engine.Sessions = map[string]int64{"polling": 2, "websocket": 5}
	gw.Engine.Opened = map[string]int64{"polling": 7}
	gw.Engine.Refused = map[string]int64{"unknown_sid": 1}
	gw.Engine.Ended = map[string]int64{"ping timeout": 1}
	latency := gateway.Latency{}
	latency.Commands.Counts[3] = 98
	latency.Commands.Counts[len(gateway.LatencyBuckets)] = 2
	return Options{
		Net:     func() netpoll.Stats { return net },
		Gateway: func() gateway.Stats { return gw },
		Rooms:   func() rooms.Stats { return rooms.Stats{Rooms: 2, Members: 3} },
		Journal: func() persist.Stats { return persist.Stats{QueueRecords: 4} },
		PINs:    func() int { return 1 },
		Ready:   func() error { return nil },
		Loops:   func() []*netpoll.Loop { return []*netpoll.Loop{new(netpoll.Loop)} },
		Shards:  func() []rooms.ShardStats { return []rooms.ShardStats{{Rooms: 1}, {Rooms: 1, InboxDepth: 7}} },
		Latency: func() gateway.Latency { return latency },
		Search:  func() search.Stats { return search.Stats{} },
		Redis: &Redis{
			Stats: func() persist.SharedStats { return persist.SharedStats{Up: true, Commands: 9} },
			Nodes: func(context.Context) ([]persist.Node, error) { return nil, persist.ErrUnavailable },
		},
		Spool: func() persist.SpoolStats { return persist.SpoolStats{State: persist.SpoolAway, Records: 12} },
	}
}

func TestNodesWithoutRedis(t *testing.T) {
	o := fakes()
	if status, text := serve(t, o)("GET", "/nodes"); status != http.StatusServiceUnavailable {
		t.Errorf("while Redis is away: %d %s", status, text)
	}
	o.Redis = nil
	if status, text := serve(t, o)("GET", "/nodes"); status != http.StatusNotFound {
		t.Errorf("without Redis: %d %s", status, text)
	}
}

// A page can give its own name the port's address; what it sends under that name changes nothing.
func TestForeignNamesChangeNothing(t *testing.T) {
	drains := 0
	o := fakes()
	o.Inspect.Drain = func() { drains++ }
	h, release := Handler(o)
	t.Cleanup(release)
	for host, want := range map[string]int{
		"evil.example:9090": http.StatusMisdirectedRequest, "evil.example": http.StatusMisdirectedRequest,
		"localhost:9090": http.StatusAccepted, "127.0.0.1:9090": http.StatusAccepted, "[::1]:9090": http.StatusAccepted,
	} {
		r := httptest.NewRequest("POST", "/drain", http.NoBody)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", host, w.Code, want)
		}
	}
	if drains != 3 {
		t.Errorf("%d requests were carried out", drains)
	}
}

// A server whose database is away is ready all the same, and says what the matter is.
func TestReadyWithDetail(t *testing.T) {
	o := fakes()
	for detail, want := range map[string]string{"": "ready\n", "storage: away": "ready; storage: away\n"} {
		o.Detail = func() string { return detail }
		if status, text := serve(t, o)("GET", "/readyz"); status != http.StatusOK || text != want {
			t.Errorf("%d %q, want %q", status, text, want)
		}
	}
	_, text := serve(t, o)("GET", "/metrics")
	for _, want := range []string{
		"lectern_redis_up 1", "lectern_redis_commands_total 9",
		`lectern_spool_state{state="spooling"} 1`, `lectern_spool_state{state="direct"} 0`,
		"lectern_spool_records 12",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics don't say %s", want)
		}
	}
}

func serve(t *testing.T, o Options) func(method, path string, headers ...string) (int, string) {
	t.Helper()
	h, release := Handler(o)
	t.Cleanup(release)
	return func(method, path string, headers ...string) (int, string) {
		r := httptest.NewRequest(method, "http://127.0.0.1:9090"+path, http.NoBody)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
}

func TestInspectionSaysWhatIsWhere(t *testing.T) {
	o := fakes()
	o.Ready = func() error { return errors.New("not now") }
	status, body := serve(t, o)("GET", "/debug/lectern")
	var v inspection
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != http.StatusOK {
		t.Fatalf("%d %v\n%s", status, err, body)
	}
	if v.Ready != "not now" || v.Connections.Open != 3 || len(v.Shards) != 2 || v.Shards[1].Waiting != 7 ||
		v.Journal.QueueRecords != 4 || v.Rooms.Members != 3 {
		t.Errorf("%+v", v)
	}
	if v.CommandMs.P50 != 10 || v.CommandMs.P99 != -1 || v.FanoutMs.P99 != 0 {
		t.Errorf("quantiles %+v %+v", v.CommandMs, v.FanoutMs)
	}
}

func TestStatsvizStartsWithItsFirstVisitor(t *testing.T) {
	page := new(statsPage)
	if page.server != nil {
		t.Fatal("it runs without a visitor")
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/debug/statsviz/", http.NoBody))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<html") {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
	page.close()
	w = httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/debug/statsviz/", http.NoBody))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", w.Code)
	}
}

func TestProfilingIsBounded(t *testing.T) {
	var fire func()
	var length time.Duration
	p := newProfiling()
	p.now = func() time.Time { return time.Unix(1_000_000, 0) }
	p.after = func(d time.Duration, f func()) func() bool {
		fire, length = f, d
		return func() bool { return true }
	}
	t.Cleanup(p.close)
	post := func(query string) (int, string) {
		w := httptest.NewRecorder()
		p.set(w, httptest.NewRequest("POST", "/debug/profiling?"+query, http.NoBody))
		return w.Code, w.Body.String()
	}
	state := func() profilingState {
		w := httptest.NewRecorder()
		p.show(w, httptest.NewRequest("GET", "/debug/profiling", http.NoBody))
		var s profilingState
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, query := range []string{"block=x", "block=-1s", "mutex=-1", "mutex=1.5", "for=11m", "for=0s", "blok=1us"} {
		if status, body := post(query); status != http.StatusBadRequest || body == "" {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if status, body := post("block=10us&mutex=7&for=2m"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if s := state(); s.Block != "10µs" || s.Mutex != 7 || s.Until == "" || length != 2*time.Minute {
		t.Errorf("%+v for %v", s, length)
	}
	if got := runtime.SetMutexProfileFraction(-1); got != 7 {
		t.Errorf("the runtime samples one of %d", got)
	}
	first := fire
	post("mutex=5")
	first() // the timer of the first request comes late: the second goes on
	if s := state(); s.Mutex != 5 || s.Block != "off" || length != profilingDefault {
		t.Errorf("after a second request: %+v for %v", s, length)
	}
	fire()
	if s := state(); s.Mutex != 0 || s.Until != "" || runtime.SetMutexProfileFraction(-1) != 0 {
		t.Errorf("after its time: %+v", s)
	}
	post("mutex=5")
	post("")
	if s := state(); s.Mutex != 0 {
		t.Errorf("ended by hand: %+v", s)
	}
}

func TestOtherOriginsChangeNothing(t *testing.T) {
	do := serve(t, fakes())
	status, _ := do("POST", "/debug/profiling?mutex=3", "Sec-Fetch-Site", "cross-site")
	if status != http.StatusForbidden {
		t.Errorf("a page of another site: %d", status)
	}
	if got := runtime.SetMutexProfileFraction(-1); got != 0 {
		t.Errorf("it has turned profiling on: %d", got)
	}
	if status, body := do("POST", "/debug/profiling"); status != http.StatusOK {
		t.Errorf("an operator's curl: %d %s", status, body)
	}
}
