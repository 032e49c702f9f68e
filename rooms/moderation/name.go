package moderation

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"mvdan.cc/xurls/v2"

	"lectern/protocol/wire"
)

// Limits of names and links.
const (
	nameRunesMax    = 40
	nameBytesInMax  = 1024 // before cleaning
	marksInRowMax   = 3    // Vietnamese and Hebrew need two or three; more is scribbling over other lines
	linksMax        = 10
	hostBytesMax    = 253
	linkPatternMax  = 2048 // bytes of a text that the pattern looks at: it costs up to 5 µs a byte
	schemeSeparator = "://"
	schemeOfAny     = "any://"
)

// CleanName makes a display name fit to be shown: NFC, blanks trimmed and collapsed, zero-width and bidirectional
// controls and heaps of marks taken off. It refuses (name_rejected) what is empty then, has no letter, digit or
// symbol, is longer than 40 characters, holds control characters, or holds an unwanted word.
func (f *Filter) CleanName(name string) (string, *wire.Error) {
	reject := func(why string) (string, *wire.Error) {
		return "", wire.NewError(wire.CodeNameRejected, "%s", why).At("name")
	}
	if len(name) > nameBytesInMax {
		return reject("choose a name of at most 40 characters")
	}
	if !utf8.ValidString(name) {
		return reject("send the name in UTF-8")
	}
	var b strings.Builder
	blank, seen, marks := false, false, 0
	for _, r := range norm.NFC.String(name) {
		switch {
		case unicode.IsSpace(r) && r != '\u0085' || r == '\u3164' || r == '\u2800':
			blank = b.Len() > 0
			continue
		case unicode.IsControl(r):
			return reject("leave control characters out of the name")
		case invisible(r):
			continue
		case !unicode.IsGraphic(r):
			return reject("choose a name of letters, digits and symbols that everybody can see")
		case unicode.Is(unicode.M, r):
			if marks++; marks > marksInRowMax || b.Len() == 0 {
				continue
			}
		default:
			marks = 0
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		seen = seen || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r)
		b.WriteRune(r)
	}
	clean := norm.NFC.String(b.String())
	if !seen {
		return reject("choose a name with at least one letter or digit")
	}
	if utf8.RuneCountInString(clean) > nameRunesMax {
		return reject("choose a name of at most 40 characters")
	}
	if len(f.Check(clean)) > 0 {
		return reject("choose another name")
	}
	return clean, nil
}

var linkPattern = sync.OnceValue(xurls.Relaxed)

// Links lists the hosts of the links in text, in lower case and in order, each once, at most 10. A bare domain counts
// when its top-level domain exists; an address of e-mail does not. In a text full of dots only the first 2 KiB of
// candidates are searched for bare domains; what has a scheme is found everywhere.
func Links(text string) []string {
	var hosts []string
	budget := linkPatternMax
	for token := range strings.FieldsSeq(text) {
		if !mayHoldLink(token) {
			continue
		}
		var links []string
		if budget -= len(token); budget >= 0 {
			links = linkPattern().FindAllString(token, linksMax)
		} else if _, rest, ok := strings.Cut(token, schemeSeparator); ok {
			links = []string{schemeOfAny + rest}
		}
		for _, link := range links {
			host := hostOf(link)
			if host == "" || slices.Contains(hosts, host) {
				continue
			}
			if hosts = append(hosts, host); len(hosts) == linksMax {
				return hosts
			}
		}
	}
	return hosts
}

// mayHoldLink is a quick look that spares most messages the pattern: a link has "://", or a dot or colon in front of
// something that is not a blank.
func mayHoldLink(text string) bool {
	for i := 0; i+1 < len(text); i++ {
		if (text[i] == '.' || text[i] == ':') && text[i+1] > ' ' && text[i+1] != '.' {
			return true
		}
	}
	return false
}

// hostOf is the host of a link, without user and port; empty when it has none.
func hostOf(link string) string {
	host := link
	if strings.Contains(link, schemeSeparator) {
		u, err := url.Parse(link)
		if err != nil {
			_, rest, _ := strings.Cut(link, schemeSeparator)
			host = rest
		} else {
			host = u.Hostname()
		}
	} else if strings.HasPrefix(strings.ToLower(link), "mailto:") {
		return ""
	}
	if end := strings.IndexAny(host, "/?#\\"); end >= 0 {
		host = host[:end]
	}
	if !strings.Contains(link, schemeSeparator) && strings.Contains(host, "@") {
		return ""
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if !strings.HasPrefix(host, "[") && strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(host) > hostBytesMax {
		return ""
	}
	return host
}
