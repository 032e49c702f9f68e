package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern/bench/report"
)

func TestCheck(t *testing.T) {
	for want, r := range map[string]*Result{
		"":          {Counts: report.Counts{Expected: 5, Delivered: 5}},
		"1 lost":    {Counts: report.Counts{Lost: 1}},
		"2 dup":     {Counts: report.Counts{Duplicated: 2}},
		"3 ranks":   {Quiz: &report.QuizCheck{WrongRank: 3}},
		"map[eof:4": {Errors: map[string]int64{"eof": 4}},
	} {
		err := Check(r)
		if want == "" && err == nil {
			continue
		}
		if !errors.Is(err, ErrFailed) || !strings.Contains(strings.ReplaceAll(err.Error(), "duplicated", "dup"), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestPlainProgressIsNotAFlood(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	show, done := NewProgress(f)
	for i := range 80 {
		phase := "connect"
		if i > 10 {
			phase = "measure"
		}
		show(Progress{Phase: phase, Elapsed: time.Duration(i) * 250 * time.Millisecond, Conns: 10})
	}
	done()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 5 || strings.Contains(string(text), "\x1b") {
		t.Fatalf("%d lines:\n%s", n, text)
	}
}

func TestLiveProgressDrawsOneLine(t *testing.T) {
	var b strings.Builder
	show, done := liveProgress(&b)
	show(Progress{Phase: "connect", Ready: 5, Conns: 10, ServerRSS: 1 << 20})
	done()
	if text := b.String(); strings.Contains(text, "\n") || !strings.Contains(text, "██████████░░░░░░░░░░") {
		t.Fatalf("%q", text)
	}
}

func TestHTMLFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.html")
	if err := WriteHTML(path, &Result{}); err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(page), "<!doctype html>") {
		t.Fatal(err)
	}
}
