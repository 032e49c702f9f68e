package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lectern/protocol/native"
	"lectern/protocol/quizfile"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

type configReply struct {
	Body struct {
		Dev     bool   `json:"dev" doc:"guests need no token"`
		Version string `json:"version"`
		Demo    *Demo  `json:"demo,omitempty"`
	}
}

type pinRequest struct {
	PIN string `path:"pin" maxLength:"12"`
}

type pinReply struct{ Body *rooms.Info }

type sessionReply struct{ Body *wire.QuizCreateReply }

// sessionInfo is one session. PIN, title and phase are there while its room is alive.
type sessionInfo struct {
	Room      string         `json:"room"`
	CreatedAt int64          `json:"createdAt"`
	ClosedAt  int64          `json:"closedAt,omitempty"`
	PIN       string         `json:"pin,omitempty"`
	Title     string         `json:"title,omitempty"`
	Phase     wire.QuizPhase `json:"phase,omitempty"`
}

type sessionList struct{ Body []sessionInfo }

type resultsRequest struct {
	Bearer
	Room   string `path:"room" maxLength:"64"`
	Format string `query:"format" default:"json" enum:"json,csv,xlsx"`
}

func (a *API) registerSessions(h huma.API) {
	const tag = "sessions"
	huma.Register(h, op(http.MethodGet, "/api/v1/config", "config", "What this server offers", tag), a.config)
	huma.Register(h, op(http.MethodGet, "/api/v1/pins/{pin}", "pin", "The game behind a PIN", tag), a.pin)
	huma.Register(h, op(http.MethodGet, "/api/v1/pins/{pin}/qr.svg", "qr", "A QR code that leads to the game", tag), a.qr)
	start := op(http.MethodPost, "/api/v1/sessions", "start-session", "Open a room for a quiz", tag)
	huma.Register(h, rawBody(secured(start)), a.startSession)
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/sessions", "sessions", "The caller's sessions", tag)), a.sessions)
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/sessions/{room}/results", "results", "Results of a session",
		tag)),
		a.results)
	huma.Register(h, rawBody(secured(op(http.MethodPost, "/api/v1/sessions/{room}/regrade", "regrade",
		"Change a question's key or declare it void, also after the game", tag))), a.regrade)
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/sessions/{room}/audit", "audit",
		"What hosts and moderators did in a session", tag)), a.audit)
}

func (a *API) config(context.Context, *struct{}) (*configReply, error) {
	r := new(configReply)
	r.Body.Dev, r.Body.Version, r.Body.Demo = a.Dev, Version, a.demo.Load()
	return r, nil
}

func (a *API) pin(ctx context.Context, in *pinRequest) (*pinReply, error) {
	address, _ := ctx.Value(addressKey{}).(string)
	info, err := a.lookUp(ctx, in.PIN, "", address)
	if err != nil {
		return nil, fail(err)
	}
	return &pinReply{info}, nil
}

func decodeQuiz(raw []byte) (*wire.Quiz, *wire.Error) {
	data, err := native.DecodeText(wire.OpQuizCreate, raw)
	if err != nil {
		return nil, err
	}
	q := data.(*wire.QuizCreateData).Quiz
	if q == nil {
		return nil, wire.NewError(wire.CodeInvalidData, "send a quiz").At("quiz")
	}
	return q, nil
}

func (a *API) startSession(ctx context.Context, in *quizBody) (*sessionReply, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	data, refused := native.DecodeText(wire.OpQuizCreate, in.RawBody)
	if refused != nil {
		return nil, fail(refused)
	}
	cmd, refused := a.Gateway.NewSession(caller(c), data.(*wire.QuizCreateData))
	if refused != nil {
		return nil, fail(refused)
	}
	reply, refused := a.Gateway.Call(ctx, cmd)
	if refused != nil {
		return nil, fail(refused)
	}
	return &sessionReply{reply.(*wire.QuizCreateReply)}, nil
}

func caller(c auth.Claims) effect.Caller {
	return effect.Caller{User: c.Subject, Name: c.Name, Role: c.Role}
}

// sessionsMax is the number of sessions that are listed.
const sessionsMax = 200

func (a *API) sessions(ctx context.Context, in *struct{ Bearer }) (*sessionList, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	infos, err := a.Store.RoomsOf(ctx, c.Subject, sessionsMax)
	if err != nil {
		return nil, a.storeFailed("listing sessions", err)
	}
	list := &sessionList{Body: make([]sessionInfo, len(infos))}
	for i, r := range infos {
		list.Body[i] = sessionInfo{Room: r.Room, CreatedAt: r.CreatedAt, ClosedAt: r.ClosedAt}
		if r.ClosedAt == 0 {
			a.describe(ctx, &list.Body[i])
		}
	}
	return list, nil
}

// describe asks a room that is alive for what can be said of it.
func (a *API) describe(ctx context.Context, s *sessionInfo) {
	data, refused := a.Gateway.Call(ctx, rooms.Command{
		Room: s.Room, From: effect.Caller{Role: wire.RoleObserver}, Body: &rooms.InfoQuery{},
	})
	if info, ok := data.(*rooms.Info); ok && refused == nil {
		s.PIN, s.Title, s.Phase = info.PIN, info.Title, info.Phase
	}
}

func (a *API) results(ctx context.Context, in *resultsRequest) (*fileReply, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	data, refused := a.Gateway.Call(ctx, rooms.Command{
		Room: in.Room, From: caller(c), Scope: c.Room, Body: &rooms.ResultsQuery{},
	})
	var results *rooms.Results
	switch {
	case refused == nil:
		results = data.(*rooms.Results)
	case refused.Code == wire.CodeUnknownRoom:
		if results, err = a.finished(ctx, in.Room, c); err != nil {
			return nil, err
		}
	default:
		return nil, fail(refused)
	}
	return encodeResults(in.Format, results)
}

// finished replays a session that is no longer alive.
func (a *API) finished(ctx context.Context, room string, c auth.Claims) (*rooms.Results, error) {
	r, err := a.rebuild(ctx, room)
	if err != nil {
		return nil, err
	}
	q := r.Quiz()
	if r.Index() == 0 || !mayManage(c, room, q.Owner()) {
		return nil, fail(wire.NewError(wire.CodeUnknownRoom, "you have no such session"))
	}
	return &rooms.Results{Title: q.Title(), Table: q.Results()}, nil
}

func encodeResults(format string, r *rooms.Results) (*fileReply, error) {
	switch format {
	case "csv":
		return attachment(r.Title, ".csv", "text/csv; charset=utf-8", quizfile.EncodeResultsCSV(resultTable(r))), nil
	case "xlsx":
		data, err := quizfile.EncodeResultsXLSX(resultTable(r))
		if err != nil {
			return nil, fail(wire.NewError(wire.CodeInternal, "the spreadsheet can't be made"))
		}
		return attachment(r.Title, ".xlsx", exportTypes["kahoot-xlsx"][0], data), nil
	}
	data, err := native.AppendData(nil, &r.Table)
	if err != nil {
		return nil, fail(wire.NewError(wire.CodeInternal, "the results can't be encoded"))
	}
	return &fileReply{ContentType: "application/json", Body: data}, nil
}
