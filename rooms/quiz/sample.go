package quiz

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Least time between two samples, milliseconds. What everybody hears is spaced by a tenth of a millisecond per
// participant more: a room of 100,000 that fills up or answers does not spend its time on telling everybody so.
const (
	progressStaffEveryMs = 200
	progressAllEveryMs   = 1000
	lobbyStaffEveryMs    = 500
	lobbyAllEveryMs      = 1000

	participantsPerMs = 10
)

const (
	lobbyNamesMax = 30
	// lobbyWalkMax bounds the search for the newest names when most of the newest have gone.
	lobbyWalkMax = 1000
)

// sampler lets something through at most once in everyMs and crowdMs, which the caller knows.
type sampler struct {
	everyMs int64
	lastAt  int64
	dirty   bool
}

func (s *sampler) due(crowdMs int64) int64 {
	if !s.dirty {
		return 0
	}
	return s.lastAt + s.everyMs + crowdMs
}

// take is true when a sample is to be sent now. A clock that was set back must not silence it.
func (s *sampler) take(now, crowdMs int64) bool {
	if !s.dirty || (now >= s.lastAt && now < s.lastAt+s.everyMs+crowdMs) {
		return false
	}
	s.dirty, s.lastAt = false, now
	return true
}

// presence is what is known of connections. It is not recorded: after a restart it fills as the members come back.
type presence struct {
	connected int // participants
	expected  int // participants whose answer the open question waits for
	// patientUntil: a question that opens before waits for everybody in the game. Who is connected shortly after a restart
	// says nothing about who plays.
	patientUntil int64

	progressStaff, progressAll, lobbyStaff, lobbyAll sampler
}

func newPresence() presence {
	return presence{
		progressStaff: sampler{everyMs: progressStaffEveryMs}, progressAll: sampler{everyMs: progressAllEveryMs},
		lobbyStaff: sampler{everyMs: lobbyStaffEveryMs}, lobbyAll: sampler{everyMs: lobbyAllEveryMs},
	}
}

func (v *presence) due() int64 {
	crowd := v.crowdMs()
	return earlier(earlier(v.progressStaff.due(0), v.progressAll.due(crowd)),
		earlier(v.lobbyStaff.due(0), v.lobbyAll.due(crowd)))
}

// crowdMs is what the number of those who hear a sample adds to the time between two.
func (v *presence) crowdMs() int64 { return int64(v.connected / participantsPerMs) }

// quiet drops what is waiting: a newer event says it all.
func (v *presence) quiet() {
	v.progressStaff.dirty, v.progressAll.dirty, v.lobbyStaff.dirty, v.lobbyAll.dirty = false, false, false, false
}

// expectAll makes the question that opens wait for everybody who is connected; for everybody at all when nobody is and
// shortly after a restart, where the first to come back must not close the question for the others.
func (m *Machine) expectAll(at int64) {
	everybody := m.volatile.connected == 0 || at < m.volatile.patientUntil
	m.volatile.quiet()
	m.volatile.expected = 0
	for i := range m.players {
		p := &m.players[i]
		p.expected = !p.removed && (p.connected || everybody)
		if p.expected {
			m.volatile.expected++
		}
	}
}

// expect makes the open question wait for one more.
func (m *Machine) expect(i int32) {
	if p := &m.players[i]; m.inQuestion() && !p.expected {
		p.expected = true
		m.volatile.expected++
	}
}

func (m *Machine) touchProgress(now int64, out *effect.Effects) {
	if m.phase == wire.PhaseOpen {
		m.volatile.progressStaff.dirty, m.volatile.progressAll.dirty = true, true
		m.flushSamples(now, out)
	}
}

func (m *Machine) touchLobby(now int64, out *effect.Effects) {
	if m.phase == wire.PhaseLobby {
		m.volatile.lobbyStaff.dirty, m.volatile.lobbyAll.dirty = true, true
		m.flushSamples(now, out)
	}
}

func (m *Machine) flushSamples(now int64, out *effect.Effects) {
	if m.volatile.progressStaff.take(now, 0) {
		out.State(effect.ToStaff, wire.EvQuizProgress, wire.EvQuizProgress, now, m.progress())
	}
	if m.volatile.progressAll.take(now, m.volatile.crowdMs()) {
		out.State(effect.ToAll, wire.EvQuizProgress, wire.EvQuizProgress, now, m.progress())
	}
	if m.volatile.lobbyAll.take(now, m.volatile.crowdMs()) {
		out.State(effect.ToAll, wire.EvQuizLobby, wire.EvQuizLobby, now,
			wire.QuizLobby{Participants: m.volatile.connected})
	}
	if m.volatile.lobbyStaff.take(now, 0) {
		out.State(effect.ToStaff, wire.EvQuizLobby, wire.EvQuizLobby+":names", now,
			wire.QuizLobby{Participants: m.volatile.connected, Joined: m.newestNames()})
	}
}

func (m *Machine) progress() *wire.QuizProgress {
	return &wire.QuizProgress{
		Number: m.current + 1, Answered: m.questions[m.current].answered, Participants: m.volatile.expected,
	}
}

// newestNames are those of the newest who are connected, newest first.
func (m *Machine) newestNames() []string {
	var names []string
	for i, walked := len(m.players)-1, 0; i >= 0 && walked < lobbyWalkMax && len(names) < lobbyNamesMax; i-- {
		walked++
		if p := &m.players[i]; p.connected {
			names = append(names, p.name)
		}
	}
	return names
}
