package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lectern/persist"
	"lectern/persist/search"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

const (
	// searchesPerMinute is how often one user may search.
	searchesPerMinute = 60
	searchLimitMax    = 50
	// searchSpare is how many more texts are looked up than asked for, because rooms may hold some of them back.
	searchSpare = 50
	// freshnessWait is how long a search waits for what was stored a moment ago to be indexed.
	freshnessWait = 500 * time.Millisecond
	// searchTimeout ends what an index does for one search.
	searchTimeout = 3 * time.Second
)

type searchRequest struct {
	Bearer
	Q     string `query:"q" maxLength:"400" doc:"words that must all be there; in quotation marks: a phrase"`
	Room  string `query:"room" maxLength:"64" doc:"in this room only; hosts may leave it out: all their sessions"`
	Kind  string `query:"kind" enum:"message,question" required:"false"`
	Limit int    `query:"limit" minimum:"1" maximum:"50" default:"20"`
}

// searchHit is one text that was found. Its parts are plain text.
type searchHit struct {
	Room   string        `json:"room"`
	ID     string        `json:"id" doc:"of the message, as in the chat; q3 for question 3"`
	Kind   string        `json:"kind" enum:"message,question"`
	Number int           `json:"number,omitempty" doc:"of the question"`
	User   string        `json:"user,omitempty"`
	Name   string        `json:"name,omitempty"`
	At     int64         `json:"at"`
	Parts  []search.Part `json:"parts" doc:"an excerpt: put together they are text, not markup"`
}

type searchReply struct {
	Body struct {
		Hits []searchHit `json:"hits"`
		More bool        `json:"more,omitempty" doc:"there are more: search for something rarer"`
	}
}

func (a *API) registerSearch(h huma.API) {
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/search", "search",
		"Find messages and questions that the caller may read", "search")), a.search)
}

// search asks the index for candidates and then the rooms what of it the caller may read, and how it reads now.
func (a *API) search(ctx context.Context, in *searchRequest) (*searchReply, error) {
	c, err := a.claims(in.Bearer, wire.RoleObserver)
	if err != nil {
		return nil, err
	}
	if a.Search == nil {
		return nil, fail(wire.NewError(wire.CodeUnavailable, "the search is not available on this server"))
	}
	if err := a.limits.searches.take(ctx, c.Subject, a.Now()); err != nil {
		return nil, fail(err)
	}
	terms, refused := search.Parse(in.Q)
	if refused != nil {
		return nil, fail(refused)
	}
	within, over, refused := a.searchable(ctx, c, in.Room)
	if refused != nil {
		return nil, fail(refused)
	}
	fresh, stopWaiting := context.WithTimeout(ctx, freshnessWait)
	_ = a.Search.Wait(fresh) // otherwise the newest are found a moment later
	stopWaiting()
	q := search.Query{Terms: terms, Rooms: within, AskedOnly: c.Role < wire.RoleHost, Limit: in.Limit + searchSpare}
	if in.Kind != "" {
		q.Kinds = []string{in.Kind}
	}
	limited, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	found, err := a.Search.Index().Search(limited, q)
	if err != nil {
		return nil, a.storeFailed("searching", err)
	}
	hits, refused := a.readable(ctx, c, in.Room, over, terms, found)
	if refused != nil {
		return nil, fail(refused)
	}
	r := new(searchReply)
	r.Body.Hits = hits[:min(len(hits), in.Limit)]
	r.Body.More = len(hits) > in.Limit
	return r, nil
}

// searchable are the rooms that the search looks into. Whether the caller may read them is for the rooms to say, except
// for those in over: sessions of the caller's own that have ended, which need not be read back to say so.
func (a *API) searchable(ctx context.Context, c auth.Claims, room string) (
	list []string, over map[string]bool, _ *wire.Error,
) {
	if room == "" {
		room = c.Room
	}
	switch {
	case c.Room != "" && room != c.Room:
		return nil, nil, wire.NewError(wire.CodeForbidden, "this token is good for another room only").At("room")
	case room != "":
		return []string{room}, nil, nil
	case c.Role < wire.RoleHost:
		return nil, nil, wire.NewError(wire.CodeInvalidData, "name the room to search in").At("room")
	}
	infos, err := a.Store.RoomsOf(ctx, c.Subject, sessionsMax)
	if err != nil {
		a.Logger.Error("a store failed", "doing", "listing sessions", "err", err)
		return nil, nil, wire.NewError(wire.CodeUnavailable, "the storage is not available; try again")
	}
	list, over = make([]string, len(infos)), make(map[string]bool)
	for i := range infos {
		list[i] = infos[i].Room
		if infos[i].ClosedAt != 0 {
			over[infos[i].Room] = true
		}
	}
	return list, over, nil
}

// readable leaves of the texts found what the caller may read, room by room. In a search of one room its refusal is the
// answer; among several, a room that refuses is left out.
func (a *API) readable(ctx context.Context, c auth.Claims, only string, over map[string]bool, terms []search.Term,
	found []search.Hit,
) ([]searchHit, *wire.Error) {
	ids := map[string][]string{}
	if only == "" {
		only = c.Room
	}
	if only != "" {
		ids[only] = nil // asked even if nothing was found: whoever may not read it isn't told that there is nothing
	}
	for i := range found {
		ids[found[i].Room] = append(ids[found[i].Room], found[i].ID)
	}
	texts := map[string]map[string]string{}
	for room, list := range ids {
		if over[room] {
			texts[room] = nil // the index is all there is
			continue
		}
		data, refused := a.Gateway.Call(ctx, rooms.Command{
			Room: room, From: caller(c), Scope: c.Room, Body: &rooms.TextsQuery{IDs: list},
		})
		switch {
		case refused == nil:
			texts[room] = data.(map[string]string)
		case refused.Code == wire.CodeUnknownRoom && a.owns(ctx, c, room):
			texts[room] = nil // over: the index is all there is
		case only != "":
			return nil, refused
		}
	}
	hits := []searchHit{}
	for i := range found {
		h := &found[i]
		now, asked := texts[h.Room]
		if !asked {
			continue
		}
		text := h.Text.Text
		if now != nil {
			current, ok := now[h.ID]
			if !ok {
				continue
			}
			if current != "" {
				text = current
			}
		}
		if !search.Matches(text, terms) {
			continue // edited since
		}
		hits = append(hits, searchHit{
			Room: h.Room, ID: h.ID, Kind: h.Kind, Number: h.Number, User: h.User, Name: h.Name, At: h.At,
			Parts: search.Excerpt(text, terms),
		})
	}
	return hits, nil
}

// owns says whether a session that is over is the caller's. Nobody else can read one.
func (a *API) owns(ctx context.Context, c auth.Claims, room string) bool {
	if c.Role >= wire.RoleAdmin || c.Room == room && c.Role >= wire.RoleHost {
		return true
	}
	if c.Role < wire.RoleHost {
		return false
	}
	infos, err := a.Store.RoomsOf(ctx, c.Subject, sessionsMax)
	return err == nil && slices.ContainsFunc(infos, func(i persist.RoomInfo) bool { return i.Room == room })
}
