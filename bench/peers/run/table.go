package main

import (
	"maps"
	"math"
	"slices"
)

// measure is one figure of one workload.
type measure struct {
	workload, name, unit string
	of                   func(l *line) float64
	more                 bool // more is better
}

var measures = []measure{
	{"burst", "burst_cpu", "µs of CPU a delivery", cpu, false},
	{"burst", "burst_rate", "deliveries/s", func(l *line) float64 { return l.DeliveriesPerS }, true},
	{"single", "single_cpu", "µs of CPU a delivery", cpu, false},
	{"single", "single_p99", "p99, ms", p99, false},
	{"echo", "echo_cpu", "µs of CPU a request", cpu, false},
	{"echo", "echo_p99", "p99, ms", p99, false},
	{"idle", "connect_cpu", "µs of CPU a connect", connectCPU, false},
	{"signed", "signed_cpu", "µs of CPU a connect", connectCPU, false},
	{"idle", "memory", "bytes a member", marginal, false},
	{"signed", "signed_memory", "bytes a member", marginal, false},
}

func cpu(l *line) float64 { return l.Server.CPUUsPerDelivery }

// marginal is what each member of the second half added: room that a process has from its start does not flatter it.
func marginal(l *line) float64 { return l.Server.RSSMarginalBytes }

func connectCPU(l *line) float64 { return l.Server.CPUUsPerConnect }

func p99(l *line) float64 {
	if l.LatencyMS == nil {
		return 0
	}
	return l.LatencyMS.P99
}

// spread is a figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// writesOver stands before the other server's name where the ratio is that of lectern-writes.
const writesOver = "lectern-writes/"

// summary is the last line of the result file. Ratios are Lectern's figure over the other server's in the same round.
type summary struct {
	Summary bool                         `json:"summary"`
	Rounds  int                          `json:"rounds"`
	Figures map[string]map[string]spread `json:"figures"` // by measure and server
	// Ratios are by measure and the other server. Those of Lectern without io_uring are under writesOver + that name.
	Ratios map[string]map[string]spread `json:"ratios"`
	// Kernel is the drops and resends of all runs, by server and workload.
	Kernel map[string]map[string]kernel `json:"kernel"`
}

type kernel struct {
	BacklogDrops int64 `json:"backlog_drops"`
	TCPResends   int64 `json:"tcp_resends"`
	Lost         int64 `json:"lost"`
	Failed       int   `json:"failed,omitempty"`
	Bottleneck   int   `json:"generator_bottleneck,omitempty"` // runs in which the generator was the limit
}

func summarize(lines []line) *summary {
	s := &summary{
		Summary: true, Figures: map[string]map[string]spread{}, Ratios: map[string]map[string]spread{},
		Kernel: map[string]map[string]kernel{},
	}
	type at struct {
		measure, server string
		round           int
	}
	values := map[at]float64{}
	for i := range lines {
		l := &lines[i]
		s.Rounds = max(s.Rounds, l.Round)
		s.addKernel(l)
		if l.Failed != "" || l.Server == nil {
			continue
		}
		for _, m := range measures {
			if v := m.of(l); m.workload == l.Workload && v > 0 {
				values[at{m.name, l.Peer, l.Round}] = v
			}
		}
	}
	figures, ratios := map[[2]string][]float64{}, map[[2]string][]float64{}
	for where, v := range values {
		key := [2]string{where.measure, where.server}
		figures[key] = append(figures[key], v)
		if own := values[at{where.measure, "lectern", where.round}]; own > 0 && where.server != "lectern" {
			ratios[key] = append(ratios[key], own/v)
		}
		if own := values[at{where.measure, "lectern-writes", where.round}]; own > 0 && where.server == "uws" {
			key[1] = writesOver + key[1]
			ratios[key] = append(ratios[key], own/v)
		}
	}
	fill(s.Figures, figures)
	fill(s.Ratios, ratios)
	return s
}

func (s *summary) addKernel(l *line) {
	if s.Kernel[l.Peer] == nil {
		s.Kernel[l.Peer] = map[string]kernel{}
	}
	k := s.Kernel[l.Peer][l.Workload]
	k.BacklogDrops += l.Kernel.BacklogDrops
	k.TCPResends += l.Kernel.TCPResends
	k.Lost += l.Lost
	if l.Generator.Bottleneck {
		k.Bottleneck++
	}
	if l.Failed != "" {
		k.Failed++
	}
	s.Kernel[l.Peer][l.Workload] = k
}

func fill(to map[string]map[string]spread, from map[[2]string][]float64) {
	for key, v := range from {
		if to[key[0]] == nil {
			to[key[0]] = map[string]spread{}
		}
		slices.Sort(v)
		to[key[0]][key[1]] = spread{Median: digits(v[len(v)/2]), Min: digits(v[0]), Max: digits(v[len(v)-1]), N: len(v)}
	}
}

// digits keeps three significant decimals.
func digits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Ceil(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sizes[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }
