// Package engineio carries Engine.IO sessions: over WebSockets that stay on their loop, over HTTP long-polling through
// net/http, and from the one to the other.
//
// A long-polling session is a virtual connection (netpoll.VirtualTransport) that is seated on a loop and belongs to it
// like any other: it has an outbox with classes, timers, a place in every list. What is written to it waits, as
// WebSocket frames, in its poller until a GET takes it; the GET's goroutine turns the frames into a payload. So those
// who send need not know what a session is carried by, a frame can be shared by all, and after an upgrade what still
// waits goes to the WebSocket as it is.
//
//	GET  → net/http → Server.ServeHTTP → task for the session's loop → what waits, or the GET waits itself
//	POST → net/http → Server.ServeHTTP → payload taken apart → task → Session.Message for each packet
//
// An upgrade begins with a WebSocket that names a session. It may have been accepted on another loop: then the socket
// moves to the session's loop first (netpoll.Conn.MoveTo) and its handshake is read there. There it is a Probe. When
// the client has paused its polling and says so, the session's connection takes over the socket (netpoll.Conn.Rebind).
// The connection keeps its id, so rooms notice nothing.
//
// Everything of a Session, Probe and Poller belongs to the session's loop. The table of sessions is locked; it is
// touched once per request and once at a session's begin and end.
//
// # Limits
//
//	what                          limit                     beyond it
//	sessions                      netpoll's ConnsMax        503
//	… per address                 netpoll's Admit           503
//	body of a POST                Settings.MaxPayload       413; the session goes on
//	packets of a POST             Config.PacketsMax         400, the session ends
//	POSTs of a session            one at a time             400, the session ends
//	GETs of a session             one at a time             400, the session ends, the first gets a close packet
//	what waits for a GET          netpoll's outbox limits   by class; above the hard limit the session ends
//	time without a pong           PingInterval+PingTimeout  the session ends
//	time for an upgrade           Config.UpgradeTimeout     the WebSocket is closed, the session goes on
//	last words that nobody has    1,000 sessions, 30 s      forgotten
//	fetched yet
package engineio
