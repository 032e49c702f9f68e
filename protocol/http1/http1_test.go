package http1

import (
	"bufio"
	"encoding/json"
	"errors"
	"math/rand"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
)

const handshake = "GET /ws?guest=Ada%20L&x=1 HTTP/1.1\r\nHost: lectern.example:8080\r\nUpgrade: WebSocket\r\n" +
	"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: lectern.v1, bearer.abc\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

func TestParseHandshake(t *testing.T) {
	req, n, err := Parse([]byte(handshake+"rest"), Limits{})
	if err != nil || n != len(handshake) {
		t.Fatalf("got %d, %v", n, err)
	}
	if req.Method != "GET" || req.Path != "/ws" || req.Query != "guest=Ada%20L&x=1" || req.Host != "lectern.example:8080" {
		t.Errorf("got %+v", req)
	}
	if v, ok := req.QueryValue("guest"); !ok || v != "Ada L" {
		t.Errorf("guest is %q, %v", v, ok)
	}
	if _, ok := req.QueryValue("nobody"); ok || req.QueryGet("nobody") != "" {
		t.Error("a parameter that is not there was found")
	}
	up, fail := CheckUpgrade(req)
	if fail != nil {
		t.Fatal(fail)
	}
	if !reflect.DeepEqual(up.Subprotocols, []string{"lectern.v1", "bearer.abc"}) || len(up.Extensions) != 1 {
		t.Errorf("got %+v", up)
	}
	resp := AppendSwitching(nil, up.Key, "lectern.v1", "permessage-deflate")
	got, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(resp))), nil)
	if err != nil || got.StatusCode != 101 {
		t.Fatalf("net/http reads %v, %v", got, err)
	}
	// The example of RFC 6455 section 1.3.
	if a := got.Header.Get("Sec-WebSocket-Accept"); a != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept is %q", a)
	}
	if got.Header.Get("Sec-WebSocket-Protocol") != "lectern.v1" || got.Header.Get("Sec-WebSocket-Extensions") == "" {
		t.Errorf("got %v", got.Header)
	}
}

func TestParseNeedsTheWholeHead(t *testing.T) {
	for i := range len(handshake) {
		if req, n, err := Parse([]byte(handshake[:i]), Limits{}); req != nil || n != 0 || err != nil {
			t.Fatalf("after %d bytes: %v, %d, %v", i, req, n, err)
		}
	}
}

