package quizfile

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"lectern/protocol/wire"
)

// pieces of text that have a meaning in one format or another.
var spicy = []string{
	"a", "Bär", "x y", "=", "~", "#", "{", "}", ":", "::", `\`, `\n`, "<b>", "&amp;", "&", `"`, "'", ",", ";",
	"|", "%50%", "%20", "[html]", "//", "$CATEGORY:", "->", "*", `\*`, "+1", "-2", "@x", "A)", "ANSWER: B",
	"é", "日本", "]]>",
	"</text>", "1", "2.5", "T", "TRUE", "true", "\n", "question", "correct", "####", "_____",
	"sep=", "@@PLUGINFILE@@", " ",
}

func anyText(charsMax int, banned string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom(spicy), 1, 6).Draw(t, "parts")
		s := strings.Join(parts, "")
		for _, b := range strings.Split(banned, " ") {
			if b == "NL" {
				s = strings.ReplaceAll(s, "\n", " ")
			} else if b != "" {
				s = strings.ReplaceAll(s, b, "")
			}
		}
		for strings.Contains(s, "\n\n") || strings.Contains(s, " \n") ||
			strings.Contains(s, "\n ") || strings.Contains(s, "  ") {
			s = strings.NewReplacer("\n\n", "\n", " \n", "\n", "\n ", "\n", "  ", " ").Replace(s)
		}
		s = strings.TrimSpace(s)
		if s == "" || len([]rune(s)) > charsMax {
			s = "word"
		}
		return s
	})
}

// anyQuestion draws a question of one of the kinds.
func anyQuestion(kinds []wire.QuestionType, banned string) *rapid.Generator[wire.Question] {
	return rapid.Custom(func(t *rapid.T) wire.Question {
		q := wire.Question{Type: rapid.SampledFrom(kinds).Draw(t, "type")}
		text := anyText(180, banned)
		q.Text = text.Draw(t, "text")
		switch q.Type {
		case wire.SingleChoice, wire.MultipleChoice, wire.Poll:
			n := rapid.IntRange(2, 4).Draw(t, "options")
			right := rapid.IntRange(0, n-1).Draw(t, "right")
			for i := range n {
				o := wire.Option{Text: text.Draw(t, "option")}
				if q.Type != wire.Poll {
					o.Correct = i == right || (q.Type == wire.MultipleChoice && rapid.Bool().Draw(t, "also"))
				}
				q.Options = append(q.Options, o)
			}
		case wire.TrueFalse:
			v := rapid.Bool().Draw(t, "correct")
			q.Correct = &v
		case wire.Numeric:
			lo := float64(rapid.IntRange(-5000, 5000).Draw(t, "lo")) / 8
			hi := lo + float64(rapid.IntRange(0, 40).Draw(t, "width"))/4
			q.Numbers = []wire.NumberRange{{Min: lo, Max: hi}, {Min: hi + 1, Max: hi + 1}}
		case wire.ShortText:
			q.Texts = rapid.SliceOfN(text, 1, 3).Draw(t, "texts")
		}
		return q
	})
}

// roundTrip encodes a drawn quiz, decodes it and compares the questions.
func roundTrip(t *testing.T, f Format, kinds []wire.QuestionType, banned string, dress func(*rapid.T, *wire.Question)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		questions := rapid.SliceOfN(anyQuestion(kinds, banned), 1, 5).Draw(t, "questions")
		quiz := &wire.Quiz{Title: "Round trip", Questions: questions}
		if dress != nil {
			for i := range quiz.Questions {
				dress(t, &quiz.Questions[i])
			}
		}
		if err := quiz.Validate(); err != nil {
			t.Fatalf("the drawn quiz is not valid: %v", err)
		}
		data, problems, err := Encode(f, quiz)
		if err != nil || len(problems) > 0 {
			t.Fatalf("encode: %v, %+v", err, problems)
		}
		imp, err := DecodeAs(f, data)
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, data)
		}
		if d := cmp.Diff(quiz.Questions, imp.Quiz.Questions, cmpopts.EquateApprox(1e-9, 1e-9)); d != "" {
			t.Fatalf("lost on the way (-wrote +read):\n%s\nproblems: %+v\n%s", d, imp.Problems, data)
		}
		if f != KahootXLSX {
			if got := Detect("file.txt", data); got != f && (f == GIFT || f == JSON || f == MoodleXML) {
				t.Fatalf("detected as %q:\n%s", got, data)
			}
		}
	})
}

