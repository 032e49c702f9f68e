package presence

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// model is presence as simple as it can be.
type model map[wire.ConnID]wire.MemberView

func (m model) users() map[string]wire.MemberView {
	users := map[string]wire.MemberView{}
	for _, v := range m {
		users[v.User] = v
	}
	return users
}

// rename gives every connection of a user the newest name and role.
func (m model) rename(v wire.MemberView) {
	for c, old := range m {
		if old.User == v.User {
			m[c] = v
		}
	}
}

func TestTrackerEqualsModel(t *testing.T) {
	names := []string{"Ada", "ada", "ADA", "Bob", "ǅ", "ǆ", "Straße", "K", "k", "\u212A", "Σ", "ς", ""}
	rapid.Check(t, func(rt *rapid.T) {
		tr, m := New(), model{}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			conn := wire.ConnID(rapid.IntRange(1, 12).Draw(rt, "conn"))
			if rapid.IntRange(0, 2).Draw(rt, "op") == 0 {
				v, was := m[conn]
				delete(m, conn)
				_, still := m.users()[v.User]
				user, last := tr.Leave(conn)
				if user != v.User || last != (was && !still) {
					rt.Fatalf("leave %d: %q, %v", conn, user, last)
				}
			} else {
				v := wire.MemberView{
					User: fmt.Sprint("u", rapid.IntRange(0, 5).Draw(rt, "user")),
					Name: rapid.SampledFrom(names).Draw(rt, "name"),
					Role: wire.Role(rapid.IntRange(1, 4).Draw(rt, "role")),
				}
				_, there := m.users()[v.User]
				if old, was := m[conn]; was && old.User != v.User {
					delete(m, conn)
				}
				m[conn] = v
				m.rename(v)
				if first := tr.Join(conn, v.User, v.Name, v.Role); first == there {
					rt.Fatalf("join %d %+v: first %v", conn, v, first)
				}
			}
			compare(rt, tr, m, names)
		}
	})
}

func compare(rt *rapid.T, tr *Tracker, m model, names []string) {
	users := m.users()
	if tr.Users() != len(users) || tr.Conns() != len(m) {
		rt.Fatalf("%d users and %d connections, want %d and %d", tr.Users(), tr.Conns(), len(users), len(m))
	}
	var ids []string
	for id, v := range users {
		ids = append(ids, id)
		if got, ok := tr.Member(id); !ok || got != v {
			rt.Fatalf("member %q: %+v", id, got)
		}
		want := map[wire.ConnID]bool{}
		for c, v := range m {
			if v.User == id {
				want[c] = true
			}
		}
		for c := range tr.ConnsOf(id) {
			if !want[c] {
				rt.Fatalf("%d is not a connection of %q, or twice", c, id)
			}
			delete(want, c)
			if got, ok := tr.MemberOf(c); !ok || got != v {
				rt.Fatalf("member of %d: %+v", c, got)
			}
		}
		if len(want) > 0 {
			rt.Fatalf("%q lacks %v", id, want)
		}
	}
	slices.Sort(ids)
	var paged []string
	for after := ""; ; {
		page, next := tr.Page(after, 2)
		for _, v := range page {
			paged = append(paged, v.User)
		}
		if after = next; next == "" {
			break
		}
	}
	if !slices.Equal(paged, ids) {
		rt.Fatalf("pages %v, want %v", paged, ids)
	}
	for _, name := range names {
		var want []string
		for id, v := range users {
			if strings.EqualFold(v.Name, name) {
				want = append(want, id)
			}
		}
		got := tr.ByName(name)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("by name %q: %v, want %v", name, got, want)
		}
	}
	n := 0
	for v := range tr.Each() {
		if users[v.User] != v {
			rt.Fatalf("each: %+v", v)
		}
		n++
	}
	if n != len(users) || len(tr.more) > len(users) {
		rt.Fatalf("each: %d of %d", n, len(users))
	}
}

