package quizfile

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

var (
	giftFormat = regexp.MustCompile(`(?i)^\s*\[(html|markdown|plain|moodle)\]`)
	giftWeight = regexp.MustCompile(`^%\s*(-?[0-9]{1,4}(?:[.,][0-9]*)?)\s*%`)
	giftArrow  = regexp.MustCompile(`=[^~=]*->`)
	strayTail  = regexp.MustCompile(`^["';,]+$`)
)

// fullWeight is where a weight counts as 100 %: thirds that were rounded add up to a little less.
const fullWeight = 99.99

const gap = "_____"

// giftAnswer is one = or ~ part of an answer block.
type giftAnswer struct {
	right    bool // it begins with =
	weight   float64
	text     string
	feedback string
}

// giftQuestion is what one block is made into.
type giftQuestion struct {
	*draft
	format markup
}

func decodeGIFTBlock(c *collector, b giftBlock) {
	d := c.begin(b.line)
	d.warnings = b.warnings
	q := &giftQuestion{draft: d}
	text := strings.TrimSpace(b.text)
	if strings.HasPrefix(text, "::") {
		if end := strings.Index(text[2:], "::"); end >= 0 {
			d.title = strings.TrimSpace(giftUnescape.Replace(text[2 : 2+end]))
			text = strings.TrimSpace(text[end+4:])
		}
	}
	text, q.format = q.takeFormat(text, markupAuto)
	open, end, problem := q.answerBlock(text)
	switch {
	case problem != "":
		d.kind = "unknown"
		d.q.Text = q.plain(text)
		d.faultf("%s", problem)
	case open < 0:
		d.kind = "description"
		d.q.Text = q.plain(text)
		d.leftOut = "a description is not a question: it has no answers in braces"
	default:
		q.answers(text[:open], text[open+1:end], text[end+1:])
	}
	c.finish(d)
}

// takeFormat cuts a [html] or the like off the start.
func (q *giftQuestion) takeFormat(s string, inherited markup) (string, markup) {
	m := giftFormat.FindStringSubmatch(s)
	if m == nil {
		return s, inherited
	}
	s = s[len(m[0]):]
	switch strings.ToLower(m[1]) {
	case "html":
		return s, markupHTML
	case "plain":
		return s, markupPlain
	case "markdown":
		return s, markupMarkdown
	}
	return s, markupAuto
}

func (q *giftQuestion) plain(s string) string {
	return plainText(giftUnescape.Replace(s), q.format, q.warnf)
}

// part is plain for an answer or feedback, which may name its own format.
func (q *giftQuestion) part(s string) string {
	s, f := q.takeFormat(s, q.format)
	return plainText(giftUnescape.Replace(strings.TrimSpace(s)), f, q.warnf)
}

// answerBlock finds the braces that hold the answers: of the balanced top-level ones the last that looks like answers,
// otherwise the last. open is -1 when there are none.
func (q *giftQuestion) answerBlock(text string) (open, end int, problem string) {
	type span struct{ open, end int }
	var spans []span
	depth, from := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			if depth == 0 {
				from = i
			}
			depth++
		case '}':
			if depth > 0 {
				depth--
				if depth == 0 {
					spans = append(spans, span{from, i})
				}
			}
		}
	}
	if depth > 0 {
		last := strings.LastIndexByte(text, '}')
		if last < from {
			return 0, 0, "the brace { in line " + strconv.Itoa(q.line+strings.Count(text[:from], "\n")) +
				" is never closed; write \\{ if no answers are meant"
		}
		q.warnf("a brace is not balanced; write \\{ and \\} inside texts")
		spans = append(spans, span{from, last})
	}
	if len(spans) == 0 {
		return -1, -1, ""
	}
	best := spans[len(spans)-1]
	for i := len(spans) - 1; i >= 0; i-- {
		if looksLikeAnswers(text[spans[i].open+1 : spans[i].end]) {
			best = spans[i]
			break
		}
	}
	if len(spans) > 1 {
		q.warnf("braces in the text are not escaped; the answers were taken from the block in line %d",
			q.line+strings.Count(text[:best.open], "\n"))
	}
	return best.open, best.end, ""
}

