package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lectern/cmd/internal/app"
)

// machine is what the doctor sees of the system; a test gives it another one.
type machine struct {
	proc    string                                // where procfs is
	cgroups string                                // where the control groups are
	limits  func() (soft, hard uint64, err error) // of descriptors
	uring   func() error                          // makes an io_uring and ends it
	clock   func() (synchronised bool, err error)
}

// errNotHere is said where the system has no such thing.
var errNotHere = errors.New("this system has none")

func (m machine) descriptors(conns uint64) finding {
	soft, hard, err := m.limits()
	if err != nil {
		return look("check ulimit -n", "descriptors: %v", err)
	}
	want := conns + descriptorsKept
	if soft >= want {
		return fine("descriptors: this process may open %d, for %d connections", soft, conns)
	}
	advice := fmt.Sprintf("ulimit -n %d, or LimitNOFILE=%d in the systemd unit, or docker run --ulimit nofile=%d", want,
		want, want)
	if hard < want {
		advice += fmt.Sprintf("; the hard limit is %d, so root has to raise it", hard)
		if most, err := m.number("sys/fs/nr_open"); err == nil && most < want {
			advice = fmt.Sprintf("sysctl -w fs.nr_open=%d, then %s", want, advice)
		}
	}
	return look(advice, "descriptors: this process may open %d; %d connections need %d", soft, conns, want)
}

// descriptorsKept is what the server opens beside its connections: listeners, pollers, the store, net/http.
const descriptorsKept = 1024

// Memory that a node needs: what it takes empty, and per connection its own state (under 2 KiB, doubled by the garbage
// collector's room), the kernel's socket (about 5 KiB) and as much for what is on its way in a burst.
const (
	memoryBase    = 128 << 20
	memoryPerConn = 16 << 10
)

func (m machine) memory(conns uint64) finding {
	limit, source := m.memoryLimit()
	if limit == 0 {
		return fine("memory: the limit can't be read here")
	}
	want := memoryBase + conns*memoryPerConn
	if limit >= want {
		return fine("memory: %d MiB (%s), about %d MiB wanted for %d connections", limit>>20, source, want>>20, conns)
	}
	return look(fmt.Sprintf("MemoryMax=%dM in the systemd unit, docker run --memory %dm, or a smaller conns.max", want>>20,
		want>>20), "memory: %d MiB (%s), about %d MiB wanted for %d connections", limit>>20, source, want>>20, conns)
}

// memoryLimit is the least of what the machine has and what the control groups allow, in bytes.
func (m machine) memoryLimit() (least uint64, source string) {
	least, source = app.MachineMemory(m.proc), "the machine's"
	if group := app.GroupMemory(m.proc, m.cgroups); group != 0 && (least == 0 || group < least) {
		least, source = group, "the control group's"
	}
	return least, source
}

// network looks at the kernel's side of many connections.
func (m machine) network(conns uint64) []finding {
	queue := min(4096, max(128, conns))
	return []finding{
		m.sysctl("net.core.somaxconn", queue, "connections that wait to be accepted"),
		m.sysctl("net.ipv4.tcp_max_syn_backlog", queue, "connects under way"),
		m.sysctl("net.core.netdev_max_backlog", min(10_000, max(1000, conns)),
			"packets that wait for the kernel; beyond, they are dropped and sent again 200 ms later"),
		m.portRange(conns), m.socketMemory(conns), m.ioUring(), m.synchronised(),
	}
}

func (m machine) text(path string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(m.proc, path))
	return strings.TrimSpace(string(raw)), err
}

