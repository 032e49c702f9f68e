package ws

import (
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflateLevel is klauspost's fastest level: at the sizes of events the better ones cost twice for a few per cent.
const deflateLevel = 1

// windowBytes is the history that a deflate stream may refer to.
const windowBytes = 32 << 10

// DeflateWorthBytes is the size from which compressing an event pays.
const DeflateWorthBytes = 512

// syncTail ends what Flush writes; RFC 7692 section 7.2.1 has the sender cut it off and the receiver put it back.
const syncTail = "\x00\x00\xff\xff"

// inflateTail is the tail of section 7.2.2 and after it an empty final block, so that the decoder ends cleanly.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// ErrTooBig says that a message is beyond the limit once decompressed.
var ErrTooBig = errors.New("ws: the decompressed message is too big")

// finalBlocksMax bounds the streams within one message. A sender needs one at most; each costs the decoder a reset,
// so that a message of nothing but empty final blocks (two bytes each) would burn a hundred times the processor
// time that its size suggests.
const finalBlocksMax = 16

var errBadDeflate = errors.New("ws: the compressed data is broken")

// Deflater compresses messages without context takeover: what it makes can be sent to any connection that
// negotiated permessage-deflate. It holds about a megabyte once used, so there is one per goroutine that
// compresses (or a pool: AppendDeflated), never one per connection. The zero value is ready. Not for concurrent use.
type Deflater struct {
	writer *flate.Writer
	sink   sliceWriter
}

// windowed compresses with a smaller window than Deflater's, for clients that can't decompress with 32 KiB. There is
// one pool per size.
var windowed [windowBitsMax]sync.Pool

type sliceWriter struct{ buf []byte }

func (s *sliceWriter) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// AppendDeflated appends payload as one compressed message: raw DEFLATE, flushed to a byte boundary, without the tail
// 00 00 ff ff (RFC 7692 section 7.2.1). The frame that carries it must have RSV1 set.
func (d *Deflater) AppendDeflated(dst, payload []byte) []byte {
	if d.writer == nil {
		// The level is valid, so there is no error to have.
		d.writer, _ = flate.NewWriter(&d.sink, deflateLevel)
	}
	return d.deflate(dst, payload)
}

func (d *Deflater) deflate(dst, payload []byte) []byte {
	d.sink.buf = dst
	d.writer.Reset(&d.sink)
	// Writing to memory can't fail.
	_, _ = d.writer.Write(payload)
	_ = d.writer.Flush()
	out := d.sink.buf
	d.sink.buf = nil
	return out[:len(out)-len(syncTail)]
}

// Inflater decompresses messages that were sent without context takeover. It holds about 40 KiB once used. The zero
// value is ready. Not for concurrent use.
type Inflater struct {
	reader io.ReadCloser
	source tailReader
}

// tailReader gives a message and then inflateTail. It has ReadByte, so the decoder takes no more than it needs.
type tailReader struct {
	data []byte
	tail string
}

func (t *tailReader) Read(p []byte) (int, error) {
	if len(t.data) > 0 {
		n := copy(p, t.data)
		t.data = t.data[n:]
		return n, nil
	}
	if t.tail == "" {
		return 0, io.EOF
	}
	n := copy(p, t.tail)
	t.tail = t.tail[n:]
	return n, nil
}

func (t *tailReader) ReadByte() (byte, error) {
	if len(t.data) > 0 {
		c := t.data[0]
		t.data = t.data[1:]
		return c, nil
	}
	if t.tail == "" {
		return 0, io.EOF
	}
	c := t.tail[0]
	t.tail = t.tail[1:]
	return c, nil
}

// AppendInflated appends the decompressed message. Beyond bytesMax it stops and returns ErrTooBig; anything that is
// not a DEFLATE stream gives another error. What was appended until then is in the result in both cases.
func (f *Inflater) AppendInflated(dst, compressed []byte, bytesMax int) ([]byte, error) {
	f.source = tailReader{data: compressed, tail: inflateTail}
	defer func() { f.source = tailReader{} }()
	start := len(dst)
	var history []byte
	for range finalBlocksMax {
		if f.reader == nil {
			f.reader = flate.NewReader(&f.source)
		}
		if err := f.reader.(flate.Resetter).Reset(&f.source, history); err != nil {
			return dst, errBadDeflate
		}
		var err error
		if dst, err = f.fill(dst, start+bytesMax); err != nil {
			return dst, err
		}
		// A sender may end a stream with a final block of its own (section 7.2.3.4); more blocks may follow it.
		if len(f.source.data) == 0 {
			return dst, nil
		}
		history = dst[max(start, len(dst)-windowBytes):]
	}
	return dst, errBadDeflate
}

// fill reads until the stream ends or dst is longer than limit.
func (f *Inflater) fill(dst []byte, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := f.reader.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return dst, ErrTooBig
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, errBadDeflate
		}
	}
}

// The pools are bounded by use: one Deflater per goroutine that compresses at the same moment, and the collector
// empties them when they are idle.
var (
	deflaters = sync.Pool{New: func() any { return new(Deflater) }}
	inflaters = sync.Pool{New: func() any { return new(Inflater) }}
)

// AppendDeflated is Deflater.AppendDeflated with a pooled Deflater. Any goroutine may call it.
func AppendDeflated(dst, payload []byte) []byte {
	d := deflaters.Get().(*Deflater)
	defer deflaters.Put(d)
	return d.AppendDeflated(dst, payload)
}

// appendDeflatedWithin is AppendDeflated for a client whose window is 1<<bits bytes. Any goroutine may call it.
func appendDeflatedWithin(dst, payload []byte, agreed Deflate) []byte {
	if agreed.Fits(len(payload)) {
		return AppendDeflated(dst, payload)
	}
	pool := &windowed[agreed.WindowBits]
	d, _ := pool.Get().(*Deflater)
	if d == nil {
		d = new(Deflater)
		// The size is within what the library takes, so there is no error to have.
		d.writer, _ = flate.NewWriterWindow(&d.sink, 1<<agreed.WindowBits)
	}
	defer pool.Put(d)
	return d.deflate(dst, payload)
}

// AppendInflated is Inflater.AppendInflated with a pooled Inflater. Any goroutine may call it.
func AppendInflated(dst, compressed []byte, bytesMax int) ([]byte, error) {
	f := inflaters.Get().(*Inflater)
	defer inflaters.Put(f)
	return f.AppendInflated(dst, compressed, bytesMax)
}
