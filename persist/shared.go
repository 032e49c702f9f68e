package persist

import "time"

// SharedStats is what a store that several servers share says of itself (persist/redis).
type SharedStats struct {
	Up                 bool
	AwayFor            time.Duration // zero while it is up
	Why                error         // nil while it is up
	Commands, Failures int64         // since the start; a transaction or script counts as one
}

// Node is a server's report of itself: who is there, as far as others may know.
type Node struct {
	ID        string         `json:"id"` // new with each start
	Address   string         `json:"address"`
	StartedAt int64          `json:"startedAt"` // Unix milliseconds
	SeenAt    int64          `json:"seenAt"`    // Unix milliseconds, of the last report
	Conns     int            `json:"conns"`
	Rooms     int            `json:"rooms"`
	Members   map[string]int `json:"members,omitempty"` // connections by room; a report has at most 1,000 rooms
}
