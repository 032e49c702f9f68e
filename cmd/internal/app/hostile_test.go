package app

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/netpoll"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// attack is something that a hostile peer does, over and over, until it is told to stop.
type attack struct {
	name    string
	workers int
	change  func(c *config.Config)
	// once does it once; it returns when the server has put an end to it, or when nothing more is to be done.
	once func(s *server, worker int, stop <-chan struct{})
	// counted is how often the server says that it has put an end to it: what its metric shows.
	counted func(s *server) int64
	least   int64         // how often that must have happened for the test to show something
	every   time.Duration // how often an attacker starts; zero: attackEvery
}

func closedFor(r netpoll.Reason) func(s *server) int64 {
	return func(s *server) int64 { return int64(s.net.Stats().Closed[r]) }
}

func hit(limit string) func(s *server) int64 {
	return func(s *server) int64 { return s.gateway.Stats().Limits[limit] }
}

var attacks = []attack{
	{
		name: "slowloris", workers: 60, least: 60,
		change: func(c *config.Config) { c.Conns.HandshakeTimeout = 400 * time.Millisecond },
		once: func(s *server, _ int, stop <-chan struct{}) {
			if c := dialHostile(s, ""); c != nil {
				c.drip([]byte("GET /ws?guest=slow HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 4000)), stop)
			}
		},
		counted: closedFor(netpoll.ReasonHandshakeTimeout),
	},
	{
		name: "frames byte by byte", workers: 60, least: 60,
		change: func(c *config.Config) { c.Messages.Timeout = 400 * time.Millisecond },
		once: func(s *server, worker int, stop <-chan struct{}) {
			c := dialHostile(s, "/ws?guest=drip")
			if c == nil {
				return
			}
			long := strings.Repeat("x", 10_000)
			if worker%2 == 0 {
				c.drip(ws.AppendMaskedText(nil, []byte(long), 7), stop)
				return
			}
			var parts []byte // fragments without an end, pings in between
			for op := ws.OpText; len(parts) < 20_000; op = ws.OpContinuation {
				parts = ws.AppendMasked(parts, op, false, false, []byte("x"), 7)
				if len(parts)%700 < 7 {
					parts = ws.AppendMasked(parts, ws.OpPing, true, false, nil, 7)
				}
			}
			c.drip(parts, stop)
		},
		counted: hit("message_time"),
	},
	{
		name: "a flood of pings", workers: 20, least: 20,
		once: func(s *server, _ int, stop <-chan struct{}) {
			if c := dialHostile(s, "/ws?guest=ping"); c != nil {
				c.flood(bytes.Repeat(ws.AppendMasked(nil, ws.OpPing, true, false, []byte("ping"), 7), 2000), stop)
			}
		},
		counted: hit("pings"),
	},
	{
		name: "messages of 16 MiB", workers: 10, least: 20,
		once: func(s *server, worker int, stop <-chan struct{}) {
			c := dialHostile(s, "/ws?guest=big")
			if c == nil {
				return
			}
			if worker%2 == 0 {
				c.flood(announced, stop)
			} else if _, err := c.Write(firstPart); err == nil {
				c.flood(furtherPart, stop)
			}
		},
		counted: hit("message_bytes"),
	},
	{
		name: "deflate bombs", workers: 4, least: 20, every: 50 * time.Millisecond * slowness,
		once: func(s *server, _ int, stop <-chan struct{}) {
			if c := dialHostile(s, "/ws?guest=bomb", deflateOffer); c != nil {
				c.flood(ws.AppendMasked(nil, ws.OpText, true, true, bomb, 7), stop)
			}
		},
		counted: hit("inflated_bytes"),
	},
	{
		name: "sockets of which the peer is gone", workers: 60, least: 60,
		change: func(c *config.Config) { c.Conns.PingEvery = 1500 * time.Millisecond },
		once: func(s *server, _ int, stop <-chan struct{}) {
			if c := dialHostile(s, "/ws?guest=gone"); c != nil { // answers nothing from here on, not even pings
				c.untilClosed(stop)
			}
		},
		counted: closedFor(netpoll.ReasonIdle),
	},
	{
		name: "hundreds of connections of one user", workers: 140, least: 40,
		once: func(s *server, _ int, stop <-chan struct{}) {
			if c := dialHostile(s, "/ws", s.mallory); c != nil {
				c.untilClosed(stop)
			}
		},
		counted: hit("user_connections"),
	},
}

var (
	bomb        = ws.AppendDeflated(nil, make([]byte, 16<<20))
	announced   = ws.AppendMasked(nil, ws.OpText, true, false, make([]byte, 16<<20), 7)[:256<<10]
	firstPart   = ws.AppendMasked(nil, ws.OpText, false, false, bytes.Repeat([]byte("x"), 60_000), 7)
	furtherPart = ws.AppendMasked(nil, ws.OpContinuation, false, false, bytes.Repeat([]byte("x"), 60_000), 7)
)

// Each attack runs beside a room with members. It must be refused and counted, and the members must lose nothing and
// hardly wait: their p99 with and without it is printed.
func TestAttacksBesideAHealthyRoom(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			changes := []func(*config.Config){}
			if a.change != nil {
				changes = append(changes, a.change)
			}
			beside(t, start(t, changes...), a)
		})
	}
}

