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
	LanguageBytesMax    = 35 // RFC 5646 section 4.4.1
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
	if fault := checkSomeText("title", q.Title, TitleCharsMax); fault != nil {
		return fault
	}
	if q.Language != "" && !validToken(q.Language, LanguageBytesMax) {
		return invalid("language", RulePattern, "language must be a BCP 47 tag such as en or pt-BR")
	}
	switch q.Settings.Scoring {
	case "", "kahoot", "linear", "flat", "wayground":
	default:
		return invalid("settings.scoring", RuleEnum, "scoring must be kahoot, linear, flat or wayground")
	}
	top := int64(q.Settings.LeaderboardTop)
	if fault := checkRange("settings.leaderboardTop", top, 0, LeaderboardTopMax); fault != nil {
		return fault
	}
	if len(q.Questions) == 0 {
		return invalid("questions", RuleMinItems, "a quiz needs at least one question")
	}
	if len(q.Questions) > QuestionsMax {
		return tooLarge("questions", RuleMaxItems, "a quiz has at most %d questions", QuestionsMax)
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
			return invalid("correct", RuleRequired, "a true_false question needs correct: true or false")
		}
		return nil
	case Numeric:
		return q.checkNumbers()
	case ShortText:
		return q.checkTexts()
	}
	return invalid("type", RuleEnum,
		"type must be single_choice, multiple_choice, true_false, numeric, short_text or poll")
}

func (q *Question) checkCommon() *Error {
	if fault := checkSomeText("text", q.Text, QuestionCharsMax); fault != nil {
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
	if fault := checkCount("options", "options", len(q.Options), OptionsMin, OptionsMax); fault != nil {
		return fault
	}
	for i := range q.Options {
		fault := first(checkSomeText("text", q.Options[i].Text, OptionCharsMax),
			checkText("feedback", q.Options[i].Feedback, ExplanationCharsMax))
		if fault != nil {
			return under(fmt.Sprintf("options[%d]", i), fault)
		}
	}
	return nil
}

func checkCount(path, what string, n, least, most int) *Error {
	rule := RuleMinItems
	switch {
	case n > most:
		rule = RuleMaxItems
	case n >= least:
		return nil
	}
	return invalid(path, rule, "there must be %d to %d %s", least, most, what)
}

func (q *Question) checkKeyed() *Error {
	for i := range q.Options {
		if q.Options[i].Correct {
			return nil
		}
	}
	return invalid("options", RuleContains, "at least one option must be correct")
}

func (q *Question) checkNumbers() *Error {
	if fault := checkCount("numbers", "accepted numbers", len(q.Numbers), 1, AcceptedMax); fault != nil {
		return fault
	}
	for i, n := range q.Numbers {
		// The comparison is false for NaN too.
		if !(n.Min <= n.Max) || math.IsInf(n.Min, 0) || math.IsInf(n.Max, 0) {
			return invalid(fmt.Sprintf("numbers[%d]", i), RuleNotAbove, "min must not be above max, and both must be finite")
		}
	}
	return nil
}

func (q *Question) checkTexts() *Error {
	if fault := checkCount("texts", "accepted texts", len(q.Texts), 1, AcceptedMax); fault != nil {
		return fault
	}
	for i, text := range q.Texts {
		path := fmt.Sprintf("texts[%d]", i)
		switch {
		case strings.TrimSpace(text) == "":
			return invalid(path, RulePattern, "an accepted text is empty")
		case utf8.RuneCountInString(text) > AcceptedCharsMax:
			return invalid(path, RuleMaxLength, "an accepted text must have 1 to %d characters", AcceptedCharsMax)
		}
	}
	return nil
}
