package quizfile

import (
	"html"
	"regexp"
	"strings"
)

// markup is how a text of a file is written.
type markup uint8

const (
	markupAuto     markup = iota // Moodle's own: HTML tags that exist are HTML, line ends count
	markupHTML                   // line ends don't count
	markupPlain                  // as written
	markupMarkdown               // as written, except for HTML
)

// effect of a tag on plain text.
const (
	tagInline = iota // vanishes
	tagBlock         // starts and ends a line
	tagBreak
	tagItem
	tagCell
	tagSkip // vanishes with its content
	tagPicture
	tagMedia
	tagPre
	tagScript // sub and sup
)

var htmlTags = map[string]int{
	"script": tagSkip, "style": tagSkip, "head": tagSkip, "template": tagSkip, "noscript": tagSkip, "title": tagSkip,
	"br": tagBreak, "hr": tagBlock, "li": tagItem, "dt": tagBlock, "dd": tagBlock, "td": tagCell, "th": tagCell,
	"img": tagPicture, "svg": tagSkip, "image": tagPicture, "picture": tagInline, "canvas": tagSkip,
	"audio": tagMedia, "video": tagMedia, "iframe": tagMedia, "object": tagMedia, "embed": tagMedia,
	"pre": tagPre, "sub": tagScript, "sup": tagScript,
}

func init() {
	for _, t := range strings.Fields("p div h1 h2 h3 h4 h5 h6 ul ol dl table tr tbody thead tfoot caption blockquote " +
		"section article header footer nav aside main figure figcaption center form fieldset address details summary") {
		htmlTags[t] = tagBlock
	}
	for _, t := range strings.Fields("a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark " +
		"q s samp small span strike strong time tt u var wbr source track param input button select option " +
		"html body meta link base map area nolink ruby rt rp rb col colgroup math mi mo mn mrow msup msub mfrac " +
		"msqrt mtext semantics annotation nobr") {
		htmlTags[t] = tagInline
	}
}

var (
	tagStart   = regexp.MustCompile(`^</?([a-zA-Z][a-zA-Z0-9:_-]*)`)
	entity     = regexp.MustCompile(`&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});`)
	altText    = regexp.MustCompile(`(?i)\balt\s*=\s*("([^"]*)"|'([^']*)')`)
	manyBlanks = regexp.MustCompile(`[ \t]*\n[ \t]*(\n[ \t]*)+`)
	// x<sup>2</sup> must not become x2: digits get their raised or lowered form.
	scriptDigits = regexp.MustCompile(`^<su[bp]>([0-9+n-]{1,12})</su[bp]>`)
	spaces       = regexp.MustCompile(`[ \t]+`)
)

// decodeEntities decodes HTML entities that are closed by a semicolon, once.
func decodeEntities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	return entity.ReplaceAllStringFunc(s, html.UnescapeString)
}

// plainText makes plain text of a text written in the given way. warn gets what was lost on the way.
func plainText(s string, m markup, warn func(format string, args ...any)) string {
	if strings.Contains(s, "@@PLUGINFILE@@") {
		warn(pictureLost)
	}
	if m == markupPlain || !strings.ContainsAny(s, "<&") {
		if m == markupHTML {
			s = strings.Join(strings.Fields(s), " ")
		}
		return cleanText(s)
	}
	w := htmlWriter{keepLines: m != markupHTML, unknownStays: m != markupHTML, warn: warn}
	w.run(s)
	out := cleanText(manyBlanks.ReplaceAllString(w.b.String(), "\n"))
	if out == "" && len(w.alts) > 0 {
		out = cleanText(strings.Join(w.alts, " "))
	}
	return out
}

// pictureLost is the warning about whatever a text can't carry to a live game.
const pictureLost = "a picture or embedded file is left out"

// htmlWriter turns HTML into text. It knows tags, comments, entities and quoting in attributes, nothing more: its
// output is text and is shown as text, so that nothing it overlooks can do harm.
type htmlWriter struct {
	b            strings.Builder
	keepLines    bool // a line end is a line break
	unknownStays bool // <String> is text
	warn         func(format string, args ...any)
	alts         []string
	pre          int
	noMoreTags   bool            // no > follows: keeps hostile input linear
	neverClosed  map[string]bool // likewise for script, style and the like
}