func status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestParseRefuses(t *testing.T) {
	head := func(lines ...string) string {
		return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	for name, c := range map[string]struct {
		in   string
		want int
	}{
		"tls":                       {"\x16\x03\x01\x02\x00", 400},
		"leading space":             {" GET", 400},
		"bare lf":                   {"GET / HTTP/1.1\nHost: a\n\n", 400},
		"bare cr in a value":        {head("A: b\rc"), 400},
		"two empty lines first":     {"\r\n\r\nGET / HTTP/1.1\r\n", 400},
		"obs-fold":                  {head("A: b", " c"), 400},
		"tab fold":                  {head("A: b", "\tc"), 400},
		"fold in the first header":  {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		"space before colon":        {head("A : b"), 400},
		"empty name":                {head(": b"), 400},
		"no colon":                  {head("A"), 400},
		"nul in a value":            {head("A: \x00"), 400},
		"no host":                   {"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
		"no headers":                {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                 {head("host: b"), 400},
		"bad host":                  {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"host with user":            {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
		"two lengths":               {head("Content-Length: 1", "Content-Length: 1"), 400},
		"length list":               {head("Content-Length: 1, 1"), 400},
		"signed length":             {head("Content-Length: +1"), 400},
		"length and encoding":       {head("Content-Length: 1", "Transfer-Encoding: chunked"), 400},
		"encoding in 1.0":           {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"http/2":                    {"PRI * HTTP/2.0\r\n\r\n", 505},
		"http/0.9":                  {"GET /\r\n\r\n", 400},
		"version":                   {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
		"lower-case version":        {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
		"two spaces":                {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"method":                    {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"target with a fragment":    {"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"target with a high byte":   {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"relative target":           {"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"asterisk of get":           {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"absolute target, no host":  {"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"absolute target, user":     {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"absolute target, scheme":   {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"too many headers":          {head(strings.Split(strings.Repeat("A: b,", 64)+"A: b", ",")...), 431},
		"too long":                  {head("A: " + strings.Repeat("b", DefaultHeadBytesMax)), 431},
		"too long without line end": {"GET /" + strings.Repeat("b", DefaultHeadBytesMax), 431},
	} {
		if _, _, err := Parse([]byte(c.in), Limits{}); status(err) != c.want {
			t.Errorf("%s: got %v, want %d", name, err, c.want)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for in, want := range map[string]Request{
		"GET http://b:80/p?q HTTP/1.1\r\nHost:\r\n\r\n":                             {Path: "/p", Query: "q", Host: "b:80"},
		"GET ws://b?q HTTP/1.1\r\nHost: a\r\n\r\n":                                  {Path: "/", Query: "q", Host: "b"},
		"GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n":                                  {Path: "/", Host: "b"},
		"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n":                                       {Path: "*"},
		"CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n":                                 {Host: "b:443"},
		"\r\nGET /?b?c HTTP/1.1\r\nHost: [::1]\r\n\r\n":                             {Path: "/", Query: "b?c", Host: "[::1]"},
		"GET / HTTP/1.0\r\n\r\n":                                                    {Path: "/"},
		"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nX: \xe9 \t\r\n\r\n": {Path: "/a", Host: "a"},
	} {
		req, n, err := Parse([]byte(in), Limits{})
		if err != nil || n != len(in) || req.Path != want.Path || req.Query != want.Query || req.Host != want.Host {
			t.Errorf("%q: got %+v, %d, %v", in, req, n, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := Headers{{"Accept", "a"}, {"CONNECTION", "x , Upgrade,"}, {"connection", "y"}}
	if h.Get("accept") != "a" || h.Get("none") != "" || h.Count("Connection") != 2 || h.Values("none") != nil {
		t.Error("lookups")
	}
	if !h.HasToken("Connection", "upgrade") || !h.HasToken("Connection", "Y") || h.HasToken("Connection", "up") {
		t.Error("tokens")
	}
	if got := h.Tokens("connection"); !reflect.DeepEqual(got, []string{"x", "Upgrade", "y"}) {
		t.Errorf("got %v", got)
	}
}

func TestCheckUpgradeRefuses(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(handshake, from, to, 1) }
	for name, c := range map[string]struct {
		in   string
		want int
	}{
		"post":            {change("GET", "POST"), 405},
		"http/1.0":        {change("HTTP/1.1", "HTTP/1.0"), 400},
		"no connection":   {change("keep-alive, Upgrade", "keep-alive"), 400},
		"no upgrade":      {change("Upgrade: WebSocket", "Upgrade: h2c"), 426},
		"version 8":       {change("Version: 13", "Version: 8"), 426},
		"no version":      {change("Sec-WebSocket-Version: 13\r\n", ""), 426},
		"two versions":    {change("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"), 426},
		"no key":          {change("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400},
		"two keys":        {change("Sec-WebSocket-Key", "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key"), 400},
		"short key":       {change("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400},
		"17 bytes of key": {change("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTE="), 400},
		"key not base64":  {change("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25!ZQ=="), 400},
		"subprotocol":     {change("bearer.abc", "bearer abc"), 400},
		"body":            {change("Upgrade: WebSocket", "Upgrade: WebSocket\r\nContent-Length: 5"), 400},
		"chunked":         {change("Upgrade: WebSocket", "Upgrade: WebSocket\r\nTransfer-Encoding: chunked"), 400},
	} {
		req, _, err := Parse([]byte(c.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, fail := CheckUpgrade(req)
		if fail == nil || fail.Status != c.want {
			t.Errorf("%s: got %v, want %d", name, fail, c.want)
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(AppendError(nil, fail)))), nil)
		if err != nil || resp.StatusCode != c.want {
			t.Errorf("%s: net/http reads %v, %v", name, resp, err)
		} else if c.want == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s: the version is not named", name)
		}
	}
	req, _, _ := Parse([]byte(change("Upgrade: WebSocket", "Upgrade: WebSocket\r\nContent-Length: 0")), Limits{})
	if _, fail := CheckUpgrade(req); fail != nil {
		t.Errorf("an empty body is refused: %v", fail)
	}
}

func TestAppendResponseKeepsLinesApart(t *testing.T) {
	got := string(AppendResponse(nil, 429, Headers{{"Retry-After", "1"}, {"X", "a\r\nY: b"}, {"Z:", "c"}}, []byte("no")))
	want := "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
	if got != want {
		t.Errorf("got %q", got)
	}
}

// TestSmuggledTransferEncoding puts each known disguise of Transfer-Encoding into a handshake: it must be refused,
// or the header must be an ordinary one whose name could be taken for Transfer-Encoding by nobody.
func TestSmuggledTransferEncoding(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/http/smuggling-te.json")
	if err != nil {
		t.Skip("the collection of disguises is not here: ", err)
	}
	var gadgets []struct {
		Set, Name string
		Lines     string `json:"header_lines"`
	}
	if err := json.Unmarshal(data, &gadgets); err != nil || len(gadgets) == 0 {
		t.Fatal("no disguises: ", err)
	}
	accepted := 0
	for _, g := range gadgets {
		// Characters of the file stand for bytes.
		var raw []byte
		for _, r := range g.Lines {
			raw = append(raw, byte(r))
		}
		for _, at := range []string{"Upgrade: WebSocket\r\n", "Version: 13\r\n"} {
			in := strings.Replace(handshake, at, at+string(raw)+"\r\n", 1)
			req, _, err := Parse([]byte(in), Limits{})
			if err != nil {
				continue
			}
			if _, fail := CheckUpgrade(req); fail != nil {
				continue
			}
			accepted++
			for _, h := range req.Headers {
				name := strings.ToLower(h.Name)
				if strings.Contains(name, "transfer") && strings.Contains(name, "encoding") {
					t.Errorf("%s %q is accepted", g.Name, raw)
				}
				if strings.ContainsAny(h.Value, "\r\n\x00") {
					t.Errorf("%s: %q is accepted", g.Name, h.Value)
				}
			}
		}
	}
	t.Logf("%d of %d placements are harmless and accepted", accepted, 2*len(gadgets))
}

// scanSplit finds the end of the head in pieces.
func scanSplit(in []byte, rng *rand.Rand, limits Limits) (int, *Error) {
	for from, to := 0, 0; to < len(in); from = to {
		to = min(len(in), to+1+rng.Intn(20))
		if end, err := Scan(in[:to], from, limits); end > 0 || err != nil {
			return end, err
		}
	}
	return 0, nil
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(handshake), int64(1))
	f.Add([]byte("\r\nGET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n"), int64(2))
	f.Add([]byte("\r\n\r\n"), int64(2))
	f.Add([]byte("GET / HTTP/1.1\nHost: a\r\n\r\n"), int64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed int64) {
		limits := Limits{HeadBytesMax: 512}
		end, fail := Scan(in, 0, limits)
		gotEnd, gotFail := scanSplit(in, rand.New(rand.NewSource(seed)), limits)
		if gotEnd != end || (gotFail == nil) != (fail == nil) {
			t.Fatalf("cut: %d, %v; whole: %d, %v", gotEnd, gotFail, end, fail)
		}
		req, n, err := Parse(in, limits)
		if err != nil || req == nil {
			return
		}
		if n != end {
			t.Fatalf("Parse takes %d bytes, Scan %d", n, end)
		}
		// What is accepted here, net/http must read the same way.
		std, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimPrefix(string(in[:n]), "\r\n"))))
		if err != nil {
			return // it may be stricter
		}
		if std.Method != req.Method || std.RequestURI != req.Target {
			t.Fatalf("net/http reads %q %q, we %q %q", std.Method, std.RequestURI, req.Method, req.Target)
		}
		if (len(std.TransferEncoding) > 0) != (req.Headers.Count("Transfer-Encoding") > 0) {
			t.Fatalf("net/http sees transfer encoding %q", std.TransferEncoding)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	in := []byte(handshake)
	for b.Loop() {
		req, _, err := Parse(in, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if _, fail := CheckUpgrade(req); fail != nil {
			b.Fatal(fail)
		}
	}
}
