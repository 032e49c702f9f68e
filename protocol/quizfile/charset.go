package quizfile

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// windows1252 maps the bytes 0x80 to 0x9f; the others are those of Latin-1. Unassigned ones become U+FFFD.
var windows1252 = [32]rune{
	0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd,
	0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
	0x0153, 0xfffd, 0x017e, 0x0178,
}

// decodeText makes text of bytes: UTF-8 with or without byte order mark, UTF-16 with one, otherwise Windows-1252 for
// every byte that is not part of valid UTF-8 (files glued together from several sources mix both). Line ends become \n.
func decodeText(data []byte) (s, warning string) {
	switch {
	case bytes.HasPrefix(data, []byte{0xef, 0xbb, 0xbf}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return unifyLines(fromUTF16(data[2:], false)), ""
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return unifyLines(fromUTF16(data[2:], true)), ""
	}
	if utf8.Valid(data) {
		return unifyLines(string(data)), ""
	}
	var b strings.Builder
	b.Grow(len(data) + len(data)/8)
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			r = rune(data[0])
			if r >= 0x80 && r <= 0x9f {
				r = windows1252[r-0x80]
			}
		}
		b.WriteRune(r)
		data = data[n:]
	}
	return unifyLines(b.String()), "the file is not UTF-8; it was read as Windows-1252: check accents and quotes"
}

func fromUTF16(data []byte, bigEndian bool) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		a, b := uint16(data[2*i]), uint16(data[2*i+1])
		if bigEndian {
			units[i] = a<<8 | b
		} else {
			units[i] = b<<8 | a
		}
	}
	return string(utf16.Decode(units))
}

// unifyLines makes CRLF and CR into LF and drops what no text holds: NUL and the non-characters that the GIFT decoder
// uses as stand-ins for escaped characters.
func unifyLines(s string) string {
	if strings.ContainsRune(s, '\r') {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return -1
		}
		if r >= 0xfdd0 && r <= 0xfdef {
			return utf8.RuneError
		}
		return r
	}, s)
}

// lineAt returns the line (from 1) of a byte offset.
func lineAt(s string, offset int) int {
	return 1 + strings.Count(s[:min(max(offset, 0), len(s))], "\n")
}
