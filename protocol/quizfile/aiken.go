package quizfile

import (
	"regexp"
	"strings"

	"lectern/protocol/wire"
)

var (
	aikenChoice  = regexp.MustCompile(`^\s*([A-Z])[.)]\s*(.*)$`)
	aikenLoose   = regexp.MustCompile(`^\s*(?:\(([A-Za-z])\)|([a-z])[.)]|([A-Z])[:\]])\s*(.*)$`)
	aikenAnswer  = regexp.MustCompile(`(?i)^\s*ANSWER\s*:\s*(.*?)\s*$`)
	aikenLetter  = regexp.MustCompile(`^\(?([A-Za-z])[.)]?$`)
	aikenLetters = regexp.MustCompile(`^[A-Za-z](\s*[,;&/ ]\s*[A-Za-z])+$`)
	aikenExtra   = regexp.MustCompile(`^\s*([A-Z]{4,}):\s*(.*)$`)
)

// aikenLine is a line that is not blank, with the number of blank lines that stood before it.
type aikenLine struct {
	text   string
	number int
	after  int
}

// choice returns the letter and text of a line that looks like a choice; loose when it is written in a way that Aiken
// does not know.
func (l aikenLine) choice() (letter byte, text string, loose, ok bool) {
	if m := aikenChoice.FindStringSubmatch(l.text); m != nil {
		return m[1][0], m[2], false, true
	}
	if m := aikenLoose.FindStringSubmatch(l.text); m != nil {
		return strings.ToUpper(m[1] + m[2] + m[3])[0], m[4], true, true
	}
	return 0, "", false, false
}

// aikenBlock is a question as it grows.
type aikenBlock struct {
	lines  []aikenLine // stem and choices
	answer *aikenLine
}

func decodeAiken(c *collector, s string) {
	var block aikenBlock
	blanks := 0
	var last *wire.Question // takes a FEEDBACK: line
	lastAt := 0
	for i, text := range strings.Split(s, "\n") {
		l := aikenLine{text: text, number: i + 1, after: blanks}
		if strings.TrimSpace(text) == "" {
			blanks++
			continue
		}
		blanks = 0
		if aikenAnswer.MatchString(text) {
			block.answer = &l
			last, lastAt = finishAiken(c, block), l.number
			block = aikenBlock{}
			continue
		}
		if m := aikenExtra.FindStringSubmatch(text); m != nil && lastAt == l.number-1 && len(block.lines) == 0 {
			lastAt = l.number
			extraAiken(c, last, l, m[1], m[2])
			continue
		}
		if l.after > 0 && len(block.lines) > 0 && !block.goesOn(l) {
			finishAiken(c, block)
			block = aikenBlock{}
		}
		block.lines = append(block.lines, l)
	}
	if len(block.lines) > 0 {
		finishAiken(c, block)
	}
}

// extraAiken handles what other tools write after the answer.
func extraAiken(c *collector, last *wire.Question, l aikenLine, key, value string) {
	switch key {
	case "FEEDBACK", "EXPLANATION", "FEEDBACKS":
		if last != nil {
			last.Explanation = clip(cleanText(last.Explanation+"\n"+value), wire.ExplanationCharsMax)
		}
	default:
		c.note(Warning, l.number, "the line "+key+": is not part of Aiken and was ignored")
	}
}

// goesOn tells whether a line after a blank one still belongs to the block: it is the next choice.
func (b *aikenBlock) goesOn(l aikenLine) bool {
	letter, _, _, ok := l.choice()
	if !ok {
		return false
	}
	_, choices := b.split()
	if len(choices) == 0 {
		return letter == 'A'
	}
	return int(letter-'A') == len(choices)
}

// aikenOption is a choice with the lines that go on with it.
type aikenOption struct {
	text  string
	loose bool
	at    int // index of its first line
}

