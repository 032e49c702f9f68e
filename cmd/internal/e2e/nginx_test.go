package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// proxy is a private nginx with deploy/nginx/lectern.conf, of which only names, ports and files are changed.
type proxy struct {
	plain, secure string // host:port
	roots         *x509.CertPool
	certificate   string // its file
}

func nginx(t *testing.T, upstream string) *proxy {
	t.Helper()
	bin := os.Getenv("LECTERN_NGINX")
	if bin == "" {
		path, err := exec.LookPath("nginx")
		if err != nil {
			t.Skip("there is no nginx: set LECTERN_NGINX (make e2e does, after fetching one)")
		}
		bin = path
	}
	dir := t.TempDir()
	p := &proxy{plain: freeAddress(t), secure: freeAddress(t)}
	p.writeConfig(t, dir, upstream)
	args := []string{"-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log")}
	if out, err := exec.Command(bin, append(args, "-t")...).CombinedOutput(); err != nil {
		t.Fatalf("nginx refuses deploy/nginx/lectern.conf: %v\n%s", err, out)
	}
	var said bytes.Buffer
	cmd := exec.Command(bin, append(args, "-g", "daemon off;")...)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("nginx: %s\n%s", &said, log)
		}
	})
	deadline := time.Now().Add(startTimeout)
	for {
		c, err := net.Dial("tcp", p.secure)
		if err == nil {
			_ = c.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v\n%s", err, &said)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (p *proxy) writeConfig(t *testing.T, dir, upstream string) {
	t.Helper()
	raw, err := os.ReadFile("../../../deploy/nginx/lectern.conf")
	if err != nil {
		t.Fatal(err)
	}
	p.writeCertificate(t, dir)
	text := string(raw)
	for old, with := range map[string]string{
		"listen 80;": "listen " + p.plain + ";", "listen 443 ssl;": "listen " + p.secure + " ssl;",
		"listen [::]:80;": "", "listen [::]:443 ssl;": "",
		"server_name quiz.example.org;": "server_name 127.0.0.1;", "server 127.0.0.1:8080": "server " + upstream,
		"/etc/ssl/lectern/fullchain.pem": filepath.Join(dir, "cert.pem"),
		"/etc/ssl/lectern/privkey.pem":   filepath.Join(dir, "key.pem"),
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("deploy/nginx/lectern.conf has no %q: mend this test with it", old)
		}
		text = strings.ReplaceAll(text, old, with)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // its own files are in a folder of root's
	}
	main := user + "worker_processes 2;\npid " + filepath.Join(dir, "nginx.pid") + ";\n" +
		"events { worker_connections 512; }\n" +
		"http {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	main += "include " + filepath.Join(dir, "lectern.conf") + ";\n}\n"
	for name, content := range map[string]string{"nginx.conf": main, "lectern.conf": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *proxy) writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.certificate = filepath.Join(dir, "cert.pem")
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.roots = x509.NewCertPool()
	p.roots.AddCert(parsed)
}

// dial connects to nginx over TLS from an address of this machine.
func (p *proxy) dial(from string) client.Dialer {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		d := tls.Dialer{
			NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}},
			Config:    &tls.Config{RootCAs: p.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12},
		}
		return d.DialContext(ctx, network, p.secure)
	}
}

func (p *proxy) http(t *testing.T, from string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialTLSContext: p.dial(from)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func fetch(t *testing.T, c *http.Client, url string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r
}

// TestBehindNginx: pages, API, addresses and the native protocol through the configuration that we ship.
func TestBehindNginx(t *testing.T) {
	s := need(t)
	server := serve(t, s, t.TempDir(), "LECTERN_TRUSTED_PROXIES=127.0.0.1", "LECTERN_CONNS_PER_ADDRESS_MAX=1",
		"LECTERN_JOINS_WRONG_PER_MINUTE=1")
	p := nginx(t, server.listen)
	base := "https://" + p.secure
	me := p.http(t, "127.0.0.2")

	r := fetch(t, p.http(t, "127.0.0.2"), "http://"+p.plain+"/join?pin=1")
	if r.StatusCode != http.StatusMovedPermanently ||
		r.Header.Get("Location") != "https://127.0.0.1/join?pin=1" {
		t.Errorf("over HTTP: %s to %s", r.Status, r.Header.Get("Location"))
	}
	page := fetch(t, me, base+"/")
	if cookie := page.Header.Get("Set-Cookie"); page.StatusCode != http.StatusOK || page.TLS.Version != tls.VersionTLS13 ||
		!regexp.MustCompile(`^lectern_node=[0-9a-f]{32}; .*HttpOnly.*Secure`).MatchString(cookie) ||
		page.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the page: %s, %v", page.Status, page.Header)
	}
	if r := fetch(t, me, base+"/", "Cookie", "lectern_node=x"); r.Header.Get("Set-Cookie") != "" {
		t.Error("a browser that has the cookie gets another one")
	}
	if r := fetch(t, me, base+"/api/v1/config"); r.Header.Get("Set-Cookie") != "" {
		t.Error("the API gives cookies")
	}

	// Each client has its own limit, and can't get another one by what it writes.
	wrong := base + "/api/v1/pins/000000"
	for i, c := range []struct {
		from, says string
		want       int
	}{
		{"127.0.0.2", "", 404},
		{"127.0.0.2", "", 429},
		{"127.0.0.2", "203.0.113.9", 429},
		{"127.0.0.3", "", 404},
	} {
		if r := fetch(t, p.http(t, c.from), wrong, "X-Forwarded-For", c.says); r.StatusCode != c.want {
			t.Errorf("%d: a wrong PIN from %s: %s, want %d", i, c.from, r.Status, c.want)
		}
	}
	p.talk(t)
}

