package quiz

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// step carries out a host's op in the state of the moment.
func (m *Machine) step(env effect.Env, op wire.Op, body any, out *effect.Effects) *wire.Error {
	switch phase := m.phaseAt(env.Now); {
	case phase == wire.PhaseNone:
		return wire.NewError(wire.CodeWrongState, "there is no quiz in this room: create one")
	case op == wire.OpQuizEnd && phase != wire.PhaseEnded:
		m.end(env.Now, out)
		return nil
	case op == wire.OpQuizLock && phase != wire.PhaseEnded:
		d, _ := body.(*wire.QuizLockData)
		locked := d == nil || d.Locked == nil || *d.Locked
		if locked != m.locked {
			m.record(FactLocked, env.Now, &Locked{Locked: locked, ByHost: m.by()}, out)
		}
		return nil
	case op == wire.OpQuizRegrade:
		return m.regrade(env, body, out)
	case phase == wire.PhaseLobby:
		return m.stepLobby(env, op, out)
	case phase == wire.PhaseOpen:
		return m.stepOpen(env, op, body, out)
	case phase == wire.PhaseClosed:
		return m.stepClosed(env, op, out)
	case phase == wire.PhaseResults:
		return m.stepResults(env, op, out)
	case phase == wire.PhaseLeaderboard:
		return m.stepLeaderboard(env, op, out)
	case phase == wire.PhasePaused:
		return m.stepPaused(env, op, out)
	}
	return m.stepEnded(op)
}

// by marks a fact with whose op it comes from.
func (m *Machine) by() ByHost { return ByHost{By: m.acting} }

// end ends the game at once. A question that people could answer is closed first, so that the answers they have
// receipts for count.
func (m *Machine) end(now int64, out *effect.Effects) {
	if m.inQuestion() {
		reached := now
		if m.phase == wire.PhasePaused {
			reached = m.pausedAt
		}
		if reached >= m.questions[m.current].opensAt {
			m.record(FactClosed, now, &Closed{N: m.current + 1, ByHost: m.by()}, out)
		}
	}
	m.record(FactEnded, now, &Ended{m.by()}, out)
}

// phaseAt is the phase as clients see it: an open question whose time is over is closed, while its grace lasts.
func (m *Machine) phaseAt(now int64) wire.QuizPhase {
	if m.phase == wire.PhaseOpen && now >= m.questions[m.current].closesAt {
		return wire.PhaseClosed
	}
	return m.phase
}

func wrongState(op wire.Op, state, possible string) *wire.Error {
	return wire.NewError(wire.CodeWrongState, "%s is not possible %s: try %s", op, state, possible)
}

func (m *Machine) stepLobby(env effect.Env, op wire.Op, out *effect.Effects) *wire.Error {
	if op != wire.OpQuizStart {
		return wrongState(op, "in the lobby", "quiz:start, quiz:lock or quiz:end")
	}
	m.record(FactStarted, env.Now, &Started{m.by()}, out)
	m.openNext(env.Now, out)
	return nil
}

func (m *Machine) stepOpen(env effect.Env, op wire.Op, body any, out *effect.Effects) *wire.Error {
	n := m.current + 1
	switch op {
	case wire.OpQuizNext:
		if env.Now < m.questions[m.current].opensAt {
			return wrongState(op, "before the question opens", "quiz:skip or quiz:pause")
		}
		m.record(FactClosed, env.Now, &Closed{N: n, ByHost: m.by()}, out)
	case wire.OpQuizSkip:
		m.record(FactClosed, env.Now, &Closed{N: n, Skipped: true, ByHost: m.by()}, out)
	case wire.OpQuizPause:
		m.record(FactPaused, env.Now, &Paused{m.by()}, out)
	case wire.OpQuizExtend:
		by := int64(extendMsDefault)
		if d, ok := body.(*wire.QuizExtendData); ok && d != nil && d.ByMs > 0 {
			by = d.ByMs
		}
		if m.questions[m.current].limitMs()+by > elapsedMsMax {
			return wire.NewError(wire.CodeInvalidData, "the question has been extended enough").At("byMs")
		}
		m.record(FactExtended, env.Now, &Extended{N: n, ByMs: by, ByHost: m.by()}, out)
	default:
		return wrongState(op, "while a question is open",
			"quiz:next (close it now), quiz:skip, quiz:pause, quiz:extend, quiz:lock or quiz:end")
	}
	return nil
}

// stepClosed is the grace after a question's time, in which the results are not there yet.
func (m *Machine) stepClosed(env effect.Env, op wire.Op, out *effect.Effects) *wire.Error {
	switch op {
	case wire.OpQuizNext:
		m.record(FactClosed, env.Now, &Closed{N: m.current + 1, ByHost: m.by()}, out)
	case wire.OpQuizSkip:
		m.record(FactClosed, env.Now, &Closed{N: m.current + 1, Skipped: true, ByHost: m.by()}, out)
	default:
		return wrongState(op, "in the moment before the results", "quiz:next, quiz:skip, quiz:lock or quiz:end")
	}
	return nil
}

