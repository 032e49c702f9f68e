package api

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"lectern/persist"
	"lectern/persist/mem"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// TestResultsOfEndedSessionsAreTheOwners: a token that is good for one room says nothing about the owner's other
// sessions, also when they are over.
func TestResultsOfEndedSessionsAreTheOwners(t *testing.T) {
	t.Parallel()
	store := mem.New(time.Now)
	question := map[string]any{"type": "true_false", "text": "Yes?", "correct": true}
	for i, fact := range []struct {
		kind string
		data any
	}{
		{rooms.KindRoomCreated, map[string]any{"epoch": "e", "owner": "host"}},
		{"quiz.created", map[string]any{
			"quiz": map[string]any{"title": "T", "questions": []any{question}}, "pin": "123456", "owner": "host",
		}},
		{rooms.KindRoomClosed, map[string]any{}},
	} {
		raw, err := json.Marshal(fact.data)
		if err == nil {
			err = store.AppendRecords(t.Context(), []rooms.Record{
				{Room: "old", Index: uint64(i + 1), Kind: fact.kind, At: 5, Data: raw},
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a := New(Options{
		Store: store, Journal: persist.New(store, persist.Config{}), RoomsConfig: new(rooms.Config),
		Logger: slog.New(slog.DiscardHandler),
	})
	for name, c := range map[string]struct {
		claims auth.Claims
		good   bool
	}{
		"the owner":                   {auth.Claims{Subject: "host", Role: wire.RoleHost}, true},
		"of this room":                {auth.Claims{Subject: "helper", Role: wire.RoleHost, Room: "old"}, true},
		"an admin":                    {auth.Claims{Subject: "root", Role: wire.RoleAdmin}, true},
		"another host":                {auth.Claims{Subject: "other", Role: wire.RoleHost}, false},
		"the owner's of another room": {auth.Claims{Subject: "host", Role: wire.RoleHost, Room: "new"}, false},
	} {
		results, err := a.finished(t.Context(), "old", c.claims)
		if (err == nil) != c.good || c.good && results.Title != "T" {
			t.Errorf("%s: %v, %v", name, results, err)
		}
	}
}
