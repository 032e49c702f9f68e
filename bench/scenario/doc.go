// Package scenario holds the workloads of the harness: who connects, what they send, and what must come back. Each
// scenario is a script on the control goroutine and a play on every engine; the frame around them (connecting,
// marking the measured phase, reading /proc, draining, collecting) is in run.go and fleet.go.
//
// A member belongs to one engine's goroutine. What engines and the control goroutine share is atomic and read at ease;
// everything else is collected after the engines have stopped.
//
// Senders work by schedule, and a latency counts from the moment at which the message was due: a server that stalls is
// charged for all that it kept waiting (no coordinated omission). The exceptions say so: bursts and closed loops.
package scenario
