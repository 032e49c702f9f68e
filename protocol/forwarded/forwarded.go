// Package forwarded finds out who is behind a proxy: from X-Forwarded-For, or from the header of the PROXY protocol
// (versions 1 and 2, www.haproxy.org/download/1.8/doc/proxy-protocol.txt) at the start of a connection. Both can be
// written by anybody, so both count only where a proxy that is trusted has sent them. No I/O.
package forwarded

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies are the addresses whose word is taken for whom they speak for. The zero value trusts nobody.
type Proxies []netip.Prefix

// ParseProxies reads addresses and CIDR ranges, and names the first that is neither.
func ParseProxies(list []string) (Proxies, error) {
	var proxies Proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, fmt.Errorf("forwarded: %q is neither an address nor a range such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

// Contains says whether an address is a trusted proxy's. Any goroutine.
func (p Proxies) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Client is who a request comes from: the peer itself if it is no trusted proxy; otherwise the last address in the
// lines of X-Forwarded-For that is not a trusted proxy's, since everything before that one may be invented. A chain of
// trusted proxies alone gives its first. An entry that is no address ends the search with what was found so far.
func (p Proxies) Client(peer netip.Addr, lines []string) netip.Addr {
	client := peer.Unmap()
	for l := len(lines) - 1; l >= 0; l-- {
		rest := lines[l]
		for rest != "" {
			if !p.Contains(client) {
				return client
			}
			entry := rest
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, entry = rest[:at], rest[at+1:]
			} else {
				rest = ""
			}
			if entry = strings.Trim(entry, " \t"); entry == "" {
				continue // RFC 9110 section 5.6.1: empty elements of a list count for nothing
			}
			addr, ok := parseEntry(entry)
			if !ok {
				return client
			}
			client = addr
		}
	}
	return client
}

// parseEntry also takes the forms with a port that some proxies write.
func parseEntry(entry string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if both, err := netip.ParseAddrPort(entry); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil && addr.Is6() {
			return addr.Unmap().WithZone(""), true
		}
	}
	return netip.Addr{}, false
}
