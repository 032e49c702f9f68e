package quizfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"lectern/protocol/wire"
)

// Limits of a spreadsheet, against archives that unpack to a multiple of their size.
const (
	unzipBytesMax   = 64 << 20
	unzipEntriesMax = 2000
	columnsMax      = 60
)

// detectZip tells a spreadsheet from a QTI package.
func detectZip(data []byte) Format {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Unknown
	}
	for _, f := range r.File[:min(len(r.File), unzipEntriesMax)] {
		switch {
		case f.Name == "xl/workbook.xml" || f.Name == "[Content_Types].xml":
			return KahootXLSX
		case strings.HasSuffix(f.Name, "imsmanifest.xml"):
			return QTI
		}
	}
	return Unknown
}

// checkZip refuses archives that are too large unpacked.
func checkZip(data []byte) error {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%w: it is no spreadsheet (xlsx)", ErrDamaged)
	}
	var total uint64
	for _, f := range r.File {
		total += min(f.UncompressedSize64, math.MaxInt32)
	}
	if len(r.File) > unzipEntriesMax || total > unzipBytesMax {
		return fmt.Errorf("%w: it unpacks to more than %d MiB", ErrTooBig, unzipBytesMax>>20)
	}
	return nil
}

// decodeXLSX reads the first sheet whose first rows hold a header, or else the first with anything in it.
func decodeXLSX(c *collector, data []byte) (err error) {
	if err := checkZip(data); err != nil {
		return err
	}
	defer func() { // the library has panicked on damaged files before
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the spreadsheet can't be read", ErrDamaged)
		}
	}()
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		RawCellValue:   true,
		UnzipSizeLimit: unzipBytesMax, UnzipXMLSizeLimit: unzipBytesMax,
	})
	if err != nil {
		return fmt.Errorf("%w: the spreadsheet can't be read (%s)", ErrDamaged, clip(err.Error(), 100))
	}
	defer f.Close()
	var first []row
	for _, sheet := range f.GetSheetList()[:min(f.SheetCount, 20)] {
		rows, err := sheetRows(f, sheet)
		if err != nil {
			c.note(Warning, 0, "the sheet "+strconv.Quote(clip(sheet, 40))+" can't be read and was ignored")
			continue
		}
		for _, r := range rows[:min(len(rows), 30)] {
			if _, ok := readHeader(r); ok {
				decodeTable(c, rows, true)
				return nil
			}
		}
		if len(first) == 0 {
			first = rows
		}
	}
	decodeTable(c, first, true)
	return nil
}

func sheetRows(f *excelize.File, sheet string) ([]row, error) {
	in, err := f.Rows(sheet)
	if err != nil {
		return nil, fmt.Errorf("quizfile: %w", err)
	}
	var rows []row
	for n := 1; in.Next() && n <= tableRowsMax; n++ {
		cells, err := in.Columns()
		if err != nil {
			return rows, fmt.Errorf("quizfile: %w", err)
		}
		cells = cells[:min(len(cells), columnsMax)]
		r := row{cells: cells, line: n}
		if !r.empty() {
			rows = append(rows, r)
		}
	}
	return rows, errors.Join(in.Error(), in.Close())
}

// kahootTimes are the time limits that the template allows, in seconds.
var kahootTimes = []int64{5, 10, 20, 30, 60, 90, 120, 240}

// kahootTime rounds a time limit up to one of them.
func kahootTime(ms int64) int64 {
	if ms == 0 {
		return 20
	}
	for _, s := range kahootTimes {
		if ms <= s*1000 {
			return s
		}
	}
	return kahootTimes[len(kahootTimes)-1]
}

// encodeKahootXLSX fills the layout of Kahoot's template: header in row 8, questions from row 9 in the columns B to H.
func encodeKahootXLSX(e *exporter) ([]byte, error) {
	f := excelize.NewFile()
	defer f.Close()
	const sheet = "Sheet1"
	w := sheetWriter{f: f, sheet: sheet}
	w.row(2, "", "Quiz template")
	w.row(3, "", e.quiz.Title)
	w.row(8, "", "Question - max 120 characters", "Answer 1 - max 75 characters", "Answer 2 - max 75 characters",
		"Answer 3 - max 75 characters", "Answer 4 - max 75 characters",
		"Time limit (sec) – 5, 10, 20, 30, 60, 90, 120, or 240 secs", "Correct answer(s) - choose at least one")
	n := 0
	for i := range e.quiz.Questions {
		cells, reason := kahootRow(e, i)
		if reason != "" {
			e.problem(i, LeftOut, "%s", reason)
			continue
		}
		n++
		w.row(8+n, append([]any{n}, cells...)...)
	}
	return w.bytes()
}

func kahootRow(e *exporter, i int) (cells []any, reason string) {
	q := &e.quiz.Questions[i]
	options := q.Options
	switch q.Type {
	case wire.SingleChoice, wire.MultipleChoice:
	case wire.TrueFalse:
		right := q.Correct != nil && *q.Correct
		options = []wire.Option{{Text: "True", Correct: right}, {Text: "False", Correct: !right}}
		e.problem(i, Warning, "true/false is written as a choice of True and False")
	default:
		return nil, "Kahoot's spreadsheet has no " + kindOf(q.Type)
	}
	if len(options) > 4 {
		return nil, fmt.Sprintf("Kahoot's spreadsheet holds at most 4 answers, not %d", len(options))
	}
	e.lost(i, carriesTime)
	seconds := kahootTime(q.TimeLimitMs)
	if q.TimeLimitMs != 0 && q.TimeLimitMs != seconds*1000 {
		e.problem(i, Warning, "the time limit becomes %d s, which Kahoot knows", seconds)
	}
	tooLong := func(o wire.Option) bool { return len([]rune(o.Text)) > 75 }
	if len([]rune(q.Text)) > 120 || slices.ContainsFunc(options, tooLong) {
		e.problem(i, Warning, "Kahoot allows 120 characters in a question and 75 in an answer; there are more")
	}
	cells = append(cells, q.Text)
	var key []string
	for n := range 4 {
		if n >= len(options) {
			cells = append(cells, "")
			continue
		}
		cells = append(cells, options[n].Text)
		if options[n].Correct {
			key = append(key, strconv.Itoa(n+1))
		}
	}
	return append(cells, int(seconds), strings.Join(key, ",")), ""
}

// sheetWriter writes rows and keeps the first error.
type sheetWriter struct {
	f     *excelize.File
	sheet string
	err   error
}

// row writes cells from column A on. Texts are written as texts: a leading = makes no formula of them.
func (w *sheetWriter) row(n int, cells ...any) {
	for i, cell := range cells {
		at, err := excelize.CoordinatesToCellName(i+1, n)
		if err == nil {
			if s, ok := cell.(string); ok {
				if s == "" {
					continue
				}
				err = w.f.SetCellStr(w.sheet, at, s)
			} else {
				err = w.f.SetCellValue(w.sheet, at, cell)
			}
		}
		if err != nil && w.err == nil {
			w.err = err
		}
	}
}

func (w *sheetWriter) bytes() ([]byte, error) {
	if w.err != nil {
		return nil, fmt.Errorf("quizfile: write spreadsheet: %w", w.err)
	}
	b, err := w.f.WriteToBuffer()
	if err != nil {
		return nil, fmt.Errorf("quizfile: write spreadsheet: %w", err)
	}
	return b.Bytes(), nil
}