// answers finds the kind of the question and reads its answers. The order of the tests is the format's.
func (q *giftQuestion) answers(before, body, after string) {
	body = strings.TrimSpace(body)
	if i := strings.LastIndex(body, "####"); i >= 0 {
		q.q.Explanation = q.part(body[i+4:])
		body = strings.TrimSpace(body[:strings.Index(body, "####")])
	}
	q.stem(before, body, after)
	protected := maskTags(body)
	switch {
	case body == "":
		q.kind, q.leftOut = "essay", "an essay can't be played live"
	case strings.HasPrefix(body, "#"):
		q.numerical(body[1:])
	case strings.Contains(protected, "~"):
		q.choice(splitGIFT('~', body, protected))
	case giftArrow.MatchString(protected):
		q.kind, q.leftOut = "matching", "a matching question can't be played live"
	case trueFalseBody.MatchString(body):
		q.trueFalse(body)
	default:
		q.shortAnswer(splitGIFT('=', body, protected))
	}
}

// stem puts the question's text together; text after the block makes a gap question.
func (q *giftQuestion) stem(before, body, after string) {
	tail := strings.TrimSpace(after)
	if strayTail.MatchString(tail) {
		q.warnf("%q after the closing brace was ignored", tail)
		tail = ""
	}
	text := before
	switch {
	case tail == "":
	case trueFalseBody.MatchString(body) || body == "":
		text = strings.TrimRight(before, " ") + " " + tail
	default:
		text = before + gap + strings.TrimRight(after, " \n\t")
	}
	q.q.Text = q.plain(text)
	if q.q.Text == "" && q.title != "" {
		q.q.Text = q.title
		q.warnf("the question has no text; its name is shown")
	}
}

// maskTags overwrites = ~ # inside HTML tags (unescaped attributes), so that they don't look like structure. The result
// has the same length as s.
func maskTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	b := []byte(s)
	for i := 0; i < len(b); i++ {
		if b[i] != '<' || !tagStart.Match(b[i:min(len(b), i+40)]) {
			continue
		}
		limit := min(len(b), i+4000)
		end := strings.IndexAny(s[i+1:limit], "<>")
		if end < 0 || s[i+1+end] != '>' || !strings.Contains(s[i:i+1+end], `="`) {
			continue
		}
		for j := i; j < i+1+end; j++ {
			if b[j] == '=' || b[j] == '~' || b[j] == '#' {
				b[j] = '_'
			}
		}
		i += end
	}
	return string(b)
}

// splitGIFT cuts a block at each unescaped = and ~. lead is the sign of text before the first of them.
func splitGIFT(lead byte, body, masked string) []giftAnswer {
	var cuts []int
	for i := range len(masked) {
		if masked[i] == '=' || masked[i] == '~' {
			cuts = append(cuts, i)
		}
	}
	if len(cuts) == 0 || strings.TrimSpace(body[:cuts[0]]) != "" {
		body, masked = string(lead)+body, string(lead)+masked
		for i := range cuts {
			cuts[i]++
		}
		cuts = append([]int{0}, cuts...)
	}
	answers := make([]giftAnswer, 0, len(cuts))
	for i, at := range cuts {
		end := len(body)
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		a := giftAnswer{right: body[at] == '='}
		if a.right {
			a.weight = 100
		}
		text, mask := body[at+1:end], masked[at+1:end]
		blanks := len(text) - len(strings.TrimLeft(text, " \t\n"))
		text, mask = text[blanks:], mask[blanks:]
		if m := giftWeight.FindStringSubmatch(text); m != nil {
			a.weight, _ = strconv.ParseFloat(strings.ReplaceAll(m[1], ",", "."), 64)
			text, mask = text[len(m[0]):], mask[len(m[0]):]
		}
		if h := strings.IndexByte(mask, '#'); h >= 0 {
			text, a.feedback = text[:h], text[h+1:]
		}
		a.text = text
		answers = append(answers, a)
	}
	return answers
}

func (q *giftQuestion) choice(answers []giftAnswer) {
	q.kind, q.q.Type = "multi_choice", wire.MultipleChoice
	for _, a := range answers {
		if a.right {
			q.kind, q.q.Type = "single_choice", wire.SingleChoice
		}
	}
	for i, a := range answers {
		o := wire.Option{Text: q.part(a.text), Feedback: q.part(a.feedback)}
		if q.q.Type == wire.SingleChoice {
			o.Correct = a.weight >= fullWeight
			if a.weight > 0 && a.weight < fullWeight {
				q.warnf("answer %d earned part of the points (%g %%); it counts as wrong", i+1, a.weight)
			}
		} else {
			o.Correct = a.weight > 0
		}
		if o.Text == "" && a.feedback != "" {
			q.warnf("answer %d has only feedback; write \\# for a number sign", i+1)
		}
		q.q.Options = append(q.q.Options, o)
	}
}

