package sio

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// AppendMsgpack appends a packet as socket.io-msgpack-parser reads it: one binary message, attachments inside. p.Data
// must be valid JSON.
func AppendMsgpack(dst []byte, p *Packet) ([]byte, error) {
	t, members := p.Type, 2
	switch t {
	case BinaryEvent:
		t = Event
	case BinaryAck:
		t = Ack
	}
	if p.Data != nil {
		members++
	}
	if p.ID >= 0 {
		members++
	}
	dst = append(dst, 0x80|byte(members))
	dst = packUint(packStr(dst, "type"), uint64(t))
	dst = packStr(packStr(dst, "nsp"), p.Namespace)
	if p.ID >= 0 {
		dst = packUint(packStr(dst, "id"), uint64(p.ID))
	}
	if p.Data == nil {
		return dst, nil
	}
	k := packer{
		scanner: scanner{in: p.Data, numbersBelow: anyNumber}, out: packStr(dst, "data"), attachments: p.Attachments,
	}
	k.space()
	if !k.pack() {
		return dst, ErrPayload
	}
	return k.out, nil
}

// packer turns JSON text into MessagePack.
type packer struct {
	scanner
	out         []byte
	attachments [][]byte
}

func (k *packer) pack() bool {
	from := k.pos
	switch k.peek() {
	case '{':
		return k.packObject()
	case '[':
		return k.packArray()
	case '"':
		if _, ok := k.str(); !ok {
			return false
		}
		text, ok := unquote(k.in[from:k.pos])
		k.out = packStr(k.out, text)
		return ok
	case 't':
		k.out = append(k.out, packTrue)
		return k.word("true")
	case 'f':
		k.out = append(k.out, packFalse)
		return k.word("false")
	case 'n':
		k.out = append(k.out, packNil)
		return k.word("null")
	}
	return k.number() && k.packNumber(string(k.in[from:k.pos]))
}

func (k *packer) packNumber(text string) bool {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n >= 0 {
			k.out = packUint(k.out, uint64(n))
		} else {
			k.out = packInt(k.out, n)
		}
		return true
	}
	f, err := strconv.ParseFloat(text, 64) // what is too large is infinite, as in JavaScript
	k.out = binary.BigEndian.AppendUint64(append(k.out, packFloat64), math.Float64bits(f))
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// packArray counts first: MessagePack wants the count in front.
func (k *packer) packArray() bool {
	n, ok := k.count()
	if !ok {
		return false
	}
	k.out = packCount(k.out, n, 0x90, packArray16)
	k.pos++
	for i := range n {
		if i > 0 {
			k.take(',')
		}
		k.space()
		if !k.pack() {
			return false
		}
		k.space()
	}
	k.space()
	return k.take(']')
}

func (k *packer) packObject() bool {
	from := k.pos
	n, ok := k.count()
	if !ok {
		return false
	}
	if n == 2 && len(k.attachments) > 0 {
		s := scanner{in: k.in, pos: from, numbersBelow: len(k.attachments), noted: -1}
		if s.object() && s.noted >= 0 {
			k.pos = s.pos
			k.out = packBin(k.out, k.attachments[s.noted])
			return true
		}
	}
	k.out = packCount(k.out, n, 0x80, packMap16)
	k.pos++
	for i := range n {
		if i > 0 {
			k.take(',')
		}
		k.space()
		at := k.pos
		if _, ok := k.str(); !ok {
			return false
		}
		name, ok := unquote(k.in[at:k.pos])
		if !ok {
			return false
		}
		k.out = packStr(k.out, name)
		k.space()
		k.take(':')
		k.space()
		if !k.pack() {
			return false
		}
		k.space()
	}
	k.space()
	return k.take('}')
}

// count is the number of elements or members of the array or object that begins here.
func (k *packer) count() (n int, ok bool) {
	s := scanner{in: k.in, pos: k.pos, depth: k.depth, numbersBelow: anyNumber}
	object := s.take('{')
	if !object {
		s.take('[')
	}
	s.space()
	if s.take('}') || s.take(']') {
		return 0, true
	}
	for n = 1; ; n++ {
		s.space()
		if object {
			if _, ok := s.str(); !ok {
				return 0, false
			}
			s.space()
			if !s.take(':') {
				return 0, false
			}
			s.space()
		}
		if !s.value() {
			return 0, false
		}
		s.space()
		if !s.take(',') {
			return n, true
		}
	}
}

func unquote(raw []byte) (string, bool) {
	for _, c := range raw {
		if c == '\\' {
			var text string
			err := json.Unmarshal(raw, &text)
			return text, err == nil
		}
	}
	return string(raw[1 : len(raw)-1]), true
}

func packCount(dst []byte, n int, fix, long byte) []byte {
	switch {
	case n < 16:
		return append(dst, fix|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, long), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, long+1), uint32(n))
}

func packStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n < 1<<8:
		dst = append(dst, packStr8, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, packStr16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, packStr32), uint32(n))
	}
	return append(dst, s...)
}

func packBin(dst, b []byte) []byte {
	switch n := len(b); {
	case n < 1<<8:
		dst = append(dst, packBin8, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, packBin16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, packBin32), uint32(n))
	}
	return append(dst, b...)
}

func packUint(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<7:
		return append(dst, byte(n))
	case n < 1<<8:
		return append(dst, packUint8, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, packUint8+1), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, packUint8+2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, packUint64), n)
}

func packInt(dst []byte, n int64) []byte {
	switch {
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, packInt8, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, packInt8+1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, packInt8+2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, packInt64), uint64(n))
}
