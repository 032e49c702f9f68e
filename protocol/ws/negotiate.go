package ws

import (
	"errors"
	"strings"
)

const deflateName = "permessage-deflate"

// deflateResponse accepts an offer. No context takeover in either direction, which a server may ask for unasked
// (RFC 7692 section 7.1.1): so a broadcast is deflated once for all, and no window is kept per connection.
const deflateResponse = deflateName + "; server_no_context_takeover; client_no_context_takeover"

// ErrExtensions says that Sec-WebSocket-Extensions does not follow its grammar; the handshake must fail (RFC 6455
// section 9.1).
var ErrExtensions = errors.New("ws: Sec-WebSocket-Extensions is malformed")

// Deflate is what a server agrees to about permessage-deflate. The zero value: the extension is not used.
type Deflate struct {
	// Response is the value of Sec-WebSocket-Extensions in the answer.
	Response string
	// WindowBits is the base-2 logarithm of the window that the client can decompress with, 8 to 15.
	WindowBits uint8
}

// windowBitsMax stands for 32 KiB, the window of DEFLATE itself.
const windowBitsMax = 15

// Fits is true when a message of n bytes, compressed by AppendDeflated, may be sent to this client: a stream of its own
// can't refer back further than it is long.
func (d Deflate) Fits(n int) bool {
	return d.WindowBits == windowBitsMax || d.WindowBits > 0 && n <= 1<<d.WindowBits
}

// NegotiateDeflate reads the values of a request's Sec-WebSocket-Extensions lines and accepts the first offer of
// permessage-deflate that is good; the result is zero when there is none. Unknown, doubled or malformed parameters
// decline their offer (RFC 7692 section 7.1). client_max_window_bits is only a hint and needs no answer, since nothing
// is kept of what a client has sent.
func NegotiateDeflate(values []string) (agreed Deflate, err error) {
	for _, value := range values {
		s := scanner{rest: value}
		s.emptyElements()
		for {
			name, params, ok := s.extension()
			if !ok {
				return Deflate{}, ErrExtensions
			}
			if agreed.Response == "" && strings.EqualFold(name, deflateName) {
				agreed = acceptOffer(params)
			}
			if s.rest == "" {
				break
			}
			if !s.skip(',') {
				return Deflate{}, ErrExtensions
			}
			if s.emptyElements(); s.rest == "" {
				break
			}
		}
	}
	return agreed, nil
}

type param struct {
	name, value string
	hasValue    bool
}

// acceptOffer is the answer to one offer, zero to decline it.
func acceptOffer(params []param) Deflate {
	agreed := Deflate{Response: deflateResponse, WindowBits: windowBitsMax}
	for i, p := range params {
		for _, q := range params[:i] {
			if p.name == q.name {
				return Deflate{}
			}
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return Deflate{}
			}
		case "client_max_window_bits":
			if p.hasValue && windowBits(p.value) == 0 {
				return Deflate{}
			}
		case "server_max_window_bits":
			if agreed.WindowBits = windowBits(p.value); agreed.WindowBits == 0 {
				return Deflate{}
			}
			agreed.Response += "; server_max_window_bits=" + p.value
		default:
			return Deflate{}
		}
	}
	return agreed
}

// windowBits reads 8 to 15 without leading zeros (RFC 7692 section 7.1.2); 0: it is none of these.
func windowBits(s string) uint8 {
	switch s {
	case "8", "9":
		return s[0] - '0'
	case "10", "11", "12", "13", "14", "15":
		return 10 + s[1] - '0'
	}
	return 0
}

// scanner reads extension-list of RFC 6455 section 9.1.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// skip takes c with the white space around it.
func (s *scanner) skip(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	s.space()
	return true
}

// emptyElements skips what RFC 9110 section 5.6.1.2 has a recipient ignore in a list.
func (s *scanner) emptyElements() {
	for s.skip(',') { //nolint:revive // the condition is the work
	}
}

func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && tokenByte(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

func tokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte("()<>@,;:\\\"/[]?={}", c) < 0
}

// extension reads one element: token *( ";" token [ "=" ( token | quoted-string ) ] ).
func (s *scanner) extension() (name string, params []param, ok bool) {
	s.space()
	if name = s.token(); name == "" {
		return "", nil, false
	}
	for s.skip(';') {
		p := param{name: strings.ToLower(s.token())}
		if p.name == "" {
			return "", nil, false
		}
		if s.skip('=') {
			p.hasValue = true
			if p.value, ok = s.value(); !ok {
				return "", nil, false
			}
		}
		params = append(params, p)
	}
	s.space()
	return name, params, true
}

// value reads a token, or a quoted string that holds one.
func (s *scanner) value() (string, bool) {
	if s.rest == "" || s.rest[0] != '"' {
		t := s.token()
		return t, t != ""
	}
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			return b.String(), b.Len() > 0
		}
		if c == '\\' {
			if i++; i == len(s.rest) {
				return "", false
			}
			c = s.rest[i]
		}
		if !tokenByte(c) {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}
