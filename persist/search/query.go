package search

import (
	"strings"
	"unicode/utf8"

	"lectern/protocol/wire"
)

// Limits of a query.
const (
	QueryCharsMax = 100
	TermsMax      = 8
	// prefixCharsMin is the shortest beginning that is searched for: a single letter would find nearly everything.
	prefixCharsMin = 2
)

// Term is one thing to be found: its words in this order, one after the other. With Prefix the last word may go on.
type Term struct {
	Words  []string
	Prefix bool
}

// Parse reads what somebody typed: words, each of which must be there, and "several words" in quotation marks as a
// phrase. Everything that is no letter or digit only separates words.
func Parse(text string) ([]Term, *wire.Error) {
	if utf8.RuneCountInString(text) > QueryCharsMax {
		return nil, wire.NewError(wire.CodeTooLarge, "search for at most %d characters", QueryCharsMax).At("q")
	}
	var terms []Term
	short := false
	for i, part := range strings.Split(text, `"`) {
		pieces := []string{part}
		if i%2 == 0 {
			pieces = strings.Fields(part)
		}
		for _, piece := range pieces {
			var term Term
			tokens := Tokens(piece)
			for _, t := range tokens {
				term.Words = append(term.Words, t.Word)
				term.Prefix = i%2 == 0 && !t.Single
			}
			if len(term.Words) == 0 {
				continue
			}
			last := tokens[len(tokens)-1]
			if term.Prefix && len(tokens) == 1 && utf8.RuneCountInString(last.Word) < prefixCharsMin {
				term.Prefix = false // as a whole word it may do
				short = true
			}
			terms = append(terms, term)
		}
	}
	switch {
	case len(terms) == 0:
		return nil, wire.NewError(wire.CodeInvalidData, "search for a word").At("q")
	case len(terms) > TermsMax:
		return nil, wire.NewError(wire.CodeInvalidData, "search for at most %d words", TermsMax).At("q")
	case short && len(terms) == 1:
		return nil, wire.NewError(wire.CodeInvalidData, "search for at least %d letters", prefixCharsMin).At("q")
	}
	return terms, nil
}

// span is a run of tokens.
type span struct{ from, to int }

// occurrences are the places of a term among tokens.
func (t *Term) occurrences(tokens []Token) []span {
	var out []span
	for i := 0; i+len(t.Words) <= len(tokens); i++ {
		if t.at(tokens[i:]) {
			out = append(out, span{i, i + len(t.Words)})
		}
	}
	return out
}

func (t *Term) at(tokens []Token) bool {
	for j, word := range t.Words {
		got := tokens[j].Word
		if got == word || t.Prefix && j == len(t.Words)-1 && strings.HasPrefix(got, word) {
			continue
		}
		return false
	}
	return true
}

// Matches says whether every term is in the text.
func Matches(text string, terms []Term) bool {
	tokens := Tokens(text)
	for i := range terms {
		if len(terms[i].occurrences(tokens)) == 0 {
			return false
		}
	}
	return true
}

// Part is a piece of an excerpt; Hit says that it was searched for. Parts are plain text, never markup.
type Part struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"`
}

const (
	excerptTokensBefore = 8
	excerptCharsMax     = 240
)

// Excerpt is the piece of a text around the first hit, in parts that put together are the excerpt. "…" stands where
// something is left out.
func Excerpt(text string, terms []Term) []Part {
	tokens := Tokens(text)
	hit := make([]bool, len(tokens))
	first := -1
	for i := range terms {
		for _, s := range terms[i].occurrences(tokens) {
			for j := s.from; j < s.to; j++ {
				hit[j] = true
			}
			if first < 0 || s.from < first {
				first = s.from
			}
		}
	}
	begin := 0
	if first > excerptTokensBefore {
		begin = tokens[first-excerptTokensBefore].Start
	}
	end := begin
	for n := 0; end < len(text) && n < excerptCharsMax; n++ {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	var parts []Part
	add := func(s string, isHit bool) {
		if s == "" {
			return
		}
		if n := len(parts); n > 0 && parts[n-1].Hit == isHit {
			parts[n-1].Text += s
			return
		}
		parts = append(parts, Part{Text: s, Hit: isHit})
	}
	if begin > 0 {
		add("…", false)
	}
	at := begin
	for i, t := range tokens {
		if !hit[i] || t.Start < at || t.Start >= end {
			continue
		}
		t.End = min(t.End, end)
		between := text[at:t.Start]
		add(between, i > 0 && hit[i-1] && at > begin && strings.TrimSpace(between) == "")
		add(text[t.Start:t.End], true)
		at = t.End
	}
	add(text[at:end], false)
	if end < len(text) {
		add("…", false)
	}
	return parts
}
