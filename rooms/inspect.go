package rooms

import (
	"context"

	"lectern/protocol/wire"
)

// View is what an operator sees of a room in memory: no names, no texts.
type View struct {
	Room        string         `json:"room"`
	Shard       int            `json:"shard"`
	Connections int            `json:"connections"`
	Users       int            `json:"users"`
	Seq         uint64         `json:"seq"`     // of the last resumable event
	Records     uint64         `json:"records"` // facts so far
	Epoch       string         `json:"epoch,omitempty"`
	Phase       wire.QuizPhase `json:"phase,omitempty"`
	PIN         string         `json:"pin,omitempty"`
	Loading     bool           `json:"loading,omitempty"` // from its records
	Waiting     int            `json:"waiting"`           // commands, while it is loaded
	Committing  int            `json:"committing"`        // transactions on their way that hold records of it
	DueAt       int64          `json:"dueAt,omitempty"`   // when its clock next makes something happen, Unix milliseconds
}

// look is the signal of somebody who wants to see a shard's rooms.
type look struct {
	room  string // empty: all
	limit int
	out   chan<- []View
}

func (s *Shard) onLook(l look) {
	views := []View{}
	if l.room != "" {
		if sl := s.slots[l.room]; sl != nil {
			views = append(views, s.view(sl))
		}
	} else {
		for _, sl := range s.slots {
			if len(views) == l.limit {
				break
			}
			views = append(views, s.view(sl))
		}
	}
	l.out <- views // it has room for the answer of each shard
}

func (s *Shard) view(sl *slot) View {
	v := View{
		Room: sl.id, Shard: s.index, PIN: sl.pin, Loading: sl.loading || sl.mustReload, Waiting: len(sl.waiting),
		Committing: sl.appends, DueAt: sl.deadline,
	}
	if r := sl.room; r != nil {
		v.Connections, v.Users, v.Seq, v.Records = r.members.Conns(), r.members.Users(), r.seq, r.index
		v.Epoch, v.Phase = r.epoch, r.quiz.Phase()
	}
	return v
}

// Look lists rooms in memory, at most limit in no order, or the one that is named; more says that there may be others.
// Any goroutine but a shard's.
func (r *Router) Look(ctx context.Context, room string, limit int) (list []View, more bool) {
	shards := r.shards
	if room != "" {
		shards = shards[r.ShardOf(room):][:1]
	}
	out := make(chan []View, len(shards))
	for _, s := range shards {
		s.inbox.signalWith(look{room, limit, out})
	}
	for range shards {
		select {
		case found := <-out:
			list = append(list, found...)
		case <-ctx.Done():
			return list, true
		}
	}
	if len(list) >= limit {
		return list[:limit], true
	}
	return list, false
}
