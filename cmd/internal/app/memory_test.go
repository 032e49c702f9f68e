package app

import (
	"encoding/json"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/netpoll"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// idleBytesBudget is what one idle member of a room may cost on the heap, in bytes, on the server's side.
const idleBytesBudget = 4 << 10

// TestIdleMembersAreSmall measures live heap and stacks per authenticated, joined, idle member. Server and test share
// the process, so the test's own side of each connection (a bare descriptor) is counted too; what the kernel holds for
// a socket is not.
func TestIdleMembersAreSmall(t *testing.T) {
	members := 8000
	if testing.Short() {
		members = 2000
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Both ends of each connection are in this process, and netpoll keeps an eighth of the descriptors free.
	if most := int(limit.Cur)/2 - 600; members > most {
		t.Logf("the limit of %d descriptors allows %d members instead of %d", limit.Cur, most, members)
		members = most
	}
	s := start(t)
	warm := s.dial("/ws?guest=Warm")
	warm.join("hall", wire.JoinData{})
	base := liveBytes()
	fds := make([]int, members)
	t.Cleanup(func() {
		for _, fd := range fds {
			if fd > 0 {
				_ = syscall.Close(fd)
			}
		}
	})
	const dialers = 16
	var wg sync.WaitGroup
	faults := make(chan error, dialers)
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < members; i += dialers {
				var err error
				if fds[i], err = s.bareMember(i, 0); err != nil {
					faults <- fmt.Errorf("member %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-faults:
		t.Fatal(err)
	default:
	}
	reply := into[wire.PresenceReply](t, warm.do(wire.OpRoomPresence, "hall", nil))
	if reply.Count != members+1 {
		t.Fatalf("%d members in the room, want %d", reply.Count, members+1)
	}
	stats := s.net.Stats()
	per := (liveBytes() - base) / int64(members)
	t.Logf("%d idle members: %d bytes of heap and stacks each (budget %d); %d connections open",
		members, per, idleBytesBudget, stats.Open)
	if per > idleBytesBudget {
		t.Errorf("an idle member takes %d bytes, the budget is %d", per, idleBytesBudget)
	}
	if stats.Closed[netpoll.ReasonProtocol] > 0 {
		t.Errorf("closed: %v", stats.Closed)
	}
}

// liveBytes is what is in use after a full collection.
func liveBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// bareMember connects, upgrades and joins with nothing but system calls, so that the test's side costs no heap. It
// returns once the reply to the join is there; what comes later is left unread. receiveBytes bounds what the kernel
// takes for it (zero: as usual).
func (s *server) bareMember(i, receiveBytes int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil && receiveBytes > 0 {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBytes)
	}
	if err != nil {
		return fd, err
	}
	addr := &syscall.SockaddrInet4{Port: s.port(), Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Connect(fd, addr); err != nil {
		return fd, err
	}
	head := fmt.Sprintf("GET /ws?guest=m%d HTTP/1.1\r\nHost: x\r\n%s\r\n", i, plainHandshake)
	join := ws.AppendMaskedText(nil, []byte(`{"id":1,"op":"room:join","room":"hall","data":{}}`), 7)
	if _, err := syscall.Write(fd, append([]byte(head), join...)); err != nil {
		return fd, err
	}
	buf, have := make([]byte, 4096), ""
	for len(have) < 100_000 {
		n, err := syscall.Read(fd, buf)
		if err != nil || n == 0 {
			return fd, fmt.Errorf("read: %d bytes, %w: %.200q", n, err, have)
		}
		if have += string(buf[:n]); containsAll(have, "101 Switching", `"re":1,"ok":true`) {
			return fd, nil
		}
	}
	return fd, fmt.Errorf("no reply to the join: %.200q", have)
}

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func (s *server) port() int { return s.Addr().(*net.TCPAddr).Port }

// TestBurstGivesItsMemoryBack lets members fall behind by more than the kernel keeps for them, so that outboxes and the
// engine's buffers grow, and read on: afterwards nothing of it is left.
func TestBurstGivesItsMemoryBack(t *testing.T) {
	const (
		members, events, payloadBytes = 8, 300, 32 << 10
		peakBytes                     = 2 << 20   // what the burst must take, or it tests nothing
		leftBytes                     = 512 << 10 // less than what the collector's spans vary by
	)
	// On disk: the store in memory would keep the burst itself.
	s := start(t, onDisk(t.TempDir()), func(c *config.Config) { c.Conns.OutboxHardBytes = 64 << 20 })
	host := s.dial("/ws?guest=Host")
	host.join("hall", wire.JoinData{})
	payload := json.RawMessage(`"` + strings.Repeat("x", payloadBytes) + `"`)
	publish := func(event string, count int) {
		for range count {
			host.do(wire.OpRoomPublish, "hall", wire.PublishData{Event: event, Payload: payload})
		}
		host.queue, host.frames = nil, nil // the test's own memory of it
	}
	publish("before", events) // the room keeps some for those who come back
	fds := make([]int, members)
	for i := range fds {
		var err error
		if fds[i], err = s.bareMember(i, 8<<10); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(fds[i]) })
	}
	base := liveBytes()
	publish("burst", events)
	peak := liveBytes() - base
	if blocked := s.net.Stats().Blocked; peak < peakBytes || blocked != members {
		t.Errorf("the burst took %d bytes, and %d members were behind: it tests nothing", peak, blocked)
	}
	var wg sync.WaitGroup
	for _, fd := range fds {
		wg.Go(func() {
			if err := readEvents(fd, `"ev":"burst"`, events); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	until(t, "that nobody is behind any more", func() bool { return s.net.Stats().Blocked == 0 })
	left := liveBytes() - base
	t.Logf("the burst took %d bytes of heap; %d are left of it", peak, left)
	if left > leftBytes {
		t.Errorf("%d bytes are left of the burst, at most %d are allowed", left, leftBytes)
	}
}

// readEvents reads from a bare member until it has had so many events.
func readEvents(fd int, event string, count int) error {
	buf, tail, got := make([]byte, 64<<10), "", 0
	for got < count {
		n, err := syscall.Read(fd, buf)
		if err != nil || n == 0 {
			return fmt.Errorf("read: %d bytes, %w after %d events", n, err, got)
		}
		text := tail + string(buf[:n])
		got += strings.Count(text, event)
		tail = text[max(0, len(text)-len(event)+1):]
	}
	return nil
}
