package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func thisMachine() machine {
	return machine{proc: "/proc", cgroups: "/sys/fs/cgroup", limits: descriptorLimits, uring: tryUring, clock: askClock}
}

func descriptorLimits() (soft, hard uint64, err error) {
	var limit syscall.Rlimit
	err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, limit.Max, err
}

// tryUring makes a ring of one entry: whether seccomp, a sysctl or an old kernel forbids it can only be tried.
func tryUring() error {
	var params [120]byte // struct io_uring_params, all zero
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// askClock reads the kernel's clock discipline, adjtimex(2) without changing anything. No NTP service in the machine or
// its host: STA_UNSYNC.
func askClock() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, err
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, nil
}
