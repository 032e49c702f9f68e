package quizfile

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"lectern/protocol/wire"
)

// xmlText is an element with a <text> child and, beside it, embedded files.
type xmlText struct {
	Format string    `xml:"format,attr"`
	Text   xmlInner  `xml:"text"`
	Files  []xmlFile `xml:"file"`
	Direct string    `xml:",chardata"` // some exporters leave <text> out
}

// xmlInner is character data; markup that was not escaped is kept as it stands.
type xmlInner struct {
	Chars string `xml:",chardata"`
	Inner string `xml:",innerxml"`
}

type xmlFile struct {
	Name string `xml:"name,attr"`
}

type xmlAnswer struct {
	Fraction  string    `xml:"fraction,attr"`
	Format    string    `xml:"format,attr"`
	Text      xmlInner  `xml:"text"`
	Files     []xmlFile `xml:"file"`
	Feedback  xmlText   `xml:"feedback"`
	Tolerance string    `xml:"tolerance"`
}

type xmlQuestion struct {
	Type            string      `xml:"type,attr"`
	Name            xmlText     `xml:"name"`
	QuestionText    xmlText     `xml:"questiontext"`
	GeneralFeedback xmlText     `xml:"generalfeedback"`
	Category        xmlText     `xml:"category"`
	Single          string      `xml:"single"`
	UseCase         string      `xml:"usecase"`
	Image           string      `xml:"image"`
	Answers         []xmlAnswer `xml:"answer"`
}

// segment is the text of one <question> element.
type segment struct {
	text     string
	line     int
	unclosed bool
}

// decodeMoodleXML reads each question as a document of its own, so that markup that is wrong in one of them does not
// end the file. DTDs are not looked at and entities other than those of HTML not known: nothing is ever fetched or
// expanded.
func decodeMoodleXML(c *collector, s string) {
	if strings.Contains(s, "<!ENTITY") {
		c.note(Warning, lineAt(s, strings.Index(s, "<!ENTITY")), "entities that the file defines are not expanded")
	}
	for _, seg := range xmlQuestions(s) {
		decodeXMLQuestion(c, seg)
	}
	if len(c.imp.Items) == 0 && c.imp.Categories == 0 {
		c.note(Fault, 0, "the file holds no <question> elements")
	}
}

// xmlQuestions cuts out the <question> elements; comments and CDATA sections are stepped over.
func xmlQuestions(s string) []segment {
	var out []segment
	skip := skipper{}
	from, line, counted := -1, 1, 0
	end := func(at int, unclosed bool) {
		line += strings.Count(s[counted:from], "\n")
		counted = from
		out = append(out, segment{text: s[from:at], line: line, unclosed: unclosed})
		from = -1
	}
	for i := 0; i < len(s); {
		lt := strings.IndexByte(s[i:], '<')
		if lt < 0 {
			break
		}
		i += lt
		rest := s[i:]
		switch {
		case strings.HasPrefix(rest, "<!--"):
			i += skip.to(rest, "-->")
		case strings.HasPrefix(rest, "<![CDATA["):
			i += skip.to(rest, "]]>")
		case strings.HasPrefix(rest, "</question>"):
			i += len("</question>")
			if from >= 0 {
				end(i, false)
			}
		case strings.HasPrefix(rest, "<question ") || strings.HasPrefix(rest, "<question>") ||
			strings.HasPrefix(rest, "<question\n") || strings.HasPrefix(rest, "<question\t"):
			if from >= 0 {
				end(i, true)
			}
			from = i
			i += len("<question")
		default:
			i++
		}
	}
	if from >= 0 {
		end(len(s), true)
	}
	return out
}

// skipper steps over comments and CDATA sections. It remembers which end marks are not in the rest of the file.
type skipper map[string]bool

// to returns the length up to and including the end mark; 1 where there is none or where it belongs to a later
// question, so that what is never closed does not swallow the questions behind it.
func (sk skipper) to(s, mark string) int {
	if sk[mark] {
		return 1
	}
	end := strings.Index(s, mark)
	if end < 0 {
		sk[mark] = true
		return 1
	}
	if mark == "]]>" {
		if q := strings.Index(s[:end], "</question>"); q >= 0 && strings.Contains(s[q:end], "<question ") {
			return 1
		}
	}
	return end + len(mark)
}

