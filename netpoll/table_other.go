//go:build !linux

package netpoll

import (
	"errors"
	"net"

	"github.com/panjf2000/gnet/v2"
)

// hatch is where descriptors leave a loop that has a table of its own, which only Linux can give it.
type hatch struct{}

func (h *hatch) open() error                               { return errors.ErrUnsupported }
func (h *hatch) shut()                                     {}
func (h *hatch) passOut(int) (net.Conn, error)             { return nil, errors.ErrUnsupported }
func (d *gnetLoop) ownDescriptors(early []gnet.Conn) error { return errors.ErrUnsupported }
