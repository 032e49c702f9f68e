package clientjs

import (
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFilesHoldTheModulesOnly(t *testing.T) {
	entries, err := fs.ReadDir(Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Contains(names, "index.js") || !slices.Contains(names, "client.js") {
		t.Errorf("the entry is missing: %v", names)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".js") {
			t.Errorf("%s is no module", name)
		}
	}
}

// TestUnderNode runs the client's own tests.
func TestUnderNode(t *testing.T) {
	version, err := exec.Command("node", "--version").Output()
	if err != nil {
		t.Skip("node is not installed; the client's own tests need Node 20 or later")
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		t.Skipf("node is %s; the client's own tests need 20 or later", strings.TrimSpace(string(version)))
	}
	if out, err := exec.Command("node", "--test", "test/").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
