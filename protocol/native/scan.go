package native

import "unicode/utf8"

// DepthMax is the deepest nesting of arrays and objects that is accepted in a message.
const DepthMax = 32

// scanner walks JSON text (RFC 8259) without building anything.
type scanner struct {
	in    []byte
	pos   int
	depth int
}

// Valid is true when text is one JSON value of at most DepthMax levels in valid UTF-8, with white space around it
// at most. Escaped lone surrogates are refused, since no UTF-8 can carry them on.
func Valid(text []byte) bool {
	s := scanner{in: text}
	s.space()
	if !s.value() {
		return false
	}
	s.space()
	return s.pos == len(text)
}

func (s *scanner) space() {
	for s.pos < len(s.in) {
		switch s.in[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// take is true when the next byte is c, which is then behind.
func (s *scanner) take(c byte) bool {
	if s.pos < len(s.in) && s.in[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value() bool {
	if s.pos >= len(s.in) {
		return false
	}
	switch c := s.in[s.pos]; c {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		_, ok := s.str()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) word(w string) bool {
	if len(s.in)-s.pos < len(w) || string(s.in[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *scanner) object() bool {
	if s.depth++; s.depth > DepthMax {
		return false
	}
	s.pos++
	s.space()
	if s.take('}') {
		s.depth--
		return true
	}
	for {
		s.space()
		if _, ok := s.key(); !ok || !s.value() {
			return false
		}
		s.space()
		if s.take('}') {
			s.depth--
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// key takes a member's name and its colon, up to the start of the value.
func (s *scanner) key() (raw []byte, ok bool) {
	if raw, ok = s.str(); !ok {
		return nil, false
	}
	s.space()
	if !s.take(':') {
		return nil, false
	}
	s.space()
	return raw, true
}

func (s *scanner) array() bool {
	if s.depth++; s.depth > DepthMax {
		return false
	}
	s.pos++
	s.space()
	if s.take(']') {
		s.depth--
		return true
	}
	for {
		s.space()
		if !s.value() {
			return false
		}
		s.space()
		if s.take(']') {
			s.depth--
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// str takes a string; raw is what stands between the quotes, escapes and all.
func (s *scanner) str() (raw []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	start := s.pos
	ascii := true
	for s.pos < len(s.in) {
		switch c := s.in[s.pos]; {
		case c == '"':
			raw = s.in[start:s.pos]
			s.pos++
			return raw, ascii || utf8.Valid(raw)
		case c == '\\':
			if !s.escape() {
				return nil, false
			}
		case c < ' ':
			return nil, false
		default:
			if c >= utf8.RuneSelf {
				ascii = false
			}
			s.pos++
		}
	}
	return nil, false
}

func (s *scanner) escape() bool {
	if s.pos+1 >= len(s.in) {
		return false
	}
	switch s.in[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return true
	case 'u':
		unit, ok := s.unit()
		if !ok || unit >= 0xdc00 && unit < 0xe000 {
			return false
		}
		if unit >= 0xd800 && unit < 0xdc00 {
			low, ok := s.unit()
			return ok && low >= 0xdc00 && low < 0xe000
		}
		return true
	}
	return false
}

// unit takes one \uXXXX.
func (s *scanner) unit() (unit rune, ok bool) {
	if len(s.in)-s.pos < 6 || s.in[s.pos] != '\\' || s.in[s.pos+1] != 'u' {
		return 0, false
	}
	for _, c := range s.in[s.pos+2 : s.pos+6] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	s.pos += 6
	return unit, true
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.in) && s.in[s.pos] >= '0' && s.in[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}
