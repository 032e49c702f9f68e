package native

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

// shape is what the JSON of a Go type looks like. Walking by it finds what a decoder passes over (members that stand
// twice, null in place of an element, required members that are missing) and says exactly where a fault is.
type shape struct {
	kind    kind
	elem    *shape
	members []shapeMember
}

type shapeMember struct {
	name     string
	shape    *shape
	required bool // no omitempty and no omitzero
}

type kind uint8

const (
	kindAny kind = iota
	kindString
	kindBool
	kindInteger
	kindUnsigned
	kindNumber
	kindArray
	kindObject
)

var kindNames = [...]string{
	"anything", "a string", "true or false", "an integer", "an integer", "a number", "a list", "an object",
}

// shapes are those of the payloads.
var shapes = func() (all [wire.OpCount]*shape) {
	for op, payload := range payloads {
		if payload != nil {
			all[op] = shapeOf(reflect.TypeOf(payload()).Elem())
		}
	}
	return all
}()

var quizShape = *shapeOf(reflect.TypeFor[wire.Quiz]())

var (
	textType = reflect.TypeFor[interface{ UnmarshalText(text []byte) error }]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// shapeOf follows the rules of encoding/json for the types that payloads are made of; a type that it does not know is a
// programmer's mistake and panics at the start.
func shapeOf(t reflect.Type) *shape {
	if t == rawType {
		return &shape{kind: kindAny}
	}
	if t.Kind() == reflect.Pointer {
		return shapeOf(t.Elem())
	}
	if reflect.PointerTo(t).Implements(textType) {
		return &shape{kind: kindString}
	}
	switch t.Kind() {
	case reflect.String:
		return &shape{kind: kindString}
	case reflect.Bool:
		return &shape{kind: kindBool}
	case reflect.Int, reflect.Int64:
		return &shape{kind: kindInteger}
	case reflect.Uint64:
		return &shape{kind: kindUnsigned}
	case reflect.Float64:
		return &shape{kind: kindNumber}
	case reflect.Slice:
		return &shape{kind: kindArray, elem: shapeOf(t.Elem())}
	case reflect.Struct:
		s := &shape{kind: kindObject}
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			s.members = append(s.members, shapeMember{name, shapeOf(t.Field(i).Type), !strings.HasPrefix(options, "omit")})
		}
		return s
	}
	panic("native: no JSON shape for " + t.String()) // a payload type with a kind of member that is new
}

// misfit is a fault on its way out: path grows at its front.
type misfit struct {
	path    string
	rule    wire.Rule
	message string
}

func (f *misfit) within(segment string) *misfit {
	switch {
	case f.path == "":
		f.path = segment
	case f.path[0] == '[':
		f.path = segment + f.path
	default:
		f.path = segment + "." + f.path
	}
	return f
}

func (f *misfit) asError() *wire.Error {
	path := f.path
	if path == "" {
		path = "data"
	}
	return wire.NewError(wire.CodeInvalidData, "%s %s", path, f.message).At(path).Breaking(f.rule)
}

func twice(name string) *wire.Error {
	return wire.NewError(wire.CodeInvalidData, "%s stands twice", name).At(name).Breaking(wire.RuleUniqueMembers)
}

// walker goes through data whose grammar the scanner has checked.
type walker struct {
	scanner
	odd []oddInteger
}

// oddInteger is a literal such as 1e3 or 2.0: an integer to JSON Schema, but none to Go's decoders.
type oddInteger struct {
	start, end int
	value      int64
}

func (w *walker) walk(s *shape) *misfit {
	fits := false
	switch c := w.in[w.pos]; {
	case s.kind == kindAny:
		fits = true
	case c == '{' && s.kind == kindObject:
		return w.walkObject(s)
	case c == '[' && s.kind == kindArray:
		return w.walkArray(s)
	case c == '"':
		fits = s.kind == kindString
	case c == 't', c == 'f':
		fits = s.kind == kindBool
	case c == '-', c >= '0' && c <= '9':
		return w.walkNumber(s)
	}
	if !fits {
		return &misfit{rule: wire.RuleType, message: "must be " + kindNames[s.kind]}
	}
	return w.skip()
}

func (w *walker) skip() *misfit {
	if !w.value() {
		return &misfit{rule: wire.RuleType, message: "is malformed"}
	}
	return nil
}

