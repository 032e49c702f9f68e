package capacity

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrDescriptors says that this machine does not let a process have as many open files as the run needs.
var ErrDescriptors = errors.New("bench: too few open files")

const (
	// serverSpare are the descriptors that the server keeps for everything but connections.
	serverSpare = 1024
	// lateShare is the part of the server's connections, the last to come, that it keeps free: it sends newcomers away.
	lateShare = 32
	// generatorSpare are the descriptors of a generator that are no connections.
	generatorSpare = 128
	// perGenerator is how many connections one generator has where the limit allows more: beyond it, a second thread is
	// worth more than the memory that a second process costs.
	perGenerator = 25_000
	// loopsMost bounds the loops that are given to a server for the sake of their descriptors.
	loopsMost = 64
	// spread is the part of a loop's descriptors that is left for chance, which decides who gets a connection.
	spread = 16
)

// connsMax is the server's cap on connections with which it takes in so many members and their host.
func connsMax(conns int) int { return conns + conns/(lateShare-1) + 2 }

func serverDescriptors(conns int) uint64 { return uint64(connsMax(conns)) + serverSpare }

// serverLoops is the number of loops with a descriptor table each that the server needs under the limit; zero: one
// table is enough.
func serverLoops(conns int, limit uint64) (int, error) {
	if limit >= serverDescriptors(conns) {
		return 0, nil
	}
	for loops := 2; loops <= loopsMost; loops++ {
		each := int(limit) - serverSpare
		if each > 0 && each/spread*(spread-1)*loops >= connsMax(conns) {
			return loops, nil
		}
	}
	return 0, fmt.Errorf("%w: a server with %d connections needs %d and a process may have %d here, too few even with a "+
		"limit for each of %d loops. Use fewer --conns, or raise the limit (ulimit -Hn, LimitNOFILE= in a systemd unit)",
		ErrDescriptors, conns, serverDescriptors(conns), limit, loopsMost)
}

// split is how many connections each generator has; the first is the host's.
func split(conns, generators int, limit uint64) ([]int, error) {
	most := min(int(min(limit, 1<<30))-generatorSpare, perGenerator)
	if generators == 0 && most > 0 {
		generators = max((conns+most-1)/most, min(2, conns))
	}
	if generators < 1 || generators > conns || (conns+generators-1)/generators > int(min(limit, 1<<30))-generatorSpare {
		return nil, fmt.Errorf("%w: %d generators can't have %d connections with %d open files each (--generators)",
			ErrDescriptors, generators, conns, limit)
	}
	shares := make([]int, generators)
	for i := range shares {
		shares[i] = conns*(i+1)/generators - conns*i/generators
	}
	return shares, nil
}

// descriptors is how many open files a process may have, after raising the limit as far as this process may.
func descriptors(want uint64) (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("bench: read the limit of open files: %w", err)
	}
	if lim.Max < want {
		raised := unix.Rlimit{Cur: want, Max: want}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			return want, nil
		}
	}
	return lim.Max, nil
}
