// Package report is what a load run hands back: the result as one line of JSON, latency distributions, and a page with
// plots. It does no network I/O. Nothing here is safe for several goroutines at once.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"lectern/bench/measure"
)

// Result is one run. Its JSON is one line of the harness's result file. Latencies are in milliseconds; times of senders
// count from the intended moment, not from the moment the generator got to it.
type Result struct {
	Run
	Counts
	// LatencyMS is the scenario's main latency: fan-out and chat from the intended send to each receipt; echo to the
	// reply; storm from connect to the room's welcome; quiz from the intended answer to its durable acknowledgement.
	LatencyMS *Quantiles `json:"latency_ms,omitempty"`
	// ConnectPerS is members ready per second; ConnectMS from connect to the server's 101.
	ConnectPerS float64          `json:"connect_per_s,omitempty"`
	ConnectMS   *Quantiles       `json:"connect_ms,omitempty"`
	Errors      map[string]int64 `json:"errors"`
	// Heartbeats is the number of the server's pings that were answered, over the whole run.
	Heartbeats int64           `json:"heartbeats,omitempty"`
	Server     *Server         `json:"server,omitempty"`
	Generator  Generator       `json:"generator"`
	Kernel     Kernel          `json:"kernel"`
	Machine    measure.Machine `json:"machine"`
	// LatenciesMS are the scenario's further latencies by name.
	LatenciesMS map[string]*Quantiles `json:"latencies_ms,omitempty"`
	// Phases are the run's parts in order.
	Phases []Phase    `json:"phases,omitempty"`
	Quiz   *QuizCheck `json:"quiz,omitempty"`
	Commit string     `json:"commit,omitempty"`
	At     string     `json:"at"`              // RFC 3339, when the run began
	Notes  []string   `json:"notes,omitempty"` // what a reader must know before using the figures

	// Series and Distributions feed the page and are not part of the line.
	Series        []Sample                  `json:"-"`
	Distributions map[string][]Distribution `json:"-"`
}

// Run says what was run.
type Run struct {
	Scenario  string  `json:"scenario"`
	Adaptor   string  `json:"adaptor"`
	Target    string  `json:"target"`
	Conns     int     `json:"conns"`
	Rooms     int     `json:"rooms"`
	Rate      float64 `json:"rate,omitempty"`
	Burst     int     `json:"burst,omitempty"`
	Stalled   int     `json:"stalled,omitempty"` // connections that did not read
	Payload   int     `json:"payload_bytes,omitempty"`
	DurationS float64 `json:"duration_s"` // of the measured phase
}

// Counts are the messages of the measured phase. Delivered counts each expected message once; Lost is Expected less
// Delivered; Duplicated came once more than it should.
type Counts struct {
	Sent           int64   `json:"sent"`
	Expected       int64   `json:"expected"`
	Delivered      int64   `json:"delivered"`
	Lost           int64   `json:"lost"`
	Duplicated     int64   `json:"duplicated"`
	DeliveriesPerS float64 `json:"deliveries_per_s"`
}

// Quantiles are points of a distribution in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	N   int64   `json:"n"`
}

// Server is what /proc says of the server's process: CPU of the measured phase, memory at the end of it, memory per
// connection over what the process had before the first of this run's connections.
type Server struct {
	PID              int     `json:"pid"`
	CPUS             float64 `json:"cpu_s"`
	CPUUsPerDelivery float64 `json:"cpu_us_per_delivery"`
	RSSBytes         int64   `json:"rss_bytes"`
	RSSBaseBytes     int64   `json:"rss_base_bytes"`
	RSSPerConnBytes  float64 `json:"rss_per_conn_bytes"`
	// RSSMarginalBytes is what each connection of the second half added to the memory with the first half (idle): it does
	// not profit from room that a fresh process has in its heap anyway.
	RSSMarginalBytes float64 `json:"rss_marginal_per_conn_bytes,omitempty"`
	CPUUsPerConnect  float64 `json:"cpu_us_per_connect,omitempty"`
}

// Generator is what the harness itself used. BusyShare is the busiest engine's share of the measured time in which it
// was not waiting for events (running, or wanting to run); where it was the Bottleneck, the figures are not used.
type Generator struct {
	CPUS       float64 `json:"cpu_s"`
	BusyShare  float64 `json:"busy_share"`
	CPUShare   float64 `json:"cpu_share"` // of one CPU, the busiest engine's
	SendLagMS  float64 `json:"send_lag_p99_ms,omitempty"`
	Bottleneck bool    `json:"bottleneck"`
}

// Kernel is what the whole machine's network stack dropped and sent again during the measured phase.
type Kernel struct {
	BacklogDrops int64 `json:"backlog_drops"`
	TCPResends   int64 `json:"tcp_resends"`
}

// Phase is one part of a run.
type Phase struct {
	Name      string  `json:"name"`
	DurationS float64 `json:"duration_s"`
}

// QuizCheck is what a quiz run verified. Everybody must get every question, an acknowledgement for every answer and the
// own rank after every question.
type QuizCheck struct {
	Questions     int     `json:"questions"`
	Participants  int     `json:"participants"`
	QuestionViews Tally   `json:"question"`
	Answers       Tally   `json:"answer"`
	Results       Tally   `json:"results"`
	Ranks         Tally   `json:"rank"`
	Retried       int64   `json:"retried"`         // answers sent again with the same key
	RetriedSame   int64   `json:"retried_same"`    // that got the same receipt
	Refused       int64   `json:"refused"`         // answers that the server refused
	WrongOutcome  int64   `json:"wrong_outcome"`   // own outcome against the key that the harness knows
	WrongScore    int64   `json:"wrong_score"`     // own score against the points earned so far
	WrongRank     int64   `json:"wrong_rank"`      // own rank against everybody's scores
	WrongBoard    int64   `json:"wrong_board"`     // rows of the final leaderboard against the members' own scores
	BoardRows     int     `json:"board_rows"`      // rows that were held against a member's score
	AnsweredCount int64   `json:"answered_server"` // what the server's results say in sum
	WindowMS      float64 `json:"window_ms"`       // answers were spread over this much of each question
	// Standings are the members' last ranks where other generators have members of the same quiz: only all of them
	// together say whether a rank is right.
	Standings []Standing `json:"standings,omitempty"`
}

