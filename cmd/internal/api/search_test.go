package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"lectern/persist/mem"
	"lectern/persist/search"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

// asked notes which rooms are asked: a room that is over is read back from the store for each question.
type asked struct{ rooms []string }

func (a *asked) Call(_ context.Context, cmd rooms.Command) (any, *wire.Error) {
	a.rooms = append(a.rooms, cmd.Room)
	return map[string]string{"m1": "hello"}, nil
}

func (a *asked) NewSession(effect.Caller, *wire.QuizCreateData) (rooms.Command, *wire.Error) {
	return rooms.Command{}, nil
}

// TestSearchReadsNoSessionBack: a search through all of a host's sessions asks those that are alive, and finds in those
// that are over without replaying each of them.
func TestSearchReadsNoSessionBack(t *testing.T) {
	t.Parallel()
	store := mem.New(time.Now)
	record := func(room string, index uint64, kind string, data any) {
		raw, err := json.Marshal(data)
		if err == nil {
			err = store.AppendRecords(t.Context(), []rooms.Record{{Room: room, Index: index, Kind: kind, At: 5, Data: raw}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var found []search.Hit
	for i := range 20 {
		room := fmt.Sprint("r", i)
		record(room, 1, rooms.KindRoomCreated, map[string]any{"epoch": "e", "owner": "host"})
		if i > 0 {
			record(room, 2, rooms.KindRoomClosed, map[string]any{})
		}
		found = append(found, search.Hit{Room: room, ID: "m1", Text: rooms.Text{Kind: rooms.TextMessage, Text: "hello"}})
	}
	gateway := new(asked)
	a := New(Options{Store: store, Gateway: gateway, Logger: slog.New(slog.DiscardHandler)})
	host := auth.Claims{Subject: "host", Role: wire.RoleHost}
	terms, refused := search.Parse("hello")
	if refused != nil {
		t.Fatal(refused)
	}
	list, over, refused := a.searchable(t.Context(), host, "")
	if refused != nil || len(list) != 20 {
		t.Fatal(list, refused)
	}
	hits, refused := a.readable(t.Context(), host, "", over, terms, found)
	if refused != nil || len(hits) != 20 {
		t.Errorf("%d hits, %v", len(hits), refused)
	}
	if len(gateway.rooms) != 1 || gateway.rooms[0] != "r0" {
		t.Errorf("asked: %v", gateway.rooms)
	}
}
