package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/persist/search"
	"lectern/rooms"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func record(room string, index uint64, kind string, data any) rooms.Record {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return rooms.Record{Room: room, Index: index, Kind: kind, At: int64(index), Data: raw}
}

func sent(room string, index uint64, text string) rooms.Record {
	return record(room, index, "chat.sent", map[string]any{
		"n": index, "user": "u", "name": "U", "role": "participant", "text": text,
	})
}

func store(t *testing.T, s persist.Store, recs ...rooms.Record) {
	t.Helper()
	if err := s.AppendRecords(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, x *search.Indexer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, x *search.Indexer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := x.Wait(ctx); err != nil {
		t.Fatalf("the index does not catch up: %v, %+v", err, x.Stats())
	}
}

func found(t *testing.T, x search.Index, text string) string {
	t.Helper()
	terms, refused := search.Parse(text)
	if refused != nil {
		t.Fatal(refused)
	}
	hits, err := x.Search(t.Context(), search.Query{Terms: terms, Rooms: []string{"r", "s"}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.Room+"/"+h.ID)
	}
	return strings.Join(ids, " ")
}

// TestIndexFollowsTheStore: what is stored is found, also what was stored while no indexer ran, and what was edited,
// deleted or asked meanwhile; and a rebuilt index says the same.
func TestIndexFollowsTheStore(t *testing.T) {
	t.Parallel()
	s, index := mem.New(nil), search.NewMemory()
	store(t, s, sent("r", 1, "before apple"), record("r", 2, "room.published", map[string]any{"event": "x", "payload": 1}))
	x := search.NewIndexer(index, s, quiet)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := run(t, x)
	live := x.Store()
	store(t, live, sent("r", 3, "live apple"), sent("s", 1, "other apple"))
	wait(t, x)
	if got := found(t, index, "apple"); got != "r/m3 r/m1 s/m1" {
		t.Errorf("%s", got)
	}
	store(t, live, record("r", 4, "chat.edited", map[string]any{"id": "m1", "text": "a pear"}),
		record("r", 5, "chat.deleted", map[string]any{"id": "m3", "user": "u", "by": "author"}))
	wait(t, x)
	if got := found(t, index, "apple") + "," + found(t, index, "pear"); got != "s/m1,r/m1" {
		t.Errorf("%s", got)
	}
	stop()
	store(t, s, sent("s", 2, "missed apple")) // nobody saw it
	again := search.NewIndexer(index, s, quiet)
	if err := again.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, again)
	wait(t, again)
	if got := found(t, index, "apple"); got != "s/m2 s/m1" {
		t.Errorf("after a restart: %s", got)
	}
	fresh := search.NewMemory()
	if n, err := search.NewIndexer(fresh, s, quiet).Rebuild(t.Context()); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := found(t, fresh, "apple") + "," + found(t, fresh, "pear"); got != "s/m2 s/m1,r/m1" {
		t.Errorf("rebuilt: %s", got)
	}
}

// moody is an index that refuses when told to.
type moody struct {
	*search.Memory
	broken atomic.Bool
}

func (m *moody) Apply(ctx context.Context, c []search.Changes) error {
	if m.broken.Load() {
		return errors.New("the test says no")
	}
	return m.Memory.Apply(ctx, c)
}

// TestIndexThatFails: nothing of a room is skipped when the index fails for a while, and the store does not notice.
func TestIndexThatFails(t *testing.T) {
	t.Parallel()
	s, index := mem.New(nil), &moody{Memory: search.NewMemory()}
	x := search.NewIndexer(index, s, quiet)
	live := x.Store()
	index.broken.Store(true)
	store(t, live, sent("r", 1, "one"), sent("r", 2, "two"))
	stop := run(t, x)
	for x.Stats().RoomsBehind == 0 {
		x.Stats()
	}
	stop()
	store(t, live, sent("r", 3, "three"), sent("s", 1, "three")) // r is behind: its record waits in the store
	index.broken.Store(false)
	run(t, x)
	wait(t, x)
	if got := found(t, index, "one") + "," + found(t, index, "three"); got != "r/m1,r/m3 s/m1" {
		t.Errorf("%s", got)
	}
	if st := x.Stats(); st.Failed == 0 || st.RoomsBehind != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// TestQueueIsBounded: when nobody indexes, rooms fall behind instead of filling the memory, and are read later.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	s, index := mem.New(nil), search.NewMemory()
	x := search.NewIndexer(index, s, quiet)
	live := x.Store()
	const n = 25_000
	for i := uint64(1); i <= n; i += 1000 {
		var recs []rooms.Record
		for k := range uint64(1000) {
			recs = append(recs, sent("r", i+k, fmt.Sprintf("word%d", i+k)))
		}
		store(t, live, recs...)
	}
	if st := x.Stats(); st.Waiting > 20_000 || st.RoomsBehind != 1 {
		t.Errorf("%+v", st)
	}
	run(t, x)
	wait(t, x)
	got := found(t, index, fmt.Sprint("word", n)) + " " + found(t, index, `"word1"`)
	if got != fmt.Sprintf("r/m%d r/m1", n) {
		t.Errorf("%.100s", got)
	}
	unread := rooms.Record{Room: "s", Index: 1, Kind: "chat.sent", Data: []byte("rubbish")}
	store(t, live, unread, sent("s", 2, "after rubbish"))
	wait(t, x)
	if got := found(t, index, "rubbish"); got != "s/m2" {
		t.Errorf("%s", got)
	}
}

