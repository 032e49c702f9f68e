package generate

import (
	"encoding/json"
	"reflect"
	"strings"

	"lectern/protocol/wire"
)

// side is who sends a message.
type side uint8

const (
	client side = iota
	server
)

// builder makes the schemas of types; those of structs go into defs, where others refer to them by prefix.
type builder struct {
	comments comments
	prefix   string
	defs     map[string]Object
	inputs   map[reflect.Type]bool // structs that clients send
}

var (
	roleType     = reflect.TypeFor[wire.Role]()
	codeType     = reflect.TypeFor[wire.Code]()
	ruleType     = reflect.TypeFor[wire.Rule]()
	questionType = reflect.TypeFor[wire.QuestionType]()
	phaseType    = reflect.TypeFor[wire.QuizPhase]()
	createType   = reflect.TypeFor[wire.QuizCreateData]()
	questionOf   = reflect.TypeFor[wire.Question]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

// words are the values of string types that the server sends. Those that may grow are examples, not a closed list.
var words = map[reflect.Type]Object{
	roleType: obj("type", "string", "enum", []string{"observer", "participant", "moderator", "host", "admin"}),
	questionType: obj("type", "string", "enum",
		[]string{"single_choice", "multiple_choice", "true_false", "numeric", "short_text", "poll"}),
	phaseType: obj("type", "string", "enum",
		[]string{"none", "lobby", "open", "closed", "results", "leaderboard", "paused", "ended"}),
	codeType: obj("type", "string", "examples", []string{"invalid_data", "rate_limited"}),
	ruleType: obj("type", "string", "examples", []string{"required", "maxLength"}),
}

// of is the schema of a type as that side sends it. Structs become references.
func (b *builder) of(t reflect.Type, from side) Object {
	if t.Kind() == reflect.Pointer {
		return b.of(t.Elem(), from)
	}
	if t == rawType {
		return Object{}
	}
	if known, ok := words[t]; ok {
		if from == server {
			return known
		}
		return obj("type", "string")
	}
	switch t.Kind() {
	case reflect.String:
		return obj("type", "string")
	case reflect.Bool:
		return obj("type", "boolean")
	case reflect.Int, reflect.Int64:
		return obj("type", "integer")
	case reflect.Uint64:
		return obj("type", "integer", "minimum", 0)
	case reflect.Float64:
		return obj("type", "number")
	case reflect.Slice:
		return obj("type", "array", "items", b.of(t.Elem(), from))
	case reflect.Map:
		return obj("type", "object", "additionalProperties", b.of(t.Elem(), from))
	case reflect.Struct:
		return b.ref(t, from)
	}
	panic("generate: no schema for " + t.String()) // a kind of member that is new: teach it here
}

// ref refers to a struct's schema and makes it if it isn't there yet.
func (b *builder) ref(t reflect.Type, from side) Object {
	name := t.Name()
	if from == server && b.inputs[t] {
		name += "Sent" // the same type as it is promised, not as it is judged
	}
	if _, made := b.defs[name]; !made {
		b.defs[name] = nil // for types that hold themselves
		b.defs[name] = b.structure(t, from)
	}
	return obj("$ref", b.prefix+name)
}

func (b *builder) structure(t reflect.Type, from side) Object {
	if t == createType && from == client {
		return b.create()
	}
	properties, required := Object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		optional := strings.HasPrefix(options, "omit")
		if !optional {
			required = append(required, name)
		}
		s := b.of(f.Type, from)
		if from == client {
			s = restrict(s, rules[t.Name()+"."+name])
			if optional {
				s = nullable(s)
			}
		}
		if said := b.comments[t.Name()+"."+f.Name]; said != "" {
			s = s.With("description", said)
		}
		properties = append(properties, Member{name, s})
	}
	s := obj("description", b.comments[t.Name()], "type", "object")
	if len(required) > 0 {
		s = append(s, Member{"required", required})
	}
	s = append(s, Member{"properties", properties})
	if from == client {
		s = append(s, typeRules[t.Name()]...)
		if t == questionOf {
			s = b.question(s)
		}
	}
	return s
}

// restrict adds a rule to a member's schema.
func restrict(s Object, r rule) Object {
	for _, m := range r {
		s = s.With(m.Name, m.Value)
	}
	return s
}

// nullable lets null stand for a member that is not there.
func nullable(s Object) Object {
	if s.Get("$ref") != nil {
		return obj("anyOf", []Object{s, obj("type", "null")})
	}
	switch t := s.Get("type").(type) {
	case string:
		return s.With("type", []string{t, "null"})
	case []string:
		return s.With("type", append(append([]string(nil), t...), "null"))
	}
	return s
}

// create is the data of quiz:create: a quiz or the id of one, in several forms.
func (b *builder) create() Object {
	id := obj("type", "string").With("description", "the id of a stored quiz")
	id = restrict(id, anID)
	quiz := b.ref(reflect.TypeFor[wire.Quiz](), client)
	noID := obj("quizId", obj("not", obj("type", "string", "minLength", 1)))
	return obj(
		"description", b.comments["QuizCreateData"],
		"type", []string{"object", "string"},
		"properties", obj("quizId", obj("type", []string{"string", "null"}, "description", id.Get("description"))),
		"if", obj("type", "string"),
		"then", id,
		"else", obj(
			"if", there("quiz"),
			"then", obj("properties", append(obj("quiz", obj(
				"if", obj("type", "string"), "then", id, "else", quiz,
			)), noID...)),
			"else", obj(
				"if", there("questions"),
				"then", obj("allOf", []Object{quiz}, "properties", noID),
				"else", obj("required", []string{"quizId"}, "properties", obj("quizId", id)),
			),
		),
	)
}

// there holds for objects with a member other than null.
func there(name string) Object {
	return obj("required", []string{name}, "properties", obj(name, obj("not", obj("type", "null"))))
}
