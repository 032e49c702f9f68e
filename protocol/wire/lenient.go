package wire

import (
	"slices"
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

// aliasSeparators are left out of a name before it is looked up.
const aliasSeparators = "_- /"

// foldAlias also makes capitals small, ASCII ones only, so that a published pattern can say the same.
var foldAlias = func() *strings.Replacer {
	var pairs []string
	for _, c := range aliasSeparators {
		pairs = append(pairs, string(c), "")
	}
	for c := 'A'; c <= 'Z'; c++ {
		pairs = append(pairs, string(c), string(c+'a'-'A'))
	}
	return strings.NewReplacer(pairs...)
}()

// QuestionTypeAliases gives the folded names that UnmarshalText takes for a type, in order, and the characters that it
// leaves out of a name before it looks; it takes ASCII capitals for small letters.
func QuestionTypeAliases(t QuestionType) (names []string, separators string) {
	for name, kind := range questionTypeAliases {
		if kind == t {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, aliasSeparators
}

// UnmarshalText accepts a type by its own name or by a usual other one ("multi_choice", "truefalse", "short_answer"
// …) and makes it canonical. An unknown name is kept, so that Validate can say which question has it.
func (t *QuestionType) UnmarshalText(text []byte) error {
	if known, ok := questionTypeAliases[foldAlias.Replace(string(text))]; ok {
		*t = known
		return nil
	}
	*t = QuestionType(text)
	return nil
}
