package quizfile

import (
	"fmt"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// csvLine appends a record: RFC 4180 with LF, formulas guarded.
func csvLine(b *strings.Builder, cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		cell = guard(cell)
		if strings.ContainsAny(cell, "\",\n\r;\t|") || strings.HasPrefix(cell, " ") {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		b.WriteString(cell)
	}
	b.WriteByte('\n')
}

// keepEntities writes the & of what would be read back as an entity as one.
func keepEntities(s string) string {
	if !entity.MatchString(s) {
		return s
	}
	return entity.ReplaceAllString(s, "&amp;$1;")
}

// encodeCSV writes our own layout: Type, Question, Option 1 …, Correct answer, Time limit, Points, Explanation,
// Category. Accepted texts and numbers stand in the options' columns.
func encodeCSV(e *exporter) []byte {
	width := 4
	for i := range e.quiz.Questions {
		q := &e.quiz.Questions[i]
		width = max(width, len(q.Options), len(q.Texts), len(q.Numbers))
	}
	var b strings.Builder
	header := []string{"Type", "Question"}
	for n := range width {
		header = append(header, fmt.Sprintf("Option %d", n+1))
	}
	csvLine(&b, append(header, "Correct answer", "Time limit (s)", "Points", "Explanation", "Category")...)
	for i := range e.quiz.Questions {
		q := &e.quiz.Questions[i]
		e.lost(i, carriesTime|carriesPoints|carriesExplanation|carriesCategory|carriesCase)
		kind := string(q.Type)
		if q.CaseMatters && q.Type == wire.ShortText {
			kind += " (case matters)"
		}
		cells := []string{kind, keepEntities(q.Text)}
		options, key := csvAnswers(q)
		for n := range width {
			cell := ""
			if n < len(options) {
				cell = keepEntities(options[n])
			}
			cells = append(cells, cell)
		}
		points := ""
		if q.Points != nil {
			points = strconv.Itoa(*q.Points)
		}
		csvLine(&b, append(cells, key, secondsOf(q.TimeLimitMs), points, keepEntities(q.Explanation),
			keepEntities(q.Category))...)
	}
	return []byte(b.String())
}

func csvAnswers(q *wire.Question) (options []string, key string) {
	switch q.Type {
	case wire.TrueFalse:
		return nil, map[bool]string{true: "true", false: "false"}[q.Correct != nil && *q.Correct]
	case wire.ShortText:
		return q.Texts, ""
	case wire.Numeric:
		for _, r := range q.Numbers {
			s := formatNumber(r.Min)
			if r.Min != r.Max {
				s += ".." + formatNumber(r.Max)
			}
			options = append(options, s)
		}
		return options, ""
	}
	var keys []string
	for n, o := range q.Options {
		options = append(options, o.Text)
		if o.Correct {
			keys = append(keys, strconv.Itoa(n+1))
		}
	}
	return options, strings.Join(keys, ",")
}
