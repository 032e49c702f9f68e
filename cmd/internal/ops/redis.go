package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"lectern/persist"
)

// Redis is what the port shows of Redis. Both functions must be safe for any goroutine.
type Redis struct {
	Stats func() persist.SharedStats
	Nodes func(context.Context) ([]persist.Node, error)
}

func (r *Redis) collect(out chan<- prometheus.Metric) {
	s := r.Stats()
	gauge(out, redisUp, oneIf(s.Up))
	count(out, redisCommands, float64(s.Commands))
	count(out, redisFailures, float64(s.Failures))
}

// whereElse names another server that has members in a room; empty where there is none that is known. r may be nil.
func (r *Redis) whereElse(ctx context.Context, room string) string {
	if r == nil {
		return ""
	}
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return "Redis can't be asked which server has it; "
	}
	for i := range nodes {
		if n := nodes[i].Members[room]; n > 0 {
			return fmt.Sprintf("the server at %s has %d connections in it; ", nodes[i].Address, n)
		}
	}
	return ""
}

// serveNodes lists the servers that report to the same Redis.
func (r *Redis) serveNodes(w http.ResponseWriter, req *http.Request) {
	nodes, err := r.Nodes(req.Context())
	if err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if nodes == nil {
		nodes = []persist.Node{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(nodes)
}
