package native

import (
	"strconv"
	"strings"
)

// holds says whether data has a value other than null at a pointer without its first slash ("questions/3/type").
func holds(data []byte, pointer string) bool {
	s := scanner{in: data}
	for {
		s.space()
		if s.pos >= len(s.in) {
			return false
		}
		if pointer == "" {
			return s.in[s.pos] != 'n'
		}
		segment, rest, _ := strings.Cut(pointer, "/")
		if !s.enter(segment) {
			return false
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