// talk holds two clients of the SDK to a room, each from an address of its own.
func (p *proxy) talk(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	events := make(chan client.Event, 16)
	join := func(from, name string) *client.Client {
		c, err := client.New(client.Config{
			URL: "wss://" + p.secure + "/ws", Guest: name, Dial: p.dial(from), Event: func(e client.Event) { events <- e },
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
		if _, err := c.Join(ctx, "through-nginx", wire.JoinData{}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ada := join("127.0.0.4", "Ada")
	join("127.0.0.5", "Bob")
	data := wire.PublishData{Event: "note", Payload: json.RawMessage(`"hello"`), Key: "k"}
	if err := ada.Request(ctx, wire.OpRoomPublish, "through-nginx", data, nil); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < 2; {
		select {
		case e := <-events:
			if e.Name == "note" {
				got++
			}
		case <-ctx.Done():
			t.Fatalf("%d of 2 members got the event", got)
		}
	}
	// One connection for each address, and Ada has hers.
	conn, err := p.dial("127.0.0.4")(ctx, "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET /ws?guest=Eve HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", p.secure)
	status := make([]byte, len("HTTP/1.1 503"))
	if _, err := conn.Read(status); err != nil || string(status) != "HTTP/1.1 503" {
		t.Errorf("a second connection from Ada's address: %q, %v", status, err)
	}
}

// The whole quiz, with its lost lines and reloads, through nginx.
func TestWholeQuizThroughNginx(t *testing.T) {
	s := need(t)
	server := serve(t, s, t.TempDir(), "LECTERN_TRUSTED_PROXIES=127.0.0.1")
	p := nginx(t, server.listen)
	base := "https://" + p.secure
	var result struct {
		Players []standing `json:"players"`
		Host    []standing `json:"host"`
		Faults  []string   `json:"faults"`
	}
	host := strings.Replace(server.host, server.base, base, 1)
	script(t, s, "quiz.mjs", map[string]any{"base": base, "host": host, "pin": server.pin}, &result, nil)
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	replayed := server.replayed(server.room)
	if len(result.Players) != 2 {
		t.Fatalf("%+v", result)
	}
	for _, own := range result.Players {
		if named(result.Host, own.Name) != own || replayed[own.Name] != own {
			t.Errorf("%+v on the player's page, %+v on the host's, %+v in the log", own, result.Host, replayed[own.Name])
		}
	}
}

// The official clients of Socket.IO (polling, upgrades, lost connections, a killed server) and stompjs, through nginx.
func TestOtherClientsThroughNginx(t *testing.T) {
	s := needServer(t)
	server := serve(t, s, t.TempDir(), "LECTERN_TRUSTED_PROXIES=127.0.0.1")
	p := nginx(t, server.listen)
	t.Setenv("NODE_EXTRA_CA_CERTS", p.certificate)
	base := "https://" + p.secure
	kinds := []clientKind{socketIOPlayer("default"), socketIOPlayer("websocket"), socketIOPlayer("polling")}
	for _, kind := range clientKinds {
		if kind.name == "stompjs" {
			kinds = append(kinds, kind)
		}
	}
	playMixed(t, s, server, base, kinds)
	socketIOScript(t, s, "product.mjs", base, 100, map[string]func(){"kill": server.kill, "restart": server.start})
}
