package quizfile

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sharedQuizzes is where real files of other people lie, outside the repository.
const sharedQuizzes = "../../../shared/data/quizzes"

// deviations are the files in which we count otherwise than EXPECT.json, with the reason.
var deviations = map[string]struct {
	byType map[string]int
	reason string
}{
	"trivia/opentriviaqa-video-games.txt": {
		map[string]int{"single_choice": 488, "true_false": 111},
		"the question \"A pipe bomb is …\" has the choices False and True; a count by lines takes its stem for a choice A",
	},
}

type expectation struct {
	Total      int            `json:"total"`
	ByType     map[string]int `json:"by_type"`
	Categories *int           `json:"categories"`
	Faulty     int            `json:"faulty_blocks"`
}

func readExpectations(t *testing.T) map[string]expectation {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(sharedQuizzes, "EXPECT.json"))
	if err != nil {
		t.Skip("the shared quiz files are not here: ", err)
	}
	var all struct {
		Files map[string]expectation `json:"files"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all.Files
}

func TestRealFilesHoldWhatIsExpected(t *testing.T) {
	all := readExpectations(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		want := all[name]
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(sharedQuizzes, name))
			if err != nil {
				t.Skip("not here: ", err)
			}
			imp, err := Decode(filepath.Base(name), data)
			if filepath.Dir(name)[:3] == "qti" {
				if !errors.Is(err, ErrQTI) {
					t.Fatalf("QTI must be named, got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if dev, ok := deviations[name]; ok {
				t.Log("counted otherwise: ", dev.reason)
				want.ByType = dev.byType
			}
			got := imp.CountsByType()
			if imp.Total != want.Total || !maps.Equal(got, want.ByType) {
				t.Errorf("format %s: total %d, types %v; want %d, %v; problems:", imp.Format, imp.Total, got,
					want.Total, want.ByType)
				for i, p := range imp.Problems {
					if i < 20 {
						t.Logf("%+v", p)
					}
				}
			}
			if want.Categories != nil && imp.Categories != *want.Categories {
				t.Errorf("categories %d, want %d", imp.Categories, *want.Categories)
			}
			if imp.Faulty != want.Faulty {
				t.Errorf("faulty %d, want %d: %+v", imp.Faulty, want.Faulty, imp.Faults())
			}
			checkImport(t, data, imp)
		})
	}
}
