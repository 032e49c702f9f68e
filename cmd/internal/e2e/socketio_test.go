package e2e

import (
	"bufio"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// socketIOScript runs a script of socketio/, and shows which of its checks failed.
func socketIOScript(t *testing.T, s setup, name, base string, checksMin int, do map[string]func()) {
	t.Helper()
	var result struct {
		Checks int      `json:"checks"`
		Failed []string `json:"failed"`
	}
	script(t, s, "../socketio/"+name, map[string]any{"base": base}, &result, do)
	for i, failed := range result.Failed {
		if i == 20 {
			t.Errorf("and %d more", len(result.Failed)-i)
			break
		}
		t.Error(failed)
	}
	if t.Logf("%d checks", result.Checks); result.Checks < checksMin {
		t.Errorf("%d checks, there are at least %d", result.Checks, checksMin)
	}
}

// conformanceServer runs lectern conformance and gives its address.
func conformanceServer(t *testing.T, s setup) string {
	t.Helper()
	c := exec.Command(s.bin, "conformance", "--listen", "127.0.0.1:0")
	c.Env = clean()
	c.Stderr = &testLog{t: t}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := regexp.MustCompile(`(http://\S+?)/socket\.io/`).FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case base := <-found:
		return base
	case <-time.After(startTimeout):
		t.Fatal("lectern conformance does not say where it listens")
		return ""
	}
}

// The rules of both protocols, asked for packet by packet.
func TestSocketIOConformance(t *testing.T) {
	s := needServer(t)
	socketIOScript(t, s, "conformance.mjs", conformanceServer(t, s), 120, nil)
}

// The official clients against the same applications.
func TestSocketIOClients(t *testing.T) {
	s := needServer(t)
	socketIOScript(t, s, "clients.mjs", conformanceServer(t, s), 500, nil)
}

// socket.io-client against the product.
func TestSocketIOProduct(t *testing.T) {
	s := needServer(t)
	p := serve(t, s, t.TempDir())
	socketIOScript(t, s, "product.mjs", p.base, 100, map[string]func(){"kill": p.kill, "restart": p.start})
}

// The same through nginx, as deploy/nginx/ sets it up.
func TestSocketIOThroughNginx(t *testing.T) {
	s := needServer(t)
	p := serve(t, s, t.TempDir(), "LECTERN_TRUSTED_PROXIES=127.0.0.1")
	between := nginx(t, p.listen)
	socketIOScript(t, s, "product.mjs", "https://"+between.secure, 100,
		map[string]func(){"kill": p.kill, "restart": p.start})
}
