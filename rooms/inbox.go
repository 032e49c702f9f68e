package rooms

import "sync"

// inbox is a take-all queue: producers append under a lock, the shard takes everything at once, so batches form by
// themselves under load. One slot of wake is enough however many producers there are.
type inbox struct {
	wake chan struct{}

	mu       sync.Mutex
	commands []Command
	signals  []any // commit results, loaded rooms, finished deliveries: never refused, bounded by what the shard asked for
	limit    int
	peak     int
	stopped  bool
}

func newInbox(limit int) *inbox {
	return &inbox{wake: make(chan struct{}, 1), limit: limit}
}

// post appends commands, all or none; must says that they are taken beyond the limit too. Any goroutine.
func (q *inbox) post(commands []Command, must bool) bool {
	q.mu.Lock()
	if q.stopped || !must && len(q.commands)+len(commands) > q.limit {
		q.mu.Unlock()
		return false
	}
	q.commands = append(q.commands, commands...)
	q.peak = max(q.peak, len(q.commands))
	q.mu.Unlock()
	q.signal()
	return true
}

// signalWith appends a signal. Any goroutine.
func (q *inbox) signalWith(s any) {
	q.mu.Lock()
	q.signals = append(q.signals, s)
	q.mu.Unlock()
	q.signal()
}

func (q *inbox) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take swaps everything that waits for the two empty slices given. The shard's goroutine.
func (q *inbox) take(commands []Command, signals []any) ([]Command, []any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, s := q.commands, q.signals
	q.commands, q.signals = commands[:0], signals[:0]
	return c, s
}

// stop refuses commands from now on; signals are still taken.
func (q *inbox) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
}

// depth is the number of commands that wait, and the most that ever did.
func (q *inbox) depth() (now, peak int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.commands), q.peak
}
