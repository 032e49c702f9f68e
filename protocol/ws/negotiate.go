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

// NegotiateDeflate reads the values of a request's Sec-WebSocket-Extensions lines and answers the first offer of
// permessage-deflate that can be honoured; response is "" when there is none. An offer with server_max_window_bits
// below 15 is declined, for the compressor's window is always 32 KiB; unknown, doubled or malformed parameters
// decline their offer too (RFC 7692 section 7.1). client_max_window_bits is only a hint and needs no answer.
func NegotiateDeflate(values []string) (response string, err error) {
	for _, value := range values {
		s := scanner{rest: value}
		for {
			name, params, ok := s.extension()
			if !ok {
				return "", ErrExtensions
			}
			if response == "" && strings.EqualFold(name, deflateName) {
				response = acceptOffer(params)
			}
			if s.rest == "" {
				break
			}
			if !s.skip(',') {
				return "", ErrExtensions
			}
		}
	}
	return response, nil
}

type param struct {
	name, value string
	hasValue    bool
}

// acceptOffer is the response to one offer, "" to decline it.
func acceptOffer(params []param) string {
	response := deflateResponse
	for i, p := range params {
		for _, q := range params[:i] {
			if p.name == q.name {
				return ""
			}
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return ""
			}
		case "client_max_window_bits":
			if p.hasValue && !windowBits(p.value) {
				return ""
			}
		case "server_max_window_bits":
			if p.value != "15" {
				return ""
			}
			response += "; server_max_window_bits=15"
		default:
			return ""
		}
	}
	return response
}

// windowBits is true for 8 to 15 without leading zeros (RFC 7692 section 7.1.2).
func windowBits(s string) bool {
	switch s {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
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