func TestSampleIsFair(t *testing.T) {
	tr := New()
	for i := range 10 {
		tr.Join(wire.ConnID(i+1), fmt.Sprint("u", i), "", wire.RoleParticipant)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for range 10_000 {
		sample := tr.Sample(rng, 3)
		if len(sample) != 3 || sample[0] == sample[1] || sample[1] == sample[2] || sample[0] == sample[2] {
			t.Fatalf("sample %+v", sample)
		}
		for _, v := range sample {
			counts[v.User]++
		}
	}
	for user, n := range counts {
		if n < 2800 || n > 3200 {
			t.Errorf("%s comes %d times, want about 3,000", user, n)
		}
	}
	if got := len(tr.Sample(rng, 1000)); got != 10 {
		t.Errorf("%d members", got)
	}
	if got := len(New().Sample(rng, 5)); got != 0 {
		t.Errorf("%d members of nobody", got)
	}
}

func TestAnswer(t *testing.T) {
	tr := New()
	for i := range 30 {
		tr.Join(wire.ConnID(i+1), fmt.Sprintf("u%02d", i), "n", wire.RoleParticipant)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	if r := tr.Answer(rng, wire.PresenceData{}); r.Count != 30 || r.Members != nil {
		t.Errorf("count: %+v", r)
	}
	if r := tr.Answer(rng, wire.PresenceData{Mode: "sample"}); r.Count != 30 || len(r.Members) != 20 {
		t.Errorf("sample: %+v", r)
	}
	r := tr.Answer(rng, wire.PresenceData{Mode: "page", Limit: 25})
	if len(r.Members) != 25 || r.Next != "u24" {
		t.Errorf("page: %+v", r)
	}
	if r = tr.Answer(rng, wire.PresenceData{Mode: "page", After: r.Next}); len(r.Members) != 5 || r.Next != "" {
		t.Errorf("last page: %+v", r)
	}
}

func TestCountIsToldTwiceASecondAtMost(t *testing.T) {
	tr := New()
	if tr.Deadline() != 0 {
		t.Fatal("nothing has happened")
	}
	told := 0
	now := int64(1_000_000)
	for i := range 1000 { // 10 s
		tr.Join(wire.ConnID(i+1), fmt.Sprint("u", i), "", wire.RoleParticipant)
		if d := tr.Deadline(); d != 0 && now >= d {
			out := &effect.Effects{}
			tr.Tick(now, out)
			o := out.Outputs[0]
			if o.Class != wire.ClassState || o.Key == "" || o.Name != wire.EvRoomPresence ||
				o.Data.(*wire.PresenceReply).Count != tr.Users() {
				t.Fatalf("event %+v", o)
			}
			told++
		}
		now += 10
	}
	if told != 19 { // 500 ms while the room is small, 590 ms towards its 1,000 members
		t.Errorf("told %d times in 10 s", told)
	}
	for i := range 99_000 {
		tr.Join(wire.ConnID(i+2000), fmt.Sprint("v", i), "", wire.RoleParticipant)
	}
	if wait := tr.Deadline() - tr.sentAt; wait != 10_500 {
		t.Errorf("a room of 100,000 is told every %d ms", wait)
	}
	out := &effect.Effects{}
	tr.Tick(tr.Deadline(), out)
	if len(out.Outputs) != 1 || tr.Deadline() != 0 {
		t.Error("the last count is not told")
	}
}

// TestMemoryPerMember counts what an idle member with one connection costs here, beside its strings.
func TestMemoryPerMember(t *testing.T) {
	const n = 100_000
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tr := New()
	for i, u := range users {
		tr.Join(wire.ConnID(i+1), u, u, wire.RoleParticipant)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes a member", per)
	if per > 200 {
		t.Errorf("%.0f bytes a member, want at most 200", per)
	}
	runtime.KeepAlive(tr)
	runtime.KeepAlive(users)
}

func BenchmarkPage(b *testing.B) {
	tr := New()
	for i := range 100_000 {
		tr.Join(wire.ConnID(i+1), fmt.Sprint("user-", (i*7919)%100_000), "n", wire.RoleParticipant)
	}
	for b.Loop() {
		tr.Page("user-5", 100)
	}
}
