package limit

import (
	"fmt"
	"testing"
	"time"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newLimiter(cfg Config) (*Limiter, *clock) {
	c := &clock{at: time.Unix(1_000_000, 0)}
	cfg.Now = c.now
	return New(cfg), c
}

func TestOpenConnectionsPerAddress(t *testing.T) {
	l, _ := newLimiter(Config{ConnsPerAddr: 2})
	release, ok := l.Admit("192.0.2.1:1")
	if _, ok2 := l.Admit("192.0.2.1:2"); !ok || !ok2 {
		t.Fatal("two connections must be admitted")
	}
	if _, ok := l.Admit("192.0.2.1:3"); ok {
		t.Fatal("the third must be refused")
	}
	if _, ok := l.Admit("192.0.2.2:3"); !ok {
		t.Fatal("another address must not be concerned")
	}
	release()
	if _, ok := l.Admit("192.0.2.1:4"); !ok {
		t.Fatal("a released place must be free again")
	}
}

func TestRateRefillsWithTime(t *testing.T) {
	l, c := newLimiter(Config{OpensBurst: 3, OpensPerSecond: 2})
	admitted := func(n int) (k int) {
		for i := range n {
			if release, ok := l.Admit(fmt.Sprintf("192.0.2.1:%d", i)); ok {
				release()
				k++
			}
		}
		return k
	}
	if k := admitted(10); k != 3 {
		t.Fatalf("admitted %d of a burst, want 3", k)
	}
	c.at = c.at.Add(time.Second)
	if k := admitted(10); k != 2 {
		t.Fatalf("admitted %d after a second, want 2", k)
	}
}

func TestOneSubscriberIsOneAddress(t *testing.T) {
	l, _ := newLimiter(Config{ConnsPerAddr: 1})
	if _, ok := l.Admit("[2001:db8:1:2::1]:1"); !ok {
		t.Fatal("the first must be admitted")
	}
	if _, ok := l.Admit("[2001:db8:1:2:ffff::9]:1"); ok {
		t.Fatal("the same /64 must share its limit")
	}
	if _, ok := l.Admit("[2001:db8:1:3::1]:1"); !ok {
		t.Fatal("another /64 must not")
	}
	if _, ok := l.Admit("192.0.2.7:1"); !ok {
		t.Fatal("an address must be admitted")
	}
	if _, ok := l.Admit("[::ffff:192.0.2.7]:1"); ok {
		t.Fatal("the mapped form of an address is the same address")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l, c := newLimiter(Config{AddrsMax: 10})
	var releases []func()
	for i := range 10 {
		release, _ := l.Admit(fmt.Sprintf("192.0.2.%d:1", i))
		releases = append(releases, release)
	}
	if release, ok := l.Admit("198.51.100.1:1"); !ok || release != nil {
		t.Fatal("a full table must admit without counting")
	}
	for _, release := range releases {
		release()
	}
	c.at = c.at.Add(time.Hour)
	if release, ok := l.Admit("198.51.100.1:1"); !ok || release == nil {
		t.Fatal("idle addresses must have made room")
	}
	if n := l.Addrs(); n != 1 {
		t.Fatalf("%d addresses remembered, want 1", n)
	}
}
