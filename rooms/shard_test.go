package rooms

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

func TestOutputsWaitForTheirRecords(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	a, b := joinCmd("r", 1), publishCmd("r", 1, `1`, "k")
	w.post(a, b)
	w.settle()
	if got := w.took(); len(got) != 0 {
		t.Fatalf("left before the records were durable: %s", kinds(got))
	}
	again := publishCmd("r", 1, `1`, "k") // makes no fact of its own and must wait all the same
	w.post(again)
	w.settle()
	if got := w.took(); len(got) != 0 {
		t.Fatalf("the retry's reply overtook the fact that it speaks of: %s", kinds(got))
	}
	w.journal.commit()
	w.settle()
	got := w.took()
	wantSeqs(t, got, 1)
	for _, c := range []Command{b, again} {
		if r := okReply(t, got, c).(*wire.PublishReply); r.Seq != 1 {
			t.Fatalf("seq %d", r.Seq)
		}
	}
	if n := len(w.journal.durable["r"]); n != 2 {
		t.Fatalf("%d records", n)
	}
}

func TestOrderAcrossBatches(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), joinCmd("other", 2))
	w.post(publishCmd("r", 1, `1`, ""))
	w.settle()
	w.post(cmd("other", wire.OpRoomPresence, 2, &wire.PresenceData{}))
	w.settle()
	w.post(publishCmd("r", 1, `2`, ""))
	w.settle()
	if got := w.took(); len(events(got, "x:y")) != 0 {
		t.Fatalf("events left early: %s", kinds(got))
	}
	w.journal.commitOne(nil)
	w.settle()
	first := w.took()
	w.journal.commitOne(nil)
	w.settle()
	second := w.took()
	wantSeqs(t, first, 1)
	wantSeqs(t, second, 2)
	if got := strings.TrimSpace(kinds(first)); got != "x:y reply reply" {
		t.Fatalf("order: %s", got)
	}
}

func TestOneDeliveryAtATime(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	w.outlet.hold = true
	w.journal.auto = true
	for i := range 5 {
		w.post(publishCmd("r", 1, fmt.Sprint(i), ""))
		w.settle()
	}
	wantSeqs(t, w.took(), 1)
	w.outlet.finish()
	w.settle()
	wantSeqs(t, w.took(), 2, 3, 4, 5)
}

func TestHeldLimit(t *testing.T) {
	w := newWorld(t, ShardConfig{HeldOutputsMax: 10}, nil)
	w.do(joinCmd("r", 1))
	var cmds []Command
	for i := range 20 {
		cmds = append(cmds, publishCmd("r", 1, `0`, fmt.Sprint(i)))
	}
	w.post(cmds...)
	w.settle()
	refused := w.took()
	if len(refused) == 0 {
		t.Fatal("the refusals waited behind what they are about")
	}
	for _, it := range refused {
		if it.Kind != effect.Reply || it.Err == nil || it.Err.Code != wire.CodeUnavailable {
			t.Fatalf("left early: %s", kinds(refused))
		}
	}
	if w.shard.heldCount > 12 {
		t.Fatalf("%d outputs held", w.shard.heldCount)
	}
	w.post(Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	w.commit()
	if n := w.shard.slots["r"].room.Connections(); n != 0 {
		t.Fatal("a disconnect was refused")
	}
	if w.shard.heldCount != 0 || len(w.shard.held) != 0 {
		t.Fatalf("%d outputs held after the commit", w.shard.heldCount)
	}
	w.took()
	j := joinCmd("r", 2)
	okReply(t, w.do(j), j)
}

func TestBusyLoopsCountAsHeld(t *testing.T) {
	w := newWorld(t, ShardConfig{HeldOutputsMax: 10}, nil)
	w.do(joinCmd("r", 1))
	w.outlet.hold = true
	w.journal.auto = true
	last := publishCmd("r", 1, `0`, "")
	for range 30 {
		last = publishCmd("r", 1, `0`, "")
		w.post(last)
		w.settle()
	}
	if n := len(events(w.took(), "x:y")); n > 10 {
		t.Fatalf("%d events", n)
	}
	w.outlet.hold = false
	w.outlet.finish()
	w.settle()
	wantErr(t, w.took(), last, wire.CodeUnavailable)
}

func TestAppendRefused(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), publishCmd("r", 1, `1`, "one"))
	w.journal.refuse = errTest
	lost := publishCmd("r", 1, `2`, "two")
	got := w.do(lost)
	wantErr(t, got, lost, wire.CodeUnavailable)
	wantSeqs(t, got)
	w.journal.refuse = nil
	again, known := publishCmd("r", 1, `2`, "two"), publishCmd("r", 1, `1`, "one")
	got = w.do(again, known)
	wantSeqs(t, got, 2)
	if okReply(t, got, again).(*wire.PublishReply).Seq != 2 || okReply(t, got, known).(*wire.PublishReply).Seq != 1 {
		t.Fatal("the state was not rebuilt from the journal")
	}
	if w.shard.slots["r"].room.Connections() != 1 {
		t.Fatal("the members are gone")
	}
}

