package capacity

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// LECTERN_CAPACITY=1000,10000,100000 plays quizzes of these sizes; LECTERN_CAPACITY_OUT gets a line of JSON for each.
func TestQuizReachesEverybody(t *testing.T) {
	sizes := os.Getenv("LECTERN_CAPACITY")
	if sizes == "" {
		sizes = "1000"
	}
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), t.TempDir(), n)
		if err != nil {
			t.Fatalf("%d participants: %v", n, err)
		}
		for _, p := range r.Phases {
			t.Logf("%7d participants  %-11s %10v, of it %10v waiting for the disk; the rest is %8v each", n, p.Name,
				p.Took.Round(time.Microsecond), p.Waited.Round(time.Microsecond), p.Each)
		}
		record(t, r)
	}
}

func record(t *testing.T, r *Result) {
	t.Helper()
	path := os.Getenv("LECTERN_CAPACITY_OUT")
	if path == "" {
		return
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}
