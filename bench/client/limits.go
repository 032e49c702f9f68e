package client

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// descriptorsSpare are the descriptors that the process needs beside the connections: logs, epoll, the /proc files.
const descriptorsSpare = 64

// CheckDescriptors raises the soft limit of open files to the hard one if conns need it, and fails with what to do when
// even that is too little.
func CheckDescriptors(conns int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("bench: read the limit of open files: %w", err)
	}
	need := uint64(conns) + descriptorsSpare
	if lim.Cur >= need {
		return nil
	}
	if lim.Max > lim.Cur {
		raised := lim
		raised.Cur = lim.Max
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			lim = raised
		}
	}
	if lim.Cur >= need {
		return nil
	}
	return fmt.Errorf("bench: %d connections need %d open files and this process may have %d: "+
		"use --conns %d or less, or raise the limit (ulimit -Hn, or LimitNOFILE= in a systemd unit)",
		conns, need, lim.Cur, max(int(lim.Cur)-descriptorsSpare, 0))
}
