package http1

import (
	"net/url"
	"strings"
)

// Limits bound a request head. The zero value means the defaults.
type Limits struct {
	HeadBytesMax int // request line and headers with the empty line that ends them; default 8,192
	HeadersMax   int // number of header lines; default 64
}

// Defaults of Limits.
const (
	DefaultHeadBytesMax = 8192
	DefaultHeadersMax   = 64
)

// HeadBytes is the limit in force, the default where none is set.
func (l Limits) HeadBytes() int {
	if l.HeadBytesMax > 0 {
		return l.HeadBytesMax
	}
	return DefaultHeadBytesMax
}

func (l Limits) headers() int {
	if l.HeadersMax > 0 {
		return l.HeadersMax
	}
	return DefaultHeadersMax
}

// Header is one header line; Name is as it was sent, Value without surrounding white space.
type Header struct {
	Name  string
	Value string
}

// Headers are a request's header lines in order. Names are compared without regard to ASCII case.
type Headers []Header

// Get is the value of the first line called name, or "".
func (h Headers) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Count is the number of lines called name.
func (h Headers) Count(name string) int {
	n := 0
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			n++
		}
	}
	return n
}

// Values are the values of all lines called name, in order; nil when there is none.
func (h Headers) Values(name string) []string {
	var values []string
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			values = append(values, h[i].Value)
		}
	}
	return values
}

// Tokens are the non-empty elements of the comma-separated lists in all lines called name (RFC 9110 section 5.6.1).
// Quoted strings are not looked into: use it for lists of tokens only.
func (h Headers) Tokens(name string) []string {
	var tokens []string
	for i := range h {
		if !strings.EqualFold(h[i].Name, name) {
			continue
		}
		for part := range strings.SplitSeq(h[i].Value, ",") {
			if part = trimOWS(part); part != "" {
				tokens = append(tokens, part)
			}
		}
	}
	return tokens
}

// HasToken is true when a list called name has the element token, without regard to ASCII case.
func (h Headers) HasToken(name, token string) bool {
	for i := range h {
		if !strings.EqualFold(h[i].Name, name) {
			continue
		}
		for part := range strings.SplitSeq(h[i].Value, ",") {
			if strings.EqualFold(trimOWS(part), token) {
				return true
			}
		}
	}
	return false
}

// Request is the head of one request.
type Request struct {
	Method  string // as sent; methods are case-sensitive
	Target  string // the request target as sent
	Path    string // of the target, still percent-encoded; "*" in asterisk-form, "" in authority-form
	Query   string // what follows the first "?" of the target, still percent-encoded
	Host    string // the target's authority if it has one, else the Host header
	Minor   int    // HTTP/1.Minor
	Headers Headers
}

// QueryValue is the decoded value of the first query parameter called name; ok is false when there is none or when its
// percent-encoding is broken.
func (r *Request) QueryValue(name string) (value string, ok bool) {
	for pair := range strings.SplitSeq(r.Query, "&") {
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil || key != name {
			continue
		}
		value, err := url.QueryUnescape(rawValue)
		return value, err == nil
	}
	return "", false
}

// QueryGet is QueryValue with "" for absent or broken.
func (r *Request) QueryGet(name string) string {
	value, ok := r.QueryValue(name)
	if !ok {
		return ""
	}
	return value
}

// Error says why a head is refused and with which HTTP status the refusal should be answered.
type Error struct {
	Status int
	Reason string // for humans, lower case, without anything from the request
}

// Error is the status and the reason.
func (e *Error) Error() string { return "http1: " + e.Reason }

func fault(status int, reason string) *Error { return &Error{Status: status, Reason: reason} }

func badRequest(reason string) *Error { return fault(400, reason) }

func trimOWS(s string) string { return strings.Trim(s, " \t") }