func (q *giftQuestion) trueFalse(body string) {
	q.kind, q.q.Type = "true_false", wire.TrueFalse
	parts := strings.SplitN(body, "#", 3)
	if key := strings.TrimSpace(parts[0]); key != strings.ToUpper(key) {
		// By the strict rule it asks for the word itself; who wrote it meant true or false.
		q.kind = "short_answer"
		q.warnf("%q was read as true/false; by the rules of GIFT it should be in capitals", key)
	}
	right := strings.EqualFold(strings.TrimSpace(parts[0])[:1], "t")
	q.q.Correct = &right
	for _, feedback := range parts[1:] { // the one for the wrong reply first: it explains more
		if q.q.Explanation == "" {
			q.q.Explanation = q.part(feedback)
		}
	}
}

func (q *giftQuestion) shortAnswer(answers []giftAnswer) {
	q.kind, q.q.Type = "short_answer", wire.ShortText
	for _, a := range answers {
		text := q.part(a.text)
		switch {
		case a.weight >= fullWeight && text == "":
			q.faultf("an accepted answer is empty")
		case a.weight >= fullWeight:
			q.q.Texts = append(q.q.Texts, text)
			if q.q.Explanation == "" {
				q.q.Explanation = q.part(a.feedback)
			}
		case a.weight > 0:
			q.warnf("the answer %q earned part of the points (%g %%); it counts as wrong", clip(text, 40), a.weight)
		}
	}
	if len(q.q.Texts) == 0 {
		q.faultf("no answer is fully right")
	}
}

func (q *giftQuestion) numerical(body string) {
	q.kind, q.q.Type = "numerical", wire.Numeric
	var answers []giftAnswer
	if masked := maskTags(body); strings.Contains(masked, "=") {
		answers = splitGIFT('=', body, masked)
	} else {
		answers = splitGIFT('=', "="+body, "="+masked)
	}
	for _, a := range answers {
		spec := strings.TrimSpace(giftUnescape.Replace(a.text))
		if spec == "" || spec == "*" {
			if a.right && spec == "" && len(answers) == 1 {
				q.faultf("the right number is missing")
			}
			continue
		}
		r, ok := parseRange(spec)
		switch {
		case !ok:
			q.faultf("%q is not a number, a number with a tolerance (5:0.1) or a range (1..5)", clip(spec, 40))
		case a.weight >= fullWeight:
			q.q.Numbers = append(q.q.Numbers, r)
			if q.q.Explanation == "" {
				q.q.Explanation = q.part(a.feedback)
			}
		case a.weight > 0:
			q.warnf("the answer %s earned part of the points (%g %%); it counts as wrong", clip(spec, 40), a.weight)
		}
	}
	if len(q.q.Numbers) == 0 && q.fault == "" {
		q.faultf("no number is fully right")
	}
}

// parseRange reads 5, 5:0.1, 1..5, with a decimal point or comma.
func parseRange(s string) (r wire.NumberRange, ok bool) {
	if lo, hi, found := strings.Cut(s, ".."); found {
		a, okA := parseNumber(lo)
		b, okB := parseNumber(hi)
		return wire.NumberRange{Min: min(a, b), Max: max(a, b)}, okA && okB
	}
	value, tolerance, found := strings.Cut(s, ":")
	v, ok := parseNumber(value)
	if !ok {
		return r, false
	}
	t := 0.0
	if found && strings.TrimSpace(tolerance) != "" {
		if t, ok = parseNumber(tolerance); !ok {
			return r, false
		}
	}
	return around(v, t)
}

// around is the range v±t.
func around(v, t float64) (wire.NumberRange, bool) {
	r := wire.NumberRange{Min: v - math.Abs(t), Max: v + math.Abs(t)}
	if t != 0 { // 3.1415±0.0005 is 3.141 to 3.142, and not 3.1409999999999996
		r.Min, r.Max = tidyFloat(r.Min), tidyFloat(r.Max)
	}
	return r, !math.IsInf(r.Min, 0) && !math.IsInf(r.Max, 0)
}

// tidyFloat rounds to 13 significant digits.
func tidyFloat(v float64) float64 {
	t, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 13, 64), 64)
	if err != nil {
		return v
	}
	return t
}

// parseNumber reads a finite number with a decimal point or comma.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\u2212", "-"))
	if strings.Count(s, ",") == 1 && !strings.Contains(s, ".") {
		s = strings.Replace(s, ",", ".", 1)
	}
	if s == "" || strings.ContainsAny(s, "xXpPnN_") { // no hex floats, inf or nan
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, false
	}
	return v, true
}
