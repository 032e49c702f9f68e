package stomp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// desk is a Sink that writes down what it is asked and what is sent.
type desk struct {
	session *Session
	log     []string
	held    []*Pending // of SENDs that are not carried out yet
	hold    bool       // SENDs wait
	refuse  bool       // SENDs are refused
	noUser  bool
	most    int // frames that Admit lets through, if it is set
	asked   int
}

func (d *desk) note(format string, args ...any) { d.log = append(d.log, fmt.Sprintf(format, args...)) }

// Frame notes a frame as one line: command, headers, body.
func (d *desk) Frame(frame []byte) {
	text := strings.TrimSuffix(string(frame), "\x00")
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "|")
	d.note("> %s", text)
}

func (d *desk) SignIn(f *Frame) (string, *Error) {
	if d.noUser {
		return "", breach("who is it?")
	}
	return f.Get("login"), nil
}

func (d *desk) Admit(*Frame) *Error {
	d.asked++
	if d.most > 0 && d.asked > d.most {
		return breach("slow down")
	}
	return nil
}

func (d *desk) Subscribe(s *Subscription, _ *Frame, p *Pending) *Error {
	d.note("subscribe %s %d", s.Target.Name, s.Mode)
	p.Done(d.session, d)
	return nil
}

func (d *desk) Unsubscribe(s *Subscription, unacked []*Delivery) {
	d.note("unsubscribe %s %d", s.Target.Name, len(unacked))
}

func (d *desk) Send(f *Frame, p *Pending) {
	d.note("send %s %s", f.Get("destination"), f.Body)
	switch {
	case d.hold:
		d.held = append(d.held, p)
	case d.refuse:
		p.Fail(d.session, d)
	default:
		p.Done(d.session, d)
	}
}

func (d *desk) Dropped(m *Delivery) { d.note("dropped %s", m.ID) }
func (d *desk) Bye()                { d.note("bye") }

func newDesk(limits Limits) *desk {
	return &desk{session: NewSession(&limits, 10*time.Second)}
}

// say feeds frames, written with | for line ends; the NUL is added.
func (d *desk) say(frames ...string) *Error {
	for _, f := range frames {
		if fail := d.session.Feed([]byte(strings.ReplaceAll(f, "|", "\n")+"\x00"), d); fail != nil {
			return fail
		}
	}
	return nil
}

// opened is a desk with a session of version.
func opened(t *testing.T, limits Limits, version string) *desk {
	t.Helper()
	d := newDesk(limits)
	if fail := d.say("CONNECT|login:ada|accept-version:" + version + "||"); fail != nil {
		t.Fatal(fail)
	}
	d.log = nil
	return d
}

func (d *desk) expect(t *testing.T, want ...string) {
	t.Helper()
	if got, want := strings.Join(d.log, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("got\n%s\nnot\n%s", got, want)
	}
	d.log = nil
}

func TestConnecting(t *testing.T) {
	for _, tt := range []struct {
		in, want     string
		send, expect time.Duration
	}{
		{"CONNECT||", "1.0", 0, 0},
		{"STOMP|accept-version:1.1,1.0||", "1.1", 0, 0},
		{"CONNECT|accept-version:1.0, 1.2,2.0|heart-beat:20000,5000||", "1.2", 10 * time.Second, 20 * time.Second},
		{"CONNECT|accept-version:1.2|heart-beat:0,60000||", "1.2", time.Minute, 0},
	} {
		d := newDesk(DefaultLimits)
		if fail := d.say(tt.in); fail != nil {
			t.Errorf("%q: %v", tt.in, fail)
			continue
		}
		d.expect(t, "> CONNECTED|version:"+tt.want+"|heart-beat:10000,10000|server:lectern|user-name:|")
		if send, expect := d.session.Beats(); send != tt.send || expect != tt.expect || d.session.State() != Open {
			t.Errorf("%q: beats %v and %v, %s", tt.in, send, expect, d.session.State())
		}
	}
	for in, want := range map[string]string{
		"CONNECT|accept-version:2.0||": "no common version",
		"CONNECT|heart-beat:1||":       "heart-beat must be two numbers",
		"CONNECT|heart-beat:-1,0||":    "heart-beat must be two numbers",
		"SEND|destination:/app/x||":    "the first frame must be CONNECT",
	} {
		d := newDesk(DefaultLimits)
		fail := d.say(in)
		if fail == nil || !strings.HasPrefix(fail.Message, want) || d.session.State() != Closed {
			t.Errorf("%q: %v", in, fail)
		}
		if fail := d.say("SEND|destination:/app/x||"); fail != nil || d.log != nil {
			t.Errorf("%q: after the fault the session goes on: %v %v", in, fail, d.log)
		}
	}
}

