package tidy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// planted is a source that breaks a rule, or one that looks like it and doesn't.
type planted struct {
	rule   string
	path   string
	source string
	want   string // part of the message; "" when the source is fine
}

func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

var importCases = []planted{
	{
		"imports", "netpoll/a.go",
		`package netpoll; import _ "lectern/protocol/wire"`, "netpoll must not import protocol/wire",
	},
	{"imports", "netpoll/a_test.go", `package netpoll; import _ "lectern/rooms"`, "must not import rooms"},
	{"imports", "netpoll/simnet/a.go", `package simnet; import _ "lectern/netpoll/frame"`, ""},
	{"imports", "protocol/ws/a.go", `package ws; import _ "lectern/netpoll"`, "protocol must not import netpoll"},
	{"imports", "protocol/native/a.go", `package native; import _ "lectern/rooms/effect"`, "must not import rooms/effect"},
	{"imports", "protocol/native/a.go", `package native; import _ "lectern/protocol/wire"`, ""},
	{"imports", "protocol/wire/a.go", `package wire; import _ "lectern/protocol/native"`, "protocol/wire must not import"},
	{"imports", "rooms/a.go", `package rooms; import _ "lectern/persist"`, "rooms must not import persist"},
	{"imports", "rooms/a.go", `package rooms; import _ "lectern/protocol/native"`, "must not import protocol/native"},
	{"imports", "rooms/a.go", `package rooms; import _ "lectern/rooms/quiz"`, ""},
	{"imports", "rooms/quiz/a.go", `package quiz; import _ "lectern/rooms/chat"`, "rooms/quiz must not import rooms/chat"},
	{"imports", "rooms/quiz/a.go", `package quiz; import _ "lectern/rooms"`, "must not import rooms"},
	{"imports", "rooms/quiz/a.go", `package quiz; import (_ "lectern/rooms/effect"; _ "lectern/protocol/wire")`, ""},
	{"imports", "rooms/newdomain/a.go", `package n; import _ "lectern/rooms/quiz"`, "rooms/newdomain must not import"},
	{"imports", "rooms/docs/a.go", `package docs; import _ "lectern/rooms/docs/ot"`, ""},
	{"imports", "rooms/docs/ot/a.go", `package ot; import _ "lectern/rooms/chat"`, "rooms/docs must not import"},
	{"imports", "rooms/effect/a.go", `package effect; import _ "lectern/rooms/quiz"`, "rooms/effect must not import"},
	{"imports", "rooms/auth/a.go", `package auth; import _ "lectern/persist/mem"`, "must not import persist/mem"},
	{"imports", "rooms/auth/a_test.go", `package auth_test; import _ "lectern/persist/mem"`, ""},
	{"imports", "persist/a.go", `package persist; import _ "lectern/rooms/quiz"`, "persist must not import rooms/quiz"},
	{"imports", "persist/sqlite/a.go", `package sqlite; import _ "lectern/netpoll"`, "must not import netpoll"},
	{"imports", "persist/mem/a.go", `package mem; import (_ "lectern/rooms"; _ "lectern/rooms/auth")`, ""},
	{"imports", "bench/client/a.go", `package client; import _ "lectern/netpoll"`, "bench must not import netpoll"},
	{"imports", "bench/a.go", `package bench; import _ "lectern/cmd/internal/app"`, "must not import cmd"},
	{"imports", "bench/a.go", `package bench; import _ "lectern/protocol/ws"`, ""},
	{"imports", "cmd/internal/gateway/a.go", `package gateway; import _ "lectern/persist"`, "must not import persist"},
	{"imports", "cmd/internal/app/a.go", `package app; import _ "lectern/bench"`, "must not import bench"},
	{"imports", "cmd/internal/web/a.go", `package web; import _ "lectern/rooms"`, "must not import rooms"},
	{"imports", "cmd/lectern/a.go", `package main; import (_ "lectern/bench"; _ "lectern/cmd/internal/app")`, ""},
	{"imports", "elsewhere/a.go", `package elsewhere`, "no place in the map of layers"},

	{"homes", "rooms/a.go", `package rooms; import _ "github.com/panjf2000/gnet/v2"`, "has its home in netpoll"},
	{"homes", "netpoll/a.go", `package netpoll; import _ "github.com/panjf2000/gnet/v2/pkg/errors"`, ""},
	{"homes", "bench/peers/x/main.go", `package main; import _ "github.com/panjf2000/gnet/v2"`, ""},
	{"homes", "bench/client/a.go", `package client; import _ "github.com/gobwas/ws"`, "has its home in protocol/ws"},
	{"homes", "protocol/wsx/a.go", `package wsx; import _ "github.com/gobwas/ws"`, "has its home in protocol/ws"},
	{"homes", "persist/mem/a.go", `package mem; import _ "modernc.org/sqlite"`, "has its home in persist/sqlite"},
	{
		"homes", "cmd/internal/api/a.go",
		`package api; import _ "github.com/golang-jwt/jwt/v5"`, "has its home in rooms/auth",
	},
	{"homes", "rooms/a.go", `package rooms; import _ "example.org/new"`, "has no home"},
	{"homes", "rooms/a.go", `package rooms; import _ "pgregory.net/rapid"`, "is for tests"},
	{"homes", "rooms/a_test.go", `package rooms; import _ "pgregory.net/rapid"`, ""},
	{"homes", "rooms/a.go", `package rooms; import _ "encoding/json"`, ""},

	{"top-level", "scripts/x.sh", "", "no place at the top level"},
	{"top-level", "NOTES.md", "", "no place at the top level"},
	{"top-level", ".editorconfig", "", ""},
	{"top-level", "docs/ARCHITECTURE.md", "", ""},
	{"package-names", "rooms/util/a.go", `package util`, "tells what it is about"},
	{"package-names", "rooms/quiz/a.go", `package quiz`, ""},
}

