package native

import (
	"errors"
	"strconv"

	"github.com/bytedance/sonic/decoder"

	"lectern/protocol/wire"
)

// pathAt is the path ("questions[3].type") of the innermost value of data that holds the byte at pos; "" for data
// itself.
func pathAt(data []byte, pos int) string {
	s := scanner{in: data}
	s.space()
	return string(s.locate(nil, pos))
}

// locate is called at the start of a value that holds pos.
func (s *scanner) locate(path []byte, pos int) []byte {
	if s.pos >= len(s.in) {
		return path
	}
	open := s.in[s.pos]
	if open != '{' && open != '[' {
		return path
	}
	s.pos++
	for i := 0; ; i++ {
		s.space()
		mark := len(path)
		if open == '{' {
			name, ok := s.key()
			if !ok {
				return path
			}
			if mark > 0 {
				path = append(path, '.')
			}
			path = append(path, name...)
		} else {
			path = append(strconv.AppendInt(append(path, '['), int64(i), 10), ']')
		}
		start := s.pos
		if !s.value() {
			return path[:mark]
		}
		// The decoder points at the value, or just behind it.
		if pos <= s.pos {
			s.pos = start
			return s.locate(path, pos)
		}
		path = path[:mark]
		s.space()
		if !s.take(',') {
			return path
		}
	}
}

// dataError names the faulty member of data as well as the decoder knows it.
func dataError(err error, data []byte) *wire.Error {
	var own *wire.Error
	if errors.As(err, &own) {
		if own.Path == "" {
			// Only a Role refuses without a path, and only room:join has one. What the client sent is not sent back.
			return wire.NewError(wire.CodeInvalidData, "there is no such role").At("role")
		}
		return own
	}
	var mismatch *decoder.MismatchTypeError
	if errors.As(err, &mismatch) {
		path := pathAt(data, mismatch.Pos)
		if path == "" {
			path = "data"
		}
		return wire.NewError(wire.CodeInvalidData, "a member has the wrong type").At(path)
	}
	return wire.NewError(wire.CodeInvalidData, "data does not fit the op").At("data")
}
