package quizfile

import (
	"regexp"
	"strings"

	"lectern/protocol/wire"
)

var triviaOption = regexp.MustCompile(`^([A-Z]) (.*)$`)

// decodeTriviaQA reads OpenTriviaQA: "#Q question", "^ right answer", then the choices as "A text", "B text" …
func decodeTriviaQA(c *collector, s string) {
	var d *draft
	var right []string
	state := 0 // 0 outside, 1 in the question, 2 in the key, 3 in the choices
	end := func() {
		if d != nil {
			finishTrivia(c, d, strings.TrimSpace(strings.Join(right, "\n")))
		}
		d, right, state = nil, nil, 0
	}
	for i, line := range strings.Split(s, "\n") {
		switch {
		case strings.HasPrefix(line, "#Q "):
			end()
			d = c.begin(i + 1)
			d.q.Text, state = line[3:], 1
		case d == nil:
			if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
				c.note(Warning, i+1, "a line outside any question was ignored")
			}
		case state < 3 && strings.HasPrefix(line, "^ "):
			right, state = append(right, line[2:]), 2
		case state >= 2 && triviaOption.MatchString(line):
			d.q.Options = append(d.q.Options, wire.Option{Text: strings.TrimSpace(line[2:])})
			state = 3
		case strings.TrimSpace(line) == "":
		case state == 1:
			d.q.Text += "\n" + line
		case state == 2:
			right = append(right, line)
		default:
			o := &d.q.Options[len(d.q.Options)-1]
			o.Text += "\n" + strings.TrimSpace(line)
		}
	}
	end()
}

func finishTrivia(c *collector, d *draft, right string) {
	d.kind, d.q.Type = "single_choice", wire.SingleChoice
	found := false
	for i := range d.q.Options {
		o := &d.q.Options[i]
		if oneLine(o.Text) == oneLine(right) {
			o.Correct, found = !found, true
		}
	}
	if isTrueFalse(d.q.Options) {
		// Counted as true/false only where written so; played as such in any case.
		if both := d.q.Options[0].Text + d.q.Options[1].Text; both == "TrueFalse" || both == "FalseTrue" {
			d.kind = "true_false"
		}
		d.q.Type = wire.TrueFalse
		value := strings.EqualFold(right, "true")
		d.q.Correct, d.q.Options = &value, nil
	}
	if !found {
		for i := range d.q.Options {
			if !found && strings.EqualFold(oneLine(d.q.Options[i].Text), oneLine(right)) {
				d.q.Options[i].Correct, found = true, true
			}
		}
	}
	if !found {
		d.faultf("the right answer %q is not among the choices", clip(right, 60))
	}
	c.finish(d)
}

// isTrueFalse is true for the two choices True and False, in any order.
func isTrueFalse(options []wire.Option) bool {
	if len(options) != 2 {
		return false
	}
	a, b := strings.ToLower(options[0].Text), strings.ToLower(options[1].Text)
	return (a == "true" && b == "false") || (a == "false" && b == "true")
}

// decodeCloze counts Moodle's embedded answers: the whole text is one question with sub-questions.
func decodeCloze(c *collector, s string) {
	d := c.begin(1)
	d.kind = "cloze"
	d.q.Text = cleanText(s)
	d.leftOut = "a cloze question (several gaps in one text) can't be played live"
	c.finish(d)
}
