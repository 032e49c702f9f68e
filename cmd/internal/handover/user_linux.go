package handover

import (
	"net"
	"os"
	"syscall"
)

// sameUser asks the kernel who is at the other end.
func sameUser(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	same := false
	err = raw.Control(func(fd uintptr) {
		who, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		same = err == nil && int(who.Uid) == os.Geteuid()
	})
	return err == nil && same
}
