package generate

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lectern/protocol/wire"
)

var update = flag.Bool("update", false, "write the published files anew")

const publishedDir = "../published"

// TestPublishedIsWhatTheTypesSay: the files change only when somebody means it.
func TestPublishedIsWhatTheTypesSay(t *testing.T) {
	files, err := Files(os.DirFS("../../wire"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll(publishedDir); err != nil {
			t.Fatal(err)
		}
		for name, content := range files {
			path := filepath.Join(publishedDir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	const advice = "if that is meant: go test ./protocol/schema/generate -update, and read the difference"
	there := os.DirFS(publishedDir)
	for name, want := range files {
		got, err := fs.ReadFile(there, name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types say (%v); %s", name, err, advice)
		}
	}
	err = fs.WalkDir(there, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && files[name] == nil {
			t.Errorf("%s is published, but no type stands behind it; %s", name, advice)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryInputHasARule: a new text or number of a request gets its limits here, or an empty rule on purpose.
func TestEveryInputHasARule(t *testing.T) {
	b := newBuilder(comments{}, "")
	known := map[string]bool{}
	for in := range b.inputs {
		for i := range in.NumField() {
			f := in.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			name = in.Name() + "." + name
			if strings.HasSuffix(name, ".-") {
				continue
			}
			known[name] = true
			kind := f.Type.Kind()
			for kind == reflect.Pointer {
				kind = f.Type.Elem().Kind()
			}
			if _, there := rules[name]; !there && kind != reflect.Bool && kind != reflect.Struct && in != createType &&
				(kind != reflect.Slice || f.Type.Elem().Kind() != reflect.Struct) {
				t.Errorf("%s has no rule", name)
			}
		}
	}
	for name := range rules {
		if !known[name] {
			t.Errorf("there is a rule for %s, which is no member of a request", name)
		}
	}
}

// TestCatalogIsComplete: every op and every event name is described once.
func TestCatalogIsComplete(t *testing.T) {
	seen := map[wire.Op]bool{}
	for i, op := range wire.Ops() {
		if int(op.Op) != i+1 || seen[op.Op] || op.Summary == "" {
			t.Errorf("%v stands twice, out of order, or without a summary", op.Op)
		}
		seen[op.Op] = true
	}
	if len(seen) != wire.OpCount-1 {
		t.Errorf("%d of %d ops are described: add the missing ones to wire.Ops", len(seen), wire.OpCount-1)
	}
	source, err := os.ReadFile("../../wire/ops.go")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{wire.EvRoomClosed: true} // reserved, never sent
	for _, ev := range wire.Events() {
		described[ev.Name] = true
	}
	_, list, _ := strings.Cut(string(source), "// Event names that the server sends.")
	for line := range strings.Lines(list) {
		if name, rest, ok := strings.Cut(line, `= "`); ok && strings.Contains(name, "Ev") {
			if event, _, _ := strings.Cut(rest, `"`); !described[event] {
				t.Errorf("the event %s is not described: add it to wire.Events", event)
			}
		}
	}
}
