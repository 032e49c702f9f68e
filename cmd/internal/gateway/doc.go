// Package gateway is the only place where sockets meet rooms. It has the session table (what is known of each
// connection), the dispatch table (which op is decoded how and costs what) and the fan-out (one encode per variant, one
// write per connection).
//
// The way of a message in: netpoll calls Gateway.Data on the connection's loop; the session machine takes bytes apart
// and calls member.Message; the dispatch table decodes, checks the quota and answers what needs no room; a command for
// a room waits in the loop's batch for its shard and is posted when the turn ends.
//
// The way out: a shard calls Gateway.Deliver on its own goroutine with everything that is due; events are encoded
// there, once; every loop gets the same delivery and writes to its own members; when the last loop is done the shard
// may send the next one.
//
// What belongs to a loop (loopState, member) is touched on that loop's goroutine only. Everything else is immutable
// after New, atomic, or locked as its comment says.
package gateway
