package storetest

import (
	"context"
	"reflect"
	"testing"

	"lectern/persist"
	"lectern/protocol/wire"
)

// Quiz makes a small quiz with every member set that can be lost on the way.
func Quiz(title string) *wire.Quiz {
	yes, points := true, 500
	return &wire.Quiz{
		Title: title, Language: "de", Settings: wire.QuizSettings{Scoring: "linear", LateJoin: &yes},
		Questions: []wire.Question{
			{
				Type: wire.SingleChoice, Text: "1 < 2 & \"so\"?", Points: &points,
				Options: []wire.Option{{Text: "yes", Correct: true}, {Text: "nö"}},
			},
			{Type: wire.Numeric, Text: "π", Numbers: []wire.NumberRange{{Min: 3.14, Max: 3.142}}},
			{Type: wire.TrueFalse, Text: "true?", Correct: &yes},
		},
	}
}

func testQuizzes(t *testing.T, ctx context.Context, s persist.Store) {
	q := Quiz("first")
	id, err := s.PutQuiz(ctx, "u1", q)
	must(t, err)
	if id == "" || q.ID != "" {
		t.Fatalf("id is %q, the caller's quiz now has %q", id, q.ID)
	}
	second, err := s.PutQuiz(ctx, "u1", Quiz("second"))
	must(t, err)
	got, owner, err := s.GetQuiz(ctx, id)
	must(t, err)
	q.ID = id
	if owner != "u1" || !reflect.DeepEqual(got, q) {
		t.Fatalf("got %+v of %s, want %+v", got, owner, q)
	}
	q.Title, q.Questions = "changed", q.Questions[:1]
	again, err := s.PutQuiz(ctx, "u1", q)
	must(t, err)
	list, err := s.ListQuizzes(ctx, "u1")
	must(t, err)
	if again != id || len(list) != 2 || list[0].ID != id || list[0].Title != "changed" || list[0].Questions != 1 ||
		list[0].Language != "de" || list[0].UpdatedAt == 0 || list[1].ID != second {
		t.Fatalf("after the change of %s the list is %+v", id, list)
	}
	must(t, s.DeleteQuiz(ctx, "u1", id))
	wantErr(t, s.DeleteQuiz(ctx, "u1", id), persist.ErrNotFound)
	_, _, err = s.GetQuiz(ctx, id)
	wantErr(t, err, persist.ErrNotFound)
	_, err = s.PutQuiz(ctx, "u1", q) // an id that is gone doesn't come back
	wantErr(t, err, persist.ErrNotFound)
}

func testQuizOwners(t *testing.T, ctx context.Context, s persist.Store) {
	id, err := s.PutQuiz(ctx, "u1", Quiz("mine"))
	must(t, err)
	theirs := Quiz("stolen")
	theirs.ID = id
	_, err = s.PutQuiz(ctx, "u2", theirs)
	wantErr(t, err, persist.ErrNotFound)
	wantErr(t, s.DeleteQuiz(ctx, "u2", id), persist.ErrNotFound)
	list, err := s.ListQuizzes(ctx, "u2")
	must(t, err)
	got, owner, err := s.GetQuiz(ctx, id)
	must(t, err)
	if len(list) != 0 || owner != "u1" || got.Title != "mine" {
		t.Fatalf("u2 sees %v; the quiz is %q of %s", list, got.Title, owner)
	}
}
