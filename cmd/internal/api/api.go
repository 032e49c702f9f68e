// Package api is the HTTP side of the one port: tokens, quizzes, imports, sessions and results. Its OpenAPI document is
// made
// from the Go types. Handlers run on net/http's goroutines and may block; what belongs to a room they ask of the room.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lectern/persist"
	"lectern/persist/search"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
	"lectern/rooms/quota"
)

// Version is the product's version as the API and the command line name it.
const Version = "0.1.0"

// Rooms is the way to the rooms; the gateway implements it.
type Rooms interface {
	Call(ctx context.Context, cmd rooms.Command) (any, *wire.Error)
	NewSession(host effect.Caller, data *wire.QuizCreateData) (rooms.Command, *wire.Error)
}

// Options are the API's neighbours and settings.
type Options struct {
	Store       persist.Store
	Issuer      *auth.Issuer
	Gateway     Rooms
	PINs        *rooms.Directory
	RoomsConfig *rooms.Config
	Journal     rooms.Journal
	Search      *search.Indexer // nil: no search
	Dev         bool
	URL         string // base URL for links; empty: from the request
	Logger      *slog.Logger
	Now         func() time.Time
	Rand        func() effect.Random

	JoinsPerMinute, WrongPerMinute int // per address
	// SharedLimit makes a limit that several servers keep together; nil: each has its own.
	SharedLimit func(name string, l quota.Limit) SharedLimit
}

// API serves /api/v1, /auth and /.well-known. Its methods are safe for any goroutine.
type API struct {
	Options
	demo    atomic.Pointer[Demo]
	limits  *limits
	replays chan struct{} // a place for each replay under way
}

// Demo names the demo quiz of --dev.
type Demo struct {
	Room string `json:"room"`
	PIN  string `json:"pin"`
}

// New makes the API; Register makes it reachable.
func New(o Options) *API {
	return &API{
		Options: o, limits: newLimits(&o), replays: make(chan struct{}, replaysMax),
	}
}

// SetDemo names the demo quiz.
func (a *API) SetDemo(room, pin string) { a.demo.Store(&Demo{room, pin}) }

// ErrorReply is the body of an error (RFC 9457) with the error code of the wire protocol.
type ErrorReply struct {
	huma.ErrorModel
	Code         wire.Code `json:"code" doc:"the same codes as on the WebSocket"`
	RetryAfterMs int64     `json:"retryAfterMs,omitempty"`
}

// ContentType makes it application/problem+json.
func (p *ErrorReply) ContentType(string) string { return "application/problem+json" }

func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		p := &ErrorReply{Code: codeOf(status)}
		p.Status, p.Title, p.Detail = status, http.StatusText(status), msg
		for _, err := range errs {
			var detail huma.ErrorDetailer
			if errors.As(err, &detail) {
				p.Errors = append(p.Errors, detail.ErrorDetail())
			} else if err != nil {
				p.Errors = append(p.Errors, &huma.ErrorDetail{Message: err.Error()})
			}
		}
		return p
	}
}

func codeOf(status int) wire.Code {
	switch status {
	case http.StatusUnauthorized:
		return wire.CodeAuthRequired
	case http.StatusForbidden:
		return wire.CodeForbidden
	case http.StatusNotFound:
		return wire.CodeUnknownRoom
	case http.StatusRequestEntityTooLarge:
		return wire.CodeTooLarge
	case http.StatusTooManyRequests:
		return wire.CodeRateLimited
	case http.StatusServiceUnavailable:
		return wire.CodeUnavailable
	case http.StatusInternalServerError:
		return wire.CodeInternal
	}
	return wire.CodeInvalidData
}

var statusOf = map[wire.Code]int{
	wire.CodeAuthRequired: 401, wire.CodeInvalidToken: 401, wire.CodeTokenExpired: 401,
	wire.CodeForbidden: 403, wire.CodeNotMember: 403, wire.CodeBanned: 403, wire.CodeRoomLocked: 403,
	wire.CodeUnknownRoom: 404, wire.CodeUnknownQuiz: 404,
	wire.CodeNameTaken: 409, wire.CodeWrongState: 409, wire.CodeRoomFull: 409,
	wire.CodeTooLarge: 413, wire.CodeRateLimited: 429, wire.CodeInternal: 500, wire.CodeUnavailable: 503,
}

// fail makes the HTTP error of a wire error.
func fail(err *wire.Error) error {
	status, ok := statusOf[err.Code]
	if !ok {
		status = http.StatusUnprocessableEntity
	}
	p := &ErrorReply{Code: err.Code, RetryAfterMs: err.RetryAfterMs}
	p.Status, p.Title, p.Detail = status, http.StatusText(status), err.Message
	if err.Path != "" {
		p.Errors = []*huma.ErrorDetail{{Message: err.Message, Location: err.Path}}
	}
	return p
}

// storeFailed logs what a store said and tells the caller to come back.
func (a *API) storeFailed(doing string, err error) error {
	if errors.Is(err, persist.ErrNotFound) {
		return fail(wire.NewError(wire.CodeUnknownQuiz, "there is no such quiz"))
	}
	a.Logger.Error("a store failed", "doing", doing, "err", err)
	return fail(wire.NewError(wire.CodeUnavailable, "the storage is not available; try again"))
}

// Register adds the routes to mux.
func (a *API) Register(mux *http.ServeMux) {
	cfg := huma.DefaultConfig("Lectern", Version)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/openapi", "", "" // /schemas/ is the messages'
	cfg.CreateHooks = nil                                               // no $schema members in the answers
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	h := humago.New(mux, cfg)
	h.UseMiddleware(noStore, a.noteAddress)
	a.registerAuth(h)
	a.registerQuizzes(h)
	a.registerSessions(h)
	a.registerReceipts(h)
	a.registerSearch(h)
}

// noStore keeps answers that hold tokens and keys out of caches.
func noStore(ctx huma.Context, next func(huma.Context)) {
	ctx.SetHeader("Cache-Control", "no-store")
	ctx.SetHeader("X-Content-Type-Options", "nosniff")
	next(ctx)
}

type addressKey struct{}

func (a *API) noteAddress(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, addressKey{}, addressOf(ctx.RemoteAddr())))
}

// Bearer is embedded in the inputs of operations that need a token. It is exported because huma leaves fields that are
// not
// exported unread, embedded ones too.
type Bearer struct {
	Authorization string `header:"Authorization" doc:"Bearer TOKEN"`
}

// claims checks the token and that its role is at least least.
func (a *API) claims(b Bearer, least wire.Role) (auth.Claims, error) {
	scheme, token, _ := strings.Cut(b.Authorization, " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return auth.Claims{}, fail(wire.NewError(wire.CodeAuthRequired, "send Authorization: Bearer TOKEN"))
	}
	c, err := a.Issuer.Verify(a.Now(), strings.TrimSpace(token))
	if err != nil {
		return auth.Claims{}, fail(err)
	}
	if c.Role < least {
		return auth.Claims{}, fail(wire.NewError(wire.CodeForbidden, "this needs the role %s", least))
	}
	return c, nil
}

// op is what most operations share.
func op(method, path, id, summary string, tags ...string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: tags, MaxBodyBytes: bodyBytesMax,
	}
}

// rawBody takes the body as it comes: it is judged by the same code that judges it on the WebSocket.
func rawBody(o huma.Operation) huma.Operation {
	o.SkipValidateBody = true
	return o
}

func secured(o huma.Operation) huma.Operation {
	o.Security = []map[string][]string{{"bearer": {}}}
	return o
}

// bodyBytesMax bounds request bodies but those of imports.
const bodyBytesMax = 4 << 20
