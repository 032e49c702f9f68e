package http1

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 asks for it; nothing is secured by it
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// WantsWebSocket is true when the request names websocket in Upgrade, well-formed or not: then CheckUpgrade must
// judge it. A request that does not is ordinary HTTP.
func (r *Request) WantsWebSocket() bool { return r.Headers.HasToken("Upgrade", "websocket") }

// Upgrade is what a WebSocket handshake asks for.
type Upgrade struct {
	Key          string   // Sec-WebSocket-Key, checked
	Subprotocols []string // Sec-WebSocket-Protocol in the client's order of preference
	Extensions   []string // values of the Sec-WebSocket-Extensions lines, unparsed
}

// CheckUpgrade judges a handshake by RFC 6455 section 4.2.1. Beyond that, a request that announces a body in any
// way is refused, since what follows the head would be read as frames here and as a body by a proxy in between. The
// status of the error is 426 for a version other than 13 (AppendError adds Sec-WebSocket-Version), otherwise 400 or
// 405.
func CheckUpgrade(r *Request) (Upgrade, *Error) {
	h := r.Headers
	switch {
	case r.Method != "GET":
		return Upgrade{}, fault(405, "a WebSocket handshake must be a GET")
	case r.Minor < 1:
		return Upgrade{}, badRequest("a WebSocket handshake needs HTTP/1.1")
	case !r.WantsWebSocket():
		return Upgrade{}, fault(426, "this is a WebSocket address: Upgrade: websocket is missing")
	case !h.HasToken("Connection", "Upgrade"):
		return Upgrade{}, badRequest("Connection: Upgrade is missing")
	case announcesBody(h):
		return Upgrade{}, badRequest("a WebSocket handshake has no body")
	case h.Count("Sec-WebSocket-Version") != 1 || h.Get("Sec-WebSocket-Version") != "13":
		return Upgrade{}, fault(426, "only version 13 of the WebSocket protocol is spoken here")
	case h.Count("Sec-WebSocket-Key") != 1:
		return Upgrade{}, badRequest("there must be one Sec-WebSocket-Key header")
	}
	up := Upgrade{
		Key:          h.Get("Sec-WebSocket-Key"),
		Subprotocols: h.Tokens("Sec-WebSocket-Protocol"),
		Extensions:   h.Values("Sec-WebSocket-Extensions"),
	}
	var nonce [18]byte
	if len(up.Key) != 24 {
		return Upgrade{}, badRequest("Sec-WebSocket-Key is not 16 bytes of base64")
	}
	if n, err := base64.StdEncoding.Decode(nonce[:], []byte(up.Key)); err != nil || n != 16 {
		return Upgrade{}, badRequest("Sec-WebSocket-Key is not 16 bytes of base64")
	}
	for _, p := range up.Subprotocols {
		if !validToken(p) {
			return Upgrade{}, badRequest("Sec-WebSocket-Protocol is malformed")
		}
	}
	return up, nil
}

// announcesBody also knows names with an underscore, which some proxies and gateways take for the ones with a hyphen.
func announcesBody(h Headers) bool {
	for i := range h {
		name := strings.ReplaceAll(h[i].Name, "_", "-")
		if strings.EqualFold(name, "Transfer-Encoding") ||
			strings.EqualFold(name, "Content-Length") && strings.Trim(h[i].Value, "0") != "" {
			return true
		}
	}
	return false
}

// acceptGUID is the constant of RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AppendAccept appends the value of Sec-WebSocket-Accept for a key: base64(SHA-1(key + GUID)).
func AppendAccept(dst []byte, key string) []byte {
	var in [64]byte
	sum := sha1.Sum(append(append(in[:0], key...), acceptGUID...)) //nolint:gosec // see the import
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendSwitching appends the 101 response to a handshake. An empty subprotocol or extensions leaves that header out.
func AppendSwitching(dst []byte, key, subprotocol, extensions string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = AppendAccept(dst, key)
	if subprotocol != "" {
		dst = append(append(dst, "\r\nSec-WebSocket-Protocol: "...), subprotocol...)
	}
	if extensions != "" {
		dst = append(append(dst, "\r\nSec-WebSocket-Extensions: "...), extensions...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendResponse appends a whole response with Content-Length and Connection: close. Header lines with bytes that
// would end them are left out, so that no value can add a line of its own.
func AppendResponse(dst []byte, status int, headers Headers, body []byte) []byte {
	text := http.StatusText(status)
	if text == "" {
		text = "Status"
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(dst, ' '), text...)
	for _, h := range headers {
		if !validToken(h.Name) || strings.ContainsAny(h.Value, "\r\n\x00") {
			continue
		}
		dst = append(append(dst, "\r\n"...), h.Name...)
		dst = append(append(dst, ": "...), h.Value...)
	}
	dst = append(dst, "\r\nConnection: close\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	return append(append(dst, "\r\n\r\n"...), body...)
}

// AppendError appends the response to a refused head: plain text, with the headers that its status asks for.
func AppendError(dst []byte, e *Error) []byte {
	headers := Headers{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}
	switch e.Status {
	case 426:
		headers = append(headers, Header{Name: "Sec-WebSocket-Version", Value: "13"},
			Header{Name: "Upgrade", Value: "websocket"})
	case 405:
		headers = append(headers, Header{Name: "Allow", Value: "GET"})
	}
	return AppendResponse(dst, e.Status, headers, []byte(e.Reason+"\n"))
}