func decodeXMLQuestion(c *collector, seg segment) {
	var q xmlQuestion
	dec := xml.NewDecoder(strings.NewReader(seg.text))
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	err := dec.Decode(&q)
	kind := strings.ToLower(strings.TrimSpace(q.Type))
	if err == nil && kind == "category" {
		c.imp.Categories++
		c.category = categoryPath(decodeEntities(q.Category.Text.string()))
		return
	}
	d := c.begin(seg.line)
	d.kind, d.title = kind, decodeEntities(q.Name.Text.string())
	if err != nil || seg.unclosed {
		if d.kind == "" {
			d.kind = "unknown"
		}
		line, _ := dec.InputPos()
		switch {
		case seg.unclosed:
			d.faultf("the <question> element is not closed")
		default:
			d.faultf("the XML is damaged in line %d: %s", seg.line+line-1, xmlReason(err))
		}
		c.finish(d)
		return
	}
	x := &xmlDraft{draft: d, in: &q}
	x.read()
	c.finish(d)
}

func xmlReason(err error) string {
	if s, ok := err.(*xml.SyntaxError); ok {
		return s.Msg
	}
	return strings.TrimPrefix(err.Error(), "xml: ")
}

func (t xmlInner) string() string {
	if strings.Contains(t.Inner, "<") && !strings.Contains(t.Inner, "<![CDATA[") {
		return t.Inner
	}
	return t.Chars
}

func (t *xmlText) string() string {
	if s := t.Text.string(); strings.TrimSpace(s) != "" {
		return s
	}
	return strings.TrimSpace(t.Direct)
}

// xmlDraft is a question on its way from XML.
type xmlDraft struct {
	*draft
	in *xmlQuestion
}

// plain makes text of a text element's content. Without a format, Moodle takes its own for HTML.
func (x *xmlDraft) plain(s, format string, files int) string {
	if files > 0 {
		x.warnf(pictureLost)
	}
	m := markupAuto
	switch strings.ToLower(strings.TrimSpace(format)) {
	case "html", "1":
		m = markupHTML
	case "plain_text", "plain", "2":
		m = markupPlain
	case "markdown", "4":
		m = markupMarkdown
	case "":
		if strings.Contains(s, "<") {
			m = markupHTML
		}
	}
	return plainText(s, m, x.warnf)
}

func (x *xmlDraft) read() {
	in := x.in
	x.q.Text = x.plain(in.QuestionText.string(), in.QuestionText.Format, len(in.QuestionText.Files))
	x.q.Explanation = x.plain(in.GeneralFeedback.string(), in.GeneralFeedback.Format, len(in.GeneralFeedback.Files))
	if in.Image != "" {
		x.warnf(pictureLost)
	}
	switch x.kind {
	case "multichoice", "multichoiceset", "oumultiresponse":
		x.choice()
	case "truefalse":
		x.trueFalse()
	case "shortanswer", "pmatch":
		x.shortAnswer()
	case "numerical":
		x.numerical()
	case "multianswer", "cloze":
		x.kind, x.leftOut = "cloze", "a cloze question (several gaps in one text) can't be played live"
	case "description":
		x.leftOut = "a description is not a question"
	case "essay":
		x.leftOut = "an essay can't be played live"
	case "matching", "match":
		x.kind, x.leftOut = "matching", "a matching question can't be played live"
	case "":
		x.kind = "unknown"
		x.faultf("the question has no type")
	default:
		x.leftOut = fmt.Sprintf("questions of type %q can't be played live", clip(x.kind, 40))
	}
}

// fraction of an answer in per cent.
func (x *xmlDraft) fraction(a *xmlAnswer) float64 {
	v, ok := parseNumber(a.Fraction)
	if !ok && strings.TrimSpace(a.Fraction) != "" {
		x.warnf("the fraction %q is not a number; it counts as 0", clip(a.Fraction, 20))
	}
	return v
}

