package http1

import "strings"

// Stream follows the requests on one connection from byte to byte, for a reader behind it that is laxer than Parse: it
// finds where each request ends, and holds every head to the rules of Parse and every chunked body to RFC 9112 section
// 7.1 to the letter, so that there is one opinion on where the next request begins. Make it with NewStream. It does no
// I/O, keeps no byte of a body, and of a head only while that is incomplete.
type Stream struct {
	limits Limits
	head   []byte // what has come of a head
	left   int64  // bytes of the body or chunk that are still to come
	line   int    // bytes of the line at hand
	total  int    // bytes of all trailers, or of a chunk's size in digits
	state  streamState
	ended  bool // the line's carriage return has come

	headFailed bool
}

type streamState uint8

const (
	atHead      streamState = iota
	inBody                  // of a known length
	atChunkSize             // in the line before a chunk
	inChunk
	afterChunk // in the line end behind a chunk
	inTrailers
	failed
)

// Limits of chunked bodies.
const (
	chunkLineBytesMax = 256 // of a chunk's size with its extensions
	chunkDigitsMax    = 15  // so that a size can't overflow
)

// NewStream is a Stream before the first request.
func NewStream(limits Limits) Stream { return Stream{limits: limits} }

// FailedInHead tells where Feed failed: in a head, which the reader behind must refuse, or in a body.
func (s *Stream) FailedInHead() bool { return s.headFailed }

// Feed looks at bytes in the order in which they came, cut anywhere, and says how many of them may be read on. Where
// these are fewer than all, fail says why, and nothing may be fed afterwards. No head that fails is ever let through
// whole.
func (s *Stream) Feed(b []byte) (good int, fail *Error) {
	for good < len(b) && fail == nil {
		var n int
		switch s.state {
		case atHead:
			n, fail = s.feedHead(b[good:])
		case inBody, inChunk:
			n = int(min(int64(len(b)-good), s.left))
			if s.left -= int64(n); s.left == 0 {
				s.bodyDone()
			}
		case failed:
			return good, badRequest("an earlier request was refused")
		default:
			n, fail = 1, s.feedLine(b[good])
		}
		if fail != nil {
			s.headFailed = s.state == atHead
			s.state, s.head = failed, nil
			return good, fail
		}
		good += n
	}
	return good, nil
}

func (s *Stream) feedHead(b []byte) (n int, fail *Error) {
	had := len(s.head)
	s.head = append(s.head, b...)
	end, fail := Scan(s.head, had, s.limits)
	if fail != nil || end == 0 {
		return len(b), fail
	}
	req, _, err := Parse(s.head[:end], s.limits)
	if err != nil {
		return 0, err.(*Error)
	}
	s.head = nil
	if fail = s.frame(req); fail != nil {
		return 0, fail
	}
	return end - had, nil
}

// frame finds out how the body ends (RFC 9112 section 6.3).
func (s *Stream) frame(req *Request) *Error {
	codings := req.Headers.Values("Transfer-Encoding")
	for i := range req.Headers {
		// Some readers take the underscore for a hyphen, and then see a body that others don't.
		if name := req.Headers[i].Name; strings.Contains(name, "_") {
			name = strings.ReplaceAll(name, "_", "-")
			if strings.EqualFold(name, "Transfer-Encoding") || strings.EqualFold(name, "Content-Length") {
				return badRequest("a header is spelt with an underscore that some take for a hyphen")
			}
		}
	}
	switch {
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return fault(501, "only chunked is understood in Transfer-Encoding")
	case len(codings) == 1:
		s.startLine(atChunkSize)
	default:
		for _, c := range req.Headers.Get("Content-Length") { // checked by Parse
			s.left = s.left*10 + int64(c-'0')
		}
		if s.left > 0 {
			s.state = inBody
		}
	}
	return nil
}

func (s *Stream) bodyDone() {
	if s.state == inBody {
		s.state = atHead
		return
	}
	s.startLine(afterChunk)
}

func (s *Stream) startLine(state streamState) {
	s.state, s.line, s.ended = state, 0, false
	if state == atChunkSize {
		s.total = 0
	}
}

// feedLine takes one byte of a line within a chunked body.
func (s *Stream) feedLine(c byte) *Error {
	switch {
	case s.ended && c == '\n':
		return s.lineDone()
	case s.ended || c == '\n':
		return badRequest("a line of a chunked body does not end with carriage return and line feed")
	case c == '\r':
		s.ended = true
		return nil
	}
	s.line++
	switch s.state {
	case afterChunk:
		return badRequest("a chunk is longer than its size")
	case atChunkSize:
		return s.sizeByte(c)
	}
	s.total++
	if s.total > s.limits.HeadBytes() {
		return fault(431, "the trailers are too large")
	}
	if s.line == 1 && (c == ' ' || c == '\t') || c < ' ' && c != '\t' || c == 0x7f {
		return badRequest("a trailer is malformed")
	}
	return nil
}

// sizeByte takes a byte of chunk-size [ chunk-ext ]; s.total counts digits and is -1 in the extensions.
func (s *Stream) sizeByte(c byte) *Error {
	if s.line > chunkLineBytesMax {
		return badRequest("a chunk's size has too long extensions")
	}
	digit, isHex := hexDigit(c)
	switch {
	case s.total < 0:
		if c < ' ' && c != '\t' || c >= 0x7f {
			return badRequest("a chunk's extension is malformed")
		}
	case isHex && s.total < chunkDigitsMax:
		s.left, s.total = s.left<<4|digit, s.total+1
	case c == ';' && s.total > 0:
		s.total = -1
	default:
		return badRequest("a chunk's size is malformed")
	}
	return nil
}

func (s *Stream) lineDone() *Error {
	switch s.state {
	case atChunkSize:
		if s.total == 0 {
			return badRequest("a chunk has no size")
		}
		if s.left > 0 {
			s.state = inChunk
			return nil
		}
		s.total = 0
		s.startLine(inTrailers)
	case afterChunk:
		s.startLine(atChunkSize)
	case inTrailers:
		if s.line == 0 {
			s.state = atHead
			return nil
		}
		s.startLine(inTrailers)
	}
	return nil
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case isDigit(c):
		return int64(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}
