// Package rooms is the domain: rooms, the shards that own them, and the router in front of the shards.
//
// A Room is a machine without I/O and without a clock: Step takes a command and says its effects. Its state has two
// parts. Membership (who is connected) is volatile. Everything else (quiz, chat, moderation, progress, published
// events) is event-sourced: a command is checked, facts are recorded, and applying a fact is the only way to change
// state and to make a resumable event. So replaying a room's facts gives the same scores and the same events with the
// same seq.
//
// A Shard is one goroutine that owns its rooms. It drains its whole inbox, steps each command, hands all facts of the
// drain to the Journal in one call, and holds what the steps said until those facts are durable: nothing that anybody
// saw is lost by a crash, and seq and epoch survive a restart. What has become due is delivered through the Outlet, at
// most one delivery in flight per shard: while the loops are busy, later outputs merge into the next one.
//
// Queues, their limits and what happens beyond them:
//
//	queue                      limit                           beyond it
//	shard inbox                InboxCommandsMax commands       Post says false; the gateway answers unavailable
//	commands of a room that    loadWaitMax per room            refused with unavailable
//	is being loaded
//	held outputs, and those    HeldOutputsMax outputs          new commands are refused with unavailable until it shrinks
//	that wait for the loops
//	ring of recent events      ringEventsMax, ringBytesMax     the oldest are forgotten; a resume gets a snapshot
//	idempotency keys of        publishKeysMax per room         the oldest are forgotten
//	published events
//
// Domains under rooms never import each other; Room combines them.
package rooms
