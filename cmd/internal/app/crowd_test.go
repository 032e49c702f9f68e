package app

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/protocol/wire"
	"lectern/protocol/ws"

	"lectern/cmd/internal/config"
)

// spectator is a member that only reads, as cheap as it can be: it looks for payloads such as "#17#".
type spectator struct {
	net.Conn
	br *bufio.Reader
}

// connect upgrades one connection; the status is 503 when it was sent away.
func connect(s *server, name string, receiveBytes int) (*spectator, int, error) {
	d := net.Dialer{Timeout: patience}
	if receiveBytes > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBytes)
			})
		}
	}
	nc, err := d.Dial("tcp", s.Addr().String())
	if err != nil {
		return nil, 0, err
	}
	c := &spectator{Conn: nc, br: bufio.NewReaderSize(nc, 512)}
	_ = c.SetDeadline(time.Now().Add(4 * patience))
	target, headers := s.door(name)
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n", target, plainHandshake, headerLines(headers))
	if err != nil {
		return c, 0, err
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return c, 0, err
	}
	return c, resp.StatusCode, nil
}

// enter joins a room and waits for the reply.
func (c *spectator) enter(id int, room string) error {
	text := fmt.Sprintf(`{"id":%d,"op":"room:join","room":%q,"data":{}}`, id, room)
	if _, err := c.Write(ws.AppendMaskedText(nil, []byte(text), 7)); err != nil {
		return err
	}
	for want := fmt.Sprintf(`"re":%d,`, id); ; {
		part, err := c.br.ReadSlice('}')
		if strings.Contains(string(part), want) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// hall is a room full of spectators whose latencies are measured.
type hall struct {
	s       *server
	host    *conn
	room    string
	members []*spectator

	got  atomic.Int64
	lost atomic.Int64
	all  chan struct{} // one value when everybody has the last message
	at   atomic.Int64  // when it was sent, Unix nanoseconds

	mu   sync.Mutex
	took []time.Duration // Guarded by mu: of the messages since the last look
}

// newHall fills a room with n spectators.
func newHall(t *testing.T, s *server, room string, n int) *hall {
	t.Helper()
	h := &hall{s: s, room: room, all: make(chan struct{}, 1)}
	target, headers := s.door("Host")
	h.host = s.dial(target, headers...)
	h.host.join(room, wire.JoinData{}) // first, for whoever opens a room may publish in it
	h.members = s.spectators(t, n, 0, room)
	for _, c := range h.members {
		go h.watch(c)
	}
	_ = h.host.SetDeadline(time.Now().Add(4 * patience))
	return h
}

// spectators connects n members to the rooms; those with receiveBytes take little unless they read.
func (s *server) spectators(t *testing.T, n, receiveBytes int, rooms ...string) []*spectator {
	t.Helper()
	members := make([]*spectator, n)
	faults := make(chan error, n)
	places := make(chan int)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := range places {
				c, status, err := connect(s, "g"+strconv.Itoa(i), receiveBytes)
				for k := 0; k < len(rooms) && err == nil && status == http.StatusSwitchingProtocols; k++ {
					err = c.enter(k+1, rooms[k])
				}
				if err != nil || status != http.StatusSwitchingProtocols {
					faults <- fmt.Errorf("member %d: status %d, %w", i, status, err)
				}
				members[i] = c
			}
		})
	}
	for i := range n {
		places <- i
	}
	close(places)
	workers.Wait()
	t.Cleanup(func() {
		for _, c := range members {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	select {
	case err := <-faults:
		t.Fatal(err)
	default:
	}
	return members
}

var anyPong = ws.AppendMasked(nil, ws.OpPong, true, false, nil, 7)

// watch notes when each message arrives.
func (h *hall) watch(c *spectator) {
	inside := false
	for {
		_, err := c.br.ReadSlice('#')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			h.lost.Add(1)
			return
		}
		if inside = !inside; inside {
			continue
		}
		if h.s.talkative {
			_, _ = c.Write(anyPong)
		}
		took := time.Duration(time.Now().UnixNano() - h.at.Load())
		h.mu.Lock()
		h.took = append(h.took, took)
		h.mu.Unlock()
		if h.got.Add(1) == int64(len(h.members)) {
			h.all <- struct{}{}
		}
	}
}

// say publishes one message to the hall and waits until everybody has it.
func (h *hall) say(t *testing.T, n int) {
	t.Helper()
	h.got.Store(0)
	h.at.Store(time.Now().UnixNano())
	h.host.do(wire.OpRoomPublish, h.room, publish("e", fmt.Sprintf("#%d#", n)))
	receive(t, h.all, "message for everybody")
	h.host.queue = h.host.queue[:0]
}

// p99 is of the messages since the last call.
func (h *hall) p99() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.took)
	v := h.took[len(h.took)*99/100]
	h.took = h.took[:0]
	return v
}