// A failure must not touch what was said before: those records are on their way and will be durable.
func TestRefusalSparesEarlierBatches(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	first := publishCmd("r", 1, `1`, "one")
	w.post(first)
	w.settle()
	w.journal.refuse = errTest
	second := publishCmd("r", 1, `2`, "two")
	w.post(second)
	w.settle()
	w.journal.refuse = nil
	third := publishCmd("r", 1, `3`, "three")
	w.post(third)
	w.commit()
	got := w.took()
	wantSeqs(t, got, 1, 2)
	if okReply(t, got, first).(*wire.PublishReply).Seq != 1 || okReply(t, got, third).(*wire.PublishReply).Seq != 2 {
		t.Fatal("wrong seq")
	}
	wantErr(t, got, second, wire.CodeUnavailable)
}

func TestCommitFailed(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), joinCmd("calm", 2))
	a, b := publishCmd("r", 1, `1`, "a"), publishCmd("r", 1, `2`, "b")
	calm := publishCmd("calm", 2, `1`, "c")
	w.post(a)
	w.settle()
	w.post(b)
	w.settle()
	w.post(calm)
	w.settle()
	joined := joinCmd("r", 3) // no fact, but what it sees is lost
	w.post(joined)
	w.settle()
	w.journal.commitOne(errTest)
	w.journal.commitOne(errTest)
	w.commit()
	got := w.took()
	wantErr(t, got, a, wire.CodeUnavailable)
	wantErr(t, got, b, wire.CodeUnavailable)
	wantErr(t, got, joined, wire.CodeUnavailable)
	okReply(t, got, calm)
	wantSeqs(t, got, 1) // calm's
	if strings.Contains(kinds(got), "join") || !strings.Contains(kinds(got), "leave") {
		t.Fatalf("a lost join must not make a member: %s", kinds(got))
	}
	joined = joinCmd("r", 3)
	got = w.do(joined, publishCmd("r", 1, `2`, "b"))
	if r := okReply(t, got, joined).(*wire.JoinReply); r.Seq != 0 {
		t.Fatalf("seq %d", r.Seq)
	}
	wantSeqs(t, got, 1)
}

// The store may fail to answer and yet have stored: the members must not see a gap then.
func TestCommitFailedButStored(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	a := publishCmd("r", 1, `1`, "a")
	w.post(a)
	w.settle()
	w.journal.store(w.journal.waiting[0].recs)
	w.journal.commitOne(errTest)
	w.commit()
	got := w.took()
	wantErr(t, got, a, wire.CodeUnavailable)
	wantSeqs(t, got, 1)
	again := publishCmd("r", 1, `1`, "a")
	got = w.do(again, publishCmd("r", 1, `2`, "b"))
	wantSeqs(t, got, 2)
	if okReply(t, got, again).(*wire.PublishReply).Seq != 1 {
		t.Fatal("the retry was counted again")
	}
}

// A member who is away longer than the ring reaches back is sent away rather than left with a gap.
func TestCommitFailedButStoredBeyondTheRing(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	for range ringEventsMax + 1 {
		w.post(publishCmd("r", 1, `1`, ""))
	}
	w.settle()
	w.journal.store(w.journal.waiting[0].recs)
	w.journal.commitOne(errTest)
	w.commit()
	got := w.took()
	wantSeqs(t, got)
	if !strings.HasSuffix(kinds(got), "leave close ") {
		t.Fatalf("got %s", kinds(got)[max(0, len(kinds(got))-80):])
	}
}