var shapeCases = []planted{
	{"file-size", "rooms/a.go", "package rooms\n" + lines(500, "// %d"), "501 lines, at most 500"},
	{"file-size", "rooms/a.go", "package rooms\n" + lines(499, "// %d"), ""},
	{"file-size", "rooms/a_test.go", "package rooms\n" + lines(1400, "// %d"), ""},
	{"file-size", "rooms/a_test.go", "package rooms\n" + lines(1500, "// %d"), "1501 lines"},
	{"file-size", "cmd/internal/web/assets/js/a.js", lines(501, "// %d"), "501 lines"},
	{"function-size", "rooms/a.go", "package rooms\nfunc f() {\n" + lines(69, "_ = %d") + "}\n", "f has 71 lines"},
	{"function-size", "rooms/a.go", "package rooms\nfunc f() {\n" + lines(68, "_ = %d") + "}\n", ""},
	{"function-size", "rooms/a_test.go", "package rooms\nfunc f() {\n" + lines(90, "_ = %d") + "}\n", "f has 92 lines"},
	{"line-width", "rooms/a.go", "package rooms\n//" + strings.Repeat("é", 119), "121 columns"},
	{"line-width", "rooms/a.go", "package rooms\n//" + strings.Repeat("é", 118), ""},
	{"struct-size", "rooms/a.go", "package rooms\ntype s struct {\n" + lines(26, "f%d int") + "}", "a comment per group"},
	{"struct-size", "rooms/a.go", "package rooms\ntype s struct {\n" + lines(25, "f%d int") + "}", ""},
	{
		"struct-size", "rooms/a.go",
		"package rooms\ntype s struct {\n// One.\n" + lines(20, "f%d int") + "\n// Two.\n" + lines(20, "g%d int") + "}", "",
	},
	{
		"struct-size", "rooms/a.go",
		"package rooms\ntype s struct {\n// One.\n" + lines(26, "f%d int") + "\n// Two.\ng int\n}", "a group of 26 fields",
	},

	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\nfunc Open() {}", "Open has no comment"},
	{
		"documented", "rooms/a.go",
		"// Package rooms.\npackage rooms\n// T is.\ntype T int\nfunc (t *T) Open() {}", "Open has no comment",
	},
	{
		"documented", "rooms/a.go",
		"// Package rooms.\npackage rooms\n// T is.\ntype T[K any] int\nfunc (t *T[K]) Open() {}", "Open",
	},
	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\ntype t int\nfunc (t) Open() {}\nfunc shut() {}", ""},
	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\ntype T struct{}", "type T has no comment"},
	{
		"documented", "rooms/a.go",
		"// Package rooms.\npackage rooms\n// All.\ntype (\nT struct{}\n)", "type T has no comment",
	},
	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\nconst Max = 1", "Max has no comment"},
	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\n// Limits.\nconst (\nMax = 1\nMin = 0\n)", ""},
	{"documented", "rooms/a.go", "// Package rooms.\npackage rooms\nvar (\nA = 1 // the first\n)", ""},
	{"documented", "rooms/a.go", "package rooms", "the package has no comment"},
	{"documented", "cmd/lectern/a.go", "// Command a.\npackage main\nfunc Open() {}", ""},
	{"documented", "rooms/a_test.go", "package rooms\nfunc TestA() {}", ""},
}

