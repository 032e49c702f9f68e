// Package searchtest holds the suite that every search.Index must pass.
package searchtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lectern/persist/search"
	"lectern/rooms"
)

// Run runs the suite; open makes an empty index for each test and closes it through t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) search.Index) {
	t.Run("languages", func(t *testing.T) { languages(t, open(t)) })
	t.Run("changes", func(t *testing.T) { changes(t, open(t)) })
	t.Run("filters", func(t *testing.T) { filters(t, open(t)) })
	t.Run("places", func(t *testing.T) { places(t, open(t)) })
	t.Run("forget", func(t *testing.T) { forget(t, open(t)) })
	t.Run("hostile", func(t *testing.T) { hostile(t, open(t)) })
}

func put(t *testing.T, x search.Index, room string, upTo uint64, list ...rooms.TextChange) {
	t.Helper()
	if err := x.Apply(t.Context(), []search.Changes{{Room: room, UpTo: upTo, List: list}}); err != nil {
		t.Fatal(err)
	}
}

func message(n int, text string) rooms.TextChange {
	return rooms.TextChange{ID: fmt.Sprint("m", n), Doc: rooms.Text{
		Kind: rooms.TextMessage, User: "u1", Name: "Ada", Text: text, At: int64(n), Asked: true,
	}}
}

func question(n int, text string) rooms.TextChange {
	return rooms.TextChange{ID: fmt.Sprint("q", n), Doc: rooms.Text{
		Kind: rooms.TextQuestion, Number: n, Text: text, At: int64(n),
	}}
}

// find searches in all the rooms of the suite and gives room and id of what is found.
func find(t *testing.T, x search.Index, text string, change ...func(*search.Query)) string {
	t.Helper()
	terms, refused := search.Parse(text)
	if refused != nil {
		t.Fatalf("%q: %v", text, refused)
	}
	q := search.Query{Terms: terms, Rooms: []string{"r1", "r2"}, Limit: 50}
	for _, f := range change {
		f(&q)
	}
	hits, err := x.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.Room+"/"+h.ID)
		if !search.Matches(h.Text.Text, terms) {
			t.Errorf("%q finds %q", text, h.Text.Text)
		}
		parts := search.Excerpt(h.Text.Text, terms)
		if !slices.ContainsFunc(parts, func(p search.Part) bool { return p.Hit }) {
			t.Errorf("%q: nothing is marked in %v", text, parts)
		}
	}
	return strings.Join(ids, " ")
}

func want(t *testing.T, x search.Index, text, ids string, change ...func(*search.Query)) {
	t.Helper()
	if got := find(t, x, text, change...); got != ids {
		t.Errorf("%q finds %q, want %q", text, got, ids)
	}
}

// forget: of a room that is forgotten nothing is found, and it may come again.
func forget(t *testing.T, x search.Index) {
	put(t, x, "r1", 3, message(1, "secret plan"), question(2, "secret question"))
	put(t, x, "r2", 7, message(1, "secret too"))
	rooms, err := x.Rooms(t.Context())
	if slices.Sort(rooms); err != nil || !slices.Equal(rooms, []string{"r1", "r2"}) {
		t.Fatalf("%v, %v", rooms, err)
	}
	if err := x.Forget(t.Context(), []string{"r1", "no such room"}); err != nil {
		t.Fatal(err)
	}
	want(t, x, "secret", "r2/m1")
	upTo, err := x.UpTo(t.Context(), "r1")
	if err != nil || upTo != 0 {
		t.Errorf("%d, %v", upTo, err)
	}
	put(t, x, "r1", 3, message(1, "secret plan"))
	want(t, x, "secret", "r1/m1 r2/m1")
}

func languages(t *testing.T, x search.Index) {
	texts := []string{
		1: "Die Straße nach München ist größer", 2: "Café crème, s'il vous plaît", 3: "東日本大震災について",
		4: "한국어를 배웁니다",
		5: "Ελλάδα και Οδυσσεύς", 6: "Привет, как дела? Ёлка", 7: "مَدْرَسَة جديدة", 8: "שָׁלוֹם עולם", 9: "नमस्ते दुनिया",
		10: "ภาษาไทยไม่มีช่องว่าง", 11: "Øre og æble", 12: "ﬁne ＡＢＣ 123", 13: "Cafe\u0301 decomposed",
		14: "IŞIK ışık İstanbul",
	}
	for n, text := range texts {
		if text != "" {
			put(t, x, "r1", uint64(n), message(n, text))
		}
	}
	for query, ids := range map[string]string{
		"strasse": "r1/m1", "STRASSE": "r1/m1", "munch": "r1/m1", "grosser": "r1/m1", "größ": "r1/m1",
		"straße münchen": "r1/m1",
		"creme":          "r1/m2", "plait": "r1/m2", "cafe": "r1/m13 r1/m2", "日本": "r1/m3", "震災": "r1/m3", "本日": "",
		"한국": "r1/m4", "배웁니다": "r1/m4", "ελλαδα": "r1/m5", "οδυσσευσ": "r1/m5", "привет": "r1/m6", "ПРИВЕТ": "r1/m6",
		"елка": "r1/m6", "مدرسة": "r1/m7", "שלום": "r1/m8", "नमस्ते": "r1/m9", "ไทย": "r1/m10", "ore aeble": "r1/m11",
		"fine": "r1/m12", "abc": "r1/m12", "123": "r1/m12", "isik": "r1/m14", "istanbul": "r1/m14", "nothing": "",
		`"nach münchen"`: "r1/m1", `"münchen nach"`: "", `"die straße nach"`: "r1/m1", `"stra"`: "", "s'il": "r1/m2",
	} {
		want(t, x, query, ids)
	}
}

