package netpoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// With Config.OwnDescriptors a loop's thread leaves the process's descriptor table (unshare(2), CLONE_FILES) when it is
// bound, with a copy of its own. The limit of open files counts a table's entries, so each loop may have as many
// connections as otherwise the whole process. What follows from it:
//
//   - The loop keeps its thread until it ends; the thread then ends too, and its table with it. The main thread can't
//     end: a program should keep it for its main goroutine.
//   - What was open before has the same number in both tables: bells, pollers, listeners, rings. What is opened later
//     in one does not exist in the other.
//   - An open file ends when the last table lets go of it, so each table closes the connections that are not its own.
//   - A connection that leaves the loop for a goroutine (Conn.Detach) is sent through a socket, by SCM_RIGHTS.
//   - Connections can't be forwarded to another process or adopted from one.

// hatch is where descriptors leave a loop that has a table of its own. Its ends are open in both tables.
type hatch struct{ in, out int }

func (h *hatch) open() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("netpoll: can't make a socket pair: %w", err)
	}
	h.in, h.out = pair[0], pair[1]
	return nil
}

// shut closes the process's copies; the loop's end with its thread.
func (h *hatch) shut() {
	if h.in > 0 {
		_, _ = unix.Close(h.in), unix.Close(h.out)
		h.in, h.out = 0, 0
	}
}

// passOut turns a descriptor of the loop's table, which it closes, into a connection of the process. Loop's goroutine;
// it waits for another goroutine, which never waits for the loop.
func (h *hatch) passOut(fd int) (net.Conn, error) {
	err := unix.Sendmsg(h.in, []byte{0}, unix.UnixRights(fd), nil, 0)
	_ = unix.Close(fd)
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't pass a connection on: %w", err)
	}
	var c net.Conn
	done := make(chan struct{})
	go func() { // the loop keeps its thread to itself, so this runs on one with the process's table
		defer close(done)
		c, err = h.receive()
	}()
	<-done
	return c, err
}

func (h *hatch) receive() (net.Conn, error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(h.out, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("netpoll: can't receive a connection: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("netpoll: no connection was received"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("netpoll: no connection was received"), err)
	}
	return connOf(fds[0])
}

// ownDescriptors gives the loop a table of its own. early are the connections that it has accepted already, which the
// process's table lets go. Loop's goroutine, once.
func (d *gnetLoop) ownDescriptors(early []gnet.Conn) error {
	runtime.LockOSThread() // for good: a thread whose goroutine ends locked ends with it
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("netpoll: a loop can't have a descriptor table of its own: %w", err)
	}
	mine := make([]int, 0, len(early))
	for _, gc := range early {
		mine = append(mine, gc.Fd())
	}
	if err := closeStrangers(mine); err != nil {
		return err
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, fd := range mine {
			_ = unix.Close(fd)
		}
	}()
	<-closed
	return nil
}

// closeStrangers closes, in this thread's table, all TCP connections but mine: other loops accepted them, or other
// parts of the process use them.
func closeStrangers(mine []int) error {
	entries, err := os.ReadDir("/proc/thread-self/fd")
	if err != nil {
		return fmt.Errorf("netpoll: list the descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || slices.Contains(mine, fd) {
			continue
		}
		peer, err := unix.Getpeername(fd)
		if err != nil {
			continue // no socket, or one that listens
		}
		switch peer.(type) {
		case *unix.SockaddrInet4, *unix.SockaddrInet6:
			_ = unix.Close(fd)
		}
	}
	return nil
}
