// Package sim runs whole shards against everything that can go wrong, under one seed: the same seed gives the same run.
//
// Clients join rooms, answer, chat, publish, repeat themselves with the same idempotency key, lose their connections
// and come back with the last seq they saw. A gateway model passes messages on in any order that keeps each
// connection's own. The journal is late, full, fails, or stores and loses its answer. The process is killed: what was
// not durable is gone. Nothing has a goroutine, a clock or a source of randomness of its own.
//
// What is checked while it runs (deliver.go, client.go) and at the end (verify.go):
//
//   - every client sees seq without a gap or a repetition, and the same event under the same seq as everybody else,
//     across reconnects and restarts;
//   - nothing leaves a shard before it is durable: events, and replies that speak of a fact;
//   - what was acknowledged is in the log exactly once, with the receipt, id or seq that was promised;
//   - every request that reached the server on a connection that lasts is answered exactly once;
//   - no key of a question is seen before the question is closed, and a banned user gets nothing;
//   - scores, members and seq of the live rooms equal those of a replay of the log.
package sim
