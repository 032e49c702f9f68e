package app

import (
	"context"
	crand "crypto/rand"
	_ "embed"
	"fmt"
	"time"

	"lectern/protocol/quizfile"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

// Demo is the quiz that --dev makes ready: everybody can try the product before reading anything.
type Demo struct {
	Room, PIN string
	HostToken string // an access token of its host, for the link to the host's page
}

//go:embed demo.gift
var demoQuestions []byte

const (
	demoHost     = "demo-host"
	demoTokenTTL = 24 * time.Hour
)

// makeDemo opens a session of the demo quiz, and puts the quiz into the demo host's library.
func (a *App) makeDemo(ctx context.Context) (*Demo, error) {
	imported, err := quizfile.DecodeAs("gift", demoQuestions)
	if err != nil {
		return nil, fmt.Errorf("app: the demo quiz: %w", err)
	}
	if faults := imported.Faults(); len(faults) > 0 {
		return nil, fmt.Errorf("app: the demo quiz has a fault in line %d: %s", faults[0].Line, faults[0].Reason)
	}
	q := imported.Quiz
	q.Title = "Lectern demo"
	q.Settings.StreakBonus = true
	host := effect.Caller{User: demoHost, Name: "Demo host", Role: wire.RoleHost}
	if stored, err := a.store.ListQuizzes(ctx, demoHost); err == nil && len(stored) == 0 {
		if _, err := a.store.PutQuiz(ctx, demoHost, &q); err != nil {
			return nil, fmt.Errorf("app: store the demo quiz: %w", err)
		}
	}
	session, err := a.demoSession(ctx, host, &q)
	if err != nil {
		return nil, err
	}
	// The link is clicked whenever somebody gets round to it, so its token lives longer than others.
	issuer, err := auth.NewIssuer(ctx, time.Now(), a.store, a.store, auth.Config{AccessTTL: demoTokenTTL}, crand.Reader)
	if err != nil {
		return nil, err
	}
	token, _, err := issuer.IssueAccess(time.Now(), auth.Claims{Subject: demoHost, Name: host.Name, Role: wire.RoleHost})
	if err != nil {
		return nil, fmt.Errorf("app: sign the demo host's token: %w", err)
	}
	return &Demo{Room: session.Room, PIN: session.PIN, HostToken: token}, nil
}

// demoSession finds the demo session of an earlier run that is still going on, or opens one: a restart keeps room and
// PIN.
func (a *App) demoSession(ctx context.Context, host effect.Caller, q *wire.Quiz) (*wire.QuizCreateReply, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	earlier, err := a.store.RoomsOf(ctx, demoHost, 1)
	if err != nil {
		return nil, fmt.Errorf("app: look for the demo session: %w", err)
	}
	if len(earlier) == 1 && earlier[0].ClosedAt == 0 {
		data, refused := a.gateway.Call(ctx, rooms.Command{Room: earlier[0].Room, From: host, Body: &rooms.InfoQuery{}})
		if info, ok := data.(*rooms.Info); ok && refused == nil && info.Phase != wire.PhaseEnded {
			return &wire.QuizCreateReply{Room: info.Room, PIN: info.PIN}, nil
		}
	}
	cmd, refused := a.gateway.NewSession(host, &wire.QuizCreateData{Quiz: q})
	if refused != nil {
		return nil, fmt.Errorf("app: open the demo session: %w", refused)
	}
	data, refused := a.gateway.Call(ctx, cmd)
	if refused != nil {
		return nil, fmt.Errorf("app: open the demo session: %w", refused)
	}
	return data.(*wire.QuizCreateReply), nil
}
