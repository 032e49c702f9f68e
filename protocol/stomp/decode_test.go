package stomp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lectern/protocol/wire"
)

// read gives stream to a Decoder, cut as cut says, and writes down what comes out. Pieces are overwritten after use.
func read(stream []byte, v Version, limits *Limits, cut func(left int) int) string {
	d := NewDecoder(limits)
	d.SetVersion(v)
	var out strings.Builder
	for len(stream) > 0 {
		n := cut(len(stream))
		piece := bytes.Clone(stream[:n])
		stream = stream[n:]
		fail := d.Feed(piece, func(f *Frame) *Error {
			fmt.Fprintf(&out, "%s %q %q\n", f.Command, f.Headers, f.Body)
			return nil
		})
		if fail != nil {
			fmt.Fprintf(&out, "fault %d: %s", fail.Close, fail.Message)
			return out.String()
		}
		for i := range piece {
			piece[i] = 0xaa
		}
	}
	if d.Buffered() > 0 {
		out.WriteString("more is awaited")
	}
	return out.String()
}

func whole(left int) int { return left }
func bytewise(int) int   { return 1 }

func TestFramesAreRead(t *testing.T) {
	const send = `SEND [{"destination" "/app/x"}] `
	for _, tt := range []struct {
		name, in string
		version  Version
		want     string
	}{
		{"body up to NUL", "SEND\ndestination:/app/x\n\nhello\x00", V12, send + "\"hello\"\n"},
		{"line ends between", "\n\r\nSEND\ndestination:/app/x\n\n\x00\n\n\r\n", V12, send + "\"\"\n"},
		{"CR LF", "SEND\r\ndestination:/app/x\r\n\r\nhi\x00", V12, send + "\"hi\"\n"},
		{"CR LF in 1.1", "SEND\r\ndestination:/app/x\r\n\r\nhi\x00", V11, send + "\"hi\"\n"},
		{
			"NUL in a counted body", "SEND\ncontent-length:3\n\na\x00b\x00", V12,
			"SEND [{\"content-length\" \"3\"}] \"a\\x00b\"\n",
		},
		{
			"two frames", "BEGIN\ntransaction:t\n\n\x00COMMIT\ntransaction:t\n\n\x00", V12,
			"BEGIN [{\"transaction\" \"t\"}] \"\"\nCOMMIT [{\"transaction\" \"t\"}] \"\"\n",
		},
		{
			"escapes of 1.2", `SEND` + "\n" + `a\cb:x\ny\\z\r` + "\n\n\x00", V12,
			"SEND [{\"a:b\" \"x\\ny\\\\z\\r\"}] \"\"\n",
		},
		{"a value's colon", "SEND\na:b:c\n\n\x00", V12, "SEND [{\"a\" \"b:c\"}] \"\"\n"},
		{"no escapes in 1.0", `SEND` + "\n" + ` a : \q ` + "\n\n\x00", V10, "SEND [{\"a\" \"\\\\q\"}] \"\"\n"},
		{
			"no escapes in CONNECT", `CONNECT` + "\n" + `login:a\nb` + "\n\n\x00", V12,
			"CONNECT [{\"login\" \"a\\\\nb\"}] \"\"\n",
		},
		{"no fault in 1.1", `SEND` + "\n" + `a:\r\c\` + "\n\n\x00", V11, "SEND [{\"a\" \"\\\\r:\\\\\"}] \"\"\n"},
		{"blanks count from 1.1 on", "SEND\na: b \n\n\x00", V11, "SEND [{\"a\" \" b \"}] \"\"\n"},
		{"an empty value", "SEND\na:\n\n\x00", V12, "SEND [{\"a\" \"\"}] \"\"\n"},
		{"the rest to come", "SEND\na:b\n\nhel", V12, "more is awaited"},
		{"a lone CR at the end", "\r", V12, "more is awaited"},
	} {
		for cutName, cut := range map[string]func(int) int{"whole": whole, "bytewise": bytewise} {
			if got := read([]byte(tt.in), tt.version, &DefaultLimits, cut); got != tt.want {
				t.Errorf("%s (%s): got\n%s\nnot\n%s", tt.name, cutName, got, tt.want)
			}
		}
	}
}

func TestFaultyFramesAreRefused(t *testing.T) {
	limits := DefaultLimits
	limits.HeadersMax, limits.HeadBytesMax, limits.BodyBytesMax = 3, 64, 16
	for _, tt := range []struct {
		name, in string
		version  Version
		want     string
	}{
		{"an unknown command", "send\n\n\x00", V12, "fault 1002: a frame begins with a command"},
		{"no colon", "SEND\nnothing\n\n\x00", V12, "fault 1002: a header is not of the form"},
		{"no name", "SEND\n:x\n\n\x00", V12, "fault 1002: a header is not of the form"},
		{"an unknown escape", "SEND\na:\\t\n\n\x00", V12, "fault 1002: a header holds an escape"},
		{"half an escape", "SEND\na:\\\n\n\x00", V12, "fault 1002: a header holds an escape"},
		{"a bare CR", "SEND\na:b\rc\n\n\x00", V12, "fault 1002: a header holds a bare carriage return"},
		{"CR between frames", "\rSEND\n\n\x00", V12, "fault 1002: a carriage return without"},
		{"NUL in the head", "SEND\na:b\x00", V12, "fault 1002: a NUL stands in the headers"},
		{"too many headers", "SEND\na:b\na:b\na:b\na:b\n\n\x00", V12, "fault 1002: a frame has more than 3 headers"},
		{"a long head", "SEND\na:" + strings.Repeat("b", 64) + "\n\n\x00", V12, "fault 1002: the headers of a frame are"},
		{"a long body", "SEND\n\n" + strings.Repeat("b", 17) + "\x00", V12, "fault 1009: a body is longer than 16 bytes"},
		{"a body that never ends", "SEND\n\n" + strings.Repeat("b", 17), V12, "fault 1009: a body is longer than 16 bytes"},
		{"a long counted body", "SEND\ncontent-length:17\n\n", V12, "fault 1009: a body is longer than 16 bytes"},
		{"a huge count", "SEND\ncontent-length:9999999999\n\n", V12, "fault 1002: content-length must be"},
		{"no number", "SEND\ncontent-length:-1\n\n", V12, "fault 1002: content-length must be"},
		{"an empty count", "SEND\ncontent-length:\n\n", V12, "fault 1002: content-length must be"},
		{"a short count", "SEND\ncontent-length:1\n\nab\x00", V12, "fault 1002: no NUL follows the body"},
		{"a body where none may be", "ACK\nid:1\n\nx\x00", V12, "fault 1002: ACK must not have a body"},
		{"a counted one", "ACK\ncontent-length:1\n\nx\x00", V12, "fault 1002: ACK must not have a body"},
		{"not UTF-8", "SEND\na:\xff\n\n\x00", V12, "fault 1007: the headers of a frame are not UTF-8"},
	} {
		for cutName, cut := range map[string]func(int) int{"whole": whole, "bytewise": bytewise} {
			if got := read([]byte(tt.in), tt.version, &limits, cut); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s (%s): %q, not %q", tt.name, cutName, got, tt.want)
			}
		}
	}
}

func TestTheFirstOfSeveralHeadersCounts(t *testing.T) {
	f := &Frame{Headers: []Header{{"a", "1"}, {"b", ""}, {"a", "2"}}}
	if f.Get("a") != "1" || f.Get("c") != "" {
		t.Error(f.Get("a"), f.Get("c"))
	}
	if _, ok := f.Find("b"); !ok {
		t.Error("an empty header is taken for a missing one")
	}
}

// However a stream is cut, the same comes out of it, and nothing that is kept lies in borrowed memory.
func FuzzDecoderSplits(f *testing.F) {
	for _, in := range []string{
		"CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\x00", "\r\n\nSEND\r\na:b\r\n\r\nbody\x00\n",
		"SEND\ncontent-length:4\n\n\x00\x00\x00\x00\x00MESSAGE\na\\cb:\\n\\r\\\\\n\nx\x00", "ACK\nid:1\n\nx\x00", "\r\r",
		"SEND\na:b\r\r\n\n\x00", "NACK\n\n\x00\r", "SEND\ncontent-length:2\n\nabc\x00", "ERROR\n\n",
	} {
		f.Add([]byte(in), uint8(3), uint64(1))
	}
	limits := &Limits{HeadersMax: 8, HeadBytesMax: 256, BodyBytesMax: 64}
	f.Fuzz(func(t *testing.T, stream []byte, version uint8, seed uint64) {
		v := Version(version % 4)
		rnd := rand.New(rand.NewPCG(seed, 7))
		want := read(stream, v, limits, whole)
		for _, cut := range []func(int) int{bytewise, func(left int) int { return 1 + rnd.IntN(min(left, 9)) }} {
			if got := read(stream, v, limits, cut); got != want {
				t.Errorf("%q cut into pieces gives\n%s\nnot\n%s", stream, got, want)
			}
		}
	})
}

// What is written is read again as it was.
func FuzzFramesComeBack(f *testing.F) {
	f.Add("name", "value", []byte("body"), uint8(3))
	f.Add("a:b\n", "\\\r:", []byte{0, 1, 0}, uint8(3))
	f.Add("a:b\n", "\\:", []byte(nil), uint8(2))
	f.Fuzz(func(t *testing.T, name, value string, body []byte, version uint8) {
		v := Version(version%3) + V10
		name, value = strings.ToValidUTF8(name, "?"), strings.ToValidUTF8(value, "?")
		if name == "" || name == "content-length" || len(name)+len(value) > 1000 || len(body) > 1000 {
			return
		}
		frame := AppendCommand(nil, Send)
		frame = AppendHeader(frame, v, name, value)
		frame = AppendBody(frame, Send, body)
		if v < V12 { // what the version can't say becomes a blank
			name, value = strings.ReplaceAll(name, "\r", " "), strings.ReplaceAll(value, "\r", " ")
		}
		name, value = strings.ReplaceAll(name, "\x00", " "), strings.ReplaceAll(value, "\x00", " ")
		if v == V10 {
			name, value = strings.NewReplacer("\n", " ", ":", " ").Replace(name), strings.ReplaceAll(value, "\n", " ")
			if name, value = strings.TrimSpace(name), strings.TrimSpace(value); name == "" || name == "content-length" {
				return
			}
		}
		d := NewDecoder(&DefaultLimits)
		d.SetVersion(v)
		frames := 0
		fail := d.Feed(frame, func(f *Frame) *Error {
			frames++
			if f.Headers[0] != (Header{name, value}) || !bytes.Equal(f.Body, body) {
				t.Errorf("%s: wrote %q %q %q, read %q %q", v, name, value, body, f.Headers, f.Body)
			}
			return nil
		})
		if fail != nil || frames != 1 || d.Buffered() != 0 {
			t.Errorf("%s: %q: %v, %d frames", v, frame, fail, frames)
		}
	})
}

func TestDestinations(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Target
		ok   bool
	}{
		{"/topic/room.r1", Target{RoomTopic, "r1"}, true},
		{"/topic/room.a.b:c-d_e", Target{RoomTopic, "a.b:c-d_e"}, true},
		{"/topic/room.*", Target{Kind: AllRooms}, true},
		{"/topic/room.", Target{Kind: RoomTopic}, false},
		{"/topic/room.r*", Target{RoomTopic, "r*"}, false},
		{"/topic/rooms", Target{}, false},
		{"/queue/replies", Target{}, false},
		{"/user/queue/", Target{}, false},
		{"/user/queue/replies", Target{UserQueue, QueueReplies}, true},
		{"/user/queue/quiz.rank", Target{UserQueue, "quiz:rank"}, true},
		{"/user/queue/quiz:rank", Target{UserQueue, "quiz:rank"}, true},
		{"/user/queue/*", Target{UserQueue, QueueAll}, true},
		{"", Target{}, false},
	} {
		got, ok := ParseTarget(tt.in)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q is %+v %v", tt.in, got, ok)
		}
	}
	for op := wire.OpNone + 1; int(op) < wire.OpCount; op++ {
		if got, ok := ParseApp(AppDestination(op)); !ok || got != op {
			t.Errorf("%s is sent to %s, which is %s", op, AppDestination(op), got)
		}
	}
	if op, ok := ParseApp("/app/nothing"); !ok || op != wire.OpNone {
		t.Error("an unknown op is", op, ok)
	}
	if _, ok := ParseApp("/topic/room.r"); ok {
		t.Error("a topic is taken for an op")
	}
	replies, rank, all := Target{UserQueue, QueueReplies}, Target{UserQueue, "quiz:rank"}, Target{UserQueue, QueueAll}
	if !replies.Replies() || replies.Gets("quiz:rank") || rank.Replies() || !rank.Gets("quiz:rank") ||
		rank.Gets("notify") || !all.Replies() || !all.Gets("notify") {
		t.Error("queues get what is not theirs")
	}
}
