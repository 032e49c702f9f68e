package capacity

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lectern/bench/report"
)

func TestConnectionsAreSplitEvenly(t *testing.T) {
	for _, c := range []struct {
		conns, generators int
		limit             uint64
		want              []int
	}{
		{100_000, 0, 1 << 20, []int{25_000, 25_000, 25_000, 25_000}},
		{18_000, 0, 20_000, []int{9000, 9000}},
		{30_000, 0, 60_000, []int{15_000, 15_000}},
		{60_000, 0, 63_000, []int{20_000, 20_000, 20_000}},
		{10, 3, 2000, []int{3, 3, 4}},
		{1, 0, 2000, []int{1}},
	} {
		got, err := split(c.conns, c.generators, c.limit)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d over %d with %d descriptors: %v, %v", c.conns, c.generators, c.limit, got, err)
		}
	}
}

func TestTooFewDescriptorsAreToldWithWhatFits(t *testing.T) {
	_, err := split(100_000, 0, 20_000)
	if !errors.Is(err, ErrDescriptors) || !strings.Contains(err.Error(), "--conns 18381 ") {
		t.Error(err)
	}
	for _, limit := range []uint64{1030, 4096, 20_000, 100_000, 1 << 20} {
		fits := fitting(limit)
		if _, err := split(fits, 0, limit); err != nil {
			t.Error(err)
		}
		if _, err := split(fits+2, 0, limit); !errors.Is(err, ErrDescriptors) {
			t.Errorf("%d with %d descriptors: %v", fits+2, limit, err)
		}
		if free := connsMax(fits) / lateShare; connsMax(fits)-free < fits+1 {
			t.Errorf("the server keeps %d of %d free", free, connsMax(fits))
		}
	}
	for _, generators := range []int{1, 9} {
		if _, err := split(8, generators, serverSpare+8); generators == 9 && !errors.Is(err, ErrDescriptors) {
			t.Errorf("%d generators for 8 connections: %v", generators, err)
		}
	}
}

// partOf is what one generator of a quiz with one question reports.
func partOf(members int64, standings ...report.Standing) *report.Result {
	all := report.Tally{Expected: members, Delivered: members}
	return &report.Result{
		Counts:      report.Counts{Expected: 4 * members, Delivered: 4 * members},
		Errors:      map[string]int64{},
		LatenciesMS: map[string]*report.Quantiles{"rank": {P50: float64(members), P99: 9, N: members}},
		Quiz: &report.QuizCheck{
			Questions: 1, Participants: int(members), QuestionViews: all, Answers: all, Results: all, Ranks: all,
			BoardRows: 1, Standings: standings,
		},
	}
}

func sum(parts ...*report.Result) *Result {
	r := newResult(&Options{Conns: 5}, []int{2, 3})
	for _, p := range parts {
		r.add(p)
	}
	r.finish()
	return r
}

func TestPartsAreAddedUpAndRanksHeldAgainstAllScores(t *testing.T) {
	host := partOf(2, report.Standing{Score: 900, Rank: 1, Members: 1}, report.Standing{Score: 500, Rank: 4, Members: 1})
	host.Quiz.AnsweredCount = 5
	other := partOf(3, report.Standing{Score: 700, Rank: 2, Members: 2}, report.Standing{Score: 0, Rank: 5, Members: 1})
	r := sum(host, other)
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	if r.Ready != 5 || r.Delivered != 20 || r.Quiz.Ranks.Delivered != 5 || r.Latencies["rank"].P50 != 3 ||
		r.Latencies["rank"].N != 5 || r.Quiz.BoardRows != 2 {
		t.Errorf("%+v", r)
	}
	other.Quiz.Standings[0].Rank = 3
	if r := sum(host, other); r.Quiz.WrongRank != 2 || !errors.Is(r.Check(), ErrFailed) {
		t.Errorf("%d wrong ranks: %v", r.Quiz.WrongRank, r.Check())
	}
}

func TestEveryFaultFailsTheRun(t *testing.T) {
	for want, spoil := range map[string]func(host *report.Result){
		"4 of 5 were ready":       func(r *report.Result) { r.Quiz.Participants-- },
		"1 lost":                  func(r *report.Result) { r.Lost = 1 },
		"2 duplicated":            func(r *report.Result) { r.Duplicated = 2 },
		"the server counts 4":     func(r *report.Result) { r.Quiz.AnsweredCount = 4 },
		"3 outcomes":              func(r *report.Result) { r.Quiz.WrongOutcome = 3 },
		"1 rows":                  func(r *report.Result) { r.Quiz.WrongBoard = 1 },
		"1 receipts":              func(r *report.Result) { r.Quiz.Retried = 1 },
		"errors: map[closed_4300": func(r *report.Result) { r.Errors["closed_4300"] = 1 },
	} {
		host, other := partOf(2, report.Standing{Rank: 1, Members: 2}), partOf(3, report.Standing{Rank: 1, Members: 3})
		host.Quiz.AnsweredCount = 5
		if err := sum(host, other).Check(); err != nil {
			t.Fatal(err)
		}
		spoil(host)
		if err := sum(host, other).Check(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMemoryIsPerConnectionOverTheEmptyServer(t *testing.T) {
	r := newResult(&Options{Conns: 100}, []int{50, 50})
	r.Ready = 100
	r.Steps = []Step{
		{Name: "empty", RSSBytes: 1000, KernelBytes: 500},
		{Name: "connect", RSSBytes: 151_000},
		{Name: "hold", RSSBytes: 161_000, KernelBytes: 700_500},
		{Name: "podium", RSSBytes: 201_000},
	}
	r.finish()
	if want := (Memory{1500, 1600, 2000, 7000}); r.Memory != want {
		t.Errorf("%+v", r.Memory)
	}
}
