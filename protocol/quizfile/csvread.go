package quizfile

import (
	"strings"
	"unicode/utf8"
)

// row is a record of a table with the line it starts in.
type row struct {
	cells []string
	line  int
}

func (r row) cell(i int) string {
	if i < 0 || i >= len(r.cells) {
		return ""
	}
	return r.cells[i]
}

func (r row) empty() bool {
	for _, c := range r.cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// quotedBytesMax bounds a quoted cell. A quote that is not closed within it is taken as a character, so that it costs
// its own line and not the rest of the file.
const quotedBytesMax = 64 << 10

// readCSV cuts a text into at most rowsMax records, empty ones included: RFC 4180 with any delimiter, lenient about
// quotes. unclosed holds the lines in which a quote was opened and never closed.
func readCSV(s string, comma byte, rowsMax int) (rows []row, unclosed []int) {
	line := 1
	for len(s) > 0 && len(rows) < rowsMax {
		cells, n, ok := readRecord(s, comma)
		if !ok {
			unclosed = append(unclosed, line)
			n = strings.IndexByte(s, '\n') + 1
			if n == 0 {
				n = len(s)
			}
			cells = strings.Split(strings.TrimSuffix(s[:n], "\n"), string(comma))
		}
		rows = append(rows, row{cells: cells, line: line})
		line += strings.Count(s[:n], "\n")
		s = s[n:]
	}
	return rows, unclosed
}

// readRecord reads one record and returns its cells and length; ok is false when a quote is not closed.
func readRecord(s string, comma byte) (cells []string, n int, ok bool) {
	for {
		cell, length, closed := readCell(s[n:], comma)
		if !closed {
			return nil, 0, false
		}
		cells = append(cells, cell)
		n += length
		if n >= len(s) {
			return cells, n, true
		}
		n++ // the delimiter or line end
		if s[n-1] == '\n' {
			return cells, n, true
		}
		if n == len(s) {
			return append(cells, ""), n, true
		}
	}
}

// readCell reads up to a delimiter, a line end or the end of s.
func readCell(s string, comma byte) (cell string, n int, ok bool) {
	blanks := 0
	for blanks < len(s) && s[blanks] == ' ' {
		blanks++
	}
	if blanks == len(s) || s[blanks] != '"' {
		n = indexEither(s, comma)
		return s[:n], n, true
	}
	var b strings.Builder
	i := blanks + 1
	for i < len(s) && i < quotedBytesMax {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
			i++
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i += 2
		default: // the closing quote; characters up to the delimiter are kept
			rest := indexEither(s[i+1:], comma)
			b.WriteString(strings.TrimRight(s[i+1:i+1+rest], " "))
			return b.String(), i + 1 + rest, true
		}
	}
	return "", 0, false
}

func indexEither(s string, comma byte) int {
	for i := range len(s) {
		if s[i] == comma || s[i] == '\n' {
			return i
		}
	}
	return len(s)
}

// sniffDelimiter finds the character that cuts the first records most evenly.
func sniffDelimiter(s string) byte {
	if first, _, _ := strings.Cut(s, "\n"); len(first) == 5 && strings.EqualFold(first[:4], "sep=") {
		return first[4]
	}
	s = s[:min(len(s), sniffBytes)]
	best, bestScore := byte(','), 0.0
	for _, comma := range []byte{'\t', ';', ',', '|'} {
		rows, _ := readCSV(s, comma, 40)
		counts, used := map[int]int{}, 0
		for _, r := range rows {
			if !r.empty() {
				counts[len(r.cells)]++
				used++
			}
		}
		for width, n := range counts {
			if width < 2 {
				continue
			}
			if score := float64(n)/float64(used) + float64(min(width, 10))/100; score > bestScore {
				best, bestScore = comma, score
			}
		}
	}
	return best
}

// looksLikeTable is true when most of the first lines split into the same number of cells.
func looksLikeTable(s string) bool {
	comma := sniffDelimiter(s)
	rows, _ := readCSV(s, comma, 20)
	counts, used := map[int]int{}, 0
	for _, r := range rows {
		if !r.empty() {
			counts[len(r.cells)]++
			used++
		}
	}
	for width, n := range counts {
		if width >= 2 && n*4 >= used*3 && utf8.ValidString(s) {
			return comma != ',' || width >= 3 || used >= 3
		}
	}
	return false
}
