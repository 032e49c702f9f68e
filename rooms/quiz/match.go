package quiz

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// matcher judges answers to one question. It is made once per question.
type matcher struct {
	right    uint64 // single_choice, true_false: not used; multiple_choice: set of right options
	rightN   int
	patterns [][]token // short_text
}

// token is one character of a pattern for texts, or a wildcard for any number of characters.
type token struct {
	r    rune
	wild bool
}

func newMatcher(q *wire.Question) matcher {
	var m matcher
	for i, o := range q.Options {
		if o.Correct && i < multiOptionMax {
			m.right |= 1 << i
		}
	}
	m.rightN = bits.OnesCount64(m.right)
	if q.Type == wire.ShortText {
		for _, t := range q.Texts {
			m.patterns = append(m.patterns, compilePattern(t, q.CaseMatters))
		}
	}
	return m
}

// judge says how the answer value (see answer.value; text for texts) fares: picked of right is the share of the points.
func (q *question) judge(value uint64, text string) (o outcome, picked, right int) {
	switch q.spec.Type {
	case wire.Poll:
		return outcomePoll, 0, 0
	case wire.SingleChoice:
		return oneOf(value < uint64(len(q.spec.Options)) && q.spec.Options[value].Correct)
	case wire.TrueFalse:
		return oneOf(q.spec.Correct != nil && *q.spec.Correct == (value == 1))
	case wire.MultipleChoice:
		picked = bits.OnesCount64(value & q.match.right)
		switch {
		case value&^q.match.right != 0 || picked == 0:
			return outcomeWrong, 0, q.match.rightN
		case picked < q.match.rightN:
			return outcomePartial, picked, q.match.rightN
		}
		return outcomeCorrect, picked, q.match.rightN
	case wire.Numeric:
		x, err := strconv.ParseFloat(text, 64)
		return oneOf(err == nil && inRanges(x, q.spec.Numbers))
	case wire.ShortText:
		s := foldText(text, q.spec.CaseMatters)
		for _, p := range q.match.patterns {
			if matchPattern(p, []rune(s)) {
				return oneOf(true)
			}
		}
	}
	return oneOf(false)
}

func oneOf(right bool) (o outcome, picked, of int) {
	if right {
		return outcomeCorrect, 1, 1
	}
	return outcomeWrong, 0, 1
}

// inRanges includes both ends, with a relative slack of 10⁻⁹: files give tolerances (0.3 ± 0.1) whose sums are not
// exact in binary, and 0.4 must then be right.
func inRanges(x float64, ranges []wire.NumberRange) bool {
	for _, r := range ranges {
		slack := 1e-9 * max(math.Abs(r.Min), math.Abs(r.Max))
		if x >= r.Min-slack && x <= r.Max+slack {
			return true
		}
	}
	return false
}

// foldText makes texts comparable: trimmed, runs of blanks one blank, lower case unless case matters. There is no
// Unicode normalisation: keyboards compose.
func foldText(s string, caseMatters bool) string {
	s = strings.Join(strings.Fields(s), " ")
	if !caseMatters {
		s = strings.ToLower(s)
	}
	return s
}

// compilePattern reads an accepted text: * is any number of characters, \* a star, \\ a backslash.
func compilePattern(s string, caseMatters bool) []token {
	var p []token
	escaped := false
	for _, r := range foldText(s, caseMatters) {
		switch {
		case escaped:
			if r != '*' && r != '\\' {
				p = append(p, token{r: '\\'})
			}
			p = append(p, token{r: r})
			escaped = false
		case r == '\\':
			escaped = true
		case r == '*':
			p = append(p, token{wild: true})
		default:
			p = append(p, token{r: r})
		}
	}
	if escaped {
		p = append(p, token{r: '\\'})
	}
	return p
}

// matchPattern goes back to the latest wildcard only, so it costs O(len(p)·len(s)) at worst.
func matchPattern(p []token, s []rune) bool {
	i, j := 0, 0
	star, mark := -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i].wild:
			star, mark = i, j
			i++
		case i < len(p) && p[i].r == s[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i].wild {
		i++
	}
	return i == len(p)
}