// descriptorsFor skips the test when both ends of that many connections don't fit into this process.
func descriptorsFor(t *testing.T, conns int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(2*conns+600) {
		t.Skipf("%d connections need %d descriptors, the limit is %d", conns, 2*conns+600, limit.Cur)
	}
}

// One member in a hundred stops reading, in a room with many others: the others get everything as fast as before, and
// the stalled ones cost a bounded number of bytes and are closed as slow consumers (4300).
func TestStalledMembersDontDelayOthers(t *testing.T) {
	for _, size := range []struct{ members, stalled int }{{4000, 40}, {9300, 93}} {
		t.Run(fmt.Sprintf("%d-%d", size.members, size.stalled), func(t *testing.T) {
			if size.members > 5000 && testing.Short() {
				t.Skip("the large room is left out with -short")
			}
			descriptorsFor(t, size.members+size.stalled)
			stalledMembers(t, size.members, size.stalled)
		})
	}
}

func stalledMembers(t *testing.T, members, stalled int) {
	const hard, rounds = 64 << 10, 15
	s := start(t, func(c *config.Config) { c.Conns.OutboxHighBytes, c.Conns.OutboxHardBytes = 16<<10, hard })
	h := newHall(t, s, "hall", members)
	flood := s.dial("/ws?guest=Flood")
	s.spectators(t, stalled, 4096, "hall", "flood") // nobody reads for them from here on
	flood.join("flood", wire.JoinData{})
	_ = flood.SetDeadline(time.Now().Add(4 * patience))
	for n := range rounds {
		h.say(t, n)
	}
	before := h.p99()
	payload := strings.Repeat("x", 2<<10)
	most, blocked, sent := 0, 0, 0
	n := rounds
	look := func() {
		st := s.net.Stats()
		most, blocked = max(most, st.Waiting), max(blocked, st.Blocked)
	}
	for s.net.Stats().Closed[netpoll.ReasonSlowConsumer] < uint64(stalled) {
		flood.do(wire.OpRoomPublish, "flood", publish("e", payload))
		sent++
		look()
		if sent > 3000 {
			t.Fatalf("the stalled members are never closed: %+v", s.net.Stats())
		}
		if sent%10 == 0 {
			h.say(t, n)
			n++
			look()
		}
	}
	for range rounds {
		h.say(t, n)
		n++
	}
	during := h.p99()
	t.Logf("%d members: p99 %v before, %v with up to %d of %d stalled ones blocked, which held %d KiB at most",
		members, before, during, blocked, stalled, most>>10)
	if lost := h.lost.Load(); lost > 0 {
		t.Errorf("%d members that read were closed", lost)
	}
	if during > 3*before+150*time.Millisecond {
		t.Errorf("p99 is %v with stalled members, %v without", during, before)
	}
	if limit := stalled * (2*hard + 64<<10); most > limit {
		t.Errorf("the stalled members held %d bytes, the limit is %d", most, limit)
	}
	if blocked == 0 || most == 0 {
		t.Error("nobody was ever blocked: the test shows nothing")
	}
	if got := s.net.Stats().Closed[netpoll.ReasonSlowConsumer]; got != uint64(stalled) {
		t.Errorf("%d connections were closed as slow consumers, want %d", got, stalled)
	}
}

// Thousands connect while a room hears messages: its members lose nothing and hardly wait.
func TestStormOfConnects(t *testing.T) {
	const members, storm = 2000, 5000
	if testing.Short() {
		t.Skip("a storm is left out with -short")
	}
	descriptorsFor(t, members+storm)
	s := start(t)
	h := newHall(t, s, "hall", members)
	for n := range 20 {
		h.say(t, n)
	}
	before := h.p99()
	stormed := make(chan struct{})
	var in, away atomic.Int64
	begin := time.Now()
	go func() {
		defer close(stormed)
		var workers sync.WaitGroup
		for w := range 64 {
			workers.Go(func() {
				for i := w; i < storm; i += 64 {
					c, status, err := connect(s, "storm", 0)
					if c != nil {
						defer c.Close() //nolint:errcheck // a client of a test
					}
					switch {
					case err == nil && status == http.StatusSwitchingProtocols:
						in.Add(1)
					case err == nil && status == http.StatusServiceUnavailable:
						away.Add(1)
					}
				}
			})
		}
		workers.Wait()
	}()
	n := 20
	for over := false; !over; n++ {
		h.say(t, n)
		select {
		case <-stormed:
			over = true
		default:
		}
	}
	took := time.Since(begin)
	during := h.p99()
	t.Logf("%d members: p99 %v before, %v while %d others connected in %v (%d sent away), %d messages meanwhile",
		members, before, during, in.Load(), took, away.Load(), n-20)
	if got := in.Load() + away.Load(); got != storm {
		t.Errorf("%d of %d were served or told when to come back", got, storm)
	}
	if lost := h.lost.Load(); lost > 0 {
		t.Errorf("%d members were closed", lost)
	}
	if during > 5*before+500*time.Millisecond {
		t.Errorf("p99 is %v during the storm, %v before", during, before)
	}
}
