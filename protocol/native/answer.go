package native

import (
	"bytes"

	"lectern/protocol/wire"
)

// decodeAnswer reads the data of quiz:answer by hand: in a quiz, every participant sends one within the same few
// seconds. The question may be a number or the same as a string. data has passed the scanner as an object.
func decodeAnswer(data []byte) (*wire.AnswerData, *wire.Error) {
	answer := new(wire.AnswerData)
	s := scanner{in: data, pos: 1}
	for {
		s.space()
		if s.take('}') {
			return answer, nil
		}
		name, ok := s.key()
		if !ok {
			return nil, wire.NewError(wire.CodeInvalidData, "data is malformed").At("data")
		}
		start := s.pos
		if !s.value() {
			return nil, wire.NewError(wire.CodeInvalidData, "data is malformed").At("data")
		}
		raw := s.in[start:s.pos]
		switch string(name) {
		case "question":
			if answer.Question, ok = parseQuestion(raw); !ok {
				return nil, wire.NewError(wire.CodeInvalidData, "question must be a number").At("question")
			}
		case "answer":
			answer.Answer = bytes.Clone(raw)
		case "key":
			if answer.Key, ok = unquote(raw); !ok && !isNull(raw) {
				return nil, wire.NewError(wire.CodeInvalidData, "key must be a string").At("key")
			}
		}
		s.space()
		s.take(',')
	}
}

func parseQuestion(raw []byte) (int, bool) {
	if len(raw) > 2 && raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	n, ok := parseID(raw)
	return int(n), ok
}
