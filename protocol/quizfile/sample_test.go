package quizfile

import "lectern/protocol/wire"

func sampleQuiz() wire.Quiz {
	return wire.Quiz{Title: "Sample", Questions: []wire.Question{
		{
			Type: wire.SingleChoice, Text: "Two plus two?", TimeLimitMs: 20000,
			Options: []wire.Option{{Text: "3"}, {Text: "4", Correct: true}},
		},
		{
			Type: wire.MultipleChoice, Text: "Even?", TimeLimitMs: 30000,
			Options: []wire.Option{{Text: "1"}, {Text: "2", Correct: true}, {Text: "4", Correct: true}},
		},
	}}
}
