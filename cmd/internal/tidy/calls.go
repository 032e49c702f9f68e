package tidy

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// selected calls visit for every pkg.Name in the file where pkg is the import of the given path, whatever it is
// called there.
func selected(f *File, importPath string, visit func(sel *ast.SelectorExpr)) {
	local := ""
	for _, spec := range f.AST.Imports {
		if name, _ := strconv.Unquote(spec.Path.Value); name == importPath {
			local = path.Base(importPath)
			if spec.Name != nil {
				local = spec.Name.Name
			} else if local == "v2" {
				local = path.Base(path.Dir(importPath))
			}
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				visit(sel)
			}
		}
		return true
	})
}

// pure says whether a file belongs to the part of the tree where time and randomness are arguments. The Go client is
// the exception under protocol: it owns a socket, so it has a clock.
func pure(f *File) bool { return f.In("protocol", "rooms") && !f.In("protocol/client") }

var clockNames = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

const shardDriver = "rooms/router.go"

// clock bans reading the time and waiting for it in protocol and rooms: machines get the time as an argument, so a
// game can be replayed and a day simulated in a second. Their tests may read it, to limit what an operation costs.
// The one place under rooms that waits is the shards' driver: it asks its caller's clock and arms a timer.
func clock(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(false) {
		if !pure(f) {
			continue
		}
		selected(f, "time", func(sel *ast.SelectorExpr) {
			if f.Path == shardDriver && sel.Sel.Name == "NewTimer" {
				return
			}
			if slices.Contains(clockNames, sel.Sel.Name) {
				out = append(out, t.at(f, sel.Pos(), "time.%s: take the time as an argument", sel.Sel.Name))
			}
		})
	}
	return out
}

var seeded = []string{
	"New", "NewSource", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf",
}

// randomness bans the global sources in protocol and rooms, tests included where the source has no seed, for the
// same reason as clock. The system's source may be used by tests that make keys.
func randomness(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		if !pure(f) {
			continue
		}
		for _, source := range []string{"math/rand", "math/rand/v2"} {
			selected(f, source, func(sel *ast.SelectorExpr) {
				if !slices.Contains(seeded, sel.Sel.Name) {
					out = append(out, t.at(f, sel.Pos(), "rand.%s: take a seeded source as an argument", sel.Sel.Name))
				}
			})
		}
		if !f.Test {
			selected(f, "crypto/rand", func(sel *ast.SelectorExpr) {
				out = append(out, t.at(f, sel.Pos(), "crypto/rand.%s: take a reader as an argument", sel.Sel.Name))
			})
		}
	}
	return out
}

// sleep bans time.Sleep in every test: a test waits for a condition or runs on a virtual clock. Elsewhere only the
// commands and the harness may sleep; loops and stores wait for something.
func sleep(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		if !f.Test && f.In("cmd", "bench") {
			continue
		}
		selected(f, "time", func(sel *ast.SelectorExpr) {
			if sel.Sel.Name == "Sleep" {
				out = append(out, t.at(f, sel.Pos(), "time.Sleep: wait for what should happen"))
			}
		})
	}
	return out
}

// printing bans writing to standard output and the global logger outside the command and the harness: results go
// where the caller says, logs go through log/slog to the logger that was handed in.
func printing(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(false) {
		if !f.In("cmd/lectern", "bench") {
			selected(f, "fmt", func(sel *ast.SelectorExpr) {
				if strings.HasPrefix(sel.Sel.Name, "Print") {
					out = append(out, t.at(f, sel.Pos(), "fmt.%s: write to the writer of the caller", sel.Sel.Name))
				}
			})
		}
		selected(f, "log", func(sel *ast.SelectorExpr) {
			if sel.Sel.Name != "Logger" && sel.Sel.Name != "New" {
				out = append(out, t.at(f, sel.Pos(), "log.%s: use the slog.Logger that was handed in", sel.Sel.Name))
			}
		})
	}
	return out
}

var panicking = regexp.MustCompile(`(?i)panic`)

