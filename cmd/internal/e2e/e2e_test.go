package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// setup is what every test here needs; it skips with the reason where something is missing.
type setup struct {
	bin, modules, chromium, spring, python string
}

var build struct {
	once sync.Once
	path string
	err  error
}

// need is needServer with a browser.
func need(t *testing.T) setup {
	t.Helper()
	s := needServer(t)
	s.chromium = os.Getenv("LECTERN_CHROMIUM")
	if s.chromium == "" {
		path, err := exec.LookPath("chromium")
		if err != nil {
			t.Fatal("there is no chromium on the PATH; name one with LECTERN_CHROMIUM")
		}
		s.chromium = path
	}
	return s
}

func needServer(t *testing.T) setup {
	t.Helper()
	if os.Getenv("LECTERN_E2E") != "1" {
		t.Skip("drives browsers and other clients: set LECTERN_E2E=1 (make e2e does)")
	}
	s := setup{
		bin: os.Getenv("LECTERN_BIN"), modules: os.Getenv("LECTERN_NODE_MODULES"), spring: os.Getenv("LECTERN_SPRING"),
		python: os.Getenv("LECTERN_PYTHON"),
	}
	if s.modules == "" {
		t.Fatal("LECTERN_NODE_MODULES must name a node_modules directory with playwright-core and stompjs")
	}
	if s.bin == "" {
		build.once.Do(func() {
			dir, err := os.MkdirTemp("", "lectern-e2e") //nolint:usetesting // shared by all tests of the run
			if err != nil {
				build.err = err
				return
			}
			build.path = filepath.Join(dir, "lectern")
			c := exec.Command("go", "build", "-o", build.path, "lectern/cmd/lectern")
			c.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := c.CombinedOutput(); err != nil {
				build.err = fmt.Errorf("%w: %s", err, out)
			}
		})
		if build.err != nil {
			t.Fatal(build.err)
		}
		s.bin = build.path
	}
	return s
}

// clean is the environment without our own variables, which the server would take for misspelt settings.
func clean(extra ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LECTERN_") {
			env = append(env, e)
		}
	}
	return append(env, extra...)
}

// process is a running server.
type process struct {
	t      *testing.T
	s      setup
	dir    string
	listen string
	extra  []string
	cmd    *exec.Cmd
	logs   *bytes.Buffer
	exited chan struct{}

	base, host, pin, room string // as printed
}

const startTimeout = 30 * time.Second

// serve starts the binary with a store in dir and waits for what it prints.
func serve(t *testing.T, s setup, dir string, extra ...string) *process {
	t.Helper()
	p := &process{t: t, s: s, dir: dir, listen: "127.0.0.1:0", extra: extra}
	p.start()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.logs)
		}
	})
	return p
}

func (p *process) store() string { return "sqlite:" + filepath.Join(p.dir, "lectern.db") }

func (p *process) start() {
	p.t.Helper()
	p.logs, p.exited = new(bytes.Buffer), make(chan struct{})
	p.cmd = exec.Command(p.s.bin, "serve", "--dev", "--listen", p.listen, "--admin", "127.0.0.1:0", "--store", p.store())
	p.cmd.Env = clean(append([]string{"LECTERN_DRAIN=0s", "LECTERN_QUIZ_LEAD=500ms"}, p.extra...)...)
	p.cmd.Stderr = p.logs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	printed := make(chan string, 1)
	go func() {
		var text strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			text.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "play it") {
				printed <- text.String()
			}
		}
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	select {
	case text := <-printed:
		p.base = find(p.t, text, `pages\s+(http://\S+?)/\n`)
		p.host = find(p.t, text, `host it\s+(\S+)`)
		p.pin = find(p.t, text, `PIN (\d+)`)
		p.room = find(p.t, text, `room=(\w+)`)
		p.listen = strings.TrimPrefix(p.base, "http://")
	case <-p.exited:
		p.t.Fatalf("the server ended at once:\n%s", p.logs)
	case <-time.After(startTimeout):
		p.t.Fatalf("the server does not say that it is ready:\n%s", p.logs)
	}
}

