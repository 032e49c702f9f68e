package scenario

import (
	"strconv"
	"strings"
	"sync/atomic"
)

// adaptor is how one kind of server is spoken to. Its methods only build and read bytes, so one value serves all
// engines.
type adaptor interface {
	subprotocol() string
	// path is what a member's handshake asks for. Without a name the member signs in with a token.
	path(base, name, room string) string
	// appendJoin appends the request, with id 1, that makes a member of the room; none is needed if it returns dst as
	// it is.
	appendJoin(dst []byte, room string) []byte
	// appendPublish appends the request that sends text (plain ASCII without quotes) to all members.
	appendPublish(dst []byte, room string, id uint64, text []byte) []byte
	// needsJoin is true when a member is ready only after join's answer; otherwise with the handshake.
	needsJoin() bool
	// appendEcho appends the request that brings t0 (nanoseconds) back.
	appendEcho(dst []byte, id uint64, t0 int64) []byte
	// read handles a frame of an adaptor that is not structured: the texts in it, its pings, and the joining.
	read(w *worker, m *member, payload []byte, now int64)
	// structured is true when the server's frames are lectern.v1 messages; otherwise a frame is a published text.
	structured() bool
	// quoteBytes is what JSON adds to a published text.
	quoteBytes() int
}

// publishEvent is the name under which fanout publishes.
const publishEvent = "bench"

func newAdaptor(name string) (adaptor, error) {
	switch name {
	case "lectern":
		return lecternAdaptor{}, nil
	case "raw":
		return rawAdaptor{}, nil
	case "socketio":
		return socketioAdaptor{lectern: new(atomic.Bool)}, nil
	case "centrifuge":
		return centrifugeAdaptor{}, nil
	case "stomp":
		return stompAdaptor{}, nil
	}
	return nil, usage("no adaptor %q: use lectern, raw, socketio, centrifuge or stomp", name)
}

type lecternAdaptor struct{}

func (lecternAdaptor) subprotocol() string { return "lectern.v1" }
func (lecternAdaptor) structured() bool    { return true }
func (lecternAdaptor) quoteBytes() int     { return 2 }
func (lecternAdaptor) needsJoin() bool     { return true }

func (lecternAdaptor) read(*worker, *member, []byte, int64) {}

func (lecternAdaptor) appendEcho(dst []byte, id uint64, t0 int64) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"op":"time:sync","data":{"t0":`...)
	dst = strconv.AppendInt(dst, t0, 10)
	return append(dst, "}}"...)
}

func (lecternAdaptor) path(base, name, _ string) string {
	if base == "" {
		base = "/ws"
	}
	if name == "" {
		return base
	}
	return withQuery(base, "guest="+name)
}

func (lecternAdaptor) appendJoin(dst []byte, room string) []byte {
	return appendRequest(dst, 1, "room:join", room, "")
}

func (lecternAdaptor) appendPublish(dst []byte, room string, id uint64, text []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"op":"room:publish","room":"`...)
	dst = append(dst, room...)
	dst = append(dst, `","data":{"event":"`+publishEvent+`","payload":"`...)
	dst = append(dst, text...)
	return append(dst, `"}}`...)
}

// rawAdaptor speaks to the bare prototype and the simple peers: the room is in the path, a text frame that begins with
// P goes to everybody, one that begins with E comes back.
type rawAdaptor struct{}

func (rawAdaptor) subprotocol() string { return "" }
func (rawAdaptor) structured() bool    { return false }
func (rawAdaptor) quoteBytes() int     { return 0 }
func (rawAdaptor) needsJoin() bool     { return false }

func (rawAdaptor) read(w *worker, m *member, payload []byte, now int64) { w.play.text(m, payload, now) }

func (rawAdaptor) appendEcho(dst []byte, _ uint64, t0 int64) []byte {
	return strconv.AppendInt(append(dst, 'E'), t0, 10)
}

func (rawAdaptor) path(base, _, room string) string {
	if base == "" {
		base = "/raw"
	}
	return withQuery(base, "room="+room)
}

func (rawAdaptor) appendJoin(dst []byte, _ string) []byte { return dst }

func (rawAdaptor) appendPublish(dst []byte, _ string, _ uint64, text []byte) []byte {
	return append(dst, text...)
}

// appendRequest appends a lectern.v1 request; room and data (raw JSON) may be empty.
func appendRequest(dst []byte, id uint64, op, room, data string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"op":"`...)
	dst = append(dst, op...)
	dst = append(dst, '"')
	if room != "" {
		dst = append(dst, `,"room":"`...)
		dst = append(dst, room...)
		dst = append(dst, '"')
	}
	if data != "" {
		dst = append(dst, `,"data":`...)
		dst = append(dst, data...)
	}
	return append(dst, '}')
}

func withQuery(path, query string) string {
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

// letters stand for the digits in names and chat texts: without vowels, digits and look-alikes no word filter
// and no check for confusable names finds anything in them.
const letters = "bdghjkrtxz"

func appendLetters(dst []byte, n uint64, width int) []byte {
	start := len(dst)
	for i := 0; i < width || n > 0; i++ {
		dst = append(dst, letters[n%10])
		n /= 10
	}
	for i, j := start, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

// readLetters is the inverse of appendLetters; ok is false when b holds anything else.
func readLetters(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		digit := strings.IndexByte(letters, c)
		if digit < 0 {
			return 0, false
		}
		n = n*10 + uint64(digit)
	}
	return n, len(b) > 0
}
