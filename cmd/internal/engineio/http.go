package engineio

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"lectern/netpoll"
	"lectern/protocol/eio"
)

// ServeHTTP serves long-polling: handshakes, GETs and POSTs of sessions, and browsers' preflights.
func (v *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Add("Vary", "Origin")
		if !v.cfg.OriginAllowed(origin, r.Host) {
			v.refuse(w, eio.Forbidden)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	query := r.URL.Query()
	req := eio.Request{
		Method: r.Method, Revision: query.Get("EIO"), Transport: query.Get("transport"), SID: query.Get("sid"),
	}
	refusal := req.Judge(v.transportOf)
	if refusal == eio.UnknownSID && r.Method == http.MethodGet {
		if words := v.takeFarewell(req.SID); words != nil {
			_, _ = v.answer(w, req.SID, words)
			return
		}
	}
	if refusal != eio.Accepted {
		v.refuse(w, refusal)
		return
	}
	switch s := v.find(req.SID); {
	case req.SID == "":
		v.handshake(w, r)
	case s == nil:
		v.refuse(w, eio.UnknownSID)
	case r.Method == http.MethodGet:
		v.get(w, r, s)
	default:
		v.post(w, r, s)
	}
}

// preflight answers a browser that asks before it sends (the Fetch standard's CORS protocol).
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET,POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) < 1024 {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func (v *Server) refuse(w http.ResponseWriter, why eio.Refusal) {
	v.counters.refused[why].Add(1)
	body := why.AppendJSON(nil)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(why.Status())
	_, _ = w.Write(body)
}

// unavailable answers when there is no room for a session, or no way to its loop.
func (v *Server) unavailable(w http.ResponseWriter) {
	v.counters.unavailable.Add(1)
	w.Header().Set("Retry-After", "3")
	http.Error(w, "too many sessions, or this server is shutting down; try again in a moment",
		http.StatusServiceUnavailable)
}

// answer writes what a GET has taken. A close behind messages is for the next one.
func (v *Server) answer(w http.ResponseWriter, sid string, frames []byte) (int, error) {
	frames, closing := splitClose(frames)
	if len(frames) == 0 {
		frames = closing
	} else if len(closing) > 0 {
		v.keepFarewell(sid, closing, time.Now())
	}
	body := appendPayload(make([]byte, 0, len(frames)), frames)
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	return w.Write(body)
}

// Task is work for a loop: the owner's Handler.Task gives it to Run.
type Task func(l *netpoll.Loop)

// Run does the work.
func (t Task) Run(l *netpoll.Loop) { t(l) }

// handshake opens a session on the loop that has the fewest connections.
func (v *Server) handshake(w http.ResponseWriter, r *http.Request) {
	loops := v.cfg.Loops()
	if len(loops) == 0 || !v.cfg.Accepting() {
		v.unavailable(w)
		return
	}
	from := int(v.nextLoop.Add(1)) // so that loops with equally many take turns
	loop := loops[from%len(loops)]
	for i := range loops {
		if l := loops[(from+i)%len(loops)]; l.Conns() < loop.Conns() {
			loop = l
		}
	}
	s := &Session{
		srv: v, sid: newSID(), loop: loop, state: eio.NewPolling(),
		Handshake: Handshake{Authorization: r.Header.Get("Authorization"), Query: r.URL.RawQuery},
	}
	q := newPoll()
	s.poller = &poller{session: s, addr: address(r.RemoteAddr)}
	if !loop.Post(Task(func(l *netpoll.Loop) { v.seat(l, s, q) })) {
		v.unavailable(w)
		return
	}
	v.wait(w, r, s, q)
}

// seat begins a long-polling session, on its loop.
func (v *Server) seat(l *netpoll.Loop, s *Session, q *poll) {
	if l.Seat(s.poller) == nil {
		q.result <- pollResult{refusal: eio.Forbidden}
		return
	}
	v.add(s)
	v.cfg.Begin(s)
	s.poller.waiting = q
	s.begin(true)
}

func newPoll() *poll { return &poll{result: make(chan pollResult, 1)} }

// get hands a GET to the session's loop.
func (v *Server) get(w http.ResponseWriter, r *http.Request, s *Session) {
	v.counters.polls.Add(1)
	s.polls.Add(1)
	if waits := s.polled.Swap(nil); waits != nil {
		close(*waits)
	}
	q := newPoll()
	if !s.loop.Post(Task(func(*netpoll.Loop) {
		if s.poller == nil || s.onWebSocket.Load() {
			q.result <- pollResult{refusal: eio.BadRequest}
		} else {
			s.poller.get(q)
		}
	})) {
		s.polls.Add(-1)
		v.unavailable(w)
		return
	}
	v.wait(w, r, s, q)
	s.polls.Add(-1)
}

// writeTimeout is how long a client may take to read an answer.
const writeTimeout = 30 * time.Second

// wait answers a GET when there is something to say. A GET that is given up ends the session: what it was given may be
// lost.
func (v *Server) wait(w http.ResponseWriter, r *http.Request, s *Session, q *poll) {
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{}) // a GET may wait for a whole PingInterval
	_ = deadlines.SetWriteDeadline(time.Time{})
	select {
	case result := <-q.result:
		_ = deadlines.SetWriteDeadline(time.Now().Add(writeTimeout))
		if result.refusal == eio.UnknownSID { // it has just ended
			if words := v.takeFarewell(s.sid); words != nil {
				result = pollResult{frames: words}
			}
		}
		if result.refusal == eio.Forbidden {
			v.unavailable(w)
		} else if result.refusal != eio.Accepted {
			v.refuse(w, result.refusal)
		} else if _, err := v.answer(w, s.sid, result.frames); err != nil {
			s.abandon()
		}
	case <-r.Context().Done():
		s.abandon()
	}
}

