package quiz

import "testing"

func TestScore(t *testing.T) {
	for _, c := range []struct {
		name           string
		preset         string
		points         int
		elapsed, limit int64
		multi          bool
		picked, right  int
		want           int
	}{
		{"kahoot's own example", ScoringKahoot, 1000, 2000, 30_000, false, 1, 1, 967},
		{"unknown name is kahoot", "", 1000, 2000, 30_000, false, 1, 1, 967},
		{"kahoot just under half a second", ScoringKahoot, 1000, 499, 1000, false, 1, 1, 1000},
		{"kahoot at half a second", ScoringKahoot, 1000, 500, 1000, false, 1, 1, 750},
		{"kahoot at the end", ScoringKahoot, 1000, 30_000, 30_000, false, 1, 1, 500},
		{"kahoot after the end counts as the end", ScoringKahoot, 1000, 31_000, 30_000, false, 1, 1, 500},
		{"kahoot double points", ScoringKahoot, 2000, 2000, 30_000, false, 1, 1, 1933},
		{"kahoot no points", ScoringKahoot, 0, 2000, 30_000, false, 1, 1, 0},
		{"kahoot one of two", ScoringKahoot, 1000, 0, 30_000, true, 1, 2, 500},
		{"kahoot two of two", ScoringKahoot, 1000, 0, 30_000, true, 2, 2, 1000},
		{"kahoot three of three", ScoringKahoot, 1000, 0, 30_000, true, 3, 3, 1500},
		{"kahoot two of two, late", ScoringKahoot, 1000, 30_000, 30_000, true, 2, 2, 500},
		{"nothing picked", ScoringKahoot, 1000, 0, 30_000, true, 0, 2, 0},
		{"linear at once", ScoringLinear, 1000, 0, 20_000, false, 1, 1, 1000},
		{"linear half-way", ScoringLinear, 1000, 10_000, 20_000, false, 1, 1, 500},
		{"linear at the end", ScoringLinear, 1000, 20_000, 20_000, false, 1, 1, 0},
		{"linear half the options", ScoringLinear, 1000, 10_000, 20_000, true, 1, 2, 250},
		{"flat", ScoringFlat, 1000, 19_000, 20_000, false, 1, 1, 1000},
		{"flat one of three", ScoringFlat, 1000, 19_000, 20_000, true, 1, 3, 333},
		{"wayground at once", ScoringWayground, 1000, 0, 20_000, false, 1, 1, 1000},
		{"wayground half-way", ScoringWayground, 1000, 10_000, 20_000, false, 1, 1, 800},
		{"wayground at the end", ScoringWayground, 1000, 20_000, 20_000, false, 1, 1, 600},
		{"wayground scaled", ScoringWayground, 500, 20_000, 20_000, false, 1, 1, 300},
		{"no time limit is the end", ScoringLinear, 1000, 0, 0, false, 1, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Score(c.preset, c.points, c.elapsed, c.limit, c.multi, c.picked, c.right); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestStreakBonus(t *testing.T) {
	for streak, want := range []int{0, 0, 100, 200, 300, 400, 500, 500, 500} {
		if got := StreakBonus(streak); got != want {
			t.Errorf("streak %d: got %d, want %d", streak, got, want)
		}
	}
}
