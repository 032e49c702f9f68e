// Package quiz is the live quiz of a room: a machine without I/O, clock or randomness of its own. Commands come in,
// facts and messages go out through effect.Effects, and Apply, which takes facts only, is the one writer of what the
// facts describe. Applying a room's facts again gives the same scores and the same resumable events.
//
// # States
//
//	none ──created──▶ lobby ──started──▶ open ──(time over, all answered, next, skip)──▶ closed ─▶ results
//	results ──next──▶ leaderboard ──next──▶ open (the next question) or, after the last one, ended
//	results, leaderboard ──skip──▶ open (the next question) or ended
//	open, results, leaderboard ──pause──▶ paused ──resume──▶ where it was
//	any but none ──end──▶ ended
//
// closed is short: from closesAt until the grace is over, in which answers that were under way still count. With a
// question's close its results follow at once, so the fact quiz.closed leads straight to results.
//
// # Time
//
// A question is announced LeadMs before it opens, so that every screen can show it at the same moment; answers
// before opensAt are refused. An answer's elapsed time is counted from opensAt on the server's clock and never exceeds
// the time limit, also when it came within GraceMs after closesAt. A pause moves opensAt and closesAt by its length, so
// thinking time is not lost and elapsed times stay true.
//
// # Early close
//
// A question closes early once everybody expected has answered. Expected are those who were connected when it opened
// or came later; somebody whose connection drops stays expected for this question, so a phone in a tunnel does not end
// the question for its owner.
//
// # Regrading
//
// A key can be changed and a question declared void at any time. Apply then judges that question anew and pays all
// closed questions again in their order, so the outcome is that of a game played so from the start: O(questions ×
// participants), in one step of the room.
//
// # Cost
//
// An answer costs O(1): two map look-ups, one append. A question's close costs one sort, O(n log n), after which
// each own rank is O(1). Progress and lobby are sampled: to staff at most 5 and 2 times a second, to everybody at
// most once a second and, in a crowd, less often: each 10 participants add a millisecond. An answer in memory takes
// 48 bytes, whatever the lengths of its key and text.
//
// Nothing here is safe for more than one goroutine: the room's shard owns the machine.
package quiz
