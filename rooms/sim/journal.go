package sim

import (
	"errors"

	"lectern/rooms"
)

// journal is a rooms.Journal whose answers come when the run says so, and which fails. A room that lost records takes
// none before it goes on from where its durable ones end, as persist.Journal has it.
type journal struct {
	w       *world
	durable map[string][]rooms.Record
	order   []string // rooms by first record
	queue   []pending
	failed  map[string]uint64 // room → the index it must go on from
	said    map[recordID]bool // what was said to be durable
}

type recordID struct {
	room  string
	index uint64
}

type pending struct {
	recs []rooms.Record
	done func(error)
}

var (
	errFull   = errors.New("sim: the journal is full")
	errFailed = errors.New("sim: the store failed")
)

func newJournal(w *world) *journal {
	return &journal{
		w: w, durable: make(map[string][]rooms.Record), failed: make(map[string]uint64), said: make(map[recordID]bool),
	}
}

// Append implements rooms.Journal.
func (j *journal) Append(recs []rooms.Record, done func(error)) error {
	if !j.w.calm && j.w.chance(15) {
		j.w.report.RefusedAppends++
		j.w.trace("append of %d refused, first %s/%d", len(recs), recs[0].Room, recs[0].Index)
		return errFull
	}
	j.queue = append(j.queue, pending{recs, done})
	return nil
}

// Load implements rooms.Journal.
func (j *journal) Load(room string, visit func(rooms.Record) error) error {
	if !j.w.calm && j.w.chance(20) {
		j.w.trace("load of %s failed", room)
		return errFailed
	}
	for _, r := range j.durable[room] {
		if err := visit(r); err != nil {
			j.w.violate("room %s can't be replayed: %v", room, err)
			return err
		}
	}
	if _, ok := j.failed[room]; ok {
		j.failed[room] = uint64(len(j.durable[room])) + 1
	}
	return nil
}

// LiveRooms implements rooms.Journal.
func (j *journal) LiveRooms() ([]string, error) {
	var live []string
	for _, room := range j.order {
		recs := j.durable[room]
		if recs[len(recs)-1].Kind != rooms.KindRoomClosed {
			live = append(live, room)
		}
	}
	return live, nil
}

// answer decides on the oldest n appends.
func (j *journal) answer(n int) {
	for ; n > 0 && len(j.queue) > 0; n-- {
		p := j.queue[0]
		j.queue = j.queue[1:]
		err := j.admit(p.recs)
		switch {
		case err != nil:
		case !j.w.calm && j.w.chance(20):
			err = errFailed
			j.markFailed(p.recs)
			if j.w.chance(300) {
				j.w.trace("stored, but the answer is lost:")
				j.store(p.recs)
			}
		default:
			j.store(p.recs)
		}
		if err != nil {
			j.w.report.FailedCommits++
			j.w.trace("commit of %s/%d… failed", p.recs[0].Room, p.recs[0].Index)
		} else {
			for _, r := range p.recs {
				j.said[recordID{r.Room, r.Index}] = true
			}
		}
		p.done(err)
	}
}

// admit is persist.Journal.admit.
func (j *journal) admit(recs []rooms.Record) error {
	first := make(map[string]bool)
	for i := range recs {
		room := recs[i].Room
		if want, ok := j.failed[room]; ok && !first[room] && recs[i].Index != want {
			j.w.trace("record %s/%d comes, the room must go on from %d", room, recs[i].Index, want)
			j.markFailed(recs)
			return errFailed
		}
		first[room] = true
	}
	for i := range recs {
		delete(j.failed, recs[i].Room)
	}
	return nil
}

func (j *journal) markFailed(recs []rooms.Record) {
	for i := range recs {
		r := &recs[i]
		if at, ok := j.failed[r.Room]; !ok || r.Index < at {
			j.failed[r.Room] = r.Index
		}
	}
}

func (j *journal) store(recs []rooms.Record) {
	j.w.report.Commits++
	for _, r := range recs {
		have := j.durable[r.Room]
		if r.Index != uint64(len(have))+1 {
			j.w.violate("record %s/%d follows record %d", r.Room, r.Index, len(have))
			return
		}
		if len(have) == 0 {
			j.order = append(j.order, r.Room)
		}
		j.durable[r.Room] = append(have, r)
		j.w.report.Records++
		j.w.follow(r)
	}
}

// crash makes some of what waits durable and forgets the rest.
func (j *journal) crash() {
	for n := j.w.rng.IntN(len(j.queue) + 1); n > 0; n-- {
		if j.admit(j.queue[0].recs) == nil {
			j.store(j.queue[0].recs)
		}
		j.queue = j.queue[1:]
	}
	j.queue = nil
	clear(j.failed)
}
