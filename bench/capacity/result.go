package capacity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"lectern/bench/measure"
	"lectern/bench/report"
)

// ErrFailed says that the run ended but that something expected did not come, came twice or was wrong.
var ErrFailed = errors.New("bench: the capacity run failed")

// Result is a whole run: one line of JSON.
type Result struct {
	Scenario   string `json:"scenario"`
	Conns      int    `json:"conns"`      // asked for
	Generators []int  `json:"generators"` // connections of each generator process; the first hosts the quiz
	Members    string `json:"members"`    // how they are authenticated
	// Ready are members that connected, were authenticated and joined the room, as the generators count them.
	Ready int `json:"ready"`
	// Heartbeats are the server's pings that were answered over the whole run.
	Heartbeats int64 `json:"heartbeats"`
	// Expected, Delivered, Lost and Duplicated sum questions, durable acknowledgements, results and own ranks, of which
	// everybody must get each once.
	Expected   int64             `json:"expected"`
	Delivered  int64             `json:"delivered"`
	Lost       int64             `json:"lost"`
	Duplicated int64             `json:"duplicated"`
	Errors     map[string]int64  `json:"errors"`
	Quiz       *report.QuizCheck `json:"quiz"`
	// Steps are the readings at the end of each part of the run.
	Steps  []Step `json:"steps"`
	Memory Memory `json:"memory"`
	// Latencies are each the worst of all generators' quantiles, in milliseconds.
	Latencies map[string]report.Quantiles `json:"latencies_ms"`
	// BusyShareMax is the busiest generator's; Kernel what the network stack dropped and sent again during the quiz.
	BusyShareMax float64         `json:"generator_busy_share"`
	Kernel       report.Kernel   `json:"kernel"`
	Machine      measure.Machine `json:"machine"`
	Settings     []string        `json:"settings,omitempty"` // of the server, where the environment changed them
	Commit       string          `json:"commit,omitempty"`
	At           string          `json:"at"` // RFC 3339, when the run began
	Notes        []string        `json:"notes,omitempty"`

	standings []report.Standing
}

// Step is what was read at the end of a part: how long it took and what the server's process used in it.
type Step struct {
	Name         string  `json:"name"`
	DurationS    float64 `json:"duration_s"`
	ServerCPUS   float64 `json:"server_cpu_s"`
	RSSBytes     int64   `json:"rss_bytes"`
	PeakRSSBytes int64   `json:"peak_rss_bytes"`
	// KernelBytes is the machine's slab and TCP buffer memory, Sockets its TCP sockets: with the generators on the same
	// machine, two for each connection.
	KernelBytes int64 `json:"kernel_bytes"`
	Sockets     int   `json:"tcp_sockets"`
}

// Memory is the server's resident memory over what it had with nobody connected, for each connection, at the end
// of three parts; KernelPerConn is the kernel's, for both ends of a connection, of the whole machine.
type Memory struct {
	ConnectedPerConn float64 `json:"rss_per_conn_connected_bytes"`
	HeldPerConn      float64 `json:"rss_per_conn_held_bytes"`
	PlayedPerConn    float64 `json:"rss_per_conn_played_bytes"`
	KernelPerConn    float64 `json:"kernel_per_conn_held_bytes"`
}

// membersOfDev describes who the participants are.
const membersOfDev = "guests of serve --dev: each a user with an id, a name and the role participant from the " +
	"handshake on; no signed token"

func newResult(opt *Options, shares []int) *Result {
	r := &Result{
		Scenario: "capacity", Conns: opt.Conns, Generators: shares, Members: membersOfDev, Errors: map[string]int64{},
		Quiz: &report.QuizCheck{}, Latencies: map[string]report.Quantiles{}, Machine: measure.ReadMachine(),
		Settings: settings(), Commit: opt.Commit, At: time.Now().UTC().Format(time.RFC3339),
	}
	if opt.Note != "" {
		r.Notes = append(r.Notes, opt.Note)
	}
	return r
}

// add takes in one generator's result.
func (r *Result) add(g *report.Result) {
	r.Heartbeats += g.Heartbeats
	r.Expected += g.Expected
	r.Delivered += g.Delivered
	r.Lost += g.Lost
	r.Duplicated += g.Duplicated
	for name, n := range g.Errors {
		r.Errors[name] += n
	}
	r.BusyShareMax = max(r.BusyShareMax, g.Generator.BusyShare)
	r.Kernel.BacklogDrops = max(r.Kernel.BacklogDrops, g.Kernel.BacklogDrops)
	r.Kernel.TCPResends = max(r.Kernel.TCPResends, g.Kernel.TCPResends)
	for name, q := range g.LatenciesMS {
		if q != nil {
			r.worst(name, q)
		}
	}
	if g.ConnectMS != nil {
		r.worst("connect", g.ConnectMS)
	}
	if q := g.Quiz; q != nil {
		r.addQuiz(q)
	}
}

func (r *Result) worst(name string, q *report.Quantiles) {
	w := r.Latencies[name]
	r.Latencies[name] = report.Quantiles{
		P50: max(w.P50, q.P50), P95: max(w.P95, q.P95), P99: max(w.P99, q.P99), Max: max(w.Max, q.Max), N: w.N + q.N,
	}
}

