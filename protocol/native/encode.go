package native

import (
	"encoding/json"
	"strconv"

	"github.com/bytedance/sonic/encoder"

	"lectern/protocol/wire"
)

// encoding: strings as valid UTF-8, maps in a fixed order (equal states make equal bytes), empty lists as []
// (clients walk them).
const encoding = encoder.ValidateString | encoder.SortMapKeys | encoder.NoNullSliceOrMap | encoder.CompactMarshaler

// AppendReply appends {"re":7,"ok":true,"data":…}; a nil data leaves that member out. A json.RawMessage goes out as
// it is. Data that can't be marshalled (a programming error) becomes an internal error for the client.
func AppendReply(dst []byte, re uint64, data any) []byte {
	start := len(dst)
	dst = appendRe(dst, re)
	dst = append(dst, `,"ok":true`...)
	if data != nil {
		var err error
		if dst, err = appendValue(append(dst, `,"data":`...), data); err != nil {
			return AppendError(dst[:start], re, wire.NewError(wire.CodeInternal, "the reply could not be written"))
		}
	}
	return append(dst, '}')
}

// AppendError appends {"re":7,"ok":false,"error":{…}}; re 0 (the id could not be read) becomes null.
func AppendError(dst []byte, re uint64, e *wire.Error) []byte {
	dst = appendRe(dst, re)
	dst = append(dst, `,"ok":false,"error":`...)
	// An Error is two strings, a path and a number: it always marshals.
	dst, _ = appendValue(dst, e)
	return append(dst, '}')
}

func appendRe(dst []byte, re uint64) []byte {
	dst = append(dst, `{"re":`...)
	if re == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendUint(dst, re, 10)
}

// AppendEvent appends {"ev":"chat:message","room":"r1","seq":17,"ts":1764000000000,"data":…}. An empty room, seq 0
// (not resumable) and a nil data leave their members out. name and room must be ones that the wire package accepts;
// other names are escaped all the same. Data that can't be marshalled (a programming error) goes out as null.
func AppendEvent(dst []byte, name, room string, seq uint64, ts int64, data any) []byte {
	dst, _ = AppendEventAt(dst, name, room, seq, ts, data)
	return dst
}

// AppendEventAt is AppendEvent for callers that use the data's JSON again: it says where in dst that begins. It ends
// before the last byte; without data it is empty.
func AppendEventAt(dst []byte, name, room string, seq uint64, ts int64, data any) (out []byte, dataAt int) {
	dst = appendString(append(dst, `{"ev":`...), name)
	if room != "" {
		dst = appendString(append(dst, `,"room":`...), room)
	}
	if seq != 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), seq, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"ts":`...), ts, 10)
	dataAt = len(dst)
	if data != nil {
		dst = append(dst, `,"data":`...)
		dataAt = len(dst)
		var err error
		if dst, err = appendValue(dst, data); err != nil {
			dst = append(dst[:dataAt], "null"...)
		}
	}
	return append(dst, '}'), dataAt
}

// AppendData appends data alone as AppendEvent would, for callers that share one encoding between several events.
func AppendData(dst []byte, data any) ([]byte, error) { return appendValue(dst, data) }

func appendValue(dst []byte, data any) ([]byte, error) {
	if raw, ok := data.(json.RawMessage); ok {
		if len(raw) == 0 {
			return append(dst, "null"...), nil
		}
		return append(dst, raw...), nil
	}
	mark := len(dst)
	if err := encoder.EncodeInto(&dst, data, encoding); err != nil {
		return dst[:mark], err
	}
	return dst, nil
}

// appendString quotes s; the usual names need no look at escapes.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			dst, _ = appendValue(dst, s)
			return dst
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
