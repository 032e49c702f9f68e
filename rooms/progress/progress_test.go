package progress

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

func send(m *Machine, now int64, user, unit string, done, total int) *effect.Effects {
	out := &effect.Effects{}
	from := effect.Caller{Conn: 1, Req: 1, User: user, Name: "N" + user, Role: wire.RoleParticipant, Member: true}
	d := &wire.ProgressData{User: "forged", Name: "forged", Unit: unit, Done: done, Total: total}
	m.Handle(effect.Env{Now: now}, from, wire.OpProgressUpdate, d, out)
	return out
}

func reply(out *effect.Effects) *wire.Error { return out.Outputs[len(out.Outputs)-1].Err }

func TestOnlyChangesAreRecorded(t *testing.T) {
	m := New(Config{})
	out := send(m, 1000, "a", "u1", 1, 5)
	if len(out.Facts) != 1 || len(out.Outputs) != 2 {
		t.Fatalf("%+v", out)
	}
	o := out.Outputs[0]
	want := &wire.ProgressData{User: "a", Name: "Na", Unit: "u1", Done: 1, Total: 5}
	if o.Audience != effect.ToStaff || o.Class != wire.ClassState || !reflect.DeepEqual(o.Data, want) {
		t.Fatalf("event %+v", o)
	}
	if out = send(m, 5000, "a", "u1", 1, 5); len(out.Facts) != 0 || reply(out) != nil {
		t.Fatalf("a repetition: %+v", out)
	}
}

func TestEventsAreCoalesced(t *testing.T) {
	m := New(Config{})
	told := 0
	for i := range 1000 { // 10 s
		now := int64(1_000_000 + i*10)
		out := send(m, now, "a", "u1", i, 1000)
		m.Tick(effect.Env{Now: now}, out)
		for _, o := range out.Outputs {
			if o.Name == wire.EvProgressChanged {
				told++
			}
		}
		if len(m.queue) > 1 {
			t.Fatalf("%d put off", len(m.queue))
		}
	}
	if told < 15 || told > 21 {
		t.Errorf("told %d times in 10 s", told)
	}
	d := m.Deadline()
	out := &effect.Effects{}
	m.Tick(effect.Env{Now: d}, out)
	if len(out.Outputs) != 1 || out.Outputs[0].Data.(*wire.ProgressData).Done != 999 || m.Deadline() != 0 {
		t.Fatalf("the newest figure is not told: %+v", out.Outputs)
	}
}

func TestRefusals(t *testing.T) {
	m := New(Config{UnitsMax: 1, EntriesMax: 2})
	for _, c := range []struct {
		unit        string
		done, total int
		path        string
	}{
		{"", 1, 2, "unit"},
		{"  ", 1, 2, "unit"},
		{string(make([]byte, 65)), 1, 2, "unit"},
		{"u", -1, 2, "done"},
		{"u", 3, 2, "done"},
		{"u", 0, 0, "total"},
		{"u", 0, totalMax + 1, "total"},
	} {
		if err := reply(send(m, 1, "a", c.unit, c.done, c.total)); err == nil || err.Path != c.path {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []struct {
		user, unit string
		code       wire.Code
	}{{"a", "u", ""}, {"a", "v", wire.CodeTooLarge}, {"b", "u", ""}, {"c", "u", wire.CodeTooLarge}} {
		if err := reply(send(m, 1, c.user, c.unit, 1, 2)); (err == nil) != (c.code == "") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	out := &effect.Effects{}
	m.Handle(effect.Env{Now: 1}, effect.Caller{Req: 1, Role: wire.RoleObserver}, wire.OpProgressUpdate,
		&wire.ProgressData{Unit: "u", Total: 1}, out)
	if err := reply(out); err == nil || err.Code != wire.CodeForbidden {
		t.Errorf("an observer: %v", err)
	}
	out = &effect.Effects{}
	m.Handle(effect.Env{Now: 1}, effect.Caller{Req: 1}, wire.OpProgressUpdate, nil, out)
	if err := reply(out); err == nil || err.Code != wire.CodeInvalidData {
		t.Errorf("no data: %v", err)
	}
}

// TestReplayAndSums: facts through JSON give the same state, and the kept sums equal sums made from scratch.
func TestReplayAndSums(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := New(Config{})
		again := New(Config{})
		now := int64(1000)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now += rapid.Int64Range(0, 300).Draw(rt, "dt")
			total := rapid.IntRange(1, 3).Draw(rt, "total")
			out := send(m, now, fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "user")),
				fmt.Sprint(rapid.IntRange(0, 2).Draw(rt, "unit")), rapid.IntRange(0, total).Draw(rt, "done"), total)
			m.Tick(effect.Env{Now: now}, out)
			for _, f := range out.Facts {
				data, _ := json.Marshal(f.Data)
				v, err := DecodeFact(f.Kind, data)
				if err != nil {
					rt.Fatal(err)
				}
				again.Apply(effect.Fact{Kind: f.Kind, At: f.At, Data: v}, &effect.Effects{Replaying: true})
			}
		}
		got := m.Snapshot()
		if !reflect.DeepEqual(got, again.Snapshot()) || len(again.queue) != 0 {
			rt.Fatalf("replayed %+v, want %+v", again.Snapshot(), got)
		}
		for _, s := range got {
			want := UnitSummary{Unit: s.Unit}
			for k, e := range m.entries {
				if k.unit != s.Unit {
					continue
				}
				want.Users++
				want.Done += int64(e.done)
				want.Total += int64(e.total)
				if e.done == e.total {
					want.Finished++
				}
			}
			if s != want {
				rt.Fatalf("%+v, want %+v", s, want)
			}
		}
	})
}

// FuzzDecodeFact: damaged records are refused, never a panic.
func FuzzDecodeFact(f *testing.F) {
	f.Add(KindUpdated, []byte(`{"user":"a","name":"b","unit":"u","done":1,"total":2}`))
	f.Add(KindUpdated, []byte(`{"x":1}`))
	f.Add("other", []byte(`{}`))
	f.Fuzz(func(_ *testing.T, kind string, data []byte) {
		v, err := DecodeFact(kind, data)
		if err == nil {
			New(Config{}).Apply(effect.Fact{Kind: kind, At: 1, Data: v}, &effect.Effects{})
		}
	})
}