// panics allows panic for a programmer's mistake only, and only where a reader is told: a comment at or right above
// the call, a function whose comment speaks of it, or one named Must. What input can cause is an error.
func panics(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(false) {
		told := map[int]bool{}
		for _, group := range f.AST.Comments {
			for line := t.line(group.Pos()); line <= t.line(group.End())+1; line++ {
				told[line] = true
			}
		}
		for _, decl := range f.AST.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if panicking.MatchString(d.Doc.Text()) || strings.HasPrefix(strings.ToLower(d.Name.Name), "must") {
					continue
				}
			case *ast.GenDecl:
				if panicking.MatchString(d.Doc.Text()) {
					continue
				}
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && called(call) == "panic" && !told[t.line(call.Pos())] {
					out = append(out, t.at(f, call.Pos(), "panic: return an error, or say whose mistake it is"))
				}
				return true
			})
		}
	}
	return out
}

// called is the name of a plainly called function, or of a method.
func called(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// skips asks every skipped test for its reason.
func skips(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if _, method := call.Fun.(*ast.SelectorExpr); !method {
				return true
			}
			name := called(call)
			if name == "SkipNow" || (name == "Skip" || name == "Skipf") && len(call.Args) == 0 && (f.Test || onTB(call)) {
				out = append(out, t.at(f, call.Pos(), "%s without a reason", name))
			}
			return true
		})
	}
	return out
}

// onTB guesses by name that a call is on a testing.TB, in suites that are not test files themselves.
func onTB(call *ast.CallExpr) bool {
	x, ok := call.Fun.(*ast.SelectorExpr).X.(*ast.Ident)
	return ok && slices.Contains([]string{"t", "b", "tb"}, x.Name)
}

var runners = regexp.MustCompile(`^([rR]un|[sS]tart|[sS]erve)([A-Z]|$)`)

var goroutineOwners = []string{
	"cmd/internal/app", "cmd/internal/e2e", "cmd/lectern", "netpoll", "persist", "bench", "protocol/client",
}

func startsGoroutine(n ast.Node) bool {
	if _, ok := n.(*ast.GoStmt); ok {
		return true
	}
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 || called(call) != "Go" {
		return false
	}
	_, literal := call.Args[0].(*ast.FuncLit)
	return literal
}

// goroutines keeps go statements to the places that own goroutines: the composition root and the command, the loops,
// the journal and its stores, the harness, the client (each of which owns sockets or files), tests, and functions named
// for it (Run, Start, Serve). Machines have none. The Go method of a wait group or an errgroup starts one as well.
func goroutines(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(false) {
		if f.In(goroutineOwners...) {
			continue
		}
		for _, decl := range f.AST.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && runners.MatchString(fn.Name.Name) && !machine(f) {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if startsGoroutine(n) {
					out = append(out, t.at(f, n.Pos(), "go: goroutines start in app or in a function named Run"))
				}
				return true
			})
		}
	}
	return out
}

// machine says whether a file belongs to a domain or a codec, which are called and never run.
func machine(f *File) bool {
	return pure(f) && f.Dir() != "rooms"
}

// places are paths of one machine and names of hosts that packages come from: neither means anything to somebody
// else, and a build must not depend on them. The names are put together here so that this file passes its own rule.
var places = regexp.MustCompile(`(^|[\s"'` + "`" + `=(:])/(wor` + `k|roo` + `t|home/[a-z]+)/|` +
	`prox` + `y\.golang\.org|sum\.gola` + `ng\.org|registr` + `y\.npmjs|registr` + `y\.yarnpkg|deb\.deb` + `ian\.org|` +
	`pypi\.or` + `g|crates\.i` + `o\b|repo\d?\.mave` + `n`)

// machines refuses paths of a machine and hosts of registries in every text file.
func machines(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Files {
		number := 0
		for line := range strings.SplitSeq(f.Text, "\n") {
			number++
			if found := places.FindString(line); found != "" {
				out = append(out, Violation{Path: f.Path, Line: number, Message: "names a place of one machine: " + found})
			}
		}
	}
	return out
}
