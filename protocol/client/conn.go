package client

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 prescribes it.
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"lectern/protocol/wire"
	"lectern/protocol/ws"
)

// Dialer opens a connection, as net.Dialer.DialContext does.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

const (
	subprotocol     = "lectern.v1"
	messageBytesMax = 16 << 20
	readBufBytes    = 16 << 10
)

// conn is one WebSocket connection. writeText may be called from any goroutine, everything else by the reader.
type conn struct {
	net.Conn
	br     *bufio.Reader
	reader ws.Reader
	random func() uint64

	mu  sync.Mutex // one frame at a time
	out []byte

	// Owned by the reader.
	message func(payload []byte)
	code    wire.CloseCode
	reason  string
}

// dial connects and does the handshake (RFC 6455 section 4.1).
func dial(ctx context.Context, cfg *Config, random func() uint64) (*conn, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("client: the URL %q is not understood: it should look like ws://127.0.0.1:8080/ws", cfg.URL)
	}
	secure := u.Scheme == "wss" || u.Scheme == "https"
	if !secure && u.Scheme != "ws" && u.Scheme != "http" {
		return nil, fmt.Errorf("client: the scheme %q is not spoken: use wss or ws", u.Scheme)
	}
	address := u.Host
	if u.Port() == "" {
		port := "80"
		if secure {
			port = "443"
		}
		address = net.JoinHostPort(u.Hostname(), port)
	}
	open := cfg.Dial
	switch {
	case open != nil:
	case secure:
		tlsConfig := cfg.TLS
		if tlsConfig == nil {
			tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		open = (&tls.Dialer{Config: tlsConfig}).DialContext
	default:
		open = (&net.Dialer{}).DialContext
	}
	raw, err := open(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("client: connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	c := &conn{Conn: raw, br: bufio.NewReaderSize(raw, readBufBytes), random: random}
	c.reader = ws.NewReader(&ws.Config{MessageBytesMax: messageBytesMax, Client: true}, false)
	if err := c.handshake(u); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) handshake(u *url.URL) error {
	var nonce [16]byte
	binary.NativeEndian.PutUint64(nonce[:], c.random())
	binary.NativeEndian.PutUint64(nonce[8:], c.random())
	key := base64.StdEncoding.EncodeToString(nonce[:])
	path := u.RequestURI()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		path, u.Host, key, subprotocol)
	if err != nil {
		return fmt.Errorf("client: handshake: %w", err)
	}
	response, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return fmt.Errorf("client: handshake: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusSwitchingProtocols {
		refusal := &refusedHandshake{status: response.Status}
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			refusal.after = time.Duration(min(seconds, 3600)) * time.Second
		}
		return refusal
	}
	if response.Header.Get("Sec-WebSocket-Accept") != acceptFor(key) {
		return errors.New("client: the server's Sec-WebSocket-Accept is wrong")
	}
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != subprotocol {
		return fmt.Errorf("client: the server does not speak %s", subprotocol)
	}
	return nil
}

// refusedHandshake is an answer other than 101, with the server's advice when to come back.
type refusedHandshake struct {
	status string
	after  time.Duration // zero: none
}

// Error is for people.
func (e *refusedHandshake) Error() string {
	return "client: the server answered the handshake with " + e.status
}

// acceptFor is the Sec-WebSocket-Accept that belongs to key (RFC 6455 section 4.2.2).
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c *conn) writeText(payload []byte, mask uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = ws.AppendMaskedText(c.out[:0], payload, uint32(mask>>16))
	_, err := c.Write(c.out)
	return err
}

func (c *conn) writeControl(op ws.OpCode, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = ws.AppendMasked(c.out[:0], op, true, false, payload, uint32(c.random()>>16))
	_, _ = c.Write(c.out)
}

// read hands every message to c.message until the connection ends; then code is the server's close code, or 1006.
func (c *conn) read() error {
	c.code = wire.CloseAbnormal
	buf := make([]byte, readBufBytes)
	for {
		n, err := c.br.Read(buf)
		if n > 0 {
			if fault := c.reader.Feed(buf[:n], c); fault != nil {
				return fault
			}
		}
		if err != nil {
			return err
		}
		if c.code != wire.CloseAbnormal {
			return io.EOF
		}
	}
}

// Message implements ws.Handler.
func (c *conn) Message(binary bool, payload []byte) bool {
	if !binary {
		c.message(payload)
	}
	return true
}

// Control implements ws.Handler.
func (c *conn) Control(op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPing:
		c.writeControl(ws.OpPong, payload)
	case ws.OpClose:
		code, reason, fault := ws.ParseClose(payload)
		if fault != nil {
			code = uint16(wire.CloseProtocolError)
		}
		if c.code = wire.CloseCode(code); c.code == 0 {
			c.code = wire.CloseNoStatus
		}
		c.reason = reason
		c.writeControl(ws.OpClose, payload[:min(len(payload), 2)])
		return false
	}
	return true
}
