package moderation

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// roles is a room's knowledge of roles in tests.
type roles map[string]wire.Role

func (r roles) RoleOf(user string) wire.Role { return r[user] }

var cast = roles{
	"host": wire.RoleHost, "mod": wire.RoleModerator, "mod2": wire.RoleModerator,
	"ada": wire.RoleParticipant, "bob": wire.RoleParticipant, "eye": wire.RoleObserver,
}

func caller(user string) effect.Caller {
	return effect.Caller{Conn: 1, Req: 1, User: user, Name: user, Role: cast[user], Member: true}
}

// do carries out one command and gives the effects and the error of the reply.
func do(t testing.TB, m *Machine, now int64, user string, op wire.Op, body any) (*effect.Effects, *wire.Error) {
	t.Helper()
	out := &effect.Effects{}
	m.Handle(effect.Env{Now: now}, caller(user), op, body, out)
	last := out.Outputs[len(out.Outputs)-1]
	if last.Kind != effect.Reply {
		t.Fatalf("the last output is no reply: %+v", last)
	}
	if last.Err != nil && len(out.Facts) > 0 {
		t.Fatalf("refused, yet recorded %+v", out.Facts)
	}
	return out, last.Err
}

func wantCode(t testing.TB, err *wire.Error, code wire.Code) {
	t.Helper()
	if code == "" && err != nil || code != "" && (err == nil || err.Code != code) {
		t.Errorf("got %v, want %q", err, code)
	}
}

func TestMuteLastsUntilItsTime(t *testing.T) {
	m := New(Config{}, cast)
	out, err := do(t, m, 1000, "mod", wire.OpModMute, &wire.ModUserData{User: "ada", DurationMs: 5000, Reason: "shouting"})
	wantCode(t, err, "")
	if len(out.Outputs) != 3 || out.Outputs[0].User != "ada" || out.Outputs[1].Audience != effect.ToStaff {
		t.Fatalf("outputs %+v", out.Outputs)
	}
	want := &wire.ChatMuted{User: "ada", Muted: true, Until: 6000}
	if !reflect.DeepEqual(out.Outputs[0].Data, want) || out.Outputs[0].Name != wire.EvChatMuted {
		t.Fatalf("event %+v", out.Outputs[0])
	}
	refusal := m.MayWrite("ada", wire.RoleParticipant, 2000)
	wantCode(t, refusal, wire.CodeMuted)
	if refusal.RetryAfterMs != 4000 {
		t.Errorf("retry after %d", refusal.RetryAfterMs)
	}
	wantCode(t, m.MayWrite("bob", wire.RoleParticipant, 2000), "")
	wantCode(t, m.MayWrite("ada", wire.RoleParticipant, 6000), "") // even before the tick
	if m.Deadline() != 6000 {
		t.Fatalf("deadline %d", m.Deadline())
	}
	early := &effect.Effects{}
	m.Tick(effect.Env{Now: 5999}, early)
	if len(early.Facts) != 0 {
		t.Fatal("the mute ends early")
	}
	end := &effect.Effects{}
	m.Tick(effect.Env{Now: 6000}, end)
	if len(end.Facts) != 1 || len(end.Outputs) != 2 || m.Deadline() != 0 {
		t.Fatalf("facts %+v, deadline %d", end.Facts, m.Deadline())
	}
	if got := end.Outputs[0].Data.(*wire.ChatMuted); got.Muted {
		t.Errorf("event %+v", got)
	}
}

