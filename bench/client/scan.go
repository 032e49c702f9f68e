package client

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Fields are the top-level members of one server message that a load generator looks at. The byte slices alias the
// scanned payload.
type Fields struct {
	Ev    []byte // event name, unescaped; nil when it is no string
	Room  []byte // as Ev
	Data  []byte // raw JSON
	Error []byte // raw JSON
	Re    uint64 // zero when absent or not a plain non-negative integer
	Seq   uint64 // as Re
	TS    int64  // as Re
	OK    bool
}

// Scanner walks over the messages of one frame: a single object or an array of them (a batch). It finds the top-level
// members without decoding the rest, at about the cost of looking for the quotes. On valid JSON it agrees with
// encoding/json (the last of several equal names wins); on invalid JSON it may stop with an error or read something,
// but never panics or reads outside the payload.
type Scanner struct {
	buf   []byte
	pos   int
	array bool
	first bool
	err   error
}

var errScan = errors.New("bench: the server's frame is neither a JSON object nor an array of objects")

// Reset starts over with a new payload, which must stay unchanged until the walk is done.
func (s *Scanner) Reset(payload []byte) {
	*s = Scanner{buf: payload, first: true}
	s.pos = skipSpace(payload, 0)
	if s.pos < len(payload) && payload[s.pos] == '[' {
		s.array = true
		s.pos++
	}
}

// Err says why Next returned false, nil at the regular end.
func (s *Scanner) Err() error { return s.err }

// Next reads the next message into f; false at the end or on an error.
func (s *Scanner) Next(f *Fields) bool {
	if s.err != nil {
		return false
	}
	i := skipSpace(s.buf, s.pos)
	if s.array {
		switch {
		case i < len(s.buf) && s.buf[i] == ']':
			return s.end(i + 1)
		case !s.first && i < len(s.buf) && s.buf[i] == ',':
			i = skipSpace(s.buf, i+1)
		case !s.first:
			return s.fail()
		}
	} else if !s.first {
		return s.end(i)
	}
	s.first = false
	if i >= len(s.buf) || s.buf[i] != '{' {
		return s.fail()
	}
	*f = Fields{}
	next := scanObject(s.buf, i+1, f)
	if next < 0 {
		return s.fail()
	}
	s.pos = next
	return true
}

func (s *Scanner) fail() bool {
	s.err = errScan
	return false
}

func (s *Scanner) end(i int) bool {
	s.pos = len(s.buf)
	s.array = false
	s.first = false
	if skipSpace(s.buf, i) != len(s.buf) {
		s.err = errScan
	}
	return false
}

// scanObject reads members from just behind the opening brace; it returns the position behind the closing one, or -1.
func scanObject(b []byte, i int, f *Fields) int {
	i = skipSpace(b, i)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		keyEnd := skipString(b, i)
		if keyEnd < 0 {
			return -1
		}
		key := b[i+1 : keyEnd-1]
		i = skipSpace(b, keyEnd)
		if i >= len(b) || b[i] != ':' {
			return -1
		}
		i = skipSpace(b, i+1)
		end := skipValue(b, i)
		if end < 0 {
			return -1
		}
		f.set(key, b[i:end])
		i = skipSpace(b, end)
		if i >= len(b) {
			return -1
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = skipSpace(b, i+1)
	}
	return -1
}

func (f *Fields) set(key, value []byte) {
	if bytes.IndexByte(key, '\\') >= 0 {
		key = unescape(key)
	}
	switch string(key) {
	case "ev":
		f.Ev = stringValue(value)
	case "re":
		f.Re = uintValue(value)
	case "ok":
		f.OK = string(value) == "true"
	case "seq":
		f.Seq = uintValue(value)
	case "ts":
		f.TS = int64(uintValue(value) & (1<<63 - 1))
	case "data":
		f.Data = value
	case "room":
		f.Room = stringValue(value)
	case "error":
		f.Error = value
	}
}

// Member returns the raw value of one member of a raw JSON object, nil when it is absent.
func Member(object []byte, name string) []byte {
	i := skipSpace(object, 0)
	if i >= len(object) || object[i] != '{' {
		return nil
	}
	var found []byte
	for i = skipSpace(object, i+1); i < len(object) && object[i] == '"'; {
		keyEnd := skipString(object, i)
		if keyEnd < 0 {
			return found
		}
		key := object[i+1 : keyEnd-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = unescape(key)
		}
		i = skipSpace(object, keyEnd)
		if i >= len(object) || object[i] != ':' {
			return found
		}
		i = skipSpace(object, i+1)
		end := skipValue(object, i)
		if end < 0 {
			return found
		}
		if string(key) == name {
			found = object[i:end]
		}
		i = skipSpace(object, end)
		if i >= len(object) || object[i] != ',' {
			return found
		}
		i = skipSpace(object, i+1)
	}
	return found
}

// StringMember is Member for a string, unescaped; empty when it is absent or no string.
func StringMember(object []byte, name string) []byte { return stringValue(Member(object, name)) }

// UintMember is Member for a plain non-negative integer; zero when it is absent or something else.
func UintMember(object []byte, name string) uint64 { return uintValue(Member(object, name)) }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the position behind the closing quote of the string that opens at i, or -1.
func skipString(b []byte, i int) int {
	i++
	for {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		end := i + j
		k := end
		for k > i && b[k-1] == '\\' {
			k--
		}
		// An even number of backslashes escapes themselves only. They can't reach back before i, because i is behind
		// an opening quote or behind a quote that was itself escaped.
		if (end-k)%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
}

// skipValue returns the position behind the value that starts at i, or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	start := i
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			if i == start {
				return -1
			}
			return i
		}
		i++
	}
	return -1
}

func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

func stringValue(v []byte) []byte {
	if len(v) < 2 || v[0] != '"' {
		return nil
	}
	v = v[1 : len(v)-1]
	if bytes.IndexByte(v, '\\') >= 0 {
		return unescape(v)
	}
	return v
}

func unescape(inner []byte) []byte {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

func uintValue(v []byte) uint64 {
	if len(v) == 0 || len(v) > 19 {
		return 0
	}
	var n uint64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}
