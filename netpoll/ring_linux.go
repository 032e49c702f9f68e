package netpoll

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// What io_uring_setup(2) and io_uring_enter(2) define; include/uapi/linux/io_uring.h.
const (
	uringOffSQ        = 0
	uringOffCQ        = 0x8000000
	uringOffSQEs      = 0x10000000
	uringGetEvents    = 1      // IORING_ENTER_GETEVENTS
	uringSetupClamp   = 1 << 4 // IORING_SETUP_CLAMP
	uringFeatSingle   = 1 << 0 // IORING_FEAT_SINGLE_MMAP
	uringFeatNoDrop   = 1 << 1 // IORING_FEAT_NODROP
	uringOpSend       = 26     // IORING_OP_SEND
	uringProbe        = 8      // IORING_REGISTER_PROBE
	uringOpSupported  = 1      // IO_URING_OP_SUPPORTED
	uringProbeOps     = 64
	uringSendFlags    = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	uringFailuresLeft = 3 // refused submissions after which a ring is given up
)

type uringOffsets struct {
	head, tail, mask, entries uint32
	_                         uint32 // submission: flags; completion: overflow
	cqes                      uint32 // submission: dropped
	array                     uint32 // completion: flags
	_                         uint32
	_                         uint64
}

type uringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32
	_                                                                  [3]uint32
	sq, cq                                                             uringOffsets
}

type uringSQE struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, msgFlags uint32
	userData      uint64
	_             [3]uint64
}

type uringCQE struct {
	userData uint64
	res      int32
	flags    uint32
}

// ring is one io_uring that sends without waiting. With MSG_DONTWAIT the kernel carries each send out while it takes
// the submission, so nothing is ever in flight once submit has returned. It belongs to one goroutine at a time.
type ring struct {
	fd        int
	rings     []byte // both rings, one mapping
	entries   []byte // the mapping behind sqes
	sqes      []uringSQE
	cqes      []uringCQE
	sqHead    *uint32
	sqTail    *uint32
	cqHead    *uint32
	cqTail    *uint32
	sqMask    uint32
	cqMask    uint32
	failures  int
	unsettled bool // the kernel may still read what was submitted: never submit again, never reuse those bytes
}

// openRing makes a ring of that many entries and tries it out on a socket pair: an operation that is forbidden, missing
// or not carried out at once shows here and not under traffic.
func openRing(entries uint32) (*ring, error) {
	p := uringParams{flags: uringSetupClamp}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	err := r.mapAll(&p)
	if err == nil {
		err = r.probe()
	}
	if err == nil {
		err = r.rehearse()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapAll(p *uringParams) error {
	if p.features&uringFeatSingle == 0 || p.features&uringFeatNoDrop == 0 {
		return errors.New("this kernel's io_uring is too old (Linux 5.5 or later is needed)")
	}
	size := max(int(p.sq.array)+4*int(p.sqEntries), // the array of indices stands last
		int(p.cq.cqes)+int(unsafe.Sizeof(uringCQE{}))*int(p.cqEntries))
	const access, shared = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	var err error
	if r.rings, err = unix.Mmap(r.fd, uringOffSQ, size, access, shared); err != nil {
		return fmt.Errorf("mapping the rings: %w", err)
	}
	bytes := int(unsafe.Sizeof(uringSQE{})) * int(p.sqEntries)
	if r.entries, err = unix.Mmap(r.fd, uringOffSQEs, bytes, access, shared); err != nil {
		return fmt.Errorf("mapping the entries: %w", err)
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[at])) }
	r.sqHead, r.sqTail, r.sqMask = word(p.sq.head), word(p.sq.tail), *word(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = word(p.cq.head), word(p.cq.tail), *word(p.cq.mask)
	r.sqes = unsafe.Slice((*uringSQE)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*uringCQE)(unsafe.Pointer(&r.rings[p.cq.cqes])), p.cqEntries)
	for i, array := uint32(0), unsafe.Slice(word(p.sq.array), p.sqEntries); i < p.sqEntries; i++ {
		array[i] = i // an entry's place in the ring is its place in the array, for good
	}
	return nil
}

// probe asks whether the kernel has the operation.
func (r *ring) probe() error {
	var p struct {
		last, count uint8
		_           uint16
		_           [3]uint32
		ops         [uringProbeOps]struct {
			op, _ uint8
			flags uint16
			_     uint32
		}
	}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), uringProbe,
		uintptr(unsafe.Pointer(&p)), uringProbeOps, 0, 0)
	if errno != 0 {
		return fmt.Errorf("io_uring_register: %w", errno)
	}
	if p.count <= uringOpSend || p.ops[uringOpSend].flags&uringOpSupported == 0 {
		return errors.New("this kernel's io_uring can't send (Linux 5.6 or later is needed)")
	}
	return nil
}

