package gateway

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"lectern/netpoll"
	"lectern/protocol/forwarded"
)

// A connection whose header of the PROXY protocol has been read is not passed on: its successor would take the client's
// first bytes for the header. One that has said nothing is.
func TestWhatAProxyHasSaidStaysWithItsConnection(t *testing.T) {
	proxies, err := forwarded.ParseProxies([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, func(c *Config) { c.Proxies, c.ProxyProtocol = proxies, true })
	const header = "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n"
	for _, said := range []string{"", header, header[:9]} {
		c, err := net.Dial("tcp", s.net.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = fmt.Fprint(c, said)
	}
	heard := func() (n int) {
		seen := make(chan int, 1)
		s.net.Loops()[0].Post(resume{gone: func() {
			for _, d := range state(s.net.Loops()[0]).doors {
				if !d.waits || d.head != nil {
					n++
				}
			}
			seen <- s.net.Open()
		}})
		if <-seen < 3 {
			return 0
		}
		return n
	}
	for deadline := time.Now().Add(patience); heard() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the headers were not read")
		}
	}
	s.net.Forward(func(fd int) bool { return syscall.Close(fd) == nil })
	s.PassOn(t.Context())
	if n := s.net.Stats().Closed[netpoll.ReasonHandedOff]; n != 1 {
		t.Errorf("%d connections were passed on, not the silent one alone", n)
	}
}