// Floods that the quota of --dev is too wide to show: the members and the attacker have tokens here.
func TestFloodsBesideAHealthyRoom(t *testing.T) {
	blanks := ws.AppendMasked(nil, ws.OpText, true, true, ws.AppendDeflated(nil, bytes.Repeat([]byte(" "), 250<<10)), 7)
	sync := ws.AppendMaskedText(nil, []byte(`{"id":1,"op":"time:sync","data":{"t0":1}}`), 7)
	flood := func(what func(worker int) []byte) func(*server, int, <-chan struct{}) {
		return func(s *server, worker int, stop <-chan struct{}) {
			if c := dialHostile(s, "/ws", deflateOffer, s.mallory); c != nil {
				c.flood(what(worker), stop)
			}
		}
	}
	for _, a := range []attack{
		// A compressed message is opened only when its sender may send one, or small messages would buy the inflating of
		// large ones without end.
		{
			name: "inflating without end", workers: 2, least: 5, every: 200 * time.Millisecond * slowness,
			counted: hit("inflates"),
			once:    flood(func(int) []byte { return blanks }),
		},
		{
			name: "messages without end", workers: 2, least: 10, every: 100 * time.Millisecond * slowness,
			counted: hit("refusals"),
			once:    flood(func(int) []byte { return bytes.Repeat(sync, 100) }),
		},
		{
			name: "thousands of joins by one user", workers: 4, least: 500,
			every: 50 * time.Millisecond * slowness, counted: hit("user_joins"),
			once: flood(func(worker int) (joins []byte) {
				for i := range 40 {
					text := fmt.Sprintf(`{"id":%d,"op":"room:join","room":"m%d-%d","data":{}}`, i+1, worker, i)
					joins = ws.AppendMaskedText(joins, []byte(text), 7)
				}
				return joins
			}),
		},
	} {
		t.Run(a.name, func(t *testing.T) {
			s := start(t, noDev)
			s.door = func(name string) (string, []string) {
				return "/ws", []string{"Authorization: Bearer " + s.token(name, wire.RoleHost, "")}
			}
			beside(t, s, a)
		})
	}
}

// The attackers use the processors that the server runs on. So they take turns: one starts every so often, which is
// fast enough for each attack, and what is measured is not how little of the processors is left. The members' p99 may
// rise by the rest: what a missing limit does is a room that hears nothing any more.
const (
	attackEvery = 20 * time.Millisecond * slowness
	generously  = 2 * time.Second * slowness
)

// beside runs an attack beside a room whose members are measured.
func beside(t *testing.T, s *server, a attack) {
	t.Helper()
	const members, quiet = 50, 40
	s.mallory = "Authorization: Bearer " + s.token("mallory", wire.RoleHost, "")
	s.talkative = true
	h := newHall(t, s, "hall", members)
	talk := time.NewTicker(25 * time.Millisecond) // below what one connection may send
	defer talk.Stop()
	for n := range quiet {
		<-talk.C
		h.say(t, n)
	}
	before := h.p99()
	stop := make(chan struct{})
	turn := time.NewTicker(cmp.Or(a.every, attackEvery))
	defer turn.Stop()
	var attackers sync.WaitGroup
	for worker := range a.workers {
		attackers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-turn.C:
					a.once(s, worker, stop)
				}
			}
		})
	}
	began, n := time.Now(), quiet
	for a.counted(s) < a.least || n < 2*quiet {
		<-talk.C
		h.say(t, n)
		n++
		if time.Since(began) > slowness*patience {
			t.Errorf("the attack was counted %d times in %v, want %d", a.counted(s), patience, a.least)
			break
		}
	}
	during, counted, took := h.p99(), a.counted(s), time.Since(began)
	close(stop)
	attackers.Wait()
	t.Logf("%d members: p99 %v before, %v during %d messages and %v of attack, refused %d times",
		members, before, during, n-quiet, took.Round(time.Millisecond), counted)
	if lost := h.lost.Load(); lost > 0 {
		t.Errorf("%d members were closed", lost)
	}
	if during > 5*before+generously {
		t.Errorf("p99 is %v during the attack, %v before", during, before)
	}
}

// hostile is a connection of an attacker. What the server says to it is not looked at.
type hostile struct{ net.Conn }

// dialHostile connects, and upgrades if there is a target; nil if the server is not willing.
func dialHostile(s *server, target string, headers ...string) *hostile {
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return nil
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := &hostile{nc}
	if target == "" {
		return c
	}
	_, _ = fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n", target, plainHandshake, headerLines(headers))
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
		if _, err := nc.Read(one); err != nil {
			_ = nc.Close()
			return nil
		}
	}
	if !bytes.HasPrefix(head, []byte(fmt.Sprintf("HTTP/1.1 %d ", http.StatusSwitchingProtocols))) {
		_ = nc.Close()
		return nil
	}
	return c
}

// drip sends a byte every few milliseconds until the server has had enough.
func (c *hostile) drip(b []byte, stop <-chan struct{}) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < len(b); i++ {
		select {
		case <-tick.C:
			if _, err := c.Write(b[i : i+1]); err == nil {
				continue
			}
		case <-gone:
		case <-stop:
		}
		break
	}
	_ = c.Close()
	<-gone
}

// flood sends the same again and again, as fast as it can, until the server has had enough.
func (c *hostile) flood(b []byte, stop <-chan struct{}) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	for {
		if _, err := c.Write(b); err != nil {
			break
		}
		select {
		case <-gone:
		case <-stop:
		default:
			continue
		}
		break
	}
	_ = c.Close()
	<-gone
}

// untilClosed keeps the connection open and reads, but says nothing.
func (c *hostile) untilClosed(stop <-chan struct{}) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	select {
	case <-gone:
	case <-stop:
	}
	_ = c.Close()
	<-gone
}
