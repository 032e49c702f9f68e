package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Token is one word of a text, folded. Start and End are its place in the text, in bytes.
type Token struct {
	Word       string
	Start, End int
	Single     bool // one character of a script without blanks
}

// wordBytesMax bounds a token; the rest of a longer word is left out.
const wordBytesMax = 128

// unspaced are scripts that are written without blanks between words.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// letters that have no decomposition into a base letter and a mark.
var letters = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o", 'đ': "d", 'Đ': "d",
	'ð': "d", 'Ð': "d", 'þ': "th", 'Þ': "th", 'ł': "l", 'Ł': "l", 'ı': "i", 'İ': "i", 'ħ': "h", 'Ħ': "h", 'ŧ': "t",
	'Ŧ': "t", 'ς': "σ",
}

// dropped are marks that people leave out when they search: diacritics, Arabic and Hebrew vowel points. Vowel signs of
// other scripts are letters of their own and stay.
func dropped(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r <= 0x36f, r >= 0x1ab0 && r <= 0x1aff, r >= 0x1dc0 && r <= 0x1dff, r >= 0x20d0 && r <= 0x20ff,
		r >= 0xfe20 && r <= 0xfe2f:
		return true
	case r >= 0x591 && r <= 0x5c7:
		return r != 0x5be && r != 0x5c0 && r != 0x5c3 && r != 0x5c6
	}
	return r >= 0x64b && r <= 0x65f || r == 0x670 || r == 0x640
}

// Tokens takes a text apart.
func Tokens(text string) []Token {
	var out []Token
	var word strings.Builder
	start, end := 0, 0
	flush := func() {
		if word.Len() > 0 {
			out = append(out, Token{Word: word.String(), Start: start, End: end})
			word.Reset()
		}
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		at := i
		i += size
		switch {
		case dropped(r):
			if word.Len() > 0 {
				end = i
			} else if n := len(out); n > 0 && out[n-1].End == at {
				out[n-1].End = i
			}
		case unicode.In(r, unspaced...):
			flush()
			for _, c := range foldRune(r) {
				out = append(out, Token{Word: string(c), Start: at, End: i, Single: true})
			}
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || unicode.IsNumber(r):
			folded := foldRune(r)
			if folded == "" {
				continue
			}
			if word.Len() == 0 {
				start = at
			}
			end = i
			if word.Len()+len(folded) <= wordBytesMax {
				word.WriteString(folded)
			}
		default:
			flush()
		}
	}
	flush()
	return out
}

// foldRune is a character's form for comparison: compatibility forms as the usual ones, lower case, no diacritics.
func foldRune(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToLower(r))
	}
	if s, ok := letters[r]; ok {
		return s
	}
	if unicode.Is(unicode.Hangul, r) {
		return string(r)
	}
	var b strings.Builder
	for _, c := range norm.NFKD.String(string(r)) {
		switch s, ok := letters[c]; {
		case ok:
			b.WriteString(s)
		case dropped(c) || !(unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c) || unicode.IsNumber(c)):
		default:
			b.WriteRune(unicode.ToLower(c))
		}
	}
	return b.String()
}

// Folded is a text as engines index it: its words, a blank between two.
func Folded(text string) string {
	var b strings.Builder
	for i, t := range Tokens(text) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.Word)
	}
	return b.String()
}
