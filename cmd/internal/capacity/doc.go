// Package capacity plays a quiz with as many participants as asked for in one process without a socket: clients on
// netpoll/simnet, the real gateway, the real rooms, a real journal in SQLite. Everything but the journal's writer runs
// on one goroutine under a virtual clock, so a phase's real time is its cost. It checks that everybody gets every
// question, one durable acknowledgement and the right rank. Its test plays 1,000; make capacity plays up to 100,000.
package capacity
