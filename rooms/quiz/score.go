package quiz

import "math"

// outcome is how an answer fared; its String is QuizRank.Outcome on the wire.
type outcome uint8

const (
	outcomeNone outcome = iota // no answer, or the question was skipped
	outcomeWrong
	outcomePartial
	outcomeCorrect
	outcomePoll
	outcomeVoid // the question counts no more
)

var outcomeNames = [...]string{"none", "wrong", "partial", "correct", "poll", "void"}

// String is the outcome's name on the wire.
func (o outcome) String() string { return outcomeNames[o] }

// Names of the scoring presets, as in wire.QuizSettings.Scoring.
const (
	ScoringKahoot    = "kahoot" // the default
	ScoringLinear    = "linear"
	ScoringFlat      = "flat"
	ScoringWayground = "wayground"
)

// fullPointsMs is the time below which the Kahoot preset does not reduce the points.
const fullPointsMs = 500

// Score is the points for a correct or partly correct answer, without the streak bonus. elapsedMs (t) and limitMs
// (T) are milliseconds, points (P) what the question is worth. Of the question's right options, picked were chosen
// out of right; a question that has one right answer is 1 of 1. multi marks a multiple-choice question. Callers
// score wrong answers with 0 themselves. The result is rounded half away from zero.
//
//   - kahoot, and any unknown name: P·(1 − (t/T)/2), the full P for t < 0.5 s, so P/2 at least (Kahoot, "How points
//     work", support.kahoot.com 115002303908; example t=2 s, T=30 s, P=1000: 967). Multi-select pays up to 500 of
//     1,000 for each right option: picked·(P/2)·(1 − (t/T)/2). So two right options are worth P, three 1.5·P, as there.
//   - linear: P·(1 − t/T), down to 0 at the end of the time (Rahoot, ClassQuiz).
//   - flat: P, whatever the time.
//   - wayground: (600 + 400·(1 − t/T))·P/1000 (Quizizz/Wayground, waygroundorg.freshdesk.com 158000404053: 600 for
//     a correct answer and 0 to 400 for speed).
//
// The last three pay the share picked/right of their formula for multi-select. In every preset an option picked wrongly
// makes the whole answer wrong: otherwise picking all options would pay best.
func Score(preset string, points int, elapsedMs, limitMs int64, multi bool, picked, right int) int {
	if points <= 0 || picked <= 0 || right <= 0 {
		return 0
	}
	share := 1.0 // t/T
	if limitMs > 0 {
		share = min(max(float64(elapsedMs)/float64(limitMs), 0), 1)
	}
	p := float64(points)
	fraction := float64(picked) / float64(right)
	switch preset {
	case ScoringLinear:
		return int(math.Round(p * (1 - share) * fraction))
	case ScoringFlat:
		return int(math.Round(p * fraction))
	case ScoringWayground:
		return int(math.Round((600 + 400*(1-share)) * p / 1000 * fraction))
	}
	if elapsedMs < fullPointsMs {
		share = 0
	}
	if multi {
		p, fraction = p/2, float64(picked)
	} else {
		fraction = 1
	}
	return int(math.Round((1 - share/2) * p * fraction))
}

// StreakBonus is what the streak-th correct answer in a row pays on top: 2: 100, 3: 200, 4: 300, 5: 400, 6 and more:
// 500 (Kahoot's table up to 2020, the same page). It is paid only with points: a question worth nothing raises the
// streak and pays nothing. Wrong, partly correct and missing answers end a streak; polls, skipped
// and void questions leave it as it is.
func StreakBonus(streak int) int {
	if streak < 2 {
		return 0
	}
	return 100 * min(streak-1, 5)
}
