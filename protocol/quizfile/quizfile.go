package quizfile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"lectern/protocol/wire"
)

// Format names a kind of question file.
type Format string

// The kinds of files. Those marked read-only can't be written by Encode.
const (
	GIFT       Format = "gift"
	Aiken      Format = "aiken"
	MoodleXML  Format = "moodle-xml"
	CSV        Format = "csv"         // also TSV, Blooket, Quizizz and pairs of question and answer
	KahootCSV  Format = "kahoot-csv"  // read-only; the layout of the Kahoot spreadsheet as CSV
	KahootXLSX Format = "kahoot-xlsx" // any spreadsheet with a header that names question and answers
	JSON       Format = "json"        // wire.Quiz
	OpenTDB    Format = "opentdb"     // read-only; an answer of the Open Trivia DB interface
	TriviaQA   Format = "opentriviaqa"
	Cloze      Format = "cloze" // read-only; recognised, but can't be played live
	QTI        Format = "qti"   // recognised, not read yet
	Unknown    Format = ""
)

// BytesMax is the size of the largest file that is looked at.
const BytesMax = 20 << 20

// questionsMax bounds the questions of one file: more would neither be played nor previewed.
const questionsMax = 5000

// Severities of a Problem.
const (
	Fault   = "fault"    // the question can't be imported
	Warning = "warning"  // the question is imported, something about it was changed or dropped
	LeftOut = "left_out" // the question is well-formed, but of a kind that can't be played live
)

// The errors of Decode and Encode, to be told apart with errors.Is.
var (
	ErrTooBig        = errors.New("quizfile: the file is larger than 20 MiB")
	ErrUnknownFormat = errors.New("quizfile: the format was not recognised; " +
		"GIFT, Aiken, Moodle XML, CSV, Kahoot XLSX and Lectern's JSON can be read")
	ErrQTI       = errors.New("quizfile: QTI is not read yet; export as Moodle XML or GIFT instead")
	ErrDamaged   = errors.New("quizfile: the file is damaged")
	ErrNoEncoder = errors.New("quizfile: this format can't be written; " +
		"choose gift, aiken, moodle-xml, csv, kahoot-xlsx or json")
)

// Import is what a file holds. Total counts the questions that follow the rules of their format (Good plus those left
// out), Faulty the ones that don't; all of them are in Items.
type Import struct {
	Format     Format    `json:"format"`
	Quiz       wire.Quiz `json:"quiz"` // the playable ones; passes wire's validation when there is at least one
	Problems   []Problem `json:"problems"`
	Items      []Item    `json:"items"`
	Total      int       `json:"total"`
	Good       int       `json:"good"`
	Faulty     int       `json:"faulty"`
	Categories int       `json:"categories"`
}

// Problem is one thing to tell the person who imports or exports. Number counts the questions of the file from 1; it
// and Line (from 1; the row, in a spreadsheet) are 0 when the whole file is meant.
type Problem struct {
	Number   int    `json:"number"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Title    string `json:"title,omitempty"`
	Type     string `json:"type,omitempty"`
	Reason   string `json:"reason"`
}

// Item is one question as found. Type is the kind in the file's own terms: single_choice, multi_choice, true_false,
// short_answer, numerical, matching, essay, description, cloze, question_answer_pair, poll or a foreign name.
type Item struct {
	Number   int    `json:"number"`
	Line     int    `json:"line"`
	Type     string `json:"type"`
	Title    string `json:"title,omitempty"`
	Text     string `json:"text,omitempty"` // plain, shortened to 300 characters
	Status   string `json:"status"`         // good, left_out or fault
	Question int    `json:"question"`       // index in Quiz.Questions, -1 when not there
}

// CountsByType counts the well-formed items (good and left out) by their type.
func (imp *Import) CountsByType() map[string]int {
	counts := map[string]int{}
	for _, it := range imp.Items {
		if it.Status != Fault {
			counts[it.Type]++
		}
	}
	return counts
}

// Faults returns the problems of severity Fault, in the file's order.
func (imp *Import) Faults() []Problem {
	var out []Problem
	for _, p := range imp.Problems {
		if p.Severity == Fault {
			out = append(out, p)
		}
	}
	return out
}

// Decode reads a file whose format it finds out from the content and, where that leaves a doubt, from the name. An
// error means that nothing at all can be read: too big, unknown, damaged as a whole. Wrong questions are no error,
// they are in Import.Problems.
func Decode(name string, data []byte) (*Import, error) {
	if len(data) > BytesMax {
		return nil, ErrTooBig
	}
	imp, err := DecodeAs(Detect(name, data), data)
	if err != nil {
		return nil, err
	}
	if imp.Quiz.Title == defaultTitle {
		if t := titleFromName(name); t != "" {
			imp.Quiz.Title = t
		}
	}
	return imp, nil
}

const defaultTitle = "Imported questions"

// DecodeAs reads data as the given format; otherwise as Decode. The quiz is called "Imported questions" where the file
// gives no title.
func DecodeAs(f Format, data []byte) (*Import, error) {
	if len(data) > BytesMax {
		return nil, ErrTooBig
	}
	c := newCollector(f)
	var err error
	switch f {
	case GIFT:
		decodeGIFT(c, c.text(data))
	case Aiken:
		decodeAiken(c, c.text(data))
	case MoodleXML:
		decodeMoodleXML(c, c.text(data))
	case CSV, KahootCSV:
		decodeCSV(c, c.text(data))
	case KahootXLSX:
		err = decodeXLSX(c, data)
	case JSON, OpenTDB:
		err = decodeJSON(c, c.text(data))
	case TriviaQA:
		decodeTriviaQA(c, c.text(data))
	case Cloze:
		decodeCloze(c, c.text(data))
	case QTI:
		err = ErrQTI
	default:
		err = ErrUnknownFormat
	}
	if err != nil {
		return nil, err
	}
	return c.result(), nil
}

// Encode writes a quiz. What the format can't express is named in the problems: left_out for whole questions, warning
// for details. The error is ErrNoEncoder for a format that can only be read.
func Encode(f Format, q *wire.Quiz) ([]byte, []Problem, error) {
	e := &exporter{quiz: q}
	switch f {
	case GIFT:
		return encodeGIFT(e), e.problems, nil
	case Aiken:
		return encodeAiken(e), e.problems, nil
	case MoodleXML:
		return encodeMoodleXML(e), e.problems, nil
	case CSV:
		return encodeCSV(e), e.problems, nil
	case JSON:
		b, err := encodeJSON(e)
		return b, e.problems, err
	case KahootXLSX:
		b, err := encodeKahootXLSX(e)
		return b, e.problems, err
	}
	return nil, nil, fmt.Errorf("%w (asked for %q)", ErrNoEncoder, string(f))
}

// titleFromName makes "my quiz.gift.txt" into "my quiz".
func titleFromName(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	for {
		ext := path.Ext(base)
		if ext == "" || len(ext) > 6 || ext == base || strings.Contains(ext, " ") {
			break
		}
		base = strings.TrimSuffix(base, ext)
	}
	if base == "." || base == "/" {
		return ""
	}
	return clip(cleanText(strings.ReplaceAll(base, "_", " ")), wire.TitleCharsMax)
}
