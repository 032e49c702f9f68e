package rooms

import (
	"encoding/json"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Limits of the ring of recent events, per room. With its ring full a room holds at most ringBytesMax of published
// payloads plus ringEventsMax events of the domains' own, which are small.
const (
	ringEventsMax = 512
	ringBytesMax  = 512 << 10 // a resume must fit into one outbox (1 MiB), or the member would be closed as slow again
)

// ring keeps the most recent resumable events of a room, gapless by seq. Owned by the shard.
type ring struct {
	events []effect.Output // a circle once it is full
	first  int             // index of the oldest
	count  int
	bytes  int
}

// add appends the event with the next seq and forgets the oldest beyond the limits.
func (r *ring) add(o effect.Output) {
	if r.count == len(r.events) && len(r.events) < ringEventsMax {
		r.grow()
	}
	if r.count == len(r.events) {
		r.drop()
	}
	r.events[(r.first+r.count)%len(r.events)] = o
	r.count++
	r.bytes += payloadBytes(o)
	for r.bytes > ringBytesMax && r.count > 1 {
		r.drop()
	}
}

func (r *ring) grow() {
	size := max(8, 2*len(r.events))
	events := make([]effect.Output, min(size, ringEventsMax))
	for i := range r.count {
		events[i] = r.events[(r.first+i)%len(r.events)]
	}
	r.events, r.first = events, 0
}

func (r *ring) drop() {
	o := &r.events[r.first]
	r.bytes -= payloadBytes(*o)
	*o = effect.Output{}
	r.first = (r.first + 1) % len(r.events)
	r.count--
}

// since calls visit for every event after seq, oldest first, and says whether the ring reaches back that far. last is
// the room's newest seq.
func (r *ring) since(seq, last uint64, visit func(effect.Output)) bool {
	if seq > last || last-seq > uint64(r.count) {
		return false
	}
	for i := r.count - int(last-seq); i < r.count; i++ {
		visit(r.events[(r.first+i)%len(r.events)])
	}
	return true
}

// redact replaces the text of a chat message in the events that are kept: by that of its newer version, or by nothing
// when it is nil. The events' data is shared with deliveries under way, so it is replaced and not written to.
func (r *ring) redact(id string, newer *wire.ChatMessage) {
	for i := range r.count {
		o := &r.events[(r.first+i)%len(r.events)]
		old, ok := o.Data.(*wire.ChatMessage)
		if !ok || old.ID != id {
			continue
		}
		m := *old
		if newer != nil {
			m.Text, m.Mentions, m.Links, m.EditedAt = newer.Text, newer.Mentions, newer.Links, newer.EditedAt
		} else {
			m.Text, m.Mentions, m.Links, m.Reactions, m.Deleted = "", nil, nil, nil, true
		}
		r.bytes += len(m.Text) - len(old.Text)
		o.Data = &m
	}
}

// payloadBytes is the size of what members wrote; the domains' other events are small and bounded by their number
// alone.
func payloadBytes(o effect.Output) int {
	switch data := o.Data.(type) {
	case json.RawMessage:
		return len(data)
	case *wire.ChatMessage:
		return len(data.Text)
	}
	return 0
}
