package rooms

import "time"

// ShardStats are one shard's counters since the start, and a few levels of now.
type ShardStats struct {
	Rooms, Members        int64         // in memory; members as of the last sweep
	Commands              int64         // carried out
	InboxDepth, InboxPeak int           // commands waiting now, and the most that ever did
	Busy                  time.Duration // at work, by the wall clock
}

// ShardStats reads the counters of each shard, by index: where the sum in Stats hides that one of them is at its
// limit. Any goroutine.
func (r *Router) ShardStats() []ShardStats {
	all := make([]ShardStats, len(r.shards))
	for i, s := range r.shards {
		depth, peak := s.inbox.depth()
		all[i] = ShardStats{
			Rooms: s.stats.rooms.Load(), Members: s.stats.members.Load(), Commands: s.stats.commands.Load(),
			InboxDepth: depth, InboxPeak: peak, Busy: time.Duration(s.stats.busyMs.Load()) * time.Millisecond,
		}
	}
	return all
}
