package stomp

import (
	"slices"
	"strconv"

	"lectern/protocol/wire"
)

// AckMode is when a message counts as taken.
type AckMode uint8

// The modes.
const (
	AckAuto   AckMode = iota // when it is sent
	AckClient                // when it, or a later one of the subscription, is acknowledged
	AckEach                  // client-individual: when it is acknowledged itself
)

// Subscription is one SUBSCRIBE.
type Subscription struct {
	ID     string // empty in 1.0 if the client gave none
	Target Target
	Mode   AckMode
	// Room and Own are the Sink's: the room's id where Target names it by PIN, and what tells the subscription's frames
	// apart from those of others.
	Room, Own string
	// Welcome is the Sink's too: the first message, which nothing may precede, has been sent.
	Welcome bool

	destination string
	unacked     []*Delivery
}

// Delivery is a message of a user's queue on its way. It must not be changed once it has been given to Deliver.
type Delivery struct {
	ID         string   // message-id, the same each time it is delivered
	Headers    []Header // without subscription, message-id, ack, redelivered and content-length
	Event      string   // for Target.Gets; empty: an answer
	Body       []byte
	Deliveries int // so far

	ack uint64
}

// bytes is what it counts for.
func (d *Delivery) bytes() int {
	n := len(d.ID) + len(d.Body)
	for _, h := range d.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

// Bytes is what the message counts for in limits.
func (d *Delivery) Bytes() int { return d.bytes() }

// For is true if the message belongs to a queue.
func (d *Delivery) For(t Target) bool {
	if d.Event == "" {
		return t.Replies()
	}
	return t.Gets(d.Event)
}

func (s *Session) subscribe(f *Frame, sink Sink) *Error {
	destination, id := f.Get("destination"), f.Get("id")
	target, ok := ParseTarget(destination)
	switch {
	case !ok:
		return breach("SUBSCRIBE needs a destination: /topic/room.R, /topic/room.*, /user/queue/replies, " +
			"/user/queue/events, or /user/queue/ and the dotted name of an event")
	case id == "" && s.version != V10:
		return breach("SUBSCRIBE needs the header id")
	case s.find(id, destination) >= 0:
		return breach("there is a subscription with this id already")
	case len(s.subs) >= s.limits.SubscriptionsMax:
		return tooMany("a connection may have %d subscriptions", s.limits.SubscriptionsMax)
	}
	sub := &Subscription{ID: id, Target: target, Room: target.Name, destination: destination}
	switch f.Get("ack") {
	case "", "auto":
	case "client":
		sub.Mode = AckClient
	case "client-individual":
		sub.Mode = AckEach
	default:
		return breach("ack must be auto, client or client-individual")
	}
	s.subs = append(s.subs, sub)
	return sink.Subscribe(sub, f, NewPending(f.Get("receipt"), nil))
}

// find is the place of a subscription in the list: by id, or in 1.0 by destination where none was given.
func (s *Session) find(id, destination string) int {
	return slices.IndexFunc(s.subs, func(sub *Subscription) bool {
		return sub.ID == id && (id != "" || sub.destination == destination)
	})
}

func (s *Session) unsubscribe(f *Frame, sink Sink) *Error {
	at := s.find(f.Get("id"), f.Get("destination"))
	if at < 0 {
		return breach("UNSUBSCRIBE names no subscription of this connection")
	}
	sub := s.subs[at]
	s.subs = slices.Delete(s.subs, at, at+1)
	for _, d := range sub.unacked {
		s.forget(d)
	}
	left := sub.unacked
	sub.unacked = nil
	sink.Unsubscribe(sub, left)
	s.receipt(f.Get("receipt"), sink)
	return nil
}

// Deliver sends a message of a user's queue to one subscription, and holds it until it is acknowledged if the
// subscription asks for that. Only an open session takes it. An error means that too many are not acknowledged.
func (s *Session) Deliver(sub *Subscription, d *Delivery, sink Sink) *Error {
	if s.state != Open {
		return nil
	}
	if sub.Mode == AckAuto {
		s.say(sub, d, 0, sink)
		return nil
	}
	own := *d // what is delivered twice is acknowledged twice
	if s.unacked >= s.limits.UnackedMax || s.unackedBytes+own.bytes() > s.limits.UnackedBytesMax {
		return &Error{
			Message: "too many messages are not acknowledged: send ACK for each, or subscribe with ack:auto",
			Close:   wire.CloseSlowConsumer,
		}
	}
	s.unacked++
	s.unackedBytes += own.bytes()
	s.hand(sub, &own, sink)
	sub.unacked = append(sub.unacked, &own)
	return nil
}

// hand sends a message under a new number for its ACK.
func (s *Session) hand(sub *Subscription, d *Delivery, sink Sink) {
	s.nextAck++
	d.ack = s.nextAck
	s.say(sub, d, d.ack, sink)
	d.Deliveries++
}

func (s *Session) say(sub *Subscription, d *Delivery, ack uint64, sink Sink) {
	dst := AppendCommand(scratch(), Message)
	dst = AppendIdentity(dst, s.version, sub, d.ID)
	if ack != 0 && s.version == V12 {
		dst = AppendHeaderInt(dst, "ack", int64(ack))
	}
	if d.Deliveries > 0 {
		dst = AppendHeader(dst, s.version, "redelivered", "true")
	}
	for _, h := range d.Headers {
		dst = AppendHeader(dst, s.version, h.Name, h.Value)
	}
	s.emit(AppendBody(dst, Message, d.Body), sink)
}

// AppendIdentity appends the headers subscription and message-id.
func AppendIdentity(dst []byte, v Version, sub *Subscription, messageID string) []byte {
	if sub.ID != "" {
		dst = AppendHeader(dst, v, "subscription", sub.ID)
	}
	return AppendHeader(dst, v, "message-id", messageID)
}

// acknowledge carries out ACK and NACK. One that names no message that waits is ignored: the messages of topics need
// none, and an ACK may cross a redelivery.
func (s *Session) acknowledge(f *Frame, sink Sink) *Error {
	by := "message-id"
	if s.version == V12 {
		by = "id"
	}
	id := f.Get(by)
	if id == "" {
		return breach(f.Command.String() + " needs the header " + by + " of the message that it answers")
	}
	if f.Command == Nack && s.version == V10 {
		return breach("STOMP 1.0 has no NACK")
	}
	sub, at := s.awaiting(id, f.Get("subscription"))
	if sub == nil {
		return nil
	}
	first := at
	if sub.Mode == AckClient {
		first = 0
	}
	done := slices.Clone(sub.unacked[first : at+1])
	sub.unacked = slices.Delete(sub.unacked, first, at+1)
	if f.Command == Ack {
		for _, d := range done {
			s.forget(d)
		}
		return nil
	}
	for _, d := range done {
		if d.Deliveries >= s.limits.DeliveriesMax {
			s.forget(d)
			sink.Dropped(d)
			continue
		}
		s.hand(sub, d, sink)
		sub.unacked = append(sub.unacked, d)
	}
	return nil
}

// awaiting finds a message that waits for its ACK. In 1.1 the subscription narrows the search, if it is given.
func (s *Session) awaiting(id, subscription string) (*Subscription, int) {
	number := uint64(0)
	if s.version == V12 {
		number, _ = strconv.ParseUint(id, 10, 64)
	}
	for _, sub := range s.subs {
		if s.version == V11 && subscription != "" && sub.ID != subscription {
			continue
		}
		at := slices.IndexFunc(sub.unacked, func(d *Delivery) bool {
			if s.version == V12 {
				return d.ack == number
			}
			return d.ID == id
		})
		if at >= 0 {
			return sub, at
		}
	}
	return nil, 0
}

func (s *Session) forget(d *Delivery) {
	s.unacked--
	s.unackedBytes -= d.bytes()
}

// Unacknowledged takes the messages that nobody acknowledged out of the session, in the order in which they were first
// delivered to their subscriptions: for the user's next connection.
func (s *Session) Unacknowledged() []*Delivery {
	var left []*Delivery
	for _, sub := range s.subs {
		for _, d := range sub.unacked {
			s.forget(d)
			if !slices.ContainsFunc(left, func(other *Delivery) bool { return other.ID == d.ID }) {
				left = append(left, d)
			}
		}
		sub.unacked = nil
	}
	return left
}
