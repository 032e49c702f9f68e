package quizfile

import (
	"strings"
	"testing"
)

// checkImport holds for every import of any input: the quiz can be played, the counts add up, lines lie in the file.
func checkImport(t testing.TB, data []byte, imp *Import) {
	t.Helper()
	if len(imp.Quiz.Questions) > 0 {
		if err := imp.Quiz.Validate(); err != nil {
			t.Fatalf("the imported quiz is not valid: %v", err)
		}
	}
	if imp.Good != len(imp.Quiz.Questions) || imp.Total+imp.Faulty != len(imp.Items) {
		t.Fatalf("counts: good %d of %d, total %d + faulty %d of %d items", imp.Good, len(imp.Quiz.Questions),
			imp.Total, imp.Faulty, len(imp.Items))
	}
	text, _ := decodeText(data)
	lines := 1 + strings.Count(text, "\n")
	if imp.Format == KahootXLSX {
		lines = 1 << 20
	}
	for _, p := range imp.Problems {
		if p.Line < 0 || p.Line > lines || p.Reason == "" {
			t.Fatalf("the file has %d lines, problem %+v", lines, p)
		}
	}
	for i, it := range imp.Items {
		if it.Number != i+1 || it.Line < 1 || it.Line > lines || it.Type == "" {
			t.Fatalf("item %d: %+v", i, it)
		}
		if it.Question >= 0 && it.Status != "good" || it.Question >= imp.Good {
			t.Fatalf("item %d points at question %d: %+v", i, it.Question, it)
		}
	}
}
