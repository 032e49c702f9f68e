package quizfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// exporter carries a quiz through an encoder and gathers what got lost.
type exporter struct {
	quiz     *wire.Quiz
	problems []Problem
}

func (e *exporter) problem(i int, severity, format string, args ...any) {
	p := Problem{Severity: severity, Reason: fmt.Sprintf(format, args...)}
	if i >= 0 {
		q := &e.quiz.Questions[i]
		p.Number, p.Type, p.Title = i+1, kindOf(q.Type), clip(strings.Join(strings.Fields(q.Text), " "), 60)
	}
	e.problems = append(e.problems, p)
}

// what a format can carry beside texts and the key.
const (
	carriesTime = 1 << iota
	carriesPoints
	carriesFeedback
	carriesExplanation
	carriesCategory
	carriesCase
)

// lost names what the question i has and the format can't carry.
func (e *exporter) lost(i, carries int) {
	q := &e.quiz.Questions[i]
	var parts []string
	miss := func(has bool, flag int, name string) {
		if has && carries&flag == 0 {
			parts = append(parts, name)
		}
	}
	feedback := false
	for _, o := range q.Options {
		feedback = feedback || o.Feedback != ""
	}
	miss(q.TimeLimitMs != 0, carriesTime, "time limit")
	miss(q.Points != nil, carriesPoints, "points")
	miss(feedback, carriesFeedback, "feedback of the answers")
	miss(q.Explanation != "", carriesExplanation, "explanation")
	miss(q.Category != "", carriesCategory, "category")
	miss(q.CaseMatters && q.Type == wire.ShortText, carriesCase, "case sensitivity")
	if len(parts) > 0 {
		e.problem(i, Warning, "this format can't carry: %s", strings.Join(parts, ", "))
	}
}

// oneLine folds line breaks for formats that have one line per text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// share is 100/n with at most five decimals, as Moodle writes it.
func share(n int) string {
	return strconv.FormatFloat(math.Round(100/float64(max(n, 1))*1e5)/1e5, 'f', -1, 64)
}

func rightOptions(q *wire.Question) (n int) {
	for _, o := range q.Options {
		if o.Correct {
			n++
		}
	}
	return n
}

func encodeAiken(e *exporter) []byte {
	var b strings.Builder
	for i := range e.quiz.Questions {
		q := &e.quiz.Questions[i]
		options := q.Options
		switch {
		case q.Type == wire.TrueFalse:
			right := q.Correct != nil && *q.Correct
			options = []wire.Option{{Text: "True", Correct: right}, {Text: "False", Correct: !right}}
			e.problem(i, Warning, "true/false is written as a choice of True and False")
		case q.Type != wire.SingleChoice || rightOptions(q) != 1 || len(options) > 26:
			e.problem(i, LeftOut, "Aiken knows only a choice with one right answer")
			continue
		}
		stem := oneLine(q.Text)
		if aikenAnswer.MatchString(stem) {
			e.problem(i, LeftOut, "Aiken can't hold a question that begins with ANSWER:")
			continue
		}
		if stem != q.Text {
			e.problem(i, Warning, "line breaks are written as blanks")
		}
		e.lost(i, 0)
		b.WriteString(stem + "\n")
		key := 'A'
		for n, o := range options {
			fmt.Fprintf(&b, "%c) %s\n", 'A'+rune(n), oneLine(o.Text))
			if o.Correct {
				key = 'A' + rune(n)
			}
		}
		fmt.Fprintf(&b, "ANSWER: %c\n\n", key)
	}
	return []byte(b.String())
}

var giftProtect = strings.NewReplacer(`\`, `\\`, "~", `\~`, "=", `\=`, "#", `\#`, "{", `\{`, "}", `\}`, ":", `\:`,
	"\n", `\n`)

// giftText escapes a text. Markup that a reader would interpret makes it [plain], and so does a bracket at its start.
func giftText(s string) string {
	out := giftProtect.Replace(s)
	if strings.ContainsAny(s, "<&[") || strings.HasPrefix(s, "%") {
		return "[plain]" + out
	}
	return out
}

func encodeGIFT(e *exporter) []byte {
	var b strings.Builder
	category := ""
	for i := range e.quiz.Questions {
		q := &e.quiz.Questions[i]
		body, reason := giftBody(q)
		if reason != "" {
			e.problem(i, LeftOut, "%s", reason)
			continue
		}
		if q.Category != category {
			category = q.Category
			b.WriteString("$CATEGORY: $course$/top/" + moodlePath(category) + "\n\n")
		}
		e.lost(i, carriesFeedback|carriesExplanation|carriesCategory)
		if q.Explanation != "" {
			body += "\n\t####" + giftText(q.Explanation)
		}
		fmt.Fprintf(&b, "::Question %d::%s{%s\n}\n\n", i+1, giftText(q.Text), body)
	}
	return []byte(b.String())
}

// moodlePath is the inverse of categoryPath.
func moodlePath(category string) string {
	parts := strings.Split(oneLine(category), " / ")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "/", "//")
	}
	return strings.Join(parts, "/")
}

// giftBody writes the inside of the braces, or says why that can't be done.
func giftBody(q *wire.Question) (body, reason string) {
	var b strings.Builder
	answer := func(sign, text, feedback string) {
		b.WriteString("\n\t" + sign + giftText(text))
		if feedback != "" {
			b.WriteString("#" + giftText(feedback))
		}
	}
	switch q.Type {
	case wire.SingleChoice:
		for _, o := range q.Options {
			answer(map[bool]string{true: "=", false: "~"}[o.Correct], o.Text, o.Feedback)
		}
	case wire.MultipleChoice:
		right := share(rightOptions(q))
		for _, o := range q.Options {
			answer(map[bool]string{true: "~%" + right + "%", false: "~%-100%"}[o.Correct], o.Text, o.Feedback)
		}
	case wire.TrueFalse:
		b.WriteString(map[bool]string{true: "TRUE", false: "FALSE"}[q.Correct != nil && *q.Correct])
	case wire.Numeric:
		b.WriteString("#")
		for _, r := range q.Numbers {
			if r.Min == r.Max {
				b.WriteString("\n\t=" + formatNumber(r.Min) + ":0")
			} else {
				b.WriteString("\n\t=" + formatNumber(r.Min) + ".." + formatNumber(r.Max))
			}
		}
	case wire.ShortText:
		for _, t := range q.Texts {
			if strings.Contains(t, "->") {
				return "", "GIFT would read an accepted answer that holds -> as matching"
			}
			answer("=", t, "")
		}
	default:
		return "", fmt.Sprintf("GIFT has no %s", kindOf(q.Type))
	}
	return b.String(), ""
}
