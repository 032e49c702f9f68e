package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// The limit is process-wide, so this test is not parallel.
func TestCollectorKeepsToTheControlGroup(t *testing.T) {
	if os.Getenv("GOMEMLIMIT") != "" {
		t.Skip("GOMEMLIMIT is set, which goes before")
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	proc, groups := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(proc, "meminfo"), "MemTotal:       8388608 kB\n")
	write(filepath.Join(proc, "self/cgroup"), "0::/system.slice/lectern.service\n")
	limit := filepath.Join(groups, "system.slice/lectern.service/memory.max")
	log := slog.New(slog.DiscardHandler)
	for _, tt := range []struct {
		max     string
		percent int
		want    int64
	}{
		{"max", 90, before}, {"1073741824", 0, before}, {"17179869184", 90, before}, // more than the machine has
		{"1073741824", 90, 1073741824 / 100 * 90}, {"1073741824", 50, 1073741824 / 100 * 50},
	} {
		debug.SetMemoryLimit(before)
		write(limit, tt.max+"\n")
		limitMemory(tt.percent, proc, groups, log)
		if got := debug.SetMemoryLimit(-1); got != tt.want {
			t.Errorf("%s, %d %%: %d, want %d", tt.max, tt.percent, got, tt.want)
		}
	}
	debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "1GiB")
	limitMemory(90, proc, groups, log)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the environment does not go before: %d", got)
	}
}
