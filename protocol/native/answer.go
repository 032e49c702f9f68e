package native

import (
	"bytes"

	"lectern/protocol/wire"
)

// decodeAnswer reads the data of quiz:answer by hand: in a quiz, every participant sends one within the same few
// seconds. The question may be a number or the same as a string. data has passed the scanner as an object.
func decodeAnswer(data []byte) (wire.Payload, *wire.Error) {
	answer := new(wire.AnswerData)
	s := scanner{in: data, pos: 1}
	var seen [3]bool
	for {
		s.space()
		if s.take('}') {
			break
		}
		name, ok := s.key()
		start := s.pos
		if !ok || !s.value() {
			return nil, wrongType("data", "data is malformed")
		}
		member, fault := answerMember(answer, plainName(name), s.in[start:s.pos])
		if fault != nil {
			return nil, fault
		}
		if member >= 0 && seen[member] {
			return nil, twice(answerMembers[member])
		}
		if member >= 0 {
			seen[member] = true
		}
		s.space()
		s.take(',')
	}
	for i, there := range seen {
		if !there {
			name := answerMembers[i]
			return nil, wire.NewError(wire.CodeInvalidData, "%s is missing", name).At(name).Breaking(wire.RuleRequired)
		}
	}
	return answer, nil
}

var answerMembers = [...]string{"question", "answer", "key"}

// answerMember takes one member; -1 for one that is unknown.
func answerMember(answer *wire.AnswerData, name, raw []byte) (int, *wire.Error) {
	switch string(name) {
	case "question":
		n, rule := parseQuestion(raw)
		if rule != "" {
			return 0, wire.NewError(wire.CodeInvalidData, "question must be a number from 1 to %d", wire.QuestionsMax).
				At("question").Breaking(rule)
		}
		answer.Question = n
		return 0, nil
	case "answer":
		if isNull(raw) || raw[0] == '{' {
			return 1, wrongType("answer", "an answer is a text, a number, true, false or a list")
		}
		answer.Answer = bytes.Clone(raw)
		return 1, nil
	case "key":
		var ok bool
		if answer.Key, ok = unquote(raw); !ok {
			return 2, wrongType("key", "key must be a string")
		}
		return 2, nil
	}
	return -1, nil
}

func parseQuestion(raw []byte) (int, wire.Rule) {
	if raw[0] != '"' {
		n, rule := parseNumber(raw, wire.QuestionsMax)
		return int(n), rule
	}
	text, _ := unquote(raw)
	if n, rule := parseNumber([]byte(text), wire.QuestionsMax); rule == "" && digitsOnly(text) && text[0] != '0' {
		return int(n), ""
	}
	return 0, wire.RulePattern
}

func digitsOnly(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
