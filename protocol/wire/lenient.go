package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// questionTypeAliases are the names that other tools and people use, folded by foldAlias. A name that means
// different things to different tools stands for what most of them mean.
var questionTypeAliases = map[string]QuestionType{
	"singlechoice": SingleChoice, "single": SingleChoice, "mc": SingleChoice, "choice": SingleChoice, "quiz": SingleChoice,
	"radio": SingleChoice, "singleselect": SingleChoice, "singleanswer": SingleChoice,
	"multiplechoice": MultipleChoice, "multiple": MultipleChoice, "multichoice": MultipleChoice, "multi": MultipleChoice,
	"multiselect": MultipleChoice, "multipleselect": MultipleChoice, "multipleanswer": MultipleChoice,
	"multipleanswers": MultipleChoice, "multipleresponse": MultipleChoice, "checkbox": MultipleChoice,
	"truefalse": TrueFalse, "tf": TrueFalse, "bool": TrueFalse, "boolean": TrueFalse, "trueorfalse": TrueFalse,
	"numeric": Numeric, "numerical": Numeric, "number": Numeric,
	"shorttext": ShortText, "text": ShortText, "shortanswer": ShortText, "typeanswer": ShortText, "openended": ShortText,
	"poll": Poll, "survey": Poll,
}

var foldAlias = strings.NewReplacer("_", "", "-", "", " ", "", "/", "")

// UnmarshalText accepts a type by its own name or by a usual other one ("multi_choice", "truefalse", "short_answer"
// …) and makes it canonical. An unknown name is kept, so that Validate can say which question has it.
func (t *QuestionType) UnmarshalText(text []byte) error {
	if known, ok := questionTypeAliases[foldAlias.Replace(strings.ToLower(string(text)))]; ok {
		*t = known
		return nil
	}
	*t = QuestionType(text)
	return nil
}

// UnmarshalJSON accepts {"quizId":…}, {"quiz":{…}}, a quiz as the data itself ({"title":…,"questions":[…]}), and
// the id of a stored quiz as a string, alone or under quiz. Nothing of data is kept.
func (d *QuizCreateData) UnmarshalJSON(data []byte) error {
	var id string
	if json.Unmarshal(data, &id) == nil {
		*d = QuizCreateData{QuizID: id}
		return nil
	}
	var shape struct {
		QuizID    string          `json:"quizId"`
		Quiz      json.RawMessage `json:"quiz"`
		Questions json.RawMessage `json:"questions"`
	}
	if err := json.Unmarshal(data, &shape); err != nil {
		return asDataError(err, "")
	}
	*d = QuizCreateData{QuizID: shape.QuizID}
	raw, path := shape.Quiz, "quiz"
	if isNull(raw) && !isNull(shape.Questions) {
		raw, path = data, ""
	}
	switch {
	case isNull(raw):
		return nil
	case raw[0] == '"' && d.QuizID == "":
		return json.Unmarshal(raw, &d.QuizID)
	}
	d.Quiz = new(Quiz)
	if err := json.Unmarshal(raw, d.Quiz); err != nil {
		return asDataError(err, path)
	}
	return nil
}

func isNull(raw []byte) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// asDataError turns an error of encoding/json into an invalid_data error with the member's path, as far as that is
// known.
func asDataError(err error, path string) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		fault := NewError(CodeInvalidData, "a member has the wrong type: %s", mismatch.Value).At(mismatch.Field)
		if path == "" {
			return fault
		}
		return under(path, fault)
	}
	return NewError(CodeInvalidData, "data does not fit the op").At(path)
}
