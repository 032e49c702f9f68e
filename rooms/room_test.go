package rooms

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// TestIdentify has a case for each row of identify's table.
func TestIdentify(t *testing.T) {
	owned, free := NewRoom("r", &Config{}), NewRoom("r", &Config{})
	owned.owner = "owner"
	for _, c := range []struct {
		name  string
		room  *Room
		user  string
		token wire.Role
		scope string
		want  wire.Role // RoleNone: refused
	}{
		{"admin", owned, "x", wire.RoleAdmin, "", wire.RoleAdmin},
		{"admin scoped elsewhere", owned, "x", wire.RoleAdmin, "other", wire.RoleNone},
		{"scoped here, host", owned, "x", wire.RoleHost, "r", wire.RoleHost},
		{"scoped here, moderator", owned, "x", wire.RoleModerator, "r", wire.RoleModerator},
		{"scoped here, participant", owned, "x", wire.RoleParticipant, "r", wire.RoleParticipant},
		{"scoped here, observer", owned, "x", wire.RoleObserver, "r", wire.RoleObserver},
		{"scoped elsewhere", owned, "x", wire.RoleHost, "other", wire.RoleNone},
		{"owner scoped elsewhere", owned, "owner", wire.RoleHost, "other", wire.RoleNone},
		{"owner", owned, "owner", wire.RoleParticipant, "", wire.RoleHost},
		{"host of no room, owned", owned, "x", wire.RoleHost, "", wire.RoleParticipant},
		{"moderator of no room, owned", owned, "x", wire.RoleModerator, "", wire.RoleParticipant},
		{"host of no room, free", free, "x", wire.RoleHost, "", wire.RoleHost},
		{"moderator of no room, free", free, "x", wire.RoleModerator, "", wire.RoleModerator},
		{"participant, owned", owned, "x", wire.RoleParticipant, "", wire.RoleParticipant},
		{"participant, free", free, "x", wire.RoleParticipant, "", wire.RoleParticipant},
		{"observer, owned", owned, "x", wire.RoleObserver, "", wire.RoleObserver},
		{"nobody owns a free room", free, "", wire.RoleParticipant, "", wire.RoleParticipant},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, err := c.room.identify(&Command{Scope: c.scope, From: effect.Caller{Conn: 1, User: c.user, Role: c.token}})
			if c.want == wire.RoleNone {
				if err == nil || err.Code != wire.CodeForbidden {
					t.Fatalf("got %v, %v", from.Role, err)
				}
				return
			}
			if err != nil || from.Role != c.want || from.Member {
				t.Fatalf("got %v, %v; want %v", from.Role, err, c.want)
			}
		})
	}
}

func TestMemberKeepsTheLowerRole(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	screen := cmd("r", wire.OpRoomJoin, 1, &wire.JoinData{Role: wire.RoleObserver}, as(wire.RoleHost))
	if r := okReply(t, w.do(screen), screen).(*wire.JoinReply); r.Role != wire.RoleObserver {
		t.Fatalf("joined as %s", r.Role)
	}
	p := publishCmd("r", 1, `1`, "")
	p.From.Role = wire.RoleHost
	wantErr(t, w.do(p), p, wire.CodeForbidden)
	over := cmd("r", wire.OpRoomJoin, 2, &wire.JoinData{Role: wire.RoleModerator})
	got := w.do(over)
	wantErr(t, got, over, wire.CodeForbidden)
	if got := kinds(got); got != "leave reply!forbidden " {
		t.Fatalf("a refused join: %s", got)
	}
}

