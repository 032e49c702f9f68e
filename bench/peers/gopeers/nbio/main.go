// Command nbio serves the workloads of the comparison with github.com/lesismal/nbio: epoll pollers, no goroutine per
// connection.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9102", "address to listen on")
	flag.Parse()
	s := &server{rooms: map[string]*room{}}
	s.upgrader = websocket.NewUpgrader()
	s.upgrader.KeepaliveTime = 0
	s.upgrader.OnMessage(s.message)
	s.upgrader.OnClose(s.closed)
	mux := http.NewServeMux()
	mux.HandleFunc("/raw", s.upgrade)
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{*listen}, Handler: mux, IOMod: nbhttp.IOModNonBlocking,
		MaxLoad: 1 << 20, ReleaseWebsocketPayload: true,
	})
	if err := engine.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "nbio:", err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	_ = engine.Shutdown(context.Background())
}

type server struct {
	upgrader *websocket.Upgrader
	mu       sync.Mutex
	rooms    map[string]*room
}

type room struct {
	mu      sync.RWMutex
	members map[*websocket.Conn]struct{}
}

func (s *server) upgrade(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("room")
	c, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s.mu.Lock()
	rm := s.rooms[name]
	if rm == nil {
		rm = &room{members: map[*websocket.Conn]struct{}{}}
		s.rooms[name] = rm
	}
	s.mu.Unlock()
	c.SetSession(rm)
	rm.mu.Lock()
	rm.members[c] = struct{}{}
	rm.mu.Unlock()
}

func (s *server) closed(c *websocket.Conn, _ error) {
	if rm, ok := c.SessionWithLock().(*room); ok {
		rm.mu.Lock()
		delete(rm.members, c)
		rm.mu.Unlock()
	}
}

func (s *server) message(c *websocket.Conn, t websocket.MessageType, b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case 'E':
		_ = c.WriteMessage(t, b)
	case 'P':
		rm, ok := c.SessionWithLock().(*room)
		if !ok {
			return
		}
		rm.mu.RLock()
		defer rm.mu.RUnlock()
		for member := range rm.members {
			_ = member.WriteMessage(t, b)
		}
	}
}
