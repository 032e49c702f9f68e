package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// order is that of the page's rows.
var order = []string{
	"lectern", "lectern-writes", "lectern-memory", "uws", "gnet", "nbio", "gws", "centrifuge", "ws", "socketio",
}

// descriptions say what each server is.
var descriptions = map[string]string{
	"lectern":        "this server",
	"lectern-writes": "this server, `--io writes`",
	"lectern-memory": "this server, `--store memory`",
	"uws":            "uWebSockets (C++), through the npm package `uwebsockets`: its own publish, one thread",
	"gnet":           "the network library under Lectern alone: a prototype without users, order, limits or history",
	"nbio":           "Go, epoll without a goroutine per connection",
	"gws":            "Go, a goroutine per connection, its Broadcaster",
	"centrifuge":     "Go, memory engine, JSON protocol; has queues per client and metrics",
	"ws":             "npm ws; frames built once, one write per member and turn of the event loop",
	"socketio":       "Socket.IO over WebSocket from the start, its rooms",
}

// titles are the columns, measure by measure.
var titles = map[string]string{
	"burst_cpu": "ten waiting: µs a delivery", "burst_rate": "ten waiting: deliveries/s",
	"single_cpu": "one at a time: µs a delivery", "single_p99": "one at a time: p99, ms",
	"echo_cpu": "request: µs", "echo_p99": "request: p99, ms",
	"connect_cpu": "connect and join: µs", "signed_cpu": "… with a verified RS256 token: µs",
	"memory": "idle member: bytes", "signed_memory": "… signed in with a token: bytes",
}

// target is one of the project's own.
type target struct {
	measure, server string  // without a server the target is for Lectern's own figure
	most            float64 // of Lectern's figure over the server's; for more-is-better the least
	say             string
}

var targets = []target{
	{"burst_cpu", "uws", 1.0, "CPU a delivery with ten waiting, at most uWebSockets'"},
	{"burst_rate", "uws", 1.1, "deliveries/s with ten waiting, at least 1.1 × uWebSockets'"},
	{"single_cpu", "uws", 0.6, "CPU a delivery one at a time, at most 0.6 × uWebSockets'"},
	{"single_p99", "uws", 1.0, "p99 one at a time, at most uWebSockets'"},
	{"echo_cpu", "uws", 1.5, "CPU a request (validated, through a gateway), at most 1.5 × uWebSockets' bare echo"},
	{"single_cpu", writesOver + "uws", 1.0, "the same without io_uring, at most uWebSockets'"},
	{"signed_cpu", "", 150, "handshake with a verified RS256 token and joining a room, at most 150 µs of CPU"},
	{"memory", "", 2048, "idle member (a guest), at most 2 KiB"},
	{"signed_memory", "", 2048, "idle member with a token, at most 2 KiB"},
	{"burst_cpu", "socketio", 1.0 / 12, "CPU a delivery with ten waiting, at most 1/12 of Socket.IO's"},
	{"single_cpu", "socketio", 1.0 / 4, "CPU a delivery one at a time, at most 1/4 of Socket.IO's"},
	{"memory", "socketio", 1.0 / 8, "memory of an idle member, at most 1/8 of Socket.IO's"},
}

func (c *comparison) writePage() error {
	if c.page == "" || len(c.lines) == 0 || c.sum == nil {
		return nil
	}
	var b strings.Builder
	s := c.sum
	first := &c.lines[0]
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# How Lectern compares\n")
	p("Made by `make bench-peers` from `bench/results/peers.ndjson`; don't edit. %d rounds, all servers in",
		s.Rounds)
	p("turns in one run; %d connections from one load generator on the same machine (%d CPUs,\nLinux %s, %s, %s).",
		first.Conns,
		first.Machine.CPUs, first.Machine.Kernel, first.Machine.Go, date(first.At))
	p("Figures are medians; what a server costs is its process's CPU time, user and system, per unit of work, which a")
	p("busy machine disturbs least. Latencies and rates depend on the generator's share of the machine too.\n")
	p("Messages are 128 bytes. Lectern runs as it would for a user: guests sign in, rooms with `seq` and resume, limits,")
	p("metrics, and the journal in SQLite on disk: every published message is recorded there, and nobody sees it before")
	p("it is durable. `lectern-memory` has the journal in memory, so the difference to it is what durability costs;")
	p("`lectern-writes` does without io_uring. None of the peers records, orders, or resumes anything by itself; they")
	p("are written as their documentation advises (`bench/peers`):\n")
	for _, name := range present(s) {
		p("- %s: %s", name, descriptions[name])
	}
	p("")
	p("Memory is what each member of the second half adds to the process that holds the first half.\n")
	if err := writePlot(c.page, s); err != nil {
		return err
	}
	p("![Every measure as bars, a bar a server; the numbers are in the table below](img/%s)\n", plotName)
	writeFigures(p, s)
	writeTargets(p, s)
	writeLosses(p, s)
	writeRatios(p, s)
	writeKernel(p, s)
	writeCapacity(p)
	p("## Repeat it\n")
	p("```\nmake bench-peers        # needs Go; with Node and npm also the servers on Node; about ten minutes\n```\n")
	p("`go run ./bench/peers/run -only lectern,uws -workloads single -rounds 5` looks closer at one thing.")
	return os.WriteFile(c.page, []byte(b.String()), 0o644) //nolint:gosec // a page for everybody
}

