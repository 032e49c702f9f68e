package client

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 prescribes it.
	"encoding/base64"
	"errors"
	"fmt"
)

// responseHeadMax bounds the server's answer to the handshake.
const responseHeadMax = 16 << 10

var (
	errAccept = errors.New("bench: the server's Sec-WebSocket-Accept is wrong (RFC 6455 section 4.2.2)")
	errHead   = errors.New("bench: the server's answer to the handshake is not HTTP or too long")
	headEnd   = []byte("\r\n\r\n")
)

// acceptFor is the Sec-WebSocket-Accept that belongs to key.
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// appendRequest appends the client's handshake (RFC 6455 section 4.1). All connections of an engine share one key: it
// guards against caches, not against anybody.
func (e *Engine) appendRequest(dst []byte, path, token string) []byte {
	dst = append(dst, "GET "...)
	dst = append(dst, path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, e.cfg.Host...)
	dst = append(dst, "\r\nUpgrade: websocket\r\nConnection: Upgrade"...)
	dst = append(dst, "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	dst = append(dst, e.key...)
	if e.cfg.Subprotocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, e.cfg.Subprotocol...)
	}
	if token != "" {
		dst = append(dst, "\r\nAuthorization: Bearer "...)
		dst = append(dst, token...)
	}
	return append(dst, headEnd...)
}

// upgrade looks for the end of the response head and checks it; it returns what follows, and whether the head was
// there.
func (c *Conn) upgrade(in []byte, now int64) (rest []byte, done bool) {
	end := bytes.Index(in, headEnd)
	if end < 0 {
		if len(in) > responseHeadMax {
			c.finish(End{Name: "handshake", Err: errHead})
			return nil, true
		}
		return nil, false
	}
	head := in[:end+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) || len(head) < 12 {
		c.finish(End{Name: "handshake", Err: errHead})
		return nil, true
	}
	if status := string(head[9:12]); status != "101" {
		err := fmt.Errorf("bench: the server answered the handshake with status %s", status)
		c.finish(End{Name: "handshake_" + status, Err: err})
		return nil, true
	}
	if string(headerValue(head, "sec-websocket-accept")) != c.engine.accept {
		c.finish(End{Name: "handshake", Err: errAccept})
		return nil, true
	}
	c.state = stateOpen
	c.engine.handler.Opened(c, now)
	return in[end+len(headEnd):], true
}

// headerValue finds a header by its lower-case name in a response head whose lines end in CRLF.
func headerValue(head []byte, name string) []byte {
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && bytes.EqualFold(key, []byte(name)) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}
