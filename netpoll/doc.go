// Package netpoll runs many TCP connections on a few event loops, without a goroutine per connection, and shows them to
// a Handler. It is the only package that knows gnet.
//
// A Loop owns its connections: their timers, their outboxes and the order of everything that happens to them. The one
// door for other goroutines is Loop.Post, a first-in-first-out inbox. What is sent in one turn of a loop is corked and
// leaves in one write per connection when the turn ends.
package netpoll