func TestRoleRules(t *testing.T) {
	for _, c := range []struct {
		who    string
		target string
		code   wire.Code
	}{
		{"ada", "bob", wire.CodeForbidden},
		{"eye", "bob", wire.CodeForbidden},
		{"mod", "ada", ""},
		{"mod", "eye", ""},
		{"mod", "stranger", ""},
		{"mod", "mod2", wire.CodeForbidden},
		{"mod", "mod", wire.CodeForbidden},
		{"mod", "host", wire.CodeForbidden},
		{"host", "mod", ""},
		{"host", "host", wire.CodeForbidden},
		{"mod", "", wire.CodeInvalidData},
	} {
		for _, op := range []wire.Op{wire.OpModMute, wire.OpModKick, wire.OpModBan} {
			_, err := do(t, New(Config{}, cast), 1, c.who, op, &wire.ModUserData{User: c.target})
			t.Logf("%s %s %q", c.who, op, c.target)
			wantCode(t, err, c.code)
		}
	}
	for _, op := range []wire.Op{wire.OpModSlow, wire.OpModLockdown, wire.OpModApprove} {
		_, err := do(t, New(Config{}, cast), 1, "ada", op, nil)
		wantCode(t, err, wire.CodeForbidden)
	}
	_, err := do(t, New(Config{}, cast), 1, "mod", wire.OpModApprove, nil)
	wantCode(t, err, wire.CodeWrongState)
	_, err = do(t, New(Config{}, cast), 1, "mod", wire.OpModMute, nil)
	wantCode(t, err, wire.CodeInvalidData)
}

func TestBanAndKickRemove(t *testing.T) {
	m := New(Config{}, cast)
	out, _ := do(t, m, 10, "mod", wire.OpModBan, &wire.ModUserData{User: "ada", Reason: "spam"})
	user, code, ok := Removal(out.Facts[0])
	if !ok || user != "ada" || code != wire.CloseBanned || !m.Banned("ada", 1<<50) {
		t.Fatalf("removal %q %d %v", user, code, ok)
	}
	if out.Outputs[0].Name != wire.EvRoomKicked || !out.Outputs[0].Data.(*wire.RoomKicked).Banned {
		t.Fatalf("event %+v", out.Outputs[0])
	}
	wantCode(t, m.MayWrite("ada", wire.RoleParticipant, 20), wire.CodeBanned)
	again, _ := do(t, m, 11, "mod", wire.OpModBan, &wire.ModUserData{User: "ada"})
	if len(again.Facts) != 0 {
		t.Error("the same ban twice is recorded twice")
	}
	out, _ = do(t, m, 12, "mod", wire.OpModBan, &wire.ModUserData{User: "ada", Undo: true})
	if _, _, ok := Removal(out.Facts[0]); ok || m.Banned("ada", 13) {
		t.Error("the ban is not taken back")
	}
	out, _ = do(t, m, 14, "mod", wire.OpModKick, &wire.ModUserData{User: "bob"})
	if user, code, ok := Removal(out.Facts[0]); !ok || user != "bob" || code != wire.CloseKicked || m.Banned("bob", 14) {
		t.Errorf("removal %q %d %v", user, code, ok)
	}
	do(t, m, 15, "mod", wire.OpModKick, &wire.ModUserData{User: "bob", DurationMs: 100})
	if !m.Banned("bob", 114) || m.Banned("bob", 115) || m.Deadline() != 115 {
		t.Error("a kick with a duration does not keep the user out for that long")
	}
}

func TestSlowAndLockdown(t *testing.T) {
	m := New(Config{}, cast)
	out, _ := do(t, m, 1, "mod", wire.OpModSlow, &wire.ModSlowData{EveryMs: 30_000})
	if o := out.Outputs[0]; o.Audience != effect.ToAll || !o.Resumable || o.Data.(*wire.ChatSlow).SlowMs != 30_000 {
		t.Fatalf("event %+v", o)
	}
	if m.SlowMs() != 30_000 {
		t.Error("slow mode is off")
	}
	_, err := do(t, m, 1, "mod", wire.OpModSlow, &wire.ModSlowData{EveryMs: SlowMsMax + 1})
	wantCode(t, err, wire.CodeInvalidData)
	do(t, m, 2, "mod", wire.OpModLockdown, nil)
	if !m.Lockdown() {
		t.Error("no lockdown")
	}
	wantCode(t, m.MayWrite("ada", wire.RoleParticipant, 3), wire.CodeMuted)
	wantCode(t, m.MayWrite("mod2", wire.RoleModerator, 3), "")
	wantCode(t, m.MayWrite("eye", wire.RoleObserver, 3), wire.CodeForbidden)
	off := false
	do(t, m, 4, "mod", wire.OpModLockdown, &wire.ModLockdownData{On: &off})
	wantCode(t, m.MayWrite("ada", wire.RoleParticipant, 5), "")
}

