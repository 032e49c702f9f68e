package tidy

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// direction says what the packages under a folder may import of ours, beside themselves and what lies below them.
// The longest folder that fits decides. tests may be imported by test files in addition.
type direction struct {
	folder string
	may    []string
	tests  []string
}

// The two vocabularies that the layers share: plain data, so that no layer needs another's types.
const (
	wireWords   = "protocol/wire"
	effectWords = "rooms/effect"
)

// directions is the map of the layers. Reasons: the loops and the wire know nothing of rooms, so they can be
// measured and fuzzed alone; a room is a machine without I/O, so it can be simulated; the domains under rooms meet
// only in package rooms; stores implement ports that rooms declares; the load harness sees the server as any client
// does, so it can't flatter it and can drive others.
var directions = []direction{
	{folder: "netpoll"},
	{folder: "protocol", may: []string{"protocol"}},
	{folder: "protocol/wire"},

	{folder: "rooms", may: []string{wireWords, "rooms"}, tests: []string{"persist/mem"}},
	{folder: "rooms/effect", may: []string{wireWords}},
	{folder: "rooms/sim", may: []string{wireWords, "rooms", "persist"}},

	{folder: "persist", may: []string{wireWords, effectWords, "=rooms", "rooms/auth", "persist"}},

	{folder: "bench", may: []string{"protocol", "bench"}},

	{folder: "cmd/internal/handoff", may: []string{"protocol/http1"}},
	{folder: "cmd/internal/engineio", may: []string{"netpoll", "protocol"}},
	{
		folder: "cmd/internal/conformance",
		may:    []string{"netpoll", "protocol", "cmd/internal/handoff", "cmd/internal/engineio"},
	},
	{
		folder: "cmd/internal/gateway",
		may:    []string{"netpoll", "protocol", "rooms", "cmd/internal/handoff", "cmd/internal/engineio"},
		tests:  []string{"persist/mem"},
	},
	{
		folder: "cmd/internal/api", may: []string{"protocol", "rooms", "=persist", "persist/search", "cmd/internal/config"},
		tests: []string{"persist/mem", "persist/sqlite"},
	},
	{folder: "cmd/internal/web", may: []string{"protocol/client/js", "protocol/schema"}},
	{folder: "cmd/internal/config"},
	{folder: "cmd/internal/handover"},
	{
		folder: "cmd/internal/ops",
		may: []string{
			"netpoll", wireWords, "rooms", "=persist", "persist/search", "cmd/internal/gateway", "cmd/internal/config",
		},
	},
	{folder: "cmd/internal/tidy"},
	{
		folder: "cmd/internal/capacity",
		may:    []string{"netpoll", "protocol", "rooms", "persist", "cmd/internal/gateway", "bench/client"},
	},
	{folder: "cmd/internal/e2e", may: []string{"protocol", "bench/client"}},
	{
		folder: "cmd/internal/app",
		may:    []string{"netpoll", "protocol", "rooms", "persist", "cmd/internal"},
		tests:  []string{"bench"},
	},
	{folder: "cmd/lectern", may: []string{"cmd/internal", "protocol", "rooms", "persist", "netpoll", "bench"}},
}

// domains are the machines under rooms; each may import the shared vocabularies and nothing else of rooms.
// Every folder under rooms that is not named here by its own direction is one.
func directionOf(dir string) (direction, bool) {
	best, found := direction{}, false
	for _, d := range directions {
		if within(dir, d.folder) && len(d.folder) >= len(best.folder) {
			best, found = d, true
		}
	}
	if best.folder == "rooms" && dir != "rooms" {
		domain := strings.Join(strings.Split(dir, "/")[:2], "/")
		return direction{folder: domain, may: []string{wireWords, effectWords}, tests: []string{"persist/mem"}}, true
	}
	return best, found
}

func within(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

// allows says whether one entry of a direction covers the package; "=a" covers a and not what lies below it.
func allows(entry, dir string) bool {
	if exact, ok := strings.CutPrefix(entry, "="); ok {
		return dir == exact
	}
	return within(dir, entry)
}

// imports keeps the directions between our own packages.
func imports(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		from, known := directionOf(f.Dir())
		if !known {
			out = append(out, Violation{Path: f.Path, Message: "this folder has no place in the map of layers: add it to tidy"})
			continue
		}
		may := slices.Concat(from.may, []string{from.folder})
		if f.Test {
			may = append(may, from.tests...)
		}
		for _, spec := range f.AST.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			dir, ours := strings.CutPrefix(name, Module+"/")
			if ours && !slices.ContainsFunc(may, func(entry string) bool { return allows(entry, dir) }) {
				out = append(out, t.at(f, spec.Pos(), "%s must not import %s", from.folder, dir))
			}
		}
	}
	return out
}

