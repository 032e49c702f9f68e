package quizfile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// ResultTable is a finished game as plain data, ready to be written as a table.
type ResultTable struct {
	Title     string
	Questions []ResultQuestion
	Rows      []ResultRow // one per participant, in the order of the ranking
}

// ResultQuestion is one question of the game with how often each answer was given.
type ResultQuestion struct {
	Text         string
	Type         string
	Correct      string        // the right answer as text
	Distribution []ResultCount // per option, or per distinct answer, most frequent first
}

// ResultCount is how many participants gave an answer.
type ResultCount struct {
	Answer  string
	Correct bool
	Count   int
}

// ResultRow is one participant. Answers has one entry per question of the table; the zero value means not answered.
type ResultRow struct {
	Rank    int
	Name    string
	Score   int64
	Answers []ResultAnswer
}

// ResultAnswer is what a participant did with one question. Outcome is correct, wrong, or empty for no answer (or a
// poll's); ElapsedMs counts from the question's opening to the answer's arrival.
type ResultAnswer struct {
	Answer    string
	Outcome   string
	Points    int64
	ElapsedMs int64
}

func (a ResultAnswer) given() bool { return a.Answer != "" || a.Outcome != "" || a.ElapsedMs != 0 }

// resultHeader names the columns: three of the participant, then four per question.
func resultHeader(t *ResultTable) []string {
	head := []string{"Rank", "Name", "Score"}
	for i := range t.Questions {
		n := "Q" + strconv.Itoa(i+1) + " "
		head = append(head, n+"answer", n+"outcome", n+"points", n+"time (ms)")
	}
	return head
}

// EncodeResultsCSV writes the participants as CSV in UTF-8 with a byte order mark (spreadsheets ask for it): a
// header, a row with the questions' texts, then one row per participant. Cells that a spreadsheet would run as a
// formula are guarded by a leading apostrophe.
func EncodeResultsCSV(t ResultTable) []byte {
	var b strings.Builder
	b.WriteString("\ufeff")
	csvLine(&b, resultHeader(&t)...)
	texts := []string{"", t.Title, ""}
	for i := range t.Questions {
		texts = append(texts, t.Questions[i].Text, t.Questions[i].Correct, "", "")
	}
	csvLine(&b, texts...)
	for i := range t.Rows {
		r := &t.Rows[i]
		cells := []string{strconv.Itoa(r.Rank), r.Name, strconv.FormatInt(r.Score, 10)}
		for q := range t.Questions {
			a := r.answer(q)
			if !a.given() {
				cells = append(cells, "", "", "", "")
				continue
			}
			cells = append(cells, a.Answer, a.Outcome, strconv.FormatInt(a.Points, 10), strconv.FormatInt(a.ElapsedMs, 10))
		}
		csvLine(&b, cells...)
	}
	return []byte(b.String())
}

// EncodeTableCSV writes a table of texts as EncodeResultsCSV writes its own: with a byte order mark, formulas guarded.
func EncodeTableCSV(rows [][]string) []byte {
	var b strings.Builder
	b.WriteString("\ufeff")
	for _, row := range rows {
		csvLine(&b, row...)
	}
	return []byte(b.String())
}

func (r *ResultRow) answer(q int) ResultAnswer {
	if q < len(r.Answers) {
		return r.Answers[q]
	}
	return ResultAnswer{}
}

// EncodeResultsXLSX writes three sheets: Ranking (rank, name, score), Answers (as the CSV) and Questions (the
// distribution of answers). Texts are written as texts, so that no cell is ever a formula. An error is one of the
// spreadsheet library's: a game beyond the limits of a sheet (1,048,576 rows, 16,384 columns, 32,767 characters in a
// cell).
func EncodeResultsXLSX(t ResultTable) ([]byte, error) {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", "Ranking"); err != nil {
		return nil, fmt.Errorf("quizfile: write results: %w", err)
	}
	ranking := [][]any{{"Rank", "Name", "Score"}}
	answers := [][]any{toCells(resultHeader(&t))}
	for i := range t.Rows {
		r := &t.Rows[i]
		line := []any{r.Rank, r.Name, r.Score}
		ranking = append(ranking, line)
		line = append([]any{}, line...)
		for q := range t.Questions {
			if a := r.answer(q); a.given() {
				line = append(line, a.Answer, a.Outcome, a.Points, a.ElapsedMs)
			} else {
				line = append(line, "", "", "", "")
			}
		}
		answers = append(answers, line)
	}
	questions := [][]any{{"Number", "Question", "Type", "Answer", "Right", "Count"}}
	for i := range t.Questions {
		q := &t.Questions[i]
		for _, d := range q.Distribution {
			right := ""
			if d.Correct {
				right = "yes"
			}
			questions = append(questions, []any{i + 1, q.Text, q.Type, d.Answer, right, d.Count})
		}
	}
	for _, s := range []struct {
		name string
		rows [][]any
	}{{"Ranking", ranking}, {"Answers", answers}, {"Questions", questions}} {
		if err := streamSheet(f, s.name, s.rows); err != nil {
			return nil, fmt.Errorf("quizfile: write results: %w", err)
		}
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		return nil, fmt.Errorf("quizfile: write results: %w", err)
	}
	return b.Bytes(), nil
}

func toCells(texts []string) []any {
	cells := make([]any, len(texts))
	for i, s := range texts {
		cells[i] = s
	}
	return cells
}

// streamSheet writes a sheet row by row, which holds for thousands of participants.
func streamSheet(f *excelize.File, name string, rows [][]any) error {
	if i, err := f.GetSheetIndex(name); err != nil || i < 0 {
		if _, err := f.NewSheet(name); err != nil {
			return fmt.Errorf("sheet %s: %w", name, err)
		}
	}
	w, err := f.NewStreamWriter(name)
	if err != nil {
		return fmt.Errorf("sheet %s: %w", name, err)
	}
	for i, cells := range rows {
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return fmt.Errorf("sheet %s: %w", name, err)
		}
		if err := w.SetRow(at, cells); err != nil {
			return fmt.Errorf("sheet %s: %w", name, err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sheet %s: %w", name, err)
	}
	return nil
}