func (r *Result) addQuiz(q *report.QuizCheck) {
	sum := r.Quiz
	r.Ready += q.Participants
	sum.Participants += q.Participants
	sum.Questions, sum.WindowMS = max(sum.Questions, q.Questions), max(sum.WindowMS, q.WindowMS)
	for _, t := range []struct{ to, from *report.Tally }{
		{&sum.QuestionViews, &q.QuestionViews},
		{&sum.Answers, &q.Answers},
		{&sum.Results, &q.Results},
		{&sum.Ranks, &q.Ranks},
	} {
		t.to.Expected += t.from.Expected
		t.to.Delivered += t.from.Delivered
		t.to.Lost += t.from.Lost
		t.to.Duplicated += t.from.Duplicated
	}
	sum.Retried += q.Retried
	sum.RetriedSame += q.RetriedSame
	sum.Refused += q.Refused
	sum.WrongOutcome += q.WrongOutcome
	sum.WrongScore += q.WrongScore
	sum.WrongRank += q.WrongRank
	sum.WrongBoard += q.WrongBoard
	sum.BoardRows += q.BoardRows
	sum.AnsweredCount += q.AnsweredCount
	r.standings = append(r.standings, q.Standings...)
}

// finish computes what only all generators together show.
func (r *Result) finish() {
	r.Quiz.WrongRank += report.WrongRanks(r.standings)
	empty, ready := r.step("empty"), float64(max(r.Ready, 1))
	over := func(name string, of func(Step) int64) float64 {
		s := r.step(name)
		if of(s) == 0 {
			return 0
		}
		return math.Round(float64(of(s)-of(empty)) / ready)
	}
	rss := func(s Step) int64 { return s.RSSBytes }
	r.Memory = Memory{
		ConnectedPerConn: over("connect", rss), HeldPerConn: over("hold", rss), PlayedPerConn: over("podium", rss),
		KernelPerConn: over("hold", func(s Step) int64 { return s.KernelBytes }),
	}
}

func (r *Result) step(name string) Step {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return Step{}
}

// Check is nil when everybody was there and got everything once, and right.
func (r *Result) Check() error {
	q, due := r.Quiz, int64(r.Conns)*int64(r.Quiz.Questions)
	switch {
	case r.Ready != r.Conns || due == 0:
		return fmt.Errorf("%w: %d of %d were ready, %d questions", ErrFailed, r.Ready, r.Conns, q.Questions)
	case r.Lost > 0 || r.Duplicated > 0:
		return fmt.Errorf("%w: %d lost, %d duplicated of %d expected", ErrFailed, r.Lost, r.Duplicated, r.Expected)
	case q.AnsweredCount != due || q.Answers.Delivered != due:
		return fmt.Errorf("%w: the server counts %d answers, the generators %d, and %d were due", ErrFailed,
			q.AnsweredCount, q.Answers.Delivered, due)
	case q.WrongOutcome+q.WrongScore+q.WrongRank+q.WrongBoard > 0 || q.BoardRows == 0 || q.Retried != q.RetriedSame:
		return fmt.Errorf("%w: wrong: %d outcomes, %d scores, %d ranks, %d rows of %d on the podium, "+
			"%d receipts of repeated answers", ErrFailed, q.WrongOutcome, q.WrongScore, q.WrongRank, q.WrongBoard,
			q.BoardRows, q.Retried-q.RetriedSame)
	case len(r.Errors) > 0:
		return fmt.Errorf("%w: errors: %v", ErrFailed, r.Errors)
	}
	return nil
}

// WriteText prints the result for people.
func (r *Result) WriteText(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	q := r.Quiz
	p("capacity: %d of %d connected and in the room, by %d generators", r.Ready, r.Conns, len(r.Generators))
	p("  expected %d, delivered %d, lost %d, duplicated %d; %d heartbeats answered", r.Expected, r.Delivered, r.Lost,
		r.Duplicated, r.Heartbeats)
	p("  questions %d/%d, durable answers %d/%d (server: %d), results %d/%d, ranks %d/%d; repeated %d (same receipt %d)",
		q.QuestionViews.Delivered, q.QuestionViews.Expected, q.Answers.Delivered, q.Answers.Expected, q.AnsweredCount,
		q.Results.Delivered, q.Results.Expected, q.Ranks.Delivered, q.Ranks.Expected, q.Retried, q.RetriedSame)
	p("  wrong: %d outcomes, %d scores, %d ranks, %d rows of %d on the podium", q.WrongOutcome, q.WrongScore, q.WrongRank,
		q.WrongBoard, q.WrongBoard+int64(q.BoardRows))
	for _, s := range r.Steps {
		p("  %-12s %9.2f s, server: cpu %8.2f s, rss %8.1f MiB; kernel %8.1f MiB, %d TCP sockets", s.Name, s.DurationS,
			s.ServerCPUS, mib(s.RSSBytes), mib(s.KernelBytes), s.Sockets)
	}
	p("  memory a connection: %.0f bytes connected, %.0f held, %.0f after the quiz; kernel %.0f (both ends)",
		r.Memory.ConnectedPerConn, r.Memory.HeldPerConn, r.Memory.PlayedPerConn, r.Memory.KernelPerConn)
	for _, name := range []string{"connect", "question", "answer", "rank"} {
		if l, ok := r.Latencies[name]; ok {
			p("  %-9s p50 %.1f, p99 %.1f, max %.1f ms (the slowest generator's)", name, l.P50, l.P99, l.Max)
		}
	}
	for name, n := range r.Errors {
		p("  error   %s: %d", name, n)
	}
	for _, n := range r.Notes {
		p("  note    %s", n)
	}
}

func roundTo(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
