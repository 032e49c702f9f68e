package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lectern/bench/capacity"
)

// The whole run in small: a server, three generator processes, one room, a question.
func TestCapacityFillsAServerFromSeveralProcesses(t *testing.T) {
	t.Parallel()
	const conns = 600
	file := filepath.Join(t.TempDir(), "result.json")
	c := command("bench", "capacity", "--conns", "600", "--generators", "3", "--hold", "2500ms", "--time-limit", "60s",
		"--window", "500ms", "--connect-timeout", "60s", "--note", "a test", "--json", file)
	c.Env = append(c.Env, "LECTERN_QUIZ_LEAD=500ms", "LECTERN_DRAIN=0s", "LECTERN_CONNS_PING_EVERY=1s")
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r capacity.Result
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	q := r.Quiz
	if r.Ready != conns || len(r.Generators) != 3 || r.Expected != 4*conns || r.Delivered != 4*conns {
		t.Errorf("%d ready, %v generators, %d of %d delivered", r.Ready, r.Generators, r.Delivered, r.Expected)
	}
	if q.QuestionViews.Delivered != conns || q.Answers.Delivered != conns || q.Results.Delivered != conns ||
		q.Ranks.Delivered != conns || q.AnsweredCount != conns || q.BoardRows == 0 || q.Retried == 0 {
		t.Errorf("%+v", q)
	}
	if r.Heartbeats < conns { // everybody was silent for two of the server's periods
		t.Errorf("%d heartbeats", r.Heartbeats)
	}
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Name)
		if s.RSSBytes == 0 || s.PeakRSSBytes < s.RSSBytes {
			t.Errorf("%+v", s)
		}
	}
	if got := strings.Join(names, " "); got != "empty create connect hold question_1 ranks_1 podium" {
		t.Error(got)
	}
	if len(r.Notes) == 0 || r.Notes[0] != "a test" || len(r.Settings) != 2 {
		t.Errorf("notes %q, settings %q", r.Notes, r.Settings)
	}
}

func TestCapacitySaysWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	if _, stderr := wants(t, 1, "bench", "capacity", "--conns", "2000000000"); !strings.Contains(stderr, "--conns ") {
		t.Error(stderr)
	}
	wants(t, 2, "bench", "capacity", "--conns", "-1")
	wants(t, 2, "bench", "capacity", "now")
}