func (x *xmlDraft) choice() {
	single := strings.ToLower(strings.TrimSpace(x.in.Single))
	x.kind, x.q.Type = "single_choice", wire.SingleChoice
	if single == "false" || single == "0" || (single == "" && x.noneFull()) {
		x.kind, x.q.Type = "multi_choice", wire.MultipleChoice
	}
	for i := range x.in.Answers {
		a := &x.in.Answers[i]
		f := x.fraction(a)
		o := wire.Option{
			Text:     x.plain(a.Text.string(), a.Format, len(a.Files)),
			Feedback: x.plain(a.Feedback.string(), a.Feedback.Format, len(a.Feedback.Files)),
			Correct:  f > 0,
		}
		if x.q.Type == wire.SingleChoice {
			o.Correct = f >= fullWeight
			if f > 0 && f < fullWeight {
				x.warnf("answer %d earned part of the points (%g %%); it counts as wrong", i+1, f)
			}
		}
		x.q.Options = append(x.q.Options, o)
	}
}

// noneFull is true when several answers share the points.
func (x *xmlDraft) noneFull() bool {
	positive := 0
	for i := range x.in.Answers {
		f, _ := parseNumber(x.in.Answers[i].Fraction)
		if f >= fullWeight {
			return false
		}
		if f > 0 {
			positive++
		}
	}
	return positive > 1
}

func (x *xmlDraft) trueFalse() {
	x.kind, x.q.Type = "true_false", wire.TrueFalse
	for i := range x.in.Answers {
		a := &x.in.Answers[i]
		feedback := x.plain(a.Feedback.string(), a.Feedback.Format, len(a.Feedback.Files))
		if x.fraction(a) < fullWeight {
			if x.q.Explanation == "" {
				x.q.Explanation = feedback
			}
			continue
		}
		value := strings.EqualFold(x.plain(a.Text.string(), a.Format, 0), "true")
		if !value && !strings.EqualFold(x.plain(a.Text.string(), a.Format, 0), "false") {
			value = i == 0 // translated exports: true comes first
			x.warnf("the answers are not called true and false; the first was taken for true")
		}
		x.q.Correct = &value
	}
	if x.q.Correct == nil {
		x.faultf("no answer is fully right")
	}
}

func (x *xmlDraft) shortAnswer() {
	x.kind, x.q.Type = "short_answer", wire.ShortText
	use := strings.ToLower(strings.TrimSpace(x.in.UseCase))
	x.q.CaseMatters = use == "1" || use == "true"
	for i := range x.in.Answers {
		a := &x.in.Answers[i]
		f := x.fraction(a)
		text := x.plain(a.Text.string(), a.Format, len(a.Files))
		switch {
		case f >= fullWeight && text == "":
			x.faultf("accepted answer %d is empty", i+1)
		case f >= fullWeight:
			x.q.Texts = append(x.q.Texts, text)
			if x.q.Explanation == "" {
				x.q.Explanation = x.plain(a.Feedback.string(), a.Feedback.Format, len(a.Feedback.Files))
			}
		case f > 0:
			x.warnf("the answer %q earned part of the points (%g %%); it counts as wrong", clip(text, 40), f)
		}
	}
	if len(x.q.Texts) == 0 {
		x.faultf("no answer is fully right")
	}
}

func (x *xmlDraft) numerical() {
	x.q.Type = wire.Numeric
	for i := range x.in.Answers {
		a := &x.in.Answers[i]
		f := x.fraction(a)
		text := x.plain(a.Text.string(), a.Format, len(a.Files))
		if text == "*" || f <= 0 {
			continue
		}
		v, ok := parseNumber(text)
		tol := 0.0
		if s := strings.TrimSpace(a.Tolerance); ok && s != "" {
			tol, ok = parseNumber(s)
		}
		r, finite := around(v, tol)
		switch {
		case !ok || !finite:
			x.faultf("answer %d (%q, tolerance %q) is not a number", i+1, clip(text, 30), clip(a.Tolerance, 30))
		case f >= fullWeight:
			x.q.Numbers = append(x.q.Numbers, r)
			if x.q.Explanation == "" {
				x.q.Explanation = x.plain(a.Feedback.string(), a.Feedback.Format, len(a.Feedback.Files))
			}
		default:
			x.warnf("the answer %s earned part of the points (%g %%); it counts as wrong", clip(text, 30), f)
		}
	}
	if len(x.q.Numbers) == 0 && x.fault == "" {
		x.faultf("no number is fully right")
	}
}
