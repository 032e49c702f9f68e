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
	// generatorSpare are those of a generator.
	generatorSpare = 128
	// perGenerator is how many connections one generator has where the limit allows more: beyond it, a second thread is
	// worth more than the memory that a second process costs.
	perGenerator = 25_000
)

// split is how many connections each generator has; the first is the host's.
func split(conns, generators int, limit uint64) ([]int, error) {
	if need := serverDescriptors(conns); limit < need {
		return nil, fmt.Errorf("%w: a server with %d connections needs %d and a process may have %d here. "+
			"Use --conns %d or less, raise the limit (ulimit -Hn, LimitNOFILE= in a systemd unit), "+
			"or boot a guest kernel (make capacity)",
			ErrDescriptors, conns, need, limit, fitting(limit))
	}
	most := min(int(limit-generatorSpare), perGenerator)
	if generators == 0 {
		generators = max((conns+most-1)/most, min(2, conns))
	}
	if each := (conns + generators - 1) / generators; uint64(each)+generatorSpare > limit || generators > conns {
		return nil, fmt.Errorf("%w: %d generators can't have %d connections with %d open files each", ErrDescriptors,
			generators, conns, limit)
	}
	shares := make([]int, generators)
	for i := range shares {
		shares[i] = conns*(i+1)/generators - conns*i/generators
	}
	return shares, nil
}

// connsMax is the server's cap on connections with which it takes in so many members and their host.
func connsMax(conns int) int { return conns + conns/(lateShare-1) + 2 }

// fitting is the largest number of members for whose server so many descriptors are enough.
func fitting(limit uint64) int { return max((int(limit)-serverSpare-2)*(lateShare-1)/lateShare, 0) }

func serverDescriptors(conns int) uint64 { return uint64(connsMax(conns)) + serverSpare }

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
