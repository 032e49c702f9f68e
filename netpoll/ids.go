package netpoll

import "fmt"

const (
	genBits  = 30
	slotBits = 24
	loopBits = 10

	loopsMax     = 1 << loopBits
	loopSlotsMax = 1 << slotBits
	genMask      = 1<<genBits - 1
)

// ConnID names a connection for as long as the process lives: loop (10 bits), slot in the loop's table (24), generation
// of the slot (30). It is a plain value that may cross goroutines, which a *Conn may not. Generations start at 1, so
// the zero ConnID names nothing.
type ConnID uint64

func makeConnID(loop, slot int, gen uint32) ConnID {
	return ConnID(uint64(loop)<<(slotBits+genBits) | uint64(slot)<<genBits | uint64(gen))
}

// Loop is the index of the loop that owns the connection.
func (id ConnID) Loop() int { return int(id >> (slotBits + genBits)) }

// Slot is the connection's place in its loop's table; places are used again by later connections.
func (id ConnID) Slot() int { return int(id>>genBits) & (loopSlotsMax - 1) }

// Generation tells the connections apart that used one slot after another.
func (id ConnID) Generation() uint32 { return uint32(id & genMask) }

// String is loop/slot/generation in decimal, for logs.
func (id ConnID) String() string {
	return fmt.Sprintf("%d/%d/%d", id.Loop(), id.Slot(), id.Generation())
}

// Class says what may happen to a frame that the peer does not take at once.
type Class uint8

const (
	// Reliable frames are kept up to the hard limit; then the connection is closed with ReasonSlowConsumer.
	Reliable Class = iota
	// State frames are kept, but only the newest per key.
	State
	// Volatile frames are dropped and counted.
	Volatile

	classCount = iota
)

var classNames = [classCount]string{"reliable", "state", "volatile"}

// String is the class's name in logs and metric labels.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "invalid"
}

// SendStatus says what became of a frame given to Conn.Send.
type SendStatus uint8

const (
	// Sent means that the frame leaves in this turn's write: the peer has been taking all that it was given.
	Sent SendStatus = iota
	// Queued means that the peer is behind; the frame waits in the outbox.
	Queued
	// Replaced means as Queued, and an older frame with the same key was taken out for it.
	Replaced
	// Dropped means that the frame was discarded because the peer is behind and the class allows it.
	Dropped
	// Closed means that the connection is closed or closing (perhaps because of this very frame) and nothing was kept.
	Closed
)

var sendStatusNames = [...]string{"sent", "queued", "replaced", "dropped", "closed"}

// String is the status's name in logs.
func (s SendStatus) String() string {
	if int(s) < len(sendStatusNames) {
		return sendStatusNames[s]
	}
	return "invalid"
}

// Reason says why a connection ended. The set is closed: logs, metrics and tests know all of it.
type Reason uint8

const (
	// ReasonNone is the zero value; no connection ends with it.
	ReasonNone Reason = iota
	// ReasonPeerClosed: the peer ended its side in order.
	ReasonPeerClosed
	// ReasonPeerReset: the peer or the network broke the connection while we were reading.
	ReasonPeerReset
	// ReasonWriteFailed: the peer was gone when we wrote.
	ReasonWriteFailed
	// ReasonHandshakeTimeout: the handshake did not finish within Config.HandshakeTimeout.
	ReasonHandshakeTimeout
	// ReasonIdle: nothing was heard for too long (heartbeats unanswered).
	ReasonIdle
	// ReasonSlowConsumer: the outbox passed Config.OutboxHardBytes because the peer does not read.
	ReasonSlowConsumer
	// ReasonProtocol: the peer broke the protocol.
	ReasonProtocol
	// ReasonTooLarge: the peer sent more than a limit allows.
	ReasonTooLarge
	// ReasonPolicy: the peer was sent away (banned, token revoked, not allowed).
	ReasonPolicy
	// ReasonDone: the conversation ended in order on our side (closing handshake, response without keep-alive).
	ReasonDone
	// ReasonHandedOff: the connection lives on elsewhere (Conn.Detach).
	ReasonHandedOff
	// ReasonDraining: the server sends its clients to another node before it stops.
	ReasonDraining
	// ReasonServerStopped: the server stopped.
	ReasonServerStopped
	// ReasonEngineFailed: the event engine ended without being asked.
	ReasonEngineFailed
	// ReasonPanic: a callback for this connection panicked.
	ReasonPanic
	// ReasonMessageTimeout: a message began and did not end in time.
	ReasonMessageTimeout
	// ReasonFlood: the peer asked for too much at once.
	ReasonFlood

	reasonCount = iota
)

var reasonNames = [reasonCount]string{
	"none", "peer_closed", "peer_reset", "write_failed", "handshake_timeout", "idle", "slow_consumer", "protocol",
	"too_large", "policy", "done", "handed_off", "draining", "server_stopped", "engine_failed", "panic",
	"message_timeout", "flood",
}

// String is the reason's name in logs and metric labels.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "invalid"
}

// Reasons lists every reason a connection can end with, for metrics that want a series each.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := ReasonNone + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// TimerKind tells the few timers of a connection apart; each kind is armed at most once per connection.
type TimerKind uint8

const (
	// TimerHandshake is armed when the connection opens; the handler stops it when the handshake is done. If it fires,
	// Handler.Timer is called (to send a last word) and the connection is closed with ReasonHandshakeTimeout, unless the
	// handler has closed it with another. After the handshake the handler may arm it for anything else that must end in
	// time.
	TimerHandshake TimerKind = iota
	// TimerHeartbeat is the handler's, for pings.
	TimerHeartbeat
	// TimerIdle is the handler's, for the answer to a ping or for silence.
	TimerIdle
	// TimerUser is the handler's, for anything else (expiry of a token).
	TimerUser

	timerKinds = iota
)

var timerNames = [timerKinds]string{"handshake", "heartbeat", "idle", "user"}

// String is the kind's name in logs.
func (k TimerKind) String() string {
	if int(k) < len(timerNames) {
		return timerNames[k]
	}
	return "invalid"
}
