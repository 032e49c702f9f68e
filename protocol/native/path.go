package native

import (
	"strconv"
	"strings"
)

// valueAt is the value at a pointer without its first slash ("questions/3/type"); nil when there is none.
func valueAt(data []byte, pointer string) []byte {
	s := scanner{in: data}
	for {
		s.space()
		if s.pos >= len(s.in) {
			return nil
		}
		segment, rest, more := strings.Cut(pointer, "/")
		if !s.enter(segment) {
			return nil
		}
		if !more {
			start := s.pos
			s.value()
			return s.in[start:s.pos]
		}
		pointer = rest
	}
}

// enter moves from the start of an object or a list to its member or element.
func (s *scanner) enter(segment string) bool {
	open := s.in[s.pos]
	if open != '{' && open != '[' {
		return false
	}
	s.pos++
	for i := 0; ; i++ {
		s.space()
		name := strconv.Itoa(i)
		if open == '{' {
			raw, ok := s.key()
			if !ok {
				return false
			}
			name = string(plainName(raw))
		}
		if name == segment {
			return true
		}
		if !s.value() {
			return false
		}
		s.space()
		if !s.take(',') {
			return false
		}
	}
}
