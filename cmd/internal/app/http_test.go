package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
)

func TestUpgradesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, noDev, func(c *config.Config) { c.Origins = []string{"https://school.example"} })
	host := "Host: " + s.Addr().String() + "\r\n"
	request := func(text string) *http.Response {
		c := s.raw()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%.80q: %v", text, err)
		}
		return r
	}
	const accepted = http.StatusSwitchingProtocols
	upgrade := "GET /ws HTTP/1.1\r\n" + host
	for name, tt := range map[string]struct {
		text   string
		status int
	}{
		"old version":    {upgrade + strings.Replace(plainHandshake, "13", "8", 1) + "\r\n", http.StatusUpgradeRequired},
		"bad key":        {upgrade + strings.Replace(plainHandshake, "dGhl", "", 1) + "\r\n", http.StatusBadRequest},
		"post":           {strings.Replace(upgrade, "GET", "POST", 1) + plainHandshake + "\r\n", http.StatusMethodNotAllowed},
		"wrong path":     {strings.Replace(upgrade, "/ws", "/wss", 1) + plainHandshake + "\r\n", http.StatusNotFound},
		"foreign origin": {upgrade + plainHandshake + "Origin: https://evil.example\r\n\r\n", http.StatusForbidden},
		"null origin":    {upgrade + plainHandshake + "Origin: null\r\n\r\n", http.StatusForbidden},
		"own origin":     {upgrade + plainHandshake + "Origin: http://" + s.Addr().String() + "\r\n\r\n", accepted},
		"listed origin":  {upgrade + plainHandshake + "Origin: https://school.example\r\n\r\n", accepted},
		"no origin":      {upgrade + plainHandshake + "\r\n", accepted},
		"no host":        {"GET /ws HTTP/1.1\r\n" + plainHandshake + "\r\n", http.StatusBadRequest},
		"two hosts":      {upgrade + host + plainHandshake + "\r\n", http.StatusBadRequest},
		"not HTTP":       {"HELO there\r\n\r\n", http.StatusBadRequest},
		"huge head":      {upgrade + "X: " + strings.Repeat("x", 200<<10), http.StatusRequestHeaderFieldsTooLarge},
	} {
		if r := request(tt.text); r.StatusCode != tt.status {
			body, _ := io.ReadAll(r.Body)
			t.Errorf("%s: %s %s, want %d", name, r.Status, body, tt.status)
		}
	}
	dev := start(t)
	if c := dev.handshake("/ws?guest=A", "Origin: https://evil.example"); c.head.StatusCode != accepted {
		t.Errorf("--dev allows every origin, but: %s", c.head.Status)
	}
}

// Requests on one connection that net/http has taken over: one after another, and sent all at once.
func TestKeepAliveAndPipelining(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.raw()
	br := bufio.NewReader(c)
	get := "GET /api/v1/config HTTP/1.1\r\nHost: " + s.Addr().String() + "\r\n\r\n"
	read := func() {
		t.Helper()
		r, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"dev":true`)) {
			t.Fatalf("%s %s %v", r.Status, body, err)
		}
	}
	for range 3 {
		if _, err := io.WriteString(c, get); err != nil {
			t.Fatal(err)
		}
		read()
	}
	if _, err := io.WriteString(c, strings.Repeat(get, 5)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		read()
	}
	fresh := s.raw() // pipelined from the first byte, cut in the middle of a head
	br = bufio.NewReader(fresh)
	all := strings.Repeat(get, 3)
	for _, part := range []string{all[:7], all[7:100], all[100:]} {
		if _, err := io.WriteString(fresh, part); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		read()
	}
}

func TestBigBodiesReachTheApi(t *testing.T) {
	t.Parallel()
	s := start(t)
	var gift strings.Builder
	for i := range 400 {
		fmt.Fprintf(&gift, "// %s\n::Q%d:: What is %d + 1? {=%d ~%d ~0}\n\n", strings.Repeat("x", 4000), i, i, i+1, i+2)
	}
	post := func(size int) (int, string) {
		body := gift.String()
		if size > 0 {
			body = strings.Repeat("x", size)
		}
		req, err := http.NewRequest(http.MethodPost, s.base+"/api/v1/import?filename=big.gift", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Authorization", "Bearer "+s.token("host", wire.RoleHost, ""))
		r, err := s.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		reply, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(reply)
	}
	if status, reply := post(0); status != http.StatusOK || !strings.Contains(reply, `"good":400`) {
		t.Errorf("%d bytes: %d …%s", gift.Len(), status, reply[max(0, len(reply)-300):])
	}
	if status, reply := post(21 << 20); status != http.StatusRequestEntityTooLarge {
		t.Errorf("21 MiB: %d %.300s", status, reply)
	}
}

// client is an HTTP client whose connections end with the test.
func (s *server) client() *http.Client {
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestAdminPort(t *testing.T) {
	t.Parallel()
	s := start(t, onDisk(t.TempDir()))
	s.dial("/ws?guest=Ada").join("r", wire.JoinData{})
	get := func(path string) (int, string) {
		r, err := s.client().Get("http://" + s.AdminAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/"} {
		if status, body := get(path); status != http.StatusOK || body == "" {
			t.Errorf("%s: %d", path, status)
		}
	}
	status, metrics := get("/metrics")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	for _, line := range strings.Split(metrics, "\n") {
		name, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(name, "lectern_") && strings.Contains(name, "guest") {
			t.Errorf("a metric names a user: %s", line)
		}
	}
	for _, want := range []string{"lectern_", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no metric %s", want)
		}
	}
	if status, _ := get("/nothing"); status != http.StatusNotFound {
		t.Errorf("unknown path: %d", status)
	}
}

func TestPagesAreServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/", "/join", "/play", "/host", "/screen", "/receipt"} {
		r, err := s.client().Get(s.base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src") {
			t.Errorf("%s: %s, policy %q", path, r.Status, r.Header.Get("Content-Security-Policy"))
		}
	}
	r, err := s.client().Get(s.base + "/no/such/page")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown page: %s", r.Status)
	}
}