func (w *htmlWriter) run(s string) {
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 || w.noMoreTags {
			w.chars(s)
			return
		}
		w.chars(s[:i])
		s = s[i:]
		if strings.HasPrefix(s, "<!--") && !w.neverClosed["<!--"] {
			if end := strings.Index(s, "-->"); end >= 0 {
				s = s[end+3:]
				continue
			}
			w.mark("<!--")
		}
		n := w.tag(s)
		if n == 0 {
			w.b.WriteByte('<')
			n = 1
		}
		s = s[n:]
	}
}

// tag handles the tag that s starts with and returns how many bytes it took, 0 when there is none.
func (w *htmlWriter) tag(s string) int {
	m := tagStart.FindStringSubmatch(s[:min(len(s), 64)]) // a long s would cost its length, match or not
	if m == nil {
		return 0
	}
	name := strings.ToLower(m[1])
	kind, known := htmlTags[name]
	if !known && w.unknownStays {
		return 0
	}
	n := tagLength(s)
	if n == 0 {
		w.noMoreTags = true
		return 0
	}
	closing := s[1] == '/'
	switch kind {
	case tagBlock, tagPre:
		w.newline()
		if kind == tagPre && closing && w.pre > 0 {
			w.pre--
		} else if kind == tagPre && !closing {
			w.pre++
		}
	case tagBreak:
		w.b.WriteByte('\n')
	case tagItem:
		w.newline()
		if !closing {
			w.b.WriteString("• ")
		}
	case tagCell:
		if closing {
			w.b.WriteString(" ")
		}
	case tagPicture:
		w.warn(pictureLost)
		if a := altText.FindStringSubmatch(s[:n]); a != nil {
			w.alts = append(w.alts, html.UnescapeString(a[2]+a[3]))
		}
	case tagMedia:
		if !closing {
			w.warn("a sound or video is left out")
		}
	case tagScript:
		if m := scriptDigits.FindStringSubmatch(s[:min(len(s), 32)]); m != nil {
			if name == "sub" {
				w.b.WriteString(lowered.Replace(m[1]))
			} else {
				w.b.WriteString(raised.Replace(m[1]))
			}
			n = len(m[0])
		}
	case tagSkip:
		if closing || strings.HasSuffix(s[:n], "/>") {
			return n
		}
		if name == "svg" || name == "canvas" {
			w.warn(pictureLost)
		}
		n += w.skipContent(name, s[n:])
	}
	return n
}

// tagLength returns the length of the tag at the start of s, up to its > outside of quotes; 0 when it never ends.
func tagLength(s string) int {
	var quote byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && s[i-1] == '=':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	if end := strings.IndexByte(s, '>'); end > 0 { // a quote that never closes
		return end + 1
	}
	return 0
}

func (w *htmlWriter) newline() {
	if s := w.b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		w.b.WriteByte('\n')
	}
}

func (w *htmlWriter) chars(s string) {
	if s == "" {
		return
	}
	if !w.keepLines && w.pre == 0 {
		s = spaces.ReplaceAllString(strings.ReplaceAll(s, "\n", " "), " ")
		if have := w.b.String(); have == "" || strings.HasSuffix(have, "\n") || strings.HasSuffix(have, " ") {
			s = strings.TrimLeft(s, " ")
		}
	}
	w.b.WriteString(decodeEntities(s))
}

var raised = strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷",
	"8", "⁸", "9", "⁹", "+", "⁺", "-", "⁻", "n", "ⁿ")

var lowered = strings.NewReplacer("0", "₀", "1", "₁", "2", "₂", "3", "₃", "4", "₄", "5", "₅", "6", "₆", "7", "₇",
	"8", "₈", "9", "₉", "+", "₊", "-", "₋")

// skipContent returns how long the content of an element is, its end tag included; 0 when it is never closed.
func (w *htmlWriter) skipContent(name, s string) int {
	if w.neverClosed[name] {
		return 0
	}
	for i := 0; i+2+len(name) <= len(s); i++ {
		if s[i] == '<' && s[i+1] == '/' && strings.EqualFold(s[i+2:i+2+len(name)], name) {
			return i + tagLength(s[i:])
		}
	}
	w.mark(name)
	return 0
}

func (w *htmlWriter) mark(name string) {
	if w.neverClosed == nil {
		w.neverClosed = map[string]bool{}
	}
	w.neverClosed[name] = true
}
