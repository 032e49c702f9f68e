package native

import (
	"strings"

	"lectern/protocol/wire"
)

// decodeCreate reads the data of quiz:create: {"quizId":…}, {"quiz":{…}}, a quiz as the data itself
// ({"title":…,"questions":[…]}), or the id of a stored quiz as a string, alone or under quiz.
func decodeCreate(data []byte) (wire.Payload, *wire.Error) {
	create := new(wire.QuizCreateData)
	if data[0] == '"' {
		create.QuizID, _ = unquote(data)
		if fault := create.Validate(); fault != nil { // the id is the data itself
			return nil, fault.At("data")
		}
		return create, nil
	}
	if data[0] != '{' {
		return nil, wrongType("data", "data must be an object, or the id of a stored quiz")
	}
	parts, fault := createParts(data)
	if fault != nil {
		return nil, fault
	}
	id, quiz := parts[partID], parts[partQuiz]
	if id != nil && !isNull(id) {
		var ok bool
		if create.QuizID, ok = unquote(id); !ok {
			return nil, wrongType("quizId", "quizId must be a string")
		}
	}
	there := func(raw []byte) bool { return raw != nil && !isNull(raw) }
	switch {
	case there(quiz) && quiz[0] == '"' && create.QuizID == "":
		create.QuizID, _ = unquote(quiz)
		if fault := create.Validate(); fault != nil {
			return nil, fault.At("quiz")
		}
	case there(quiz):
		return create, decodeQuiz(create, quiz, "/data/quiz")
	case there(parts[partQuestions]):
		return create, decodeQuiz(create, data, "/data")
	}
	return create, nil
}

// decodeQuiz decodes and validates a quiz. Its faults have the path quiz wherever it stands, but the pointer is exact.
func decodeQuiz(create *wire.QuizCreateData, raw []byte, pointer string) *wire.Error {
	create.Quiz = new(wire.Quiz)
	fault := decodeInto(&quizShape, raw, create.Quiz)
	if fault == nil {
		fault = create.Quiz.Validate()
	}
	if fault == nil {
		return nil
	}
	fault = missing(fault, raw)
	path, place := "quiz", pointer
	if fault.Path != "data" && fault.Path != "" {
		path, place = "quiz."+fault.Path, pointer+strings.TrimPrefix(fault.Pointer, "/data")
	}
	fault = fault.At(path)
	fault.Pointer = place
	return fault
}

const (
	partID = iota
	partQuiz
	partQuestions
	partCount
)

var partNames = [partCount]string{"quizId", "quiz", "questions"}

// createParts finds the members that tell the forms apart.
func createParts(data []byte) (parts [partCount][]byte, fault *wire.Error) {
	s := scanner{in: data, pos: 1}
	for {
		s.space()
		if s.take('}') {
			return parts, nil
		}
		name, ok := s.key()
		start := s.pos
		if !ok || !s.value() {
			return parts, wrongType("data", "data is malformed")
		}
		for i := range partNames {
			if string(plainName(name)) == partNames[i] {
				if parts[i] != nil {
					return parts, twice(partNames[i])
				}
				parts[i] = s.in[start:s.pos]
			}
		}
		s.space()
		s.take(',')
	}
}