// TestPermit asks for each op what each role may do in a room, as a member and from outside.
func TestPermit(t *testing.T) {
	for op := range wire.Op(wire.OpCount) {
		if op == wire.OpAuth || op == wire.OpTimeSync || op == wire.OpQuizCreate {
			continue // never get to a room by this way
		}
		rule := opRules[op]
		if op != wire.OpNone && rule == (opRule{}) {
			t.Errorf("%s has no rule: everybody may do it", op)
		}
		for role := wire.RoleObserver; role <= wire.RoleAdmin; role++ {
			outside := permit(op, effect.Caller{Role: role})
			inside := permit(op, effect.Caller{Role: role, Member: true})
			switch {
			case role < rule.role:
				if inside == nil || inside.Code != wire.CodeForbidden || outside == nil || outside.Code != wire.CodeForbidden {
					t.Errorf("%s as %s: %v, %v", op, role, inside, outside)
				}
			case inside != nil:
				t.Errorf("%s as %s: %v", op, role, inside)
			case rule.outsiders != (outside == nil):
				t.Errorf("%s as %s from outside: %v", op, role, outside)
			}
		}
		if strings.HasPrefix(op.String(), "mod:") && rule.role != wire.RoleModerator {
			t.Errorf("%s is open to %s", op, rule.role)
		}
	}
}

func TestJoinAndResume(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	first := joinCmd("r", 1)
	got := w.do(first)
	r := okReply(t, got, first).(*wire.JoinReply)
	if r.Recovered || r.Snapshot == nil || r.Seq != 0 || r.Epoch == "" || r.Role != wire.RoleParticipant {
		t.Fatalf("%+v", r)
	}
	if got := kinds(got); got != "join reply room:presence " {
		t.Fatalf("the loop must know the member before its snapshot leaves: %s", got)
	}
	for i := range 5 {
		w.do(publishCmd("r", 1, fmt.Sprint(i), ""))
	}
	w.do(Command{Room: "r", From: effect.Caller{Conn: 1}, Body: &Disconnect{}})
	for _, c := range []struct {
		name      string
		since     uint64
		epoch     string
		recovered bool
		want      []uint64
	}{
		{"some missed", 2, r.Epoch, true, []uint64{3, 4, 5}},
		{"all missed", 0, r.Epoch, true, []uint64{1, 2, 3, 4, 5}},
		{"none missed", 5, r.Epoch, true, nil},
		{"from the future", 6, r.Epoch, false, nil},
		{"another epoch", 2, "other", false, nil},
		{"no epoch", 2, "", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := since("r", 2, c.since, c.epoch)
			got := w.do(j)
			r := okReply(t, got, j).(*wire.JoinReply)
			if r.Recovered != c.recovered || (r.Snapshot == nil) != c.recovered || r.Seq != 5 {
				t.Fatalf("%+v", r)
			}
			wantSeqs(t, got, c.want...)
			if got[0].Kind != effect.Join || got[1].Kind != effect.Reply {
				t.Fatalf("order: %s", kinds(got))
			}
			for _, it := range got[2:] {
				if it.Seq == 0 {
					continue
				}
				if it.Conn != 2 || it.Audience != effect.ToConn || string(it.Data.(json.RawMessage)) != fmt.Sprint(it.Seq-1) {
					t.Fatalf("%+v", it)
				}
			}
			w.do(Command{Room: "r", From: effect.Caller{Conn: 2}, Body: &Disconnect{}})
		})
	}
}

func TestResumeBeyondTheRing(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	for range ringEventsMax + 3 {
		w.post(publishCmd("r", 1, `1`, ""))
	}
	w.commit()
	w.took()
	epoch := w.shard.slots["r"].room.Epoch()
	late, justInTime := since("r", 2, 2, epoch), since("r", 3, 3, epoch)
	got := w.do(late)
	if r := okReply(t, got, late).(*wire.JoinReply); r.Recovered || r.Snapshot == nil || r.Seq != ringEventsMax+3 {
		t.Fatalf("%+v", r)
	}
	wantSeqs(t, got)
	got = w.do(justInTime)
	if r := okReply(t, got, justInTime).(*wire.JoinReply); !r.Recovered {
		t.Fatalf("%+v", r)
	}
	if s := seqs(got); len(s) != ringEventsMax || s[0] != 4 {
		t.Fatalf("%d events from %d", len(s), s[0])
	}
}

