package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lectern/protocol/ws"
)

// What an idle, authenticated member of a room may cost the server: live heap and stacks after a collection, and
// resident memory, both over what the first members have cost. docs/ARCHITECTURE.md has the table of its parts.
const (
	idleHeapBudget = 1600
	idleRSSBudget  = 3 << 10 // with the collector's room; `lectern bench idle` measures it on a quiet machine
)

// The server runs in a process of its own, so both sides have descriptors for 15,000 real sockets.
func TestIdleMembersFitTheirBudget(t *testing.T) {
	members, first := 15_000, 1000
	if testing.Short() || raced {
		t.Skip("holds 15,000 sockets; a smaller one runs in cmd/internal/app")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Cur)*7/8 - 200; members > most {
		t.Logf("the limit of %d descriptors allows %d members instead of %d", limit.Cur, most, members)
		members = most
	}
	s := serveProgram(t, "--dev", "--store", "memory")
	h := &hall{t: t, s: s, fds: make([]int, members)}
	t.Cleanup(h.leave)
	h.enter(0, first)
	heap, rss := h.memory()
	h.enter(first, members)
	heapThen, rssThen := h.memory()
	n := members - first
	perHeap, perRSS := (heapThen-heap)/n, (rssThen-rss)/n
	t.Logf("%d idle members: %d bytes of heap and stacks each (budget %d), %d bytes resident (budget %d)", members,
		perHeap, idleHeapBudget, perRSS, idleRSSBudget)
	if perHeap > idleHeapBudget || perRSS > idleRSSBudget {
		t.Error("an idle member is over its budget")
	}
	if keep := os.Getenv("TEST_HEAP_PROFILE"); keep != "" {
		_, profile := call(t, "GET", h.admin()+"/debug/pprof/heap?gc=1", "", nil)
		if err := os.WriteFile(keep, profile, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// hall is one room full of members that are bare descriptors.
type hall struct {
	t   *testing.T
	s   *served
	fds []int
}

func (h *hall) leave() {
	for _, fd := range h.fds {
		if fd > 0 {
			_ = syscall.Close(fd)
		}
	}
}

func (h *hall) admin() string {
	_, rest, _ := strings.Cut(h.s.text, "admin ")
	return strings.TrimSuffix(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), "/")
}

var (
	heapInUse  = regexp.MustCompile(`(?m)^go_memstats_heap_inuse_bytes (\S+)$`)
	stackInUse = regexp.MustCompile(`(?m)^go_memstats_stack_inuse_bytes (\S+)$`)
	residentKB = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)
)

// memory is what the server uses after a full collection, in bytes.
func (h *hall) memory() (heap, rss int) {
	h.t.Helper()
	for range 2 {
		if status, _ := call(h.t, "GET", h.admin()+"/debug/pprof/heap?gc=1", "", nil); status != http.StatusOK {
			h.t.Fatal(status)
		}
	}
	_, metrics := call(h.t, "GET", h.admin()+"/metrics", "", nil)
	for _, of := range []*regexp.Regexp{heapInUse, stackInUse} {
		m := of.FindSubmatch(metrics)
		if m == nil {
			h.t.Fatalf("no %s", of)
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			h.t.Fatal(err)
		}
		heap += int(v)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.s.cmd.Process.Pid))
	if err != nil {
		h.t.Skip("there is no procfs: ", err)
	}
	kb, _ := strconv.Atoi(string(residentKB.FindSubmatch(status)[1]))
	return heap, kb << 10
}

// enter makes members from, to of the room.
func (h *hall) enter(from, to int) {
	h.t.Helper()
	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(h.s.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	const dialers = 16
	var wg sync.WaitGroup
	faults := make(chan error, dialers)
	for d := range dialers {
		wg.Go(func() {
			for i := from + d; i < to; i += dialers {
				var err error
				if h.fds[i], err = bareMember(address, i); err != nil {
					faults <- fmt.Errorf("member %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-faults:
		h.t.Fatal(err)
	default:
	}
}

// bareMember connects and joins with system calls alone. It returns when the reply to the join is there.
func bareMember(address *net.TCPAddr, i int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})
	if err != nil {
		return fd, err
	}
	say := fmt.Appendf(nil, "GET /ws?guest=m%d HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", i)
	say = ws.AppendMaskedText(say, []byte(`{"id":1,"op":"room:join","room":"hall","data":{}}`), 7)
	if _, err := syscall.Write(fd, say); err != nil {
		return fd, err
	}
	var have []byte
	buf := make([]byte, 4096)
	for len(have) < 100_000 {
		n, err := syscall.Read(fd, buf)
		if err != nil || n == 0 {
			return fd, fmt.Errorf("read: %d bytes, %w: %.200q", n, err, have)
		}
		if have = append(have, buf[:n]...); bytes.Contains(have, []byte(`"re":1,"ok":true`)) {
			return fd, nil
		}
	}
	return fd, fmt.Errorf("no reply to the join: %.200q", have)
}
