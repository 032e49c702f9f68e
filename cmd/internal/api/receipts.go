package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lectern/protocol/wire"
	"lectern/rooms"
)

const (
	// receiptsPerMinute is how many receipts one address may have verified: a class that shares an address, twice over.
	receiptsPerMinute = 120
	// replaysMax bounds the sessions that are replayed for HTTP requests at the same time; further ones wait.
	replaysMax = 4
)

type receiptRequest struct {
	Body struct {
		Receipt string `json:"receipt" minLength:"1" maxLength:"4096" doc:"as quiz:answer gave it"`
	}
}

type receiptReply struct{ Body *wire.ReceiptVerdict }

func (a *API) registerReceipts(h huma.API) {
	huma.Register(h, op(http.MethodPost, "/api/v1/receipts/verify", "verify-receipt",
		"Check a receipt's signature and whether its answer is in the log", "receipts"), a.verifyReceipt)
}

// verifyReceipt answers anybody: a receipt tells its bearer nothing new but whether it is true. The signature is
// checked first, so that only receipts of ours reach a room or the store.
func (a *API) verifyReceipt(ctx context.Context, in *receiptRequest) (*receiptReply, error) {
	address, _ := ctx.Value(addressKey{}).(string)
	if err := a.limits.receipts.take(ctx, address, a.Now()); err != nil {
		return nil, fail(err)
	}
	claims, fault := a.Issuer.Receipts().Open(strings.TrimSpace(in.Body.Receipt))
	if fault != "" {
		return &receiptReply{fault.Verdict()}, nil
	}
	data, refused := a.Gateway.Call(ctx, rooms.Command{Room: claims.Room, Body: &rooms.ReceiptQuery{Claims: claims}})
	switch {
	case refused == nil:
		return &receiptReply{data.(*wire.ReceiptVerdict)}, nil
	case refused.Code == wire.CodeUnknownRoom:
		return &receiptReply{rooms.CheckReceipt(rooms.NewRoom(claims.Room, a.RoomsConfig), claims)}, nil
	}
	return nil, fail(refused)
}

// rebuild replays a room that is not alive. Only replaysMax do so at the same time: each costs memory and the disk.
func (a *API) rebuild(ctx context.Context, id string) (*rooms.Room, error) {
	select {
	case a.replays <- struct{}{}:
		defer func() { <-a.replays }()
	case <-ctx.Done():
		return nil, fail(wire.NewError(wire.CodeUnavailable, "too many sessions are being read; try again"))
	}
	room, err := rooms.Rebuild(a.Journal, id, a.RoomsConfig)
	if err != nil {
		return nil, a.storeFailed("replaying a session", err)
	}
	return room, nil
}
