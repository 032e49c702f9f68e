package api

import (
	"context"

	"lectern/protocol/native"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// regradesPerMinute is how often one user may regrade: each does all sums of a game again.
const regradesPerMinute = 60

type regradeRequest struct {
	Bearer
	Room    string `path:"room" maxLength:"64"`
	RawBody []byte `contentType:"application/json" doc:"the data of quiz:regrade"`
}

// regrade sends quiz:regrade to the room, which need not be alive: a session that is over is read back for it.
func (a *API) regrade(ctx context.Context, in *regradeRequest) (*struct{}, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	if refused := a.limits.regrades.take(ctx, c.Subject, a.Now()); refused != nil {
		return nil, fail(refused)
	}
	data, refused := native.DecodeData(wire.OpQuizRegrade, in.RawBody)
	if refused != nil {
		return nil, fail(refused)
	}
	_, refused = a.Gateway.Call(ctx, rooms.Command{
		Room: in.Room, Op: wire.OpQuizRegrade, From: caller(c), Scope: c.Room, Body: data,
	})
	if refused != nil {
		return nil, fail(refused)
	}
	return nil, nil
}