var callCases = []planted{
	{"clock", "rooms/quiz/a.go", `package quiz; import "time"; var t = time.Now()`, "time.Now"},
	{"clock", "rooms/quiz/a.go", `package quiz; import clk "time"; var t = clk.Now()`, "time.Now"},
	{"clock", "rooms/quiz/a.go", `package quiz; import "time"; var now = time.Now`, "time.Now"},
	{"clock", "protocol/session/a.go", `package session; import "time"; var t = time.After(1)`, "time.After"},
	{"clock", "protocol/ws/a.go", `package ws; import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
	{"clock", "rooms/a.go", `package rooms; import "time"; var t = time.NewTimer(1)`, "time.NewTimer"},
	{"clock", "rooms/router.go", `package rooms; import "time"; var t = time.NewTimer(1)`, ""},
	{"clock", "rooms/router.go", `package rooms; import "time"; var t = time.Now()`, "time.Now"},
	{"clock", "rooms/quiz/a.go", `package quiz; import "time"; const s = time.Second`, ""},
	{"clock", "protocol/client/a.go", `package client; import "time"; var t = time.Now()`, ""},
	{"clock", "netpoll/a.go", `package netpoll; import "time"; var t = time.Now()`, ""},
	{"randomness", "rooms/quiz/a.go", `package quiz; import "math/rand"; var n = rand.Intn(3)`, "rand.Intn"},
	{"randomness", "rooms/quiz/a.go", `package quiz; import "math/rand/v2"; var n = rand.IntN(3)`, "rand.IntN"},
	{"randomness", "rooms/quiz/a_test.go", `package quiz; import "math/rand/v2"; var n = rand.IntN(3)`, "rand.IntN"},
	{"randomness", "rooms/quiz/a.go", `package quiz; import "math/rand/v2"; var r = rand.New(rand.NewPCG(1, 2))`, ""},
	{"randomness", "rooms/auth/a.go", `package auth; import "crypto/rand"; var r = rand.Reader`, "crypto/rand.Reader"},
	{"randomness", "rooms/auth/a_test.go", `package auth; import "crypto/rand"; var r = rand.Reader`, ""},
	{"sleep", "cmd/internal/app/a_test.go", `package app; import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
	{"sleep", "bench/a_test.go", `package bench; import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
	{"sleep", "netpoll/a.go", `package netpoll; import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
	{"sleep", "bench/a.go", `package bench; import "time"; func f() { time.Sleep(1) }`, ""},
	{"printing", "cmd/internal/app/a.go", `package app; import "fmt"; func f() { fmt.Println() }`, "fmt.Println"},
	{"printing", "cmd/internal/app/a.go", `package app; import ("fmt"; "os"); func f() { fmt.Fprintln(os.Stderr) }`, ""},
	{"printing", "cmd/lectern/a.go", `package main; import "fmt"; func main() { fmt.Println() }`, ""},
	{"printing", "netpoll/a.go", `package netpoll; import "log"; func f() { log.Printf("") }`, "log.Printf"},
	{"printing", "netpoll/a.go", `package netpoll; import "log/slog"; func f() { slog.Default() }`, ""},
	{"panics", "rooms/a.go", "package rooms\nfunc f() {\n\tpanic(\"no\")\n}", "panic"},
	{"panics", "rooms/a.go", "package rooms\nvar f = func() { panic(\"no\") }", "panic"},
	{"panics", "rooms/a.go", "package rooms\nfunc f() {\n\t// The table is ours.\n\tpanic(\"no\")\n}", ""},
	{"panics", "rooms/a.go", "package rooms\nfunc f() {\n\tpanic(\"no\") // the table is ours\n}", ""},
	{"panics", "rooms/a.go", "package rooms\n// f panics when used twice.\nfunc f() {\n\n\tpanic(\"no\")\n}", ""},
	{"panics", "rooms/a.go", "package rooms\nfunc mustF() {\n\tpanic(\"no\")\n}", ""},
	{"panics", "rooms/a_test.go", "package rooms\nfunc f() {\n\tpanic(\"no\")\n}", ""},
	{"skips", "rooms/a_test.go", `package rooms; import "testing"; func TestA(t *testing.T) { t.Skip() }`, "Skip without"},
	{"skips", "rooms/a_test.go", `package rooms; import "testing"; func TestA(t *testing.T) { t.SkipNow() }`, "SkipNow"},
	{"skips", "persist/storetest/a.go", `package s; import "testing"; func A(t testing.TB) { t.Skip() }`, "Skip without"},
	{"skips", "rooms/a_test.go", `package rooms; import "testing"; func TestA(t *testing.T) { t.Skip("why") }`, ""},
	{"goroutines", "rooms/a.go", `package rooms; func f() { go f() }`, "go:"},
	{"goroutines", "rooms/a.go", `package rooms; func Run() { go f() }; func f() {}`, ""},
	{"goroutines", "rooms/a.go", `package rooms; func runner() { go f() }; func f() {}`, "go:"},
	{"goroutines", "rooms/quiz/a.go", `package quiz; func Run() { go Run() }`, "go:"},
	{"goroutines", "rooms/quiz/a.go", `package quiz; import "sync"; func f(g *sync.WaitGroup) { g.Go(func() {}) }`, "go:"},
	{"goroutines", "cmd/internal/api/a.go", `package api; var f = func() { go println() }`, "go:"},
	{"goroutines", "netpoll/a.go", `package netpoll; func f() { go f() }`, ""},
	{"goroutines", "rooms/a_test.go", `package rooms; func f() { go f() }`, ""},
}

var textCases = []planted{
	{
		"sql", "persist/sqlite/a.go",
		`package s; func f() { db.ExecContext(ctx, "DELETE FROM a WHERE b = "+b) }`, "constant",
	},
	{"sql", "persist/sqlite/a.go", `package s; func f() { db.Query(fmt.Sprintf("SELECT %s", b)) }`, "query"},
	{"sql", "persist/sqlite/a.go", `package s; func f() { q := "SELECT " + b; _ = q }`, "joined from pieces"},
	{
		"sql", "persist/sqlite/a.go",
		`package s; func f() { q := fmt.Sprintf("UPDATE a SET b = %s", b); _ = q }`, "a formatted query",
	},
	{"sql", "persist/sqlite/a.go", `package s; func f() { q := g(); db.QueryContext(ctx, q) }`, "must be constant"},
	{
		"sql", "persist/sqlite/a.go",
		`package s; func f(q string) { db.Query(q) }; func g() { f("SELECT " + x) }`, "must be constant",
	},
	{
		"sql", "persist/sqlite/a.go",
		`package s; func f(q string) { db.Query(q) }; func h(q string) { f(q) }; func g() { h(x()) }`, "must be constant",
	},
	{"sql", "persist/sqlite/a.go", `package s; const a = "SELECT "; func f() { db.Query(a+"1 WHERE x = ?", x) }`, ""},
	{"sql", "persist/sqlite/a.go", `package s; func f(q string) { db.Query(q) }; func g() { f("SELECT 1") }`, ""},
	{"sql", "persist/sqlite/a.go", `package s; func f() { w.stmts.room.QueryRowContext(ctx, name) }`, ""},
	{"sql", "persist/sqlite/a.go", `package s; func f(s *Stmt, args ...any) { s.ExecContext(ctx, args...) }`, ""},
	{
		"sql", "persist/pg/a.go",
		`package pg; import _ "github.com/jackc/pgx/v5"; func f() { db.Query(ctx, "SELECT a WHERE b = $1", b) }`, "",
	},
	{
		"sql", "persist/pg/a.go",
		`package pg; import _ "github.com/jackc/pgx/v5/pgxpool"; func f() { db.Query(ctx, g(b)) }`, "must be constant",
	},
	{
		"sql", "persist/pg/a.go",
		`package pg; import _ "github.com/jackc/pgx/v5"; func f() { b.Queue("DELETE FROM " + t, b) }`, "must be constant",
	},
	{
		"sql", "persist/pg/a.go",
		`package pg; import _ "github.com/jackc/pgx/v5"; func f() { c.Prepare(ctx, "n", q) }`, "must be constant",
	},
	{"sql", "cmd/internal/api/a.go", `package api; func f() { r.URL.Query().Get("a"); exec.Query(a + b) }`, ""},

	{"machines", "docs/a.md", "\nsee `/" + "work/main`\n", "names a place"},
	{"machines", "Makefile", "x = /ro" + "ot/go\n", "names a place"},
	{"machines", "docs/a.md", "from https://registry" + ".npmjs.org/ws\n", "names a place"},
	{"machines", "deploy/Dockerfile", "ENV GOPROXY=https://proxy" + ".golang.org\n", "names a place"},
	{"machines", "docs/a.md", "the network/work/flow and https://example.org/root/x\n", ""},
}

// TestPlantedViolations shows that each rule fails where it should, and only there.
func TestPlantedViolations(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range slices.Concat(importCases, shapeCases, callCases, textCases) {
		tree, err := Parse(map[string]string{c.path: c.source})
		if err != nil {
			t.Errorf("%s in %s: %v", c.rule, c.path, err)
			continue
		}
		var got []Violation
		for _, v := range Check(tree) {
			if v.Rule == c.rule {
				got = append(got, v)
			}
		}
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%.100q\nis fine, but: %v", c.source, got)
		case c.want != "" && (len(got) == 0 || !strings.Contains(got[0].Message, c.want)):
			t.Errorf("%s in %s: %.100q\ngave %v, want %q", c.rule, c.path, c.source, got, c.want)
		}
		seen[c.rule] = seen[c.rule] || c.want != ""
	}
	for _, rule := range Rules() {
		if !seen[rule.Name] {
			t.Errorf("no planted violation shows that %s can fail", rule.Name)
		}
	}
}

// TestViolationsNameTheirLine plants a wrong import beside right ones.
func TestViolationsNameTheirLine(t *testing.T) {
	tree, err := Parse(map[string]string{
		"rooms/quiz/a.go": "package quiz\n\nimport (\n\t\"lectern/rooms/effect\"\n\t\"lectern/rooms/chat\"\n)\n",
		"rooms/chat/a.go": "package chat\n\nimport \"lectern/rooms/effect\"\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	found := imports(tree)
	if len(found) != 1 || found[0].Path != "rooms/quiz/a.go" || found[0].Line != 5 {
		t.Fatalf("got %v", found)
	}
}

func TestBrokenSourceIsAnError(t *testing.T) {
	if _, err := Parse(map[string]string{"rooms/a.go": "package"}); err == nil {
		t.Fatal("no error for a file that does not parse")
	}
}
