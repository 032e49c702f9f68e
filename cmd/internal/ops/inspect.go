package ops

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"lectern/cmd/internal/gateway"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// Limits of a list, and of the time that loops and shards get to answer.
const (
	listDefault = 100
	listMax     = 1000
	lookMax     = 2 * time.Second
)

// Inspection is the part of Options that looks at single connections and rooms, and changes something.
type Inspection struct {
	Connections     func(ctx context.Context, filter gateway.ConnFilter) (list []gateway.ConnView, more bool)
	CloseConnection func(ctx context.Context, id string, code wire.CloseCode) bool
	Rooms           func(ctx context.Context, room string, limit int) (list []rooms.View, more bool)
	Drain           func() // begins an orderly stop, and returns
}

type listing[T any] struct {
	Items []T  `json:"items"`
	More  bool `json:"more"` // there may be others: narrow the filter, or raise the limit
}

func handleInspection(mux *http.ServeMux, o *Inspection, others *Redis) {
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, r *http.Request) {
		limit, ok := limitOf(w, r, "user", "room", "address", "state")
		if !ok {
			return
		}
		q := r.URL.Query()
		f := gateway.ConnFilter{
			User: q.Get("user"), Room: q.Get("room"), Address: q.Get("address"), State: q.Get("state"), Limit: limit,
		}
		if f.State != "" && f.State != "handshake" && f.State != "open" && f.State != "closed" {
			say(w, http.StatusBadRequest, "state is handshake, open or closed")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), lookMax)
		defer cancel()
		list, more := o.Connections(ctx, f)
		sayList(w, list, more)
	})
	mux.HandleFunc("DELETE /connections/{id}", func(w http.ResponseWriter, r *http.Request) {
		code := wire.CloseDrain
		switch r.URL.Query().Get("code") {
		case "", "4000":
		case "4202":
			code = wire.CloseKicked
		default:
			say(w, http.StatusBadRequest, "code is 4000 (the client comes back, the default) or 4202 (it does not)")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), lookMax)
		defer cancel()
		if !o.CloseConnection(ctx, r.PathValue("id"), code) {
			say(w, http.StatusNotFound, "no such connection")
			return
		}
		say(w, http.StatusOK, "closed")
	})
	mux.HandleFunc("GET /rooms", func(w http.ResponseWriter, r *http.Request) {
		limit, ok := limitOf(w, r)
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), lookMax)
		defer cancel()
		list, more := o.Rooms(ctx, "", limit)
		sayList(w, list, more)
	})
	mux.HandleFunc("GET /rooms/{id}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), lookMax)
		defer cancel()
		list, _ := o.Rooms(ctx, r.PathValue("id"), 1)
		if len(list) == 0 {
			say(w, http.StatusNotFound, "this room is not in memory; "+others.whereElse(ctx, r.PathValue("id"))+
				"lectern replay reads it from the store")
			return
		}
		sayJSON(w, list[0])
	})
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, _ *http.Request) {
		o.Drain()
		say(w, http.StatusAccepted, "draining; the process ends when the members have been sent away")
	})
}

func sayList[T any](w http.ResponseWriter, list []T, more bool) {
	if list == nil {
		list = []T{}
	}
	sayJSON(w, listing[T]{list, more})
}

// limitOf reads the query's limit and refuses members that are not known: a misspelt filter would list everybody.
func limitOf(w http.ResponseWriter, r *http.Request, known ...string) (limit int, ok bool) {
	for name := range r.URL.Query() {
		found := name == "limit"
		for _, k := range known {
			found = found || k == name
		}
		if !found {
			say(w, http.StatusBadRequest, "there is no filter "+strconv.Quote(name))
			return 0, false
		}
	}
	text := r.URL.Query().Get("limit")
	if text == "" {
		return listDefault, true
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > listMax {
		say(w, http.StatusBadRequest, "limit is between 1 and "+strconv.Itoa(listMax))
		return 0, false
	}
	return limit, true
}