// dependencyHomes gives each dependency the folders that may import it: one home each, so that it can be replaced
// there. Test files are held to it too. A dependency that only tests use is named in testOnly.
var dependencyHomes = map[string][]string{
	"github.com/panjf2000/gnet":               {"netpoll", "bench/peers"},
	"github.com/gobwas/ws":                    {"protocol/ws", "bench/peers"},
	"github.com/lxzan/gws":                    {"bench/peers/gopeers"}, // a module of its own
	"github.com/lesismal/nbio":                {"bench/peers/gopeers"},
	"github.com/centrifugal/centrifuge":       {"bench/peers/gopeers"},
	"github.com/bytedance/sonic":              {"protocol/native"},
	"github.com/klauspost/compress":           {"protocol/ws"},
	"golang.org/x/sys":                        {"netpoll", "bench", "persist/sqlite", "cmd"},
	"modernc.org/sqlite":                      {"persist/sqlite"},
	"github.com/jackc/pgx":                    {"persist/pg"},
	"github.com/redis/rueidis":                {"persist/redis"},
	"github.com/pressly/goose":                {"persist/sqlite", "persist/pg"},
	"github.com/golang-jwt/jwt":               {"rooms/auth"},
	"github.com/prometheus/client_golang":     {"cmd/internal/ops"},
	"github.com/prometheus/client_model":      {"cmd/internal/ops"},
	"github.com/arl/statsviz":                 {"cmd/internal/ops"},
	"github.com/danielgtaylor/huma":           {"cmd/internal/api"},
	"github.com/skip2/go-qrcode":              {"cmd/internal/api"},
	"github.com/knadh/koanf":                  {"cmd/internal/config"},
	"github.com/spf13/cobra":                  {"cmd/lectern"},
	"github.com/spf13/pflag":                  {"cmd/lectern"},
	"golang.org/x/term":                       {"cmd/lectern", "bench"},
	"github.com/mattn/go-isatty":              {"cmd/lectern", "bench"},
	"github.com/xuri/excelize":                {"protocol/quizfile"},
	"github.com/microcosm-cc/bluemonday":      {"protocol/quizfile"},
	"golang.org/x/net/html":                   {"protocol/quizfile"},
	"github.com/mtibben/confusables":          {"rooms/moderation"},
	"mvdan.cc/xurls":                          {"rooms/moderation"},
	"github.com/HdrHistogram/hdrhistogram-go": {"bench"},
	"golang.org/x/sync":                       {"cmd", "persist"},

	// In a block of its own, for its length.
	"golang.org/x/text": {"rooms/moderation", "protocol/quizfile", "protocol/schema", "persist/search"},
}

// testOnly are dependencies that no file outside tests may import; storetest is a suite for tests.
var testOnly = []string{
	"pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp", "github.com/santhosh-tekuri/jsonschema",
}

// homes keeps every dependency in its home, and every dependency on the list.
func homes(t *Tree) []Violation {
	var out []Violation
	known := slices.Collect(maps.Keys(dependencyHomes))
	for _, f := range t.Go(true) {
		for _, spec := range f.AST.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
				continue // ours or the standard library's
			}
			if slices.ContainsFunc(testOnly, func(dep string) bool { return within(name, dep) }) {
				if !f.Test && !f.In("persist/storetest", "rooms/sim") {
					out = append(out, t.at(f, spec.Pos(), "%s is for tests", name))
				}
				continue
			}
			i := slices.IndexFunc(known, func(dep string) bool { return within(name, dep) })
			if i < 0 {
				out = append(out, t.at(f, spec.Pos(), "%s has no home: give it one in tidy", name))
			} else if home := dependencyHomes[known[i]]; !f.In(home...) {
				out = append(out, t.at(f, spec.Pos(), "%s has its home in %s", name, strings.Join(home, ", ")))
			}
		}
	}
	return out
}

var topEntries = []string{
	"bench", "cmd", "netpoll", "persist", "protocol", "rooms", "docs", "deploy",
	"Makefile", "README.md", "LICENSE", "go.mod", "go.sum",
}

// topLevel keeps the top of the repository to what was agreed, and files that begin with a dot.
func topLevel(t *Tree) []Violation {
	var out []Violation
	seen := map[string]bool{}
	for _, f := range t.Files {
		top, _, _ := strings.Cut(f.Path, "/")
		if !seen[top] && !strings.HasPrefix(top, ".") && !slices.Contains(topEntries, top) {
			out = append(out, Violation{Path: top, Message: "has no place at the top level"})
		}
		seen[top] = true
	}
	return out
}

var emptyNames = regexp.MustCompile(`^(utils?|common|commons|helpers?|misc|base|shared|types|lib)$`)

// packageNames refuses names that say nothing about what is inside.
func packageNames(t *Tree) []Violation {
	var out []Violation
	seen := map[string]bool{}
	for _, f := range t.Go(false) {
		if !seen[f.Dir()] && emptyNames.MatchString(path.Base(f.Dir())) {
			out = append(out, Violation{Path: f.Dir(), Message: "the name of a package tells what it is about"})
		}
		seen[f.Dir()] = true
	}
	return out
}
