package engineio

import (
	crand "crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/http1"
	"lectern/protocol/session"
)

// Config is what a Server needs.
type Config struct {
	Settings       eio.Settings
	UpgradeTimeout time.Duration // from the handshake of the probing WebSocket to the end of the upgrade
	PacketsMax     int           // in the payload of one POST
	// OriginAllowed judges a browser's Origin; host is the request's. Any goroutine.
	OriginAllowed func(origin, host string) bool
	// Begin runs when a long-polling session has been opened: the owner ties its state to s.Conn and calls s.Run. On the
	// session's loop.
	Begin func(s *Session)
	// FirstPing is after how long a new session gets its first ping, at most Settings.PingInterval: sessions that began in
	// one burst would otherwise be asked in one burst too. Nil: after the interval. On the session's loop.
	FirstPing func(*netpoll.Loop) time.Duration
	// Loops are where sessions may be seated. Any goroutine.
	Loops func() []*netpoll.Loop
	// Accepting is false while new sessions are refused. Any goroutine.
	Accepting func() bool
}

// Program gets what a session brings. Its methods run on the session's loop.
type Program interface {
	// Message is data of the client; payload is borrowed until the method returns. Text is valid UTF-8.
	Message(binary bool, payload []byte)
	// Ended comes once, last, when the session is over.
	Ended(why eio.Reason)
}

// Handshake is what of the first request a program may want to know.
type Handshake struct {
	Authorization string // the header
	Query         string // undecoded
}

// Server has the sessions of one path.
type Server struct {
	cfg      Config
	counters counters

	mu        sync.Mutex
	sessions  map[string]*Session
	farewells map[string]farewell
	leaving   []string // keys of farewells, oldest first
	nextLoop  atomic.Uint32
}

// farewell is what a long-polling session that the server has ended still has to say.
type farewell struct {
	frames []byte
	until  time.Time
}

// Limits for last words.
const (
	farewellsMax = 1000
	farewellTime = 30 * time.Second
)

// New makes a Server without sessions.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, sessions: make(map[string]*Session), farewells: make(map[string]farewell)}
}

// Settings is what the handshakes say.
func (v *Server) Settings() eio.Settings { return v.cfg.Settings }

// newSID is 120 random bits: nobody guesses another's session.
func newSID() string {
	var b [15]byte
	_, _ = crand.Read(b[:]) // never fails on the systems we run on
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (v *Server) find(sid string) *Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sessions[sid]
}

func (v *Server) add(s *Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sessions[s.sid] = s
}

func (v *Server) remove(s *Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.sessions, s.sid)
}

// keepFarewell keeps last words for the client's next GET.
func (v *Server) keepFarewell(sid string, frames []byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.leaving) > 0 {
		oldest := v.farewells[v.leaving[0]]
		if len(v.leaving) < farewellsMax && now.Before(oldest.until) {
			break
		}
		delete(v.farewells, v.leaving[0])
		v.leaving = v.leaving[1:]
	}
	v.farewells[sid] = farewell{frames, now.Add(farewellTime)}
	v.leaving = append(v.leaving, sid)
}

// takeFarewell is the last words of a session that is over; nil when there are none.
func (v *Server) takeFarewell(sid string) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.farewells[sid]
	delete(v.farewells, sid)
	return f.frames
}

// transportOf is for eio.Request.Judge. Any goroutine.
func (v *Server) transportOf(sid string) string {
	s := v.find(sid)
	switch {
	case s == nil:
		return ""
	case s.onWebSocket.Load():
		return eio.WebSocket
	}
	return eio.Polling
}

// Judgement is what becomes of a WebSocket handshake: exactly one of Session, Probe and Move is set when the verdict is
// not to reject.
type Judgement struct {
	Verdict session.Verdict
	Session *Session      // a new session, to be given a program (Run), and Opened after the handshake
	Probe   *Probe        // wants to take over a session
	Move    *netpoll.Loop // hand the connection over with all that was read (netpoll.Conn.MoveTo), then forget it
}

// Head judges a WebSocket handshake. On the loop of c.
func (v *Server) Head(c *netpoll.Conn, req *http1.Request) Judgement {
	r := eio.Request{
		Method: req.Method, WebSocket: true, Revision: req.QueryGet("EIO"), Transport: req.QueryGet("transport"),
		SID: req.QueryGet("sid"),
	}
	refusal := r.Judge(v.transportOf)
	if origin := req.Headers.Get("Origin"); refusal == eio.Accepted && origin != "" &&
		!v.cfg.OriginAllowed(origin, req.Host) {
		refusal = eio.Forbidden
	}
	if refusal != eio.Accepted {
		v.counters.refused[refusal].Add(1)
		return Judgement{Verdict: session.Verdict{
			Action: session.Reject, Status: refusal.Status(), Body: []byte(refusal.Message()),
			Headers: http1.Headers{{Name: "Content-Type", Value: "text/html"}},
		}}
	}
	upgrade := session.Verdict{Action: session.Upgrade}
	if r.SID == "" {
		s := &Session{
			srv: v, conn: c, sid: newSID(),
			Handshake: Handshake{ // not parts of the head
				Authorization: strings.Clone(req.Headers.Get("Authorization")), Query: strings.Clone(req.Query),
			},
		}
		s.onWebSocket.Store(true)
		return Judgement{Verdict: upgrade, Session: s}
	}
	s := v.find(r.SID)
	if s == nil { // it has ended since
		return Judgement{Verdict: upgrade, Probe: &Probe{srv: v, conn: c, state: dropped}}
	}
	if s.loop != c.Loop() {
		return Judgement{Verdict: session.Verdict{Action: session.HandOff}, Move: s.loop}
	}
	p := &Probe{srv: v, conn: c, session: s}
	if !s.state.Probe() {
		p.state = dropped // as the official server does, after the handshake
	} else {
		s.probe = p
	}
	return Judgement{Verdict: upgrade, Probe: p}
}
