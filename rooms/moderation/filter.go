package moderation

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern/protocol/wire"
)

// Limits of a filter.
const (
	matchesMax    = 64
	wordRunesMax  = 100
	entriesMax    = 100_000
	listLineBytes = 4096
)

// Words are the lists of a Filter. An entry is a word or a phrase; a star at an end means that the word may go on
// there: "word" is the whole word, "word*" what begins with it, "*word*" what contains it. Entries are folded like
// text, so one spelling is enough.
type Words struct {
	Deny  []string
	Allow []string // innocent words: nothing inside them counts
}

// Match is one unwanted word in a text.
type Match struct {
	Word       string // the entry of the list
	Start, End int    // original runes, End exclusive
}

// Filter finds unwanted words. It is immutable and may be used from any goroutine.
type Filter struct{ a *automaton }

// NewFilter makes a filter. Entries without a letter or digit are left out, as are those beyond 100 characters or
// 100,000 entries.
func NewFilter(w Words) *Filter {
	f := &Filter{a: newAutomaton()}
	for _, word := range w.Deny {
		f.insert(word, false)
	}
	for _, word := range w.Allow {
		f.insert(word, true)
	}
	f.a.build()
	return f
}

func (f *Filter) insert(word string, allow bool) {
	word = strings.TrimSpace(word)
	p := pattern{word: word, allow: allow}
	bare := word
	bare, p.suffix = strings.CutPrefix(bare, "*")
	bare, p.prefix = strings.CutSuffix(bare, "*")
	if bare == "" || utf8.RuneCountInString(bare) > wordRunesMax || len(f.a.patterns) >= entriesMax {
		return
	}
	symbols := foldText([]rune(bare), oneAsI).symbols
	if len(symbols) < 3 {
		return // nothing but separators
	}
	symbols = symbols[1 : len(symbols)-1]
	p.symbols = slices.Clone(symbols)
	f.a.insert(p)
}

// ReadWords reads a word list: an entry a line; a line that begins with + is an innocent word, one that begins with #
// a comment; blank lines don't count. The error names the line.
func ReadWords(r io.Reader) (Words, error) {
	var w Words
	s := bufio.NewScanner(r)
	s.Buffer(nil, listLineBytes)
	line := 0
	for s.Scan() {
		line++
		text := strings.TrimSpace(strings.TrimPrefix(s.Text(), "\uFEFF"))
		if text == "" || text[0] == '#' {
			continue
		}
		if !utf8.ValidString(text) {
			return Words{}, fmt.Errorf("word list line %d: save the file as UTF-8", line)
		}
		if innocent, ok := strings.CutPrefix(text, "+"); ok {
			w.Allow = append(w.Allow, strings.TrimSpace(innocent))
			continue
		}
		w.Deny = append(w.Deny, text)
	}
	if err := s.Err(); err != nil {
		return Words{}, fmt.Errorf("word list line %d: %w", line+1, err)
	}
	return w, nil
}

// Add joins two lists.
func (w Words) Add(other Words) Words {
	return Words{Deny: slices.Concat(w.Deny, other.Deny), Allow: slices.Concat(w.Allow, other.Allow)}
}

// span is a match while it can still be vetoed. start and end are original runes, end exclusive.
type span struct {
	word       string
	start, end int
}

// Check lists the unwanted words in text, in order, at most 64. Time is O(len(text)) for a given list.
func (f *Filter) Check(text string) []Match {
	runes := []rune(text)
	var deny, allow []span
	one := foldText(runes, oneAsI)
	deny, allow = f.scan(one.symbols, oneAsI, deny, allow)
	if one.ambiguous {
		deny, allow = f.scan(foldText(runes, oneAsL).symbols, oneAsL, deny, allow)
	}
	if len(deny) == 0 {
		return nil
	}
	return merge(veto(deny, allow))
}

