package quizfile

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// tableRowsMax bounds the rows of a table that are looked at.
const tableRowsMax = 20000

func decodeCSV(c *collector, s string) {
	comma := sniffDelimiter(s)
	rows, unclosed := readCSV(s, comma, tableRowsMax)
	if len(rows) > 0 && len(rows[0].cells) > 0 && strings.EqualFold(strings.TrimSpace(rows[0].cells[0]), "sep=") {
		rows = rows[1:]
	}
	for _, line := range unclosed {
		c.note(Warning, line, "a quotation mark is opened here and never closed; the line was read without it")
	}
	unescapeCells(c, rows)
	decodeTable(c, rows, false)
}

// unescapeCells decodes, once, what dumps are wrapped in: percent escapes when the whole file is written in them, HTML
// entities, and the quotation mark that guards formulas.
func unescapeCells(c *collector, rows []row) {
	percent := percentEncoded(rows)
	for _, r := range rows {
		for i, cell := range r.cells {
			if percent {
				if plain, err := url.PathUnescape(cell); err == nil {
					cell = plain
				} else {
					c.note(Warning, r.line, "a cell is not percent-encoded like the others and was kept as it is")
				}
			}
			r.cells[i] = unguard(decodeEntities(cell))
		}
	}
}

// percentEncoded is true when cells have %20 where others would have blanks.
func percentEncoded(rows []row) bool {
	found := false
	for _, r := range rows {
		for _, cell := range r.cells {
			if strings.ContainsAny(strings.TrimSpace(cell), " \n") {
				return false
			}
			found = found || strings.Contains(cell, "%20")
		}
	}
	return found
}

// table is a decoded file of rows; all decoders of tables end here.
type table struct {
	c       *collector
	cols    columns
	rows    []row
	numeric bool // every key is a number or a list of numbers within the answers
	sheet   bool // rows come from a spreadsheet, whose locale may have made 1,3 into 1.3 or a date
}

func decodeTable(c *collector, rows []row, sheet bool) {
	t := &table{c: c, sheet: sheet}
	for i, r := range rows[:min(len(rows), 30)] {
		if cols, ok := readHeader(r); ok {
			t.cols, t.rows = cols, rows[i+1:]
			t.titleFrom(rows[:i])
			t.decode()
			return
		}
	}
	t.rows = rows
	t.guessColumns()
	t.decode()
}

// titleFrom warns when more than a title stands above the header.
func (t *table) titleFrom(above []row) {
	for _, r := range above {
		if n := len(r.cells); n > 0 && !r.empty() && len(above) > 8 {
			t.c.note(Warning, r.line, "rows above the header were ignored")
			return
		}
	}
}

// guessColumns handles a table without header: two columns are question and answer; more are question, answers and,
// in the last column, the key.
func (t *table) guessColumns() {
	t.cols = noColumns()
	width, running := 0, true
	n := 0
	for _, r := range t.rows {
		if r.empty() {
			continue
		}
		n++
		width = max(width, len(r.cells))
		if v, err := strconv.Atoi(strings.TrimSpace(r.cell(0))); err != nil || v != n {
			running = false
		}
	}
	first := 0
	if running && width > 2 {
		first = 1
	}
	switch cells := width - first; {
	case cells < 2:
		if n > 0 {
			t.c.note(Fault, 0, "no header with \"question\" and \"correct answer\" was found, and only one column")
		}
		t.rows = nil
	case cells == 2:
		t.cols.question, t.cols.correct = first, first+1
	default:
		t.cols.question, t.cols.correct = first, width-1
		for i := first + 1; i < width-1; i++ {
			t.cols.options = append(t.cols.options, i)
		}
		t.c.note(Warning, 0, "the table has no header; columns were taken as question, answers, right answer")
	}
	t.cols.width = width
}

func (t *table) decode() {
	t.numeric = t.allNumeric()
	for _, r := range t.rows {
		if r.empty() || t.onlyNumber(r) {
			continue
		}
		t.question(r)
	}
}

// onlyNumber is true for the rows that a template has numbered in advance.
func (t *table) onlyNumber(r row) bool {
	for _, at := range append(append([]int{t.cols.question, t.cols.correct}, t.cols.options...), t.cols.wrong...) {
		if strings.TrimSpace(r.cell(at)) != "" {
			return false
		}
	}
	return true
}

// allNumeric tells whether the key column holds numbers of answers throughout, so that a key of 2 is the second answer
// even where an answer reads "2".
func (t *table) allNumeric() bool {
	if t.cols.correct < 0 || len(t.cols.options) == 0 {
		return false
	}
	any := false
	for _, r := range t.rows {
		key := strings.TrimSpace(r.cell(t.cols.correct))
		kind, _ := tableKind(r.cell(t.cols.kind))
		if key == "" || t.onlyNumber(r) || (kind != "" && kind != "choice") {
			continue
		}
		numbers, ok := keyNumbers(key)
		if !ok {
			return false
		}
		for _, n := range numbers {
			if n < 1 || n > len(t.cols.options) {
				return false
			}
		}
		any = true
	}
	return any
}

