package wire

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Limits of a quiz.
const (
	QuestionsMax        = 500
	OptionsMin          = 2
	OptionsMax          = 12
	OptionCharsMax      = 500
	QuestionCharsMax    = 4000
	ExplanationCharsMax = 4000
	TitleCharsMax       = 200
	PointsMax           = 10_000
	AcceptedMax         = 50 // numbers or texts of one question
	AcceptedCharsMax    = 200
	LeaderboardTopMax   = 100
	languageBytesMax    = 35 // RFC 5646 section 4.4.1
)

// Validate says what is wrong with a quiz first; Faults lists all of it.
func (q *Quiz) Validate() *Error {
	if fault := q.checkHead(); fault != nil {
		return fault
	}
	for i := range q.Questions {
		if fault := q.Questions[i].Validate(); fault != nil {
			return under(fmt.Sprintf("questions[%d]", i), fault)
		}
	}
	return nil
}

// Faults is every question's first fault, and the quiz's own first one before them; empty for a good quiz.
func (q *Quiz) Faults() []*Error {
	var faults []*Error
	if fault := q.checkHead(); fault != nil {
		faults = append(faults, fault)
	}
	for i := range q.Questions {
		if fault := q.Questions[i].Validate(); fault != nil {
			faults = append(faults, under(fmt.Sprintf("questions[%d]", i), fault))
		}
	}
	return faults
}

func (q *Quiz) checkHead() *Error {
	if strings.TrimSpace(q.Title) == "" {
		return invalid("title", "title is missing")
	}
	if fault := checkText("title", q.Title, TitleCharsMax); fault != nil {
		return fault
	}
	if q.Language != "" && !validToken(q.Language, languageBytesMax) {
		return invalid("language", "language must be a BCP 47 tag such as en or pt-BR")
	}
	switch q.Settings.Scoring {
	case "", "kahoot", "linear", "flat", "wayground":
	default:
		return invalid("settings.scoring", "scoring must be kahoot, linear, flat or wayground")
	}
	top := int64(q.Settings.LeaderboardTop)
	if fault := checkRange("settings.leaderboardTop", top, 0, LeaderboardTopMax); fault != nil {
		return fault
	}
	if len(q.Questions) == 0 {
		return invalid("questions", "a quiz needs at least one question")
	}
	if len(q.Questions) > QuestionsMax {
		return NewError(CodeTooLarge, "a quiz has at most %d questions", QuestionsMax).At("questions")
	}
	return checkOptionalID("id", q.ID)
}

// Validate says what is wrong with a question first; paths are relative to it.
func (q *Question) Validate() *Error {
	if fault := q.checkCommon(); fault != nil {
		return fault
	}
	switch q.Type {
	case SingleChoice, MultipleChoice:
		return first(q.checkOptions(), q.checkKeyed())
	case Poll:
		return q.checkOptions()
	case TrueFalse:
		if q.Correct == nil {
			return invalid("correct", "a true_false question needs correct: true or false")
		}
		return nil
	case Numeric:
		return q.checkNumbers()
	case ShortText:
		return q.checkTexts()
	case "":
		return invalid("type", "type is missing")
	}
	return invalid("type", "type must be single_choice, multiple_choice, true_false, numeric, short_text or poll")
}

func (q *Question) checkCommon() *Error {
	if strings.TrimSpace(q.Text) == "" {
		return invalid("text", "text is missing")
	}
	if fault := checkText("text", q.Text, QuestionCharsMax); fault != nil {
		return fault
	}
	if q.TimeLimitMs != 0 {
		if fault := checkRange("timeLimitMs", q.TimeLimitMs, TimeLimitMsMin, TimeLimitMsMax); fault != nil {
			return fault
		}
	}
	if q.Points != nil {
		if fault := checkRange("points", int64(*q.Points), 0, PointsMax); fault != nil {
			return fault
		}
	}
	return first(checkText("explanation", q.Explanation, ExplanationCharsMax),
		checkText("category", q.Category, OptionCharsMax), checkOptionalID("id", q.ID))
}

func (q *Question) checkOptions() *Error {
	if len(q.Options) < OptionsMin || len(q.Options) > OptionsMax {
		return invalid("options", "there must be %d to %d options", OptionsMin, OptionsMax)
	}
	for i := range q.Options {
		path := fmt.Sprintf("options[%d].text", i)
		if strings.TrimSpace(q.Options[i].Text) == "" {
			return invalid(path, "an option is empty")
		}
		fault := first(checkText(path, q.Options[i].Text, OptionCharsMax),
			checkText(fmt.Sprintf("options[%d].feedback", i), q.Options[i].Feedback, ExplanationCharsMax))
		if fault != nil {
			return fault
		}
	}
	return nil
}

func (q *Question) checkKeyed() *Error {
	for i := range q.Options {
		if q.Options[i].Correct {
			return nil
		}
	}
	return invalid("options", "at least one option must be correct")
}

func (q *Question) checkNumbers() *Error {
	if len(q.Numbers) == 0 || len(q.Numbers) > AcceptedMax {
		return invalid("numbers", "a numeric question needs 1 to %d accepted numbers", AcceptedMax)
	}
	for i, n := range q.Numbers {
		// The comparison is false for NaN too.
		if !(n.Min <= n.Max) || math.IsInf(n.Min, 0) || math.IsInf(n.Max, 0) {
			return invalid(fmt.Sprintf("numbers[%d]", i), "min must not be above max, and both must be finite")
		}
	}
	return nil
}

func (q *Question) checkTexts() *Error {
	if len(q.Texts) == 0 || len(q.Texts) > AcceptedMax {
		return invalid("texts", "a short_text question needs 1 to %d accepted texts", AcceptedMax)
	}
	for i, text := range q.Texts {
		if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > AcceptedCharsMax {
			return invalid(fmt.Sprintf("texts[%d]", i), "an accepted text must have 1 to %d characters", AcceptedCharsMax)
		}
	}
	return nil
}
