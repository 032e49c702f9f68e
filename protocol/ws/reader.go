package ws

import (
	"encoding/binary"
	"sync"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
)

// Config is what the Readers of many connections share. It must not change while they live.
type Config struct {
	// MessageBytesMax bounds a message: the sum of its fragments, and again after decompression. 0 means 128 KiB.
	MessageBytesMax int
	// Client makes Readers for the client's end, where frames come unmasked.
	Client bool
}

// DefaultMessageBytesMax is the limit when Config sets none: the largest payload of room:publish twice over.
const DefaultMessageBytesMax = 128 << 10

func (c *Config) messageMax() int {
	if c.MessageBytesMax > 0 {
		return c.MessageBytesMax
	}
	return DefaultMessageBytesMax
}

// Handler gets what a Reader finds. Payloads are borrowed: they are valid until the method returns. A method that
// returns false ends the Feed; the rest of its bytes is dropped.
type Handler interface {
	// Message is a whole message, decompressed; a text is valid UTF-8.
	Message(binary bool, payload []byte) bool
	// Control is a ping, a pong or a close frame with its payload of at most 125 bytes.
	Control(op OpCode, payload []byte) bool
}

// Gate is implemented by a Handler that wants to be asked before a message is decompressed, which is the one thing that
// costs much more than the bytes that came. A Gate that returns false ends the Feed; the message is dropped.
type Gate interface {
	Inflate(compressedBytes int) bool
}

// Reader takes apart the byte stream of one connection. Not for concurrent use.
type Reader struct {
	cfg     *Config
	part    *partial // nil between messages
	deflate bool
}

// NewReader is a Reader at the start of the frames; deflate says that permessage-deflate was negotiated.
func NewReader(cfg *Config, deflate bool) Reader { return Reader{cfg: cfg, deflate: deflate} }

// Idle is true when nothing is held: no frame and no message has begun.
func (r *Reader) Idle() bool { return r.part == nil }

// BufferedBytes is the memory held for a message that has begun.
func (r *Reader) BufferedBytes() int {
	if r.part == nil {
		return 0
	}
	return cap(r.part.buf)
}

// Release gives back what the Reader holds. It must not be fed afterwards.
func (r *Reader) Release() {
	if r.part != nil {
		r.part.recycle()
		r.part = nil
	}
}

// frameHeader is a parsed header.
type frameHeader struct {
	length uint64
	mask   [4]byte
	op     OpCode
	fin    bool
	rsv1   bool
}

// partial is what a Reader remembers inside a frame or between the fragments of a message.
type partial struct {
	frame   frameHeader
	read    uint64 // bytes of the frame's payload seen
	utf8    utf8Check
	buf     []byte                // the message so far, compressed if it is
	control [ControlBytesMax]byte // a control frame's payload so far
	head    [HeaderBytesMax]byte  // a header so far
	headLen uint8
	inFrame bool
	inMsg   bool
	binary  bool // of the message
	squeeze bool // the message is compressed
}

// partialBytesKept bounds the buffer that goes back to the pool with its partial.
const partialBytesKept = 16 << 10

var partials = sync.Pool{New: func() any { return new(partial) }}

func (p *partial) recycle() {
	buf := p.buf[:0]
	if cap(buf) > partialBytesKept {
		buf = nil
	}
	*p = partial{buf: buf}
	partials.Put(p)
}