// The whole life of a session, as a transcript.
func TestTranscript(t *testing.T) {
	d := opened(t, DefaultLimits, "1.2")
	must := func(frames ...string) {
		t.Helper()
		if fail := d.say(frames...); fail != nil {
			t.Fatal(fail)
		}
	}
	must("SUBSCRIBE|id:a|destination:/topic/room.r|receipt:r1||")
	d.expect(t, "subscribe r 0", "> RECEIPT|receipt-id:r1|")
	must("SUBSCRIBE|id:q|destination:/user/queue/*|ack:client||")
	d.expect(t, "subscribe * 1")
	must("SEND|destination:/app/chat.send|receipt:r2||{}")
	d.expect(t, "send /app/chat.send {}", "> RECEIPT|receipt-id:r2|")
	queue := d.session.Subscriptions()[1]
	for _, id := range []string{"m1", "m2", "m3"} {
		if fail := d.session.Deliver(queue, &Delivery{ID: id, Body: []byte(id)}, d); fail != nil {
			t.Fatal(fail)
		}
	}
	d.expect(t, "> MESSAGE|subscription:q|message-id:m1|ack:1|content-length:2||m1",
		"> MESSAGE|subscription:q|message-id:m2|ack:2|content-length:2||m2",
		"> MESSAGE|subscription:q|message-id:m3|ack:3|content-length:2||m3")
	must("ACK|id:1||", "NACK|id:2|receipt:n||", "ACK|id:2||", "ACK|id:nonsense||")
	d.expect(t, "> MESSAGE|subscription:q|message-id:m2|ack:4|redelivered:true|content-length:2||m2",
		"> RECEIPT|receipt-id:n|")
	must("UNSUBSCRIBE|id:q|receipt:u||")
	d.expect(t, "unsubscribe * 2", "> RECEIPT|receipt-id:u|")
	must("BEGIN|transaction:t|receipt:b||", "SEND|transaction:t|destination:/app/x|receipt:s||1",
		"SEND|transaction:t|destination:/app/y||2")
	d.expect(t, "> RECEIPT|receipt-id:b|")
	must("COMMIT|transaction:t|receipt:c||")
	d.expect(t, "send /app/x 1", "> RECEIPT|receipt-id:s|", "send /app/y 2", "> RECEIPT|receipt-id:c|")
	must("BEGIN|transaction:t||", "SEND|transaction:t|destination:/app/x|receipt:s||1", "ABORT|transaction:t|receipt:a||")
	d.expect(t, "> RECEIPT|receipt-id:a|")
	must("DISCONNECT|receipt:bye||", "SEND|destination:/app/x||")
	d.expect(t, "> RECEIPT|receipt-id:bye|", "bye")
}

// A receipt comes when what it is for is carried out for good, and never if that is refused.
func TestReceiptsWait(t *testing.T) {
	d := opened(t, DefaultLimits, "1.2")
	d.hold = true
	if fail := d.say("SEND|destination:/app/x|receipt:1||", "BEGIN|transaction:t||",
		"SEND|transaction:t|destination:/app/y|receipt:2||", "SEND|transaction:t|destination:/app/z||",
		"COMMIT|transaction:t|receipt:3||"); fail != nil {
		t.Fatal(fail)
	}
	d.expect(t, "send /app/x ", "send /app/y ", "send /app/z ")
	d.held[0].Done(d.session, d)
	d.expect(t, "> RECEIPT|receipt-id:1|")
	d.held[2].Done(d.session, d)
	d.expect(t)
	d.held[1].Done(d.session, d)
	d.expect(t, "> RECEIPT|receipt-id:2|", "> RECEIPT|receipt-id:3|")
	d.held, d.hold, d.refuse = nil, false, true
	if fail := d.say("SEND|destination:/app/x|receipt:1||", "BEGIN|transaction:t||",
		"SEND|transaction:t|destination:/app/y|receipt:2||", "COMMIT|transaction:t|receipt:3||"); fail != nil {
		t.Fatal(fail)
	}
	d.expect(t, "send /app/x ", "send /app/y ")
}