func TestRingLimits(t *testing.T) {
	var r ring
	add := func(seq uint64, bytes int) {
		r.add(effect.Output{Seq: seq, Data: json.RawMessage(strings.Repeat("x", bytes))})
	}
	for seq := uint64(1); seq <= 2000; seq++ {
		add(seq, 10)
		want := min(seq, ringEventsMax)
		if uint64(r.count) != want || r.bytes != int(10*want) {
			t.Fatalf("after %d: %d events, %d bytes", seq, r.count, r.bytes)
		}
		var got []uint64
		if !r.since(seq-want, seq, func(o effect.Output) { got = append(got, o.Seq) }) {
			t.Fatal("the ring forgot too early")
		}
		if got[0] != seq-want+1 || got[len(got)-1] != seq || !slices.IsSorted(got) {
			t.Fatalf("after %d: %v", seq, got)
		}
		if seq > want && r.since(seq-want-1, seq, func(effect.Output) {}) {
			t.Fatal("the ring claims what it has forgotten")
		}
	}
	add(2001, ringBytesMax-100)
	if r.bytes > ringBytesMax || r.count > 12 {
		t.Fatalf("%d events with %d bytes", r.count, r.bytes)
	}
	add(2002, 2*ringBytesMax)
	if r.count != 1 {
		t.Fatalf("%d events: the newest stays, however large", r.count)
	}
	add(2003, 1)
	if r.count != 1 || r.bytes != 1 {
		t.Fatalf("%d events with %d bytes", r.count, r.bytes)
	}
}

func TestPublishKeys(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1), joinCmd("r", 2))
	silent := publishCmd("r", 1, `1`, "k")
	silent.From.Req = 0 // the first one asks for no reply; its retry does
	again, other := publishCmd("r", 1, `1`, "k"), publishCmd("r", 2, `2`, "k")
	got := w.do(silent, again, other)
	wantSeqs(t, got, 1, 2)
	if okReply(t, got, again).(*wire.PublishReply).Seq != 1 || okReply(t, got, other).(*wire.PublishReply).Seq != 2 {
		t.Fatal("keys of two users met, or a retry was counted")
	}
	w.start(ShardConfig{})
	w.do(joinCmd("r", 1))
	again = publishCmd("r", 1, `1`, "k")
	got = w.do(again)
	wantSeqs(t, got)
	if okReply(t, got, again).(*wire.PublishReply).Seq != 1 {
		t.Fatal("a restart forgot the key")
	}
	for i := range publishKeysMax {
		w.post(publishCmd("r", 1, `3`, fmt.Sprint("n", i)))
	}
	w.commit()
	w.took()
	if n := len(w.shard.slots["r"].room.keys.seqs); n != publishKeysMax {
		t.Fatalf("%d keys", n)
	}
	forgotten, kept := publishCmd("r", 1, `1`, "k"), publishCmd("r", 1, `1`, "n5")
	got = w.do(forgotten, kept)
	wantSeqs(t, got, publishKeysMax+3)
	okReply(t, got, kept)
}

func TestVolatilePublishLeavesNoTrace(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1))
	c := publishCmd("r", 1, `1`, "")
	c.Body = &wire.PublishData{Event: "cursor:at", Payload: json.RawMessage(`1`), Volatile: true}
	got := w.do(c)
	okReply(t, got, c)
	if ev := events(got, "cursor:at"); len(ev) != 1 || ev[0].Class != wire.ClassVolatile || ev[0].Seq != 0 {
		t.Fatalf("%+v", ev)
	}
	if n := len(w.journal.durable["r"]); n != 1 {
		t.Fatalf("%d records", n)
	}
}