// Standing is the members of one generator that have the same score and were told the same rank.
type Standing struct {
	Score   int64 `json:"score"`
	Rank    int64 `json:"rank"`
	Members int64 `json:"members"`
}

// WrongRanks counts the members whose rank is not one more than the number of members with a better score: equal
// scores share a rank, 1, 2, 2, 4. The standings may come from several generators, in any order.
func WrongRanks(standings []Standing) (wrong int64) {
	members := map[int64]int64{}
	for _, s := range standings {
		members[s.Score] += s.Members
	}
	scores := slices.Sorted(maps.Keys(members))
	above, rankOf := int64(0), make(map[int64]int64, len(scores))
	for _, score := range slices.Backward(scores) {
		rankOf[score] = above + 1
		above += members[score]
	}
	for _, s := range standings {
		if s.Rank != rankOf[s.Score] {
			wrong += s.Members
		}
	}
	return wrong
}

// Tally counts one kind of message of a quiz.
type Tally struct {
	Expected   int64 `json:"expected"`
	Delivered  int64 `json:"delivered"`
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
}

// Close fills Lost.
func (t *Tally) Close() { t.Lost = max(t.Expected-t.Delivered, 0) }

// Sample is a point of the run's time series.
type Sample struct {
	AtS          float64
	DeliveriesPS float64
	ServerCPU    float64 // CPUs in use
	GeneratorCPU float64
	ServerRSS    int64
	Ready        int64
}

// Distribution is one point of a latency distribution: Quantile in [0,1], value in milliseconds.
type Distribution struct {
	Quantile float64
	MS       float64
}

// AppendLine appends a result to a file as one line of JSON, creating the file if needed; a path of "-" is standard
// output.
func AppendLine(path string, result any) error {
	line, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("bench: encode the result: %w", err)
	}
	line = append(line, '\n')
	if path == "-" {
		_, err = os.Stdout.Write(line)
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the operator names it
	if err != nil {
		return fmt.Errorf("bench: open the result file: %w", err)
	}
	if _, err = f.Write(line); err != nil {
		_ = f.Close()
		return fmt.Errorf("bench: write the result file: %w", err)
	}
	return f.Close()
}

// WriteText prints the result for people.
func WriteText(w io.Writer, r *Result) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	p("%s on %s (%s): %d connections, %d rooms, %.1f s", r.Scenario, r.Target, r.Adaptor, r.Conns, r.Rooms, r.DurationS)
	p("  sent %d, expected %d, delivered %d, lost %d, duplicated %d; %.0f deliveries/s",
		r.Sent, r.Expected, r.Delivered, r.Lost, r.Duplicated, r.DeliveriesPerS)
	quantiles(p, "latency", r.LatencyMS)
	for _, name := range sortedKeys(r.LatenciesMS) {
		quantiles(p, name, r.LatenciesMS[name])
	}
	quantiles(p, "connect", r.ConnectMS)
	if r.ConnectPerS > 0 {
		p("  connect %.0f/s", r.ConnectPerS)
	}
	if s := r.Server; s != nil {
		p("  server  pid %d: cpu %.2f s (%.2f us a delivery), rss %.1f MiB, %.2f KiB a connection over base", s.PID, s.CPUS,
			s.CPUUsPerDelivery, float64(s.RSSBytes)/(1<<20), s.RSSPerConnBytes/1024)
		if s.RSSMarginalBytes != 0 {
			p("          %.2f KiB a connection of the second half", s.RSSMarginalBytes/1024)
		}
	}
	p("  generator cpu %.2f s, busy %.0f %%; kernel: %d backlog drops, %d TCP resends", r.Generator.CPUS,
		100*r.Generator.BusyShare, r.Kernel.BacklogDrops, r.Kernel.TCPResends)
	if q := r.Quiz; q != nil {
		p("  quiz    questions %d/%d, answers %d/%d, results %d/%d, ranks %d/%d; retried %d (same receipt %d)",
			q.QuestionViews.Delivered, q.QuestionViews.Expected, q.Answers.Delivered, q.Answers.Expected,
			q.Results.Delivered, q.Results.Expected, q.Ranks.Delivered, q.Ranks.Expected, q.Retried, q.RetriedSame)
		p("          wrong: %d outcomes, %d scores, %d ranks, %d rows", q.WrongOutcome, q.WrongScore, q.WrongRank,
			q.WrongBoard)
	}
	for _, name := range sortedKeys(r.Errors) {
		p("  error   %s: %d", name, r.Errors[name])
	}
	for _, n := range r.Notes {
		p("  note    %s", n)
	}
}

func quantiles(p func(string, ...any), name string, q *Quantiles) {
	if q != nil && q.N > 0 {
		p("  %-7s p50 %.2f, p95 %.2f, p99 %.2f, max %.2f ms (n=%d)", name, q.P50, q.P95, q.P99, q.Max, q.N)
	}
}

// round keeps the file readable: four significant decimals are more than any of this is worth.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