func TestSanctionsAreBounded(t *testing.T) {
	m := New(Config{MutesMax: 2, BansMax: 1}, cast)
	for i, code := range []wire.Code{"", "", wire.CodeTooLarge} {
		_, err := do(t, m, 1, "mod", wire.OpModMute, &wire.ModUserData{User: fmt.Sprint("u", i)})
		wantCode(t, err, code)
	}
	do(t, m, 1, "mod", wire.OpModBan, &wire.ModUserData{User: "u1"})
	_, err := do(t, m, 1, "mod", wire.OpModKick, &wire.ModUserData{User: "u2", DurationMs: 5})
	wantCode(t, err, wire.CodeTooLarge)
	_, err = do(t, m, 1, "mod", wire.OpModKick, &wire.ModUserData{User: "u2"})
	wantCode(t, err, "")
}

// TestReplayGivesTheSameState plays random commands, sends the facts through JSON, and applies them to a new machine.
func TestReplayGivesTheSameState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := New(Config{MutesMax: 3, BansMax: 3}, cast)
		var facts []effect.Fact
		now := int64(1000)
		users := []string{"host", "mod", "mod2", "ada", "bob", "eye", "x", "y"}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			now += rapid.Int64Range(0, 50).Draw(rt, "dt")
			out := &effect.Effects{}
			m.Tick(effect.Env{Now: now}, out)
			on := rapid.Bool().Draw(rt, "on")
			user := rapid.SampledFrom(users).Draw(rt, "user")
			d := &wire.ModUserData{
				User: user, Undo: rapid.Bool().Draw(rt, "undo"), Reason: "ünfair <b>",
				DurationMs: rapid.Int64Range(0, 100).Draw(rt, "ms"),
			}
			switch op := rapid.SampledFrom([]wire.Op{
				wire.OpModMute, wire.OpModBan, wire.OpModKick, wire.OpModSlow, wire.OpModLockdown,
			}).Draw(rt, "op"); op {
			case wire.OpModSlow:
				m.Handle(effect.Env{Now: now}, caller("mod"), op, &wire.ModSlowData{EveryMs: d.DurationMs}, out)
			case wire.OpModLockdown:
				m.Handle(effect.Env{Now: now}, caller("mod"), op, &wire.ModLockdownData{On: &on}, out)
			default:
				m.Handle(effect.Env{Now: now}, caller("host"), op, d, out)
			}
			facts = append(facts, out.Facts...)
			if next := m.earliest(); next != m.next {
				rt.Fatalf("deadline %d, want %d", m.next, next)
			}
		}
		again := New(Config{}, cast)
		for _, f := range facts {
			data, err := json.Marshal(f.Data)
			if err != nil {
				rt.Fatal(err)
			}
			decoded, err := DecodeFact(f.Kind, data)
			if err != nil || !reflect.DeepEqual(decoded, f.Data) {
				rt.Fatalf("%s comes back as %+v, %v", data, decoded, err)
			}
			again.Apply(effect.Fact{Kind: f.Kind, At: f.At, Data: decoded}, &effect.Effects{Replaying: true})
		}
		if !reflect.DeepEqual(m.Snapshot(), again.Snapshot()) || m.Deadline() != again.Deadline() {
			rt.Fatalf("replayed %+v, want %+v", again.Snapshot(), m.Snapshot())
		}
	})
}

// FuzzDecodeFact: damaged records are refused, never a panic, and what is accepted can be applied.
func FuzzDecodeFact(f *testing.F) {
	f.Add(KindMuted, []byte(`{"user":"a","by":"b","until":5}`))
	f.Add(KindSlow, []byte(`{"everyMs":5,"by":"b"}`))
	f.Add(KindLockdown, []byte(`{"on":true,"by":"b"} `))
	f.Add(KindKicked, []byte(`{"user":"a"}{}`))
	f.Add("mod.other", []byte(`{}`))
	f.Fuzz(func(_ *testing.T, kind string, data []byte) {
		v, err := DecodeFact(kind, data)
		if err == nil {
			New(Config{}, cast).Apply(effect.Fact{Kind: kind, At: 1, Data: v}, &effect.Effects{})
		}
	})
}
