package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample() *Result {
	h := NewHistogram()
	for i := range int64(1000) {
		h.Record(i * 1_000_000)
	}
	r := &Result{
		Run:       Run{Scenario: "fanout", Adaptor: "lectern", Target: "ws://<script>", Conns: 1000, Rooms: 2, DurationS: 10},
		Counts:    Counts{Sent: 10, Expected: 5000, Delivered: 4999, Lost: 1, DeliveriesPerS: 499.9},
		LatencyMS: h.Quantiles(), ConnectMS: h.Quantiles(), Errors: map[string]int64{"gap": 1},
		Server: &Server{PID: 7, RSSBytes: 1 << 20}, Quiz: &QuizCheck{}, Notes: []string{"a note"}, At: "2026-01-02T03:04:05Z",
		Distributions: map[string][]Distribution{"latency": h.Points()},
	}
	for i := range 40 {
		r.Series = append(r.Series, Sample{AtS: float64(i) / 4, DeliveriesPS: float64(i * i), ServerRSS: int64(i) << 20})
	}
	return r
}

func TestQuantiles(t *testing.T) {
	q := sample().LatencyMS
	if q.N != 1000 || q.P50 < 498 || q.P50 > 500.5 || q.P99 < 988 || q.P99 > 991 || q.Max < 998 || q.Max > 1000 {
		t.Fatalf("%+v", q)
	}
	if NewHistogram().Quantiles() != nil {
		t.Fatal("an empty histogram has quantiles")
	}
}

// The names are relied on by people outside.
func TestLineHasTheContractsMembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.ndjson")
	for range 2 {
		if err := AppendLine(path, sample()); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var line map[string]any
	if err := json.Unmarshal(lines[1], &line); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`scenario adaptor target conns rooms duration_s sent expected delivered lost
		duplicated deliveries_per_s latency_ms.p50 latency_ms.p95 latency_ms.p99 latency_ms.max connect_ms.p50
		errors.gap server.pid
		server.cpu_s server.cpu_us_per_delivery server.rss_bytes server.rss_per_conn_bytes generator.cpu_s
		generator.busy_share machine.cpus machine.kernel machine.go kernel.backlog_drops kernel.tcp_resends at`) {
		var at any = line
		for name := range strings.SplitSeq(path, ".") {
			object, ok := at.(map[string]any)
			if !ok {
				t.Fatalf("%s: no object", path)
			}
			if at, ok = object[name]; !ok {
				t.Errorf("%s is missing", path)
			}
		}
	}
}

func TestHTMLIsSelfContainedAndWellFormed(t *testing.T) {
	page, err := HTML([]*Result{sample(), {}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, bad := range []string{"<script", "http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(text, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if n := strings.Count(text, "<svg"); n != 5 {
		t.Errorf("%d plots", n)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a number is not one")
	}
}

func TestNumbersForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"1\u202f234\u202f567": groupDigits(1234567), "999": groupDigits(999), "-1\u202f000": groupDigits(-1000),
		"0.123": trim(0.12345), "12.3": trim(12.345), "120": trim(120), "50": trim(50), "0": trim(0),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 0.3: 0.5, 3: 5, 11: 20, 100: 100} {
		if got := niceStep(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("niceStep(%v) = %v", v, got)
		}
	}
}
