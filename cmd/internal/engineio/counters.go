package engineio

import (
	"sync/atomic"

	"lectern/protocol/eio"
)

// medium is a transport as an index.
type medium uint8

const (
	overPolling medium = iota
	overWebSocket
	media
)

var mediumNames = [media]string{eio.Polling, eio.WebSocket}

var reasons = []eio.Reason{eio.TransportClose, eio.TransportError, eio.PingTimeout, eio.ParseError, eio.ForcedClose}

// counters are read by the admin port. All of it is atomic.
type counters struct {
	sessions, opened         [media]atomic.Int64
	upgrades, upgradesFailed atomic.Int64
	polls, posts, overlaps   atomic.Int64
	unavailable              atomic.Int64
	refused                  [eio.UnsupportedRevision + 1]atomic.Int64
	endings                  [8]atomic.Int64 // by index in reasons
}

func (c *counters) ended(why eio.Reason) {
	for i, r := range reasons {
		if r == why {
			c.endings[i].Add(1)
		}
	}
}

// Stats are a Server's counters since the start, and the sessions of now.
type Stats struct {
	Sessions, Opened         map[string]int64 // by transport; now, and when they were opened
	Upgrades, UpgradesFailed int64
	Polls, Posts             int64            // GETs and POSTs of sessions
	Overlaps                 int64            // second GETs or POSTs at the same time: the session ended
	Unavailable              int64            // handshakes that were answered 503
	Refused                  map[string]int64 // by refusal
	Ended                    map[string]int64 // by reason
}

// Stats reads the counters. Any goroutine.
func (v *Server) Stats() Stats {
	c := &v.counters
	s := Stats{
		Sessions: make(map[string]int64), Opened: make(map[string]int64), Refused: make(map[string]int64),
		Ended: make(map[string]int64), Upgrades: c.upgrades.Load(), UpgradesFailed: c.upgradesFailed.Load(),
		Polls: c.polls.Load(), Posts: c.posts.Load(), Overlaps: c.overlaps.Load(), Unavailable: c.unavailable.Load(),
	}
	for m, name := range mediumNames {
		s.Sessions[name], s.Opened[name] = c.sessions[m].Load(), c.opened[m].Load()
	}
	for _, r := range eio.Refusals() {
		s.Refused[r.String()] = c.refused[r].Load()
	}
	for i, r := range reasons {
		s.Ended[string(r)] = c.endings[i].Load()
	}
	return s
}