func TestPublishRight(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.do(joinCmd("r", 1), joinCmd("r", 2, as(wire.RoleModerator)))
	p, m := publishCmd("r", 1, `1`, ""), publishCmd("r", 2, `1`, "")
	m.From.Role = wire.RoleModerator
	got := w.do(p, m)
	wantErr(t, got, p, wire.CodeForbidden)
	okReply(t, got, m)
}

func TestMentionReachesAllConnectionsOfTheUser(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.do(joinCmd("r", 1, user("ada")), joinCmd("r", 2, user("bob")), joinCmd("r", 3, user("bob")))
	c := say("r", 1, "@Nbob hello", "")
	c.From.User = "ada"
	got := w.do(c)
	var conns []wire.ConnID
	for _, o := range events(got, wire.EvNotify) {
		if o.Audience != effect.ToConn || o.User != "" {
			t.Fatalf("%+v", o)
		}
		conns = append(conns, o.Conn)
	}
	slices.Sort(conns)
	if !slices.Equal(conns, []wire.ConnID{2, 3}) {
		t.Fatalf("notified %v", conns)
	}
	w.do(Command{Room: "r", From: effect.Caller{Conn: 2}, Body: &Disconnect{}},
		Command{Room: "r", From: effect.Caller{Conn: 3}, Body: &Disconnect{}})
	got = w.do(func() Command { c := say("r", 1, "@Nbob again", ""); c.From.User = "ada"; return c }())
	if n := len(events(got, wire.EvNotify)); n != 0 {
		t.Fatalf("%d notes for somebody who is away", n)
	}
}

func TestUserOfTwoConnections(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.game("g")
	w.do(joinCmd("g", hostConn), joinCmd("g", 1, user("ada")), joinCmd("g", 2, user("ada")))
	info := cmd("g", wire.OpNone, 0, &InfoQuery{Name: "Nada"}, user("eve"))
	i := okReply(t, w.do(info), info).(*Info)
	if i.Participants != 1 || !i.NameTaken || i.Phase != wire.PhaseLobby || i.Title != "T" {
		t.Fatalf("%+v", i)
	}
	w.do(Command{Room: "g", From: effect.Caller{Conn: 1, User: "ada"}, Body: &Disconnect{}})
	info = cmd("g", wire.OpNone, 0, &InfoQuery{})
	if i := okReply(t, w.do(info), info).(*Info); i.Participants != 1 {
		t.Fatal("gone with one of two connections")
	}
	leave := cmd("g", wire.OpRoomLeave, 2, nil, user("ada"))
	twice := cmd("g", wire.OpRoomLeave, 2, nil, user("ada"))
	info = cmd("g", wire.OpNone, 0, &InfoQuery{})
	got := w.do(leave, twice, info)
	okReply(t, got, leave)
	okReply(t, got, twice)
	if i := okReply(t, got, info).(*Info); i.Participants != 0 {
		t.Fatal("still there")
	}
}

