package netpoll_test

import (
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/netpoll/simnet"
)

// A second's worth may come at once; the rest is late until time has passed.
func TestAcceptRate(t *testing.T) {
	late := 0
	n := simulate(t, netpoll.Config{AcceptRate: 20, Loops: 2}, &script{opened: func(c *netpoll.Conn) {
		if c.Late() {
			late++
		}
	}}, simnet.Options{})
	open := func(k int) int {
		late = 0
		for range k {
			n.Dial()
		}
		n.Run()
		return late
	}
	if got := open(30); got != 10 {
		t.Errorf("%d of 30 at once are late, want 10", got)
	}
	n.Advance(500 * time.Millisecond)
	if got := open(30); got != 20 {
		t.Errorf("%d of 30 half a second later are late, want 20", got)
	}
	if st := n.Stats(); st.Late != 30 || st.Accepted != 60 || st.Refused != 0 {
		t.Errorf("counted %+v", st)
	}
}

// The last places are for telling those who take them when to come back, and above them there is only the door.
func TestLastPlacesAreLate(t *testing.T) {
	late := 0
	n := simulate(t, netpoll.Config{ConnsMax: 64}, &script{opened: func(c *netpoll.Conn) {
		if c.Late() {
			late++
		}
	}}, simnet.Options{})
	for range 70 {
		n.Dial()
	}
	n.Run()
	st := n.Stats()
	if late != 2 || st.Open != 64 || st.RefusedBy[netpoll.RefusalCap] != 6 || st.Refused != 6 {
		t.Errorf("%d late, counted %+v", late, st)
	}
	n.Refuse(true)
	n.Dial()
	n.Run()
	if got := n.Stats().RefusedBy[netpoll.RefusalShut]; got != 1 {
		t.Errorf("%d refusals are counted after the door was shut", got)
	}
}

// A connection counts against its address until it has really ended, also when someone else has it by then.
func TestHandedOffConnectionsStillCount(t *testing.T) {
	released := make(chan struct{}, 1)
	handed := make(chan interface{ Close() error }, 1)
	closed := make(chan netpoll.Reason, 1)
	s := serve(t, netpoll.Config{
		Admit: func(string) (func(), bool) { return func() { released <- struct{}{} }, true },
	}, &script{
		data: func(c *netpoll.Conn, _ []byte) {
			nc, err := c.Detach()
			if err != nil {
				t.Error(err)
				return
			}
			handed <- nc
		},
		closed: func(_ *netpoll.Conn, r netpoll.Reason) { closed <- r },
	})
	write(t, dial(t, s), "x")
	nc := recv(t, handed)
	recv(t, closed)
	select {
	case <-released:
		t.Error("the place was given back at the hand-off")
	default:
	}
	_ = nc.Close()
	_ = nc.Close()
	recv(t, released)
}