var allKinds = []wire.QuestionType{wire.SingleChoice, wire.MultipleChoice, wire.TrueFalse, wire.Numeric, wire.ShortText}

func TestGIFTRoundTrip(t *testing.T) {
	roundTrip(t, GIFT, allKinds, "-> @@PLUGINFILE@@", func(t *rapid.T, q *wire.Question) {
		q.Category = rapid.SampledFrom([]string{"", "Maths", "Maths / Sets", "A/B"}).Draw(t, "category")
		q.Explanation = rapid.SampledFrom([]string{"", "because #1 = {x}", "two\nlines"}).Draw(t, "explanation")
		for i := range q.Options {
			q.Options[i].Feedback = rapid.SampledFrom([]string{"", "no: ~ that", "<i>yes</i>"}).Draw(t, "feedback")
		}
	})
}

func TestMoodleXMLRoundTrip(t *testing.T) {
	roundTrip(t, MoodleXML, allKinds, "@@PLUGINFILE@@", func(t *rapid.T, q *wire.Question) {
		q.Category = rapid.SampledFrom([]string{"", "Maths", "Maths / Sets", "A/B"}).Draw(t, "category")
		q.CaseMatters = q.Type == wire.ShortText && rapid.Bool().Draw(t, "case")
	})
}

func TestCSVRoundTrip(t *testing.T) {
	roundTrip(t, CSV, append([]wire.QuestionType{wire.Poll}, allKinds...), "", func(t *rapid.T, q *wire.Question) {
		q.TimeLimitMs = rapid.SampledFrom([]int64{0, 1500, 20000, 600000}).Draw(t, "time")
		if rapid.Bool().Draw(t, "has points") {
			points := rapid.IntRange(0, wire.PointsMax).Draw(t, "points")
			q.Points = &points
		}
		q.CaseMatters = q.Type == wire.ShortText && rapid.Bool().Draw(t, "case")
		q.Explanation = rapid.SampledFrom([]string{"", "=1+1", "two\nlines", "&lt;"}).Draw(t, "explanation")
		q.Category = rapid.SampledFrom([]string{"", "Maths", "@home"}).Draw(t, "category")
	})
}

func TestAikenRoundTrip(t *testing.T) {
	roundTrip(t, Aiken, []wire.QuestionType{wire.SingleChoice}, "NL A) ANSWER: sep=", nil)
}

func TestJSONRoundTrip(t *testing.T) {
	roundTrip(t, JSON, append([]wire.QuestionType{wire.Poll}, allKinds...), "", nil)
}

func TestKahootRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		questions := rapid.SliceOfN(anyQuestion([]wire.QuestionType{wire.SingleChoice}, "NL"), 1, 3).Draw(t, "questions")
		for i := range questions {
			questions[i].TimeLimitMs = 30000
		}
		data, problems, err := Encode(KahootXLSX, &wire.Quiz{Title: "T", Questions: questions})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %+v", err, problems)
		}
		imp, err := Decode("q.xlsx", data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(questions, imp.Quiz.Questions); d != "" {
			t.Fatalf("%s\n%+v", d, imp.Problems)
		}
	})
}