func TestExcerpts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, query, want string }{
		{"Die Straße nach Ulm", "strasse", "Die [Straße] nach Ulm"},
		{"Cafe\u0301s, many", "cafes", "[Cafe\u0301s], many"},
		{"<b>bold</b> & more", "bold", "<b>[bold]</b> & more"},
		{"one two three two", `"two three"`, "one [two three] two"},
		{"東日本大震災", "日本", "東[日本]大震災"},
		{"a b c d e f g h i j k l target z", "target", "…e f g h i j k l [target] z"},
		{"find " + strings.Repeat("x", 300), "find", "[find] " + strings.Repeat("x", 235) + "…"},
		{strings.Repeat("y", 300), "yy", "[" + strings.Repeat("y", 240) + "]…"},
	} {
		terms, refused := search.Parse(c.query)
		if refused != nil {
			t.Fatal(refused)
		}
		var got strings.Builder
		for _, p := range search.Excerpt(c.text, terms) {
			if p.Hit {
				got.WriteString("[" + p.Text + "]")
			} else {
				got.WriteString(p.Text)
			}
		}
		if got.String() != c.want {
			t.Errorf("%q in %q: %s", c.query, c.text, got.String())
		}
	}
	for query, path := range map[string]string{"": "q", "…!?": "q", "a": "q", "a b c d e f g h i": "q"} {
		if terms, refused := search.Parse(query); refused == nil || refused.Path != path {
			t.Errorf("%q: %v %v", query, terms, refused)
		}
	}
	if _, refused := search.Parse(strings.Repeat("a", 101)); refused == nil || refused.Code != "too_large" {
		t.Error(refused)
	}
}

// FuzzExcerpt: no text and no query makes it fail; the parts are the text, and what matches has a hit.
func FuzzExcerpt(f *testing.F) {
	f.Add("Die Straße", "strasse")
	f.Add("東日本\xff\u0301", `"日本`)
	f.Fuzz(func(t *testing.T, text, query string) {
		terms, refused := search.Parse(query)
		if refused != nil {
			return
		}
		var all strings.Builder
		hit := false
		for _, p := range search.Excerpt(text, terms) {
			all.WriteString(p.Text)
			hit = hit || p.Hit
		}
		if !strings.Contains(text, strings.Trim(all.String(), "…")) && !strings.Contains(text, "…") {
			t.Errorf("%q is no excerpt of %q", all.String(), text)
		}
		if search.Matches(text, terms) && !hit {
			t.Errorf("%q has no hit for %q", all.String(), query)
		}
		for _, token := range search.Tokens(text) {
			if token.Start < 0 || token.Start >= token.End || token.End > len(text) || token.Word == "" {
				t.Fatalf("%+v in %q", token, text)
			}
		}
	})
}

// spooled is a store that doesn't list one of its rooms, as a spool doesn't list what the database has not got yet.
type spooled struct {
	persist.Store
	hidden string
}

func (s *spooled) Rooms(ctx context.Context, limit int) ([]persist.RoomInfo, error) {
	list, err := s.Store.Rooms(ctx, limit)
	return slices.DeleteFunc(list, func(i persist.RoomInfo) bool { return i.Room == s.hidden }), err
}

// TestWhatTheStoreForgetsIsNotFound: a room that is deleted because it is old leaves no texts behind in the index; one
// that merely isn't listed stays.
func TestWhatTheStoreForgetsIsNotFound(t *testing.T) {
	t.Parallel()
	s := &spooled{Store: mem.New(time.Now), hidden: "s"}
	x := search.NewIndexer(search.NewMemory(), s, quiet)
	run(t, x)
	store(t, x.Store(), sent("r", 1, "secret"), record("r", 2, rooms.KindRoomClosed, struct{}{}), sent("s", 1, "secret"))
	wait(t, x)
	if n, err := x.ForgetGone(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d forgotten, %v", n, err)
	}
	if n, err := s.ForgetRooms(t.Context(), 1000); n != 1 || err != nil {
		t.Fatalf("%d rooms deleted, %v", n, err)
	}
	if n, err := x.ForgetGone(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d forgotten, %v", n, err)
	}
	if got := found(t, x.Index(), "secret"); got != "s/m1" {
		t.Errorf("found: %s", got)
	}
}
