package moderation

import (
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/mtibben/confusables"
	"golang.org/x/text/unicode/norm"
)

// Folding turns text into what it looks like to a reader: each original rune becomes no symbol (it is invisible), one
// or more letters and digits, or a separator. Order: NFKC's compatibility mappings, marks and invisible runes off,
// case folding, then the skeleton of UTS #39 for what is not ASCII. Folding one rune needs no neighbours (marks are
// dropped, so composition does not matter), which keeps the way back to the original positions trivial and allows a
// table.

// separator stands for everything between words in folded text.
const separator = ' '

// fold is what one rune becomes: "" for invisible, " " for a separator, else letters and digits.
func fold(r rune) string {
	if r < 0x80 {
		return asciiFolds[r]
	}
	if p := r >> 8; int(p) < len(pages) {
		page := pages[p].Load()
		if page == nil {
			page = new([256]string)
			for i := range page {
				page[i] = foldSlow(p<<8 + rune(i))
			}
			pages[p].Store(page) // two goroutines may both compute it; the result is the same
		}
		return page[r&0xFF]
	}
	return foldSlow(r)
}

// pages holds the foldings of the two lowest planes, made when first needed: at most 512 pages of 4 KiB.
var pages [0x200]atomic.Pointer[[256]string]

var asciiFolds = func() (t [0x80]string) {
	for i := range t {
		r := unicode.ToLower(rune(i))
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			t[i] = string(r)
		case unicode.IsControl(r) && !unicode.IsSpace(r):
			t[i] = ""
		default:
			t[i] = string(separator)
		}
	}
	return t
}()

func foldSlow(r rune) string {
	if invisible(r) {
		return ""
	}
	var b strings.Builder
	for _, d := range norm.NFKD.String(string(r)) {
		if d < 0x80 {
			b.WriteString(asciiFolds[d])
			continue
		}
		if unicode.Is(unicode.M, d) || invisible(d) {
			continue
		}
		foldLetter(&b, d)
	}
	s := b.String()
	if trimmed := strings.Trim(s, string(separator)); trimmed != "" || s == "" {
		return trimmed // "⒡" is a letter in brackets, not three symbols
	}
	return string(separator)
}

// foldLetter folds the case of one decomposed rune and looks its skeleton up. An ASCII letter is never replaced (UTS
// #39 takes m for rn and 1 for l, which would make "pom" a bad word).
func foldLetter(b *strings.Builder, r rune) {
	if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
		if s := asciiSkeleton(r); s != "" {
			b.WriteString(s)
			return
		}
		if enclosed := enclosedLetter(r); enclosed != 0 {
			b.WriteRune(enclosed)
			return
		}
		b.WriteRune(separator)
		return
	}
	// The skeleton is looked up before the case is folded: Cyrillic В looks like B, в does not.
	if s := asciiSkeleton(r); s != "" {
		b.WriteString(s)
		return
	}
	lower := unicode.ToLower(r)
	if s := asciiSkeleton(lower); s != "" {
		b.WriteString(s)
		return
	}
	// Cyrillic н and т look like small capitals, which have no ASCII skeleton, but Н and Т do.
	if s := asciiSkeleton(unicode.ToUpper(r)); s != "" {
		b.WriteString(s)
		return
	}
	if lower == 'ß' {
		b.WriteString("ss")
		return
	}
	b.WriteRune(lower)
}

// asciiSkeleton is the skeleton of r in lower-case ASCII letters and digits, empty when it has another one.
func asciiSkeleton(r rune) string {
	s := confusables.Skeleton(string(r))
	var b strings.Builder
	for _, c := range s {
		if unicode.Is(unicode.Mn, c) {
			continue // Cyrillic й and the like look like a letter with a mark
		}
		if c >= 0x80 || !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return ""
		}
		b.WriteRune(unicode.ToLower(c))
	}
	if b.String() == "l" {
		return "1" // UTS #39 has one skeleton for I, l, 1 and |; which letter is meant is left to the readings
	}
	return b.String()
}

// enclosedLetter reads the squared and circled letters that have no compatibility mapping (regional indicators,
// negative circled and squared letters); zero for any other rune.
func enclosedLetter(r rune) rune {
	for _, first := range []rune{0x1F150, 0x1F170, 0x1F1E6} {
		if r >= first && r < first+26 {
			return 'a' + r - first
		}
	}
	return 0
}

