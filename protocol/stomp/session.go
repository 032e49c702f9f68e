package stomp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"lectern/protocol/wire"
)

// State is where a connection is in its life; it never goes back.
type State uint8

// The states.
const (
	AwaitConnect State = iota // CONNECT has not come
	Open                      // signed in
	Closed                    // DISCONNECT came, or the connection failed
)

var stateNames = [...]string{"await_connect", "open", "closed"}

// String is the state's name in logs.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Sink gets what a connection brings and sends what the Session says. Its methods are called during the Session's own,
// on the same goroutine. A Sink must call Pending.Done or Pending.Fail once for each Pending that it is given; nil
// needs neither, and takes both.
type Sink interface {
	// Frame sends one whole frame; it is borrowed.
	Frame(frame []byte)
	// SignIn judges a CONNECT and names the user.
	SignIn(f *Frame) (user string, fail *Error)
	// Admit is asked before every frame of an open session but DISCONNECT and a SEND of its own, which the Sink judges in
	// Send: an error ends the session.
	Admit(f *Frame) *Error
	// Subscribe is a new subscription, already in the Session's list.
	Subscribe(s *Subscription, f *Frame, p *Pending) *Error
	// Unsubscribe is a subscription that is no longer in the list. unacked are the messages that it never acknowledged.
	Unsubscribe(s *Subscription, unacked []*Delivery)
	// Send is a SEND, now or at the COMMIT of its transaction. f is borrowed.
	Send(f *Frame, p *Pending)
	// Dropped is a message that was refused with NACK too often.
	Dropped(d *Delivery)
	// Bye is a DISCONNECT that has had its receipt: the connection is to be closed.
	Bye()
}

// Session is the server's side of one connection. Make it with NewSession.
type Session struct {
	limits  *Limits
	decoder Decoder
	version Version
	state   State

	send, expect time.Duration // heart-beats

	subs         []*Subscription
	unacked      int
	unackedBytes int
	nextAck      uint64

	transactions []*transaction
	heldFrames   int
	heldBytes    int
}

// NewSession is a Session that awaits CONNECT. beat is how often the server sends heart-beats and wants to hear the
// client at most; limits must not change while it is in use.
func NewSession(limits *Limits, beat time.Duration) *Session {
	return &Session{limits: limits, decoder: NewDecoder(limits), send: beat, expect: beat}
}

// State is where the connection is.
func (s *Session) State() State { return s.state }

// Version is what was negotiated; zero before CONNECT.
func (s *Session) Version() Version { return s.version }

// Beats are the heart-beats that were negotiated: how often something must be sent, and how often something must come.
// Zero: never.
func (s *Session) Beats() (send, expect time.Duration) { return s.send, s.expect }

// Subscriptions are those there are now, in the order in which they were made. Not to be kept or changed.
func (s *Session) Subscriptions() []*Subscription { return s.subs }

// Fail ends the session: whatever still comes is ignored.
func (s *Session) Fail() { s.state = Closed }

// Feed takes bytes as they came, cut anywhere; in is borrowed. An error ends the session: the caller sends it
// (AppendError) and closes.
func (s *Session) Feed(in []byte, sink Sink) *Error {
	if s.state == Closed {
		return nil
	}
	fail := s.decoder.Feed(in, func(f *Frame) *Error { return s.take(f, sink) })
	if fail != nil {
		s.state = Closed
	}
	return fail
}

func (s *Session) take(f *Frame, sink Sink) *Error {
	if s.state == Closed {
		return nil
	}
	fail := s.step(f, sink)
	if fail != nil && fail.Receipt == "" {
		fail.Receipt = f.Get("receipt")
	}
	return fail
}

func (s *Session) step(f *Frame, sink Sink) *Error {
	if s.state == AwaitConnect {
		if f.Command != Connect && f.Command != Stomp {
			return breach("the first frame must be CONNECT")
		}
		return s.connect(f, sink)
	}
	id, held := f.Find("transaction")
	if f.Command != Disconnect && (f.Command != Send || held) {
		if fail := sink.Admit(f); fail != nil {
			return fail
		}
	}
	switch f.Command {
	case Subscribe:
		return s.subscribe(f, sink)
	case Unsubscribe:
		return s.unsubscribe(f, sink)
	case Send, Ack, Nack:
		if held {
			return s.hold(id, f)
		}
		return s.carryOut(f, NewPending(f.Get("receipt"), nil), sink)
	case Begin:
		return s.begin(f, sink)
	case Commit:
		return s.commit(f, sink)
	case Abort:
		return s.abort(f, sink)
	case Disconnect:
		s.receipt(f.Get("receipt"), sink)
		s.state = Closed
		sink.Bye()
		return nil
	case Connect, Stomp:
		return breach("this connection is connected already")
	}
	return breach(f.Command.String() + " is for servers to send")
}

// carryOut does what a transaction may hold.
func (s *Session) carryOut(f *Frame, p *Pending, sink Sink) *Error {
	if f.Command == Send {
		if f.Get("destination") == "" {
			return breach("SEND needs the header destination, for example /app/quiz.answer")
		}
		sink.Send(f, p)
		return nil
	}
	if fail := s.acknowledge(f, sink); fail != nil {
		return fail
	}
	p.Done(s, sink)
	return nil
}

