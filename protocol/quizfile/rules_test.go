package quizfile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"
)

// brief writes an import as one line per item and problem, so that a test reads like a transcript.
func brief(imp *Import) string {
	var b strings.Builder
	for _, it := range imp.Items {
		fmt.Fprintf(&b, "%d:%d %s %s", it.Number, it.Line, it.Type, it.Status)
		if it.Question >= 0 {
			q := imp.Quiz.Questions[it.Question]
			fmt.Fprintf(&b, " %q", q.Text)
			for _, o := range q.Options {
				fmt.Fprintf(&b, " %s%q", map[bool]string{true: "=", false: "~"}[o.Correct], o.Text)
			}
			for _, n := range q.Numbers {
				fmt.Fprintf(&b, " %g..%g", n.Min, n.Max)
			}
			for _, s := range q.Texts {
				fmt.Fprintf(&b, " *%q", s)
			}
			if q.Correct != nil {
				fmt.Fprintf(&b, " %t", *q.Correct)
			}
			if q.Category != "" {
				fmt.Fprintf(&b, " in %q", q.Category)
			}
			if q.Explanation != "" {
				fmt.Fprintf(&b, " because %q", q.Explanation)
			}
		}
		b.WriteByte('\n')
	}
	for _, p := range imp.Problems {
		fmt.Fprintf(&b, "! %d:%d %s %s\n", p.Number, p.Line, p.Severity, p.Reason)
	}
	return strings.TrimSpace(b.String())
}

type ruleCase struct{ name, in, want string }