func (w *walker) walkArray(s *shape) *misfit {
	w.pos++
	w.space()
	if w.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		w.space()
		if f := w.walk(s.elem); f != nil {
			return f.within("[" + strconv.Itoa(i) + "]")
		}
		w.space()
		if !w.take(',') {
			w.take(']')
			return nil
		}
	}
}

func (w *walker) walkObject(s *shape) *misfit {
	w.pos++
	var seen uint64
	for {
		w.space()
		if w.take('}') {
			break
		}
		raw, _ := w.key()
		at := s.find(plainName(raw))
		if at < 0 {
			if f := w.skip(); f != nil {
				return f
			}
		} else {
			m := &s.members[at]
			if seen&(1<<at) != 0 {
				return &misfit{path: m.name, rule: wire.RuleUniqueMembers, message: "stands twice"}
			}
			seen |= 1 << at
			// null stands for a member that is not there.
			if w.in[w.pos] == 'n' && (!m.required || m.shape.kind == kindAny) {
				w.pos += len("null")
			} else if f := w.walk(m.shape); f != nil {
				return f.within(m.name)
			}
		}
		w.space()
		w.take(',')
	}
	for i := range s.members {
		if m := &s.members[i]; m.required && seen&(1<<i) == 0 {
			return &misfit{path: m.name, rule: wire.RuleRequired, message: "is missing"}
		}
	}
	return nil
}

func (s *shape) find(name []byte) int {
	for i := range s.members {
		if s.members[i].name == string(name) {
			return i
		}
	}
	return -1
}

func (w *walker) walkNumber(s *shape) *misfit {
	start := w.pos
	if f := w.skip(); f != nil {
		return f
	}
	literal := w.in[start:w.pos]
	switch s.kind {
	case kindInteger, kindUnsigned:
	case kindNumber:
		if v, err := strconv.ParseFloat(string(literal), 64); err != nil || math.IsInf(v, 0) {
			rule := wire.RuleMaximum
			if literal[0] == '-' {
				rule = wire.RuleMinimum
			}
			return &misfit{rule: rule, message: "must be a number that a double holds"}
		}
		return nil
	default:
		return &misfit{rule: wire.RuleType, message: "must be " + kindNames[s.kind]}
	}
	v, rule := integerOf(literal)
	if rule == "" && v < 0 && s.kind == kindUnsigned {
		rule = wire.RuleMinimum
	}
	if rule == wire.RuleType {
		return &misfit{rule: rule, message: "must be an integer"}
	}
	if rule != "" {
		return &misfit{rule: rule, message: "is out of range"}
	}
	if literal[0] == '-' || !digitsOnly(string(literal)) {
		w.odd = append(w.odd, oddInteger{start, w.pos, v})
	}
	return nil
}

// canonical is the data with every integer written in digits.
func (w *walker) canonical() []byte {
	if len(w.odd) == 0 {
		return w.in
	}
	out := make([]byte, 0, len(w.in)+16*len(w.odd))
	from := 0
	for _, o := range w.odd {
		out = strconv.AppendInt(append(out, w.in[from:o.start]...), o.value, 10)
		from = o.end
	}
	return append(out, w.in[from:]...)
}

// integerOf is the value of a JSON number without a fraction, whichever way it is written. rule is type for anything
// else, and minimum or maximum for what does not fit.
func integerOf(literal []byte) (int64, wire.Rule) {
	text := string(literal)
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, wire.RuleType
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return v, ""
	}
	digits, beyond := strings.TrimPrefix(text, "-"), wire.RuleMaximum
	if digits != text {
		beyond = wire.RuleMinimum
	}
	exponent := 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		// An exponent too large for an int is as good as the largest one.
		exponent, _ = strconv.Atoi(strings.TrimPrefix(digits[at+1:], "+"))
		digits = digits[:at]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimRight(whole+fraction, "0")
	exponent = min(max(exponent, -1<<30), 1<<30) - len(fraction) + len(whole+fraction) - len(digits)
	digits = strings.TrimLeft(digits, "0")
	switch {
	case digits == "":
		return 0, ""
	case exponent < 0:
		return 0, wire.RuleType
	case len(digits)+exponent > 19:
		return 0, beyond
	}
	v, err := strconv.ParseInt(digits+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, beyond
	}
	if beyond == wire.RuleMinimum {
		v = -v
	}
	return v, ""
}
