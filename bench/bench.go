// Package bench is Lectern's load harness: it drives a running server with thousands of WebSocket connections, checks
// that nothing is lost or doubled, and measures the server's CPU and memory from /proc. It imports nothing of the
// product but the protocol, so that it can't flatter the server and can drive others.
//
// Run does the work; cmd/lectern only maps flags to Options. client holds the load engine, scenario the scenarios,
// report the result, measure the readings of /proc, capacity the run of several generators against a server of its
// own, peers what Lectern is compared with, results the recorded runs.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lectern/bench/report"
	"lectern/bench/scenario"
)

// Options say what to run; every field has its meaning, unit and default in its comment.
type Options = scenario.Options

// QuizOptions are the settings of the scenario quiz.
type QuizOptions = scenario.QuizOptions

// Progress is what a run looks like while it is going on.
type Progress = scenario.Progress

// Result is one run: one line of the result file.
type Result = report.Result

// ErrUsage marks wrong options: exit status 2.
var ErrUsage = scenario.ErrUsage

// ErrFailed says that the run ended but that something expected did not come, came twice or was wrong: exit status 1.
var ErrFailed = errors.New("bench: the run failed")

// Names are the scenarios that Run knows.
func Names() []string { return scenario.Names() }

// Run runs one scenario against a running server and blocks until it is over. The error is nil only if the run could be
// performed; Check says whether everything that was expected came. On an error in the middle (or when ctx ends) the
// result holds what was measured until then.
func Run(ctx context.Context, opt Options) (Result, error) { return scenario.Run(ctx, opt) }

// Check is nil when nothing was lost, doubled or wrong, otherwise an ErrFailed that says what.
func Check(r *Result) error {
	switch q := r.Quiz; {
	case r.Lost > 0 || r.Duplicated > 0:
		return fmt.Errorf("%w: %d lost, %d duplicated of %d expected", ErrFailed, r.Lost, r.Duplicated, r.Expected)
	case q != nil && q.WrongOutcome+q.WrongScore+q.WrongRank+q.WrongBoard > 0:
		return fmt.Errorf("%w: %d outcomes, %d scores, %d ranks and %d rows of the leaderboard were wrong", ErrFailed,
			q.WrongOutcome, q.WrongScore, q.WrongRank, q.WrongBoard)
	case len(r.Errors) > 0:
		return fmt.Errorf("%w: errors: %v", ErrFailed, r.Errors)
	}
	return nil
}

// WriteJSON appends a result to a file as one line of JSON; "-" is standard output.
func WriteJSON(path string, result any) error { return report.AppendLine(path, result) }

// WriteHTML writes a page with the plots of the results, replacing the file.
func WriteHTML(path string, results ...*Result) error {
	page, err := report.HTML(results)
	if err != nil {
		return err
	}
	//nolint:gosec // The operator names the file, and it is meant to be shown.
	if err := os.WriteFile(path, page, 0o644); err != nil {
		return fmt.Errorf("bench: write the report: %w", err)
	}
	return nil
}
