package sio

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Formats of MessagePack (github.com/msgpack/msgpack/blob/master/spec.md).
const (
	packNil, packFalse, packTrue = 0xc0, 0xc2, 0xc3
	packBin8, packBin16          = 0xc4, 0xc5
	packBin32                    = 0xc6
	packExt8                     = 0xc7
	packFloat32, packFloat64     = 0xca, 0xcb
	packUint8, packUint64        = 0xcc, 0xcf
	packInt8, packInt64          = 0xd0, 0xd3
	packFixExt1, packFixExt8     = 0xd4, 0xd7
	packStr8, packStr16          = 0xd9, 0xda
	packStr32                    = 0xdb
	packArray16, packArray32     = 0xdc, 0xdd
	packMap16, packMap32         = 0xde, 0xdf
)

// Msgpack takes a binary message that holds a whole packet, as socket.io-msgpack-parser makes it: a map of type, nsp,
// data and id. Byte strings inside data become attachments with placeholders. The types Event and Ack become the binary
// ones where there are any. Nothing is borrowed from message.
func (d *Decoder) Msgpack(message []byte) (Packet, error) {
	p := Packet{Type: types, ID: NoID}
	u := unpacker{in: message, limits: d.Limits}
	n, ok := u.mapHeader()
	if !ok {
		return p, ErrMsgpack
	}
	u.depth++ // the packet's own map is none of the data's
	for range n {
		if err := d.member(&u, &p); err != nil {
			return p, err
		}
	}
	if p.Namespace == "" || u.pos != len(message) || p.Type > ConnectError {
		return p, ErrMsgpack
	}
	if p.ID >= 0 && p.Type != Event && p.Type != Ack {
		return p, ErrID
	}
	p.Attachments = u.attachments
	if len(p.Attachments) > 0 {
		switch p.Type {
		case Event:
			p.Type = BinaryEvent
		case Ack:
			p.Type = BinaryAck
		default:
			return p, ErrPayload
		}
	}
	return p, p.checkData(p.Data, len(p.Attachments))
}

// member takes one member of the packet's map.
func (d *Decoder) member(u *unpacker, p *Packet) error {
	key, ok := u.str()
	if !ok {
		return ErrMsgpack
	}
	at := len(u.out)
	if string(key) == "nsp" {
		name, ok := u.str()
		if !ok || len(name) == 0 || name[0] != '/' {
			return ErrNamespace
		}
		full, rest, err := d.namespace(name)
		if err != nil || len(rest) > 0 {
			return ErrNamespace
		}
		p.Namespace = full
		return nil
	}
	attached := len(u.attachments)
	if !u.value() {
		return u.fault()
	}
	value := u.out[at:len(u.out):len(u.out)]
	switch string(key) {
	case "data":
		p.Data = value
		if string(value) == "null" {
			p.Data = nil
		}
		return nil
	case "type", "id":
		n, rest, whole := number(value, IDMax)
		switch missing := string(value) == "null"; {
		case string(key) == "id" && missing:
		case !whole || len(rest) > 0:
			return ErrMsgpack
		case string(key) == "id":
			p.ID = n
		default:
			p.Type = Type(min(n, int64(types)))
		}
	}
	// Anything else is the parser's own options, which come along.
	u.out, u.attachments = u.out[:at], u.attachments[:attached]
	return nil
}

// unpacker turns MessagePack into JSON text.
type unpacker struct {
	in          []byte
	pos         int
	depth       int
	out         []byte
	attachments [][]byte
	bytes       int
	limits      Limits
	undefined   bool  // the last value was JavaScript's undefined
	err         error // other than ErrMsgpack
}

func (u *unpacker) fault() error {
	if u.err != nil {
		return u.err
	}
	return ErrMsgpack
}

func (u *unpacker) take(n int) ([]byte, bool) {
	if n < 0 || len(u.in)-u.pos < n {
		return nil, false
	}
	b := u.in[u.pos : u.pos+n]
	u.pos += n
	return b, true
}

// size takes an unsigned number of 1<<log bytes.
func (u *unpacker) size(log int) (uint64, bool) {
	b, ok := u.take(1 << log)
	if !ok {
		return 0, false
	}
	switch log {
	case 0:
		return uint64(b[0]), true
	case 1:
		return uint64(binary.BigEndian.Uint16(b)), true
	case 2:
		return uint64(binary.BigEndian.Uint32(b)), true
	}
	return binary.BigEndian.Uint64(b), true
}

func (u *unpacker) sized(log int) ([]byte, bool) {
	n, ok := u.size(log)
	if !ok || n > uint64(len(u.in)) {
		return nil, false
	}
	return u.take(int(n))
}

// str takes a string: MessagePack's member names and namespaces.
func (u *unpacker) str() ([]byte, bool) {
	head, ok := u.take(1)
	if !ok {
		return nil, false
	}
	var b []byte
	switch c := head[0]; {
	case c&0xe0 == 0xa0:
		b, ok = u.take(int(c & 0x1f))
	case c >= packStr8 && c <= packStr32:
		b, ok = u.sized(int(c - packStr8))
	default:
		return nil, false
	}
	return b, ok && utf8.Valid(b)
}

func (u *unpacker) mapHeader() (n uint64, ok bool) {
	head, ok := u.take(1)
	if !ok {
		return 0, false
	}
	switch c := head[0]; {
	case c&0xf0 == 0x80:
		return uint64(c & 0x0f), true
	case c == packMap16 || c == packMap32:
		return u.size(int(c-packMap16) + 1)
	}
	return 0, false
}

