package quizfile

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern/protocol/wire"
)

// Limits of this package's own, in characters or pieces; those of questions are wire's.
const (
	categoryCharsMax = 200
	problemsMax      = 20000
	feedbackCharsMax = 500
)

// draft is a question while its decoder works on it.
type draft struct {
	number, line int
	title, kind  string
	q            wire.Question
	fault        string
	leftOut      string
	warnings     []string
}

func (d *draft) faultf(format string, args ...any) {
	if len(d.fault) > 2000 {
		return
	}
	if d.fault == "" {
		d.fault = fmt.Sprintf(format, args...)
	} else {
		d.fault += "; " + fmt.Sprintf(format, args...)
	}
}

func (d *draft) warnf(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if len(d.warnings) >= 50 {
		return
	}
	for _, have := range d.warnings {
		if have == w {
			return
		}
	}
	d.warnings = append(d.warnings, w)
}

// collector gathers what a decoder finds.
type collector struct {
	imp      Import
	number   int
	category string
	tooMany  bool // questionsMax was reported
	full     bool // wire.QuestionsMax was reported
}

func newCollector(f Format) *collector {
	return &collector{imp: Import{
		Format: f, Problems: []Problem{}, Items: []Item{},
		Quiz: wire.Quiz{Title: defaultTitle, Questions: []wire.Question{}},
	}}
}

// text decodes the bytes of a text file and notes what was odd about their encoding.
func (c *collector) text(data []byte) string {
	s, warning := decodeText(data)
	if warning != "" {
		c.note(Warning, 0, warning)
	}
	return s
}

// note adds a problem of the file rather than of a question.
func (c *collector) note(severity string, line int, reason string) {
	if len(c.imp.Problems) < problemsMax {
		c.imp.Problems = append(c.imp.Problems, Problem{Line: line, Severity: severity, Reason: reason})
	}
}

// begin starts the next question.
func (c *collector) begin(line int) *draft {
	c.number++
	return &draft{number: c.number, line: line, q: wire.Question{Category: c.category}}
}

func (c *collector) problem(d *draft, severity, reason string) {
	if len(c.imp.Problems) < problemsMax {
		c.imp.Problems = append(c.imp.Problems, Problem{
			Number: d.number, Line: d.line, Severity: severity,
			Title: d.title, Type: d.kind, Reason: reason,
		})
	}
}

// finish files a question under good, left out or faulty.
func (c *collector) finish(d *draft) {
	if len(c.imp.Items) >= questionsMax {
		if !c.tooMany {
			c.tooMany = true
			c.note(Fault, d.line, fmt.Sprintf("the file holds more than %d questions; split it", questionsMax))
		}
		return
	}
	d.title = clip(cleanText(d.title), wire.TitleCharsMax)
	if d.fault == "" && d.leftOut == "" {
		settle(d)
	}
	if d.title == "" {
		d.title = clip(strings.Join(strings.Fields(d.q.Text), " "), 60)
	}
	it := Item{Number: d.number, Line: d.line, Type: d.kind, Title: d.title, Text: clip(d.q.Text, 300), Question: -1}
	for _, w := range d.warnings {
		c.problem(d, Warning, w)
	}
	switch {
	case d.fault != "":
		it.Status = Fault
		c.imp.Faulty++
		c.problem(d, Fault, d.fault)
	case d.leftOut != "":
		it.Status = LeftOut
		c.imp.Total++
		c.problem(d, LeftOut, d.leftOut)
	case c.imp.Good >= wire.QuestionsMax:
		it.Status = LeftOut
		c.imp.Total++
		if !c.full {
			c.full = true
			c.problem(d, LeftOut, fmt.Sprintf("a quiz holds at most %d questions; this one and those after it are left out",
				wire.QuestionsMax))
		}
	default:
		it.Status = "good"
		it.Question = len(c.imp.Quiz.Questions)
		c.imp.Total++
		c.imp.Good++
		c.imp.Quiz.Questions = append(c.imp.Quiz.Questions, d.q)
	}
	c.imp.Items = append(c.imp.Items, it)
}

func (c *collector) result() *Import { return &c.imp }

// settle brings a question within the limits of wire, or says why that can't be done.
func settle(d *draft) {
	q := &d.q
	q.Text = cleanText(q.Text)
	if slices.Contains(d.warnings, pictureLost) && onlyPictures(q) {
		d.leftOut = "its text or its answers are pictures, which can't be shown"
		return
	}
	q.Category = clip(cleanText(q.Category), categoryCharsMax)
	if ex := cleanText(q.Explanation); utf8.RuneCountInString(ex) > wire.ExplanationCharsMax {
		q.Explanation = clip(ex, wire.ExplanationCharsMax)
		d.warnf("the explanation was cut to %d characters", wire.ExplanationCharsMax)
	} else {
		q.Explanation = ex
	}
	if q.Text == "" {
		d.faultf("the question has no text")
	}
	if n := utf8.RuneCountInString(q.Text); n > wire.QuestionCharsMax {
		d.faultf("the question has %d characters, more than %d", n, wire.QuestionCharsMax)
	}
	settleOptions(d)
	for i := range q.Texts {
		q.Texts[i] = cleanText(q.Texts[i])
		if utf8.RuneCountInString(q.Texts[i]) > wire.AcceptedCharsMax {
			d.faultf("accepted answer %d has more than %d characters", i+1, wire.AcceptedCharsMax)
		}
	}
	if len(q.Texts) > wire.AcceptedMax {
		d.warnf("only the first %d of %d accepted answers are kept", wire.AcceptedMax, len(q.Texts))
		q.Texts = q.Texts[:wire.AcceptedMax]
	}
	if d.fault != "" {
		return
	}
	if n := len(q.Options); n > wire.OptionsMax {
		d.leftOut = fmt.Sprintf("it has %d answers; at most %d can be played live", n, wire.OptionsMax)
		return
	}
	if err := validateQuestion(q); err != nil {
		d.faultf("%s", err.Error())
	}
}

// onlyPictures is true when a text is empty whose content was a picture.
func onlyPictures(q *wire.Question) bool {
	for _, o := range q.Options {
		if cleanText(o.Text) == "" {
			return true
		}
	}
	return q.Text == ""
}

func settleOptions(d *draft) {
	q := &d.q
	empty := 0
	for i := range q.Options {
		o := &q.Options[i]
		o.Text = cleanText(o.Text)
		o.Feedback = clip(cleanText(o.Feedback), feedbackCharsMax)
		if o.Text == "" {
			empty++
			d.faultf("answer %d is empty", i+1)
		}
		if n := utf8.RuneCountInString(o.Text); n > wire.OptionCharsMax {
			d.faultf("answer %d has %d characters, more than %d", i+1, n, wire.OptionCharsMax)
		}
	}
	if q.Type != wire.SingleChoice && q.Type != wire.MultipleChoice {
		return
	}
	if len(q.Options)-empty < 2 {
		d.faultf("a choice needs at least two answers")
	}
	right := 0
	for _, o := range q.Options {
		if o.Correct {
			right++
		}
	}
	if right == 0 {
		d.faultf("no answer is marked as right")
	}
}

// cleanText trims, unifies line ends, drops control characters and the marks that would turn text around on the page.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u00a0' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r == '\ufeff', r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return -1
		case r >= 0xfdd0 && r <= 0xfdef:
			return utf8.RuneError
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// clip shortens to at most n characters, with an ellipsis where something was cut.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return strings.TrimSpace(string(r[:n-1])) + "…"
}
