package ops

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lectern/cmd/internal/gateway"
)

// work shows how long things take and how they are spread over loops and shards: where a symptom becomes a cause.
type work struct{ o Options }

var (
	loopConns = desc("loop_connections_open", "Connections open now, by loop.", "loop")

	shardWaiting = desc("shard_commands_waiting", "Commands waiting, by shard.", "shard")
	shardDone    = desc("shard_commands_total", "Commands carried out, by shard.", "shard")
	shardBusy    = desc("shard_busy_seconds_total", "Time that a shard was at work; a second per second is its limit.",
		"shard")
	shardRooms = desc("shard_rooms", "Rooms in memory, by shard.", "shard")

	commandTime = desc("command_duration_seconds", "From a command's arrival to its reply, durable where it must be; "+
		"one in eight is measured.")
	fanoutTime = desc("fanout_duration_seconds", "From a shard's outputs to a loop having written them; all large ones "+
		"and some small ones.")
	profileRate = desc("profiling_enabled", "1 while block or mutex profiling is on.", "profile")
)

// Describe is the unchecked kind, as collector's.
func (w work) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (w work) Collect(out chan<- prometheus.Metric) {
	for _, l := range w.o.Loops() {
		gauge(out, loopConns, float64(l.Conns()), strconv.Itoa(l.Index()))
	}
	for i, s := range w.o.Shards() {
		shard := strconv.Itoa(i)
		gauge(out, shardWaiting, float64(s.InboxDepth), shard)
		gauge(out, shardRooms, float64(s.Rooms), shard)
		count(out, shardDone, float64(s.Commands), shard)
		count(out, shardBusy, s.Busy.Seconds(), shard)
	}
	latency := w.o.Latency()
	timing(out, commandTime, &latency.Commands)
	timing(out, fanoutTime, &latency.Fanout)
}

func timing(out chan<- prometheus.Metric, d *prometheus.Desc, h *gateway.Histogram) {
	buckets := make(map[float64]uint64, len(gateway.LatencyBuckets))
	var below uint64
	for i, bound := range gateway.LatencyBuckets {
		below += h.Counts[i]
		buckets[bound.Seconds()] = below
	}
	below += h.Counts[len(gateway.LatencyBuckets)]
	out <- prometheus.MustNewConstHistogram(d, below, h.Sum.Seconds(), buckets)
}

// quantile estimates the q-quantile in milliseconds: the upper bound of its bucket, -1 beyond the last, 0 of nothing.
func quantile(h *gateway.Histogram, q float64) float64 {
	var all uint64
	for _, n := range h.Counts {
		all += n
	}
	if all == 0 {
		return 0
	}
	rank := uint64(q * float64(all))
	var below uint64
	for i, bound := range gateway.LatencyBuckets {
		if below += h.Counts[i]; below > rank {
			return float64(bound) / float64(time.Millisecond)
		}
	}
	return -1
}
