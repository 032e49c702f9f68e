package quota

// slot is one key of a Limiter.
type slot struct {
	key   string
	tatUS int64
}

// probesMax is how many slots are looked at to find one that can be forgotten.
const probesMax = 8

// Limiter is one limit for many subjects. Its memory is bounded: KeysMax keys, each a string and about 60 bytes.
type Limiter struct {
	intervalUS int64
	burst      int64
	keysMax    int
	index      map[string]int32
	slots      []slot
	hand       int
}

// NewLimiter makes a Limiter that keeps at most keysMax keys (at least 1).
func NewLimiter(l Limit, keysMax int) *Limiter {
	return &Limiter{
		intervalUS: l.IntervalUS(), burst: l.BurstActs(),
		keysMax: max(keysMax, 1), index: make(map[string]int32),
	}
}

// Take takes n acts of key at now (Unix milliseconds), as Bucket.Take does.
func (l *Limiter) Take(key string, now int64, n int) (ok bool, retryAfterMs int64) {
	if l.intervalUS == 0 {
		return true, 0
	}
	i, known := l.index[key]
	var tat int64
	if known {
		tat = l.slots[i].tatUS
	}
	tat, retry := take(tat, now, int64(n), l.intervalUS, l.burst)
	switch {
	case known:
		l.slots[i].tatUS = tat
	case retry == 0 && tat > now*1000:
		l.insert(key, tat, now)
	}
	return retry == 0, retry
}

// Len is the number of keys that are kept.
func (l *Limiter) Len() int { return len(l.slots) }

// Forget drops a key, for a subject that is gone for good.
func (l *Limiter) Forget(key string) {
	i, known := l.index[key]
	if !known {
		return
	}
	last := int32(len(l.slots) - 1)
	if i != last {
		l.slots[i] = l.slots[last]
		l.index[l.slots[i].key] = i
	}
	l.slots[last] = slot{}
	l.slots = l.slots[:last]
	delete(l.index, key)
}

// insert adds a key. The hand goes round the slots and reuses one whose bucket is full again; when none of the next
// few is, it takes the one that soonest will be. So an insertion costs O(1) even while an attacker invents keys.
func (l *Limiter) insert(key string, tat, now int64) {
	victim := -1
	for range min(probesMax, len(l.slots)) {
		if l.hand >= len(l.slots) {
			l.hand = 0
		}
		at := l.hand
		l.hand++
		if l.slots[at].tatUS <= now*1000 {
			victim = at
			break
		}
		if len(l.slots) >= l.keysMax && (victim < 0 || l.slots[at].tatUS < l.slots[victim].tatUS) {
			victim = at
		}
	}
	if victim >= 0 {
		delete(l.index, l.slots[victim].key)
		l.slots[victim] = slot{key: key, tatUS: tat}
		l.index[key] = int32(victim)
		return
	}
	l.index[key] = int32(len(l.slots))
	l.slots = append(l.slots, slot{key: key, tatUS: tat})
}
