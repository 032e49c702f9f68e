package stomp

import "strconv"

// A frame is written in three steps: AppendCommand, AppendHeader for each header, AppendBody.

// AppendCommand begins a frame.
func AppendCommand(dst []byte, c Command) []byte { return append(append(dst, c.String()...), '\n') }

// AppendHeader appends a header, escaped as the version wants it; version zero is for CONNECT and CONNECTED. What can't
// be said there (a line's end without escapes, a NUL) becomes a blank. A value's colon is escaped in 1.2 only: in 1.1
// it should be, but every reader takes the line's first colon, and stompjs does not unescape what comes in 1.1.
func AppendHeader(dst []byte, v Version, name, value string) []byte {
	dst = appendEscaped(dst, v, name, true)
	dst = append(dst, ':')
	dst = appendEscaped(dst, v, value, false)
	return append(dst, '\n')
}

// AppendHeaderInt is AppendHeader for a number.
func AppendHeaderInt(dst []byte, name string, value int64) []byte {
	dst = append(append(dst, name...), ':')
	return append(strconv.AppendInt(dst, value, 10), '\n')
}

// AppendBody ends a frame: content-length, if the command may have a body, and the body itself.
func AppendBody(dst []byte, c Command, body []byte) []byte {
	if c.hasBody() {
		dst = AppendHeaderInt(dst, "content-length", int64(len(body)))
	}
	dst = append(dst, '\n')
	return append(append(dst, body...), 0)
}

// AppendFrame appends a whole frame, without content-length unless it is among the headers.
func AppendFrame(dst []byte, v Version, f *Frame) []byte {
	dst = AppendCommand(dst, f.Command)
	if f.Command.raw() {
		v = 0
	}
	for _, h := range f.Headers {
		dst = AppendHeader(dst, v, h.Name, h.Value)
	}
	dst = append(dst, '\n')
	return append(append(dst, f.Body...), 0)
}

func appendEscaped(dst []byte, v Version, s string, name bool) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '\n' || c == '\r' || c == ':' || c == '\\' || c == 0 {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, s...)
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c == 0, (c == '\n' || c == '\r') && v < V11:
			dst = append(dst, ' ')
		case c == '\r' && v == V11: // 1.1 can't say it
			dst = append(dst, ' ')
		case v < V11 && !(c == ':' && name):
			dst = append(dst, c)
		case v < V11:
			dst = append(dst, ' ')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == ':' && (name || v == V12):
			dst = append(dst, '\\', 'c')
		case c == '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
