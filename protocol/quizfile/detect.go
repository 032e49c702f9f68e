package quizfile

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

var (
	clozeBlock   = regexp.MustCompile(`\{[0-9]*:(SHORTANSWER|SA|MW|NUMERICAL|NM|MULTICHOICE|MC|MULTIRESPONSE|MR)[A-Z_]*:`)
	aikenKeyLine = regexp.MustCompile(`(?im)^[ \t]*ANSWER[ \t]*:[ \t]*\(?[A-Z]\b`)
	aikenABC     = regexp.MustCompile(`(?m)^[ \t]*\(?[A-Za-z][.)][ \t]*\S`)
	triviaLine   = regexp.MustCompile(`(?m)^#Q `)
	triviaKey    = regexp.MustCompile(`(?m)^\^ `)
	giftBlockRE  = regexp.MustCompile(`(?s)\{[^{}]*\}`)
	giftMark     = regexp.MustCompile(`(?mi)^\s*(::|\$CATEGORY:)`)
	qtiRoot      = regexp.MustCompile(`(?i)<([a-z0-9]+:)?(questestinterop|assessmentItem|assessmentTest|` +
		`qti-[a-z-]+|manifest)[\s>]`)
	moodleRoot = regexp.MustCompile(`(?i)<(quiz|question)[\s>]`)
)

// sniffBytes is how much of a file Detect looks at.
const sniffBytes = 256 << 10

// Detect finds out what a file is: from its content first, from the ending of its name where the content fits several.
// It returns Unknown when nothing fits.
func Detect(name string, data []byte) Format {
	ext := strings.ToLower(path.Ext(strings.ReplaceAll(name, `\`, "/")))
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06")) {
		return detectZip(data)
	}
	text, _ := decodeText(data[:min(len(data), sniffBytes)])
	body := strings.TrimSpace(text)
	switch {
	case body == "":
		return Unknown
	case body[0] == '<' && (strings.HasPrefix(body, "<?xml") || moodleRoot.MatchString(body) || qtiRoot.MatchString(body)):
		return detectXML(body)
	case (body[0] == '{' || body[0] == '[') && (ext == ".json" || looksLikeJSON(body)):
		return detectJSON(body)
	case triviaLine.MatchString(body) && triviaKey.MatchString(body):
		return TriviaQA
	}
	switch ext {
	case ".gift":
		return GIFT
	case ".aiken":
		return Aiken
	case ".csv", ".tsv", ".tab":
		return detectCSV(body)
	}
	return detectText(body)
}

func detectXML(body string) Format {
	switch {
	case moodleRoot.MatchString(body):
		return MoodleXML
	case qtiRoot.MatchString(body):
		return QTI
	}
	return Unknown
}

// looksLikeJSON tells JSON from GIFT that begins with a brace or a [format].
func looksLikeJSON(body string) bool {
	rest := strings.TrimSpace(body[1:])
	return rest == "" || strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, "}") ||
		strings.HasPrefix(rest, "]")
}

func detectJSON(body string) Format {
	if strings.Contains(body, `"incorrect_answers"`) && strings.Contains(body, `"results"`) {
		return OpenTDB
	}
	return JSON
}

// detectText tells the plain text formats apart.
func detectText(body string) Format {
	switch {
	case clozeBlock.MatchString(body) && !giftMark.MatchString(body):
		return Cloze
	case aikenKeyLine.MatchString(body) && aikenABC.MatchString(body) && !giftMark.MatchString(body):
		return Aiken
	case giftMark.MatchString(body), giftBlockRE.MatchString(body):
		return GIFT
	case looksLikeTable(body):
		return detectCSV(body)
	case aikenABC.MatchString(body):
		return Aiken
	case strings.Contains(body, "{") || strings.HasPrefix(body, "//"):
		return GIFT
	}
	return Unknown
}

// detectCSV names the layout of Kahoot; all others are one format.
func detectCSV(body string) Format {
	rows, _ := readCSV(body, sniffDelimiter(body), 20)
	for _, r := range rows {
		cols, ok := readHeader(r)
		if !ok {
			continue
		}
		if cols.kind < 0 && cols.time >= 0 && cols.correct == cols.time+1 && len(cols.options) == 4 &&
			!strings.Contains(body[:min(len(body), 200)], "Blooket") {
			return KahootCSV
		}
		break
	}
	return CSV
}
