package gateway

import (
	"context"
	"sync"
	"time"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// bridgeConn is the connection that replies to the HTTP side go to. No loop has it: its generation is zero.
const bridgeConn wire.ConnID = 1<<64 - 1<<30

// bridge lets goroutines of the HTTP side ask a room and wait for its reply.
type bridge struct {
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan<- bridgeReply
}

type bridgeReply struct {
	data any
	err  *wire.Error
}

// callTimeout is how long Call waits for a room's reply at most.
const callTimeout = 10 * time.Second

// Call sends a command to its room and waits for the reply, for callTimeout at most. The caller's connection and
// request id are set here. Any
// goroutine but a loop's or a shard's.
func (g *Gateway) Call(ctx context.Context, cmd rooms.Command) (any, *wire.Error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply := make(chan bridgeReply, 1)
	b := &g.bridge
	b.mu.Lock()
	b.next++
	req := b.next
	b.waiting[req] = reply
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.waiting, req)
		b.mu.Unlock()
	}()
	cmd.From.Conn, cmd.From.Req = bridgeConn, req
	if !g.posts.Post(g.posts.ShardOf(cmd.Room), []rooms.Command{cmd}) {
		g.dropSession(&cmd)
		return nil, wire.NewError(wire.CodeUnavailable, "the server is busy; try again")
	}
	select {
	case r := <-reply:
		return r.data, r.err
	case <-ctx.Done():
		return nil, wire.NewError(wire.CodeUnavailable, "the room did not answer in time; try again")
	}
}

// take hands out the replies that are the bridge's.
func (b *bridge) take(items []rooms.Delivery) {
	for i := range items {
		it := &items[i]
		if it.Conn != bridgeConn || it.Kind != effect.Reply {
			continue
		}
		b.mu.Lock()
		reply := b.waiting[it.Req]
		delete(b.waiting, it.Req)
		b.mu.Unlock()
		if reply != nil {
			reply <- bridgeReply{it.Data, it.Err}
		}
	}
}
