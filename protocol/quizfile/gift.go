package quizfile

import (
	"regexp"
	"strings"
)

// Stand-ins for escaped characters: Unicode non-characters, which decodeText lets through from no file. Escapes are
// replaced before any structure is looked for (rule 3 of the format), so that what is left of ~ = # { } : is structure.
const (
	escTilde rune = 0xfdd0 + iota
	escEquals
	escHash
	escOpen
	escClose
	escColon
	escBackslash
	escNewline
)

var giftEscape = strings.NewReplacer(
	`\\`, string(escBackslash), `\~`, string(escTilde), `\=`, string(escEquals), `\#`, string(escHash),
	`\{`, string(escOpen), `\}`, string(escClose), `\:`, string(escColon), `\n`, string(escNewline))

var giftUnescape = strings.NewReplacer(
	string(escBackslash), `\`, string(escTilde), "~", string(escEquals), "=", string(escHash), "#",
	string(escOpen), "{", string(escClose), "}", string(escColon), ":", string(escNewline), "\n")

// giftLine is a line of the file with escapes replaced.
type giftLine struct {
	text   string
	number int
}

func (l giftLine) blank() bool { return strings.TrimSpace(l.text) == "" }

// category returns the path of a $CATEGORY line.
func (l giftLine) category() (path string, ok bool) {
	t := strings.TrimSpace(l.text)
	const key = "$category:"
	if len(t) < len(key) || !strings.EqualFold(t[:len(key)], key) {
		return "", false
	}
	return t[len(key):], true
}

// giftBlock is one question's lines.
type giftBlock struct {
	text     string // lines joined with \n, comments removed, escapes replaced
	line     int
	warnings []string
}

// giftReader cuts a file into blocks.
type giftReader struct {
	c     *collector
	lines []giftLine // without comments
	block []giftLine
	depth int
	inPre bool
	warns []string
	next  int // the line after the blank ones that were looked at last
}

func decodeGIFT(c *collector, s string) {
	r := &giftReader{c: c}
	for i, raw := range strings.Split(s, "\n") {
		if strings.HasPrefix(strings.TrimSpace(raw), "//") {
			continue
		}
		r.lines = append(r.lines, giftLine{text: giftEscape.Replace(raw), number: i + 1})
	}
	for i, l := range r.lines {
		path, isCategory := l.category()
		switch {
		case isCategory && r.depth <= 0:
			r.flush()
			c.imp.Categories++
			c.category = categoryPath(giftUnescape.Replace(path))
		case l.blank():
			if len(r.block) > 0 && !r.joins(i) {
				r.flush()
			}
		default:
			r.add(l)
		}
	}
	r.flush()
}

func (r *giftReader) add(l giftLine) {
	r.block = append(r.block, l)
	for _, ch := range l.text {
		switch ch {
		case '{':
			r.depth++
		case '}':
			if r.depth > 0 {
				r.depth--
			}
		}
	}
	low := strings.ToLower(l.text)
	if a, b := strings.LastIndex(low, "<pre"), strings.LastIndex(low, "</pre"); a > b {
		r.inPre = true
	} else if b > a {
		r.inPre = false
	}
}

// joins tells whether the blank line i lies inside a question after all: its brace is open and what follows goes on
// with answers, or closes the brace before another one opens. An unclosed brace thus costs one question, not the
// file.
func (r *giftReader) joins(i int) bool {
	if r.depth == 0 && !r.inPre {
		return false
	}
	if i < r.next {
		i = r.next // found before: keeps a long run of blank lines linear
	}
	for i < len(r.lines) && r.lines[i].blank() {
		i++
	}
	r.next = i
	if i == len(r.lines) {
		return false
	}
	first := strings.TrimSpace(r.lines[i].text)
	if _, isCategory := r.lines[i].category(); isCategory || strings.HasPrefix(first, "::") {
		return false
	}
	joined := false
	if r.depth > 0 && strings.ContainsRune("=~#}", []rune(first)[0]) {
		joined = true
	}
	for n := 0; !joined && n < 200 && i < len(r.lines) && !r.lines[i].blank(); i, n = i+1, n+1 {
		t := r.lines[i].text
		if r.inPre && strings.Contains(strings.ToLower(t), "</pre") {
			joined = true
		}
		open, end := strings.IndexByte(t, '{'), strings.IndexByte(t, '}')
		if open >= 0 && (end < 0 || open < end) {
			break
		}
		joined = joined || (r.depth > 0 && end >= 0)
	}
	if joined && len(r.warns) == 0 {
		r.warns = append(r.warns, "a blank line inside the question was ignored")
	}
	return joined
}

// flush ends the block: usually one question, several when the blank line between them is missing.
func (r *giftReader) flush() {
	block, warns := r.block, r.warns
	r.block, r.warns, r.depth, r.inPre = nil, nil, 0, false
	if len(block) == 0 {
		return
	}
	for len(block) > 0 {
		n := splitPoint(block)
		b := giftBlock{line: block[0].number, warnings: warns}
		texts := make([]string, n)
		for i := range n {
			texts[i] = block[i].text
		}
		b.text = strings.Join(texts, "\n")
		if n < len(block) {
			b.warnings = append(b.warnings[:len(b.warnings):len(b.warnings)],
				"there is no blank line before the next question")
		}
		decodeGIFTBlock(r.c, b)
		block = block[n:]
	}
}

// splitPoint returns how many of the lines belong to the first question: up to a line that ends its answer block,
// when a later line opens another one that looks like answers.
func splitPoint(block []giftLine) int {
	depth, closedAt := 0, -1
	for i, l := range block {
		for pos, ch := range l.text {
			switch ch {
			case '{':
				if depth == 0 && closedAt >= 0 && closedAt < i && looksLikeAnswers(blockBody(block, i, pos)) {
					return closedAt + 1
				}
				depth++
			case '}':
				if depth > 0 {
					depth--
					if depth == 0 && closedAt < 0 {
						closedAt = i
					}
				}
			}
		}
		if depth == 0 && closedAt >= 0 && i > closedAt && strings.HasPrefix(strings.TrimSpace(l.text), "::") {
			return closedAt + 1
		}
		if closedAt == i && !looksLikeAnswers(lastBody(block[:i+1])) {
			closedAt = -1 // braces of code or LaTeX in the stem
		}
	}
	return len(block)
}

// blockBody returns the text after the brace at block[i].text[pos] as far as a look at its first characters needs it.
func blockBody(block []giftLine, i, pos int) string {
	body := block[i].text[pos+1:]
	if strings.TrimSpace(body) == "" && i+1 < len(block) {
		body = block[i+1].text
	}
	if end := strings.IndexByte(body, '}'); end >= 0 {
		body = body[:end]
	}
	return body
}

// lastBody returns the start of the last top-level brace block in the lines.
func lastBody(lines []giftLine) string {
	depth := 0
	for i := len(lines) - 1; i >= 0; i-- {
		t := lines[i].text
		for pos := len(t) - 1; pos >= 0; pos-- {
			switch t[pos] {
			case '}':
				depth++
			case '{':
				depth--
				if depth == 0 {
					return blockBody(lines, i, pos)
				}
			}
		}
	}
	return "?"
}

var trueFalseBody = regexp.MustCompile(`(?i)^(t|true|f|false)\s*(#|$)`)

// looksLikeAnswers tells an answer block from braces that were not escaped.
func looksLikeAnswers(body string) bool {
	body = strings.TrimSpace(body)
	return body == "" || strings.ContainsRune("=~#", []rune(body)[0]) || trueFalseBody.MatchString(body)
}

// categoryPath makes "$course$/top/a/b//c" into "a / b/c".
func categoryPath(path string) string {
	const slash = "\ufdef"
	var parts []string
	for _, p := range strings.Split(strings.ReplaceAll(strings.TrimSpace(path), "//", slash), "/") {
		p = strings.TrimSpace(strings.ReplaceAll(p, slash, "/"))
		marker := len(p) > 2 && strings.HasPrefix(p, "$") && strings.HasSuffix(p, "$")
		if p == "" || (len(parts) == 0 && (marker || p == "top")) {
			continue
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, " / ")
}
