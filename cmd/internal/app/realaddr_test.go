package app

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
)

// behind is a server that trusts proxies on this machine and lets each client have two connections.
func behind(c *config.Config) {
	c.TrustedProxies = []string{"127.0.0.0/8"}
	c.Conns.PerAddressMax = 2
	c.Joins.Wrong = 1
}

func forwardedFor(clients string) string { return "X-Forwarded-For: " + clients }

func TestClientsBehindAProxyAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	s := start(t, behind)
	first := s.dial("/ws?guest=A", forwardedFor("203.0.113.1"))
	s.dial("/ws?guest=A", forwardedFor("203.0.113.1"))
	// What the client itself wrote stands further left and changes nothing.
	third := s.handshake("/ws?guest=A", forwardedFor("198.51.100.1, 203.0.113.1"))
	if third.head.StatusCode != http.StatusServiceUnavailable || third.head.Header.Get("Retry-After") == "" {
		t.Fatalf("a third connection of one client: %s", third.head.Status)
	}
	s.handshake("/ws?guest=A", forwardedFor("203.0.113.1"), "Origin: "+s.base).goneWith(wire.CloseOverloaded)
	s.dial("/ws?guest=B", forwardedFor("203.0.113.2"))
	s.dial("/ws?guest=B", "X-Forwarded-For: 198.51.100.9", forwardedFor("2001:db8::7"))
	_ = first.Close()
	s.eventually("the place of a connection that has ended is free", func() bool {
		return s.handshake("/ws?guest=A", forwardedFor("203.0.113.1")).head.StatusCode == http.StatusSwitchingProtocols
	})
	if n := s.gateway.Stats().ClientsRefused; n < 2 {
		t.Errorf("%d refusals are counted", n)
	}
}

// eventually tries until it holds.
func (s *server) eventually(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			s.t.Fatalf("not in %v: %s", patience, what)
		case <-again.C:
		}
	}
}

// Without trusted proxies, or from somebody else, the header counts for nothing.
func TestForwardedHeadersOfStrangersAreIgnored(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Config){
		"nobody is trusted": func(c *config.Config) { behind(c); c.TrustedProxies = nil },
		"somebody else is":  func(c *config.Config) { behind(c); c.TrustedProxies = []string{"10.0.0.0/8", "::1"} },
	} {
		s := start(t, change)
		for i := range 2 {
			s.dial("/ws?guest=A", forwardedFor(fmt.Sprintf("203.0.113.%d", i)))
		}
		c := s.raw()
		_, _ = fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: x\r\n%s%s\r\n\r\n", plainHandshake, forwardedFor("203.0.113.77"))
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%s: the limit per address is lifted by a header", name)
		}
	}
}

// pinStatus asks for a PIN that does not exist, over a connection of its own.
func (s *server) pinStatus(before string, headers ...string) int {
	s.t.Helper()
	c := s.raw()
	defer func() { _ = c.Close() }()
	head := strings.Join(append(headers, ""), "\r\n")
	_, err := fmt.Fprintf(c, "%sGET /api/v1/pins/000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", before, head)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = r.Body.Close()
	return r.StatusCode
}

func (s *server) wantPinStatus(want int, before string, headers ...string) {
	s.t.Helper()
	if got := s.pinStatus(before, headers...); got != want {
		s.t.Errorf("%q %q: status %d, want %d", before, headers, got, want)
	}
}

// The HTTP side has the same address: two wrong PINs of one client don't lock out another one.
func TestLimitsOfTheApiAreThoseOfTheClient(t *testing.T) {
	t.Parallel()
	s := start(t, behind)
	s.wantPinStatus(http.StatusNotFound, "", forwardedFor("203.0.113.1"))
	s.wantPinStatus(http.StatusTooManyRequests, "", forwardedFor("203.0.113.1"))
	s.wantPinStatus(http.StatusTooManyRequests, "", forwardedFor("198.51.100.5, 203.0.113.1"))
	s.wantPinStatus(http.StatusNotFound, "", forwardedFor("203.0.113.2"))

	strict := start(t, func(c *config.Config) {
		behind(c)
		c.TrustedProxies = []string{"10.0.0.0/8"}
		c.Conns.PerAddressMax = 0
	})
	strict.wantPinStatus(http.StatusNotFound, "", forwardedFor("203.0.113.1"))
	strict.wantPinStatus(http.StatusTooManyRequests, "", forwardedFor("203.0.113.2"))
}

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	s := start(t, behind, func(c *config.Config) { c.ProxyProtocol = true })
	v1 := func(client string) string { return "PROXY TCP4 " + client + " 192.0.2.9 1234 80\r\n" }
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x05\xc0\x00\x02\x09\x12\x34\x00\x50" // 203.0.113.5

	s.wantPinStatus(http.StatusNotFound, v1("203.0.113.1"))
	s.wantPinStatus(http.StatusTooManyRequests, v1("203.0.113.1"))
	s.wantPinStatus(http.StatusTooManyRequests, v1("203.0.113.1"), forwardedFor("203.0.113.2")) // the client's own header
	s.wantPinStatus(http.StatusNotFound, v2)
	s.wantPinStatus(http.StatusTooManyRequests, v1("203.0.113.5"))
	s.wantPinStatus(0, "") // a proxy that sends no header is set up wrongly
	s.wantPinStatus(0, "PROXY TCP4 nonsense\r\n")
	if n := s.gateway.Stats().BadProxyHeaders; n != 2 {
		t.Errorf("%d wrong headers are counted, want 2", n)
	}
	s.wantPinStatus(http.StatusNotFound, "PROXY UNKNOWN\r\n")

	// A WebSocket, with the header in pieces.
	open := func(header string) int {
		c := s.raw()
		request := "GET /ws?guest=A HTTP/1.1\r\nHost: x\r\n"
		for _, part := range []string{header[:3], header[3:], request, plainHandshake, "\r\n"} {
			if _, err := io.WriteString(c, part); err != nil {
				t.Fatal(err)
			}
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	for i, want := range []int{101, 101, 503} {
		if got := open(v1("203.0.113.8")); got != want {
			t.Errorf("connection %d of a client: %d, want %d", i+1, got, want)
		}
	}
	if got := open(v2); got != 101 {
		t.Errorf("another client: %d", got)
	}
}

// Somebody who is not trusted can't speak the PROXY protocol.
func TestProxyHeaderOfAStranger(t *testing.T) {
	t.Parallel()
	s := start(t, behind, func(c *config.Config) { c.ProxyProtocol = true; c.TrustedProxies = []string{"10.0.0.1"} })
	s.wantPinStatus(http.StatusNotFound, "")
	s.wantPinStatus(http.StatusBadRequest, "PROXY TCP4 203.0.113.1 192.0.2.9 1234 80\r\n")
}

// TestUpgradeOnAUsedConnection: a proxy that reuses its connections for upgrades is told why that can't work.
func TestUpgradeOnAUsedConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.raw()
	br := bufio.NewReader(c)
	for _, step := range []struct {
		request string
		want    int
	}{
		{"GET /api/v1/config HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK},
		{"GET /ws HTTP/1.1\r\nHost: x\r\n" + plainHandshake + "\r\n", http.StatusMisdirectedRequest},
	} {
		if _, err := io.WriteString(c, step.request); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != step.want || step.want != http.StatusOK && !strings.Contains(string(body), "reuse") {
			t.Errorf("%q: %s %s", step.request, r.Status, body)
		}
	}
}
