package quizfile

import (
	"os"
	"path/filepath"
	"testing"
)

// seed adds own small files and, where they are, the shared real ones.
func seed(f *testing.F, own []string, shared ...string) {
	f.Helper()
	for _, s := range own {
		f.Add([]byte(s))
	}
	for _, pattern := range shared {
		names, _ := filepath.Glob(filepath.Join(sharedQuizzes, pattern))
		for _, name := range names {
			if data, err := os.ReadFile(name); err == nil && len(data) < 20000 {
				f.Add(data)
			}
		}
	}
}

// fuzzDecoder checks that nothing panics, that what comes out can be played, and that it survives its own export.
func fuzzDecoder(f *testing.F, format Format) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		imp, err := DecodeAs(format, data)
		if err != nil {
			return
		}
		checkImport(t, data, imp)
		Detect("file", data)
		if len(imp.Quiz.Questions) == 0 {
			return
		}
		for _, to := range []Format{GIFT, MoodleXML, CSV} {
			out, problems, err := Encode(to, &imp.Quiz)
			if err != nil {
				t.Fatal(err)
			}
			left := 0
			for _, p := range problems {
				if p.Severity == LeftOut {
					left++
				}
			}
			again, err := DecodeAs(to, out)
			if err != nil {
				t.Fatal(err)
			}
			if again.Good != imp.Good-left {
				t.Fatalf("%s: %d of %d questions came back, %d left out\n%s\n%+v", to, again.Good, imp.Good, left, out,
					again.Problems)
			}
		}
	})
}

var giftSeeds = []string{
	"::a::q {=x ~y#no ~%50%z}\n\n// c\n\n$CATEGORY: a/b\n\nq2 {T#w#r####g}\n\n{#1..2}\n\nq {=a -> b =c -> d}\n\nq{",
	"q {\n=a\n\n~b\n}\n\nnext {F}", "[html]<p>a &lt; b</p><img src\\=\"@@PLUGINFILE@@/x\"> {=x#} tail",
	"q \\{ {#=%100%3:0.1 =%50%4 ~#n}\";", "a{b{c}d}{=x}{~y}", "<pre>\n\n</pre>{=x}",
}

func FuzzGIFT(f *testing.F) {
	seed(f, giftSeeds, "gift/*.gift", "gift/gift-pegjs-fixtures/*.gift")
	fuzzDecoder(f, GIFT)
}

func FuzzAiken(f *testing.F) {
	seed(f, []string{
		"q\nA) a\nB) b\nANSWER: A\n\nq2\n(A) x\nb. y\nanswer: b\nFEEDBACK: z",
		"A. Smith\nA) x\nB) y\nANSWER: C",
	}, "aiken/*")
	fuzzDecoder(f, Aiken)
}

func FuzzMoodleXML(f *testing.F) {
	seed(f, []string{`<quiz><question type="multichoice"><questiontext><text><![CDATA[a]]></text></questiontext>` +
		`<answer fraction="100"><text>b</text></answer><answer><text>c</text></answer></question><question type="essay">`},
		"moodle-xml/*")
	fuzzDecoder(f, MoodleXML)
}

func FuzzCSV(f *testing.F) {
	seed(f, []string{
		"Question,A,B,Correct\nq,\"x\ny\",z,\"A,B\"\n", "a\tb\nc\td", "q;1;2;3;2\n", "%20a,b",
		"sep=;\nFrage;Antwort\na;b",
	},
		"csv/*", "kahoot/*.csv")
	fuzzDecoder(f, CSV)
}

func FuzzJSON(f *testing.F) {
	seed(f, []string{
		`{"title":"t","questions":[{"type":"poll","text":"q","options":[{"text":"a"},{"text":"b"}]}]}`,
		`{"results":[{"type":"boolean","question":"a &amp; b","correct_answer":"True"}]}`, `[{"type":"x"},`,
	})
	fuzzDecoder(f, JSON)
}

func FuzzTriviaQA(f *testing.F) {
	seed(f, []string{"#Q a\nb\n^ x\nA x\nB y\n\n#Q c\n^ True\nA True\nB False\n"})
	fuzzDecoder(f, TriviaQA)
}

func FuzzXLSX(f *testing.F) {
	seed(f, nil, "kahoot/*.xlsx")
	quiz := sampleQuiz()
	data, _, err := Encode(KahootXLSX, &quiz)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	fuzzDecoder(f, KahootXLSX)
}

func FuzzDetect(f *testing.F) {
	seed(f, giftSeeds, "*/*.txt", "csv/*", "qti/*/*.xml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		if imp, err := Decode("some.file", data); err == nil {
			checkImport(t, data, imp)
		}
	})
}