func TestKickAndBan(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.game("g")
	w.do(joinCmd("g", hostConn), joinCmd("g", 1, user("eve")), joinCmd("g", 2, user("eve")), joinCmd("g", 3, user("ada")))
	act := func(op wire.Op, data wire.ModUserData) []Delivery {
		c := cmd("g", op, hostConn, &data)
		got := w.do(c)
		okReply(t, got, c)
		return got
	}
	check := func(got []Delivery, code wire.CloseCode, conns ...wire.ConnID) {
		t.Helper()
		for _, conn := range conns {
			var mine []Delivery
			for _, it := range got {
				if it.Conn == conn && it.Kind != effect.Reply {
					mine = append(mine, it)
				}
			}
			if k := kinds(mine); k != "room:kicked leave close " {
				t.Fatalf("connection %d: %s", conn, k)
			}
			if mine[2].CloseCode != code {
				t.Fatalf("closed with %d", mine[2].CloseCode)
			}
		}
	}
	check(act(wire.OpModKick, wire.ModUserData{User: "eve"}), wire.CloseKicked, 1, 2)
	back := joinCmd("g", 4, user("eve"))
	okReply(t, w.do(back), back)
	check(act(wire.OpModBan, wire.ModUserData{User: "eve", DurationMs: 60_000, Reason: "noise"}), wire.CloseBanned, 4)
	for _, restart := range []bool{false, true} {
		if restart {
			w.start(ShardConfig{})
			w.do(joinCmd("g", hostConn))
		}
		again := joinCmd("g", 5, user("eve"))
		got := w.do(again)
		wantErr(t, got, again, wire.CodeBanned)
		if k := kinds(got); k != "leave reply!banned " {
			t.Fatalf("what a banned user gets: %s", k)
		}
		chat := say("g", 5, "hi", "")
		chat.From.User = "eve"
		wantErr(t, w.do(chat), chat, wire.CodeNotMember)
	}
	w.now += 61_000
	w.commit()
	again := joinCmd("g", 5, user("eve"))
	okReply(t, w.do(again), again)
	self := cmd("g", wire.OpModKick, 5, &wire.ModUserData{User: "ada"}, user("eve"))
	wantErr(t, w.do(self), self, wire.CodeForbidden)
	host := cmd("g", wire.OpModBan, 6, &wire.ModUserData{User: "uh"}, as(wire.RoleModerator), scope("g"), user("mod"))
	wantErr(t, w.do(host), host, wire.CodeForbidden)
}

func TestRoomsAndWhoMakesThem(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	no := joinCmd("r", 1)
	no.MayCreate = false
	wantErr(t, w.do(no), no, wire.CodeUnknownRoom)
	early := say("r", 1, "x", "")
	early.MayCreate = true // only a join creates
	wantErr(t, w.do(early), early, wire.CodeUnknownRoom)
	if len(w.journal.durable["r"]) != 0 {
		t.Fatal("a refused command left records")
	}
	yes := joinCmd("r", 1)
	okReply(t, w.do(yes), yes)
	w.game("g")
	twice := cmd("g", wire.OpQuizCreate, 2, &Create{Quiz: testQuiz(), PIN: "999999"})
	wantErr(t, w.do(twice), twice, wire.CodeWrongState)
	results := cmd("g", wire.OpNone, 0, &ResultsQuery{})
	wantErr(t, w.do(results), results, wire.CodeForbidden)
	results = cmd("g", wire.OpNone, 0, &ResultsQuery{}, user("uh"))
	if r := okReply(t, w.do(results), results).(*Results); r.Title != "T" {
		t.Fatalf("%+v", r)
	}
	odd := cmd("g", wire.OpNone, 0, &struct{}{})
	wantErr(t, w.do(odd), odd, wire.CodeUnknownOp)
}

func TestMembersLimit(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{MembersMax: 2})
	w.do(joinCmd("r", 1), joinCmd("r", 2))
	full, again := joinCmd("r", 3), joinCmd("r", 2)
	got := w.do(full, again)
	wantErr(t, got, full, wire.CodeRoomFull)
	okReply(t, got, again)
}

func TestTheKeyStaysInside(t *testing.T) {
	w := newWorld(t, ShardConfig{}, &Config{})
	w.game("g")
	hostJoin, playerJoin := joinCmd("g", hostConn), joinCmd("g", 1)
	got := w.do(hostJoin, playerJoin, hostCmd("g", wire.OpQuizStart))
	if r := okReply(t, got, hostJoin).(*wire.JoinReply); r.Snapshot.Quiz.Quiz == nil {
		t.Fatal("the host needs the quiz")
	}
	for _, it := range got {
		if it.Conn == hostConn {
			continue
		}
		text, err := json.Marshal(it.Data)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "correct") || strings.Contains(string(text), `"key"`) {
			t.Fatalf("%s: %s", it.Name, text)
		}
	}
}

