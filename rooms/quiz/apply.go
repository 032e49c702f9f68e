package quiz

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Apply changes the state by a fact and emits the events that follow from it. f.Data is one of this package's fact
// types, by pointer. A fact that does not fit the state, which only a damaged journal can hold, changes nothing.
func (m *Machine) Apply(f effect.Fact, out *effect.Effects) {
	m.lastFactAt = f.At
	if c, ok := f.Data.(*Created); ok {
		m.applyCreated(f.At, c)
		return
	}
	if m.phase == wire.PhaseNone {
		return
	}
	switch d := f.Data.(type) {
	case *Joined:
		m.applyJoined(f.At, d)
	case *Removed:
		m.applyRemoved(d)
	case *Locked:
		m.locked = d.Locked
		out.Broadcast(wire.EvQuizLocked, f.At, wire.QuizLocked{Locked: d.Locked})
	case *Started:
		m.startedAt = f.At
		out.Broadcast(wire.EvQuizStart, f.At, wire.QuizStart{
			Title: m.quiz.Title, Questions: len(m.questions), Participants: len(m.byUser),
		})
	case *Answered:
		m.applyAnswered(f.At, d)
	case *Opened:
		m.applyOpened(f.At, d, out)
	case *Extended, *Recovered:
		m.applyMoved(f, out)
	case *Closed:
		m.applyClosed(f.At, d, out)
	case *Ranked:
		if m.phase == wire.PhaseResults {
			m.becomeLeaderboard(f.At)
			out.Broadcast(wire.EvQuizLeaderboard, f.At, m.leaderboard())
		}
	case *Paused:
		m.applyPaused(f.At, out)
	case *Resumed:
		m.applyResumed(f.At, out)
	case *Regraded:
		m.applyRegraded(f.At, d, out)
	case *Ended:
		if m.phase != wire.PhaseEnded {
			m.becomeEnded(f.At)
			m.volatile.quiet()
			out.Broadcast(wire.EvQuizEnd, f.At, m.leaderboard())
		}
	}
}

func (m *Machine) applyCreated(at int64, c *Created) {
	if m.phase != wire.PhaseNone || c.Quiz == nil {
		return
	}
	m.quiz, m.pin, m.owner, m.createdAt = c.Quiz, c.PIN, c.Owner, at
	m.questions = make([]question, len(c.Quiz.Questions))
	for i := range m.questions {
		spec := &c.Quiz.Questions[i]
		m.questions[i] = question{spec: spec, match: newMatcher(spec)}
	}
	m.becomeLobby()
}

func (m *Machine) applyJoined(at int64, d *Joined) {
	if _, ok := m.byUser[d.User]; ok {
		return
	}
	i := int32(len(m.players))
	m.players = append(m.players, player{user: d.User, name: d.Name, joinedAt: at})
	m.byUser[d.User] = i
	m.byName[foldText(d.Name, false)] = i
	m.board.stale = true
}

func (m *Machine) applyRemoved(d *Removed) {
	i, ok := m.byUser[d.User]
	if !ok {
		return
	}
	p := &m.players[i]
	p.removed, p.removedAt = true, int32(m.scored)
	delete(m.byUser, d.User)
	if name := foldText(p.name, false); m.byName[name] == i {
		delete(m.byName, name)
	}
	m.board.stale = true
	if p.connected {
		m.volatile.connected--
	}
	if p.expected {
		m.volatile.expected--
	}
	p.connected, p.expected = false, false
	if m.inQuestion() && m.questions[m.current].answerOf(i) != nil {
		m.questions[m.current].answered--
	}
}

// inQuestion is true from a question's opening to its close, pauses included.
func (m *Machine) inQuestion() bool {
	return m.phase == wire.PhaseOpen || (m.phase == wire.PhasePaused && m.pausedFrom == wire.PhaseOpen)
}

func (m *Machine) applyOpened(at int64, d *Opened, out *effect.Effects) {
	if d.N < 1 || d.N > len(m.questions) || d.N <= m.current+1 || m.inQuestion() || m.phase == wire.PhaseEnded {
		return
	}
	m.becomeOpen(d.N-1, d.OpensAt, d.ClosesAt)
	q := &m.questions[m.current]
	q.receiptKey = d.ReceiptKey
	q.slots = make([]int32, len(m.players))
	q.answers = make([]answer, 0, len(m.byUser))
	m.expectAll(at)
	out.Broadcast(wire.EvQuizQuestion, at, m.questionView())
}

func (m *Machine) applyAnswered(at int64, d *Answered) {
	i, ok := m.byUser[d.User]
	if !ok || m.phase != wire.PhaseOpen || d.N != m.current+1 {
		return
	}
	q := &m.questions[m.current]
	if q.answerOf(i) != nil {
		return
	}
	p, err := parseAnswer(q.spec, d.Answer)
	salt, ok := parseSalt(d.Receipt)
	if err != nil || !ok {
		return
	}
	if p.text != "" {
		p.value = q.intern(p.text)
	}
	m.expect(i)
	q.add(answer{
		value: p.value, key: keyHash(d.Key), at: at, player: i,
		elapsedMs: int32(min(max(d.ElapsedMs, 0), elapsedMsMax)), salt: salt,
	})
}

// applyMoved changes the times of the open question, or puts off what follows by itself.
func (m *Machine) applyMoved(f effect.Fact, out *effect.Effects) {
	switch {
	case m.phase == wire.PhasePaused: // resuming makes up for all of the pause
		return
	case m.phase != wire.PhaseOpen:
		if m.advanceAt != 0 {
			m.scheduleAdvance(f.At)
		}
		return
	}
	q := &m.questions[m.current]
	switch d := f.Data.(type) {
	case *Extended:
		if d.N != m.current+1 {
			return
		}
		q.closesAt += d.ByMs
	case *Recovered:
		q.opensAt += d.ByMs
		q.closesAt += d.ByMs
	}
	out.Broadcast(wire.EvQuizTime, f.At, m.timeView())
}

func (m *Machine) applyPaused(at int64, out *effect.Effects) {
	switch m.phase {
	case wire.PhaseOpen, wire.PhaseResults, wire.PhaseLeaderboard:
		m.becomePaused(at)
		out.Broadcast(wire.EvQuizPaused, at, m.timeView())
	}
}

func (m *Machine) applyResumed(at int64, out *effect.Effects) {
	if m.phase != wire.PhasePaused {
		return
	}
	away := max(at-m.pausedAt, 0)
	m.becomeResumed()
	if m.phase == wire.PhaseOpen {
		q := &m.questions[m.current]
		q.opensAt += away
		q.closesAt += away
	} else if m.advanceAt != 0 {
		m.advanceAt += away
	}
	out.Broadcast(wire.EvQuizResumed, at, m.timeView())
}

func (m *Machine) applyClosed(at int64, d *Closed, out *effect.Effects) {
	if !m.inQuestion() || d.N != m.current+1 { // a pause is closed by the end of the game only
		return
	}
	m.becomeClosed()
	q := &m.questions[m.current]
	q.skipped, q.textOf = d.Skipped, nil
	q.results = q.tally(d.N, m.players)
	m.scored = d.N
	m.settle(q)
	ranks := m.rank(q)
	m.volatile.quiet()
	m.becomeResults(at)
	out.Broadcast(wire.EvQuizResults, at, q.results)
	if !out.Replaying {
		m.sendRanks(at, ranks, out)
	}
}
