// Package session is one server connection as a machine without I/O: bytes in; calls to a Sink and bytes to be
// written out. It goes from AwaitHead (the first bytes decide between a WebSocket handshake and any other HTTP)
// through Open to Closing or Closed, and never back. HandedOff is Closed for what net/http takes over.
//
// Order of what is written. out collects the handshake's response, pongs and close frames. A Sink that writes by
// itself while a Feed runs must implement Flusher: then what is in out is handed over before Opened, before each
// Message and before PeerClosed, so that an answer to a message never overtakes the 101 or a pong before it.
//
// A Machine belongs to one goroutine. It is small (a test counts its bytes) and holds memory only inside a
// half-received head, frame or message.
package session
