package client

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// recorder notes an engine's callbacks as text.
type recorder struct{ log []string }

func (r *recorder) Opened(*Conn, int64) { r.log = append(r.log, "opened") }
func (r *recorder) Message(_ *Conn, p []byte, _ int64) {
	r.log = append(r.log, fmt.Sprintf("message %q", p))
}
func (r *recorder) Closed(_ *Conn, end End)   { r.log = append(r.log, "closed "+end.Name) }
func (r *recorder) Timer(*Conn, uint8, int64) {}
func (r *recorder) TurnEnded(int64)           {}

// feedSplit feeds a connection that waits for its handshake's answer, in pieces of random sizes; what it writes goes
// nowhere.
func feedSplit(t testing.TB, stream []byte, seed uint64) []string {
	t.Helper()
	rec := &recorder{}
	e, err := NewEngine(Config{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Host: "x"}, rec)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(e.epfd), unix.Close(e.wakefd) }()
	e.accept = "accepted"
	fd, err := unix.Open("/dev/null", unix.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{engine: e, fd: int32(fd), state: stateUpgrading}
	e.slots = append(e.slots, c)
	rng := rand.New(rand.NewPCG(seed, 1))
	for len(stream) > 0 && c.state != stateClosed {
		n := len(stream)
		if seed != 0 {
			n = min(1+rng.IntN(9), n)
		}
		piece := bytes.Clone(stream[:n])
		c.feed(piece, 0)
		clear(piece) // borrowed bytes must not be kept
		stream = stream[n:]
	}
	if c.state != stateClosed {
		c.Abort()
	}
	return rec.log
}

func serverFrame(first byte, payload string) string {
	if len(payload) < 126 {
		return string([]byte{first, byte(len(payload))}) + payload
	}
	return string([]byte{first, 126, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nSEC-WebSocket-Accept:  accepted \r\n\r\n"

func TestFramesAreReadHoweverTheyAreCut(t *testing.T) {
	long := strings.Repeat("long", 100)
	for name, c := range map[string]struct {
		stream string
		want   []string
	}{
		"messages": {
			upgraded + serverFrame(0x81, "one") + serverFrame(0x89, "ping") + serverFrame(0x81, long) + serverFrame(0x8a, ""),
			[]string{"opened", `message "one"`, fmt.Sprintf("message %q", long), "closed local"},
		},
		"fragments around a ping": {
			upgraded + serverFrame(0x01, "a") + serverFrame(0x89, "") + serverFrame(0x00, "b") + serverFrame(0x80, "c") +
				serverFrame(0x82, "d"),
			[]string{"opened", `message "abc"`, `message "d"`, "closed local"},
		},
		"close":          {upgraded + serverFrame(0x88, "\x10\xccslow"), []string{"opened", "closed closed_4300"}},
		"close, no code": {upgraded + serverFrame(0x88, ""), []string{"opened", "closed closed_1005"}},
		"interleaved":    {upgraded + serverFrame(0x01, "a") + serverFrame(0x81, "b"), []string{"opened", "closed protocol"}},
		"continuation":   {upgraded + serverFrame(0x80, "a"), []string{"opened", "closed protocol"}},
		"masked":         {upgraded + "\x81\x81aaaab", []string{"opened", "closed protocol"}},
		"reserved bit":   {upgraded + serverFrame(0xc1, "a"), []string{"opened", "closed protocol"}},
		"too long":       {upgraded + "\x81\x7f\x00\x00\x00\x00\xff\xff\xff\xff", []string{"opened", "closed protocol"}},
		"long ping":      {upgraded + "\x89\x7e\x00\x80", []string{"opened", "closed protocol"}},
		"refused":        {"HTTP/1.1 429 Too Many Requests\r\n\r\n", []string{"closed handshake_429"}},
		"wrong accept":   {"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: x\r\n\r\n", []string{"closed handshake"}},
		"no HTTP":        {"SSH-2.0-x\r\n\r\n", []string{"closed handshake"}},
	} {
		for seed := range uint64(50) {
			if got := feedSplit(t, []byte(c.stream), seed); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Fatalf("%s, seed %d: %q, want %q", name, seed, got, c.want)
			}
		}
	}
}

// FuzzFrames: however a stream is cut, the same things happen.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(serverFrame(0x81, "one")+serverFrame(0x88, "\x10\xcc")), uint64(3))
	f.Add([]byte(serverFrame(0x01, "a")+serverFrame(0x80, "c")), uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		stream = append([]byte(upgraded), stream...)
		whole, cut := feedSplit(t, stream, 0), feedSplit(t, stream, seed|1)
		if fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Fatalf("whole %q, cut %q", whole, cut)
		}
	})
}

func TestMaskingIsItsOwnInverse(t *testing.T) {
	for n := range 300 {
		payload := bytes.Repeat([]byte{'a', 'b', 'c'}, 100)[:n]
		frame := appendMasked(nil, opText, payload, 0x01020304)
		head := 6
		if n >= 126 {
			head = 8
		}
		body := bytes.Clone(frame[head:])
		for i := range body { // RFC 6455 section 5.3, octet by octet
			body[i] ^= frame[head-4+i%4]
		}
		if !bytes.Equal(body, payload) {
			t.Fatalf("%d bytes: %q", n, body)
		}
	}
}

func TestCheckDescriptors(t *testing.T) {
	if err := CheckDescriptors(10); err != nil {
		t.Fatal(err)
	}
	if err := CheckDescriptors(1 << 40); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Fatal(err)
	}
}
