package netpoll_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lectern/netpoll"
)

// Containers often forbid io_uring. A child process forbids it to itself, by a filter as a container's runtime sets it,
// and starts servers: one that takes what it gets, and one that demands io_uring.
func TestForbiddenUring(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NETPOLL_TEST_CHILD=forbidden")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"auto: writes, <nil>",
		"uring: netpoll: io_uring is demanded but can't be used here (io_uring_setup: operation not permitted): allow it",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func init() { childModes["forbidden"] = forbiddenChild }

// forbiddenChild is what the child does.
func forbiddenChild() {
	if err := forbid(unix.SYS_IO_URING_SETUP); err != nil {
		fmt.Println("no filter:", err)
		return
	}
	for _, how := range []netpoll.IO{netpoll.IOAuto, netpoll.IOUring} {
		s, err := netpoll.New(netpoll.Config{Addr: "127.0.0.1:0", Loops: 2, IO: how}, &script{})
		if err != nil {
			fmt.Println(err)
			return
		}
		if err = s.Start(context.Background()); err != nil {
			fmt.Printf("%s: %v\n", how, err)
			continue
		}
		fmt.Printf("%s: %s, %v\n", how, s.Stats().IO, s.Stop(context.Background()))
	}
}

// forbid makes a system call fail with EPERM in all threads of the process; seccomp(2).
func forbid(call uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter takes the other threads along, and this call with it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}
