package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lectern/bench"
)

// server is one that is compared.
type server struct {
	name    string
	adaptor string
	env     []string
	onNode  bool
	args    func(addr string) []string
	// tokens are access tokens that the running server takes; nil: it has none.
	tokens func(ctx context.Context, count int) ([]string, error)
}

// workload is what every server is put through.
type workload struct {
	name, title string
	options     bench.Options
	signed      bool // members sign in with a token each; for servers that verify them
}

var workloads = []workload{
	{"burst", "fan-out, ten messages waiting, 10 rooms", bench.Options{Scenario: "fanout", Rooms: 10, Burst: 10}, false},
	{"single", "fan-out, one message at a time, 1 room", bench.Options{Scenario: "fanout", Rooms: 1, Rate: 2}, false},
	{"echo", "request and response, 10,000 a second", bench.Options{Scenario: "echo", Rooms: 10, Rate: 10_000}, false},
	{"idle", "connecting and keeping still, 10 rooms", bench.Options{Scenario: "idle", Rooms: 10}, false},
	{"signed", "the same, each member with an RS256 token", bench.Options{Scenario: "idle", Rooms: 10}, true},
}

// prepare builds and installs what is compared. What is not there (Node, say) is left out with a word.
func (c *comparison) prepare(ctx context.Context) ([]server, error) {
	if err := os.MkdirAll(c.cache, 0o755); err != nil { //nolint:gosec // programs for everybody
		return nil, err
	}
	lectern, err := filepath.Abs(c.lectern)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(lectern); err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	all := []server{
		c.serve(lectern, "lectern"), c.serve(lectern, "lectern-writes"), c.serve(lectern, "lectern-memory"),
		c.serve(lectern, "lectern-socketio"),
		c.goServer("gnet", ".", "./bench/peers/gnetproto",
			"raw"),
		c.goServer("gws", "bench/peers/gopeers", "./gws", "raw"),
		c.goServer("nbio", "bench/peers/gopeers", "./nbio", "raw"),
		c.goServer("centrifuge", "bench/peers/gopeers", "./centrifuge", "centrifuge"),
		c.nodeServer("uws", "uws.js", "raw"),
		c.nodeServer("ws", "ws.js", "raw"),
		c.nodeServer("socketio", "socketio.js", "socketio"),
	}
	var servers []server
	node := c.installNode(ctx)
	if node != nil {
		fmt.Fprintln(os.Stderr, "without the servers on Node:", node)
	}
	for _, s := range all {
		if c.only != nil && !slices.Contains(c.only, s.name) || s.onNode && node != nil {
			continue
		}
		if err := c.build(ctx, &s); err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, errors.New("no server is left to compare")
	}
	return servers, nil
}

// serve is Lectern as a user would run it: guests sign in, rooms, seq and resume, metrics, the journal on disk. --dev
// lets guests publish and lifts the limit of messages a second that one load connection would run into.
func (c *comparison) serve(binary, variant string) server {
	n, store := 0, ""
	s := server{name: variant, adaptor: "lectern"}
	if variant == "lectern-socketio" { // the same server, and Socket.IO's words
		s.adaptor = "socketio"
	}
	if variant == "lectern-writes" {
		s.env = []string{"LECTERN_IO=writes"}
	}
	s.args = func(addr string) []string {
		n++
		store = "sqlite:" + filepath.Join(c.dir, fmt.Sprintf("%s%d.db", variant, n))
		if variant == "lectern-memory" {
			store = "memory"
		}
		return []string{binary, "serve", "--dev", "--listen", addr, "--admin", "127.0.0.1:0", "--store", store}
	}
	if variant == "lectern" {
		s.tokens = func(ctx context.Context, count int) ([]string, error) {
			//nolint:gosec // our own binary
			out, err := exec.CommandContext(ctx, binary, "token", "--sub", "bench", "--role", "participant",
				"--count", strconv.Itoa(count), "--store", store).Output()
			return strings.Fields(string(out)), err
		}
	}
	return s
}

func (c *comparison) goServer(name, module, pkg, adaptor string) server {
	return server{name: name, adaptor: adaptor, args: func(addr string) []string {
		if addr == "" {
			return []string{"go", "-C", module, "build", "-o", filepath.Join(c.cache, name), pkg}
		}
		return []string{filepath.Join(c.cache, name), "--listen", addr}
	}}
}

// build runs what a Go server's args say for no address.
func (c *comparison) build(ctx context.Context, s *server) error {
	args := s.args("")
	if args[0] != "go" {
		return nil
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // our own list
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", s.name, err)
	}
	return nil
}

const nodeDir = "bench/peers/node"

func (c *comparison) nodeServer(name, file, adaptor string) server {
	return server{
		name: name, adaptor: adaptor, onNode: true, env: []string{"NODE_PATH=" + filepath.Join(c.cache, "node_modules")},
		args: func(addr string) []string { return []string{"node", filepath.Join(nodeDir, file), addr} },
	}
}

// installNode installs the packages beside the built servers, never in the tree.
func (c *comparison) installNode(ctx context.Context) error {
	manifest, err := os.ReadFile(filepath.Join(nodeDir, "package.json"))
	if err != nil {
		return err
	}
	there := filepath.Join(c.cache, "package.json")
	if old, err := os.ReadFile(there); err == nil && string(old) == string(manifest) { //nolint:gosec // our cache
		return nil
	}
	pending := there + ".new"
	if err := os.WriteFile(there, manifest, 0o644); err != nil { //nolint:gosec // no secret
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--omit=dev",
		"--prefix", c.cache)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		_ = os.Rename(there, pending) // so that the next run tries again
		return fmt.Errorf("npm install: %w", err)
	}
	return nil
}