func TestWhatEndsASession(t *testing.T) {
	small := DefaultLimits
	small.SubscriptionsMax, small.TransactionsMax, small.TransactionFramesMax, small.TransactionBytesMax = 2, 1, 2, 100
	for _, tt := range []struct {
		frames []string
		want   string
	}{
		{[]string{"CONNECT||"}, "this connection is connected already"},
		{[]string{"MESSAGE||"}, "MESSAGE is for servers"},
		{[]string{"SUBSCRIBE|id:1|destination:/queue/x||"}, "SUBSCRIBE needs a destination"},
		{[]string{"SUBSCRIBE|destination:/topic/room.r||"}, "SUBSCRIBE needs the header id"},
		{[]string{"SUBSCRIBE|id:1|destination:/topic/room.r|ack:maybe||"}, "ack must be"},
		{
			[]string{"SUBSCRIBE|id:1|destination:/topic/room.r||", "SUBSCRIBE|id:1|destination:/topic/room.s||"},
			"there is a subscription with this id",
		},
		{
			[]string{
				"SUBSCRIBE|id:1|destination:/topic/room.r||", "SUBSCRIBE|id:2|destination:/topic/room.r||",
				"SUBSCRIBE|id:3|destination:/topic/room.r||",
			},
			"a connection may have 2 subscriptions",
		},
		{[]string{"UNSUBSCRIBE|id:1||"}, "UNSUBSCRIBE names no subscription"},
		{[]string{"SEND||"}, "SEND needs the header destination"},
		{[]string{"ACK||"}, "ACK needs the header id"},
		{[]string{"BEGIN||"}, "BEGIN needs the header transaction"},
		{[]string{"BEGIN|transaction:t||", "BEGIN|transaction:t||"}, "there is an open transaction"},
		{[]string{"BEGIN|transaction:t||", "BEGIN|transaction:u||"}, "a connection may have 1 open transactions"},
		{[]string{"COMMIT|transaction:t||"}, "COMMIT names no open transaction"},
		{[]string{"ABORT|transaction:t||"}, "ABORT names no open transaction"},
		{[]string{"SEND|transaction:t|destination:/app/x||"}, "there is no open transaction of this name"},
		{[]string{
			"BEGIN|transaction:t||", "SEND|transaction:t|destination:/app/x||", "SEND|transaction:t|destination:/app/x||",
			"SEND|transaction:t|destination:/app/x|receipt:at-fault||",
		}, "open transactions may hold 2 frames"},
		{[]string{
			"BEGIN|transaction:t||", "SEND|transaction:t|destination:/app/x||" + strings.Repeat("x", 80),
		}, "open transactions may hold 2 frames and 100 bytes"},
	} {
		d := opened(t, small, "1.2")
		fail := d.say(tt.frames...)
		if fail == nil || !strings.HasPrefix(fail.Message, tt.want) || d.session.State() != Closed {
			t.Errorf("%q: %v", tt.frames, fail)
		} else if strings.Contains(tt.frames[len(tt.frames)-1], "at-fault") && fail.Receipt != "at-fault" {
			t.Errorf("the fault names the receipt %q", fail.Receipt)
		}
	}
}

