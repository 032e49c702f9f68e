//go:build !linux

package handover

import "net"

// sameUser relies on the socket's mode.
func sameUser(*net.UnixConn) bool { return true }
