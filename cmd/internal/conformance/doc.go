// Package conformance is the server's loops and protocols without its domain, for suites and clients of other people:
// the same netpoll, protocol/session, protocol/ws and protocol/http1, behind them an application per path. /echo sends
// back every message as it came, compressed where that was agreed. /engine.io/ does the same for the messages of
// Engine.IO sessions, over long-polling and WebSockets; /socket.io/ is the application that the official suite of
// Socket.IO's protocol speaks to.
//
// There are no accounts, no quotas and no rooms. Limits are wide, because suites test the protocol with messages that
// no classroom sends: 16 MiB a message, 64 MiB waiting for a connection.
package conformance
