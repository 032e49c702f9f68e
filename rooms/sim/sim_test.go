package sim

import (
	"flag"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

var (
	seed  = flag.Uint64("sim.seed", 0, "run this seed alone and print its trace")
	seeds = flag.Int("sim.seeds", 200, "how many seeds to run (a tenth with -short)")
)

func TestSimulation(t *testing.T) {
	if *seed != 0 {
		r := Run(*seed, Config{Trace: 1000})
		t.Logf("%+v", counts(r))
		t.Log(strings.Join(r.Trace, "\n"))
		check(t, r)
		return
	}
	n := *seeds
	if testing.Short() {
		n /= 10
	}
	var total Report
	for s := range uint64(n) {
		r := Run(s+1, Config{})
		check(t, r)
		total.add(r)
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", counts(total))
	for name, n := range map[string]int{
		"restarts": total.Restarts, "drops": total.Drops, "resumes": total.Resumes, "answers": total.AckedAnswers,
		"messages": total.AckedChats, "events": total.AckedPubs, "repeats": total.Repeats, "kicks": total.Kicks,
		"refused appends": total.RefusedAppends, "failed commits": total.FailedCommits,
		"closed rooms": total.Closed, "refusals": total.Unavailable,
	} {
		if n == 0 {
			t.Errorf("no %s in all runs: the simulation tests less than it says", name)
		}
	}
}

func check(t *testing.T, r Report) {
	t.Helper()
	if len(r.Violations) > 0 {
		t.Errorf("seed %d (go test ./rooms/sim -sim.seed=%d):\n%s\nthe last things that happened:\n%s", r.Seed, r.Seed,
			strings.Join(r.Violations, "\n"), strings.Join(r.Trace[max(0, len(r.Trace)-40):], "\n"))
	}
}

func counts(r Report) Report {
	r.Trace, r.Violations = nil, nil
	return r
}

func (r *Report) add(o Report) {
	r.Steps += o.Steps
	r.Restarts += o.Restarts
	r.Drops += o.Drops
	r.Joins += o.Joins
	r.Resumes += o.Resumes
	r.Records += o.Records
	r.Commits += o.Commits
	r.FailedCommits += o.FailedCommits
	r.RefusedAppends += o.RefusedAppends
	r.Events += o.Events
	r.Deliveries += o.Deliveries
	r.AckedAnswers += o.AckedAnswers
	r.AckedChats += o.AckedChats
	r.AckedPubs += o.AckedPubs
	r.Repeats += o.Repeats
	r.Unavailable += o.Unavailable
	r.Kicks += o.Kicks
	r.Games += o.Games
	r.Closed += o.Closed
}

// The same seed must give the same run, or a failure could not be looked at.
func TestOneSeedIsOneRun(t *testing.T) {
	for s := uint64(1); s <= 3; s++ {
		a, b := Run(s, Config{Steps: 1500}), Run(s, Config{Steps: 1500})
		if !same(a, b) {
			t.Fatalf("seed %d: two runs differ:\n%+v\n%+v", s, counts(a), counts(b))
		}
	}
}

func TestCalmRunRefusesNothing(t *testing.T) {
	r := Run(7, Config{Calm: true})
	check(t, r)
	if r.FailedCommits+r.RefusedAppends+r.Restarts != 0 || r.AckedPubs == 0 {
		t.Fatalf("%+v", counts(r))
	}
}

// A connection asks twice and breaks when the first answer, a refusal, is there: the gateway has forgotten the room
// then, and the second join still comes. The room must not keep a member that is gone.
func TestJoinOfAConnectionThatIsGone(t *testing.T) {
	w := newWorld(1, Config{Clients: 1, Hosts: 1, Loops: 1, Shards: 1, Calm: true})
	c := newClient(w, "ada", false)
	k := w.connect(c)
	c.conn = k
	from := effect.Caller{Conn: k.id, User: "ada", Name: "Ada", Role: wire.RoleParticipant}
	for i, role := range []wire.Role{wire.RoleHost, wire.RoleNone} {
		from.Req = uint64(i + 1)
		k.requests[from.Req] = &request{op: wire.OpRoomJoin, view: &view{room: "r"}}
		k.wire = append(k.wire, rooms.Command{
			Room: "r", Op: wire.OpRoomJoin, Body: &wire.JoinData{Role: role}, From: from, MayCreate: true,
		})
	}
	p := w.process
	k.up(1)
	for range 3 { // load, step, deliver
		w.turn(0)
		for p.loader.Work() {
			continue
		}
		w.journal.answer(len(w.journal.queue))
	}
	k.up(1)
	w.turn(0)
	p.run(0)
	if len(k.joined) != 0 {
		t.Fatal("the refusal has not come")
	}
	k.drop()
	for w.pump() {
		continue
	}
	count := w.query("r", wire.OpRoomPresence, &wire.PresenceData{})
	if reply, ok := count.Data.(*wire.PresenceReply); !ok || reply.Count != 1 { // the one who asks
		t.Fatalf("the room counts %+v", count.Data)
	}
}