// abandon ends the session from another goroutine.
func (s *Session) abandon() {
	s.loop.Post(Task(func(*netpoll.Loop) {
		if s.conn != nil && !s.onWebSocket.Load() {
			s.End(eio.TransportError)
		}
	}))
}

// closeGrace is how long a close that arrives by POST waits for a GET: the client's last one may have been overtaken,
// and is to be let go in order.
const closeGrace = 20 * time.Millisecond

// post takes a payload and hands its packets to the session's loop.
func (v *Server) post(w http.ResponseWriter, r *http.Request, s *Session) {
	v.counters.posts.Add(1)
	if !s.posting.CompareAndSwap(false, true) {
		v.counters.overlaps.Add(1)
		s.abandon()
		v.refuse(w, eio.BadRequest)
		return
	}
	defer s.posting.Store(false)
	if r.Header.Get("Content-Type") == "application/octet-stream" { // revision 3's
		s.abandon()
		v.refuse(w, eio.BadRequest)
		return
	}
	body, ok := v.read(w, r)
	if !ok {
		return
	}
	var packets []eio.Packet
	closes := false
	limits := eio.Limits{BytesMax: v.cfg.Settings.MaxPayload, PacketsMax: v.cfg.PacketsMax}
	fault := eio.DecodePayload(body, limits, func(p eio.Packet) bool {
		packets = append(packets, p)
		closes = closes || p.Type == eio.Close
		return true
	})
	if closes {
		s.awaitPoll()
	}
	done := make(chan eio.Refusal, 1)
	if !s.loop.Post(Task(func(*netpoll.Loop) { done <- s.takeAll(packets, fault) })) {
		v.unavailable(w)
		return
	}
	select {
	case refusal := <-done:
		if refusal != eio.Accepted {
			v.refuse(w, refusal)
			return
		}
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", "2")
	_, _ = io.WriteString(w, "ok")
}

// read reads the body of a POST.
func (v *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	most := int64(v.cfg.Settings.MaxPayload)
	if r.ContentLength > most {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil, false
	case err != nil:
		v.refuse(w, eio.BadRequest)
		return nil, false
	}
	return body, true
}

// awaitPoll waits until a GET of the session is there, for closeGrace at most.
func (s *Session) awaitPoll() {
	if s.polls.Load() > 0 {
		return
	}
	polled := make(chan struct{})
	s.polled.Store(&polled)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-polled:
	case <-grace.C:
	}
}

// takeAll takes the packets of a POST, on the loop.
func (s *Session) takeAll(packets []eio.Packet, fault error) eio.Refusal {
	if s.state.Ended() {
		return eio.UnknownSID
	}
	if s.onWebSocket.Load() {
		return eio.BadRequest
	}
	for _, p := range packets {
		s.take(p)
	}
	if fault != nil {
		s.End(eio.ParseError)
		return eio.BadRequest
	}
	return eio.Accepted
}

// address is the peer's address as net/http writes it.
func address(remote string) net.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(at)
}
