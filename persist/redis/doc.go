// Package redis keeps in Redis what several servers share and what may be gone without a lesson being lost: sessions
// (refresh families), rate limits, and which servers there are with the rooms and members that they have. It is the
// only home of rueidis. Without Redis, one server does the same with its store and its memory.
//
// One instance, Sentinel and Cluster are spoken to alike. Every step that must be one is a Lua script on keys of one
// hash slot; where a step needs a second slot (a token's hash leads to its family), the order of the two is such that
// a crash in between leaves nothing that counts.
//
// # Keys
//
// All begin with Config.Prefix.
//
//	key                 type    holds                                            goes
//	rt:HASH             string  the family of a refresh token                    a day after the token
//	{f:ID}              hash    a refresh family, a field t:HASH for each token  a day after its newest token
//	families            zset    families by expiry                               with PurgeRefresh
//	revoked             zset    revoked families by time                         with PurgeRefresh
//	limit:NAME:SUBJECT  string  a bucket's theoretical arrival time, µs          when the bucket is full
//	node:ID             string  a server's report, JSON                          nodeTTL after the last
//	nodes               zset    servers by the time of their last report         when one reads it
//
// # When Redis is away
//
// Commands end after Config.Timeout, and every error is persist.ErrUnavailable beside what Redis said, in words that
// say what to do (see explain). While it is known to be away, commands fail at once, without waiting, so that an outage
// doesn't cost every request the timeout. Watch looks once a second; it notices the return, and is where the log lines
// come from: one when Redis goes and one when it is back.
package redis
