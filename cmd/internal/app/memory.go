package app

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory makes the collector work harder when the heap comes near to what the control group allows: percent of
// it, 0 for no limit. Without a control group's limit, or with GOMEMLIMIT in the environment, nothing is changed.
func limitMemory(percent int, proc, cgroups string, log *slog.Logger) {
	group := GroupMemory(proc, cgroups)
	if percent == 0 || group == 0 || group > math.MaxInt64/100 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if machine := MachineMemory(proc); machine != 0 && group >= machine {
		return // a group without a limit of its own
	}
	limit := int64(group) / 100 * int64(percent)
	debug.SetMemoryLimit(limit)
	log.Info("the collector keeps to a part of the control group's memory", "limitMiB", limit>>20, "groupMiB", group>>20)
}

// MachineMemory is what the machine has, in bytes; zero when procfs, found at proc, does not say.
func MachineMemory(proc string) uint64 {
	info, _ := os.ReadFile(filepath.Join(proc, "meminfo"))
	for line := range strings.Lines(string(info)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// GroupMemory is the least limit of the control groups above this process, in bytes, version 2 or 1; zero: none.
func GroupMemory(proc, cgroups string) (least uint64) {
	groups, _ := os.ReadFile(filepath.Join(proc, "self/cgroup"))
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy:controllers:path
		if len(parts) != 3 {
			continue
		}
		root, file := cgroups, "memory.max"
		if parts[1] == "memory" {
			root, file = filepath.Join(cgroups, "memory"), "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		// A container may see its own group as the root, or the host's path without the files: every level counts.
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			raw, err := os.ReadFile(filepath.Join(root, dir, file))
			limit, parseErr := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64) // "max" is no number
			if err == nil && parseErr == nil && (least == 0 || limit < least) {
				least = limit
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}