// Every frame can be refused before it costs anything, but for DISCONNECT and what Send judges.
func TestEveryFrameIsAdmitted(t *testing.T) {
	d := opened(t, DefaultLimits, "1.2")
	d.most = 5
	if fail := d.say("SUBSCRIBE|id:1|destination:/topic/room.r||", "UNSUBSCRIBE|id:1||", "SEND|destination:/app/x||",
		"BEGIN|transaction:t||", "SEND|destination:/app/x|transaction:t||", "ACK|id:1||",
		"SEND|destination:/app/x||"); fail != nil || d.asked != 5 {
		t.Fatal(fail, d.asked)
	}
	other := opened(t, DefaultLimits, "1.2")
	other.most, other.asked = 1, 1
	if fail := other.say("DISCONNECT||"); fail != nil {
		t.Error(fail)
	}
	if fail := d.say("COMMIT|transaction:t||"); fail == nil || fail.Message != "slow down" {
		t.Error(fail)
	}
}

// An idle session holds no buffers: neither for what came nor for what went out.
func TestAnIdleSessionHoldsNoBuffers(t *testing.T) {
	d := opened(t, DefaultLimits, "1.2")
	fail := d.say("SUBSCRIBE|id:1|destination:/topic/room.r|receipt:1||", "SEND|destination:/app/x||body")
	if fail != nil {
		t.Fatal(fail)
	}
	if dec := &d.session.decoder; dec.buf != nil || dec.frame.Headers != nil || dec.frame.Body != nil {
		t.Errorf("it holds %d bytes, %d headers", cap(dec.buf), cap(dec.frame.Headers))
	}
	if size := unsafe.Sizeof(Session{}); size > 320 {
		t.Errorf("a session takes %d bytes", size)
	} else {
		t.Logf("a session takes %d bytes, a subscription %d", size, unsafe.Sizeof(Subscription{}))
	}
}

func TestErrorFrames(t *testing.T) {
	d := opened(t, DefaultLimits, "1.2")
	got := d.session.AppendError(nil, &Error{Message: "a: b", Close: 4200, Receipt: "r:1"})
	want := "ERROR\nmessage:a\\c b\nreceipt-id:r\\c1\nclose-code:4200\ncontent-type:text/plain\n" +
		"content-length:5\n\na: b\n\x00"
	if string(got) != want {
		t.Errorf("%q", got)
	}
	_, fail := negotiate(&Frame{Headers: []Header{{"accept-version", "3"}}})
	got = newDesk(DefaultLimits).session.AppendError(nil, fail)
	if !bytes.Contains(got, []byte("\nversion:1.0,1.1,1.2\n")) {
		t.Errorf("%q", got)
	}
}

// In 1.0 a subscription needs no id, and ACK names messages by message-id; there is no NACK.
func TestVersion10(t *testing.T) {
	d := opened(t, DefaultLimits, "1.0")
	if fail := d.say("SUBSCRIBE|destination:/user/queue/events|ack:client||",
		"SUBSCRIBE|destination:/topic/room.r||"); fail != nil {
		t.Fatal(fail)
	}
	d.log = nil
	queue := d.session.Subscriptions()[0]
	_ = d.session.Deliver(queue, &Delivery{ID: "m1"}, d)
	d.expect(t, "> MESSAGE|message-id:m1|content-length:0|")
	if fail := d.say("ACK|message-id:m1||", "UNSUBSCRIBE|destination:/user/queue/events||"); fail != nil {
		t.Fatal(fail)
	}
	d.expect(t, "unsubscribe events 0")
	if fail := d.say("NACK|message-id:m1||"); fail == nil || fail.Message != "STOMP 1.0 has no NACK" {
		t.Error(fail)
	}
}

