package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is the program itself when it is started again with this variable, so that exit statuses and signals
// are the real ones. What the program starts is the program too.
const asProgram = "TEST_AS_LECTERN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LECTERN_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(c.Env, asProgram+"=1")
	return c
}

// run runs the program to its end.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := command(args...)
	var out, faults bytes.Buffer
	c.Stdout, c.Stderr = &out, &faults
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), faults.String()
}

// wants runs the program and checks its exit status.
func wants(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := run(t, args...)
	if got != status {
		t.Fatalf("lectern %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	return stdout, stderr
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitStatuses(t *testing.T) {
	t.Parallel()
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	for _, tt := range []struct {
		status int
		says   string
		args   []string
	}{
		{0, "A real-time server", []string{"--help"}},
		{0, "LECTERN_CONNS_MAX", []string{"serve", "--help"}},
		{2, `no command "frobnicate"`, []string{"frobnicate"}},
		{2, "unknown flag: --nope", []string{"serve", "--nope"}},
		{2, "2 settings are wrong", []string{"serve", "--store", "mysql:x", "--broker", "kafka://x"}},
		{2, "does not exist", []string{"serve", "--config", "/no/such.yaml"}},
		{2, "accepts 1 arg", []string{"quiz", "validate"}},
		{2, "--role", []string{"token", "--sub", "x", "--role", "king", "--store", store}},
		{2, "--sub", []string{"token", "--store", store}},
		{2, "--count", []string{"token", "--sub", "x", "--count", "0", "--store", store}},
		{2, "--tokens", []string{"bench", "idle", "--tokens", "/no/such.tokens"}},
		{1, "can't be read", []string{"quiz", "validate", "/no/such.gift"}},
		{0, "schema version", []string{"migrate", "--store", store}},
		{1, "no session", []string{"replay", "nope", "--store", store}},
		{1, "no quiz", []string{"quiz", "export", "x.gift", "--id", "nope", "--store", store}},
		{2, "--format", []string{"quiz", "export", "x.unknown", "--id", "nope", "--store", store}},
	} {
		status, stdout, stderr := run(t, tt.args...)
		if status != tt.status {
			t.Errorf("%v: exit status %d, want %d\n%s%s", tt.args, status, tt.status, stdout, stderr)
		}
		where := stdout
		if tt.status != 0 {
			where = stderr
		}
		if !strings.Contains(where, tt.says) {
			t.Errorf("%v does not say %q:\n%s\n%s", tt.args, tt.says, stdout, stderr)
		}
	}
}

const mixed = `::One::1 + 1? {=2 ~3}

::Broken::1 + 2? {=3 ~4

::Two::The sun is a star. {TRUE}

::Essay::Write. {}
`

func TestImportTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	store := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	file := write(t, "mixed.gift", mixed)
	_, stderr := wants(t, 1, "quiz", "validate", file)
	stdout, _ := wants(t, 1, "quiz", "validate", file)
	for _, want := range []string{":3: question 2: fault: the brace", ":7: question 4: left out: an essay"} {
		if !strings.Contains(stdout+stderr, want) {
			t.Errorf("validate does not say %q:\n%s%s", want, stdout, stderr)
		}
	}
	_, stderr = wants(t, 1, "quiz", "import", file, "--store", store)
	if !strings.Contains(stderr, "nothing was imported") || !strings.Contains(stderr, "--skip-faulty") {
		t.Error(stderr)
	}
	wants(t, 0, "migrate", "--store", store)
	if stdout, _ := wants(t, 0, "quiz", "export", "--store", store); stdout != "" {
		t.Errorf("a refused import left %s", stdout)
	}
	id, _ := wants(t, 0, "quiz", "import", file, "--skip-faulty", "--title", "Mixed", "--store", store)
	id = strings.TrimSpace(id)
	if stdout, _ := wants(t, 0, "quiz", "export", "--store", store); !strings.Contains(stdout, id) ||
		!strings.Contains(stdout, "2 questions") || !strings.Contains(stdout, "Mixed") {
		t.Errorf("listed: %s", stdout)
	}
	out := filepath.Join(t.TempDir(), "out.json")
	wants(t, 0, "quiz", "export", out, "--id", id, "--store", store)
	var quiz struct{ Questions []any }
	if raw, err := os.ReadFile(out); err != nil || json.Unmarshal(raw, &quiz) != nil || len(quiz.Questions) != 2 {
		t.Errorf("%v %+v", err, quiz)
	}
	good := write(t, "good.gift", "::One::1 + 1? {=2 ~3}\n")
	wants(t, 0, "quiz", "validate", good)
	wants(t, 0, "quiz", "import", good, "--store", store)
	only := write(t, "essay.gift", "::Essay::Write. {}\n")
	_, stderr = wants(t, 1, "quiz", "import", only, "--skip-faulty", "--store", store)
	if !strings.Contains(stderr, "nothing was") {
		t.Error(stderr)
	}
}

// served is a running server of the program.
type served struct {
	cmd  *exec.Cmd
	base string
	text string
	logs *logBuffer
	done chan error
}

// logBuffer takes the log of a running program.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is what has been logged so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const patience = 90 * time.Second

func serveProgram(t *testing.T, args ...string) *served {
	t.Helper()
	return serveProgramWith(t, nil, args...)
}

// serveProgramWith is serveProgram with more variables.
func serveProgramWith(t *testing.T, environ []string, args ...string) *served {
	t.Helper()
	s := &served{logs: new(logBuffer), done: make(chan error, 1)}
	s.cmd = command(append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(s.cmd.Env, "LECTERN_DRAIN=0s", "LECTERN_QUIZ_LEAD=100ms")
	s.cmd.Env = append(s.cmd.Env, environ...)
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		var text strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			text.WriteString(lines.Text() + "\n")
			if l := lines.Text(); strings.Contains(l, "play it") || strings.Contains(l, "lectern token") {
				ready <- text.String()
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	select {
	case s.text = <-ready:
	case err := <-s.done:
		t.Fatalf("serve ended: %v\n%s", err, s.logs)
	case <-time.After(patience):
		t.Fatalf("serve does not become ready\n%s", s.logs)
	}
	_, rest, _ := strings.Cut(s.text, "pages")
	s.base = strings.TrimSuffix(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), "/")
	return s
}

// stop asks the server to end, as an operator or systemd does.
func (s *served) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			t.Fatalf("after SIGTERM: %v\n%s", err, s.logs)
		}
	case <-time.After(patience):
		t.Fatalf("SIGTERM does not end the server\n%s", s.logs)
	}
}

