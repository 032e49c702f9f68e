package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of mentions.
const (
	mentionsMax     = 10 // users notified by one message
	mentionTriesMax = 50 // at-signs that are looked at
	nameRunesMax    = 40
	nameWordsMax    = 4
	emojiRunesMax   = 8
	emojiBytesMax   = 32
)

// mentions lists the users whom text mentions, without the author: @Name, the longest name that somebody has counts,
// so that names of several words work.
func (m *Machine) mentions(text, author string) []string {
	var users []string
	rest := text
	prev := ' '
	for range mentionTriesMax {
		at := strings.IndexByte(rest, '@')
		if at < 0 {
			break
		}
		if at > 0 {
			prev, _ = utf8.DecodeLastRuneInString(rest[:at])
		}
		rest = rest[at+1:]
		word := unicode.IsLetter(prev) || unicode.IsDigit(prev) // ada@example.org is no mention
		prev = '@'
		if word {
			continue
		}
		for _, user := range m.mentioned(rest) {
			if user == author || slices.Contains(users, user) {
				continue
			}
			users = append(users, user)
			if len(users) == mentionsMax {
				return users
			}
		}
	}
	return users
}

// mentioned lists the users with the longest name that text begins with.
func (m *Machine) mentioned(text string) []string {
	for _, name := range nameCandidates(text) {
		if users := m.policy.Members(name); len(users) > 0 {
			return users
		}
	}
	return nil
}

// nameCandidates lists what at the beginning of text could be a name, longest first: up to four words, each end with
// and without the punctuation that follows it.
func nameCandidates(text string) []string {
	var ends []int
	runes, inWord := 0, false
	for i, r := range text {
		if runes++; runes > nameRunesMax+1 || r == '@' || r == '\n' {
			break
		}
		if unicode.IsSpace(r) {
			if !inWord {
				break // the name must follow the at-sign, and has single blanks
			}
			ends = append(ends, i)
			if len(ends) == nameWordsMax {
				break
			}
			inWord = false
			continue
		}
		inWord = true
	}
	if inWord && len(ends) < nameWordsMax {
		ends = append(ends, endOfWord(text))
	}
	var names []string
	for i := len(ends) - 1; i >= 0; i-- {
		name := text[:ends[i]]
		names = append(names, name)
		if bare := strings.TrimRightFunc(name, unicode.IsPunct); bare != name && bare != "" {
			names = append(names, bare)
		}
	}
	return names
}

// endOfWord is where the scan of nameCandidates ended: at an at-sign, a line's end, the longest name or the text's
// end.
func endOfWord(text string) int {
	runes := 0
	for i, r := range text {
		if runes++; runes > nameRunesMax || r == '@' || r == '\n' {
			return i
		}
	}
	return len(text)
}

// ValidEmoji is true for one emoji: at most 8 runes of symbols, joiners, variation selectors, skin tones, keycaps and
// tags, at least one of which is a symbol. Letters, digits of their own, blanks and control characters are not.
func ValidEmoji(s string) bool {
	if s == "" || len(s) > emojiBytesMax || !utf8.ValidString(s) || utf8.RuneCountInString(s) > emojiRunesMax {
		return false
	}
	const keycap = '\u20E3'
	symbol := false
	isKeycap := strings.ContainsRune(s, keycap)
	for i, r := range s {
		switch {
		case r == keycap || unicode.Is(unicode.So, r) || r == '\u203C' || r == '\u2049' || r == '\u3030' ||
			r >= 0x2190 && r <= 0x2BFF && unicode.Is(unicode.Sm, r):
			symbol = true
		case i == 0 && isKeycap && (r >= '0' && r <= '9' || r == '#' || r == '*'):
		case i > 0 && (r == '\u200D' || r == '\uFE0F' || r == '\uFE0E' || r >= 0x1F3FB && r <= 0x1F3FF ||
			r >= 0xE0020 && r <= 0xE007F):
		default:
			return false
		}
	}
	return symbol
}
