package gateway

import (
	"bytes"
	"testing"
	"time"
	"unsafe"

	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/quota"
)

func TestDispatchTableIsComplete(t *testing.T) {
	if commands[wire.OpNone].cost != 0 || commands[wire.OpNone].here != nil {
		t.Error("what is no op has an entry")
	}
	here := map[wire.Op]bool{
		wire.OpAuth: true, wire.OpTimeSync: true, wire.OpRoomJoin: true, wire.OpRoomLeave: true, wire.OpQuizCreate: true,
	}
	before := map[wire.Op]bool{wire.OpAuth: true, wire.OpTimeSync: true}
	for op := wire.OpNone + 1; int(op) < wire.OpCount; op++ {
		spec := commands[op]
		if spec.cost < 1 || spec.cost > 20 {
			t.Errorf("%s costs %d", op, spec.cost)
		}
		if (spec.here != nil) != here[op] {
			t.Errorf("%s: answered on the loop: %v", op, spec.here != nil)
		}
		if spec.open != before[op] {
			t.Errorf("%s: allowed before auth: %v", op, spec.open)
		}
		if !spec.open && spec.role == wire.RoleNone {
			t.Errorf("%s asks for no role", op)
		}
	}
}

// memberBytesBudget is what one connection's session state may take in a size class of Go's allocator.
const memberBytesBudget = 240

func TestMemberStaysSmall(t *testing.T) {
	member, joined := unsafe.Sizeof(member{}), unsafe.Sizeof(joined{})
	t.Logf("member: %d bytes, and %d for each room", member, joined)
	if member > memberBytesBudget {
		t.Errorf("member takes %d bytes, the budget is %d", member, memberBytesBudget)
	}
	if joined > 48 {
		t.Errorf("joined takes %d bytes", joined)
	}
}

func TestStateKeysTellRoomsNamesAndKeysApart(t *testing.T) {
	keys := map[uint64]bool{}
	for _, d := range stateEvents() {
		keys[stateKey(&d)] = true
	}
	if len(keys) != 4 || keys[0] {
		t.Fatalf("%d keys for 4 kinds of state: %v", len(keys), keys)
	}
}

func stateEvents() []rooms.Delivery {
	event := func(room, name, key string) rooms.Delivery {
		d := rooms.Delivery{Room: room}
		d.Name, d.Key = name, key
		return d
	}
	return []rooms.Delivery{
		event("a", "x", ""), event("b", "x", ""), event("a", "y", ""), event("a", "x", "k"), event("a", "x", ""),
	}
}

// Messages that can't be read cost as much as others: whoever sends nothing else is refused for it, and then sent away.
func TestUnreadableMessagesAreCharged(t *testing.T) {
	for _, text := range []string{"x", `{"id":1,"op":"no:op"}`, `{"id":1,"op":"time:sync","room":"?"}`} {
		h := newHall(t)
		c := h.enter("r", "")
		h.cfg.MessagesPer = quota.Limit{Count: 1, Per: time.Hour, Burst: 10}
		for range 40 {
			c.Write(ws.AppendMaskedText(nil, []byte(text), 7))
		}
		h.net.Run()
		got := c.Read()
		if n := bytes.Count(got, []byte(`"re"`)); n > 30 || !bytes.Contains(got, []byte("rate_limited")) ||
			!bytes.Contains(got, []byte("too many messages in spite of being refused")) {
			t.Errorf("%s, 40 times: %d answers, %q", text, n, got)
		}
	}
}
