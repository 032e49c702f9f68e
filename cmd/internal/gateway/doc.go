// Package gateway is the only place where sockets meet rooms. It has the session table (what is known of each
// connection), the dispatch table (which op is decoded how and costs what) and the fan-out (one encode per variant, one
// write per connection).
//
// The way of a message in: netpoll calls Gateway.Data on the connection's loop; the session machine takes bytes apart
// and calls member.Message; the member's dialect reads it and calls member.perform; the dispatch table decodes, checks
// the quota and answers what needs no room; a command for a room waits in the loop's batch for its shard and is posted
// when the turn ends.
//
// The way out: a shard calls Gateway.Deliver on its own goroutine with everything that is due; events are encoded
// there, once per variant that has members; every loop gets the same delivery and writes to its own members; when the
// last loop is done the shard may send the next one. Replies and single events go to the member's dialect.
//
// # Dialects
//
// What a connection speaks is chosen once, when its handshake is judged: the path finds an endpoint, which makes the
// dialect. Nothing on the way of a message asks again. Adding a dialect is a row in endpoints, a type that implements
// dialect, and a way to share what it sends to many:
//
//   - Where all members get the same bytes: a variant of its own, with an encode function. A frame may hold several
//     WebSocket messages, so it need not be a batch.
//   - Where a part differs from member to member: a variant without encode. Its members' dialects are asked one by one
//     (dialect.group), and loopState.sharedFrame lets those of a loop share a frame whose own part is the same. A loop
//     keeps 256 such frames for one delivery; beyond that a member gets bytes of its own.
//
// STOMP is the example for the second way: its members get their subscription's id in each message.
//
// A variant that reads the events one by one says so (apart). The JSON of an event's data is made once for all
// variants. A variant without connections costs a look at its counter for each delivery.
//
// What belongs to a loop (loopState, member) is touched on that loop's goroutine only. Everything else is immutable
// after New, atomic, or locked as its comment says.
package gateway
