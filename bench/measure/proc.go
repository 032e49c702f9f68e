// Package measure reads from /proc what a load run needs to know about the machine and about the server's process: it
// asks the kernel, never the server, so that every kind of server is measured the same way. Linux only. All functions
// may be called from any goroutine.
package measure

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoProcess says that nobody on this machine whom we may look at listens on the port.
var ErrNoProcess = errors.New(
	"bench: no process found that listens on the target's port: its CPU and memory are not measured")

// ListenerPID finds the process that listens on a TCP port of this machine: the socket's inode from /proc/net/tcp and
// tcp6, then the process that holds it. It is ErrNoProcess for a remote server or another user's process.
func ListenerPID(port int) (int, error) {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(table) {
			if inode, ok := listenerInode(string(line), port); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return 0, ErrNoProcess
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if link, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && inodes[link] {
				return strconv.Atoi(strings.Split(dir, "/")[2])
			}
		}
	}
	return 0, ErrNoProcess
}

// listenerInode reads one line of /proc/net/tcp: state 0A is LISTEN.
func listenerInode(line string, port int) (string, bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return "", false
	}
	_, hexPort, ok := strings.Cut(f[1], ":")
	if !ok {
		return "", false
	}
	raw, err := hex.DecodeString(hexPort)
	if err != nil || len(raw) != 2 || int(raw[0])<<8|int(raw[1]) != port {
		return "", false
	}
	return f[9], true
}

// Process is a reading of one process.
type Process struct {
	CPU      time.Duration // user and system, all threads
	RSSBytes int64
}

// clockTick is USER_HZ, which is 100 on every Linux that Go supports.
const clockTick = 10 * time.Millisecond

// ReadProcess reads CPU time and resident memory of pid.
func ReadProcess(pid int) (Process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, fmt.Errorf("bench: the server's process is gone: %w", err)
	}
	// The command's name may hold spaces and parentheses: fields are counted from the last parenthesis.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return Process{}, fmt.Errorf("bench: /proc/%d/stat is not understood", pid)
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	p := Process{CPU: time.Duration(user+system) * clockTick}
	if exact, ok := schedCPU(pid); ok {
		p.CPU = exact
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return Process{}, fmt.Errorf("bench: the server's process is gone: %w", err)
	}
	if m := strings.Fields(string(statm)); len(m) > 1 {
		pages, _ := strconv.ParseInt(m[1], 10, 64)
		p.RSSBytes = pages * int64(os.Getpagesize())
	}
	return p, nil
}

// schedCPU is the process's CPU clock, which counts nanoseconds where stat counts hundredths of a second.
// The clock's id is made of the pid as clock_getcpuclockid(3) does it: (~pid << 3) | CPUCLOCK_SCHED.
func schedCPU(pid int) (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// SelfCPU is the CPU time of this process, user and system.
func SelfCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Kernel counts what the kernel lost or sent twice, for the whole machine: on loopback a wide fan-out overflows
// net.core.netdev_max_backlog, and the segments come again after TCP's 200 ms timer, which looks like a slow server.
type Kernel struct {
	BacklogDrops int64
	TCPResends   int64
}

// Sub is the difference of two readings.
func (k Kernel) Sub(before Kernel) Kernel {
	return Kernel{BacklogDrops: k.BacklogDrops - before.BacklogDrops, TCPResends: k.TCPResends - before.TCPResends}
}

// ReadKernel reads the counters; what can't be read stays zero.
func ReadKernel() Kernel {
	var k Kernel
	if table, err := os.ReadFile("/proc/net/softnet_stat"); err == nil {
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 1 {
				drops, _ := strconv.ParseInt(f[1], 16, 64) // second column, hexadecimal, one line per CPU
				k.BacklogDrops += drops
			}
		}
	}
	if table, err := os.ReadFile("/proc/net/snmp"); err == nil {
		k.TCPResends = snmpCounter(string(table), "Tcp:", "RetransSegs")
	}
	return k
}

// snmpCounter finds a counter in the pairs of name and value lines of /proc/net/snmp.
func snmpCounter(table, prefix, name string) int64 {
	var names []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != prefix {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, n := range names {
			if n == name && i < len(f) {
				v, _ := strconv.ParseInt(f[i], 10, 64)
				return v
			}
		}
	}
	return 0
}

// Machine describes where the run took place.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ReadMachine describes this machine.
func ReadMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// Local is true when ip is an address of this machine, so that its process can be looked for.
func Local(ip net.IP) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// PeakRSS is the most memory that pid has had resident so far, in bytes; zero when it can't be read.
func PeakRSS(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return kibOf(string(status), "VmHWM:")
}

// KernelMemory is what the machine's kernel holds for sockets and everything else.
type KernelMemory struct {
	Bytes      int64 // slab and TCP buffers
	TCPSockets int   // in use, of all processes
}

// ReadKernelMemory reads /proc; what can't be read stays zero.
func ReadKernelMemory() KernelMemory {
	var k KernelMemory
	if meminfo, err := os.ReadFile("/proc/meminfo"); err == nil {
		k.Bytes = kibOf(string(meminfo), "Slab:")
	}
	sockstat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return k
	}
	for line := range strings.Lines(string(sockstat)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(f); i += 2 {
			n, _ := strconv.ParseInt(f[i+1], 10, 64)
			switch f[i] {
			case "inuse":
				k.TCPSockets = int(n)
			case "mem":
				k.Bytes += n * int64(os.Getpagesize())
			}
		}
	}
	return k
}

// kibOf finds a figure in a table of lines such as "Slab: 1024 kB", in bytes.
func kibOf(table, name string) int64 {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n * 1024
		}
	}
	return 0
}