// Too many messages without an ACK end the session; they are the user's still.
func TestUnacknowledgedAreBounded(t *testing.T) {
	limits := DefaultLimits
	limits.UnackedMax, limits.UnackedBytesMax, limits.DeliveriesMax = 3, 20, 2
	d := opened(t, limits, "1.1")
	if fail := d.say("SUBSCRIBE|id:q|destination:/user/queue/*|ack:client-individual||"); fail != nil {
		t.Fatal(fail)
	}
	queue := d.session.Subscriptions()[0]
	for i := range 3 {
		if fail := d.session.Deliver(queue, &Delivery{ID: fmt.Sprint(i)}, d); fail != nil {
			t.Fatal(fail)
		}
	}
	if fail := d.session.Deliver(queue, &Delivery{ID: "3"}, d); fail == nil || fail.Close != 4300 {
		t.Errorf("a fourth message: %v", fail)
	}
	if fail := d.say("ACK|message-id:0|subscription:q||", "ACK|message-id:1|subscription:other||"); fail != nil {
		t.Fatal(fail)
	}
	if fail := d.session.Deliver(queue, &Delivery{ID: "4", Body: make([]byte, 20)}, d); fail == nil {
		t.Error("too many bytes are held")
	}
	d.log = nil
	if fail := d.say("NACK|message-id:2|subscription:q||", "NACK|message-id:2|subscription:q||"); fail != nil {
		t.Fatal(fail)
	}
	d.expect(t, "> MESSAGE|subscription:q|message-id:2|redelivered:true|content-length:0|", "dropped 2")
	if left := d.session.Unacknowledged(); len(left) != 1 || left[0].ID != "1" || left[0].Deliveries != 1 {
		t.Errorf("left: %+v", left)
	}
	if d.session.unacked != 0 || d.session.unackedBytes != 0 {
		t.Errorf("%d messages, %d bytes are counted after all are gone", d.session.unacked, d.session.unackedBytes)
	}
}

// Whatever bytes come, however they are cut: a session neither panics nor miscounts what it holds, and all that it
// sends can be read.
func FuzzSession(f *testing.F) {
	for i, frames := range [][]string{
		{"SUBSCRIBE|id:q|destination:/user/queue/*|ack:client||", "NACK|id:1|receipt:a||", "ACK|id:2||"},
		{"BEGIN|transaction:t||", "SEND|transaction:t|destination:/app/x||b", "COMMIT|transaction:t||"},
		{
			"SUBSCRIBE|destination:/user/queue/*|ack:client||", "ACK|message-id:m||",
			"UNSUBSCRIBE|destination:/user/queue/*||",
		},
	} {
		stream := strings.ReplaceAll(strings.Join(frames, "\x00"), "|", "\n") + "\x00"
		f.Add(stream, []string{"1.2", "1.1", "1.0"}[i], uint8(9*i))
	}
	limits := Limits{
		HeadersMax: 8, HeadBytesMax: 256, BodyBytesMax: 64, SubscriptionsMax: 3, TransactionsMax: 2, TransactionFramesMax: 3,
		TransactionBytesMax: 128, UnackedMax: 3, UnackedBytesMax: 100, DeliveriesMax: 2,
	}
	f.Fuzz(func(t *testing.T, stream, version string, step uint8) {
		d := &desk{session: NewSession(&limits, time.Second)}
		if d.say("CONNECT|accept-version:"+strings.ToValidUTF8(strings.Map(headerRune, version), "")+"||") != nil {
			return
		}
		for in := []byte(stream); len(in) > 0; {
			n := min(len(in), int(step)+1)
			fail := d.session.Feed(in[:n:n], d)
			in = in[n:]
			for _, sub := range d.session.Subscriptions() {
				if sub.Target.Kind == UserQueue && fail == nil {
					fail = d.session.Deliver(sub, &Delivery{ID: "m", Body: []byte("body")}, d)
				}
			}
			if fail != nil {
				break
			}
		}
		held, heldBytes := 0, 0
		for _, open := range d.session.transactions {
			held += len(open.frames)
			heldBytes += open.bytes
		}
		s := d.session
		if s.heldFrames != held || s.heldBytes != heldBytes || held > limits.TransactionFramesMax ||
			heldBytes > limits.TransactionBytesMax || len(s.subs) > 3 || len(s.transactions) > 2 || s.unacked > 3 {
			t.Errorf("%d frames of %d bytes are held and counted as %d and %d; %d messages wait", held, heldBytes,
				s.heldFrames, s.heldBytes, s.unacked)
		}
		s.Unacknowledged()
		if s.unacked != 0 || s.unackedBytes != 0 {
			t.Errorf("with nothing left, %d messages of %d bytes are counted", s.unacked, s.unackedBytes)
		}
	})
}

// headerRune drops what would end the header.
func headerRune(r rune) rune {
	if r == '\n' || r == '\r' || r == 0 || r == '|' {
		return -1
	}
	return r
}
