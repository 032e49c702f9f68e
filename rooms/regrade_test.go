package rooms

import (
	"encoding/json"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/quiz"
)

func regradeCmd(room string, n int, options ...string) Command {
	return cmd(room, wire.OpQuizRegrade, hostConn,
		&wire.RegradeData{Question: n, AnswerKey: &wire.AnswerKey{Options: options}, Reason: "slip"}, as(wire.RoleHost))
}

// playAndClose plays one question with ub, who is right, and uc, who is not, and waits until the room is closed.
func (w *world) playAndClose(room string) {
	w.game(room)
	w.do(joinCmd(room, hostConn, as(wire.RoleHost)), joinCmd(room, 1), joinCmd(room, 2))
	w.do(hostCmd(room, wire.OpQuizStart))
	w.now += 4000
	w.do(answerCmd(room, 1, 1, "0", "k"), answerCmd(room, 2, 1, "1", "k"))
	w.do(hostCmd(room, wire.OpQuizEnd))
	for _, conn := range []wire.ConnID{hostConn, 1, 2} {
		w.do(cmd(room, wire.OpRoomLeave, conn, nil))
	}
	w.now += 20_000
	w.commit()
}

// TestRegradeAfterTheRoomIsClosed: the marks of a game that is over and out of memory are put right through its room,
// with records that follow the last one; the room stays closed and leaves memory again.
func TestRegradeAfterTheRoomIsClosed(t *testing.T) {
	w := newWorld(t, ShardConfig{IdleUnloadMs: 1000}, nil)
	w.playAndClose("g")
	closedAt := len(w.journal.durable["g"])
	if last := w.journal.durable["g"][closedAt-1]; last.Kind != KindRoomClosed {
		t.Fatalf("the room is not closed: %s", last.Kind)
	}
	w.now += 20_000
	w.commit()
	if w.shard.slots["g"] != nil {
		t.Fatal("the room is still in memory")
	}
	w.took()

	c := regradeCmd("g", 1, "1")
	okReply(t, w.do(c), c)
	records := w.journal.durable["g"]
	if len(records) != closedAt+1 || records[closedAt].Kind != quiz.FactRegraded {
		t.Fatalf("%d records after %d", len(records), closedAt)
	}
	for name, outsider := range map[string]Command{
		"a player":     cmd("g", wire.OpQuizRegrade, 1, &wire.RegradeData{Question: 1}, as(wire.RoleParticipant)),
		"another host": cmd("g", wire.OpQuizRegrade, 3, &wire.RegradeData{Question: 1}, as(wire.RoleHost), user("eve")),
	} {
		if o := reply(t, w.do(outsider), outsider); o.Err == nil || o.Err.Code != wire.CodeForbidden {
			t.Errorf("%s: %v", name, o.Err)
		}
	}
	late := joinCmd("g", 4)
	wantErr(t, w.do(late), late, wire.CodeUnknownRoom)
	receipt := cmd("g", wire.OpNone, 5, &ReceiptQuery{Claims: &wire.ReceiptClaims{Room: "g", Question: 1, User: "nobody"}})
	o := reply(t, w.do(receipt), receipt) // the room that is in memory answers, so the log isn't read once more
	if v, ok := o.Data.(*wire.ReceiptVerdict); !ok || v.Reason != "no_answer" || v.Title == "" {
		t.Errorf("a receipt after the end: %+v, %v", o.Data, o.Err)
	}

	room, err := Rebuild(w.journal, "g", w.rooms)
	if err != nil {
		t.Fatal(err)
	}
	best := room.Quiz().Results().Participants[0]
	if room.Exists() || best.User != "uc" || best.Score == 0 || best.Answers[0].Outcome != "correct" {
		t.Errorf("alive %v, best %+v", room.Exists(), best)
	}
	w.now += 20_000
	w.commit()
	if w.shard.slots["g"] != nil {
		t.Error("the room stays in memory")
	}
	if _, ok := w.pins.Room(room.Quiz().PIN()); ok {
		t.Error("its PIN is in use again")
	}

	// When it can't be stored it has not happened, and can be done again.
	w.post(regradeCmd("g", 1, "0"))
	w.settle()
	w.journal.commitOne(errTest)
	w.commit()
	again := regradeCmd("g", 1, "0", "1")
	okReply(t, w.do(again), again)
	var fact quiz.Regraded
	last := w.journal.durable["g"][closedAt+1]
	if err := json.Unmarshal(last.Data, &fact); err != nil || last.Index != uint64(closedAt+2) ||
		len(fact.Key.Options) != 2 || fact.By != "uh" || fact.Reason != "slip" {
		t.Errorf("%v %s", err, last.Data)
	}
}