// rehearse sends to a socket pair: a byte that fits, and more than fits, which must fail at once and not wait.
func (r *ring) rehearse() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a socket pair: %w", err)
	}
	defer unix.Close(pair[0]) //nolint:errcheck // nothing of value was written
	defer unix.Close(pair[1]) //nolint:errcheck // the same
	big := make([]byte, 64<<10)
	for range 1024 {
		r.put(0, pair[0], big)
		var res int
		ok := r.submit(1, func(_ int, n int) { res = n })
		switch {
		case !ok:
			return errors.New("io_uring did not carry out a send at once")
		case res == -int(unix.EAGAIN):
			return nil
		case res <= 0:
			return fmt.Errorf("io_uring's send: %w", unix.Errno(-res))
		}
	}
	return errors.New("io_uring's send took more than a socket holds")
}

// put fills the i-th entry of the next submission. b must be on the heap and stay alive until submit returns.
func (r *ring) put(i, fd int, b []byte) {
	e := &r.sqes[(*r.sqTail+uint32(i))&r.sqMask]
	*e = uringSQE{
		opcode: uringOpSend, fd: int32(fd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))),
		len: uint32(len(b)), msgFlags: uringSendFlags, userData: uint64(i),
	}
}

// submit sends the first n entries and gives each one's result to settle: bytes sent, or a negative errno. It reports
// false when the kernel refused some of them; those get no call. All results have come when it returns.
//
// Go's scheduler doesn't hear of the submission, as it doesn't of single sends (SendRaw): told of it, its monitor takes
// the processor away after 20 µs and gives it back later, which cost a tenth to a sixth of a wide fan-out's CPU. The
// price is that a stop of the world waits for the submission to end, so wideBatch keeps that well below a millisecond.
func (r *ring) submit(n int, settle func(i, res int)) bool {
	atomic.StoreUint32(r.sqTail, *r.sqTail+uint32(n))
	taken, settled := 0, 0
	for taken < n {
		k, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n-taken), 0, 0, 0, 0)
		settled += r.reap(settle)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || k == 0 {
			break
		}
		taken += int(k)
	}
	for settled < taken { // never seen: a send with MSG_DONTWAIT ends inside the submission
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, uintptr(taken-settled), uringGetEvents, 0, 0)
		settled += r.reap(settle)
		if errno != 0 && errno != unix.EINTR {
			r.unsettled = true
			return false
		}
	}
	if taken < n {
		atomic.StoreUint32(r.sqTail, atomic.LoadUint32(r.sqHead)) // take back what the kernel did not want
		r.failures++
		return false
	}
	return true
}

func (r *ring) reap(settle func(i, res int)) (n int) {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	for ; head != tail; head++ {
		c := &r.cqes[head&r.cqMask]
		settle(int(c.userData), int(c.res))
		n++
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}

// usable reports whether the ring is worth another submission.
func (r *ring) usable() bool { return !r.unsettled && r.failures < uringFailuresLeft }

func (r *ring) close() {
	if r.entries != nil {
		_ = unix.Munmap(r.entries)
	}
	if r.rings != nil {
		_ = unix.Munmap(r.rings)
	}
	_ = unix.Close(r.fd)
	r.fd, r.entries, r.rings = -1, nil, nil
}

// wide is a loop's ring, nil when sends go by write(2).
type wide struct {
	ring   *ring
	settle func(i, res int)
	batch  []Sending
}

// openWide gives the loop a ring.
func (d *gnetLoop) openWide() error {
	r, err := openRing(wideBatch)
	if err != nil {
		return err
	}
	d.ring = r
	d.settle = func(i, res int) { d.batch[i].N = max(res, 0) }
	return nil
}

// closeWide gives the ring back, after the loop has ended.
func (d *gnetLoop) closeWide() {
	if d.ring != nil {
		d.ring.close()
		d.ring = nil
	}
}

// SendWide implements WideSender.
func (d *gnetLoop) SendWide(batch []Sending) WideResult {
	if d.ring == nil || !d.ring.usable() {
		return WideUnavailable
	}
	for i := range batch {
		d.ring.put(i, batch[i].T.(gnet.Conn).Fd(), batch[i].B)
	}
	d.batch = batch
	ok := d.ring.submit(len(batch), d.settle)
	d.batch = nil
	switch {
	case d.ring.unsettled:
		return WideLost
	case !ok && !d.ring.usable():
		return WideUnavailable
	}
	return WideSent
}
