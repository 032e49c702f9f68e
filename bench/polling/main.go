// Command polling puts Socket.IO clients that use HTTP long-polling alone into one room of a running server, publishes
// to it at a steady rate, and says what that costs the server. One line of JSON, as the harness's results.
//
//	go run ./bench/polling -target http://127.0.0.1:8080 -conns 2000 -rate 1 -duration 20s
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lectern/bench/measure"
	"lectern/bench/report"
)

func main() {
	var f fleet
	flag.StringVar(&f.target, "target", "http://127.0.0.1:8080", "the server, run with --dev")
	flag.IntVar(&f.conns, "conns", 2000, "long-polling clients, all in one room")
	flag.Float64Var(&f.rate, "rate", 1, "messages a second")
	flag.DurationVar(&f.duration, "duration", 20*time.Second, "of the measured phase")
	flag.StringVar(&f.commit, "commit", "", "tested version")
	flag.Parse()
	result, err := f.run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "polling:", err)
		os.Exit(1)
	}
}

type fleet struct {
	target, commit string
	conns          int
	rate           float64
	duration       time.Duration
	client         *http.Client

	ready, delivered, failed atomic.Int64
	measuring                atomic.Bool

	mu      sync.Mutex
	latency *report.Histogram // Guarded by mu.
}

// member is one client.
type member struct {
	f    *fleet
	sid  string
	last int64
}

func (m *member) url() string {
	u := m.f.target + "/socket.io/?EIO=4&transport=polling"
	if m.sid != "" {
		u += "&sid=" + url.QueryEscape(m.sid)
	}
	return u
}

func (m *member) do(ctx context.Context, method, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.url(), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := m.f.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", method, resp.StatusCode, text)
	}
	return string(text), err
}

// join opens a session, signs in as a guest and joins the room.
func (m *member) join(ctx context.Context, id int) error {
	hello, err := m.do(ctx, http.MethodGet, "")
	if err != nil {
		return err
	}
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(hello, "0")), &open); err != nil {
		return err
	}
	m.sid = open.SID
	name := strings.Map(func(r rune) rune { return rune("bdghjkrtxz"[r-'0']) }, strconv.Itoa(id)) // no word in it
	if _, err := m.do(ctx, http.MethodPost, `40{"name":"P`+name+`"}`); err != nil {
		return err
	}
	if _, err := m.do(ctx, http.MethodPost, `420["room:join","polling"]`); err != nil {
		return err
	}
	for {
		text, err := m.do(ctx, http.MethodGet, "")
		if err != nil {
			return err
		}
		if strings.Contains(text, `430[{"ok":true`) {
			m.f.ready.Add(1)
			return nil
		}
	}
}

// poll goes on until ctx ends.
func (m *member) poll(ctx context.Context) {
	for {
		text, err := m.do(ctx, http.MethodGet, "")
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.f.failed.Add(1)
			return
		}
		now := time.Now().UnixNano()
		for _, packet := range strings.Split(text, "\x1e") {
			m.packet(ctx, packet, now)
		}
	}
}

func (m *member) packet(ctx context.Context, packet string, now int64) {
	const published = `42["bench",`
	if packet == "2" {
		if _, err := m.do(ctx, http.MethodPost, "3"); err != nil && ctx.Err() == nil {
			m.f.failed.Add(1)
		}
		return
	}
	rest, ok := strings.CutPrefix(packet, published)
	if !ok {
		return
	}
	at, _, _ := strings.Cut(rest, ",")
	sent, err := strconv.ParseInt(at, 10, 64)
	if err != nil || sent <= m.last || !m.f.measuring.Load() { // out of order or twice: not delivered as it should be
		return
	}
	m.last = sent
	m.f.delivered.Add(1)
	m.f.mu.Lock()
	m.f.latency.Record(now - sent*1000)
	m.f.mu.Unlock()
}