// invisible is true for what leaves no trace on the screen: zero-width and bidirectional controls, variation
// selectors, tags, fillers.
func invisible(r rune) bool {
	switch r {
	case 0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0:
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) ||
		unicode.IsControl(r) && !unicode.IsSpace(r)
}

// symbol is one place of folded text: a rune, how often it stands there in a row, and the original runes it came from.
type symbol struct {
	r          rune
	count      int32
	start, end int32 // original runes, end exclusive
	inner      bool  // a separator inside a token: punctuation, not a blank
}

// reading is how the digit 1 and its look-alikes are read; a text that holds one is read twice.
type reading rune

// The readings.
const (
	oneAsI reading = 'i'
	oneAsL reading = 'l'
)

// leet is the letter that a digit or sign stands for inside a word, zero for none.
func leet(r rune, one reading) rune {
	switch r {
	case '0':
		return 'o'
	case '1', '!', '|':
		return rune(one)
	case '3':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7', '+':
		return 't'
	case '8':
		return 'b'
	}
	return 0
}

// folded is a text as symbols, in which a run of one letter is one symbol and a run of separators is one separator. It
// begins and ends with a separator.
type folded struct {
	symbols   []symbol
	ambiguous bool // holds a 1 that could be an l
}

// add appends a rune that came from original rune at; runs are counted, not repeated.
func (f *folded) add(r rune, at int32) {
	if n := len(f.symbols); n > 0 && f.symbols[n-1].r == r {
		f.symbols[n-1].count++
		f.symbols[n-1].end = at + 1
		return
	}
	f.symbols = append(f.symbols, symbol{r: r, count: 1, start: at, end: at + 1, inner: r == separator})
}

// addBlank appends a separator between tokens.
func (f *folded) addBlank(at int32) {
	f.add(separator, at)
	f.symbols[len(f.symbols)-1].inner = false
}

// foldText folds a text. A digit or sign is read as a letter only in a token (what stands between blanks) that has a
// letter, so that numbers stay numbers; of the signs, ! | + only in front of a letter or digit, so that "no!" stays
// "no".
func foldText(runes []rune, one reading) folded {
	f := folded{symbols: make([]symbol, 0, len(runes)+2)}
	f.addBlank(0)
	for from := 0; from < len(runes); {
		to := from
		letters := false
		for to < len(runes) && !unicode.IsSpace(runes[to]) {
			letters = letters || hasLetter(runes[to])
			to++
		}
		for i := from; i < to; i++ {
			f.addRune(runes, i, to, letters, one)
		}
		if to < len(runes) {
			f.addBlank(int32(to))
		}
		from = to + 1
	}
	f.addBlank(int32(len(runes)))
	return f
}

// addRune folds rune i of the token that ends at to.
func (f *folded) addRune(runes []rune, i, to int, letters bool, one reading) {
	s := fold(runes[i])
	if letters {
		if r := runes[i]; r < 0x80 && !unicode.IsLetter(r) {
			l := leet(r, one)
			if l != 0 && (r >= '0' && r <= '9' || r == '$' || r == '@' || i+1 < to && wordRune(runes[i+1])) {
				f.ambiguous = f.ambiguous || r == '1' || r == '!' || r == '|'
				f.add(l, int32(i))
				return
			}
		}
		for _, c := range s {
			if l := leet(c, one); l != 0 && c != separator {
				f.ambiguous = f.ambiguous || c == '1'
				c = l
			}
			f.add(c, int32(i))
		}
		return
	}
	for _, c := range s {
		f.ambiguous = f.ambiguous || c == '1' // may yet be read as a letter among single letters
		f.add(c, int32(i))
	}
}

// hasLetter is true for a rune that folds to a letter.
func hasLetter(r rune) bool {
	for _, c := range fold(r) {
		if unicode.IsLetter(c) {
			return true
		}
	}
	return false
}

// wordRune is true for what can go on a word after a sign: a letter, a digit or another sign of leet.
func wordRune(r rune) bool {
	s := fold(r)
	return s != "" && s != string(separator) || leet(r, oneAsI) != 0
}