func changes(t *testing.T, x search.Index) {
	put(t, x, "r1", 2, message(1, "one apple"), message(2, "two apples"))
	want(t, x, "apple", "r1/m2 r1/m1")
	edit := rooms.TextChange{Change: rooms.TextEdit, ID: "m1", Doc: rooms.Text{Text: "one pear"}}
	put(t, x, "r1", 3, edit)
	want(t, x, "apple", "r1/m2")
	want(t, x, "pear", "r1/m1")
	put(t, x, "r1", 4, rooms.TextChange{Change: rooms.TextDelete, ID: "m1"})
	want(t, x, "pear", "")
	// Again, as after a crash: what came first must not come back to life.
	put(t, x, "r1", 4, message(1, "one apple"), edit, rooms.TextChange{Change: rooms.TextDelete, ID: "m1"}, edit,
		rooms.TextChange{Change: rooms.TextAsked, ID: "m1"}, rooms.TextChange{Change: rooms.TextDelete, ID: "m9"})
	want(t, x, "pear", "")
	want(t, x, "apple", "r1/m2")
	hits, err := x.Search(t.Context(), search.Query{
		Terms: []search.Term{{Words: []string{"apples"}}}, Rooms: []string{"r1"}, Limit: 1,
	})
	if err != nil || len(hits) != 1 || hits[0].Text != message(2, "two apples").Doc {
		t.Errorf("%+v %v", hits, err)
	}
}

func filters(t *testing.T, x search.Index) {
	put(t, x, "r1", 9, question(1, "Which river?\nDanube\nRhine"), question(2, "Which lake?"), message(3, "which which"))
	put(t, x, "r2", 9, message(4, "which one"))
	put(t, x, "r3", 9, message(5, "which of all"))
	put(t, x, "r1", 10, rooms.TextChange{Change: rooms.TextAsked, ID: "q1"})
	want(t, x, "which", "r2/m4 r1/m3 r1/q2 r1/q1")
	want(t, x, "danube", "r1/q1")
	want(t, x, "which", "r2/m4 r1/m3 r1/q1", func(q *search.Query) { q.AskedOnly = true })
	want(t, x, "which", "r1/q2 r1/q1", func(q *search.Query) { q.Kinds = []string{rooms.TextQuestion} })
	want(t, x, "which", "r2/m4 r1/m3", func(q *search.Query) { q.Kinds = []string{rooms.TextMessage} })
	want(t, x, "which", "r2/m4", func(q *search.Query) { q.Limit = 1 })
	want(t, x, "which", "r3/m5", func(q *search.Query) { q.Rooms = []string{"r3"} })
	want(t, x, "which", "", func(q *search.Query) { q.Rooms = nil })
	want(t, x, "which", "", func(q *search.Query) { q.Rooms = []string{"r", "R1", "r1'"} })
	want(t, x, "which lake", "r1/q2")
	want(t, x, "lake river", "")
}

func places(t *testing.T, x search.Index) {
	upTo := func(room string, want uint64) {
		t.Helper()
		if got, err := x.UpTo(t.Context(), room); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", room, got, err, want)
		}
	}
	upTo("r1", 0)
	put(t, x, "r1", 7, message(1, "hello"))
	put(t, x, "r2", 1<<60)
	upTo("r1", 7)
	upTo("r2", 1<<60)
	if err := x.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	upTo("r1", 0)
	want(t, x, "hello", "")
	put(t, x, "r1", 1, message(1, "hello"))
	want(t, x, "hello", "r1/m1")
}

// hostile are texts and queries that would mean something to an engine.
func hostile(t *testing.T, x search.Index) {
	put(t, x, "r1", 1, message(1, `'); DROP TABLE texts; -- <script>alert(1)</script> NEAR AND OR NOT * : ^`),
		message(2, "zero \x00 byte and \xff\xfe broken"), message(3, strings.Repeat("long ", 10_000)),
		message(4, strings.Repeat("x", 5000)), message(5, "back\\slash % _ & | ! <-> ()"))
	for query, ids := range map[string]string{
		"drop": "r1/m1", "DROP TABLE": "r1/m1", "script": "r1/m1", "near and": "r1/m1", "and or not": "r1/m1",
		"not":    "r1/m1",
		"broken": "r1/m2", "long": "r1/m3", "xxxxxxxx": "r1/m4", "slash": "r1/m5", `back\slash`: "r1/m5",
		"zero* OR byte": "", "a:b folded:drop": "", `drop"`: "r1/m1", "drop'": "r1/m1", "(drop)": "r1/m1", "^drop$": "r1/m1",
		"drop & table | x": "", "drop <-> table": "r1/m1", "drop:*": "r1/m1",
	} {
		want(t, x, query, ids)
	}
}