// split finds the choices: they start at the last A that is followed by B, so that a stem such as "A. Smith wrote …"
// stays a stem. With a single choice that is the last A after the first line.
func (b *aikenBlock) split() (stem []aikenLine, choices []aikenOption) {
	start := -1
	for i, l := range b.lines {
		letter, _, _, ok := l.choice()
		if !ok || letter != 'A' {
			continue
		}
		next := byte(0)
		for _, n := range b.lines[i+1:] {
			if x, _, _, ok := n.choice(); ok {
				next = x
				break
			}
		}
		if start < 0 || next == 'B' {
			start = i
		}
	}
	if start < 0 {
		return b.lines, nil
	}
	for i, l := range b.lines[start:] {
		letter, text, loose, ok := l.choice()
		if ok && (int(letter-'A') == len(choices) || !loose) {
			if int(letter-'A') != len(choices) {
				text = "\x00" + text // out of order: the caller reports it
			}
			choices = append(choices, aikenOption{text: text, loose: loose, at: start + i})
		} else {
			choices[len(choices)-1].text += "\n" + l.text
		}
	}
	return b.lines[:start], choices
}

// cutUnanswered returns the index of the first line of a second question in the block, when the first has no answer
// line and no blank line follows it; 0 when there is none.
func (b *aikenBlock) cutUnanswered() int {
	expected, lastChoice := 0, -1
	for i, l := range b.lines {
		letter, _, _, ok := l.choice()
		if !ok {
			continue
		}
		n := int(letter - 'A')
		if n == 0 && expected >= 2 && lastChoice+1 < i {
			return lastChoice + 1
		}
		if n == expected || n == 0 {
			expected, lastChoice = n+1, i
		}
	}
	return 0
}

// finishAiken files the block and returns the question when it is good.
func finishAiken(c *collector, b aikenBlock) *wire.Question {
	if cut := b.cutUnanswered(); cut > 0 {
		finishAiken(c, aikenBlock{lines: b.lines[:cut]})
		b.lines = b.lines[cut:]
	}
	stem, choices := b.split()
	if len(choices) == 0 && b.answer == nil {
		c.note(Warning, b.lines[0].number, "text without choices and without an ANSWER line was ignored: "+
			clip(strings.TrimSpace(b.lines[0].text), 60))
		return nil
	}
	line := 0
	if len(b.lines) > 0 {
		line = b.lines[0].number
	} else {
		line = b.answer.number
	}
	d := c.begin(line)
	d.kind, d.q.Type = "single_choice", wire.SingleChoice
	texts := make([]string, len(stem))
	for i, l := range stem {
		texts[i] = strings.TrimSpace(l.text)
	}
	d.q.Text = strings.Join(texts, "\n")
	if len(stem) == 0 {
		d.faultf("there is no question before the choices")
	}
	for i, o := range choices {
		if strings.HasPrefix(o.text, "\x00") {
			d.faultf("the choices are not in order: expected %c) in line %d", 'A'+rune(i%26), b.lines[o.at].number)
		}
		if o.loose {
			d.warnf("choices should be written as A) or A. with a capital letter")
		}
		d.q.Options = append(d.q.Options, wire.Option{Text: strings.TrimPrefix(o.text, "\x00")})
	}
	if len(choices) < 2 {
		d.faultf("there are fewer than two choices")
	}
	keyAiken(d, b.answer)
	before := len(c.imp.Quiz.Questions)
	c.finish(d)
	if n := len(c.imp.Quiz.Questions); n > before {
		return &c.imp.Quiz.Questions[n-1]
	}
	return nil
}

// keyAiken reads the ANSWER line.
func keyAiken(d *draft, answer *aikenLine) {
	if answer == nil {
		d.faultf("the ANSWER line is missing")
		return
	}
	value := aikenAnswer.FindStringSubmatch(answer.text)[1]
	if !strings.HasPrefix(strings.TrimSpace(answer.text), "ANSWER") {
		d.warnf("ANSWER should be in capital letters (line %d)", answer.number)
	}
	m := aikenLetter.FindStringSubmatch(value)
	switch {
	case value == "":
		d.faultf("the ANSWER line %d names no choice", answer.number)
	case m == nil && aikenLetters.MatchString(value):
		d.faultf("the ANSWER line %d names several choices; Aiken knows one right answer only", answer.number)
	case m == nil:
		d.faultf("the ANSWER line %d must name a choice by its letter, not %q", answer.number, clip(value, 40))
	default:
		letter := strings.ToUpper(m[1])[0]
		if m[1][0] != letter {
			d.warnf("the letter in the ANSWER line %d should be a capital", answer.number)
		}
		n := int(letter - 'A')
		if n >= len(d.q.Options) {
			d.faultf("the ANSWER line %d names %c, but there are only %d choices", answer.number, letter, len(d.q.Options))
			return
		}
		d.q.Options[n].Correct = true
	}
}
