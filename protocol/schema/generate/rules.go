package generate

import (
	"math"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// Classes of characters for patterns, without brackets. Both the regular expressions of ECMA-262, which JSON Schema
// asks for, and Go's read them alike; what lies beyond \xff stands there as itself.
const (
	controls     = `\x00-\x1f\x7f-\x9f`
	textControls = `\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f` // without line breaks and tabs
	spaces       = "\\t-\\r \\x85\\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
	tokenChars   = `[0-9A-Za-z._:-]`
)

// rule is what a member's schema says beyond its type.
type rule Object

// someText has something other than white space in it.
func someText(charsMax int) rule {
	return rule(obj("maxLength", charsMax, "pattern", filled(textControls)))
}

// filled is a pattern for texts without the given characters that are not blank.
func filled(without string) string {
	return "^[^" + without + "]*[^" + without + spaces + "][^" + without + "]*$"
}

func text(charsMax int) rule {
	return rule(obj("maxLength", charsMax, "pattern", "^[^"+textControls+"]*$"))
}

// label is a text of one line; charsMin 0 lets it be empty, which is the same as absent.
func label(charsMin, charsMax int) rule {
	var o Object
	if charsMin > 0 {
		o = obj("minLength", charsMin)
	}
	return rule(append(o, obj("maxLength", charsMax, "pattern", "^[^"+controls+"]*$")...))
}

func wordOf(charsMax int) rule {
	return rule(obj("pattern", "^"+tokenChars+"{0,"+strconv.Itoa(charsMax)+"}$"))
}

func between(least, most int64) rule { return rule(obj("minimum", least, "maximum", most)) }

// zeroOr is between, or zero for the default.
func zeroOr(least, most int64) rule {
	return rule(obj("anyOf", []Object{obj("const", 0), obj("minimum", least, "maximum", most)}))
}

// oneOf also takes an empty word and null, for none.
func oneOf(words ...string) rule {
	values := make([]any, 0, len(words)+2)
	for _, w := range words {
		values = append(values, w)
	}
	return rule(obj("enum", append(values, "", nil)))
}

var (
	anEmoji    = rule(obj("minLength", 1, "maxLength", wire.EmojiCharsMax, "pattern", "^[^"+controls+spaces+"]*$"))
	anID       = label(1, wire.IDCharsMax)
	optionalID = label(0, wire.IDCharsMax)
	key        = label(0, wire.KeyCharsMax)
	name       = rule(obj("maxLength", wire.NameCharsMax, "pattern", "^$|"+filled(controls)))
	double     = rule(obj("minimum", -math.MaxFloat64, "maximum", math.MaxFloat64))
)

// rules has the members of what clients send, by type and member. A test wants every string and number there.
var rules = map[string]rule{
	"AuthData.token":  rule(obj("maxLength", wire.TokenCharsMax)),
	"AuthData.name":   name,
	"TimeSyncData.t0": double,

	"JoinData.since": between(0, wire.SeqMax),
	"JoinData.epoch": wordOf(wire.IDCharsMax),
	"JoinData.role":  rule(obj("enum", []any{"observer", "participant", "moderator", "host", "admin", "none", nil})),
	"JoinData.name":  name,

	"PublishData.event": rule(obj("pattern", `^[a-z0-9][a-z0-9:._-]{0,`+strconv.Itoa(wire.EventNameBytesMax-1)+`}$`,
		"not", obj("pattern", "^("+strings.Join(wire.OwnEvents(), "|")+")(:|$)"))),
	"PublishData.payload": rule(obj("x-maxBytes", wire.PublishBytesMax)),
	"PublishData.key":     key,
	"PresenceData.mode":   oneOf("count", "sample", "page"),
	"PresenceData.limit":  between(0, wire.PageMax),
	"PresenceData.after":  optionalID,

	"QuizExtendData.byMs": zeroOr(wire.TimeLimitMsMin, wire.TimeLimitMsMax),
	"AnswerData.question": rule(obj("type", []string{"integer", "string"}, "minimum", 1, "maximum", wire.QuestionsMax,
		"pattern", "^([1-9][0-9]?|[1-4][0-9]{2}|500)$")),
	"AnswerData.answer": rule(obj("type", []string{"string", "number", "boolean", "array"},
		"x-maxBytes", wire.AnswerBytesMax)),
	"AnswerData.key": label(1, wire.KeyCharsMax),

	"RegradeData.question": between(1, wire.QuestionsMax),
	"RegradeData.reason":   text(wire.ReasonCharsMax),
	"AnswerKey.options":    rule(obj("maxItems", wire.OptionsMax)),
	"AnswerKey.texts":      rule(obj("maxItems", wire.AcceptedMax)),
	"AnswerKey.numbers":    rule(obj("maxItems", wire.AcceptedMax)),

	"ChatSendData.text":      someText(wire.ChatCharsMax),
	"ChatSendData.replyTo":   optionalID,
	"ChatSendData.key":       key,
	"ChatEditData.id":        anID,
	"ChatEditData.text":      someText(wire.ChatCharsMax),
	"ChatIDData.id":          anID,
	"ChatReactData.id":       anID,
	"ChatReactData.emoji":    anEmoji,
	"ChatPinData.id":         anID,
	"ChatHistoryData.before": optionalID,
	"ChatHistoryData.limit":  between(0, wire.PageMax),

	"ModUserData.user":       anID,
	"ModUserData.durationMs": between(0, wire.DurationMsMax),
	"ModUserData.reason":     text(wire.ReasonCharsMax),
	"ModSlowData.everyMs":    between(0, wire.SlowMsMax),

	"ProgressData.user":  {},
	"ProgressData.name":  {},
	"ProgressData.unit":  label(1, wire.UnitCharsMax),
	"ProgressData.done":  between(0, wire.ProgressTotalMax),
	"ProgressData.total": between(0, wire.ProgressTotalMax),

	"Quiz.id":                     optionalID,
	"Quiz.title":                  someText(wire.TitleCharsMax),
	"Quiz.language":               wordOf(wire.LanguageBytesMax),
	"Quiz.questions":              rule(obj("minItems", 1, "maxItems", wire.QuestionsMax)),
	"QuizSettings.scoring":        oneOf("kahoot", "linear", "flat", "wayground"),
	"QuizSettings.leaderboardTop": between(0, wire.LeaderboardTopMax),

	"Question.id":          optionalID,
	"Question.type":        {}, // builder.typeNames
	"Question.text":        someText(wire.QuestionCharsMax),
	"Question.timeLimitMs": zeroOr(wire.TimeLimitMsMin, wire.TimeLimitMsMax),
	"Question.points":      between(0, wire.PointsMax),
	"Question.explanation": text(wire.ExplanationCharsMax),
	"Question.category":    text(wire.OptionCharsMax),

	// What these hold is judged where the type of the question uses them.
	"Option.text":     {},
	"Option.feedback": {},
	"NumberRange.min": double,
	"NumberRange.max": double,
	"Question.texts":  {},
}

// typeRules has what must hold for an object as a whole.
var typeRules = map[string]rule{
	"ProgressData": rule(obj("x-notAbove", obj("done", "total"))),
	// A key, or void, and not a key with void: true.
	"RegradeData": rule(obj("allOf", []Object{
		obj("if", there("answerKey"), "then", obj("properties", obj("void", obj("not", obj("const", true))))),
		obj("if", obj("not", there("void")),
			"then", obj("required", []string{"answerKey"}, "properties", obj("answerKey", obj("type", "object")))),
	})),
}

var questionTypes = []wire.QuestionType{
	wire.SingleChoice, wire.MultipleChoice, wire.TrueFalse, wire.Numeric, wire.ShortText, wire.Poll,
}

// typePattern is a pattern for all names of a type of question.
func typePattern(t wire.QuestionType) string {
	names, separators := wire.QuestionTypeAliases(t)
	between := "[" + strings.ReplaceAll(separators, "-", "") + "-]*"
	for i, n := range names {
		var b strings.Builder
		for _, c := range n {
			b.WriteString("[" + string(c) + strings.ToUpper(string(c)) + "]" + between)
		}
		names[i] = b.String()
	}
	return "^" + between + "(" + strings.Join(names, "|") + ")$"
}

// typeNames puts the patterns of all types' names among the definitions and gives references to them.
func (b *builder) typeNames() map[wire.QuestionType]Object {
	refs := make(map[wire.QuestionType]Object, len(questionTypes))
	for _, t := range questionTypes {
		name := "name." + string(t)
		b.defs[name] = obj("description", "every spelling of "+string(t), "type", "string", "pattern", typePattern(t))
		refs[t] = obj("$ref", b.prefix+name)
	}
	return refs
}

// question adds to a question's schema what its type asks for.
func (b *builder) question(s Object) Object {
	refs := b.typeNames()
	canonical := make([]string, len(questionTypes))
	forms := []Object{nil}
	for i, t := range questionTypes {
		canonical[i] = string(t)
		forms = append(forms, refs[t])
	}
	forms[0] = obj("enum", canonical)
	properties := s.Get("properties").(Object)
	kind := properties.Get("type").(Object)
	s = s.With("properties", properties.With("type", kind.With("anyOf", forms)))
	return s.With("allOf", questionRules(refs))
}

// questionRules says what a question of each type needs.
func questionRules(refs map[wire.QuestionType]Object) []Object {
	option := obj("properties", obj(
		"text", Object(someText(wire.OptionCharsMax)),
		"feedback", Object(text(wire.ExplanationCharsMax)),
	))
	options := obj("type", "array", "minItems", wire.OptionsMin, "maxItems", wire.OptionsMax, "items", option)
	keyed := options.With("contains", obj("required", []string{"correct"}, "properties",
		obj("correct", obj("const", true))))
	numbers := obj("type", "array", "minItems", 1, "maxItems", wire.AcceptedMax,
		"items", obj("x-notAbove", obj("min", "max")))
	texts := obj("type", "array", "minItems", 1, "maxItems", wire.AcceptedMax, "items",
		obj("maxLength", wire.AcceptedCharsMax, "pattern", "[^"+spaces+"]"))
	needs := map[wire.QuestionType]Object{
		wire.SingleChoice: obj("options", keyed), wire.MultipleChoice: obj("options", keyed),
		wire.Poll:      obj("options", options),
		wire.TrueFalse: obj("correct", obj("type", "boolean")), wire.Numeric: obj("numbers", numbers),
		wire.ShortText: obj("texts", texts),
	}
	var all []Object
	for _, t := range questionTypes {
		all = append(all, obj(
			"if", obj("required", []string{"type"}, "properties", obj("type", refs[t])),
			"then", obj("required", []string{needs[t][0].Name}, "properties", needs[t]),
		))
	}
	return all
}
