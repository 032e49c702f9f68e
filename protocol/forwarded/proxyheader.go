package forwarded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Header is what the PROXY protocol says about a connection.
type Header struct {
	// Source is the client. It is invalid where the proxy speaks for itself (a health check) or does not know.
	Source netip.AddrPort
}

var (
	signature2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
	prefix1    = []byte("PROXY ")

	errNoHeader  = errors.New("forwarded: the connection does not begin with a header of the PROXY protocol")
	errMalformed = errors.New("forwarded: the header of the PROXY protocol is malformed")
)

const (
	line1BytesMax   = 107  // section 2.1, the final CRLF included
	header2Bytes    = 16   // signature, version and command, family, length
	header2BytesMax = 2048 // with addresses and what proxies add; they send a few hundred at most
)

// ParseHeader reads the header at the start of in. n is its length in bytes; zero without an error means that more must
// come first. in is borrowed and not changed.
func ParseHeader(in []byte) (h Header, n int, err error) {
	if begins(in, signature2) {
		return parse2(in)
	}
	if begins(in, prefix1) {
		return parse1(in)
	}
	return h, 0, errNoHeader
}

// begins is true as long as in may still turn out to begin with prefix.
func begins(in, prefix []byte) bool {
	n := min(len(in), len(prefix))
	return bytes.Equal(in[:n], prefix[:n])
}

// parse1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".
func parse1(in []byte) (h Header, n int, err error) {
	end := bytes.Index(in[:min(len(in), line1BytesMax)], []byte("\r\n"))
	if end < 0 {
		if len(in) >= line1BytesMax {
			return h, 0, errMalformed
		}
		return h, 0, nil
	}
	n = end + 2
	fields := strings.Split(string(in[len(prefix1):end]), " ")
	if fields[0] == "UNKNOWN" {
		return h, n, nil // the rest of the line is to be ignored
	}
	if len(fields) != 5 || fields[0] != "TCP4" && fields[0] != "TCP6" {
		return h, 0, errMalformed
	}
	source, errS := netip.ParseAddr(fields[1])
	target, errT := netip.ParseAddr(fields[2])
	port, errP := strconv.ParseUint(fields[3], 10, 16)
	_, errQ := strconv.ParseUint(fields[4], 10, 16)
	six := fields[0] == "TCP6"
	if errors.Join(errS, errT, errP, errQ) != nil || source.Is6() != six || target.Is6() != six || source.Zone() != "" {
		return h, 0, errMalformed
	}
	h.Source = netip.AddrPortFrom(source.Unmap(), uint16(port))
	return h, n, nil
}

// parse2 reads the binary form (section 2.2).
func parse2(in []byte) (h Header, n int, err error) {
	if len(in) < header2Bytes {
		return h, 0, nil
	}
	version, command := in[12]>>4, in[12]&0x0f
	body := int(binary.BigEndian.Uint16(in[14:]))
	n = header2Bytes + body
	if version != 2 || command > 1 || n > header2BytesMax {
		return h, 0, errMalformed
	}
	if len(in) < n {
		return h, 0, nil
	}
	if command == 0 { // LOCAL: the proxy speaks for itself
		return h, n, nil
	}
	addresses := in[header2Bytes:n]
	switch in[13] {
	case 0x11: // TCP over IPv4
		if body < 12 {
			return h, 0, errMalformed
		}
		source := netip.AddrFrom4([4]byte(addresses[:4]))
		h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(addresses[8:]))
	case 0x21: // TCP over IPv6
		if body < 36 {
			return h, 0, errMalformed
		}
		source := netip.AddrFrom16([16]byte(addresses[:16]))
		h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(addresses[32:]))
	}
	return h, n, nil // other families: the address is not known
}
