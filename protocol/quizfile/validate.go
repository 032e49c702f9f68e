package quizfile

import (
	"fmt"

	"lectern/protocol/wire"
)

// validateQuestion is the last word on whether a question is imported: what wire refuses, no room could play.
func validateQuestion(q *wire.Question) error {
	if fault := q.Validate(); fault != nil {
		return fmt.Errorf("%s", fault.Message)
	}
	return nil
}

// validateHead checks title, language and settings of a quiz.
func validateHead(q wire.Quiz) error {
	q.Questions = []wire.Question{{Type: wire.TrueFalse, Text: "?", Correct: new(bool)}}
	if fault := q.Validate(); fault != nil {
		return fmt.Errorf("%s", fault.Message)
	}
	return nil
}
