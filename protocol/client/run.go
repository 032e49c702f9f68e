package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"lectern/protocol/wire"
)

// Run connects, reads and calls back until ctx ends or the server closes for good; it connects again whenever the close
// code says so. It returns ctx's error, a *ClosedError, or the refusal of the token. Call it once.
func (c *Client) Run(ctx context.Context) error {
	defer c.shut()
	failures := 0
	for {
		usable, code, advice, err := c.live(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *wire.Error
		if final := (*ClosedError)(nil); errors.As(err, &final) || errors.As(err, &refused) && !transient(refused.Code) {
			return err
		}
		if usable {
			failures = 0
		}
		wait := max(c.delay(code, failures), advice, adviceOf(err))
		failures++
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// adviceOf is when the server asks to be tried again, in a refusal or in the answer to a handshake. Zero: it does not
// say.
func adviceOf(err error) time.Duration {
	var refused *wire.Error
	var handshake *refusedHandshake
	switch {
	case errors.As(err, &refused):
		return min(time.Duration(refused.RetryAfterMs)*time.Millisecond, adviceMax)
	case errors.As(err, &handshake):
		return min(handshake.after, adviceMax)
	}
	return 0
}

// transient refusals of auth are tried again.
func transient(code wire.Code) bool {
	switch code {
	case wire.CodeRateLimited, wire.CodeUnavailable, wire.CodeInternal, wire.CodeTokenExpired:
		return true
	}
	return false
}

// limitWait is the least wait after a close for limits (4100–4199).
const limitWait = 5 * time.Second

// delay is how long to wait before connecting again: by the close code's range, and otherwise exponential with jitter
// (half to one and a half of the mean), so that a class whose server restarts does not come back in one moment.
func (c *Client) delay(code wire.CloseCode, failures int) time.Duration {
	mean := c.cfg.BackoffMax
	if failures < 16 {
		mean = min(c.cfg.Backoff<<failures, c.cfg.BackoffMax)
	}
	switch {
	case failures == 0 && (code >= 4000 && code < 4100 || code == wire.CloseSlowConsumer):
		mean = c.cfg.Backoff / 5 // at once, but not all in the same moment
	case code >= 4100 && code < 4200:
		mean = max(mean, limitWait)
	}
	return mean/2 + time.Duration(c.random()%uint64(mean))
}

// adviceMax bounds what a server may tell a client to wait.
const adviceMax = 10 * time.Minute

// adviceIn is the delay that a close reason asks for: retryAfterMs=N. Zero without one.
func adviceIn(reason string) time.Duration {
	_, rest, found := strings.Cut(reason, "retryAfterMs=")
	end := 0
	for end < len(rest) && end < 9 && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	ms, err := strconv.Atoi(rest[:end])
	if !found || err != nil {
		return 0
	}
	return min(time.Duration(ms)*time.Millisecond, adviceMax)
}

// live is one connection's life. usable tells whether it got so far that requests were possible, advice what the server
// asked for when it closed.
func (c *Client) live(ctx context.Context) (usable bool, code wire.CloseCode, advice time.Duration, err error) {
	conn, err := dial(ctx, &c.cfg, c.random)
	if err != nil {
		return false, 0, 0, err
	}
	conn.message = func(payload []byte) { c.received(conn, payload) }
	c.mu.Lock()
	c.conn = conn
	for _, r := range c.rooms {
		r.live = false
	}
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	greeted := make(chan error, 1)
	alive, ended := context.WithCancel(ctx)
	defer ended()
	var settling sync.WaitGroup
	settling.Go(func() {
		err := c.greet(ctx, conn)
		if err != nil {
			_ = conn.Close()
		}
		greeted <- err
		if err == nil {
			c.settle(alive)
		}
	})
	err = conn.read()
	_ = conn.Close()
	ended()
	usable = c.lost(conn)
	settling.Wait()
	if greeting := <-greeted; greeting != nil && !errors.Is(greeting, ErrDisconnected) {
		err = greeting
	}
	if usable && c.cfg.Changed != nil {
		c.cfg.Changed(false)
	}
	if conn.code >= 4200 && conn.code < 4300 {
		err = &ClosedError{Code: conn.code, Reason: conn.reason}
	}
	return usable, conn.code, adviceIn(conn.reason), err
}

// settle is what follows the greeting on an open connection: better samples of the clock, and new tokens in time.
func (c *Client) settle(ctx context.Context) {
	for range c.cfg.ClockSamples - 1 {
		attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		_, _, err := c.sync(attempt)
		cancel()
		if err != nil {
			return
		}
	}
	for c.cfg.Token != nil {
		c.mu.Lock()
		left := time.UnixMilli(c.me.ExpiresAt).Sub(c.cfg.Now().Add(c.offset))
		never := c.me.ExpiresAt == 0
		c.mu.Unlock()
		if never {
			return
		}
		// A fifth of its life before its end, so that a short outage leaves room for another try.
		timer := time.NewTimer(max(left*4/5, renewalsApart))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		_ = c.authenticate(attempt) // the next try is at a fifth of what is left; the server closes when nothing is
		cancel()
	}
}

// renewalsApart is the least time between two renewals of a token.
const renewalsApart = time.Second

// authenticate brings a token, or a guest's name.
func (c *Client) authenticate(ctx context.Context) error {
	data := wire.AuthData{Name: c.cfg.Guest}
	if c.cfg.Token != nil {
		token, err := c.cfg.Token(ctx)
		if err != nil {
			return err
		}
		data = wire.AuthData{Token: token}
	}
	var me wire.AuthReply
	if err := c.request(ctx, wire.OpAuth, "", data, &me, nil); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.me = me
	return nil
}

// greet authenticates, asks for the time and comes back to the rooms; then everybody may send.
func (c *Client) greet(ctx context.Context, conn *conn) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := c.authenticate(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.rtt = 0 // the clock may have been slept over: what was measured before counts no more
	c.mu.Unlock()
	if _, _, err := c.sync(ctx); err != nil {
		return err
	}
	type back struct {
		room string
		data wire.JoinData
	}
	var rooms []back
	c.mu.Lock()
	for room, state := range c.rooms {
		data, seq := state.data, state.seq
		data.Since, data.Epoch = &seq, state.epoch
		rooms = append(rooms, back{room, data})
	}
	c.mu.Unlock()
	for _, b := range rooms {
		_, err := c.join(ctx, b.room, b.data, c.cfg.Rejoined)
		if refused := (*wire.Error)(nil); errors.As(err, &refused) {
			c.mu.Lock()
			delete(c.rooms, b.room)
			c.mu.Unlock()
			continue
		}
		if err != nil {
			return err
		}
	}
	c.mu.Lock()
	if c.conn != conn { // lost meanwhile
		c.mu.Unlock()
		return ErrDisconnected
	}
	c.usable = true
	ready := c.ready
	c.mu.Unlock()
	close(ready)
	if c.cfg.Changed != nil {
		c.cfg.Changed(true)
	}
	return nil
}

// lost ends what waits for the connection.
func (c *Client) lost(conn *conn) (wasUsable bool) {
	c.mu.Lock()
	wasUsable = c.usable
	if c.usable {
		c.usable, c.ready = false, make(chan struct{})
	}
	c.conn = nil
	var orphans []*pending
	for _, p := range c.waiting {
		if p.conn == conn {
			orphans = append(orphans, p)
		}
	}
	c.mu.Unlock()
	for _, p := range orphans {
		p.finish(outcome{err: ErrDisconnected})
	}
	return wasUsable
}

// finish gives the outcome once; a second one is dropped.
func (p *pending) finish(o outcome) {
	select {
	case p.done <- o:
	default:
	}
}

// shut wakes whoever waits for a connection that will not come.
func (c *Client) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if !c.usable {
		close(c.ready)
	}
}

// message is anything that the server sends.
type message struct {
	Re    *uint64         `json:"re"`
	OK    bool            `json:"ok"`
	Error *wire.Error     `json:"error"`
	Ev    string          `json:"ev"`
	Room  string          `json:"room"`
	Seq   uint64          `json:"seq"`
	TS    int64           `json:"ts"`
	Data  json.RawMessage `json:"data"`
}

// received handles one frame: a message or an array of them.
func (c *Client) received(conn *conn, payload []byte) {
	var batch []message
	if trimmed := bytes.TrimLeft(payload, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if json.Unmarshal(payload, &batch) != nil {
			_ = conn.Close()
			return
		}
	} else {
		var one message
		if json.Unmarshal(payload, &one) != nil {
			_ = conn.Close()
			return
		}
		batch = append(batch, one)
	}
	for i := range batch {
		if m := &batch[i]; m.Ev != "" {
			c.event(conn, m)
		} else if m.Re != nil {
			c.reply(m)
		}
	}
}

func (c *Client) reply(m *message) {
	c.mu.Lock()
	p := c.waiting[*m.Re]
	c.mu.Unlock()
	if p == nil {
		return // it came after its time
	}
	if !m.OK {
		err := m.Error
		if err == nil {
			err = wire.NewError(wire.CodeInternal, "refused without a reason")
		}
		p.finish(outcome{err: err})
		return
	}
	if p.onReply != nil {
		p.onReply(m.Data)
	}
	p.finish(outcome{data: m.Data})
}

// event delivers a resumable event exactly once. After a gap the connection is given up: the way back brings what is
// missing.
func (c *Client) event(conn *conn, m *message) {
	c.mu.Lock()
	state := c.rooms[m.Room]
	if state != nil && m.Seq != 0 {
		if !state.live || m.Seq <= state.seq {
			c.mu.Unlock()
			return
		}
		if m.Seq != state.seq+1 {
			c.mu.Unlock()
			_ = conn.Close()
			return
		}
		state.seq = m.Seq
	}
	c.mu.Unlock()
	if c.cfg.Event != nil {
		c.cfg.Event(Event{Name: m.Ev, Room: m.Room, Seq: m.Seq, TS: m.TS, Data: m.Data})
	}
}