func (m machine) number(path string) (uint64, error) {
	text, err := m.text(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// numbers reads a line of numbers; fewer than n is an error.
func (m machine) numbers(path string, n int) ([]uint64, error) {
	text, err := m.text(path)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for word := range strings.FieldsSeq(text) {
		v, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if len(all) < n {
		return nil, fmt.Errorf("%d numbers, not %d", len(all), n)
	}
	return all, nil
}

func (m machine) sysctl(name string, want uint64, about string) finding {
	have, err := m.number("sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return fine("%s: can't be read here", name)
	}
	what := fmt.Sprintf("%s: %d, at least %d wanted (%s)", name, have, want, about)
	if have >= want {
		return fine("%s", what)
	}
	return look(fmt.Sprintf("sysctl -w %s=%d", name, want), "%s", what)
}

// portRange matters to what connects: a proxy on this machine, or the load generator. One address pair has a port per
// connection.
func (m machine) portRange(conns uint64) finding {
	const name = "net.ipv4.ip_local_port_range"
	r, err := m.numbers("sys/net/ipv4/ip_local_port_range", 2)
	if err != nil || r[1] < r[0] {
		return fine("%s: can't be read here", name)
	}
	ports := r[1] - r[0] + 1
	const most = 64_512 // 1024 to 65535
	what := fmt.Sprintf("%s: %d ports, so a proxy here can hold as many connections to one address of the server", name,
		ports)
	if ports >= min(conns, most) {
		return fine("%s", what)
	}
	advice := fmt.Sprintf(`sysctl -w %s="1024 65535"`, name)
	if conns > most {
		advice += ", and give the proxy several addresses of the server (127.0.0.1, 127.0.0.2, ...)"
	}
	return look(advice, "%s", what)
}

// socketMemory compares what every socket may keep for itself under pressure with what TCP may take altogether.
func (m machine) socketMemory(conns uint64) finding {
	read, err1 := m.numbers("sys/net/ipv4/tcp_rmem", 3)
	write, err2 := m.numbers("sys/net/ipv4/tcp_wmem", 3)
	pages, err3 := m.numbers("sys/net/ipv4/tcp_mem", 3)
	if errors.Join(err1, err2, err3) != nil {
		return fine("net.ipv4.tcp_mem: can't be read here")
	}
	page := uint64(os.Getpagesize())
	each, all := read[0]+write[0], pages[2]*page
	what := fmt.Sprintf("net.ipv4.tcp_rmem and tcp_wmem: %d bytes a connection at least, %d MiB for %d; tcp_mem allows "+
		"%d MiB", each, each*conns>>20, conns, all>>20)
	if each*conns <= all {
		return fine("%s", what)
	}
	if each > 2*socketMinimum {
		advice := fmt.Sprintf(`sysctl -w net.ipv4.tcp_rmem="%d %d %d" net.ipv4.tcp_wmem="%d %d %d"`,
			socketMinimum, read[1], read[2], socketMinimum, write[1], write[2])
		return look(advice, "%s", what)
	}
	want := each*conns/page + 1
	return look(fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, want/2, want*3/4, want), "%s", what)
}

// socketMinimum is the kernel's own default for the first number of tcp_rmem and tcp_wmem, in bytes.
const socketMinimum = 4096

func (m machine) ioUring() finding {
	err := m.uring()
	switch {
	case err == nil:
		return fine("io_uring: allowed; wide fan-outs cost less with it")
	case errors.Is(err, errNotHere):
		return fine("io_uring: this system has none; fan-outs use writes")
	}
	what := fmt.Sprintf("io_uring: not allowed (%v); fan-outs use writes, which work and cost more", err)
	if off, readErr := m.number("sys/kernel/io_uring_disabled"); readErr == nil && off > 0 {
		return look("sysctl -w kernel.io_uring_disabled=0", "%s", what)
	}
	return look("allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile", "%s",
		what)
}

func (m machine) synchronised() finding {
	ok, err := m.clock()
	switch {
	case err != nil:
		return fine("clock: can't be asked here (%v)", err)
	case !ok:
		return look("timedatectl set-ntp true, or install chrony",
			"clock: not synchronised; tokens and the times in results depend on it")
	}
	return fine("clock: synchronised")
}
