// Package tidy keeps the repository's own rules: which package may import which, where a dependency has its home, how
// long files and functions may be, what must be documented, and which calls have no place where. What isn't checked
// decays, so each rule is a function over the parsed sources and the package's tests run all of them on this tree.
// Planted violations prove that every rule can fail.
//
// A rule looks at syntax alone: no type checking, no network, well under a second. Where that makes it coarse its
// comment says so.
package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the path that all imports of our own packages begin with.
const Module = "lectern"

// File is one file of the tree as the rules see it.
type File struct {
	Path string    // from the repository's root, with slashes
	Text string    // as it stands on disk; empty for files that are not text
	Test bool      // a Go file that only tests compile
	AST  *ast.File // nil for everything but Go
}

// Dir is the folder of the file from the repository's root, "." for the root itself.
func (f *File) Dir() string { return path.Dir(f.Path) }

// In says whether the file lies in one of the folders or below it.
func (f *File) In(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(f.Path, dir+"/") })
}

// Tree is a set of files, sorted by path, with the positions of what was parsed.
type Tree struct {
	Files []*File
	fset  *token.FileSet
}

// Go gives the parsed Go files, those of tests only on demand.
func (t *Tree) Go(tests bool) []*File {
	var out []*File
	for _, f := range t.Files {
		if f.AST != nil && (tests || !f.Test) {
			out = append(out, f)
		}
	}
	return out
}

func (t *Tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }

// at is a violation where the node begins.
func (t *Tree) at(f *File, pos token.Pos, format string, args ...any) Violation {
	return Violation{Path: f.Path, Line: t.line(pos), Message: fmt.Sprintf(format, args...)}
}

// Violation is one place that breaks a rule. Line is 0 when the whole file or folder does.
type Violation struct {
	Rule    string
	Path    string
	Line    int
	Message string
}

// String is path:line: rule: message, which editors can jump to.
func (v Violation) String() string {
	if v.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", v.Path, v.Rule, v.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", v.Path, v.Line, v.Rule, v.Message)
}

// Rule is one of the repository's rules. Check must not keep or change the tree.
type Rule struct {
	Name  string
	Check func(*Tree) []Violation
}

// Rules are all the rules, in the order in which they are described in this package's files.
func Rules() []Rule {
	return []Rule{
		{"imports", imports},
		{"homes", homes},
		{"top-level", topLevel},
		{"package-names", packageNames},
		{"file-size", fileSize},
		{"function-size", functionSize},
		{"line-width", lineWidth},
		{"struct-size", structSize},
		{"documented", documented},
		{"clock", clock},
		{"randomness", randomness},
		{"sleep", sleep},
		{"printing", printing},
		{"panics", panics},
		{"skips", skips},
		{"goroutines", goroutines},
		{"sql", parameterisedSQL},
		{"machines", machines},
	}
}

// Check runs every rule and gives what breaks them, by rule and then by place.
func Check(t *Tree) []Violation {
	var out []Violation
	for _, rule := range Rules() {
		found := rule.Check(t)
		for i := range found {
			found[i].Rule = rule.Name
		}
		slices.SortFunc(found, func(a, b Violation) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
		})
		out = append(out, found...)
	}
	return out
}

// Parse makes a tree of sources by path. A Go file that does not parse is an error.
func Parse(sources map[string]string) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	for name, text := range sources {
		f := &File{Path: name, Text: text}
		if strings.HasSuffix(name, ".go") && !strings.Contains("/"+name, "/testdata/") {
			parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, fmt.Errorf("tidy: %w", err)
			}
			f.AST, f.Test = parsed, strings.HasSuffix(name, "_test.go")
		}
		t.Files = append(t.Files, f)
	}
	slices.SortFunc(t.Files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

// Load reads the files under root that git tracks or would track: what is ignored is no part of the repository.
func Load(root string) (*Tree, error) {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("tidy: list the files with git: %w", err)
	}
	sources := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return nil, fmt.Errorf("tidy: %w", err)
		}
		if strings.ContainsRune(string(text[:min(len(text), 8000)]), 0) {
			text = nil
		}
		sources[name] = string(text)
	}
	return Parse(sources)
}