// scan looks for words in the text as it is, and in what spaced-out letters and split words read as.
func (f *Filter) scan(symbols []symbol, one reading, deny, allow []span) (d, a []span) {
	collect := func(text []symbol, wholeOnly bool) {
		f.a.find(text, func(p *pattern, from, to int) {
			if !p.fits(text, from, to, wholeOnly) {
				return
			}
			s := span{word: p.word, start: int(text[from].start), end: int(text[to-1].end)}
			if p.allow {
				allow = append(allow, s)
			} else {
				deny = append(deny, s)
			}
		})
	}
	collect(symbols, false)
	if spaced := joinSpaced(symbols, one); len(spaced) > 0 {
		collect(spaced, false)
	}
	// "fu-ck" counts only as a whole word: "push-it" holds nothing.
	if whole := joinSplit(symbols); len(whole) > 0 {
		collect(whole, true)
	}
	return deny, allow
}

// fits checks what the automaton has left open: that each letter is repeated at least as often as in the pattern, and
// that a word begins and ends where the pattern's does.
func (p *pattern) fits(text []symbol, from, to int, wholeOnly bool) bool {
	for i, s := range p.symbols {
		if text[from+i].count < s.count && s.r != separator {
			return false
		}
	}
	// The text begins and ends with a separator, so from-1 and to are inside unless the pattern has separators itself.
	if (!p.suffix || wholeOnly) && from > 0 && text[from-1].r != separator {
		return false
	}
	return p.prefix && !wholeOnly || to >= len(text) || text[to].r == separator
}

// spacedMin is how many single letters in a row are read as one word.
const spacedMin = 3

// joinSpaced gives the runs of single letters ("f u c k", "f.u.c.k") as words, separated; empty when there are none.
func joinSpaced(symbols []symbol, one reading) []symbol {
	var out []symbol
	for i := 1; i < len(symbols); {
		// Symbols alternate here: a single letter, a separator, a single letter …
		j, letters := i, false
		for j+1 < len(symbols) && symbols[j].r != separator && symbols[j+1].r == separator &&
			symbols[j-1].r == separator {
			letters = letters || unicode.IsLetter(symbols[j].r)
			j += 2
		}
		if letters && (j-i)/2 >= spacedMin {
			if len(out) == 0 {
				out = append(out, symbols[i-1])
			}
			for k := i; k < j; k += 2 {
				s := symbols[k]
				if l := leet(s.r, one); l != 0 {
					s.r = l
				}
				out = join(out, s)
			}
			out = append(out, symbols[j-1])
		}
		i = max(j, i+1)
	}
	return out
}

// joinSplit gives the text without punctuation inside tokens; empty when there is none.
func joinSplit(symbols []symbol) []symbol {
	var out []symbol
	for i, s := range symbols {
		if s.inner {
			if out == nil {
				out = append(make([]symbol, 0, len(symbols)), symbols[:i]...)
			}
			continue
		}
		if out != nil {
			out = join(out, s)
		}
	}
	return out
}

// join appends a symbol, or counts it to the last one when that is the same letter.
func join(out []symbol, s symbol) []symbol {
	if n := len(out) - 1; n >= 0 && out[n].r == s.r {
		out[n].count += s.count
		out[n].end = s.end
		return out
	}
	return append(out, s)
}

// veto takes out what lies inside an innocent word.
func veto(deny, allow []span) []span {
	if len(allow) == 0 {
		return deny
	}
	// Among the allowed spans that begin at or before a match, the one that reaches farthest decides.
	slices.SortFunc(allow, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	slices.SortFunc(deny, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	kept, reach, next := deny[:0], -1, 0
	for _, d := range deny {
		for next < len(allow) && allow[next].start <= d.start {
			reach = max(reach, allow[next].end)
			next++
		}
		if reach < d.end {
			kept = append(kept, d)
		}
	}
	return kept
}

// merge puts matches in order and leaves out those that lie inside another.
func merge(deny []span) []Match {
	slices.SortFunc(deny, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.word, b.word))
	})
	var out []Match
	reach := -1
	for _, d := range deny {
		if d.end <= reach {
			continue
		}
		reach = d.end
		out = append(out, Match{Word: d.word, Start: d.start, End: d.end})
		if len(out) == matchesMax {
			break
		}
	}
	return out
}

// CheckText refuses a text that holds an unwanted word; otherwise the text is fit to be shown as it is.
func (f *Filter) CheckText(text string) *wire.Error {
	if len(f.Check(text)) == 0 {
		return nil
	}
	return wire.NewError(wire.CodeTextRejected, "say it without the word that is not wanted here").At("text")
}
