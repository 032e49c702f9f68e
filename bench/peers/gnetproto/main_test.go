package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"lectern/bench"
)

// booted tells the test when the engine is up.
type booted struct {
	*server
	up chan struct{}
}

// OnBoot implements gnet.EventHandler.
func (b *booted) OnBoot(e gnet.Engine) gnet.Action {
	defer close(b.up)
	return b.server.OnBoot(e)
}

func TestPrototypeDeliversEverythingOnceAndInOrder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	b := &booted{server: newServer(), up: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- serve(b, addr, 2) }()
	select {
	case <-b.up:
	case err := <-ended:
		t.Fatal(err)
	}
	res, err := bench.Run(t.Context(), bench.Options{
		Scenario: "fanout", Adaptor: "raw", Target: "ws://" + addr, Conns: 60, Rooms: 3, Burst: 4,
		Duration: 300 * time.Millisecond, ConnectTimeout: 10 * time.Second, Engines: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := bench.Check(&res); err != nil || res.Expected == 0 {
		t.Fatalf("%v: %+v", err, res.Counts)
	}
	if err := b.engine.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
