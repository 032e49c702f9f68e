package gateway

import (
	"strconv"
	"time"

	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/wire"
)

// How long those who are sent away should wait: at random between the two, so that they come back spread out.
const (
	retryLeast = 2 * time.Second
	retryMost  = 12 * time.Second
)

func (m *member) retryAfter() time.Duration {
	spread := int((retryMost - retryLeast).Milliseconds())
	return retryLeast + time.Duration(state(m.conn.Loop()).rand.IntN(spread))*time.Millisecond
}

// turnAway answers an upgrade that can't be taken up now: with 503 and Retry-After, before its token is looked at. A
// browser's page can't read that, so a page gets a WebSocket that closes at once with the code.
func (m *member) turnAway(
	at *endpoint, req *http1.Request, code wire.CloseCode, after time.Duration, why string,
) session.Verdict {
	if req.Headers.Get("Origin") == "" {
		return retryLater(after, why)
	}
	m.badToken = code
	return at.upgrade(m, req)
}

// retryLater is RFC 9110's answer with advice: whole seconds, rounded up (sections 10.2.3 and 15.6.4).
func retryLater(after time.Duration, why string) session.Verdict {
	v := reject(503, why)
	seconds := int((after + time.Second - 1) / time.Second)
	v.Headers = http1.Headers{{Name: "Retry-After", Value: strconv.Itoa(seconds)}}
	return v
}