func (s *Session) connect(f *Frame, sink Sink) *Error {
	version, fail := negotiate(f)
	if fail != nil {
		return fail
	}
	out, in, fail := parseBeats(f.Get("heart-beat"))
	if fail != nil {
		return fail
	}
	s.version = version
	s.decoder.SetVersion(version)
	user, fail := sink.SignIn(f)
	if fail != nil {
		return fail
	}
	wanted := s.send
	s.send, s.expect = agree(s.send, in), agree(s.expect, out)
	s.state = Open
	dst := AppendCommand(scratch(), Connected)
	dst = AppendHeader(dst, 0, "version", version.String())
	beat := strconv.FormatInt(wanted.Milliseconds(), 10)
	dst = AppendHeader(dst, 0, "heart-beat", beat+","+beat)
	dst = AppendHeader(dst, 0, "server", "lectern")
	dst = AppendHeader(dst, 0, "user-name", user)
	s.emit(AppendBody(dst, Connected, nil), sink)
	s.receipt(f.Get("receipt"), sink)
	return nil
}

func (s *Session) emit(frame []byte, sink Sink) {
	sink.Frame(frame)
	if cap(frame) <= scratchBytesMax {
		frame = frame[:0]
		scratches.Put(&frame)
	}
}

// scratches are buffers for frames on their way out: an idle session holds none.
var scratches = sync.Pool{New: func() any { return new(make([]byte, 0, 512)) }}

const scratchBytesMax = 64 << 10

func scratch() []byte { return *scratches.Get().(*[]byte) }

// negotiate finds the best version that both sides speak. Without the header it is 1.0.
func negotiate(f *Frame) (Version, *Error) {
	list, ok := f.Find("accept-version")
	if !ok {
		return V10, nil
	}
	best := Version(0)
	for v := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(v) {
		case "1.0":
			best = max(best, V10)
		case "1.1":
			best = max(best, V11)
		case "1.2":
			best = V12
		}
	}
	if best == 0 {
		e := breach("no common version: 1.0, 1.1 and 1.2 are spoken here")
		e.Version = true
		return 0, e
	}
	return best, nil
}

// parseBeats reads the client's heart-beat: what it can send and what it wants, in milliseconds.
func parseBeats(value string) (out, in time.Duration, fail *Error) {
	if value == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(value, ",")
	x, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 31)
	y, err2 := strconv.ParseUint(strings.TrimSpace(b), 10, 31)
	if err1 != nil || err2 != nil {
		return 0, 0, breach("heart-beat must be two numbers of milliseconds, for example 10000,10000")
	}
	return time.Duration(x) * time.Millisecond, time.Duration(y) * time.Millisecond, nil
}

// agree is how often one side beats: the slower of the two, or never if one of them does not want it.
func agree(ours, theirs time.Duration) time.Duration {
	if ours == 0 || theirs == 0 {
		return 0
	}
	return max(ours, theirs)
}

func (s *Session) receipt(id string, sink Sink) {
	if id == "" {
		return
	}
	dst := AppendCommand(scratch(), Receipt)
	dst = AppendHeader(dst, s.version, "receipt-id", id)
	s.emit(AppendBody(dst, Receipt, nil), sink)
}

// AppendError appends the ERROR frame that says why the connection ends.
func (s *Session) AppendError(dst []byte, e *Error) []byte {
	dst = AppendCommand(dst, Failure)
	dst = AppendHeader(dst, s.version, "message", e.Message)
	if e.Version {
		dst = AppendHeader(dst, s.version, "version", "1.0,1.1,1.2")
	}
	if e.Receipt != "" {
		dst = AppendHeader(dst, s.version, "receipt-id", e.Receipt)
	}
	dst = AppendHeaderInt(dst, "close-code", int64(e.Close))
	dst = AppendHeader(dst, s.version, "content-type", "text/plain")
	return AppendBody(dst, Failure, append([]byte(e.Message), '\n'))
}

// Pending is a RECEIPT that is due when something has been carried out, and the COMMIT that waits for it.
type Pending struct {
	id     string
	left   int
	failed bool
	then   *Pending
}

// NewPending is a receipt that waits for one thing; nil if there is nothing to be told. then waits for it too.
func NewPending(id string, then *Pending) *Pending {
	if id == "" && then == nil {
		return nil
	}
	return &Pending{id: id, left: 1, then: then}
}

// Receipt is the receipt's id; empty: none was asked for.
func (p *Pending) Receipt() string {
	if p == nil {
		return ""
	}
	return p.id
}

// Done says that one thing has been carried out for good; the last one sends the RECEIPT.
func (p *Pending) Done(s *Session, sink Sink) {
	if p == nil {
		return
	}
	if p.left--; p.left > 0 {
		return
	}
	if !p.failed && s.state == Open {
		s.receipt(p.id, sink)
	}
	if p.failed {
		p.then.Fail(s, sink)
	} else {
		p.then.Done(s, sink)
	}
}

// Fail says that one thing was refused: there will be no RECEIPT.
func (p *Pending) Fail(s *Session, sink Sink) {
	if p == nil {
		return
	}
	p.failed = true
	p.Done(s, sink)
}

func tooMany(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Close: wire.ClosePolicyViolation}
}
