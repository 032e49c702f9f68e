// Package client is the load engine of the harness: many WebSocket connections on one or two goroutines. Each Engine
// owns an epoll instance, its connections and a heap of timers; nothing in it locks per message and no connection has
// a goroutine. It knows WebSocket (RFC 6455, client side) and nothing of what the messages mean.
//
// It is written apart from protocol/ws on purpose: a fault shared by the server and its own yardstick would be
// invisible. The price is one small frame reader more.
//
// Limits: one read buffer per engine; a connection keeps bytes only while a frame is incomplete or the kernel does not
// take a write (payloadBytesMax and pendingBytesMax, then it is closed with an error).
package client