func call(t *testing.T, method, url, token string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, text
}

// A load of signed-in members, on a server that takes no guests: tokens in bulk, and the load with one for each.
func TestLoadSignsInWithTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := "sqlite:" + filepath.Join(dir, "x.db")
	s := serveProgram(t, "--store", store)
	tokens, _ := wants(t, 0, "token", "--sub", "load", "--role", "host", "--count", "20", "--store", store)
	list := strings.Fields(tokens)
	if slices.Sort(list); len(slices.Compact(list)) != 20 {
		t.Fatalf("%d different tokens, not 20", len(slices.Compact(list)))
	}
	file := filepath.Join(dir, "tokens")
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	idle := []string{"bench", "idle", "--target", s.base, "--duration", "100ms", "--json", "-", "--tokens", file}
	stdout, _ := wants(t, 0, append(idle, "--conns", "20")...)
	if !strings.Contains(stdout, `"delivered":20,`) {
		t.Errorf("idle with tokens: %s", stdout)
	}
	if _, stderr := wants(t, 2, append(idle, "--conns", "21")...); !strings.Contains(stderr, "20 tokens don't do for 21") {
		t.Errorf("too few tokens: %s", stderr)
	}
}

// A token made beside a running server signs in to it; quizzes imported beside it are in the library; replay reads its
// sessions while it runs.
func TestToolsBesideARunningServer(t *testing.T) {
	t.Parallel()
	store := "sqlite:" + filepath.Join(t.TempDir(), "data", "x.db")
	s := serveProgram(t, "--store", store)
	token, _ := wants(t, 0, "token", "--sub", "ada", "--role", "host", "--store", store)
	token = strings.TrimSpace(token)
	if status, text := call(t, "GET", s.base+"/api/v1/quizzes", token, nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	quiz := `{"quiz":{"title":"T","questions":[{"type":"true_false","text":"Yes?","correct":true}]}}`
	status, text := call(t, "POST", s.base+"/api/v1/sessions", token, strings.NewReader(quiz))
	var made struct{ Room, PIN string }
	if err := json.Unmarshal(text, &made); err != nil || status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%d %s", status, text)
	}
	stdout, _ := wants(t, 0, "replay", made.Room, "--store", store)
	if !strings.Contains(stdout, "PIN "+made.PIN) || !strings.Contains(stdout, "RANK") {
		t.Errorf("replay: %s", stdout)
	}
	if stdout, _ := wants(t, 0, "replay", "--store", store); !strings.Contains(stdout, made.Room) {
		t.Errorf("sessions: %s", stdout)
	}
	stdout, _ = wants(t, 0, "replay", made.Room, "--records", "--store", store)
	for line := range strings.Lines(stdout) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	_, stderr := wants(t, 1, "serve", "--listen", "127.0.0.1:0", "--admin", "", "--store", store)
	if !strings.Contains(stderr, "in use") || strings.Count(stderr, "lectern:") != 1 {
		t.Errorf("a second server on the store: %s", stderr)
	}
	taken := strings.TrimPrefix(s.base, "http://")
	_, stderr = wants(t, 1, "serve", "--listen", taken, "--admin", "", "--store", "memory")
	if !strings.Contains(stderr, taken) || !strings.Contains(stderr, "choose another address") {
		t.Errorf("a taken port: %s", stderr)
	}
	s.stop(t)
	if log := s.logs.String(); strings.Contains(log, "--dev") {
		t.Errorf("without --dev it warns of it: %s", log)
	}
	again := serveProgram(t, "--store", store)
	if status, text := call(t, "GET", again.base+"/api/v1/pins/"+made.PIN, "", nil); status != http.StatusOK {
		t.Errorf("the PIN after a restart: %d %s", status, text)
	}
	if status, _ := call(t, "GET", again.base+"/api/v1/quizzes", token, nil); status != http.StatusOK {
		t.Errorf("the token after a restart: %d", status)
	}
	again.stop(t)
}

func TestDevIsLoudAndShowsTheWay(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, "--dev", "--store", "memory")
	for _, want := range []string{"PIN ", "/host?room=", "#token=", "/join?pin=", "WebSocket", "admin"} {
		if !strings.Contains(s.text, want) {
			t.Errorf("the greeting has no %q:\n%s", want, s.text)
		}
	}
	s.stop(t)
	if log := s.logs.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "--dev") {
		t.Errorf("no warning: %s", log)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, "doctor", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store",
		"sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if status != 0 && status != 1 || !strings.Contains(stdout, "descriptors") ||
		!strings.Contains(stdout, "does not exist yet") {
		t.Errorf("%d %s%s", status, stdout, stderr)
	}
	damaged := write(t, "x.db", strings.Repeat("rubbish ", 2000))
	_, stdout, _ = run(t, "doctor", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store", "sqlite:"+damaged)
	if !strings.Contains(stdout, "damaged") {
		t.Errorf("a damaged database: %s", stdout)
	}
}
