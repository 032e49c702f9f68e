package netpoll_test

import (
	"net"
	"strconv"
	"testing"

	"lectern/netpoll"
)

// TestEveryAddressFamily: a server told to listen everywhere is reached by IPv4 as well as IPv6. Given "[::]:port",
// gnet listens for IPv6 alone.
func TestEveryAddressFamily(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		s := serve(t, netpoll.Config{Addr: addr}, &script{})
		port := strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
		hosts := []string{"127.0.0.1"}
		if l, err := net.Listen("tcp", "[::1]:0"); err == nil { // a machine without IPv6 has nothing to test there
			_ = l.Close()
			hosts = append(hosts, "::1")
		}
		for _, host := range hosts {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Errorf("listening on %s, dialling %s: %v", addr, host, err)
				continue
			}
			_ = c.Close()
		}
	}
}