func runRules(t *testing.T, f Format, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			imp, err := DecodeAs(f, []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			checkImport(t, []byte(c.in), imp)
			if got := brief(imp); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// giftRules are numbered as the rules of the format are.
var giftRules = []ruleCase{
	{
		"1 blank line in open braces", "Q {\n=a\n\n~b\n}\n\nNext {T}",
		"1:1 single_choice good \"Q\" =\"a\" ~\"b\"\n2:7 true_false good \"Next\" true\n" +
			"! 1:1 warning a blank line inside the question was ignored",
	},
	{
		"1 an unclosed brace costs one question", "Q {=a ~b\n\nNext {T}\n\nMore {=x}",
		"1:1 unknown fault\n2:3 true_false good \"Next\" true\n3:5 short_answer good \"More\" *\"x\"\n" +
			"! 1:1 fault the brace { in line 1 is never closed; write \\{ if no answers are meant",
	},
	{
		"1 no blank line between questions", "One {T}\nTwo {F}\n::n::Three {=a}",
		"1:1 true_false good \"One\" true\n2:2 true_false good \"Two\" false\n3:3 short_answer good \"Three\" *\"a\"\n" +
			"! 1:1 warning there is no blank line before the next question\n" +
			"! 2:2 warning there is no blank line before the next question",
	},
	{
		"2 comments", "// c {\nQ {\n// =x\n=a\n}\n  // http\n\nSee http\\://x // y {T}",
		"1:2 short_answer good \"Q\" *\"a\"\n" +
			"2:8 true_false good \"See http://x // y\" true",
	},
	{
		"3 escapes", `A \{\}\=\#\~\: \\n \\frac\{a\}\{b\}\nend {=\\\\ =\~}`,
		"1:1 short_answer good \"A {}=#~: \\\\n \\\\frac{a}{b}\\nend\" *\"\\\\\\\\\" *\"~\"",
	},
	{
		"4 categories", "$CATEGORY: $course$/top/a//b/c\n\nQ {T}\n\n$CATEGORY: x\nR {F}",
		"1:3 true_false good \"Q\" true in \"a/b / c\"\n2:6 true_false good \"R\" false in \"x\"",
	},
	{"5 names", "::a\\:b:: Q {T}\n\n::only name:: {T}", "1:1 true_false good \"Q\" true\n2:3 true_false good \"only " +
		"name\" true\n" +
		"! 2:3 warning the question has no text; its name is shown"},
	{
		"6 formats", "[html]<p>a</p><p>b&nbsp;&lt;</p> {=[plain]<b> ~<b>x</b>}\n\n[1] Q {T}",
		"1:1 single_choice good \"a\\nb <\" =\"<b>\" ~\"x\"\n2:3 true_false good \"[1] Q\" true",
	},
	{"7 kinds", "Text\n\nE {}\n\nQ {true}", "1:1 description left_out\n2:3 essay left_out\n3:5 short_answer good " +
		"\"Q\" true\n" +
		"! 1:1 left_out a description is not a question: it has no answers in braces\n" +
		"! 2:3 left_out an essay can't be played live\n" +
		"! 3:5 warning \"true\" was read as true/false; by the rules of GIFT it should be in capitals"},
	{
		"8 missing word", "It costs {=nothing ~much} here.\n\nIt is {=4}.",
		"1:1 single_choice good \"It costs _____ here.\" =\"nothing\" ~\"much\"\n2:3 short_answer good \"It is _____.\" " +
			"*\"4\"",
	},
	{
		"9 an arrow in a choice", "Q {~a -> b =c -> d}\n\nM {=a->b =c->d}",
		"1:1 single_choice good \"Q\" ~\"a -> b\" =\"c -> d\"\n2:3 matching left_out\n" +
			"! 2:3 left_out a matching question can't be played live",
	},
	{
		"10 weights", "Q {~%33.33333%a ~%33.33333%b ~%33.33333%c ~%-100%d}\n\nR {=%50%x =y}\n\nS {=a ~%50%b ~c}\n\nT " +
			"{=%50%x}",
		"1:1 multi_choice good \"Q\" =\"a\" =\"b\" =\"c\" ~\"d\"\n2:3 short_answer good \"R\" *\"y\"\n" +
			"3:5 single_choice good \"S\" =\"a\" ~\"b\" ~\"c\"\n4:7 short_answer fault\n" +
			"! 2:3 warning the answer \"x\" earned part of the points (50 %); it counts as wrong\n" +
			"! 3:5 warning answer 2 earned part of the points (50 %); it counts as wrong\n" +
			"! 4:7 warning the answer \"x\" earned part of the points (50 %); it counts as wrong\n" +
			"! 4:7 fault no answer is fully right",
	},
	{
		"11 feedback", "Q {=#ff0000 ~#00ff00}\n\nR {TRUE#no#yes####all}\n\nS {T####}\n\nU {=x#}",
		"1:1 single_choice fault\n2:3 true_false good \"R\" true because \"all\"\n3:5 true_false good \"S\" true\n" +
			"4:7 short_answer good \"U\" *\"x\"\n! 1:1 warning answer 1 has only feedback; write \\# for a number sign\n" +
			"! 1:1 warning answer 2 has only feedback; write \\# for a number sign\n" +
			"! 1:1 fault answer 1 is empty; answer 2 is empty; a choice needs at least two answers",
	},
	{
		"12 numerical", "Q {#5}\n\nQ {#5:0.1}\n\nQ {#-2..3,5}\n\nQ {#=1:0 =%50%2 =%100%3 ~#no}\n\nQ {#abc}\n\nQ {#3#three}",
		"1:1 numerical good \"Q\" 5..5\n2:3 numerical good \"Q\" 4.9..5.1\n3:5 numerical good \"Q\" -2..3.5\n" +
			"4:7 numerical good \"Q\" 1..1 3..3\n5:9 numerical fault\n6:11 numerical good \"Q\" 3..3 because \"three\"\n" +
			"! 4:7 warning the answer 2 earned part of the points (50 %); it counts as wrong\n" +
			"! 5:9 fault \"abc\" is not a number, a number with a tolerance (5:0.1) or a range (1..5)",
	},
	{
		"14 unescaped braces", "What is \\frac{a}{b}? {=x ~\\sqrt{2}}",
		"1:1 single_choice good \"What is \\\\frac{a}{b}?\" =\"x\" ~\"\\\\sqrt{2}\"\n" +
			"! 1:1 warning braces in the text are not escaped; the answers were taken from the block in line 1",
	},
	{
		"15 pictures", "[html]Look <img src\\=\"@@PLUGINFILE@@/x.png\"> here {T}",
		"1:1 true_false good \"Look here\" true\n! 1:1 warning a picture or embedded file is left out",
	},
	{"15 unescaped attributes", "[html]Q {=<a href=\"x~y#z\">a</a> ~b}", "1:1 single_choice good \"Q\" =\"a\" ~\"b\""},
	{"16 wildcards", `Q {=a* =\*}`, "1:1 short_answer good \"Q\" *\"a*\" *\"\\\\*\""},
	{
		"17 line ends and tails", "Q {T}\";\r\rR {F}\r\n\r\nS {T}",
		"1:1 true_false good \"Q\" true\n2:3 true_false good \"R\" false\n" +
			"3:5 true_false good \"S\" true\n! 1:1 warning \"\\\";\" after the closing brace was ignored",
	},
	{"18 tags", "// [id:7] [tag:x]\nQ {T}", "1:2 true_false good \"Q\" true"},
}

func TestGIFTRules(t *testing.T) { runRules(t, GIFT, giftRules) }

func TestAikenRules(t *testing.T) {
	runRules(t, Aiken, []ruleCase{
		{
			"plain", "Is <b> & x?\nA) yes\nB.no\nANSWER: B\nNext?  \nA) a\nB) b\nC) c\nANSWER: A",
			"1:1 single_choice good \"Is <b> & x?\" ~\"yes\" =\"no\"\n2:5 single_choice good \"Next?\" =\"a\" ~\"b\" ~\"c\"",
		},
		{
			"faults do not spread", "Q\nA) x\nANSWER: A\n\nR\nA) x\nB) y\nANSWER: C\n\nS\nA) x\nB) y\n\nT\nA) x\nB) " +
				"y\nANSWER: A, B\n\nU\nA) x\nB) y\nANSWER: B",
			"1:1 single_choice fault\n2:5 single_choice fault\n3:10 single_choice fault\n4:14 single_choice fault\n" +
				"5:19 single_choice good \"U\" ~\"x\" =\"y\"\n" +
				"! 1:1 fault there are fewer than two choices\n" +
				"! 2:5 fault the ANSWER line 8 names C, but there are only 2 choices\n" +
				"! 3:10 fault the ANSWER line is missing\n" +
				"! 4:14 fault the ANSWER line 17 names several choices; Aiken knows one right answer only",
		},
		{
			"a stem like a choice", "A. Smith wrote\nwhat?\nA) x\nB) y\nANSWER: A",
			"1:1 single_choice good \"A. Smith wrote\\nwhat?\" =\"x\" ~\"y\"",
		},
		{
			"loose writing", "Q\n(a) x\nb. y\nanswer: b", "1:1 single_choice good \"Q\" ~\"x\" =\"y\"\n" +
				"! 1:1 warning choices should be written as A) or A. with a capital letter\n" +
				"! 1:1 warning ANSWER should be in capital letters (line 4)\n! 1:1 warning the letter in the ANSWER line 4 " +
				"should be a capital",
		},
		{
			"feedback lines", "Q\nA) x\nB) y\nANSWER: A\nFEEDBACK: because\nPOINTS: 3",
			"1:1 single_choice good \"Q\" =\"x\" ~\"y\" because \"because\"\n" +
				"! 0:6 warning the line POINTS: is not part of Aiken and was ignored",
		},
		{
			"no answer line and no blank line", "Q\nA) x\nB) y\nR\nA) x\nB) y\nANSWER: A",
			"1:1 single_choice fault\n2:4 single_choice good \"R\" =\"x\" ~\"y\"\n" +
				"! 1:1 fault the ANSWER line is missing",
		},
		{
			"too many choices", "Q\nA) a\nB) b\nC) c\nD) d\nE) e\nF) f\nG) g\nH) h\nI) i\nJ) j\nK) k\nL) l\nM) m\nANSWER: M",
			"1:1 single_choice left_out\n! 1:1 left_out it has 13 answers; at most 12 can be played live",
		},
		{"blank lines between choices", "Q\n\nA) x\n\nB) y\n\nANSWER: A", "1:1 single_choice good \"Q\" =\"x\" ~\"y\""},
	})
}

func TestMoodleXMLRules(t *testing.T) {
	answers := `<answer fraction="100"><text>a</text></answer><answer fraction="0"><text>b</text></answer>`
	question := func(kind, more string) string {
		return `<question type="` + kind + `"><name><text>n</text></name><questiontext format="html"><text>` +
			`<![CDATA[<p>Q &amp; <script>alert(1)</script>R</p>]]></text></questiontext>` + more + "</question>\n"
	}
	runRules(t, MoodleXML, []ruleCase{
		{
			"choice", "<quiz>\n" + question("multichoice", "<single>1</single>"+answers) + question("multichoice",
				"<single>0</single>"+answers) + "</quiz>",
			"1:2 single_choice good \"Q & R\" =\"a\" ~\"b\"\n2:3 multi_choice good \"Q & R\" =\"a\" ~\"b\"",
		},
		{
			"a damaged question", "<quiz>\n" + question("multichoice", "<b>"+answers) + question("truefalse",
				`<answer fraction="0"><text>true</text></answer><answer fraction="100"><text>false</text></answer>`) + "</quiz>",
			"1:2 multichoice fault\n2:3 true_false good \"Q & R\" false\n" +
				"! 1:2 fault the XML is damaged in line 2: element <b> closed by </question>",
		},
		{"numbers", "<quiz>" + question("numerical",
			`<answer fraction="100"><text>5</text><tolerance>0.5</tolerance></answer>`+
				`<answer fraction="0"><text>*</text></answer>`) + "</quiz>", "1:1 numerical good \"Q & R\" 4.5..5.5"},
		{
			"kinds left out", "<quiz>" + question("ddwtos", "") + question("matching", "") + "</quiz>",
			"1:1 ddwtos left_out\n2:2 matching left_out\n! 1:1 left_out questions of type \"ddwtos\" can't be played live\n" +
				"! 2:2 left_out a matching question can't be played live",
		},
		{
			"no entities", `<!DOCTYPE quiz [<!ENTITY x SYSTEM "file:///etc/passwd">]><quiz>` +
				`<question type="shortanswer"><questiontext><text>&x;</text></questiontext></question></quiz>`,
			"1:1 shortanswer fault\n! 0:1 warning entities that the file defines are not expanded\n" +
				"! 1:1 fault the XML is damaged in line 1: invalid character entity &x;",
		},
		{
			"pictures as answers", "<quiz>" + question("multichoice",
				`<answer fraction="100" format="html"><text><![CDATA[<img src="x">]]></text></answer>`+
					`<answer format="html"><text><![CDATA[<img src="y">]]></text></answer>`) + "</quiz>",
			"1:1 single_choice left_out\n! 1:1 warning a picture or embedded file is left out\n" +
				"! 1:1 left_out its text or its answers are pictures, which can't be shown",
		},
	})
}

func TestTableRules(t *testing.T) {
	runRules(t, CSV, []ruleCase{
		{
			"keys of all kinds", "Question;Option A;Option B;Option C;Correct\nQ;x;y;z;B\nR;x;y;z;\"A, " +
				"C\"\nS;x;y;z;y\nU;x;y;z;x,z\nV;x;y;z;w\nW;x;y;z;",
			"1:2 single_choice good \"Q\" ~\"x\" =\"y\" ~\"z\"\n2:3 multi_choice good \"R\" =\"x\" ~\"y\" =\"z\"\n" +
				"3:4 single_choice good \"S\" ~\"x\" =\"y\" ~\"z\"\n4:5 multi_choice good \"U\" =\"x\" ~\"y\" =\"z\"\n" +
				"5:6 single_choice fault\n6:7 single_choice fault\n" +
				"! 5:6 fault the right answer \"w\" is not among the answers\n" +
				"! 6:7 fault the right answer is missing",
		},
		{
			"German header", "Nr.;Frage;Antwort 1;Antwort 2;Richtige Antwort;Zeitlimit;Punkte\n1;Wie?;2;1;2;30;500",
			"1:2 single_choice good \"Wie?\" ~\"2\" =\"1\"",
		},
		{
			"Quizizz", "Question Text,Question Type,Option 1,Option 2,Option 3,Correct Answer,Time in seconds,Image Link\n" +
				"Q,Multiple Choice,a,b,c,2,30,\nR,Checkbox,a,b,c,\"1,3\",30,http://x/y.png\nS,Fill-in-the-Blank,one,1,,,30,\n" +
				"T,Poll,a,b,,,30,\nU,Open-Ended,,,,,30,\n",
			"1:2 single_choice good \"Q\" ~\"a\" =\"b\" ~\"c\"\n2:3 multi_choice good \"R\" =\"a\" ~\"b\" =\"c\"\n" +
				"3:4 short_answer good \"S\" *\"one\" *\"1\"\n4:5 poll good \"T\" ~\"a\" ~\"b\"\n" +
				"5:6 essay left_out\n! 2:3 warning a picture or embedded file is left out\n" +
				"! 5:6 left_out questions of the type \"open ended\" can't be played live",
		},
		{
			"an unclosed quote", "Question,A,B,Correct\n\"Q,a,b,A\nR,a,b,B\n",
			"1:2 single_choice good \"\\\"Q\" =\"a\" ~\"b\"\n2:3 single_choice good \"R\" ~\"a\" =\"b\"\n" +
				"! 0:2 warning a quotation mark is opened here and never closed; the line was read without it",
		},
		{
			"encoded once", "What%20is%20%2526%3F,A%26amp%3BB\nR%20s,b\n",
			"1:1 question_answer_pair good \"What is %26?\" *\"A&B\"\n2:2 question_answer_pair good \"R s\" *\"b\"",
		},
		{
			"right and wrong columns", "question,correct_answer,incorrect_answer1,incorrect_answer2\nQ,m,z,a\n",
			"1:2 single_choice good \"Q\" ~\"a\" =\"m\" ~\"z\"",
		},
		{"no header", "Q,a,b,c,2\nR,a,b,c,3\n", "1:1 single_choice good \"Q\" ~\"a\" =\"b\" ~\"c\"\n2:2 single_choice " +
			"good \"R\" ~\"a\" ~\"b\" =\"c\"\n" +
			"! 0:0 warning the table has no header; columns were taken as question, answers, right answer"},
	})
}

func TestSpreadsheetKeysThatALocaleChanged(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	rows := [][]any{
		{"Question", "Answer 1", "Answer 2", "Answer 3", "Answer 4", "Time", "Correct"},
		{"one", "a", "b", "c", "d", 20, 2.0},
		{"list", "a", "b", "c", "d", 20, "2 ; 4"},
		{"number", "a", "b", "c", "d", 20, 1.3},
		{"date", "a", "b", "c", "d", 20, 45352}, // 1 March 2024
		{nil, nil, nil, nil, nil, nil, nil},
	}
	for i, cells := range rows {
		at, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := f.SetSheetRow("Sheet1", at, &cells); err != nil {
			t.Fatal(err)
		}
	}
	data, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	imp, err := Decode("x.xlsx", data.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := "1:2 single_choice good \"one\" ~\"a\" =\"b\" ~\"c\" ~\"d\"\n2:3 multi_choice good \"list\" ~\"a\" =\"b\" " +
		"~\"c\" =\"d\"\n" +
		"3:4 multi_choice good \"number\" =\"a\" ~\"b\" =\"c\" ~\"d\"\n4:5 multi_choice good \"date\" =\"a\" ~\"b\" " +
		"=\"c\" ~\"d\"\n" +
		"! 3:4 warning the right answer \"1.3\" was read as the answers [1 3]\n! 4:5 warning the right answer \"45352\" " +
		"was read as the answers [1 3]"
	if got := brief(imp); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONRules(t *testing.T) {
	runRules(t, JSON, []ruleCase{
		{
			"one wrong question", "{\"title\":\"T\",\n\"questions\":[\n" +
				"{\"type\":\"true_false\",\"text\":\"Q\",\"correct\":true},\n" +
				"{\"type\":\"numeric\",\"text\":7},\n" +
				"{\"type\":\"essay\",\"text\":\"E\"},\n{\"type\":\"poll\",\"text\":\"P\",\"options\":" +
				"[{\"text\":\"a\"},{\"text\":\"b\"}],\"x\":1}]}",
			"1:3 true_false good \"Q\" true\n2:4 numerical fault\n3:5 essay left_out\n4:6 poll good \"P\" ~\"a\" ~\"b\"\n" +
				"! 2:4 fault cannot unmarshal number into Go struct field Question.text of type string\n" +
				"! 3:5 left_out questions of type \"essay\" can't be played live\n" +
				"! 4:6 warning unknown field \"x\": it was ignored",
		},
		{
			"entities once", `{"results":[{"type":"multiple","question":"&quot;a&quot; &amp;lt;",` +
				`"correct_answer":"b","incorrect_answers":["c","a"]}]}`,
			"1:1 single_choice good \"\\\"a\\\" &lt;\" ~\"a\" =\"b\" ~\"c\"",
		},
	})
}

func TestEncodings(t *testing.T) {
	const text = "Wie heißt „das“? {=Über ~Bär}"
	utf16le := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	latin := []byte("Wie hei\xdft \x84das\x93? {=\xdcber ~B\xe4r}")
	for name, data := range map[string][]byte{
		"utf-8": []byte(text), "bom": []byte("\ufeff" + text), "utf-16": utf16le,
		"1252": latin,
	} {
		imp, err := Decode("quiz.gift", data)
		if err != nil || imp.Good != 1 || imp.Quiz.Questions[0].Text != "Wie heißt „das“?" ||
			imp.Quiz.Questions[0].Options[0].Text != "Über" {
			t.Errorf("%s: %+v %v", name, imp, err)
		} else if (len(imp.Problems) > 0) != (name == "1252") {
			t.Errorf("%s: problems %+v", name, imp.Problems)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Format
	}{
		{"a.txt", "Q {T}", GIFT},
		{"a.txt", "::x::[html]Q {=a ~b}", GIFT},
		{"a.txt", "[html]Q {=a ~b}", GIFT},
		{"a.txt", "{ =Asia } is large", GIFT},
		{"a.txt", "Q\nA) a\nB) b\nANSWER: A", Aiken},
		{"a.txt", "Question,A,B,Correct\nQ,a,b,A\nR,a,b,B", CSV},
		{"a.csv", ",Question,Answer1,Answer2,Answer3,Answer4,Time,Correct\n", KahootCSV},
		{"a.xml", "<?xml version=\"1.0\"?><quiz></quiz>", MoodleXML},
		{"a.xml", "<assessmentItem></assessmentItem>", QTI},
		{"a.bin", "{\"title\":\"x\"}", JSON},
		{"a.txt", "The capital is {1:SA:=Paris}.", Cloze},
		{"a.txt", "#Q q\n^ a\nA a\nB b\n", TriviaQA},
		{"a.txt", "", Unknown},
		{"a.txt", "just a sentence", Unknown},
	} {
		if got := Detect(c.name, []byte(c.data)); got != c.want {
			t.Errorf("%q: %q, want %q", c.data, got, c.want)
		}
	}
}

func TestWholeFilesThatCannotBeRead(t *testing.T) {
	if _, err := Decode("x.gift", make([]byte, BytesMax+1)); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	if _, err := Decode("x", []byte("hello")); !errors.Is(err, ErrUnknownFormat) {
		t.Error(err)
	}
	if _, err := DecodeAs(KahootXLSX, []byte("PK\x03\x04 no")); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	w, err := z.Create("xl/workbook.xml")
	if err == nil {
		_, err = w.Write(make([]byte, unzipBytesMax+1))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode("x.xlsx", bomb.Bytes()); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	if imp, err := Decode("My quiz_2.gift.txt", []byte("Q {T}")); err != nil || imp.Quiz.Title != "My quiz 2" {
		t.Errorf("%+v %v", imp, err)
	}
}

// 64 KiB of what could make a scanner start over and over again; the test's time limit is the check.
func TestHostileFilesEnd(t *testing.T) {
	for _, piece := range []string{
		"{", "}", "{\n\n", "a{=b}\n", "<", "<a =\"", "<script>", "<!--", "<![CDATA[",
		"<question ", "\"", "\"\"\"\n", ",", "\n", "=~#",
		"A) x\n", "A. ", "ANSWER: A\n", "::", "&amp;", "#Q x\n", "^ x\n", "[", "{\"a\":", "\\", "x {=a ~b}\n\n",
		"<sup>1</sup>", "%",
	} {
		data := []byte("Q {=" + strings.Repeat(piece, (64<<10)/len(piece)))
		raw := data[4:]
		for _, f := range []Format{GIFT, Aiken, MoodleXML, CSV, JSON, TriviaQA} {
			for _, d := range [][]byte{data, raw} {
				if imp, err := DecodeAs(f, d); err == nil && len(imp.Quiz.Questions) > 0 && imp.Quiz.Validate() != nil {
					t.Errorf("%s of %q: not valid", f, piece)
				}
			}
		}
		Detect("x", raw)
	}
}

// pegText is a text in the fixtures' .json, with blanks folded as that parser does.
type pegText struct {
	Text string `json:"text"`
}

func TestFixturesAgreeWithAnotherParser(t *testing.T) {
	names, _ := filepath.Glob(filepath.Join(sharedQuizzes, "gift/gift-pegjs-fixtures/*.gift"))
	if len(names) == 0 {
		t.Skip("the shared quiz files are not here")
	}
	fold := func(s string) string {
		s = strings.Join(strings.Fields(plainText(s, markupHTML, func(string, ...any) {})), " ")
		return strings.ReplaceAll(s, gap+" .", gap+".") // the other parser adds a blank there
	}
	compared := 0
	for _, name := range names {
		want, err := os.ReadFile(strings.TrimSuffix(name, ".gift") + ".json")
		data, err2 := os.ReadFile(name)
		var questions []struct {
			Type    string          `json:"type"`
			Stem    pegText         `json:"stem"`
			Choices json.RawMessage `json:"choices"`
		}
		if err != nil || err2 != nil || json.Unmarshal(want, &questions) != nil {
			continue
		}
		imp, err := Decode(filepath.Base(name), data)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, q := range questions {
			if q.Type == "Category" || n >= len(imp.Items) {
				continue
			}
			it := imp.Items[n]
			n++
			if it.Question < 0 || q.Type != "MC" {
				continue
			}
			got := imp.Quiz.Questions[it.Question]
			var choices []struct {
				Text pegText `json:"text"`
			}
			if err := json.Unmarshal(q.Choices, &choices); err != nil || len(choices) != len(got.Options) {
				t.Errorf("%s %d: %d options, want %d", filepath.Base(name), it.Number, len(got.Options), len(choices))
				continue
			}
			if a, b := fold(got.Text), fold(q.Stem.Text); a != b {
				t.Errorf("%s %d: stem\n%q, want\n%q", filepath.Base(name), it.Number, a, b)
			}
			for i, c := range choices {
				if a, b := fold(got.Options[i].Text), fold(c.Text.Text); a != b {
					t.Errorf("%s %d: option %d %q, want %q", filepath.Base(name), it.Number, i, a, b)
				}
			}
			compared++
		}
	}
	if compared < 15 {
		t.Errorf("only %d questions were compared", compared)
	}
}
