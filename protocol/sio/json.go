package sio

import "unicode/utf8"

// DepthMax is the deepest nesting of arrays and objects in a packet's data.
const DepthMax = 32

// anyNumber turns the check of placeholders off.
const anyNumber = 1 << 30

// scanner walks JSON text (RFC 8259) without building anything, and looks at placeholders on the way.
type scanner struct {
	in           []byte
	pos          int
	depth        int
	numbersBelow int  // each placeholder's num must be below it
	outside      bool // one was not
	noted        int  // the num of the object that ended last if it was a placeholder, else -1
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

func (s *scanner) peek() byte {
	if s.pos < len(s.in) {
		return s.in[s.pos]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() == c && s.pos < len(s.in) {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value() bool {
	switch s.peek() {
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
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if len(s.in)-s.pos < len(w) || string(s.in[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
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

// object takes an object. One with a member _placeholder that is true stands for an attachment.
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
	var num []byte
	placeholder := false
	for {
		s.space()
		name, ok := s.str()
		if !ok {
			return false
		}
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		from := s.pos
		if !s.value() {
			return false
		}
		switch raw := s.in[from:s.pos]; string(name) {
		case "_placeholder":
			placeholder = string(raw) == "true"
		case "num":
			num = raw
		}
		s.space()
		if s.take('}') {
			s.depth--
			if !placeholder || s.numbersBelow == anyNumber {
				s.noted = -1
				return true
			}
			return s.placeholder(num)
		}
		if !s.take(',') {
			return false
		}
	}
}

// placeholder checks that a placeholder's num names an attachment.
func (s *scanner) placeholder(num []byte) bool {
	n, rest, ok := number(num, int64(s.numbersBelow)-1)
	s.outside = !ok || len(rest) > 0 || n > 0 && num[0] == '0'
	s.noted = int(n)
	return !s.outside
}

// str takes a string; raw is what stands between the quotes, escapes and all.
func (s *scanner) str() (raw []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	from := s.pos
	for s.pos < len(s.in) {
		switch c := s.in[s.pos]; {
		case c == '"':
			raw = s.in[from:s.pos]
			s.pos++
			return raw, utf8.Valid(raw)
		case c == '\\':
			if !s.escape() {
				return nil, false
			}
		case c < ' ':
			return nil, false
		default:
			s.pos++
		}
	}
	return nil, false
}

// escape takes one escape. A lone surrogate is refused: no UTF-8 can carry it on.
func (s *scanner) escape() bool {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return true
	case 'u':
		unit, ok := s.unit()
		if !ok || unit >= 0xdc00 && unit < 0xe000 {
			return false
		}
		if unit < 0xd800 || unit >= 0xe000 {
			return true
		}
		if !s.take('\\') || s.peek() != 'u' {
			return false
		}
		low, ok := s.unit()
		return ok && low >= 0xdc00 && low < 0xe000
	}
	return false
}

// unit takes the uXXXX of an escape.
func (s *scanner) unit() (unit rune, ok bool) {
	if len(s.in)-s.pos < 5 {
		return 0, false
	}
	for _, c := range s.in[s.pos+1 : s.pos+5] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	s.pos += 5
	return unit, true
}

func (s *scanner) digits() bool {
	from := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > from
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

// Args appends the elements of a packet's JSON array to dst, raw. data must come from a Decoder, which has checked it.
func Args(dst [][]byte, data []byte) [][]byte {
	s := scanner{in: data, numbersBelow: anyNumber}
	if !s.take('[') {
		return dst
	}
	s.space()
	if s.peek() == ']' {
		return dst
	}
	for {
		s.space()
		from := s.pos
		if !s.value() {
			return dst
		}
		dst = append(dst, data[from:s.pos])
		s.space()
		if !s.take(',') {
			return dst
		}
	}
}

// Member is the raw value of an object's member; nil when there is none, or when data is no object. Of several members
// with the same name the last counts, as in JavaScript. data must come from a Decoder, and name needs no escapes.
func Member(data []byte, name string) (value []byte) {
	s := scanner{in: data, numbersBelow: anyNumber}
	if !s.take('{') {
		return nil
	}
	for {
		s.space()
		key, ok := s.str()
		if !ok {
			return value
		}
		s.space()
		s.take(':')
		s.space()
		from := s.pos
		if !s.value() {
			return nil
		}
		if string(key) == name {
			value = data[from:s.pos]
		}
		s.space()
		if !s.take(',') {
			return value
		}
	}
}

// Name is the event's name in the first element of Args: the text of a JSON string without escapes. ok is false for
// anything else; names with escapes are none that anybody knows.
func Name(arg []byte) (name []byte, ok bool) {
	if len(arg) < 2 || arg[0] != '"' {
		return nil, false
	}
	name = arg[1 : len(arg)-1]
	for _, c := range name {
		if c == '\\' {
			return nil, false
		}
	}
	return name, true
}
