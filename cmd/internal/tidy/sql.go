package tidy

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// queryArgument gives the place of the query among the arguments of database/sql's methods.
var queryArgument = map[string]int{
	"Exec": 0, "Query": 0, "QueryRow": 0, "Prepare": 0,
	"ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1,
}

// pgxArgument is the same for pgx, whose methods take a context first; a batch's Queue takes none, and the name of a
// prepared statement comes before its text.
var pgxArgument = map[string]int{"Exec": 1, "Query": 1, "QueryRow": 1, "Prepare": 2, "Queue": 0}

// builtFromConstants are files whose queries are put together from constants in a way that this rule can't follow,
// each with the reason why no value of a user can get into them.
var builtFromConstants = map[string]string{
	"persist/sqlite/statements.go": "a table of literals, prepared once; the only built one repeats \"(?,?,?,?,?)\"",
}

var statement = regexp.MustCompile(`(?i)^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|WITH|REPLACE)\s`)

// parameterisedSQL allows a query under persist to be a constant, or a parameter of a function that is itself held to
// this rule wherever its package calls it; values travel as arguments. It follows functions of one package and
// names declared as constants; everything else must be in builtFromConstants. In files without SQL methods a string
// that begins like a statement must not be formatted or joined to anything that is not constant either.
func parameterisedSQL(t *Tree) []Violation {
	packages := map[string][]*File{}
	for _, f := range t.Go(false) {
		if f.In("persist") {
			packages[f.Dir()] = append(packages[f.Dir()], f)
		}
	}
	var out []Violation
	for _, files := range packages {
		p := &sqlPackage{tree: t, constants: map[string]bool{}, sinks: map[string]int{}, methods: methodsOf(files)}
		p.declare(files)
		for p.grow(files) { // until no more function is found to pass a parameter on
		}
		out = append(out, p.violations(files)...)
	}
	return out
}

// methodsOf tells the drivers apart: a package that imports pgx calls its methods.
func methodsOf(files []*File) map[string]int {
	for _, f := range files {
		for _, spec := range f.AST.Imports {
			if name, _ := strconv.Unquote(spec.Path.Value); within(name, "github.com/jackc/pgx") {
				return pgxArgument
			}
		}
	}
	return queryArgument
}

type sqlPackage struct {
	tree      *Tree
	methods   map[string]int // which argument of a driver's method is a query
	constants map[string]bool
	sinks     map[string]int // functions of the package: which argument is a query
}

func (p *sqlPackage) declare(files []*File) {
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			d, ok := n.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				return true
			}
			for _, spec := range d.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					p.constants[name.Name] = true
				}
			}
			return true
		})
	}
}

// query gives the query of a call that runs or prepares one, nil for other calls.
func (p *sqlPackage) query(call *ast.CallExpr) ast.Expr {
	name := called(call)
	if at, ok := p.sinks[name]; ok && at < len(call.Args) {
		return call.Args[at]
	}
	if method, ok := call.Fun.(*ast.SelectorExpr); ok && !prepared(method.X, call) {
		if at, ok := p.methods[name]; ok && at < len(call.Args) {
			return call.Args[at]
		}
	}
	return nil
}

// prepared says whether a call runs a statement that was prepared before, which takes only values: it is one of the
// fields of stmts, or all that follows the context is a slice of values.
func prepared(receiver ast.Expr, call *ast.CallExpr) bool {
	if call.Ellipsis.IsValid() && len(call.Args) <= 2 {
		return true
	}
	field, ok := receiver.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch of := field.X.(type) {
	case *ast.Ident:
		return of.Name == "stmts"
	case *ast.SelectorExpr:
		return of.Sel.Name == "stmts"
	}
	return false
}

// grow adds the functions that pass a parameter of theirs on as a query, and says whether there was a new one.
func (p *sqlPackage) grow(files []*File) bool {
	grew := false
	eachCall(files, func(_ *File, fn *ast.FuncDecl, call *ast.CallExpr) {
		name, ok := p.query(call).(*ast.Ident)
		if !ok {
			return
		}
		if at, ok := parameter(fn, name.Name); ok {
			if _, known := p.sinks[fn.Name.Name]; !known {
				p.sinks[fn.Name.Name], grew = at, true
			}
		}
	})
	return grew
}

func (p *sqlPackage) violations(files []*File) []Violation {
	var out []Violation
	eachCall(files, func(f *File, fn *ast.FuncDecl, call *ast.CallExpr) {
		if builtFromConstants[f.Path] != "" {
			return
		}
		if q := p.query(call); q != nil && !p.constant(fn, q) {
			out = append(out, p.tree.at(f, q.Pos(), "a query must be constant: pass values as arguments"))
		}
		if strings.HasPrefix(called(call), "Sprint") && len(call.Args) > 0 && beginsStatement(call.Args[0]) {
			out = append(out, p.tree.at(f, call.Pos(), "a formatted query: pass values as arguments"))
		}
	})
	for _, f := range files {
		if builtFromConstants[f.Path] != "" {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			sum, ok := n.(*ast.BinaryExpr)
			if !ok || sum.Op != token.ADD || !beginsStatement(sum) {
				return true
			}
			if !p.constant(nil, sum) {
				out = append(out, p.tree.at(f, sum.Pos(), "a query joined from pieces: pass values as arguments"))
			}
			return false
		})
	}
	return out
}

// constant says whether an expression is made of literals, constants and, inside fn, its parameters that are checked
// at its callers.
func (p *sqlPackage) constant(fn *ast.FuncDecl, e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return p.constant(fn, x.X)
	case *ast.BinaryExpr:
		return p.constant(nil, x.X) && p.constant(nil, x.Y)
	case *ast.Ident:
		if p.constants[x.Name] {
			return true
		}
		if fn == nil {
			return false
		}
		at, ok := parameter(fn, x.Name)
		sink, known := p.sinks[fn.Name.Name]
		return ok && known && at == sink
	}
	return false
}

func beginsStatement(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return x.Kind == token.STRING && statement.MatchString(strings.Trim(x.Value, "\"`"))
	case *ast.BinaryExpr:
		return beginsStatement(x.X)
	}
	return false
}

// parameter gives the place of a named parameter of the function.
func parameter(fn *ast.FuncDecl, name string) (int, bool) {
	at := 0
	for _, field := range fn.Type.Params.List {
		for _, id := range field.Names {
			if id.Name == name {
				return at, true
			}
			at++
		}
	}
	return 0, false
}

func eachCall(files []*File, visit func(f *File, fn *ast.FuncDecl, call *ast.CallExpr)) {
	for _, f := range files {
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					visit(f, fn, call)
				}
				return true
			})
		}
	}
}
