package forwarded

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func proxies(t testing.TB, list ...string) Proxies {
	t.Helper()
	p, err := ParseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClient(t *testing.T) {
	p := proxies(t, "10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7", "::ffff:198.51.100.0/120")
	for _, c := range []struct {
		peer  string
		lines []string
		want  string
	}{
		{"203.0.113.5", []string{"1.2.3.4"}, "203.0.113.5"}, // an untrusted peer's word counts for nothing
		{"10.1.1.1", nil, "10.1.1.1"},
		{"10.1.1.1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"::ffff:10.1.1.1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"198.51.100.9", []string{"1.2.3.4"}, "1.2.3.4"},
		{"10.1.1.1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"}, // the left one came from the client
		{"10.1.1.1", []string{"6.6.6.6, 1.2.3.4, 10.2.2.2"}, "1.2.3.4"},
		{"10.1.1.1", []string{"6.6.6.6", "1.2.3.4", "192.0.2.7"}, "1.2.3.4"},
		{"10.1.1.1", []string{"10.3.3.3,10.2.2.2"}, "10.3.3.3"},
		{"10.1.1.1", []string{"6.6.6.6, unknown, 10.2.2.2"}, "10.2.2.2"},
		{"10.1.1.1", []string{", 1.2.3.4 , ,"}, "1.2.3.4"},
		{"10.1.1.1", []string{""}, "10.1.1.1"},
		{"10.1.1.1", []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{"2001:db8:1::9", []string{"[2001:db8::5]:443"}, "2001:db8::5"},
		{"2001:db8:1::9", []string{"[2001:db8::5]"}, "2001:db8::5"},
		{"2001:db8:1::9", []string{"fe80::1%eth0"}, "fe80::1"},
		{"192.0.2.8", []string{"1.2.3.4"}, "192.0.2.8"},
	} {
		if got := p.Client(netip.MustParseAddr(c.peer), c.lines); got.String() != c.want {
			t.Errorf("%s with %q: got %s, want %s", c.peer, c.lines, got, c.want)
		}
	}
}

func TestProxiesThatAreNone(t *testing.T) {
	for _, text := range []string{"nginx", "10.0.0.0/33", "", "1.2.3"} {
		if _, err := ParseProxies([]string{text}); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// header2 is a header of version 2.
func header2(command, family byte, addresses []byte) string {
	h := append(bytes.Clone(signature2), 0x20|command, family)
	return string(append(binary.BigEndian.AppendUint16(h, uint16(len(addresses))), addresses...))
}

var (
	v4 = []byte{192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 80}
	v6 = append(append(append([]byte{0x20, 1, 0xd, 0xb8, 15: 1}, make([]byte, 16)...), 0x12, 0x34), 0, 80)
)

var headerCases = []struct {
	in, want string // "": no address is known
	bad      bool
}{
	{"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", "192.0.2.1:4660", false},
	{"PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n", "[2001:db8::1]:4660", false},
	{"PROXY UNKNOWN\r\n", "", false},
	{"PROXY UNKNOWN ffff::1 what ever\r\n", "", false},
	{header2(1, 0x11, v4), "192.0.2.1:4660", false},
	{header2(1, 0x21, v6), "[2001:db8::1]:4660", false},
	{header2(1, 0x11, append(v4[:12:12], 4, 0, 1, 0)), "192.0.2.1:4660", false}, // more behind the addresses
	{header2(0, 0, nil), "", false},
	{header2(1, 0x31, make([]byte, 216)), "", false}, // a Unix socket
	{"GET / HTTP/1.1\r\n\r\n", "", true},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 4660\r\n", "", true},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 4660 65536\r\n", "", true},
	{"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n", "", true},
	{"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "", true},
	{"PROXY " + strings.Repeat("x", 200), "", true},
	{header2(2, 0x11, v4), "", true},
	{header2(1, 0x11, v4[:11]), "", true},
	{header2(1, 0x21, v6[:35]), "", true},
	{header2(1, 0x11, make([]byte, 3000)), "", true},
	{strings.Replace(header2(1, 0x11, v4), "QUIT\n!", "QUIT\n1", 1), "", true},
}

// TestHeader cuts every header in every place: what is not whole yet asks for more, and never decides otherwise.
func TestHeader(t *testing.T) {
	for _, c := range headerCases {
		h, n, err := ParseHeader([]byte(c.in + "GET"))
		got := ""
		if h.Source.IsValid() {
			got = h.Source.String()
		}
		if (err != nil) != c.bad || got != c.want || !c.bad && n != len(c.in) {
			t.Errorf("%q: got %q, %d bytes, %v", c.in, got, n, err)
		}
		for cut := range len(c.in) {
			if _, n, err := ParseHeader([]byte(c.in[:cut])); n != 0 || err != nil && !c.bad {
				t.Errorf("%q cut at %d: %d bytes, %v", c.in, cut, n, err)
			}
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, c := range headerCases {
		f.Add([]byte(c.in), 5)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		h, n, err := ParseHeader(in)
		if n < 0 || n > len(in) || err != nil && (n != 0 || h.Source.IsValid()) {
			t.Fatalf("%+v, %d, %v", h, n, err)
		}
		if cut < 0 || cut > len(in) {
			return
		}
		early, m, earlyErr := ParseHeader(in[:cut])
		switch { // the beginning must not be judged otherwise than the whole
		case m > 0 && (m != n || early != h), earlyErr != nil && err == nil:
			t.Fatalf("%d of %d bytes: %+v %d %v, all: %+v %d %v", cut, len(in), early, m, earlyErr, h, n, err)
		}
	})
}

func FuzzClient(f *testing.F) {
	f.Add("10.1.1.1", "6.6.6.6, 1.2.3.4")
	p := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, peer, line string) {
		addr, err := netip.ParseAddr(peer)
		if err != nil {
			return
		}
		got := p.Client(addr, []string{line})
		if !got.IsValid() || !p.Contains(addr) && got != addr.Unmap() {
			t.Fatalf("%s with %q: %s", peer, line, got)
		}
		// Whoever stands before the first stranger from the right can't change the outcome.
		if !p.Contains(got) && p.Client(addr, []string{"6.6.6.6, " + line}) != got {
			t.Fatalf("%s with %q depends on what the client wrote", peer, line)
		}
	})
}
