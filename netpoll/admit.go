package netpoll

import "time"

// Refusal says why a connection was closed at once.
type Refusal uint8

const (
	// RefusalShut: Core.Refuse, or the server is stopping.
	RefusalShut Refusal = iota
	// RefusalCap: Config.ConnsMax are open.
	RefusalCap
	// RefusalAdmit: Config.Admit said no.
	RefusalAdmit

	refusalCount = iota
)

var refusalNames = [refusalCount]string{"shut", "cap", "address"}

// String is the refusal's name in metric labels.
func (r Refusal) String() string {
	if int(r) < len(refusalNames) {
		return refusalNames[r]
	}
	return "invalid"
}

// lateShare is the part of ConnsMax, counted from the top, whose connections are late: room for sending away in order.
const lateShare = 32

// admit reports whether one more connection may open, and counts it if so. late is for the last places.
func (k *Core) admit() (late, ok bool) {
	if k.refusing.Load() || k.stopping.Load() {
		k.turned[RefusalShut].Add(1)
		return false, false
	}
	most := int64(k.cfg.ConnsMax)
	n := k.open.Add(1) + k.detached.Load()
	if n > most {
		k.open.Add(-1)
		k.turned[RefusalCap].Add(1)
		return false, false
	}
	return n > most-most/lateShare, true
}

// pace is a loop's share of Config.AcceptRate: a bucket that holds a second's worth.
type pace struct {
	tokens float64
	at     time.Time // when tokens was right; zero: full
}

// take reports whether one more connection is within the rate per second.
func (p *pace) take(now time.Time, rate float64) bool {
	burst := max(rate, 1)
	if p.at.IsZero() {
		p.tokens = burst
	} else if dt := now.Sub(p.at); dt > 0 {
		p.tokens = min(burst, p.tokens+dt.Seconds()*rate)
	}
	p.at = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// late reports whether the loop should send a new connection away, and counts those.
func (l *Loop) late(lastPlaces bool) bool {
	if rate := l.core.cfg.AcceptRate; rate > 0 && !l.pace.take(l.Now(), float64(rate)/float64(l.core.cfg.Loops)) {
		lastPlaces = true
	}
	if lastPlaces {
		l.count.late.Add(1)
	}
	return lastPlaces
}
