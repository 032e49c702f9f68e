//go:build !linux

package main

import "syscall"

func thisMachine() machine {
	return machine{
		proc: "/proc", cgroups: "/sys/fs/cgroup",
		limits: func() (soft, hard uint64, err error) {
			var limit syscall.Rlimit
			err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
			return uint64(limit.Cur), uint64(limit.Max), err
		},
		uring: func() error { return errNotHere },
		clock: func() (bool, error) { return false, errNotHere },
	}
}
