package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

// tokenRequest asks for a guest's token. With a PIN and a name: a participant of that game. With a PIN and screen: an
// observer, for the projector. With --dev also a name and a role.
type tokenRequest struct {
	Body struct {
		PIN    string `json:"pin,omitempty" maxLength:"12" doc:"the game's PIN"`
		Name   string `json:"name,omitempty" maxLength:"200" doc:"display name, at most 40 characters"`
		Screen bool   `json:"screen,omitempty" doc:"an observer's token for a projector screen"`
		Role   string `json:"role,omitempty" enum:"host,moderator,participant,observer" doc:"with --dev only"`
	}
}

type refreshRequest struct {
	Body struct {
		RefreshToken string `json:"refreshToken" maxLength:"512"`
	}
}

// tokenReply answers /auth/token and /auth/refresh.
type tokenReply struct {
	Body struct {
		AccessToken  string    `json:"accessToken"`
		RefreshToken string    `json:"refreshToken" doc:"good once; keep the newest"`
		ExpiresAt    int64     `json:"expiresAt" doc:"of the access token, Unix milliseconds"`
		User         string    `json:"user"`
		Name         string    `json:"name"`
		Role         wire.Role `json:"role"`
		Room         string    `json:"room,omitempty" doc:"the only room the token is good for"`
	}
}

type jwksReply struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *API) registerAuth(h huma.API) {
	huma.Register(h, op(http.MethodPost, "/auth/token", "token", "Join a game as a guest", "auth"), a.token)
	huma.Register(h, secured(op(http.MethodPost, "/auth/session", "session",
		"Begin a session with a token that has none: from lectern token, or a hostToken", "auth")), a.session)
	huma.Register(h, op(http.MethodPost, "/auth/refresh", "refresh", "Trade a refresh token for new tokens", "auth"),
		a.refresh)
	huma.Register(h, op(http.MethodPost, "/auth/revoke", "revoke", "End the session of a refresh token", "auth"), a.revoke)
	huma.Register(h, op(http.MethodGet, "/.well-known/jwks.json", "jwks", "The keys that verify tokens and receipts",
		"auth"),
		func(context.Context, *struct{}) (*jwksReply, error) {
			return &jwksReply{ContentType: "application/jwk-set+json", Body: a.Issuer.JWKS()}, nil
		})
}

func (a *API) token(ctx context.Context, in *tokenRequest) (*tokenReply, error) {
	address, _ := ctx.Value(addressKey{}).(string)
	if err := a.limits.joins.take(ctx, address, a.Now()); err != nil {
		return nil, fail(err)
	}
	claims, err := a.guest(ctx, in, address)
	if err != nil {
		return nil, fail(err)
	}
	return a.login(ctx, claims)
}

// session begins a refresh family for a token that an operator or quiz:create gave out, so that a host stays signed in
// for
// longer than one access token lives. A token of a family can't begin another: it would outlive its revocation.
func (a *API) session(ctx context.Context, in *struct{ Bearer }) (*tokenReply, error) {
	c, err := a.claims(in.Bearer, wire.RoleObserver)
	if err != nil {
		return nil, err
	}
	if c.Family != "" {
		return nil, fail(wire.NewError(wire.CodeWrongState, "this token belongs to a session already; refresh that"))
	}
	return a.login(ctx, auth.Claims{Subject: c.Subject, Name: c.Name, Role: c.Role, Room: c.Room})
}

