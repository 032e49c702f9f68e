package quiz

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Most records of a game are Answered and Joined. What is plain about them (ASCII without anything that JSON escapes)
// is written and read here, several times faster than by reflection; everything else goes through encoding/json. Both
// ways make the same bytes and the same values, which a test compares.

// AppendJSON appends what json.Marshal makes of a; ok is false, and nothing is appended, when a is not plain.
func (a *Answered) AppendJSON(dst []byte) (_ []byte, ok bool) {
	if !plain(a.User) || !plain(a.Key) || !plain(a.Receipt) || len(a.Answer) == 0 || !plainRaw(a.Answer) {
		return dst, false
	}
	dst = append(dst, `{"n":`...)
	dst = strconv.AppendInt(dst, int64(a.N), 10)
	dst = append(dst, `,"user":"`...)
	dst = append(dst, a.User...)
	dst = append(dst, `","answer":`...)
	dst = append(dst, a.Answer...)
	dst = append(dst, `,"key":"`...)
	dst = append(dst, a.Key...)
	dst = append(dst, `","elapsedMs":`...)
	dst = strconv.AppendInt(dst, a.ElapsedMs, 10)
	dst = append(dst, `,"receipt":"`...)
	dst = append(dst, a.Receipt...)
	return append(dst, `"}`...), true
}

// AppendJSON appends what json.Marshal makes of j; ok is false, and nothing is appended, when j is not plain.
func (j *Joined) AppendJSON(dst []byte) (_ []byte, ok bool) {
	if !plain(j.User) || !plain(j.Name) {
		return dst, false
	}
	dst = append(dst, `{"user":"`...)
	dst = append(dst, j.User...)
	dst = append(dst, `","name":"`...)
	dst = append(dst, j.Name...)
	return append(dst, `"}`...), true
}

// plain is true for a text that stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return true
}

func plainByte(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// plainRaw is true for JSON that json.Marshal takes over unchanged: no blanks to drop, nothing to escape. Numbers,
// options and words without blanks are; it must be valid JSON already, as canonical answers are.
func plainRaw(raw []byte) bool {
	for _, c := range raw {
		if c != '"' && (c == ' ' || !plainByte(c)) {
			return false
		}
	}
	return true
}

// plainFact reads what AppendJSON wrote; nil when data has any other form.
func plainFact(kind string, data []byte) any {
	c := cursor{rest: data, ok: true}
	switch kind {
	case FactAnswered:
		a := new(Answered)
		c.literal(`{"n":`)
		a.N = int(c.number())
		c.literal(`,"user":"`)
		a.User = c.text()
		c.literal(`,"answer":`)
		a.Answer = c.raw(`,"key":"`)
		a.Key = c.text()
		c.literal(`,"elapsedMs":`)
		a.ElapsedMs = c.number()
		c.literal(`,"receipt":"`)
		a.Receipt = c.text()
		if c.end() {
			return a
		}
	case FactJoined:
		j := new(Joined)
		c.literal(`{"user":"`)
		j.User = c.text()
		c.literal(`,"name":"`)
		j.Name = c.text()
		if c.end() {
			return j
		}
	}
	return nil
}

// cursor reads one fixed form; ok is false from the first byte on that doesn't fit.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) literal(s string) {
	if !c.ok || len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		c.ok = false
		return
	}
	c.rest = c.rest[len(s):]
}

// number reads a decimal number of at most 15 digits, as JSON writes one.
func (c *cursor) number() (n int64) {
	i := 0
	for i < len(c.rest) && i < 15 && c.rest[i] >= '0' && c.rest[i] <= '9' {
		n = 10*n + int64(c.rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && c.rest[0] == '0' {
		c.ok = false
		return 0
	}
	c.rest = c.rest[i:]
	return n
}

// text reads a plain text and its closing quote.
func (c *cursor) text() string {
	i := bytes.IndexByte(c.rest, '"')
	if !c.ok || i < 0 {
		c.ok = false
		return ""
	}
	s := string(c.rest[:i])
	c.rest = c.rest[i+1:]
	c.ok = plain(s)
	return s
}

// raw reads JSON up to a mark that can't stand within it, and the mark. It is copied: data is borrowed.
func (c *cursor) raw(mark string) json.RawMessage {
	i := bytes.Index(c.rest, []byte(mark))
	if !c.ok || i < 0 || !plainRaw(c.rest[:i]) || !json.Valid(c.rest[:i]) {
		c.ok = false
		return nil
	}
	raw := bytes.Clone(c.rest[:i])
	c.rest = c.rest[i+len(mark):]
	return raw
}

func (c *cursor) end() bool { return c.ok && string(c.rest) == "}" }