type panicking struct{}

func TestPanicCostsOneRoom(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), joinCmd("calm", 2))
	before := publishCmd("r", 1, `1`, "")
	bad := cmd("r", wire.OpRoomPublish, 1, &panicking{}) // not the payload of its op
	after := publishCmd("r", 1, `2`, "")
	calm := publishCmd("calm", 2, `1`, "")
	w.post(before, bad, after, calm)
	w.commit()
	got := w.took()
	okReply(t, got, before)
	wantErr(t, got, bad, wire.CodeInternal)
	okReply(t, got, after)
	okReply(t, got, calm)
	wantSeqs(t, got, 1, 1, 2)
	if w.shard.stats.panics.Load() != 1 {
		t.Fatal("not counted")
	}
	if w.shard.slots["r"].room.Connections() != 1 {
		t.Fatal("the members are gone")
	}
}

func TestUnencodableFactDidNotHappen(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	bad := publishCmd("r", 1, `{not json`, "")
	got := w.do(bad)
	wantErr(t, got, bad, wire.CodeInternal)
	good := publishCmd("r", 1, `{}`, "")
	got = w.do(good)
	wantSeqs(t, got, 1)
	okReply(t, got, good)
}

func TestLoadingWaits(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), publishCmd("r", 1, `1`, ""))
	epoch := w.shard.slots["r"].room.Epoch()
	w.start(ShardConfig{})
	j := since("r", 1, 0, epoch)
	w.post(j)
	w.drain()
	w.drain()
	if len(w.took()) != 0 || !w.shard.slots["r"].loading {
		t.Fatal("the command did not wait for the room")
	}
	w.post(publishCmd("r", 1, `2`, ""))
	w.commit()
	got := w.took()
	if r := okReply(t, got, j).(*wire.JoinReply); !r.Recovered || r.Seq != 1 || r.Epoch != epoch {
		t.Fatalf("%+v", r)
	}
	wantSeqs(t, got, 1, 2)
}

func TestLoadWaitLimit(t *testing.T) {
	w := newWorld(t, ShardConfig{InboxCommandsMax: 2 * loadWaitMax}, nil)
	cmds := make([]Command, 0, loadWaitMax+1)
	for range loadWaitMax + 1 {
		cmds = append(cmds, cmd("r", wire.OpRoomPresence, 1, &wire.PresenceData{}))
	}
	w.post(cmds...)
	w.drain()
	w.drain()
	got := w.took()
	if len(got) != 1 {
		t.Fatalf("%d refusals, want 1", len(got))
	}
	wantErr(t, got, cmds[loadWaitMax], wire.CodeUnavailable)
	w.shard.PostAlways([]Command{{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}}})
	w.drain()
	if n := len(w.shard.slots["r"].waiting); n != loadWaitMax+1 {
		t.Fatalf("%d wait: a disconnect is never refused", n)
	}
	w.settle()
	if n := len(w.took()); n != loadWaitMax {
		t.Fatalf("%d replies", n)
	}
}

func TestRoomThatCannotBeRead(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	w.journal.refuse, w.journal.broken = errTest, errTest
	lost := publishCmd("r", 1, `1`, "")
	w.post(lost)
	w.drain()
	waits := publishCmd("r", 1, `2`, "")
	w.post(waits)
	w.commit()
	got := w.took()
	wantErr(t, got, lost, wire.CodeUnavailable)
	wantErr(t, got, waits, wire.CodeUnavailable)
	if !strings.Contains(kinds(got), "leave close") {
		t.Fatalf("members of a room that is gone must be sent away: %s", kinds(got))
	}
	if len(w.shard.slots) != 0 || len(w.shard.deadlines) != 0 {
		t.Fatal("the room is still there")
	}
	w.journal.refuse, w.journal.broken = nil, nil
	j := joinCmd("r", 1)
	okReply(t, w.do(j), j)
}

