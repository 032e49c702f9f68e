// Package pgtest starts private PostgreSQL instances for tests: on a socket and a port of their own, in a temporary
// folder, as a user who is not root (PostgreSQL refuses root). It is imported by tests only.
package pgtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Password is that of the user lectern, who owns every database.
const Password = "not-a-secret"

// Instance is a running PostgreSQL.
type Instance struct {
	bin, dir string // of the programs, of the data
	port     int
	options  []string
	process  *exec.Cmd
	ended    chan struct{}
	names    atomic.Int32
}

// programs finds the folder of PostgreSQL's programs; empty where there is none.
func programs() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // the others lie beside the real one
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// runAs is the user that PostgreSQL runs as: nil for the one that runs the tests.
func runAs() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

var shared struct {
	sync.Mutex
	instance *Instance
	err      error
	tried    bool
}

// Run runs a package's tests and ends what they shared; for TestMain.
func Run(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.instance != nil {
		shared.instance.Remove()
		shared.instance = nil
	}
	return code
}

// Shared is one instance for all tests of a package, which must end it with Run. It keeps nothing safe from a power
// cut. The test is skipped where PostgreSQL is not installed.
func Shared(tb testing.TB) *Instance {
	tb.Helper()
	if programs() == "" {
		tb.Skip("PostgreSQL is not installed (Debian's package postgresql; make test installs it)")
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.tried {
		shared.tried = true
		shared.instance, shared.err = start("fsync=off")
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.instance
}

// New is an instance for one test, which may stop and start it. Options are of postgresql.conf.
func New(tb testing.TB, options ...string) *Instance {
	tb.Helper()
	if programs() == "" {
		tb.Skip("PostgreSQL is not installed (Debian's package postgresql; make test installs it)")
	}
	p, err := start(options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Remove)
	return p
}

func start(options ...string) (*Instance, error) {
	p := &Instance{bin: programs(), options: options}
	credential, err := runAs()
	if err != nil {
		return nil, fmt.Errorf("pgtest: PostgreSQL needs a user who is not root: %w", err)
	}
	if p.dir, err = os.MkdirTemp("", "lectern-pg-"); err != nil {
		return nil, err
	}
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	password := filepath.Join(p.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o644); err != nil {
		return nil, err
	}
	if credential != nil {
		if err := os.Chown(p.dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return nil, err
		}
	}
	init := exec.Command(filepath.Join(p.bin, "initdb"), "-D", p.data(), "-U", "lectern", "--pwfile", password, "-A",
		"scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync")
	init.Dir = p.dir
	init.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := init.CombinedOutput(); err != nil {
		p.Remove()
		return nil, fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	if err := p.Start(); err != nil {
		p.Remove()
		return nil, err
	}
	return p, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (p *Instance) data() string { return filepath.Join(p.dir, "data") }

// Start starts a stopped instance and waits until it answers.
func (p *Instance) Start() error {
	credential, err := runAs()
	if err != nil {
		return err
	}
	args := []string{
		"-D", p.data(), "-p", strconv.Itoa(p.port), "-k", p.dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "max_connections=50", "-c", "dynamic_shared_memory_type=mmap",
	}
	for _, o := range p.options {
		args = append(args, "-c", o)
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.process = exec.Command(filepath.Join(p.bin, "postgres"), args...)
	p.process.Dir = p.dir
	p.process.Stdout, p.process.Stderr = log, log
	// It ends with the tests, however those end. The signal is sent when the thread that started it ends, so the
	// goroutine keeps its thread until then.
	p.process.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGQUIT}
	p.ended = make(chan struct{})
	started := make(chan error, 1)
	go func(process *exec.Cmd, ended chan struct{}) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait()
		}
	}(p.process, p.ended)
	if err := <-started; err != nil {
		return err
	}
	return p.wait()
}

// startPatience is how long an instance may take to start on a busy machine.
const startPatience = 60 * time.Second

func (p *Instance) wait() error {
	until := time.Now().Add(startPatience)
	for time.Now().Before(until) {
		select {
		case <-p.ended:
			return fmt.Errorf("pgtest: PostgreSQL ended at once:\n%s", p.Log())
		default:
		}
		ready := exec.Command(filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port))
		if ready.Run() == nil {
			return nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return fmt.Errorf("pgtest: PostgreSQL does not become ready:\n%s", p.Log())
}

// Log is what PostgreSQL has written to its log.
func (p *Instance) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text)
}

// Stop ends the instance at once, as a crash does.
func (p *Instance) Stop() { p.signal(syscall.SIGQUIT) }

// StopGently ends the instance after its transactions.
func (p *Instance) StopGently() { p.signal(syscall.SIGINT) }

func (p *Instance) signal(s syscall.Signal) {
	if p.process == nil || p.process.Process == nil {
		return
	}
	_ = p.process.Process.Signal(s)
	select {
	case <-p.ended:
	case <-time.After(startPatience):
		_ = p.process.Process.Kill()
		<-p.ended
	}
}

// Freeze stops all processes of the instance without ending them: connections stay open and nothing answers. Thaw lets
// them go on.
func (p *Instance) Freeze() { p.signalAll(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (p *Instance) Thaw() { p.signalAll(syscall.SIGCONT) }

func (p *Instance) signalAll(s syscall.Signal) {
	leader := p.process.Process.Pid
	pids := append([]int{leader}, children(leader)...)
	if s == syscall.SIGCONT {
		slices.Reverse(pids)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}

func children(parent int) []int {
	out, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Remove stops the instance and deletes its data.
func (p *Instance) Remove() {
	if p.process != nil && p.process.Process != nil {
		p.Thaw()
		p.Stop()
	}
	_ = os.RemoveAll(p.dir)
}

// URL leads to a database of the instance.
func (p *Instance) URL(database string) string {
	return fmt.Sprintf("postgres://lectern:%s@127.0.0.1:%d/%s?sslmode=disable", Password, p.port, database)
}

// Database makes an empty database and gives its URL.
func (p *Instance) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprint("test", p.names.Add(1))
	createdb := exec.Command(filepath.Join(p.bin, "createdb"), "--maintenance-db="+p.URL("postgres"), name)
	if out, err := createdb.CombinedOutput(); err != nil {
		tb.Fatalf("createdb: %v\n%s", err, out)
	}
	return p.URL(name)
}

// SQL runs statements with psql, behind a store's back, and returns what they print.
func (p *Instance) SQL(tb testing.TB, database, statements string) string {
	tb.Helper()
	psql := exec.Command(filepath.Join(p.bin, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		"-d", p.URL(database), "-c", statements)
	out, err := psql.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			tb.Fatalf("%s: %v\n%s", statements, err, failed.Stderr)
		}
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
