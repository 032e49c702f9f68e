package stomp

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"lectern/protocol/wire"
)

// Decoder takes frames out of a stream of bytes. Make it with NewDecoder.
type Decoder struct {
	limits  *Limits
	version Version
	buf     []byte // what has come of a frame that is not complete; nil between frames

	// Inside a frame. Offsets count from its first byte.
	inside  bool
	scanned int // how far has been looked at
	line    int // where the line that is being looked at begins
	headEnd int // where the body begins; 0: the head is not complete
	bodyLen int // from content-length; -1: up to the NUL
	frame   Frame
}

// NewDecoder is a Decoder at the start of a stream. limits must not change while it is in use.
func NewDecoder(limits *Limits) Decoder { return Decoder{limits: limits} }

// SetVersion says which version has been negotiated. It may be called from Feed's callback.
func (d *Decoder) SetVersion(v Version) { d.version = v }

// Buffered is the number of bytes that wait for the rest of their frame.
func (d *Decoder) Buffered() int { return len(d.buf) }

// Feed takes bytes, cut anywhere, and calls each for every frame that is complete. It stops at the first fault, its own
// or one of each's; the Decoder must not be fed afterwards. in is borrowed. Line ends between frames (heart-beats) are
// skipped.
func (d *Decoder) Feed(in []byte, each func(*Frame) *Error) *Error {
	data, owned := in, false
	if len(d.buf) > 0 {
		d.buf = append(d.buf, in...)
		data, owned = d.buf, true
	}
	for {
		if !d.inside {
			var fail *Error
			if data, fail = skipLineEnds(data); fail != nil {
				return fail
			}
			if len(data) == 0 || len(data) == 1 && data[0] == '\r' {
				break
			}
			d.inside, d.scanned, d.line, d.headEnd = true, 0, 0, 0
		}
		size, fail := d.next(data)
		if fail != nil {
			return fail
		}
		if size == 0 {
			break
		}
		d.inside = false
		if fail := each(&d.frame); fail != nil {
			return fail
		}
		data = data[size:]
	}
	if !d.inside && d.frame.Headers != nil {
		clear(d.frame.Headers)
		free := d.frame.Headers[:0]
		heads.Put(&free)
		d.frame = Frame{}
	}
	switch {
	case len(data) == 0:
		d.buf = nil
	case owned:
		d.buf = d.buf[:copy(d.buf, data)]
	default:
		d.buf = append(d.buf[:0], data...)
	}
	return nil
}

func skipLineEnds(data []byte) ([]byte, *Error) {
	for len(data) > 0 {
		switch {
		case data[0] == '\n':
			data = data[1:]
		case data[0] != '\r':
			return data, nil
		case len(data) == 1:
			return data, nil
		case data[1] == '\n':
			data = data[2:]
		default:
			return nil, breach("a carriage return without a line feed stands between two frames")
		}
	}
	return data, nil
}

// next looks for the end of the frame at the start of data. size is zero if it has not come yet.
func (d *Decoder) next(data []byte) (size int, fail *Error) {
	if d.headEnd == 0 {
		found, fail := d.head(data)
		if fail != nil || !found {
			return 0, fail
		}
		if fail := d.parseHead(data[:d.headEnd]); fail != nil {
			return 0, fail
		}
	}
	end := d.headEnd + d.bodyLen
	if d.bodyLen < 0 {
		at := bytes.IndexByte(data[d.scanned:], 0)
		end = d.scanned + at
		if at < 0 {
			end, d.scanned = len(data), len(data)
		}
		if end-d.headEnd > d.limits.BodyBytesMax {
			return 0, d.tooLong()
		}
		if !d.frame.Command.hasBody() && end > d.headEnd {
			return 0, breach(d.frame.Command.String() + " must not have a body: end it with an empty line and a NUL")
		}
		if at < 0 {
			return 0, nil
		}
	}
	if len(data) <= end {
		return 0, nil
	}
	if data[end] != 0 {
		return 0, breach("no NUL follows the body: content-length must count the body's bytes, without the NUL")
	}
	d.frame.Body = data[d.headEnd:end:end]
	return end + 1, nil
}

func (d *Decoder) tooLong() *Error {
	e := breach(fmt.Sprintf("a body is longer than %d bytes", d.limits.BodyBytesMax))
	e.Close = wire.CloseMessageTooBig
	return e
}