// A text that was deleted or changed must not come back to those who resume.
func TestRedactedTextsDoNotComeBack(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t, ShardConfig{}, nil)
		w.do(joinCmd("r", 1))
		a := say("r", 1, "first secret", "")
		id := okReply(t, w.do(a), a).(*wire.ChatSendReply).ID
		edit := cmd("r", wire.OpChatEdit, 1, &wire.ChatEditData{ID: id, Text: "second secret"})
		live := w.do(edit)
		okReply(t, live, edit)
		epoch := w.shard.slots["r"].room.Epoch()
		resume := func() string {
			if restart {
				w.start(ShardConfig{})
			}
			j := since("r", 2, 0, epoch, user("bob"))
			got := w.do(j)
			okReply(t, got, j)
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			wantSeqs(t, got, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			return string(text)
		}
		b := say("r", 1, "third words", "")
		id2 := okReply(t, w.do(b), b).(*wire.ChatSendReply).ID
		w.do(say("r", 1, "fourth words", ""), say("r", 1, "fifth words", ""), say("r", 1, "sixth words", ""),
			say("r", 1, "seventh", ""), say("r", 1, "eighth", ""), say("r", 1, "ninth", ""))
		text := resume()
		if strings.Contains(text, "first secret") || strings.Count(text, "second secret") != 2 {
			t.Fatalf("after the edit: %s", text)
		}
		w.do(joinCmd("r", 1))
		for _, gone := range []string{id, id2} {
			w.do(cmd("r", wire.OpChatDelete, 1, &wire.ChatIDData{ID: gone}))
		}
		if restart {
			w.start(ShardConfig{})
		}
		j := since("r", 3, 0, epoch, user("eve"))
		got := w.do(j)
		raw, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if text = string(raw); strings.Contains(text, "secret") || strings.Contains(text, "third") ||
			!strings.Contains(text, "fourth") {
			t.Fatalf("after the deletes: %s", text)
		}
		wantSeqs(t, got, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
		if data := events(live, wire.EvChatEdited)[0].Data.(*wire.ChatMessage); data.Text != "second secret" {
			t.Fatal("an event that had left was written to")
		}
	}
}

func TestDirectory(t *testing.T) {
	d := NewDirectory()
	rng := rand.New(rand.NewPCG(5, 6))
	seen := make(map[string]bool)
	for i := range 1000 {
		pin, err := d.Reserve(rng, fmt.Sprint("r", i))
		if err != nil || len(pin) != 6 || pin[0] == '0' || seen[pin] {
			t.Fatalf("%q, %v", pin, err)
		}
		seen[pin] = true
		if room, ok := d.Room(pin); !ok || room != fmt.Sprint("r", i) {
			t.Fatal("leads elsewhere")
		}
	}
	if !d.Bind("000001", "x") || d.Bind("000001", "y") || !d.Bind("000001", "x") {
		t.Fatal("a PIN leads to one room")
	}
	d.Release("000001", "y")
	if room, _ := d.Room("000001"); room != "x" {
		t.Fatal("released by another room")
	}
	d.Release("000001", "x")
	if _, ok := d.Room("000001"); ok || d.Len() != 1000 {
		t.Fatal("not released")
	}
	for i := range pinsMax / 2 {
		d.rooms[fmt.Sprint("f", i)] = "f"
	}
	if _, err := d.Reserve(rng, "z"); err == nil || err.Code != wire.CodeUnavailable {
		t.Fatalf("got %v", err)
	}
}

// TestReplayMakesTheSameRoom drives a game with chat and compares a replay of its records with the room that made them.
func TestReplayMakesTheSameRoom(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	playGame(t, w)
	live := w.shard.slots["g"].room
	again, err := Rebuild(w.journal, "g", w.rooms)
	if err != nil {
		t.Fatal(err)
	}
	if again.Index() != live.Index() || again.Seq() != live.Seq() || again.Epoch() != live.Epoch() ||
		again.owner != live.owner {
		t.Fatalf("replay is at %d/%d, the room at %d/%d", again.Index(), again.Seq(), live.Index(), live.Seq())
	}
	if !reflect.DeepEqual(again.Quiz().Results(), live.Quiz().Results()) {
		t.Fatal("the scores differ")
	}
	if a, b := eventsJSON(t, again), eventsJSON(t, live); a != b {
		t.Fatalf("the events differ:\n%s\n%s", a, b)
	}
}