func (f *fleet) run() (*report.Result, error) {
	f.latency = report.NewHistogram()
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * f.conns}}
	u, err := url.Parse(f.target)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, fmt.Errorf("the target needs a port: %w", err)
	}
	pid, err := measure.ListenerPID(port)
	if err != nil {
		return nil, err
	}
	base, err := measure.ReadProcess(pid)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var polling sync.WaitGroup
	defer polling.Wait()
	defer cancel()
	began := time.Now()
	members := f.connect(ctx)
	connected := time.Since(began)
	for _, m := range members {
		polling.Go(func() { m.poll(ctx) })
	}
	before, err := measure.ReadProcess(pid)
	if err != nil {
		return nil, err
	}
	self, start := measure.SelfCPU(), time.Now()
	f.measuring.Store(true)
	sent, err := f.publish(ctx, members[0])
	if err != nil {
		return nil, err
	}
	expected := sent * f.ready.Load()
	for end := time.Now().Add(10 * time.Second); f.delivered.Load() < expected && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(start)
	after, err := measure.ReadProcess(pid)
	if err != nil {
		return nil, err
	}
	return f.result(pid, base, before, after, sent, connected, took, measure.SelfCPU()-self), nil
}

// connect brings everybody into the room, a few at a time.
func (f *fleet) connect(ctx context.Context) []*member {
	members := make([]*member, f.conns)
	tickets := make(chan int)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := range tickets {
				m := &member{f: f}
				if err := m.join(ctx, i); err != nil {
					f.failed.Add(1)
					fmt.Fprintln(os.Stderr, "polling:", err)
					continue
				}
				members[i] = m
			}
		})
	}
	for i := range members {
		tickets <- i
	}
	close(tickets)
	workers.Wait()
	joined := members[:0]
	for _, m := range members {
		if m != nil {
			joined = append(joined, m)
		}
	}
	return joined
}

// publish sends messages that hold the time in microseconds, by POSTs of one member.
func (f *fleet) publish(ctx context.Context, m *member) (sent int64, err error) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / f.rate))
	defer tick.Stop()
	for end := time.Now().Add(f.duration); time.Now().Before(end); {
		<-tick.C
		at := time.Now().UnixMicro()
		body := fmt.Sprintf(`42["room:publish",{"room":"polling","event":"bench","payload":%d}]`, at)
		if _, err := m.do(ctx, http.MethodPost, body); err != nil {
			return sent, errors.Join(errors.New("publishing"), err)
		}
		sent++
	}
	return sent, nil
}

func (f *fleet) result(pid int, base, before, after measure.Process, sent int64, connected, took,
	self time.Duration,
) *report.Result {
	delivered, ready := f.delivered.Load(), f.ready.Load()
	cpu := after.CPU - before.CPU
	r := &report.Result{
		Run: report.Run{
			Scenario: "fanout", Adaptor: "socketio-polling", Target: f.target, Conns: f.conns, Rooms: 1, Rate: f.rate,
			DurationS: took.Seconds(),
		},
		Counts: report.Counts{
			Sent: sent, Expected: sent * ready, Delivered: delivered, Lost: sent*ready - delivered,
			DeliveriesPerS: float64(delivered) / took.Seconds(),
		},
		ConnectPerS: float64(ready) / connected.Seconds(), Errors: map[string]int64{},
		Server: &report.Server{
			PID: pid, CPUS: cpu.Seconds(), CPUUsPerDelivery: cpu.Seconds() * 1e6 / float64(max(delivered, 1)),
			RSSBytes: after.RSSBytes, RSSBaseBytes: base.RSSBytes,
			RSSPerConnBytes: float64(after.RSSBytes-base.RSSBytes) / float64(max(ready, 1)),
			CPUUsPerConnect: (before.CPU - base.CPU).Seconds() * 1e6 / float64(max(ready, 1)),
		},
		Generator: report.Generator{CPUS: self.Seconds(), CPUShare: self.Seconds() / took.Seconds()},
		Machine:   measure.ReadMachine(), Commit: f.commit, At: time.Now().UTC().Format(time.RFC3339),
	}
	r.Generator.Bottleneck = r.Generator.CPUShare > 0.9*float64(runtime.NumCPU())
	if n := f.failed.Load(); n > 0 {
		r.Errors["failed"] = n
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.LatencyMS = f.latency.Quantiles()
	return r
}