func (m *Machine) stepResults(env effect.Env, op wire.Op, out *effect.Effects) *wire.Error {
	switch op {
	case wire.OpQuizNext:
		m.record(FactRanked, env.Now, &Ranked{N: m.current + 1, ByHost: m.by()}, out)
	case wire.OpQuizSkip:
		m.openNext(env.Now, out)
	case wire.OpQuizPause:
		m.record(FactPaused, env.Now, &Paused{m.by()}, out)
	default:
		return wrongState(op, "while results are shown",
			"quiz:next, quiz:skip (to the next question), quiz:pause, quiz:lock or quiz:end")
	}
	return nil
}

func (m *Machine) stepLeaderboard(env effect.Env, op wire.Op, out *effect.Effects) *wire.Error {
	switch op {
	case wire.OpQuizNext, wire.OpQuizSkip:
		m.openNext(env.Now, out)
	case wire.OpQuizPause:
		m.record(FactPaused, env.Now, &Paused{m.by()}, out)
	default:
		return wrongState(op, "while the leaderboard is shown", "quiz:next, quiz:pause, quiz:lock or quiz:end")
	}
	return nil
}

func (m *Machine) stepPaused(env effect.Env, op wire.Op, out *effect.Effects) *wire.Error {
	if op != wire.OpQuizResume {
		return wrongState(op, "during a pause", "quiz:resume, quiz:lock or quiz:end")
	}
	m.record(FactResumed, env.Now, &Resumed{m.by()}, out)
	return nil
}

func (m *Machine) stepEnded(op wire.Op) *wire.Error {
	return wire.NewError(wire.CodeWrongState, "%s is not possible: the quiz is over; quiz:state shows its result", op)
}

// openNext opens the question after the current one, or ends the game after the last.
func (m *Machine) openNext(now int64, out *effect.Effects) {
	next := m.current + 1
	if next >= len(m.questions) {
		m.record(FactEnded, now, &Ended{m.by()}, out)
		return
	}
	limit := m.questions[next].spec.TimeLimitMs
	if limit <= 0 {
		limit = timeLimitMsDefault
	}
	opensAt := now + m.cfg.LeadMs
	opened := &Opened{N: next + 1, OpensAt: opensAt, ClosesAt: opensAt + limit, ByHost: m.by()}
	if m.cfg.ReceiptKey != nil {
		opened.ReceiptKey = m.cfg.ReceiptKey()
	}
	m.record(FactOpened, now, opened, out)
}

// closeIfAllAnswered closes the open question when nobody's answer is waited for any more.
func (m *Machine) closeIfAllAnswered(now int64, out *effect.Effects) {
	if m.phase != wire.PhaseOpen {
		return
	}
	answered := m.questions[m.current].answered
	if answered > 0 && answered >= m.volatile.expected {
		m.record(FactClosed, now, &Closed{N: m.current + 1, ByHost: m.by()}, out)
	}
}

// The become setters are the only writers of the phase. They are called by Apply, which has checked that the fact fits.

func (m *Machine) becomeLobby() { m.phase = wire.PhaseLobby }

func (m *Machine) becomeOpen(index int, opensAt, closesAt int64) {
	m.phase, m.current, m.advanceAt = wire.PhaseOpen, index, 0
	q := &m.questions[index]
	q.opensAt, q.closesAt = opensAt, closesAt
}

func (m *Machine) becomeClosed() { m.phase = wire.PhaseClosed }

func (m *Machine) becomeResults(at int64) {
	m.phase = wire.PhaseResults
	m.scheduleAdvance(at)
}

func (m *Machine) becomeLeaderboard(at int64) {
	m.phase = wire.PhaseLeaderboard
	m.scheduleAdvance(at)
}

func (m *Machine) becomePaused(at int64) {
	m.phase, m.pausedFrom, m.pausedAt = wire.PhasePaused, m.phase, at
}

// becomeResumed goes back to where the pause began.
func (m *Machine) becomeResumed() { m.phase, m.pausedFrom, m.pausedAt = m.pausedFrom, "", 0 }

func (m *Machine) becomeEnded(at int64) {
	m.phase, m.endedAt, m.advanceAt, m.pausedFrom = wire.PhaseEnded, at, 0, ""
}

func (m *Machine) scheduleAdvance(at int64) {
	m.advanceAt = 0
	if m.quiz.Settings.AutoAdvance {
		m.advanceAt = at + m.cfg.AutoAdvanceMs
	}
}