func eventsJSON(t testing.TB, r *Room) string {
	t.Helper()
	var all []effect.Output
	if !r.ring.since(r.seq-uint64(r.ring.count), r.seq, func(o effect.Output) { all = append(all, o) }) {
		t.Fatal("the ring does not know its own events")
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// playGame plays room "g": two questions, a retry, a kick, chat with an edit and a delete, a ban that ends.
func playGame(t testing.TB, w *world) {
	ok := func(cmds ...Command) []Delivery {
		got := w.do(cmds...)
		for _, c := range cmds {
			okReply(t, got, c)
		}
		w.now += 700
		return got
	}
	w.game("g")
	ok(joinCmd("g", hostConn))
	ok(joinCmd("g", 1, user("ada")), joinCmd("g", 2, user("bob")))
	ok(joinCmd("g", 3, user("eve")), joinCmd("g", 4, user("zoe")))
	from := func(c Command, id string) Command { c.From.User = id; return c }
	ok(from(say("g", 1, "hello @Nbob see example.org", "c1"), "ada"), from(say("g", 2, "soon gone", ""), "bob"))
	ok(from(cmd("g", wire.OpChatEdit, 1, &wire.ChatEditData{ID: "m1", Text: "hello all"}), "ada"))
	ok(cmd("g", wire.OpChatDelete, hostConn, &wire.ChatIDData{ID: "m2"}),
		cmd("g", wire.OpChatPin, hostConn, &wire.ChatPinData{ID: "m1"}),
		from(cmd("g", wire.OpChatReact, 2, &wire.ChatReactData{ID: "m1", Emoji: "👍"}), "bob"))
	ok(hostCmd("g", wire.OpQuizStart))
	w.now += 4_000
	ok(from(answerCmd("g", 1, 1, `"0"`, "a1"), "ada"), from(answerCmd("g", 1, 1, `"0"`, "a1"), "ada"))
	ok(from(answerCmd("g", 2, 1, `1`, "b1"), "bob"))
	ok(cmd("g", wire.OpModKick, hostConn, &wire.ModUserData{User: "eve"}))
	ok(from(answerCmd("g", 4, 1, `0`, "z1"), "zoe"))
	ok(hostCmd("g", wire.OpQuizNext), hostCmd("g", wire.OpQuizNext))
	ok(hostCmd("g", wire.OpQuizPause))
	ok(hostCmd("g", wire.OpQuizResume))
	w.now += 3_500
	ok(from(answerCmd("g", 2, 2, `1`, "b2"), "bob"))
	ok(cmd("g", wire.OpQuizExtend, hostConn, &wire.QuizExtendData{ByMs: 5_000}, as(wire.RoleHost)))
	ok(cmd("g", wire.OpModSlow, hostConn, &wire.ModSlowData{EveryMs: 1_000}),
		cmd("g", wire.OpModBan, hostConn, &wire.ModUserData{User: "zoe", DurationMs: 5_000}))
	ok(cmd("g", wire.OpModMute, hostConn, &wire.ModUserData{User: "ada"}), cmd("g", wire.OpModLockdown, hostConn, nil),
		hostCmd("g", wire.OpQuizLock), publishCmd("g", hostConn, `{"slide":3}`, "p1"))
	ok(from(cmd("g", wire.OpProgressUpdate, 1, &wire.ProgressData{Unit: "u", Done: 1, Total: 2}), "ada"))
	w.now += 20_000
	w.commit()
	w.took()
	ok(hostCmd("g", wire.OpQuizEnd))
}
