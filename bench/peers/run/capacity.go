package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"
)

// capacityRun is a line that cmd/internal/capacity writes.
type capacityRun struct {
	Participants int `json:"participants"`
	Phases       []struct {
		Name   string        `json:"name"`
		Took   time.Duration `json:"took_ns"`
		Waited time.Duration `json:"waited_ns"`
		Each   time.Duration `json:"each_ns"`
	} `json:"phases"`
}

const capacityFile = "bench/results/capacity.ndjson"

// writeCapacity shows the last quiz of each size that make capacity has recorded; nothing without a record.
func writeCapacity(p func(string, ...any)) {
	text, err := os.ReadFile(capacityFile)
	if err != nil {
		return
	}
	last := map[int]capacityRun{}
	for row := range strings.Lines(string(text)) {
		var r capacityRun
		if json.Unmarshal([]byte(row), &r) == nil && r.Participants > 0 {
			last[r.Participants] = r
		}
	}
	p("## A quiz of up to 100,000 in one process\n")
	p("`make capacity` plays a quiz in one room: gateway, rooms and journal (SQLite on disk) as in the server, the")
	p("connections in memory instead of sockets, all but the journal's writer on one thread, the clients' work included.")
	p("Answers come over three virtual seconds. Everybody gets every question, a durable receipt and the right rank, each")
	p("exactly once, or the run fails. The cost of a participant should not grow with their number.\n")
	p("| participants | phase | took | of it waiting for the disk | the rest, per participant |\n|---|---|---|---|---|")
	for _, n := range sizes(last) {
		for _, phase := range last[n].Phases {
			p("| %d | %s | %v | %v | %.1f µs |", n, phase.Name, phase.Took.Round(time.Millisecond/10),
				phase.Waited.Round(time.Millisecond/10), float64(phase.Each.Nanoseconds())/1e3)
		}
	}
	p("")
}