func TestPanicInReplayIsAnError(t *testing.T) {
	j := newFakeJournal()
	j.durable["r"] = []Record{{Room: "r", Index: 1, Kind: KindRoomCreated, At: 1, Data: json.RawMessage(`{"epoch":"e"}`)}}
	if _, err := Rebuild(panicJournal{j}, "r", &Config{}); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Fatalf("got %v", err)
	}
}

type panicJournal struct{ *fakeJournal }

func (panicJournal) Load(string, func(Record) error) error { panic("damaged") }

func TestIdleUnloadAndReload(t *testing.T) {
	w := newWorld(t, ShardConfig{IdleUnloadMs: 60_000}, nil)
	w.do(joinCmd("r", 1), publishCmd("r", 1, `1`, ""))
	epoch := w.shard.slots["r"].room.Epoch()
	w.now += 300_000
	w.commit()
	if w.shard.slots["r"] == nil {
		t.Fatal("a room with a member was unloaded")
	}
	w.do(Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	w.now += 59_000
	w.commit()
	if w.shard.slots["r"] == nil {
		t.Fatal("unloaded too early")
	}
	w.now += 6_000
	w.commit()
	if len(w.shard.slots) != 0 || w.shard.stats.rooms.Load() != 0 {
		t.Fatal("an idle room stays in memory")
	}
	w.do(Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	if len(w.shard.slots) != 0 {
		t.Fatal("a disconnect brought a room back")
	}
	j := since("r", 1, 0, epoch)
	got := w.do(j)
	if r := okReply(t, got, j).(*wire.JoinReply); !r.Recovered || r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestRoomWithRecordsOnTheirWayStays(t *testing.T) {
	w := newWorld(t, ShardConfig{IdleUnloadMs: 1}, nil)
	w.do(joinCmd("r", 1))
	w.post(publishCmd("r", 1, `1`, "k"), Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	w.settle()
	w.now += 10 * sweepEveryMs
	w.settle()
	if w.shard.slots["r"] == nil {
		t.Fatal("a reload now would not see the record that is being written")
	}
	w.commit()
	w.now += 10 * sweepEveryMs
	w.commit()
	if w.shard.slots["r"] != nil {
		t.Fatal("the room stays in memory")
	}
}

func TestRoomThatNeverWasLeavesSoon(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	c := cmd("nobody", wire.OpQuizState, 1, nil)
	wantErr(t, w.do(c), c, wire.CodeUnknownRoom)
	w.now += 2 * sweepEveryMs
	w.commit()
	if len(w.shard.slots) != 0 {
		t.Fatal("guessed room ids fill the memory")
	}
}

func TestGameOverClosesTheRoom(t *testing.T) {
	w := newWorld(t, ShardConfig{IdleUnloadMs: 60_000}, nil)
	pin := w.game("g")
	if room, ok := w.pins.Room(pin); !ok || room != "g" {
		t.Fatal("the PIN leads nowhere")
	}
	host := joinCmd("g", hostConn)
	okReply(t, w.do(host), host)
	end := hostCmd("g", wire.OpQuizEnd)
	okReply(t, w.do(end), end)
	w.now += 70_000
	w.commit()
	if _, ok := w.pins.Room(pin); !ok {
		t.Fatal("closed while the host is there")
	}
	w.do(Command{Room: "g", From: effect.Caller{Conn: hostConn}, Body: &Disconnect{}})
	for range 3 {
		w.now += 61_000
		w.commit()
	}
	if _, ok := w.pins.Room(pin); ok || w.pins.Len() != 0 {
		t.Fatal("the PIN is still taken")
	}
	recs := w.journal.durable["g"]
	if recs[len(recs)-1].Kind != KindRoomClosed {
		t.Fatalf("the last record is %s", recs[len(recs)-1].Kind)
	}
	if len(w.shard.slots) != 0 {
		t.Fatal("a closed room stays in memory")
	}
	back := joinCmd("g", 1)
	got := w.do(back)
	wantErr(t, got, back, wire.CodeUnknownRoom)
	if got := kinds(got); !strings.HasPrefix(got, "leave reply!") {
		t.Fatalf("a refused join makes the loop forget first: %s", got)
	}
}

// A game that was never ended must not hold its PIN and memory for ever.
func TestAbandonedGameIsClosed(t *testing.T) {
	w := newWorld(t, ShardConfig{AbandonMs: 3_600_000}, &Config{})
	w.journal.auto = true
	pin := w.game("g")
	w.do(joinCmd("g", hostConn), joinCmd("g", 1), hostCmd("g", wire.OpQuizStart),
		cmd("g", wire.OpModBan, hostConn, &wire.ModUserData{User: "eve", DurationMs: 365 * 86_400_000}))
	w.do(Command{Room: "g", From: effect.Caller{Conn: 1}, Body: &Disconnect{}},
		Command{Room: "g", From: effect.Caller{Conn: hostConn}, Body: &Disconnect{}})
	w.now += 3_500_000
	w.commit()
	if _, ok := w.pins.Room(pin); !ok {
		t.Fatal("closed too early")
	}
	for range 3 {
		w.now += 700_000
		w.commit()
	}
	if _, ok := w.pins.Room(pin); ok || len(w.shard.slots) != 0 || len(w.shard.deadlines) != 0 {
		t.Fatal("an abandoned game is kept")
	}
}

// A server that is restarted every day must not keep an abandoned game for ever. Who comes back right after a restart
// finds it.
func TestAbandonedGameIsClosedInSpiteOfRestarts(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.journal.auto = true
	pin := w.game("g")
	restart := func() {
		w.pins = NewDirectory()
		w.start(ShardConfig{})
		w.shard.inbox.signalWith(restore{"g", func() {}})
		w.commit()
	}
	w.now += 23 * 3_600_000
	restart()
	w.now += 2 * 3_600_000 // by a later start nobody has been there for more than a day
	restart()
	w.now += 10_000
	w.commit()
	if _, ok := w.pins.Room(pin); !ok {
		t.Fatal("closed before anybody could come back")
	}
	for range 3 {
		w.now += 11 * 60_000
		w.commit()
	}
	recs := w.journal.durable["g"]
	if last := recs[len(recs)-1].Kind; last != KindRoomClosed || w.pins.Len() != 0 {
		t.Fatalf("the last record is %s", last)
	}
}

// A ban that lasts for a year must not keep the room in memory for a year; it holds all the same.
func TestBanDoesNotKeepTheRoom(t *testing.T) {
	w := newWorld(t, ShardConfig{IdleUnloadMs: 60_000}, &Config{})
	w.journal.auto = true
	ban := cmd("r", wire.OpModBan, 1, &wire.ModUserData{User: "eve", DurationMs: 300 * 86_400_000}, as(wire.RoleModerator))
	okReply(t, w.do(joinCmd("r", 1, as(wire.RoleModerator)), ban), ban)
	w.do(Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	for range 3 {
		w.now += 61_000
		w.commit()
	}
	if len(w.shard.slots) != 0 || len(w.shard.deadlines) != 0 {
		t.Fatal("the room is kept")
	}
	j := joinCmd("r", 2, user("eve"))
	wantErr(t, w.do(j), j, wire.CodeBanned)
}

// Rooms without a quiz need no clock: what a start loads of them leaves memory at the next sweep, unless it is wanted.
func TestRestoredRoomWithoutQuizLeavesSoon(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), publishCmd("r", 1, `1`, ""), joinCmd("wanted", 1), publishCmd("wanted", 1, `1`, ""))
	w.start(ShardConfig{})
	for _, room := range []string{"r", "wanted"} {
		w.shard.inbox.signalWith(restore{room, func() {}})
	}
	w.commit()
	w.do(cmd("wanted", wire.OpQuizState, 1, nil))
	w.now += sweepEveryMs
	w.commit()
	if w.shard.slots["r"] != nil || w.shard.slots["wanted"] == nil {
		t.Fatalf("%d rooms in memory", len(w.shard.slots))
	}
}

// A room counts once for each batch, however its steps alternate with those of others: it may be loaded when that many
// answers of the journal are there.
func TestInterleavedStepsCountOnce(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("a", 1), joinCmd("b", 1))
	for n := range 2 {
		for range 3 {
			w.post(publishCmd("a", 1, `1`, ""), publishCmd("b", 1, `1`, ""))
		}
		w.drain()
		if a, b := w.shard.slots["a"].appends, w.shard.slots["b"].appends; a != n+1 || b != n+1 {
			t.Fatalf("%d and %d appends on their way, want %d", a, b, n+1)
		}
	}
	w.commit()
	if a, b := w.shard.slots["a"].appends, w.shard.slots["b"].appends; a != 0 || b != 0 {
		t.Fatalf("%d and %d appends are left", a, b)
	}
}

func TestRefusedCreateGivesThePINBack(t *testing.T) {
	w := newWorld(t, ShardConfig{HeldOutputsMax: 1}, nil)
	w.post(joinCmd("r", 1))
	w.settle()
	w.pins.Bind("123456", "g")
	c := cmd("g", wire.OpQuizCreate, 2, &Create{Quiz: testQuiz(), PIN: "123456"})
	w.post(c)
	w.settle()
	wantErr(t, w.took(), c, wire.CodeUnavailable)
	if w.pins.Len() != 0 {
		t.Fatal("the PIN leaks")
	}
}

func TestCreateThatIsLost(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.pins.Bind("123456", "g")
	w.journal.refuse = errTest
	c := cmd("g", wire.OpQuizCreate, hostConn, &Create{Quiz: testQuiz(), PIN: "123456"})
	got := w.do(c)
	wantErr(t, got, c, wire.CodeUnavailable)
	if w.pins.Len() != 0 {
		t.Fatal("the PIN of a room that was never stored leads to it")
	}
}

func TestDeadlinesFireInOrder(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.journal.auto = true
	for i, room := range []string{"g1", "g2", "g3"} {
		w.now += 1000 * int64(i)
		w.game(room)
		j := joinCmd(room, 1)
		okReply(t, w.do(j), j)
		start := hostCmd(room, wire.OpQuizStart)
		okReply(t, w.do(start), start)
	}
	var closed []string
	var last int64
	for w.next != 0 && len(closed) < 3 {
		if w.next < last {
			t.Fatalf("time runs backwards: %d after %d", w.next, last)
		}
		last = w.next
		w.now = max(w.now, w.next)
		w.commit()
		for _, it := range w.took() {
			if it.Name == wire.EvQuizResults {
				closed = append(closed, it.Room)
			}
		}
	}
	if got := strings.Join(closed, " "); got != "g1 g2 g3" {
		t.Fatalf("closed in the order %s", got)
	}
}

func TestRestoreResumesTheClock(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.journal.auto = true
	pin := w.game("g")
	w.do(joinCmd("g", 1), hostCmd("g", wire.OpQuizStart))
	w.now += 5_000
	w.pins = NewDirectory()
	w.now += 60_000 // nobody there
	w.start(ShardConfig{})
	w.shard.inbox.signalWith(restore{"g", func() {}})
	w.shard.inbox.signalWith(restore{"g", func() {}})
	w.commit()
	if room, _ := w.pins.Room(pin); room != "g" {
		t.Fatal("the PIN was not entered again")
	}
	if w.next <= w.now {
		t.Fatalf("the question closes at %d, it is %d", w.next, w.now)
	}
	a := answerCmd("g", 1, 1, `0`, "k")
	j := joinCmd("g", 1)
	w.now += 4_000
	got := w.do(j, a)
	okReply(t, got, a)
}

// An open question gets back the time in which no server was there, and no more: not the time since its last fact, in
// which the server was there and nobody did anything.
func TestOpenQuestionGetsTheOutageBack(t *testing.T) {
	const up, away = 9_000, 60_000 // since the last fact
	for alive, want := range map[int64]int64{
		startMs + up: away, startMs + up - 700: away + 700, // a mark that is a little old
		0: up + away, startMs - 5_000: up + away, // no mark, or one from before the last fact
	} {
		w := newWorld(t, ShardConfig{}, &Config{})
		w.journal.auto = true
		w.game("g")
		w.do(joinCmd("g", 1), hostCmd("g", wire.OpQuizStart))
		w.now += up + away
		w.start(ShardConfig{AliveUntilMs: alive})
		w.shard.inbox.signalWith(restore{"g", func() {}})
		w.commit()
		last := w.journal.durable["g"][len(w.journal.durable["g"])-1]
		if got := fmt.Sprintf(`{"byMs":%d}`, want); last.Kind != "quiz.recovered" || string(last.Data) != got {
			t.Errorf("alive at %d: the last record is %s %s, want %s", alive, last.Kind, last.Data, got)
		}
	}
}

// gatedJournal says beforehand that it takes nothing.
type gatedJournal struct {
	*fakeJournal
	err error
}

func (j *gatedJournal) Refuses() error { return j.err }

// What can't be recorded is refused before it happens, so that the room need not be read again; what records nothing
// goes on, and those who come back get in.
func TestFullStorageRefusesBeforehand(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{OpenPublish: true})
	w.journal.auto = true
	gated := &gatedJournal{fakeJournal: w.journal}
	w.shard.ports.Journal, w.shard.gate = gated, gated
	w.game("g")
	w.do(joinCmd("g", 1), joinCmd("g", hostConn), hostCmd("g", wire.OpQuizStart))
	w.now += 4_000
	gated.err = errTest
	before := w.journal.appends
	answer := answerCmd("g", 1, 1, `0`, "k")
	got := w.do(answer)
	wantErr(t, got, answer, wire.CodeUnavailable)
	for _, item := range got {
		if item.Err != nil && (item.Err.RetryAfterMs == 0 || !strings.Contains(item.Err.Message, "storage is full")) {
			t.Errorf("the refusal is %+v", item.Err)
		}
	}
	state := answer
	state.Op, state.Body = wire.OpQuizState, nil
	okReply(t, w.do(state), state)
	back := joinCmd("g", 1)
	okReply(t, w.do(back), back)
	if w.journal.appends != before {
		t.Error("something was recorded all the same")
	}
	gated.err = nil
	okReply(t, w.do(answer), answer)
}

// Members stay members when a room is rebuilt, and participants are in the game without joining again.
func TestParticipantsSurviveARebuild(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.game("g")
	w.do(joinCmd("g", hostConn), joinCmd("g", 1), joinCmd("g", 2))
	w.do(hostCmd("g", wire.OpQuizStart))
	w.now += 4_000
	w.journal.refuse = errTest
	lost := answerCmd("g", 1, 1, `0`, "k1")
	wantErr(t, w.do(lost), lost, wire.CodeUnavailable)
	w.journal.refuse = nil
	first := answerCmd("g", 1, 1, `0`, "k1")
	got := w.do(first)
	okReply(t, got, first)
	if len(events(got, wire.EvQuizResults)) != 0 {
		t.Fatal("closed before everybody answered")
	}
	second := answerCmd("g", 2, 1, `1`, "k2")
	got = w.do(second)
	okReply(t, got, second)
	if len(events(got, wire.EvQuizResults)) != 1 {
		t.Fatal("everybody has answered and the question is open")
	}
	if n := len(events(got, wire.EvQuizRank)); n != 2 {
		t.Fatalf("%d ranks", n)
	}
}

// What is due while nothing can be stored must not be tried again and again without a pause.
func TestTickThatCannotBeStoredWaits(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.journal.auto = true
	w.game("g")
	w.do(joinCmd("g", hostConn), joinCmd("g", 1), hostCmd("g", wire.OpQuizStart))
	w.journal.auto = false
	w.now += 20_000 // the question is over
	before := w.journal.appends
	fail := func(rounds int) {
		for range rounds {
			w.drain()
			for len(w.journal.waiting) > 0 {
				w.journal.commitOne(errTest)
			}
			for w.loader.Work() {
			}
		}
	}
	fail(100)
	if n := w.journal.appends - before; n != 1 {
		t.Fatalf("%d appends while the clock stood still", n)
	}
	if w.next != w.now+tickRetryMs {
		t.Fatalf("the next try is after %d ms", w.next-w.now)
	}
	for range 300 {
		w.now += 1000
		fail(3)
	}
	if n := w.journal.appends - before; n < 10 || n > 20 {
		t.Fatalf("%d appends in five minutes", n)
	}
	w.took()
	w.now += tickRetryMaxMs
	w.commit()
	if n := len(events(w.took(), wire.EvQuizResults)); n != 1 {
		t.Fatalf("%d results once the store was back", n)
	}
	if sl := w.shard.slots["g"]; sl.failures != 0 || sl.notBefore != 0 {
		t.Fatal("the room still waits")
	}
}
