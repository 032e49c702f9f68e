// Package wheel is a hierarchical timing wheel: adding, cancelling and firing a timer are O(1), and finding the next
// moment at which anything can happen is one look at four bitmaps. It has no clock: time is a count of ticks that the
// owner passes in, so a test can run hours in a moment.
//
// The scheme is the hierarchical one of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7:
// four levels of 64 slots; a timer sits in the level that its distance fits and moves down a level each time the level
// below has gone round. A timer never fires before its tick, and fires in the Advance that reaches it.
package wheel

import "math/bits"

const (
	levels    = 4
	slotBits  = 6
	slots     = 1 << slotBits
	slotMask  = slots - 1
	spanTicks = 1 << (levels * slotBits) // a timer further away than this waits in the top level and is placed again
)

// Handle names a pending timer. The zero handle names none. A handle is dead once its timer fired or was cancelled,
// and may then be given to another timer: its owner must forget it.
type Handle uint32

type node[T any] struct {
	value      T
	deadline   uint64
	next, prev Handle
	level      uint8
	slot       uint8
	armed      bool
}

// Wheel holds timers that carry a value of type T. One goroutine owns it; the zero value is ready at tick 0.
type Wheel[T any] struct {
	nodes  []node[T] // nodes[0] is never used, so that the zero handle names none
	free   Handle    // singly linked through next
	heads  [levels][slots]Handle
	filled [levels]uint64 // bit s is set while slot s of the level has timers
	now    uint64
	count  int
}

// Now is the tick that the wheel stands at.
func (w *Wheel[T]) Now() uint64 { return w.now }

// Len is the number of pending timers.
func (w *Wheel[T]) Len() int { return w.count }

// Add arms a timer for the given tick and returns its handle. A tick that is not in the future means the next one: a
// timer never fires inside the call that adds it.
func (w *Wheel[T]) Add(deadline uint64, value T) Handle {
	if deadline <= w.now {
		deadline = w.now + 1
	}
	h := w.alloc()
	n := &w.nodes[h]
	n.value, n.deadline, n.armed = value, deadline, true
	w.place(h)
	w.count++
	return h
}

// Cancel disarms the timer and reports whether it was pending. Cancelling the zero handle does nothing.
func (w *Wheel[T]) Cancel(h Handle) bool {
	if h == 0 || int(h) >= len(w.nodes) || !w.nodes[h].armed {
		return false
	}
	w.unlink(h)
	w.release(h)
	return true
}

// Next returns the earliest tick at which Advance has anything to do, and false when no timer is pending. Now and
// then that is only moving timers down a level, so nothing needs to fire at that tick; no timer is due before it.
func (w *Wheel[T]) Next() (tick uint64, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	for level := range levels {
		if w.filled[level] == 0 {
			continue
		}
		shift := level * slotBits
		at := w.now >> shift
		// Rotated so that bit 0 is the slot after the current one: the distance is then one more than the first bit.
		ahead := bits.RotateLeft64(w.filled[level], -int((at+1)&slotMask))
		t := (at + 1 + uint64(bits.TrailingZeros64(ahead))) << shift
		if !ok || t < tick {
			tick, ok = t, true
		}
	}
	return tick, ok
}

// Advance moves the wheel to the given tick and calls fire for every timer that is due, in order of ticks; timers of
// one tick fire in no promised order. fire may add and cancel timers. A tick in the past does nothing.
func (w *Wheel[T]) Advance(now uint64, fire func(T)) {
	for w.now < now {
		tick, ok := w.Next()
		if !ok || tick > now {
			w.now = now
			return
		}
		w.now = tick
		for level := levels - 1; level > 0; level-- {
			if shift := level * slotBits; tick&(1<<shift-1) == 0 {
				w.moveDown(level, int(tick>>shift)&slotMask)
			}
		}
		for {
			h := w.heads[0][tick&slotMask]
			if h == 0 {
				break
			}
			value := w.nodes[h].value
			w.unlink(h)
			w.release(h)
			fire(value)
		}
	}
}

// moveDown places every timer of a slot again, now that its distance is smaller.
func (w *Wheel[T]) moveDown(level, slot int) {
	h := w.heads[level][slot]
	w.heads[level][slot] = 0
	w.filled[level] &^= 1 << slot
	for h != 0 {
		next := w.nodes[h].next
		w.place(h)
		h = next
	}
}

func (w *Wheel[T]) place(h Handle) {
	n := &w.nodes[h]
	at := n.deadline
	if at-w.now >= spanTicks {
		at = w.now + spanTicks - 1
	}
	level := 0
	if delta := at - w.now; delta >= slots {
		level = (bits.Len64(delta) - 1) / slotBits
	}
	slot := int(at>>(level*slotBits)) & slotMask
	head := w.heads[level][slot]
	n.level, n.slot, n.prev, n.next = uint8(level), uint8(slot), 0, head
	if head != 0 {
		w.nodes[head].prev = h
	}
	w.heads[level][slot] = h
	w.filled[level] |= 1 << slot
}

func (w *Wheel[T]) unlink(h Handle) {
	n := &w.nodes[h]
	if n.prev != 0 {
		w.nodes[n.prev].next = n.next
	} else {
		w.heads[n.level][n.slot] = n.next
		if n.next == 0 {
			w.filled[n.level] &^= 1 << n.slot
		}
	}
	if n.next != 0 {
		w.nodes[n.next].prev = n.prev
	}
}

func (w *Wheel[T]) alloc() Handle {
	if h := w.free; h != 0 {
		w.free = w.nodes[h].next
		return h
	}
	if len(w.nodes) == 0 {
		w.nodes = append(w.nodes, node[T]{})
	}
	w.nodes = append(w.nodes, node[T]{})
	return Handle(len(w.nodes) - 1)
}

func (w *Wheel[T]) release(h Handle) {
	w.nodes[h] = node[T]{next: w.free}
	w.free = h
	w.count--
}
