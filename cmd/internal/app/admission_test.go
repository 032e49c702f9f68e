package app

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/netpoll"
	"lectern/protocol/wire"
)

// Above the rate a program is refused with 503 and Retry-After, and a page, which can't read that, gets a WebSocket
// that closes with 4102 and the advice in its reason; no two advices need be the same. HTTP goes on.
func TestLateUpgradesAreToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.Conns.AcceptRate = 2 })
	served, advice := 0, map[string]bool{}
	for range 40 {
		c := s.handshake("/ws?guest=g")
		if c.head.StatusCode == http.StatusSwitchingProtocols {
			served++
			continue
		}
		retry := c.head.Header.Get("Retry-After")
		seconds, err := strconv.Atoi(retry)
		if c.head.StatusCode != http.StatusServiceUnavailable || err != nil || seconds < 2 || seconds > 12 {
			t.Fatalf("a late upgrade got %s, Retry-After %q", c.head.Status, retry)
		}
		advice[retry] = true
	}
	if served == 0 || len(advice) < 3 {
		t.Errorf("%d were served, and the advice was one of %v", served, advice)
	}
	resp, err := http.Get(s.base + "/api/v1/config")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP gave %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	sawClose := false
	for range 20 {
		c := s.dial("/ws?guest=g", "Origin: "+s.base)
		if c.send(`{"id":1,"op":"time:sync","data":{"t0":1}}`); c.fill() && len(c.queue) > 0 && !c.closed {
			continue // one that came in time
		}
		for c.fill() { //nolint:revive // reads to the end
		}
		found := regexp.MustCompile(`retryAfterMs=(\d+)$`).FindStringSubmatch(c.reason)
		if c.code != uint16(wire.CloseOverloaded) || found == nil {
			t.Fatalf("a late page was closed with %d %q", c.code, c.reason)
		}
		sawClose = true
	}
	net, gw := s.net.Stats(), s.gateway.Stats()
	if !sawClose || net.Late == 0 || gw.TurnedAway == 0 || gw.Closes[wire.CloseOverloaded] == 0 {
		t.Errorf("late %d, turned away %d, closes %v", net.Late, gw.TurnedAway, gw.Closes)
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	const most = 3
	s := start(t, func(c *config.Config) { c.Conns.PerAddressMax = most })
	for range most {
		s.dial("/ws?guest=g").join("r", wire.JoinData{})
	}
	if _, err := s.raw().Read(make([]byte, 1)); err == nil {
		t.Error("an address had more connections than it may")
	}
	if got := s.net.Stats().RefusedBy[netpoll.RefusalAdmit]; got != 1 {
		t.Errorf("%d refusals are counted", got)
	}
}
