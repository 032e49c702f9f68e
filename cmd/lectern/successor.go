package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
)

// startSuccessor starts this program anew, from the file that it was started from, which may be a newer version by now:
// with the same arguments and --takeover. If it fails, this process goes on serving.
func startSuccessor(log *slog.Logger) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		log.Error("no successor can be started", "err", err)
		return
	}
	args := slices.Clone(os.Args[1:])
	if !slices.Contains(args, takeoverFlag) {
		args = append(args, takeoverFlag)
	}
	c := exec.Command(path, args...) //nolint:gosec // this very program
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		log.Error("no successor can be started", "err", err)
		return
	}
	log.Info("a successor starts", "pid", c.Process.Pid)
	_ = c.Process.Release() // it says itself what it does, on the same standard error
}

const takeoverFlag = "--takeover"

// tellSupervisor says to systemd that this process serves now, and that it is the service's main one (sd_notify(3), for
// Type=notify). Without systemd it does nothing.
func tellSupervisor(log *slog.Logger) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' { // an abstract socket
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		log.Warn("the supervisor can't be told that the server is ready", "err", err)
		return
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "READY=1\nMAINPID=%d\n", os.Getpid()); err != nil {
		log.Warn("the supervisor can't be told that the server is ready", "err", err)
	}
}
