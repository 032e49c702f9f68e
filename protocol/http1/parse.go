package http1

import (
	"bytes"
	"strings"
)

// Scan looks for the end of a head in buf, of which the first from bytes have been scanned before (0 at first), so
// that a head that arrives byte by byte costs no more than one that arrives at once. end is the length of the head
// with its empty line, or 0 when more bytes are needed. Bytes that can't become an acceptable head are refused as
// soon as they are seen: a first byte that no method has (such as a TLS record), a line feed without its carriage
// return (RFC 9112 section 2.2), a head beyond the limit (431).
func Scan(buf []byte, from int, limits Limits) (end int, err *Error) {
	skip := leading(buf)
	if from <= skip && len(buf) > skip && buf[skip] != '\r' && !isToken[buf[skip]] {
		return 0, badRequest("the request does not start with a method")
	}
	max := limits.HeadBytes()
	for i := from; i < len(buf); {
		lf := bytes.IndexByte(buf[i:], '\n')
		if lf < 0 {
			break
		}
		i += lf
		if i+1 > max {
			break
		}
		if i == 0 || buf[i-1] != '\r' {
			return 0, badRequest("a line ends without carriage return")
		}
		if i >= skip+3 && buf[i-2] == '\n' {
			return i + 1, nil
		}
		if i == skip+1 && skip > 0 {
			return 0, badRequest("the request line is empty")
		}
		i++
	}
	if len(buf) > max {
		return 0, fault(431, "the request head is too large")
	}
	return 0, nil
}

// leading is 2 when buf starts with the one empty line that RFC 9112 section 2.2 lets a client send before a request.
func leading(buf []byte) int {
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		return 2
	}
	return 0
}

// Parse reads the head at the start of buf. It returns nil and 0 when buf does not hold the whole head yet; headLen is
// the number of bytes that belong to it. An error is an *Error.
func Parse(buf []byte, limits Limits) (req *Request, headLen int, err error) {
	end, fail := Scan(buf, 0, limits)
	if fail != nil {
		return nil, 0, fail
	}
	if end == 0 {
		return nil, 0, nil
	}
	// One copy of the head; everything in the Request is a part of it.
	head := string(buf[leading(buf) : end-2])
	line, rest, _ := strings.Cut(head, "\r\n")
	req = &Request{}
	if fail = req.parseLine(line); fail == nil {
		if fail = req.parseHeaders(rest, limits); fail == nil {
			fail = req.check()
		}
	}
	if fail != nil {
		return nil, 0, fail
	}
	return req, end, nil
}

// parseLine reads "GET /path?query HTTP/1.1" (RFC 9112 section 3).
func (r *Request) parseLine(line string) *Error {
	method, rest, ok1 := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || method == "" || target == "" {
		return badRequest("the request line is malformed")
	}
	if !validToken(method) {
		return badRequest("the method is malformed")
	}
	switch version {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
		r.Minor = 0
	default:
		if len(version) == 8 && strings.HasPrefix(version, "HTTP/") && isDigit(version[5]) && version[6] == '.' &&
			isDigit(version[7]) {
			return fault(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
		}
		return badRequest("the version is malformed")
	}
	r.Method, r.Target = method, target
	return r.parseTarget()
}

// parseTarget splits the four forms of RFC 9112 section 3.2.
func (r *Request) parseTarget() *Error {
	target := r.Target
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return badRequest("the request target has a byte that must be percent-encoded")
		}
	}
	switch {
	case r.Method == "CONNECT":
		if strings.ContainsAny(target, "/?@") {
			return badRequest("the request target of CONNECT is not host:port")
		}
		r.Host = target
		return nil
	case target == "*":
		if r.Method != "OPTIONS" {
			return badRequest("the request target * is for OPTIONS only")
		}
		r.Path = target
		return nil
	case target[0] != '/':
		scheme, rest, ok := strings.Cut(target, "://")
		if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") &&
			!strings.EqualFold(scheme, "ws") && !strings.EqualFold(scheme, "wss") {
			return badRequest("the request target is neither a path nor an absolute URL")
		}
		cut := strings.IndexAny(rest, "/?")
		if cut < 0 {
			cut = len(rest)
		}
		r.Host, target = rest[:cut], rest[cut:]
		if !validHost(r.Host) || r.Host == "" {
			return badRequest("the request target has a malformed host")
		}
		if target == "" || target[0] == '?' {
			target = "/" + target
		}
	}
	r.Path, r.Query, _ = strings.Cut(target, "?")
	return nil
}

// parseHeaders reads the header lines (RFC 9112 section 5).
func (r *Request) parseHeaders(text string, limits Limits) *Error {
	lines := strings.Count(text, "\r\n")
	if lines > limits.headers() {
		return fault(431, "the request has too many headers")
	}
	r.Headers = make(Headers, 0, lines)
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			return badRequest("a header is folded over lines")
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !validToken(name) {
			return badRequest("a header name is malformed")
		}
		value = trimOWS(value)
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return badRequest("a header value has a control byte")
			}
		}
		r.Headers = append(r.Headers, Header{Name: name, Value: value})
	}
	return nil
}

// check is what concerns several headers: Host (RFC 9112 section 3.2) and the body's framing (section 6.3).
func (r *Request) check() *Error {
	hosts := r.Headers.Count("Host")
	if hosts > 1 || hosts == 0 && r.Minor >= 1 {
		return badRequest("there must be one Host header")
	}
	host := r.Headers.Get("Host")
	if !validHost(host) {
		return badRequest("the Host header is malformed")
	}
	if r.Host == "" {
		r.Host = host
	}
	lengths := r.Headers.Values("Content-Length")
	if len(lengths) > 1 {
		return badRequest("Content-Length is doubled")
	}
	if len(lengths) == 1 && !validLength(lengths[0]) {
		return badRequest("Content-Length is malformed")
	}
	if r.Headers.Count("Transfer-Encoding") > 0 {
		if len(lengths) > 0 {
			return badRequest("Content-Length and Transfer-Encoding exclude each other")
		}
		if r.Minor == 0 {
			return badRequest("Transfer-Encoding is not for HTTP/1.0")
		}
	}
	return nil
}

func validLength(s string) bool {
	if s == "" || len(s) > 18 {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// validHost accepts the bytes of uri-host [":" port] (RFC 3986 section 3.2), without user info; empty is allowed.
func validHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		if isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' {
			continue
		}
		if strings.IndexByte("-._~%!$&'()*+,;=:[]", c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isToken marks the bytes of a token (RFC 9110 section 5.6.2).
var isToken = func() (t [256]bool) {
	for c := range 128 {
		b := byte(c)
		t[c] = isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0 && b != 0
	}
	return t
}()

func validToken(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}