// head looks for the empty line that ends the head.
func (d *Decoder) head(data []byte) (found bool, fail *Error) {
	for i := d.scanned; i < len(data); i++ {
		switch {
		case i >= d.limits.HeadBytesMax:
			return false, breach(fmt.Sprintf("the headers of a frame are longer than %d bytes", d.limits.HeadBytesMax))
		case data[i] == 0:
			return false, breach("a NUL stands in the headers: an empty line must follow them")
		case data[i] != '\n':
		case i == d.line || i == d.line+1 && data[d.line] == '\r':
			d.headEnd, d.scanned = i+1, i+1
			return true, nil
		default:
			d.line = i + 1
		}
	}
	d.scanned = len(data)
	return false, nil
}

// heads are lists for the headers of a frame: a Decoder holds none between frames.
var heads = sync.Pool{New: func() any { return new(make([]Header, 0, 16)) }}

// parseHead reads command and headers. All strings share one copy of the head.
func (d *Decoder) parseHead(head []byte) *Error {
	if !utf8.Valid(head) {
		e := breach("the headers of a frame are not UTF-8")
		e.Close = wire.CloseInvalidPayload
		return e
	}
	line, rest := cutLine(string(head))
	f := &d.frame
	if f.Headers == nil {
		f.Headers = *heads.Get().(*[]Header)
	}
	f.Command, f.Headers, f.Body = commandByName[line], f.Headers[:0], nil
	if f.Command == None {
		return breach("a frame begins with a command that STOMP does not have: commands are upper case, one to a line")
	}
	for {
		if line, rest = cutLine(rest); line == "" {
			break
		}
		if len(f.Headers) >= d.limits.HeadersMax {
			return breach(fmt.Sprintf("a frame has more than %d headers", d.limits.HeadersMax))
		}
		h, fail := d.header(line)
		if fail != nil {
			return fail
		}
		f.Headers = append(f.Headers, h)
	}
	return d.measure()
}

func cutLine(s string) (line, rest string) {
	line, rest, _ = strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

func (d *Decoder) header(line string) (Header, *Error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return Header{}, breach("a header is not of the form name:value")
	}
	if d.version == V10 {
		return Header{strings.TrimSpace(name), strings.TrimSpace(value)}, nil
	}
	if d.frame.Command.raw() {
		return Header{name, value}, nil
	}
	var fail *Error
	if name, fail = d.unescape(name); fail != nil {
		return Header{}, fail
	}
	value, fail = d.unescape(value)
	return Header{name, value}, fail
}

func (d *Decoder) unescape(s string) (string, *Error) {
	if strings.IndexByte(s, '\r') >= 0 && d.version != V11 {
		return "", breach(`a header holds a bare carriage return: write it as \r`)
	}
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for ; at >= 0; at = strings.IndexByte(s, '\\') {
		out = append(out, s[:at]...)
		c := byte(0)
		if at+1 < len(s) {
			c = s[at+1]
		}
		switch {
		case c == 'n':
			out = append(out, '\n')
		case c == 'c':
			out = append(out, ':')
		case c == '\\':
			out = append(out, '\\')
		case c == 'r' && d.version != V11:
			out = append(out, '\r')
		case d.version == V11: // stompjs escapes nothing in 1.1; only 1.2 makes this a fault
			out = append(out, '\\')
			s = s[at+1:]
			continue
		default:
			return "", breach(`a header holds an escape that STOMP does not have: only \n, \c, \\ and \r`)
		}
		s = s[at+2:]
	}
	return string(append(out, s...)), nil
}

// measure finds out how long the body is.
func (d *Decoder) measure() *Error {
	d.bodyLen = -1
	value, ok := d.frame.Find("content-length")
	if !ok {
		return nil
	}
	n := 0
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' || i >= 9 {
			return breach("content-length must be the number of bytes of the body")
		}
		n = n*10 + int(c-'0')
	}
	switch {
	case value == "":
		return breach("content-length must be the number of bytes of the body")
	case n > d.limits.BodyBytesMax:
		return d.tooLong()
	case n > 0 && !d.frame.Command.hasBody():
		return breach(d.frame.Command.String() + " must not have a body")
	}
	d.bodyLen = n
	return nil
}