// kill ends the server as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the server does not print %s:\n%s", pattern, text)
	}
	return m[1]
}

// run is the binary's output for a command.
func (p *process) run(args ...string) []byte {
	p.t.Helper()
	c := exec.Command(p.s.bin, args...)
	c.Env = clean()
	var faults bytes.Buffer
	c.Stderr = &faults
	out, err := c.Output()
	if err != nil {
		p.t.Fatalf("lectern %s: %v\n%s", strings.Join(args, " "), err, &faults)
	}
	return out
}

// scriptTimeout bounds one scenario.
const scriptTimeout = 3 * time.Minute

// script runs a scenario in Node and decodes its result; do is called for each thing that it asks for.
func script(t *testing.T, s setup, name string, input map[string]any, result any, do map[string]func()) {
	t.Helper()
	shots := os.Getenv("LECTERN_E2E_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	input["shots"] = shots
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, "node", filepath.Join("browser", name))
	c.Env = append(os.Environ(),
		"LECTERN_NODE_MODULES="+s.modules, "LECTERN_CHROMIUM="+s.chromium, "E2E_INPUT="+string(raw))
	c.Stderr = &testLog{t: t}
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("node: %v", err)
	}
	got := false
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var said struct {
			Need   string          `json:"need"`
			Result json.RawMessage `json:"result"`
		}
		if json.Unmarshal(lines.Bytes(), &said) != nil {
			t.Log(lines.Text())
			continue
		}
		if f := do[said.Need]; f != nil {
			f()
			_, _ = io.WriteString(stdin, said.Need+" done\n")
		}
		if said.Result != nil {
			got = true
			if err := json.Unmarshal(said.Result, result); err != nil {
				t.Fatalf("result: %v", err)
			}
		}
	}
	if err := c.Wait(); err != nil || !got {
		t.Fatalf("%s: %v (its pictures: %s)", name, err, shots)
	}
}

// testLog writes a script's messages into the test's log.
type testLog struct{ t *testing.T }

// Write implements io.Writer.
func (l *testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// standing is one row of a final table.
type standing struct {
	Name  string `json:"name"`
	Score int    `json:"score"`
	Rank  int    `json:"rank"`
}

func readCSV(t *testing.T, text string) map[string]standing {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]standing{}
	columns := map[string]int{}
	for _, row := range rows {
		if len(columns) == 0 {
			for i, cell := range row {
				columns[strings.ToLower(cell)] = i
			}
			if _, ok := columns["rank"]; !ok {
				clear(columns)
			}
			continue
		}
		if len(row) <= max(columns["rank"], columns["score"], columns["name"]) {
			continue
		}
		rank, err := strconv.Atoi(row[columns["rank"]])
		if err != nil {
			continue // the questions' own row
		}
		score, _ := strconv.Atoi(row[columns["score"]])
		name := row[columns["name"]]
		table[name] = standing{name, score, rank}
	}
	return table
}

// replayed is what `lectern replay` computes anew from the log.
func (p *process) replayed(room string) map[string]standing {
	p.t.Helper()
	var table struct {
		Participants []standing `json:"participants"`
	}
	if err := json.Unmarshal(p.run("replay", room, "--json", "--store", p.store()), &table); err != nil {
		p.t.Fatal(err)
	}
	rows := map[string]standing{}
	for _, row := range table.Participants {
		rows[row.Name] = row
	}
	return rows
}

func (p *process) call(method, path, token string, body any, reply any) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	text, _ := io.ReadAll(r.Body)
	if r.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %s %s", method, path, r.Status, text)
	}
	if reply != nil {
		if err := json.Unmarshal(text, reply); err != nil {
			p.t.Fatal(err)
		}
	}
}
