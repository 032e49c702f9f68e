package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lectern/bench"
	"lectern/bench/report"
)

// fakeLine is a run in which the server spent that much CPU per delivery and per connect.
func fakeLine(peer, workload string, round int, cpuUs, connectUs float64) line {
	return line{Peer: peer, Workload: workload, Round: round, Result: bench.Result{
		Server: &report.Server{CPUUsPerDelivery: cpuUs, CPUUsPerConnect: connectUs},
	}}
}

func fakeComparison(t *testing.T) *comparison {
	c := &comparison{page: filepath.Join(t.TempDir(), "BENCHMARKS.md")}
	for round, slower := range []float64{1, 1.1, 1.3} {
		c.lines = append(c.lines, fakeLine("lectern", "single", round+1, 5*slower, 0),
			fakeLine("lectern-writes", "single", round+1, 12*slower, 0), fakeLine("uws", "single", round+1, 10*slower, 0),
			fakeLine("lectern", "signed", round+1, 0, 160*slower))
	}
	c.sum = summarize(c.lines)
	if err := c.writePage(); err != nil {
		t.Fatal(err)
	}
	return c
}

// A target without another server is for the own figure, and one for the variant without io_uring for that variant's.
func TestTargetsAreJudged(t *testing.T) {
	c := fakeComparison(t)
	page, err := os.ReadFile(c.page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"at most 0.6 × uWebSockets' | 0.50 (0.50–0.50) | yes |",
		"without io_uring, at most uWebSockets' | 1.20 (1.20–1.20) | **no** |",
		"at most 150 µs of CPU | 176 (160–208) | **no** |",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestPlotIsDrawn(t *testing.T) {
	c := fakeComparison(t)
	f, err := os.Open(filepath.Join(filepath.Dir(c.page), "img", plotName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	bars := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 1+3 { // the ground and three servers; the measure of one server alone is not drawn
		t.Errorf("%d rectangles", bars)
	}
}