func date(at string) string {
	day, _, _ := strings.Cut(at, "T")
	return day
}

func present(s *summary) []string {
	var out []string
	for _, name := range order {
		if s.Kernel[name] != nil {
			out = append(out, name)
		}
	}
	return out
}

func writeFigures(p func(string, ...any), s *summary) {
	p("## Figures\n")
	head, rule := "| server |", "|---|"
	for _, m := range measures {
		head += " " + titles[m.name] + " |"
		rule += "---|"
	}
	p("%s\n%s", head, rule)
	for _, name := range present(s) {
		row := "| " + name + " |"
		for _, m := range measures {
			row += " " + number(s.Figures[m.name][name]) + " |"
		}
		p("%s", row)
	}
	p("")
}

// number shows a median; the ratios have the spread.
func number(v spread) string {
	switch {
	case v.N == 0:
		return "–"
	case v.Median >= 100_000:
		return fmt.Sprintf("%.0f K", v.Median/1000)
	case v.Median >= 100:
		return fmt.Sprintf("%.0f", v.Median)
	}
	return fmt.Sprintf("%.3g", v.Median)
}

func ratio(v spread) string {
	switch {
	case v.N == 0:
		return "–"
	case v.Median >= 10:
		return fmt.Sprintf("%.0f (%.0f–%.0f)", v.Median, v.Min, v.Max)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", v.Median, v.Min, v.Max)
}

func moreIsBetter(name string) bool {
	return slices.ContainsFunc(measures, func(m measure) bool { return m.name == name && m.more })
}

func writeTargets(p func(string, ...any), s *summary) {
	p("## Targets\n")
	p("| target | ratio or figure (lowest–highest round) | reached |\n|---|---|---|")
	for _, t := range targets {
		v := s.Ratios[t.measure][t.server]
		if t.server == "" {
			v = s.Figures[t.measure]["lectern"]
		}
		if v.N == 0 {
			continue
		}
		reached := "yes"
		if moreIsBetter(t.measure) != (v.Median >= t.most) && v.Median != t.most {
			reached = "**no**"
		}
		p("| %s | %s | %s |", t.say, ratio(v), reached)
	}
	p("")
}

// writeLosses says where another server is better than Lectern.
func writeLosses(p func(string, ...any), s *summary) {
	p("## Where Lectern loses\n")
	any := false
	for _, m := range measures {
		var better []string
		for _, name := range present(s) {
			v := s.Ratios[m.name][name]
			if v.N == 0 || strings.HasPrefix(name, "lectern") || m.more != (v.Median < 1) {
				continue
			}
			better = append(better, fmt.Sprintf("%s (Lectern's is %.2f × as much)", name, v.Median))
		}
		if len(better) > 0 {
			any = true
			p("- %s: %s", titles[m.name], strings.Join(better, ", "))
		}
	}
	if !any {
		p("In none of the figures of this run.")
	}
	p("")
}

func writeRatios(p func(string, ...any), s *summary) {
	p("## Lectern's figure over the other's, round by round\n")
	p("Median (lowest–highest of the rounds). Below 1 Lectern needs less; for deliveries/s above 1 it does more.\n")
	head, rule := "| over |", "|---|"
	for _, m := range measures {
		head += " " + titles[m.name] + " |"
		rule += "---|"
	}
	p("%s\n%s", head, rule)
	for _, name := range present(s)[1:] {
		row := "| " + name + " |"
		for _, m := range measures {
			row += " " + ratio(s.Ratios[m.name][name]) + " |"
		}
		p("%s", row)
	}
	p("")
}

func writeKernel(p func(string, ...any), s *summary) {
	p("## What the kernel lost meanwhile\n")
	p("Sums over all rounds: segments dropped on loopback because `net.core.netdev_max_backlog` was full, TCP's resends")
	p("200 ms later (they raise p99, and are not the server's doing), messages that never came, and runs in which the")
	p("load generator was busy for over 90 %% of the time: their rates and latencies are a lower bound for the server,")
	p("their CPU figures stand.\n")
	p("| server | workload | drops | resends | lost | generator busy | failed runs |\n|---|---|---|---|---|---|---|")
	for _, name := range present(s) {
		for _, w := range sortedNames(s.Kernel[name]) {
			k := s.Kernel[name][w]
			if k != (kernel{}) {
				p("| %s | %s | %d | %d | %d | %d | %d |", name, w, k.BacklogDrops, k.TCPResends, k.Lost, k.Bottleneck,
					k.Failed)
			}
		}
	}
	p("")
}
