package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"lectern/protocol/stomp"
)

// Limits of what is kept of users' queues between two connections. What is beyond them is dropped and counted, the
// oldest first.
const (
	queueMessagesMax = 256      // per user
	queueBytesMax    = 64 << 10 // per user
	queuesBytesMax   = 16 << 20 // of all users
	queueAge         = 2 * time.Minute
)

// userQueues keeps the messages of users' queues that no connection has acknowledged. Any goroutine.
type userQueues struct {
	dropped *atomic.Int64

	mu    sync.Mutex
	users map[string]*userQueue
	bytes int
	sweep time.Time // when to look for what is too old
}

type userQueue struct {
	messages []*stomp.Delivery
	bytes    int
	until    time.Time
}

// put keeps messages of a user; those of nobody are dropped.
func (q *userQueues) put(user string, messages []*stomp.Delivery, now time.Time) {
	if len(messages) == 0 || user == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(now)
	u := q.users[user]
	if u == nil {
		u = &userQueue{}
		if q.users == nil {
			q.users = make(map[string]*userQueue)
		}
		q.users[user] = u
	}
	u.until = now.Add(queueAge)
	for _, d := range messages {
		u.messages = append(u.messages, d)
		u.bytes += d.Bytes()
		q.bytes += d.Bytes()
	}
	for len(u.messages) > queueMessagesMax || u.bytes > queueBytesMax {
		q.dropOldest(u)
	}
	for q.bytes > queuesBytesMax {
		q.drop(q.oldest())
	}
}

func (q *userQueues) dropOldest(u *userQueue) {
	size := u.messages[0].Bytes()
	u.messages[0] = nil
	u.messages = u.messages[1:]
	u.bytes -= size
	q.bytes -= size
	q.dropped.Add(1)
}

// oldest is the user whose messages have waited longest. Looking at all of them is for rare times.
func (q *userQueues) oldest() string {
	name, until := "", time.Time{}
	for user, u := range q.users {
		if name == "" || u.until.Before(until) {
			name, until = user, u.until
		}
	}
	return name
}

func (q *userQueues) drop(user string) {
	u := q.users[user]
	q.dropped.Add(int64(len(u.messages)))
	q.bytes -= u.bytes
	delete(q.users, user)
}

// expire drops what is too old, once in a while.
func (q *userQueues) expire(now time.Time) {
	if now.Before(q.sweep) {
		return
	}
	q.sweep = now.Add(queueAge / 4)
	for user, u := range q.users {
		if !now.Before(u.until) {
			q.drop(user)
		}
	}
}

// take hands out, oldest first, the messages of a user that belong to a queue.
func (q *userQueues) take(user string, t stomp.Target, now time.Time) []*stomp.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(now)
	u := q.users[user]
	if u == nil || !now.Before(u.until) {
		return nil
	}
	var out, left []*stomp.Delivery
	for _, d := range u.messages {
		if !d.For(t) {
			left = append(left, d)
			continue
		}
		out = append(out, d)
		u.bytes -= d.Bytes()
		q.bytes -= d.Bytes()
	}
	if u.messages = left; len(left) == 0 {
		delete(q.users, user)
	}
	return out
}
