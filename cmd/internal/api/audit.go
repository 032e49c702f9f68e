package api

import (
	"context"
	"encoding/json"
	"errors"

	"lectern/protocol/quizfile"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

type auditRequest struct {
	Bearer
	Room   string `path:"room" maxLength:"64"`
	Format string `query:"format" default:"json" enum:"json,csv"`
}

// errNotYours ends the reading of a log that is not the caller's.
var errNotYours = errors.New("api: not the caller's session")

// mayManage says whether a token makes its bearer host of a room of this owner, as the room itself would say it.
func mayManage(c auth.Claims, room, owner string) bool {
	switch {
	case c.Role >= wire.RoleAdmin:
		return true
	case c.Room != "":
		return c.Room == room && c.Role >= wire.RoleHost
	}
	return owner != "" && c.Subject == owner
}

// audit reads the acts of hosts and moderators from the log, which has all of them once they have been answered.
func (a *API) audit(ctx context.Context, in *auditRequest) (*fileReply, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	select {
	case a.replays <- struct{}{}:
		defer func() { <-a.replays }()
	case <-ctx.Done():
		return nil, fail(wire.NewError(wire.CodeUnavailable, "too many sessions are being read; try again"))
	}
	entries := []rooms.AuditEntry{}
	var audit rooms.Audit
	known := false
	err = a.Store.ReadRoom(ctx, in.Room, func(rec rooms.Record) error {
		if !known && !mayManage(c, in.Room, rooms.OwnerOf(rec)) {
			return errNotYours
		}
		known = true
		e, ok, err := audit.Next(rec)
		if ok {
			entries = append(entries, e)
		}
		return err
	})
	switch {
	case errors.Is(err, errNotYours) || err == nil && !known:
		return nil, fail(wire.NewError(wire.CodeUnknownRoom, "you have no such session"))
	case err != nil:
		return nil, a.storeFailed("reading a session", err)
	}
	if in.Format == "csv" {
		rows := [][]string{rooms.AuditHeader()}
		for i := range entries {
			rows = append(rows, entries[i].Cells())
		}
		return attachment("audit-"+in.Room, ".csv", "text/csv; charset=utf-8", quizfile.EncodeTableCSV(rows)), nil
	}
	data, err := json.Marshal(entries)
	if err != nil {
		return nil, fail(wire.NewError(wire.CodeInternal, "the audit trail can't be encoded"))
	}
	return &fileReply{ContentType: "application/json", Body: data}, nil
}