func (t *table) question(r row) {
	d := t.c.begin(r.line)
	d.q.Text = r.cell(t.cols.question)
	d.q.Explanation = r.cell(t.cols.explanation)
	d.q.Category = r.cell(t.cols.category)
	if strings.TrimSpace(r.cell(t.cols.picture)) != "" {
		d.warnf(pictureLost)
	}
	t.limits(d, r)
	kind, caseMatters := tableKind(r.cell(t.cols.kind))
	d.q.CaseMatters = caseMatters
	switch {
	case kind != "" && kind != "choice":
		t.typed(d, r, kind)
	case len(t.cols.wrong) > 0:
		t.rightAndWrong(d, r)
	case len(t.cols.options) > 0:
		t.choice(d, r)
	default:
		d.kind, d.q.Type = "question_answer_pair", wire.ShortText
		d.q.Texts = []string{r.cell(t.cols.correct)}
		if strings.TrimSpace(d.q.Texts[0]) == "" {
			d.faultf("the answer is missing")
		}
	}
	t.c.finish(d)
}

// limits reads time and points.
func (t *table) limits(d *draft, r row) {
	if s := strings.TrimSpace(r.cell(t.cols.time)); s != "" {
		sec, ok := parseNumber(strings.TrimRight(strings.ToLower(s), " secondku"))
		ms := int64(math.Round(math.Min(math.Max(sec, 0), 1e9) * 1000))
		switch {
		case !ok || sec <= 0:
			d.warnf("the time limit %q is not a number of seconds; the usual one holds", clip(s, 20))
		case ms < wire.TimeLimitMsMin || ms > wire.TimeLimitMsMax:
			d.q.TimeLimitMs = min(max(ms, wire.TimeLimitMsMin), wire.TimeLimitMsMax)
			d.warnf("the time limit of %s s was brought to %d s", clip(s, 20), d.q.TimeLimitMs/1000)
		default:
			d.q.TimeLimitMs = ms
		}
	}
	if s := strings.TrimSpace(r.cell(t.cols.points)); s != "" {
		v, ok := parseNumber(s)
		if !ok || v < 0 || v > wire.PointsMax {
			d.warnf("the points %q are not a number from 0 to %d; the usual ones hold", clip(s, 20), wire.PointsMax)
		} else {
			points := int(math.Round(v))
			d.q.Points = &points
		}
	}
}

// choice reads options and key.
func (t *table) choice(d *draft, r row) {
	d.kind, d.q.Type = "single_choice", wire.SingleChoice
	key := strings.TrimSpace(r.cell(t.cols.correct))
	places := t.places(r)
	var right []int
	if key == "" {
		d.faultf("the right answer is missing")
	} else {
		var reason string
		if right, reason = t.key(d, r, key); reason != "" {
			d.faultf("%s", reason)
		}
	}
	for i, at := range places {
		o := wire.Option{Text: r.cell(at)}
		for _, n := range right {
			o.Correct = o.Correct || n == t.index(at)
		}
		if !o.Correct && strings.TrimSpace(o.Text) == "" {
			d.faultf("answer %d is empty", i+1)
			continue
		}
		d.q.Options = append(d.q.Options, o)
	}
	if len(right) > 1 || t.several(r) {
		d.kind, d.q.Type = "multi_choice", wire.MultipleChoice
	}
}

// several is true when the row says that more than one answer may be chosen.
func (t *table) several(r row) bool {
	kind := normalHeader(r.cell(t.cols.kind))
	multiple := normalHeader(r.cell(t.cols.multiple))
	return kind == "checkbox" || kind == "multiple choice multi" || strings.HasPrefix(kind, "multi select") ||
		r.cell(t.cols.kind) == string(wire.MultipleChoice) || multiple == "yes" || multiple == "ja" || multiple == "true"
}

// places lists the columns of the answers that are there: the ones up to the last that is not empty, without gaps.
func (t *table) places(r row) []int {
	var out []int
	for _, at := range t.cols.options {
		if strings.TrimSpace(r.cell(at)) != "" {
			out = append(out, at)
		}
	}
	return out
}

// index is the number (from 1) of an answer column.
func (t *table) index(column int) int {
	for i, at := range t.cols.options {
		if at == column {
			return i + 1
		}
	}
	return 0
}

// rightAndWrong reads a table whose columns say which answers are right.
func (t *table) rightAndWrong(d *draft, r row) {
	d.kind, d.q.Type = "single_choice", wire.SingleChoice
	right := []string{r.cell(t.cols.correct)}
	if strings.TrimSpace(right[0]) == "" {
		d.faultf("the right answer is missing")
	}
	var wrong []string
	for _, at := range append(append([]int{}, t.cols.options...), t.cols.wrong...) {
		if s := r.cell(at); strings.TrimSpace(s) != "" {
			wrong = append(wrong, s)
		}
	}
	d.q.Options = mixOptions(right, wrong)
}
