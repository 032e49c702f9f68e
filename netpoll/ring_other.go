//go:build !linux

package netpoll

import "errors"

type wide struct{}

func (*gnetLoop) openWide() error { return errors.New("io_uring is Linux's") }

func (*gnetLoop) closeWide() {}

// SendWide implements WideSender; without a ring nobody calls it.
func (*gnetLoop) SendWide([]Sending) WideResult { return WideUnavailable }
