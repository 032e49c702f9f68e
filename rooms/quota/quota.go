// Package quota limits how often somebody may do something. It holds values, not policies: a Bucket is one limit for
// one subject, a Limiter is one limit for many subjects named by a key (a user, an address). Time is an argument.
//
// Both use the generic cell rate algorithm (ITU-T I.371, annex A): one number, the theoretical arrival time, stands
// for the whole bucket, so nothing has to be refilled by a timer.
//
// Limits: a Limiter keeps at most KeysMax keys (unit: keys); beyond that the one that is nearest to being full again
// is forgotten, which can only be generous to its owner.
//
// Nothing here is safe for more than one goroutine.
package quota

import "time"

// Limit is a rate: Count acts in Per, of which Burst may come at once. The zero Limit allows everything.
type Limit struct {
	Count int           // acts, > 0
	Per   time.Duration // > 0
	Burst int           // acts; zero means Count
}

// Unlimited is true for a Limit that refuses nothing.
func (l Limit) Unlimited() bool { return l.Count <= 0 || l.Per <= 0 }

// BurstActs is the greatest number of acts at once.
func (l Limit) BurstActs() int64 {
	if l.Burst > 0 {
		return int64(l.Burst)
	}
	return int64(l.Count)
}

// IntervalUS is the time that one act takes to come back, in microseconds, rounded up so that the limit is never
// exceeded; zero for an unlimited one.
func (l Limit) IntervalUS() int64 {
	if l.Unlimited() {
		return 0
	}
	count := int64(l.Count)
	return max((l.Per.Microseconds()+count-1)/count, 1)
}

// Presets are the limits of one room or gateway, one per kind of act.
type Presets struct {
	Messages  Limit // chat messages of one user
	Edits     Limit // edits, deletions, reactions and pins of one user
	Commands  Limit // commands of any kind of one connection
	Publishes Limit // room:publish of one user
	Progress  Limit // progress:update of one user
	Joins     Limit // joins from one address: a whole school may share it
	Names     Limit // joins of one user: changing the name at every join must not be free
}

// DefaultPresets are limits that no honest classroom reaches.
func DefaultPresets() Presets {
	return Presets{
		Messages:  Limit{Count: 100, Per: time.Minute, Burst: 10},
		Edits:     Limit{Count: 120, Per: time.Minute, Burst: 20},
		Commands:  Limit{Count: 50, Per: time.Second, Burst: 200},
		Publishes: Limit{Count: 50, Per: time.Second, Burst: 100},
		Progress:  Limit{Count: 10, Per: time.Second, Burst: 20},
		Joins:     Limit{Count: 500, Per: time.Second, Burst: 5000},
		Names:     Limit{Count: 30, Per: time.Minute, Burst: 10},
	}
}

// Bucket is one limit for one subject: 24 bytes, to be kept by value. The zero Bucket allows everything.
type Bucket struct {
	tatUS      int64 // when the bucket will be full again, Unix microseconds
	intervalUS int64 // per act; zero: no limit
	burst      int64
}

// NewBucket makes a full bucket.
func NewBucket(l Limit) Bucket {
	if l.Unlimited() {
		return Bucket{}
	}
	return Bucket{intervalUS: l.IntervalUS(), burst: l.BurstActs()}
}

// Take takes n acts at now (Unix milliseconds). Refused, it takes nothing and says in how many milliseconds the same n
// would be allowed; an n over the burst is never allowed and gets the time of a whole empty bucket. A clock that goes
// backwards gives nothing away; it makes the bucket empty at worst.
func (b *Bucket) Take(now int64, n int) (ok bool, retryAfterMs int64) {
	if b.intervalUS == 0 {
		return true, 0
	}
	var retry int64
	b.tatUS, retry = take(b.tatUS, now, int64(n), b.intervalUS, b.burst)
	return retry == 0, retry
}

// Full is true when nothing has been taken that has not come back; such a bucket may be forgotten.
func (b *Bucket) Full(now int64) bool { return b.tatUS <= now*1000 }

// Meter is a Bucket without its limit, in 8 bytes, for subjects that share one Limit. The zero Meter is full.
type Meter int64

// Take is Bucket.Take under the limit.
func (m *Meter) Take(l Limit, now int64, n int) (ok bool, retryAfterMs int64) {
	if l.Unlimited() {
		return true, 0
	}
	tat, retry := take(int64(*m), now, int64(n), l.IntervalUS(), l.BurstActs())
	*m = Meter(tat)
	return retry == 0, retry
}

// Charge takes n acts whether they are there or not; what follows is refused until they have come back. It never takes
// more than a whole bucket.
func (m *Meter) Charge(l Limit, now int64, n int) {
	if !l.Unlimited() {
		nowUS := now * 1000
		*m = Meter(min(max(int64(*m), nowUS)+int64(n)*l.IntervalUS(), nowUS+l.BurstActs()*l.IntervalUS()))
	}
}

// Spent is true when not even one act is left at now.
func (m Meter) Spent(l Limit, now int64) bool {
	if l.Unlimited() {
		return false
	}
	_, retry := take(int64(m), now, 1, l.IntervalUS(), l.BurstActs())
	return retry > 0
}

// Full is true when nothing has been taken that has not come back.
func (m Meter) Full(now int64) bool { return int64(m) <= now*1000 }

// take is the algorithm: it gives the new theoretical arrival time, and zero or the milliseconds to wait.
func take(tat, now, n, interval, burst int64) (newTat, retryAfterMs int64) {
	if n <= 0 {
		return tat, 0
	}
	nowUS := now * 1000
	if n > burst {
		return tat, max((burst*interval+999)/1000, 1)
	}
	tat = min(tat, nowUS+burst*interval) // further ahead it can only be after the clock was set back
	next := max(tat, nowUS) + n*interval
	over := next - nowUS - burst*interval
	if over > 0 {
		return tat, (over + 999) / 1000
	}
	return next, 0
}
