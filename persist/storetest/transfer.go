package storetest

import (
	"context"
	"fmt"
	"testing"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// Fill puts something of everything into a store: rooms that live, were closed and have odd names, quizzes of several
// owners, keys, and sessions that are fresh, rotated, revoked and retried.
func Fill(t *testing.T, ctx context.Context, s persist.Store) {
	t.Helper()
	must(t, s.AppendRecords(ctx, append(Records("a", 1, 700), Records("b", 1, 3)...)))
	closeRoom(t, ctx, s, "b", 3, 99)
	must(t, s.AppendRecords(ctx, []rooms.Record{
		{Room: "ö\x00\\x00", Index: 1, Kind: "x", At: -5, Data: []byte{0, 255}}, {Room: "plain", Index: 1, Kind: "y"},
	}))
	for i := range 7 {
		_, err := s.PutQuiz(ctx, fmt.Sprint("u", i%3), Quiz(fmt.Sprint("quiz ", i)))
		must(t, err)
	}
	must(t, s.AddKey(ctx, auth.StoredKey{ID: "k1", PKCS8: []byte{1, 2, 3}, CreatedAt: 7}, 0, true))
	must(t, s.AddKey(ctx, auth.StoredKey{ID: "k2", PKCS8: []byte{4}, CreatedAt: 8}, 5000, false))
	for i := range byte(4) {
		newFamily(t, ctx, s, fmt.Sprint("f", i), 10*i+1)
	}
	_, err := rotate(ctx, s, hash(1), hash(2), 20, 2000)
	must(t, err)
	_, err = s.RevokeFamily(ctx, hash(11), 33)
	must(t, err)
	must(t, s.MarkAlive(ctx, 4711))
}

// testTransfer: everything arrives from another store, and goes on to another, and works there.
func testTransfer(t *testing.T, ctx context.Context, s persist.Store) {
	first := mem.New(nil)
	Fill(t, ctx, first)
	want, err := persist.Summarise(ctx, first)
	must(t, err)
	if want.Rooms != 4 || want.Records != 706 || want.Quizzes != 7 || want.Keys != 2 || want.Families != 4 ||
		want.Tokens != 5 || want.Alive != 4711 {
		t.Fatalf("the source holds %s", want)
	}
	told := 0
	got, err := persist.Transfer(ctx, first, s, func(records int) { told = records })
	must(t, err)
	if got != want || told != want.Records {
		t.Fatalf("%d were told of; copied\n%s\nof\n%s", told, got, want)
	}
	_, err = persist.Transfer(ctx, first, s, nil)
	wantErr(t, err, persist.ErrNotEmpty)
	last := mem.New(nil)
	got, err = persist.Transfer(ctx, s, last, nil)
	must(t, err)
	if got != want {
		t.Fatalf("copied on\n%s\nof\n%s", got, want)
	}
	live, err := s.LiveRooms(ctx)
	must(t, err)
	if len(live) != 1 || live[0] != "a" {
		t.Fatalf("live rooms are %v", live)
	}
	must(t, s.AppendRecords(ctx, Records("a", 701, 702)))
	_, err = retry(ctx, s, 1, 3, 79)
	must(t, err)
	_, err = rotate(ctx, s, hash(11), hash(12), 40, 2000)
	wantErr(t, err, auth.ErrRefreshRevoked)
	list, err := s.ListQuizzes(ctx, "u0")
	must(t, err)
	if len(list) != 3 || list[0].Title != "quiz 6" || list[0].Questions != 3 {
		t.Fatalf("u0 has %+v", list)
	}
	_, err = s.PutQuiz(ctx, "u0", Quiz("new"))
	must(t, err)
	other, err := persist.Summarise(ctx, s)
	must(t, err)
	if other.Sum == want.Sum {
		t.Fatal("the sum doesn't notice a change")
	}
}
