package generate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
)

// comments has what the source says about types ("ChatMessage") and their members ("ChatMessage.links").
type comments map[string]string

// readComments reads the Go files of a folder.
func readComments(source fs.FS) (comments, error) {
	names, err := fs.Glob(source, "*.go")
	if err != nil {
		return nil, err
	}
	all := comments{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				all.take(g)
			}
		}
	}
	return all, nil
}

func (c comments) take(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		t := spec.(*ast.TypeSpec)
		c[t.Name.Name] = withoutName(t.Name.Name, oneLine(g.Doc))
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, n := range f.Names {
				c[t.Name.Name+"."+n.Name] = oneLine(f.Comment)
			}
		}
	}
}

func oneLine(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }

// withoutName takes "ChatSendData is the data of …" to "The data of …": readers of a schema do not know Go's names.
func withoutName(name, said string) string {
	for _, verb := range []string{" is ", " are "} {
		if rest, ok := strings.CutPrefix(said, name+verb); ok && rest != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return said
}
