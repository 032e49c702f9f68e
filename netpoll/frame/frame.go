// Package frame holds encoded messages that many connections share: bytes that are written once, sealed, counted by
// reference and given back to a pool when the last holder lets go.
//
// A frame is born with one reference, which belongs to whoever called Get. Each further holder calls Retain before it
// keeps the pointer and Release when it is done. After Seal the bytes never change, so holders on different goroutines
// may read them at the same time. In builds with the tag `invariants` the bytes are overwritten on the last Release,
// so that a reader who kept them too long sees rubbish at once instead of another user's message later.
package frame

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	classMinBits = 8  // the smallest pooled buffer: 256 bytes
	classMaxBits = 20 // the largest pooled buffer: 1 MiB; above it the garbage collector takes over
)

// pools holds free frames by size class: pools[i] has buffers of at least 1<<(classMinBits+i) bytes.
var pools [classMaxBits - classMinBits + 1]sync.Pool

var live atomic.Int64

// Frame is one encoded message. Use Get to make one; the zero value is not usable.
type Frame struct {
	// Buf is where the maker appends the message before Seal. Nobody may write to it afterwards.
	Buf []byte

	refs   atomic.Int32
	sealed bool
}

// Get returns an empty frame with one reference and room for at least size bytes. Appending more than that is allowed
// and costs what growing a slice costs. Any goroutine.
func Get(size int) *Frame {
	live.Add(1)
	class := classFor(size)
	if class < 0 {
		f := &Frame{Buf: make([]byte, 0, size)}
		f.refs.Store(1)
		return f
	}
	f, _ := pools[class].Get().(*Frame)
	if f == nil {
		f = &Frame{Buf: make([]byte, 0, 1<<(classMinBits+class))}
	}
	f.sealed = false
	f.refs.Store(1)
	return f
}

// Of returns a sealed frame with a copy of b and one reference. Any goroutine.
func Of(b []byte) *Frame {
	f := Get(len(b))
	f.Buf = append(f.Buf, b...)
	f.Seal()
	return f
}

// Seal ends writing: from here on the bytes are immutable and the frame may be shared. Only the maker calls it, once,
// before the pointer reaches another goroutine; a second call panics.
func (f *Frame) Seal() {
	if f.sealed {
		panic("frame: sealed twice")
	}
	f.sealed = true
}

// Sealed reports whether Seal was called. Holders only.
func (f *Frame) Sealed() bool { return f.sealed }

// Bytes returns the sealed message. The caller must hold a reference for as long as it uses them, and must not write.
// It panics before Seal.
func (f *Frame) Bytes() []byte {
	if !f.sealed {
		panic("frame: bytes of a frame that is not sealed")
	}
	return f.Buf
}

// Len is the number of bytes in the frame, sealed or not.
func (f *Frame) Len() int { return len(f.Buf) }

// Retain adds a reference. Only a holder may call it; any goroutine. It panics when there is no holder any more.
func (f *Frame) Retain() {
	if f.refs.Add(1) < 2 {
		panic("frame: retained after its last release")
	}
}

// Release gives one reference back; with the last one the frame returns to its pool. Any goroutine. Releasing more
// often than retaining is a programming error and panics, since going on would hand one buffer to two messages.
func (f *Frame) Release() {
	n := f.refs.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		panic("frame: released more often than retained")
	}
	live.Add(-1)
	poison(f.Buf)
	f.Buf = f.Buf[:0]
	if class := classOf(cap(f.Buf)); class >= 0 {
		pools[class].Put(f)
	}
}

// Refs is the number of references held now; for tests and inspection.
func (f *Frame) Refs() int { return int(f.refs.Load()) }

// Live is the number of frames of the process that have been got and not yet released for the last time. A server
// that has stopped must be back at the number from before its start.
func Live() int64 { return live.Load() }

// classFor is the index of the smallest class that has room for size bytes, or -1 when size is above every class.
func classFor(size int) int {
	if size <= 1<<classMinBits {
		return 0
	}
	b := bits.Len(uint(size - 1))
	if b > classMaxBits {
		return -1
	}
	return b - classMinBits
}

// classOf is the index of the largest class that a buffer of this capacity can serve, or -1 when it fits none: a
// buffer that grew moves up, and one that grew above every class is left to the garbage collector.
func classOf(capacity int) int {
	b := bits.Len(uint(capacity)) - 1
	if b < classMinBits || b > classMaxBits {
		return -1
	}
	return b - classMinBits
}
