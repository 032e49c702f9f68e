package app

import (
	"context"
	"net"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/cmd/internal/handover"
)

// A server that another one takes over from lets go of the store although the one that it took over from itself is not
// gone yet: that one may be sending its members away for minutes.
func TestPredecessorDoesNotHoldUpTheSuccessor(t *testing.T) {
	dir := t.TempDir()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = port.Close()
	l, err := handover.Listen(dir + "/test.db.takeover")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go l.Run(func(p *handover.Peer) { // the predecessor, which stays as long as the test
		_, _ = p.Receive(time.Time{}, nil)
		_ = p.Tell(handover.Message{Step: handover.Ready, Addr: port.Addr().String()})
		_, _ = p.Receive(time.Time{}, nil)
		_ = p.Tell(handover.Message{Step: handover.Released, Ended: time.Now().UnixMilli()})
		<-over
		_ = p.Close()
	})
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	s := start(t, onDisk(dir), func(c *config.Config) { c.Takeover = true })
	defer close(over)
	ended := make(chan error, 1)
	go func() { // as give does
		s.endHTTP(t.Context())
		ended <- s.endRooms(t.Context())
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the rooms don't end before the predecessor does")
	}
}
