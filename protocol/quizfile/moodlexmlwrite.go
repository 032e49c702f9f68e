package quizfile

import (
	"encoding/xml"
	"fmt"
	"strings"

	"lectern/protocol/wire"
)

func xmlEscape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// xmlElement writes <name format="plain_text"><text>…</text></name>.
func xmlElement(b *strings.Builder, name, text string) {
	fmt.Fprintf(b, "    <%s format=\"plain_text\"><text>%s</text></%s>\n", name, xmlEscape(text), name)
}

func xmlAnswerElement(b *strings.Builder, fraction, text, feedback, more string) {
	fmt.Fprintf(b, "    <answer fraction=\"%s\" format=\"plain_text\"><text>%s</text>", fraction, xmlEscape(text))
	if feedback != "" {
		fmt.Fprintf(b, "<feedback format=\"plain_text\"><text>%s</text></feedback>", xmlEscape(feedback))
	}
	b.WriteString(more + "</answer>\n")
}

func encodeMoodleXML(e *exporter) []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<quiz>\n")
	category := ""
	for i := range e.quiz.Questions {
		q := &e.quiz.Questions[i]
		kind := map[wire.QuestionType]string{
			wire.SingleChoice: "multichoice", wire.MultipleChoice: "multichoice",
			wire.TrueFalse: "truefalse", wire.Numeric: "numerical", wire.ShortText: "shortanswer",
		}[q.Type]
		if kind == "" {
			e.problem(i, LeftOut, "Moodle XML has no %s", kindOf(q.Type))
			continue
		}
		if q.Category != category {
			category = q.Category
			fmt.Fprintf(&b, "  <question type=\"category\"><category><text>$course$/top/%s</text></category></question>\n",
				xmlEscape(moodlePath(category)))
		}
		e.lost(i, carriesFeedback|carriesExplanation|carriesCategory|carriesCase)
		fmt.Fprintf(&b, "  <question type=\"%s\">\n    <name><text>Question %d</text></name>\n", kind, i+1)
		xmlElement(&b, "questiontext", q.Text)
		xmlElement(&b, "generalfeedback", q.Explanation)
		b.WriteString("    <defaultgrade>1</defaultgrade>\n")
		xmlAnswers(&b, q)
		b.WriteString("  </question>\n")
	}
	b.WriteString("</quiz>\n")
	return []byte(b.String())
}

// xmlAnswers writes what depends on the kind.
func xmlAnswers(b *strings.Builder, q *wire.Question) {
	switch q.Type {
	case wire.SingleChoice, wire.MultipleChoice:
		right, wrong := "100", "0"
		if q.Type == wire.MultipleChoice {
			right, wrong = share(rightOptions(q)), "-100"
		}
		fmt.Fprintf(b, "    <single>%t</single>\n", q.Type == wire.SingleChoice)
		for _, o := range q.Options {
			xmlAnswerElement(b, map[bool]string{true: right, false: wrong}[o.Correct], o.Text, o.Feedback, "")
		}
	case wire.TrueFalse:
		right := q.Correct != nil && *q.Correct
		xmlAnswerElement(b, map[bool]string{true: "100", false: "0"}[right], "true", "", "")
		xmlAnswerElement(b, map[bool]string{true: "0", false: "100"}[right], "false", "", "")
	case wire.ShortText:
		fmt.Fprintf(b, "    <usecase>%s</usecase>\n", map[bool]string{true: "1", false: "0"}[q.CaseMatters])
		for _, t := range q.Texts {
			xmlAnswerElement(b, "100", t, "", "")
		}
	case wire.Numeric:
		for _, r := range q.Numbers {
			// Halves first: the sum of two large ends could overflow.
			middle, half := r.Min/2+r.Max/2, r.Max/2-r.Min/2
			xmlAnswerElement(b, "100", formatNumber(tidyFloat(middle)), "",
				"<tolerance>"+formatNumber(tidyFloat(half))+"</tolerance>")
		}
	}
}