// Feed reads in, which may start and end anywhere in the stream, and tells h what it finds. in is borrowed and, at
// the server's end, unmasked in place: its content is lost. Memory is taken for bytes that have arrived, never for
// a length that was only announced, and a frame that is announced too long is refused before its payload comes.
// After an error the connection must be closed with its code and the Reader not be fed again.
func (r *Reader) Feed(in []byte, h Handler) *Error {
	for len(in) > 0 {
		var more bool
		var err *Error
		if r.part == nil {
			in, more, err = r.whole(in, h)
		} else {
			in, more, err = r.step(in, h)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// whole is the fast path: an unfragmented frame that lies in in completely is handled where it lies. Anything else
// is left to step.
func (r *Reader) whole(in []byte, h Handler) (rest []byte, more bool, err *Error) {
	frame, n, err := parseHeader(in, r.cfg.Client)
	if err != nil {
		return nil, false, err
	}
	if n > 0 {
		if err = r.check(&frame, nil); err != nil {
			return nil, false, err
		}
	}
	if n == 0 || uint64(len(in)-n) < frame.length || !frame.fin {
		r.part = partials.Get().(*partial)
		return in, true, nil
	}
	payload := in[n : n+int(frame.length)]
	rest = in[n+int(frame.length):]
	if !r.cfg.Client {
		gobwas.Cipher(payload, frame.mask, 0)
	}
	if frame.op.IsControl() {
		return rest, h.Control(frame.op, payload), nil
	}
	if frame.rsv1 {
		more, err = r.inflate(frame.op == OpBinary, payload, h)
		return rest, more, err
	}
	if frame.op == OpText && !utf8.Valid(payload) {
		return nil, false, ErrUTF8
	}
	return rest, h.Message(frame.op == OpBinary, payload), nil
}

// step takes what in holds of the header or of the payload of the frame at hand.
func (r *Reader) step(in []byte, h Handler) (rest []byte, more bool, err *Error) {
	p := r.part
	if !p.inFrame {
		had := int(p.headLen)
		took := copy(p.head[had:], in)
		frame, n, err := parseHeader(p.head[:had+took], r.cfg.Client)
		if err != nil {
			return nil, false, err
		}
		if n == 0 {
			p.headLen += uint8(took)
			return in[took:], true, nil
		}
		if err = r.check(&frame, p); err != nil {
			return nil, false, err
		}
		p.begin(frame)
		in = in[n-had:]
	}
	piece := in[:min(uint64(len(in)), p.frame.length-p.read)]
	rest = in[len(piece):]
	if !r.cfg.Client {
		gobwas.Cipher(piece, p.frame.mask, int(p.read&3))
	}
	if p.frame.op.IsControl() {
		copy(p.control[p.read:], piece)
	} else {
		if !p.binary && !p.squeeze && !p.utf8.feed(piece) {
			return nil, false, ErrUTF8
		}
		p.buf = append(p.buf, piece...)
	}
	p.read += uint64(len(piece))
	if p.read < p.frame.length {
		return rest, true, nil
	}
	more, err = r.frameDone(h)
	return rest, more, err
}

// begin starts a frame whose header has been checked.
func (p *partial) begin(frame frameHeader) {
	p.frame, p.read, p.inFrame, p.headLen = frame, 0, true, 0
	if frame.op == OpText || frame.op == OpBinary {
		p.inMsg, p.binary, p.squeeze = true, frame.op == OpBinary, frame.rsv1
	}
}

// frameDone handles the end of a frame: a control frame, a fragment, or the whole message.
func (r *Reader) frameDone(h Handler) (more bool, err *Error) {
	p := r.part
	p.inFrame = false
	if p.frame.op.IsControl() {
		more = h.Control(p.frame.op, p.control[:p.frame.length])
		if r.part == p && !p.inMsg {
			r.Release()
		}
		return more, nil
	}
	if !p.frame.fin {
		return true, nil
	}
	// Off the Reader first: the handler may Release it, and the payload must stay valid until it returns.
	r.part = nil
	defer p.recycle()
	if p.squeeze {
		return r.inflate(p.binary, p.buf, h)
	}
	if !p.utf8.done() {
		return false, ErrUTF8
	}
	return h.Message(p.binary, p.buf), nil
}

// check judges a header by the state of the message at hand (p nil: none) and by the limits.
func (r *Reader) check(frame *frameHeader, p *partial) *Error {
	inMsg := p != nil && p.inMsg
	if frame.op.IsControl() {
		switch {
		case !frame.fin:
			return ErrControlFrag
		case frame.length > ControlBytesMax:
			return ErrControlSize
		case frame.rsv1:
			return ErrReservedBits
		}
		return nil
	}
	limit := uint64(r.cfg.messageMax())
	switch {
	case frame.op == OpContinuation && !inMsg:
		return ErrContinuation
	case frame.op != OpContinuation && inMsg:
		return ErrInterleaved
	case frame.rsv1 && (!r.deflate || frame.op == OpContinuation):
		return ErrReservedBits
	case frame.rsv1 || inMsg && p.squeeze:
		// Data that does not shrink grows by a few bytes per block.
		limit += limit>>8 + 64
	}
	if inMsg {
		limit -= min(limit, uint64(len(p.buf)))
	}
	if frame.length > limit {
		return ErrMessageTooBig
	}
	return nil
}

// inflated holds the buffers for decompressed messages while their handler runs.
var inflated = sync.Pool{New: func() any { return new([]byte) }}

// inflate decompresses a message and hands it over.
func (r *Reader) inflate(isBinary bool, compressed []byte, h Handler) (more bool, err *Error) {
	if gate, ok := h.(Gate); ok && !gate.Inflate(len(compressed)) {
		return false, nil
	}
	buf := inflated.Get().(*[]byte)
	out, fail := AppendInflated((*buf)[:0], compressed, r.cfg.messageMax())
	if cap(out) <= partialBytesKept {
		*buf = out
	}
	defer inflated.Put(buf)
	switch {
	case fail == ErrTooBig:
		return false, ErrInflatedBig
	case fail != nil:
		return false, ErrCompression
	case !isBinary && !utf8.Valid(out):
		return false, ErrUTF8
	}
	return h.Message(isBinary, out), nil
}

// parseHeader reads a frame header (RFC 6455 section 5.2); n is its length, 0 while bytes are missing. What the first
// bytes give away is refused without waiting for the rest.
func parseHeader(b []byte, client bool) (frame frameHeader, n int, err *Error) {
	if len(b) == 0 {
		return frame, 0, nil
	}
	frame.fin, frame.rsv1, frame.op = b[0]&0x80 != 0, b[0]&0x40 != 0, OpCode(b[0]&0x0f)
	if b[0]&0x30 != 0 {
		return frame, 0, ErrReservedBits
	}
	if frame.op.IsReserved() {
		return frame, 0, ErrReservedOp
	}
	if len(b) < 2 {
		return frame, 0, nil
	}
	masked := b[1]&0x80 != 0
	if masked == client {
		if client {
			return frame, 0, ErrMasked
		}
		return frame, 0, ErrUnmasked
	}
	n = 2
	frame.length = uint64(b[1] & 0x7f)
	switch frame.length {
	case 126:
		if n = 4; len(b) < n {
			return frame, 0, nil
		}
		if frame.length = uint64(binary.BigEndian.Uint16(b[2:])); frame.length < 126 {
			return frame, 0, ErrLength
		}
	case 127:
		if n = 10; len(b) < n {
			return frame, 0, nil
		}
		if frame.length = binary.BigEndian.Uint64(b[2:]); frame.length <= 0xffff || frame.length>>63 != 0 {
			return frame, 0, ErrLength
		}
	}
	if masked {
		if len(b) < n+4 {
			return frame, 0, nil
		}
		copy(frame.mask[:], b[n:])
		n += 4
	}
	return frame, n, nil
}
