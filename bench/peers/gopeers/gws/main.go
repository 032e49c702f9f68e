// Command gws serves the workloads of the comparison with github.com/lxzan/gws: a goroutine per connection, and its
// Broadcaster, which encodes a message once and queues it for each member.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/lxzan/gws"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9101", "address to listen on")
	flag.Parse()
	h := &handler{rooms: map[string]*room{}}
	// gws' own server parses the request and gives it up after the handshake: cheaper than net/http per connection.
	server := gws.NewServer(h, &gws.ServerOption{
		ReadBufferSize: 1024, // the messages are small; the default is four times as much a connection
		Authorize: func(r *http.Request, session gws.SessionStorage) bool {
			session.Store("room", r.URL.Query().Get("room"))
			return true
		},
	})
	l, err := net.Listen("tcp", *listen)
	if err == nil {
		err = server.RunListener(l)
	}
	fmt.Fprintln(os.Stderr, "gws:", err)
	os.Exit(1)
}

type handler struct {
	gws.BuiltinEventHandler
	mu    sync.RWMutex
	rooms map[string]*room
}

type room struct {
	mu      sync.RWMutex
	members map[*gws.Conn]struct{}
}

func (h *handler) roomOf(c *gws.Conn) *room {
	v, _ := c.Session().Load("room")
	name, _ := v.(string)
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r != nil {
		return r
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r = h.rooms[name]; r == nil {
		r = &room{members: map[*gws.Conn]struct{}{}}
		h.rooms[name] = r
	}
	return r
}

// OnOpen implements gws.Event.
func (h *handler) OnOpen(c *gws.Conn) {
	r := h.roomOf(c)
	r.mu.Lock()
	r.members[c] = struct{}{}
	r.mu.Unlock()
}

// OnClose implements gws.Event.
func (h *handler) OnClose(c *gws.Conn, _ error) {
	r := h.roomOf(c)
	r.mu.Lock()
	delete(r.members, c)
	r.mu.Unlock()
}

// OnPing implements gws.Event.
func (h *handler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnMessage implements gws.Event.
func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := m.Bytes()
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case 'E':
		_ = c.WriteMessage(m.Opcode, b)
	case 'P':
		out := gws.NewBroadcaster(m.Opcode, b)
		r := h.roomOf(c)
		r.mu.RLock()
		for member := range r.members {
			_ = out.Broadcast(member)
		}
		r.mu.RUnlock()
		_ = out.Close()
	}
}
