package scenario

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"
)

// What those that stop reading are sent first: enough to fill what the kernel keeps for each of them, so that from the
// start of the measured phase everything for them waits with the server. It is more than the server's default keeps for
// one connection: unless that is raised, they are closed instead.
const (
	floodTexts     = 100
	floodTextBytes = 60_000
	floodWaitMs    = 5000
	stallSettle    = 3 * time.Second
)

// stall makes n members stop reading, the last of each room; publishers are the first. Where the adaptor can, they are
// flooded in a room of their own (lectern).
func (r *run) stall(ctx context.Context, n int) {
	if n == 0 {
		return
	}
	flood, floods := r.prefix+"flood", r.opt.Adaptor == "lectern"
	r.each(func(w *worker) {
		for _, id := range w.ids {
			m := &w.f.members[id]
			if m.state != memberReady || !r.stalls(id, int(m.room), n) {
				continue
			}
			m.state = memberStalled
			m.conn.Stall()
			if floods {
				m.conn.SendWaiting(r.ad.appendJoin(nil, flood), floodWaitMs)
			}
		}
	})
	if !floods {
		return
	}
	waitFor(ctx, time.Now().Add(stallSettle/3), func() bool { return false }) // for all of them to have joined
	text := bytes.Repeat([]byte("f"), floodTextBytes)
	var begun atomic.Bool // one member floods all
	r.each(func(w *worker) {
		for _, id := range w.ids {
			m := &w.f.members[id]
			if m.state != memberStalled || begun.Swap(true) {
				continue
			}
			for i := range r.opt.floodTexts {
				if !m.conn.SendWaiting(r.ad.appendPublish(nil, flood, uint64(2+i), text), floodWaitMs) {
					break
				}
			}
		}
	})
	waitFor(ctx, time.Now().Add(stallSettle), func() bool { return false })
}

// stalls says whether a member is one of the n that stop reading, which are spread over the rooms.
func (r *run) stalls(id, room, n int) bool {
	share := n / r.opt.Rooms
	if room < n%r.opt.Rooms {
		share++
	}
	return id >= r.first(room+1)-share
}
