package engineio

import (
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

// Unseated implements netpoll.VirtualTransport. A session that the server has ended keeps its last words for the
// client's next GET.
func (p *poller) Unseated() []byte {
	s, left := p.session, p.buf
	p.buf = nil
	if p.waiting != nil {
		p.waiting.result <- pollResult{refusal: eio.UnknownSID}
		p.waiting = nil
	}
	if len(left) > 0 && s.state.Ended() && s.state.Reason() == eio.ForcedClose {
		s.srv.keepFarewell(s.sid, left, s.loop.Now())
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

// appendPayload turns the WebSocket frames that a session was sent into the body of a poll's answer. The frames are our
// own: unmasked, whole, not compressed. Pings and pongs of the WebSocket have no counterpart.
func appendPayload(dst, frames []byte) []byte {
	first := true
	for len(frames) >= 2 {
		op, n, head := ws.OpCode(frames[0]&0x0f), int(frames[1]), 2
		switch n {
		case 126:
			n, head = int(frames[2])<<8|int(frames[3]), 4
		case 127:
			n, head = 0, 10
			for _, b := range frames[2:10] {
				n = n<<8 | int(b)
			}
		}
		payload := frames[head : head+n]
		frames = frames[head+n:]
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
