package tidy

import (
	"fmt"
	"go/ast"
	"strings"
)

func sprint(args ...any) string { return strings.TrimSuffix(fmt.Sprintln(args...), "\n") }

// documented asks for a comment at every exported symbol, and for one package comment per package. A group of
// constants or variables may share the comment above the group; one at the end of the line counts too. Fields and
// the methods of unexported types are left to judgement.
func documented(t *Tree) []Violation {
	var out []Violation
	about, first := map[string]bool{}, map[string]*File{}
	for _, f := range t.Go(false) {
		about[f.Dir()] = about[f.Dir()] || f.AST.Doc != nil
		if first[f.Dir()] == nil {
			first[f.Dir()] = f
		}
		if f.AST.Name.Name == "main" {
			continue
		}
		for _, decl := range f.AST.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
					out = append(out, t.at(f, d.Pos(), "%s has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				out = append(out, t.undocumentedSpecs(f, d)...)
			}
		}
	}
	for dir, f := range first {
		if !about[dir] {
			out = append(out, Violation{Path: f.Path, Line: 1, Message: "the package has no comment"})
		}
	}
	return out
}

func (t *Tree) undocumentedSpecs(f *File, d *ast.GenDecl) []Violation {
	var out []Violation
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				out = append(out, t.at(f, s.Pos(), "type %s has no comment", s.Name.Name))
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					out = append(out, t.at(f, name.Pos(), "%s has no comment", name.Name))
				}
			}
		}
	}
	return out
}

// exportedReceiver says whether a function is one of the package or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