// guest decides what a guest gets a token for.
func (a *API) guest(ctx context.Context, in *tokenRequest, address string) (auth.Claims, *wire.Error) {
	b := &in.Body
	claims := auth.Claims{Subject: rooms.NewGuestID(a.Rand()), Name: b.Name, Role: wire.RoleParticipant}
	if b.PIN == "" {
		if !a.Dev {
			return claims, wire.NewError(wire.CodeInvalidData, "give the game's PIN").At("pin")
		}
		if role, ok := wire.ParseRole(b.Role); ok && b.Role != "" {
			claims.Role = min(role, wire.RoleHost)
		}
	} else if b.Role != "" {
		return claims, wire.NewError(wire.CodeForbidden, "who joins with a PIN can't choose a role").At("role")
	}
	if !b.Screen {
		name, err := a.cleanName(b.Name)
		if err != nil {
			return claims, err.At("name")
		}
		claims.Name = name
	}
	if b.PIN == "" {
		return claims, nil
	}
	info, err := a.lookUp(ctx, b.PIN, claims.Name, address)
	if err != nil {
		return claims, err
	}
	claims.Room = info.Room
	if b.Screen {
		claims.Role, claims.Name = wire.RoleObserver, "screen"
		return claims, nil
	}
	return claims, mayEnter(info)
}

// mayEnter says early what joining the room would say later, so that the page can ask for another name at once.
func mayEnter(info *rooms.Info) *wire.Error {
	switch {
	case info.Phase == wire.PhaseEnded:
		return wire.NewError(wire.CodeUnknownRoom, "this game is over")
	case info.Locked:
		return wire.NewError(wire.CodeRoomLocked, "the host admits nobody new")
	case info.NameTaken:
		return wire.NewError(wire.CodeNameTaken, "somebody has this name already; choose another").At("name")
	}
	return nil
}

func (a *API) cleanName(name string) (string, *wire.Error) {
	if a.RoomsConfig.Filter == nil {
		return name, nil
	}
	return a.RoomsConfig.Filter.CleanName(name)
}

// lookUp asks the room behind a PIN what may be said of it. Wrong PINs are counted per address.
func (a *API) lookUp(ctx context.Context, pin, name, address string) (*rooms.Info, *wire.Error) {
	room, ok := a.PINs.Room(pin)
	if !ok {
		if missing := a.PINs.Missing(); missing != nil {
			return nil, missing
		}
		if err := a.limits.wrong.take(ctx, address, a.Now()); err != nil {
			return nil, err
		}
		return nil, wire.NewError(wire.CodeUnknownRoom, "no game has this PIN; check it with the host").At("pin")
	}
	data, err := a.Gateway.Call(ctx, rooms.Command{
		Room: room, From: effect.Caller{Role: wire.RoleObserver}, Body: &rooms.InfoQuery{Name: name},
	})
	if err != nil {
		return nil, err
	}
	return data.(*rooms.Info), nil
}

func (a *API) login(ctx context.Context, c auth.Claims) (*tokenReply, error) {
	access, refresh, c, err := a.Issuer.Login(ctx, a.Now(), c)
	if err != nil {
		return nil, a.storeFailed("keeping a session", err)
	}
	return newTokenReply(access, refresh, c), nil
}

func newTokenReply(access, refresh string, c auth.Claims) *tokenReply {
	r := new(tokenReply)
	r.Body.AccessToken, r.Body.RefreshToken, r.Body.ExpiresAt = access, refresh, c.ExpiresAt.UnixMilli()
	r.Body.User, r.Body.Name, r.Body.Role, r.Body.Room = c.Subject, c.Name, c.Role, c.Room
	return r
}

func (a *API) refresh(ctx context.Context, in *refreshRequest) (*tokenReply, error) {
	access, next, c, err := a.Issuer.Refresh(ctx, a.Now(), in.Body.RefreshToken)
	if err != nil {
		return nil, a.refreshFailed(err)
	}
	return newTokenReply(access, next, c), nil
}

func (a *API) revoke(ctx context.Context, in *refreshRequest) (*struct{}, error) {
	if err := a.Issuer.RevokeFamily(ctx, a.Now(), in.Body.RefreshToken); err != nil {
		return nil, a.refreshFailed(err)
	}
	return nil, nil
}

func (a *API) refreshFailed(err error) error {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return fail(refused)
	}
	return a.storeFailed("renewing a session", err)
}
