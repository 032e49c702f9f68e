package tidy

import (
	"go/ast"
	"strings"
	"unicode/utf8"
)

// The limits. Columns are runes and a tab is one, as the usual line-length linters count.
const (
	fileLinesMax     = 500
	testLinesMax     = 1500
	functionLinesMax = 70
	columnsMax       = 120
	fieldsMax        = 25
)

// measured are the kinds of source whose files and lines are limited.
func measured(f *File) bool {
	if strings.Contains("/"+f.Path, "/testdata/") || strings.HasSuffix(f.Path, ".min.js") {
		return false
	}
	return strings.HasSuffix(f.Path, ".go") || strings.HasSuffix(f.Path, ".js") || strings.HasSuffix(f.Path, ".css")
}

// fileSize limits the lines of a file: tests may be longer, since a table of cases is read one case at a time.
func fileSize(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Files {
		limit := fileLinesMax
		if f.Test || strings.HasSuffix(f.Path, ".test.js") {
			limit = testLinesMax
		}
		if n := strings.Count(f.Text, "\n"); measured(f) && n > limit {
			out = append(out, Violation{Path: f.Path, Line: limit + 1, Message: sprint(n, "lines, at most", limit)})
		}
	}
	return out
}

// functionSize limits the lines from a function's func to its closing brace.
func functionSize(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := t.line(fn.End()) - t.line(fn.Pos()) + 1; n > functionLinesMax {
				out = append(out, t.at(f, fn.Pos(), "%s has %d lines, at most %d", fn.Name.Name, n, functionLinesMax))
			}
		}
	}
	return out
}

// lineWidth limits the columns of a line of Go. Markup in scripts and style sheets is left to their authors.
func lineWidth(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Files {
		if f.AST == nil {
			continue
		}
		number := 0
		for line := range strings.SplitSeq(f.Text, "\n") {
			number++
			if n := utf8.RuneCountInString(line); n > columnsMax {
				out = append(out, Violation{Path: f.Path, Line: number, Message: sprint(n, "columns, at most", columnsMax)})
			}
		}
	}
	return out
}

// structSize limits the fields of a struct, and of each group where a longer one is split into groups: runs of fields
// with an empty line between them, each led by a comment.
func structSize(t *Tree) []Violation {
	var out []Violation
	for _, f := range t.Go(true) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok || countFields(s.Fields.List) <= fieldsMax {
				return true
			}
			for _, group := range t.groups(f, s.Fields.List) {
				if group[0].Doc == nil {
					out = append(out, t.at(f, group[0].Pos(), "a struct of over %d fields needs a comment per group", fieldsMax))
				} else if n := countFields(group); n > fieldsMax {
					out = append(out, t.at(f, group[0].Pos(), "a group of %d fields, at most %d", n, fieldsMax))
				}
			}
			return true
		})
	}
	return out
}

func countFields(list []*ast.Field) int {
	n := 0
	for _, field := range list {
		n += max(1, len(field.Names))
	}
	return n
}

// groups splits fields at empty lines. A field's comment above it belongs to it.
func (t *Tree) groups(f *File, list []*ast.Field) [][]*ast.Field {
	var out [][]*ast.Field
	end := -1
	for _, field := range list {
		start := t.line(field.Pos())
		if field.Doc != nil {
			start = t.line(field.Doc.Pos())
		}
		if start > end+1 || len(out) == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], field)
		end = t.line(field.End())
	}
	return out
}