// value appends the JSON of the next value.
func (u *unpacker) value() bool {
	u.undefined = false
	if u.pos >= len(u.in) {
		return false
	}
	c := u.in[u.pos]
	switch {
	case c&0xe0 == 0xa0, c >= packStr8 && c <= packStr32:
		s, ok := u.str()
		u.out = appendString(u.out, s)
		return ok
	case c&0xf0 == 0x80, c == packMap16, c == packMap32:
		return u.object()
	}
	u.pos++
	switch {
	case c < 0x80:
		u.out = strconv.AppendUint(u.out, uint64(c), 10)
	case c >= 0xe0:
		u.out = strconv.AppendInt(u.out, int64(int8(c)), 10)
	case c&0xf0 == 0x90:
		return u.array(uint64(c & 0x0f))
	case c == packArray16 || c == packArray32:
		n, ok := u.size(int(c-packArray16) + 1)
		return ok && u.array(n)
	case c == packNil:
		u.out = append(u.out, "null"...)
	case c == packFalse:
		u.out = append(u.out, "false"...)
	case c == packTrue:
		u.out = append(u.out, "true"...)
	case c >= packBin8 && c <= packBin32:
		b, ok := u.sized(int(c - packBin8))
		return ok && u.attach(b)
	case c >= packUint8 && c <= packUint64:
		n, ok := u.size(int(c - packUint8))
		u.out = strconv.AppendUint(u.out, n, 10)
		return ok
	default:
		return u.rare(c)
	}
	return true
}

// rare takes signed numbers, floats and extensions; c is behind.
func (u *unpacker) rare(c byte) bool {
	switch {
	case c >= packInt8 && c <= packInt64:
		log := int(c - packInt8)
		n, ok := u.size(log)
		shift := 64 - 8<<log
		u.out = strconv.AppendInt(u.out, int64(n<<shift)>>shift, 10)
		return ok
	case c == packFloat32:
		n, ok := u.size(2)
		return ok && u.float(float64(math.Float32frombits(uint32(n))))
	case c == packFloat64:
		n, ok := u.size(3)
		return ok && u.float(math.Float64frombits(n))
	case c >= packFixExt1 && c <= packFixExt8:
		kind, ok := u.take(1)
		if !ok {
			return false
		}
		b, ok := u.take(1 << (c - packFixExt1))
		return ok && u.extension(int8(kind[0]), b)
	case c == packExt8:
		n, ok := u.size(0)
		if !ok {
			return false
		}
		kind, ok := u.take(1)
		if !ok {
			return false
		}
		b, ok := u.take(int(n))
		return ok && u.extension(int8(kind[0]), b)
	}
	return false
}

// float appends what JavaScript's JSON.stringify writes: null for what JSON can't say.
func (u *unpacker) float(f float64) bool {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		u.out = append(u.out, "null"...)
		return true
	}
	text, err := json.Marshal(f)
	u.out = append(u.out, text...)
	return err == nil
}

// extension takes undefined (the parser's own: one zero byte of type 0) and times, which become ISO 8601 as JSON has
// them.
func (u *unpacker) extension(kind int8, b []byte) bool {
	var at time.Time
	switch {
	case kind == 0 && len(b) == 1 && b[0] == 0:
		u.out = append(u.out, "null"...)
		u.undefined = true
		return true
	case kind == 0 && len(b) == 8: // the parser's older times: milliseconds
		at = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	case kind == -1 && len(b) == 4:
		at = time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	case kind == -1 && len(b) == 8:
		n := binary.BigEndian.Uint64(b)
		at = time.Unix(int64(n&(1<<34-1)), int64(n>>34))
	case kind == -1 && len(b) == 12:
		at = time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	default:
		return false
	}
	if year := at.UTC().Year(); year < 0 || year > 9999 {
		return false
	}
	u.out = append(at.UTC().AppendFormat(append(u.out, '"'), "2006-01-02T15:04:05.000Z"), '"')
	return true
}

func (u *unpacker) attach(b []byte) bool {
	u.bytes += len(b)
	if len(u.attachments) >= u.limits.AttachmentsMax || u.bytes > u.limits.AttachmentBytesMax {
		u.err = ErrAttachments
		return false
	}
	u.out = append(u.out, `{"_placeholder":true,"num":`...)
	u.out = append(strconv.AppendInt(u.out, int64(len(u.attachments)), 10), '}')
	u.attachments = append(u.attachments, append([]byte{}, b...))
	return true
}

func (u *unpacker) array(n uint64) bool {
	if u.depth++; u.depth > DepthMax+1 || n > uint64(len(u.in)-u.pos) {
		return false
	}
	u.out = append(u.out, '[')
	for i := range n {
		if i > 0 {
			u.out = append(u.out, ',')
		}
		if !u.value() {
			return false
		}
	}
	u.out = append(u.out, ']')
	u.depth--
	u.undefined = false
	return true
}

// object takes a map. Members that are undefined are left out, as JSON.stringify leaves them out.
func (u *unpacker) object() bool {
	n, ok := u.mapHeader()
	if u.depth++; !ok || u.depth > DepthMax+1 || n > uint64(len(u.in)-u.pos) {
		return false
	}
	u.out = append(u.out, '{')
	first := true
	for range n {
		key, ok := u.str()
		if !ok || string(key) == "_placeholder" { // only ours may stand for an attachment
			return false
		}
		at := len(u.out)
		if !first {
			u.out = append(u.out, ',')
		}
		u.out = append(appendString(u.out, key), ':')
		if !u.value() {
			return false
		}
		if u.undefined {
			u.out = u.out[:at]
			continue
		}
		first = false
	}
	u.out = append(u.out, '}')
	u.depth--
	u.undefined = false
	return true
}

const hex = "0123456789abcdef"

// appendString quotes UTF-8.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
