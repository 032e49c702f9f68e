package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/message"

	"lectern/protocol/wire"
)

// reference judges messages by the published files alone.
type reference struct {
	envelope *jsonschema.Schema
	requests map[string]*jsonschema.Schema // by op
}

func loadReference(t testing.TB) *reference {
	t.Helper()
	c := newCompiler()
	r := &reference{envelope: compile(t, c, "message.json"), requests: map[string]*jsonschema.Schema{}}
	for _, op := range wire.Ops() {
		r.requests[op.Op.String()] = compile(t, c, RequestFile(op.Op))
	}
	return r
}

func newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: "urn:lectern:keywords", Compile: compileNotAbove})
	c.AssertVocabs()
	return c
}

func compile(t testing.TB, c *jsonschema.Compiler, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := fs.ReadFile(Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("http://server/schemas/"+name, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("http://server/schemas/" + name)
	if err != nil {
		t.Fatalf("%s is no valid schema: %v", name, err)
	}
	return s
}

// notAbove is the keyword x-notAbove: of each pair of members that are both numbers, the first is not the greater one.
type notAbove map[string]string

func compileNotAbove(_ *jsonschema.CompilerContext, obj map[string]any) (jsonschema.SchemaExt, error) {
	pairs, ok := obj["x-notAbove"].(map[string]any)
	if !ok {
		return nil, nil
	}
	n := notAbove{}
	for low, high := range pairs {
		n[low] = high.(string)
	}
	return n, nil
}

// Validate implements jsonschema.SchemaExt.
func (n notAbove) Validate(ctx *jsonschema.ValidatorContext, v any) {
	members, _ := v.(map[string]any)
	for low, high := range n {
		a, okA := members[low].(json.Number)
		b, okB := members[high].(json.Number)
		x, _ := a.Float64()
		y, _ := b.Float64()
		if okA && okB && x > y {
			ctx.AddError(notAboveFault{})
		}
	}
}

type notAboveFault struct{}

// KeywordPath implements jsonschema.ErrorKind.
func (notAboveFault) KeywordPath() []string { return []string{string(wire.RuleNotAbove)} }

// LocalizedString implements jsonschema.ErrorKind.
func (notAboveFault) LocalizedString(*message.Printer) string { return "a member is above another one" }

// fault is one place where the reference objects, and by which keyword.
type fault struct{ pointer, rule string }

// judge gives the faults of a message; none: it is good. text is valid JSON without members that stand twice.
func (r *reference) judge(text []byte) []fault {
	value := readExactly(text)
	members, _ := value.(map[string]any)
	name, _ := members["op"].(string)
	s := r.envelope
	if known, ok := r.requests[name]; ok {
		s = known
	}
	var faults []fault
	if err := s.Validate(value); err != nil {
		collect(err.(*jsonschema.ValidationError), &faults)
	}
	return append(faults, tooLong(name, text)...)
}

// tooLong applies x-maxBytes, which is about the text and so beyond a validator of values.
func tooLong(op string, text []byte) (faults []fault) {
	var m struct{ Data map[string]json.RawMessage }
	_ = json.Unmarshal(text, &m) // data of another type has no such members
	for _, limit := range []struct {
		op, member string
		bytesMax   int
	}{{"room:publish", "payload", wire.PublishBytesMax}, {"quiz:answer", "answer", wire.AnswerBytesMax}} {
		if op == limit.op && len(m.Data[limit.member]) > limit.bytesMax {
			faults = append(faults, fault{"/data/" + limit.member, string(wire.RuleMaxBytes)})
		}
	}
	return faults
}

// collect gathers the innermost faults, and those outer ones that have a keyword of their own.
func collect(e *jsonschema.ValidationError, into *[]fault) {
	at := ""
	for _, segment := range e.InstanceLocation {
		at += "/" + segment
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, missing := range k.Missing {
			*into = append(*into, fault{at + "/" + missing, "required"})
		}
	case *kind.Not:
		*into = append(*into, fault{at, "not"})
	case *kind.Const, *kind.Enum:
		*into = append(*into, fault{at, "enum"})
	default:
		if path := e.ErrorKind.KeywordPath(); len(path) > 0 {
			*into = append(*into, fault{at, path[0]})
		}
	}
	for _, cause := range e.Causes {
		collect(cause, into)
	}
}

// readExactly parses JSON as a reader with doubles does: integers are exact while an int64 holds them, everything else
// is rounded to a double.
func readExactly(text []byte) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		panic(fmt.Sprintf("not JSON: %v", err)) // the caller has checked it
	}
	return rounded(v)
}

func rounded(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = rounded(v[name])
		}
	case []any:
		for i := range v {
			v[i] = rounded(v[i])
		}
	case json.Number:
		return roundedNumber(string(v))
	}
	return v
}

func roundedNumber(literal string) json.Number {
	f, err := strconv.ParseFloat(literal, 64)
	mantissa := literal
	if at := strings.IndexAny(literal, "eE"); at >= 0 {
		mantissa = literal[:at]
	}
	switch {
	case err != nil && f < 0:
		return "-1e400"
	case err != nil:
		return "1e400"
	case f == 0 && strings.ContainsAny(mantissa, "123456789"):
		return "1e-300" // a fraction, though too small for a double
	case math.Abs(f) < 1<<62 && mantissa == literal:
		return json.Number(literal)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}

// hasTwins says whether a member stands twice anywhere.
func hasTwins(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	type level struct {
		object bool
		name   bool // the next string is a name
		seen   []string
	}
	var stack []level
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		top := len(stack) - 1
		if top >= 0 && stack[top].object && stack[top].name {
			if name, ok := token.(string); ok {
				if slices.Contains(stack[top].seen, name) {
					return true
				}
				stack[top].seen = append(stack[top].seen, name)
				stack[top].name = false
				continue
			}
		}
		if top >= 0 {
			stack[top].name = true
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{object: true, name: true})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
	}
}