func TestExportsNameWhatIsLost(t *testing.T) {
	yes, points := true, 500
	quiz := &wire.Quiz{Title: "T", Questions: []wire.Question{
		{Type: wire.Poll, Text: "Which?", Options: []wire.Option{{Text: "a"}, {Text: "b"}}},
		{
			Type: wire.TrueFalse, Text: "Sure?", Correct: &yes, TimeLimitMs: 5000, Points: &points,
			Explanation: "e", Category: "c",
		},
		{Type: wire.ShortText, Text: "Name?", Texts: []string{"a->b"}, CaseMatters: true},
	}}
	for _, c := range []struct {
		f    Format
		want []string
	}{
		{GIFT, []string{"left_out 1", "warning 2 time limit, points", "left_out 3"}},
		{Aiken, []string{
			"left_out 1", "warning 2 choice of True", "warning 2 time limit, points, explanation, category", "left_out 3",
		}},
		{MoodleXML, []string{"left_out 1", "warning 2 time limit, points"}},
		{KahootXLSX, []string{
			"left_out 1", "warning 2 choice of True", "warning 2 points, explanation, category", "left_out 3",
		}},
		{CSV, nil},
		{JSON, nil},
	} {
		_, problems, err := Encode(c.f, quiz)
		if err != nil || len(problems) != len(c.want) {
			t.Errorf("%s: %v %+v", c.f, err, problems)
			continue
		}
		for i, w := range c.want {
			words := strings.SplitN(w, " ", 3)
			p := problems[i]
			if p.Severity != words[0] || p.Number != int(words[1][0]-'0') ||
				(len(words) > 2 && !strings.Contains(p.Reason, words[2])) {
				t.Errorf("%s: problem %+v, want %s", c.f, p, w)
			}
		}
	}
	if _, _, err := Encode(QTI, quiz); err == nil {
		t.Error("QTI can't be written")
	}
}

func resultSample() ResultTable {
	return ResultTable{Title: "Class 7b", Questions: []ResultQuestion{
		{
			Text: "=cmd|' /C calc'!A0", Type: "single_choice", Correct: "B",
			Distribution: []ResultCount{{"A", false, 1}, {"B", true, 2}},
		},
		{Text: "Second, with comma", Type: "poll"},
	}, Rows: []ResultRow{
		{1, "@Ada", 1900, []ResultAnswer{{"B", "correct", 950, 1200}, {"x", "", 0, 10}}},
		{2, "Bob \"B\"", 10, []ResultAnswer{{"A", "wrong", 0, 900}}},
	}}
}

func TestResultsCSV(t *testing.T) {
	data := EncodeResultsCSV(resultSample())
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{
			"Rank", "Name", "Score", "Q1 answer", "Q1 outcome", "Q1 points", "Q1 time (ms)",
			"Q2 answer", "Q2 outcome", "Q2 points", "Q2 time (ms)",
		},
		{"", "Class 7b", "", "'=cmd|' /C calc'!A0", "B", "", "", "Second, with comma", "", "", ""},
		{"1", "'@Ada", "1900", "B", "correct", "950", "1200", "x", "", "0", "10"},
		{"2", "Bob \"B\"", "10", "A", "wrong", "0", "900", "", "", "", ""},
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
}

func TestResultsXLSX(t *testing.T) {
	data, err := EncodeResultsXLSX(resultSample())
	if err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ranking, err := f.GetRows("Ranking")
	want := [][]string{{"Rank", "Name", "Score"}, {"1", "@Ada", "1900"}, {"2", "Bob \"B\"", "10"}}
	if err != nil || cmp.Diff(want, ranking) != "" {
		t.Errorf("%v %v", ranking, err)
	}
	questions, err := f.GetRows("Questions")
	if err != nil || len(questions) != 3 || questions[2][4] != "yes" || questions[2][5] != "2" {
		t.Errorf("%v %v", questions, err)
	}
	if formula, err := f.GetCellFormula("Questions", "B2"); err != nil || formula != "" {
		t.Errorf("a text became a formula: %q %v", formula, err)
	}
}
