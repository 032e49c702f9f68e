package scenario

import (
	"context"
	"fmt"
	"time"

	"lectern/bench/client"
)

// gatherEvery is how often the host asks how many have come.
const gatherEvery = time.Second

// gather waits until the members of all generators are in the room; the host, who is in it too, counts as one more.
func (s *quizScript) gather(ctx context.Context, r *run) error {
	r.sampler.phase("gather")
	if err := r.complete(); err != nil {
		return err
	}
	deadline := time.Now().Add(s.opt.ConnectTimeout)
	for {
		reply, err := s.host.call(ctx, "room:presence", s.room, "")
		if err != nil {
			return err
		}
		there := int64(client.UintMember(reply, "count")) - 1
		if there >= int64(s.opt.Quiz.Of) {
			s.everyone = there
			r.phaseDone("gather")
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("bench: of %d participants %d came within %s (--connect-timeout)", s.opt.Quiz.Of, there,
				s.opt.ConnectTimeout)
		}
		waitFor(ctx, time.Now().Add(gatherEvery), func() bool { return false })
	}
}

// complete fails when not all members of this generator are there: the others' would be waited for in vain.
func (r *run) complete() error {
	if ready := r.nReady.Load() - r.nGone.Load(); ready < int64(r.opt.Conns) {
		return fmt.Errorf("bench: %d of %d members are in the room: %s", max(ready, 0), r.opt.Conns, r.errorSummary())
	}
	return nil
}

// follow is the part of a generator that plays in another's quiz: its members join, answer what is asked, and leave
// when they have seen the podium.
func (s *quizScript) follow(ctx context.Context, r *run) error {
	s.room = s.opt.Quiz.Room
	r.rooms[0] = s.room
	if err := r.connectAll(ctx); err != nil {
		return err
	}
	if err := r.complete(); err != nil {
		return err
	}
	s.members, s.asked = r.nReady.Load(), s.opt.Quiz.Questions
	r.beginMeasure("quiz")
	perQuestion := s.opt.Quiz.TimeLimit + 4*s.opt.Patience
	patience := s.opt.ConnectTimeout + s.opt.Quiz.Hold + time.Duration(s.asked+1)*perQuestion
	everybodyLeft := func() bool { return r.nGone.Load() >= int64(s.opt.Conns) }
	began := waitFor(ctx, time.Now().Add(patience), func() bool { return s.ended.Load() > 0 || everybodyLeft() })
	if !began {
		r.note(fmt.Sprintf("the quiz had no end within %s", patience))
	}
	want := duePerQuestion * s.members * int64(s.asked)
	r.drain(ctx, func() bool {
		return s.due.Load() >= want && s.ended.Load() >= s.members || everybodyLeft()
	})
	r.endMeasure("quiz")
	return nil
}
