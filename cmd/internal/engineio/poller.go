package engineio

import (
	"bytes"
	"net"

	"lectern/netpoll"
	"lectern/protocol/eio"
	"lectern/protocol/ws"
)

// poller is the virtual transport of a long-polling session: what is written waits in it, as WebSocket frames, for a
// GET. It belongs to the session's loop.
type poller struct {
	session *Session
	addr    net.Addr
	buf     []byte
	waiting *poll
	gone    bool // the connection has ended, or has got a socket
}

// poll is a GET that wants what is there, or waits for it.
type poll struct {
	result chan pollResult // holds one
}

// pollResult answers a GET: with frames, or with a refusal.
type pollResult struct {
	frames  []byte
	refusal eio.Refusal
}

// Write implements netpoll.Transport.
func (p *poller) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	p.serve()
	return len(b), nil
}

// Writev implements netpoll.Transport.
func (p *poller) Writev(bs [][]byte) (n int, err error) {
	for i, b := range bs {
		p.buf = append(p.buf, b...)
		n += len(b)
		bs[i] = nil
	}
	p.serve()
	return n, nil
}

// OutboundBuffered implements netpoll.Transport.
func (p *poller) OutboundBuffered() int { return len(p.buf) }

// RemoteAddr implements netpoll.Transport: where the handshake came from.
func (p *poller) RemoteAddr() net.Addr { return p.addr }

// Seated implements netpoll.VirtualTransport.
func (p *poller) Seated(c *netpoll.Conn) { p.session.conn = c }

// Unseated implements netpoll.VirtualTransport.
func (p *poller) Unseated() []byte {
	left := p.buf
	p.buf, p.gone = nil, true
	if p.waiting != nil {
		p.waiting.result <- pollResult{refusal: eio.UnknownSID}
		p.waiting = nil
	}
	return left
}

// serve gives what is there to the GET that waits.
func (p *poller) serve() {
	if p.waiting != nil && len(p.buf) > 0 {
		p.waiting.result <- pollResult{frames: p.buf}
		p.waiting, p.buf = nil, nil
	}
}

// letGo ends a GET that waits, with nothing.
func (p *poller) letGo() {
	if p.waiting != nil {
		p.waiting.result <- pollResult{frames: noop}
		p.waiting = nil
	}
}

// noop is the frame of a packet that means nothing.
var noop = ws.AppendText(nil, []byte{byte(eio.Noop)})

// get takes a GET, on the loop.
func (p *poller) get(q *poll) {
	switch ended := p.session.state.Ended(); {
	case p.gone, ended && (p.waiting != nil || p.session.state.Reason() != eio.ForcedClose):
		q.result <- pollResult{refusal: eio.UnknownSID}
		return
	case ended: // in this very turn: it gets the last words
		p.waiting = q
		p.serve()
		return
	}
	if p.waiting != nil { // the official server ends the session for it, and the first GET learns that
		p.session.srv.counters.overlaps.Add(1)
		p.session.End(eio.TransportError)
		q.result <- pollResult{refusal: eio.BadRequest}
		return
	}
	p.waiting = q
	p.serve()
	p.session.conn.Drained()
}

// splitClose cuts frames before the close frame, if something stands before it. Clients deal with a close packet at
// once and with messages a little later, so that messages in the same payload would be lost.
func splitClose(frames []byte) (before, closing []byte) {
	for rest := frames; len(rest) >= 2; {
		op, _, after := nextFrame(rest)
		if op == ws.OpClose {
			at := len(frames) - len(rest)
			return frames[:at], frames[at:]
		}
		rest = after
	}
	return frames, nil
}

// farewellBytesMax bounds what is kept of one session that has ended, in bytes: the last words, not a backlog.
const farewellBytesMax = 16 << 10

// lastWords is what is kept of frames that nobody has taken: the close alone if they are many.
func lastWords(frames []byte) []byte {
	if len(frames) <= farewellBytesMax {
		return bytes.Clone(frames)
	}
	_, closing := splitClose(frames)
	return bytes.Clone(closing)
}

// nextFrame takes the first frame off: our own, unmasked, whole, not compressed.
func nextFrame(frames []byte) (op ws.OpCode, payload, rest []byte) {
	n, head := int(frames[1]), 2
	switch n {
	case 126:
		n, head = int(frames[2])<<8|int(frames[3]), 4
	case 127:
		n, head = 0, 10
		for _, b := range frames[2:10] {
			n = n<<8 | int(b)
		}
	}
	return ws.OpCode(frames[0] & 0x0f), frames[head : head+n], frames[head+n:]
}

// appendPayload turns the WebSocket frames that a session was sent into the body of a poll's answer. Pings and pongs of
// the WebSocket have no counterpart.
func appendPayload(dst, frames []byte) []byte {
	first := true
	for len(frames) >= 2 {
		op, payload, rest := nextFrame(frames)
		frames = rest
		if op == ws.OpPing || op == ws.OpPong {
			continue
		}
		if !first {
			dst = append(dst, eio.Separator)
		}
		first = false
		switch op {
		case ws.OpBinary:
			dst = eio.AppendBinary(dst, payload)
		case ws.OpClose:
			dst = append(dst, byte(eio.Close))
		default:
			dst = append(dst, payload...)
		}
	}
	return dst
}
