package app

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"lectern/protocol/schema"
	"lectern/protocol/wire"
)

// promises judges what the server sends in every test of this package by the published schemas, closed: a member that
// no schema names is a fault too.
var promises struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
	budget   map[string]int // how many more of each kind are judged: floods of one kind prove nothing more
}

const judgedPerKind = 300

// promised checks one message: a reply to an op ("" when that is not known) or an event.
func promised(t testing.TB, op string, raw []byte) {
	t.Helper()
	var m message
	if json.Unmarshal(raw, &m) != nil {
		return // the caller says so
	}
	name := ""
	switch {
	case m.Ev != "":
		name = schema.EventFile(m.Ev)
	case op != "":
		name = schema.ReplyFile(wire.ParseOp(op))
	default:
		return
	}
	promises.mu.Lock()
	defer promises.mu.Unlock()
	s := promise(t, name)
	if s == nil {
		return // a client's own event
	}
	if promises.budget[name]--; promises.budget[name] < 0 {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("not what %s promises: %.500s\n%v", name, raw, err)
	}
}

// promise is the compiled schema; nil for an event that is not the server's own.
func promise(t testing.TB, name string) *jsonschema.Schema {
	if promises.compiler == nil {
		promises.compiler = jsonschema.NewCompiler()
		promises.compiled, promises.budget = map[string]*jsonschema.Schema{}, map[string]int{}
	}
	if s, ok := promises.compiled[name]; ok {
		return s
	}
	promises.compiled[name] = nil
	raw, err := fs.ReadFile(schema.Files(), name)
	if err != nil {
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = promises.compiler.AddResource("http://server/"+name, closed(document))
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := promises.compiler.Compile("http://server/" + name)
	if err != nil {
		t.Fatal(err)
	}
	promises.compiled[name], promises.budget[name] = s, judgedPerKind
	return s
}

// closed forbids members that a schema does not name.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if name != "properties" {
				v[name] = closed(v[name])
				continue
			}
			for member, s := range v[name].(map[string]any) {
				v[name].(map[string]any)[member] = closed(s)
			}
			if _, said := v["additionalProperties"]; !said {
				v["additionalProperties"] = false
			}
		}
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	}
	return v
}

// TestPromisesAreJudged: what a schema does not promise is noticed.
func TestPromisesAreJudged(t *testing.T) {
	for name, raw := range map[string]string{
		"an unknown member": `{"ev":"chat:deleted","room":"r","seq":1,"ts":1,"data":{"id":"m","by":"author","why":"x"}}`,
		"a missing member":  `{"ev":"chat:deleted","room":"r","seq":1,"ts":1,"data":{"id":"m"}}`,
		"no seq":            `{"ev":"chat:deleted","room":"r","ts":1,"data":{"id":"m","by":"author"}}`,
	} {
		fake := &faultCounter{TB: t}
		promised(fake, "", []byte(raw))
		if fake.faults == 0 {
			t.Errorf("%s is not noticed", name)
		}
	}
	fake := &faultCounter{TB: t}
	promised(fake, "", []byte(`{"ev":"chat:deleted","room":"r","seq":1,"ts":1,"data":{"id":"m","by":"author"}}`))
	promised(fake, "chat:send", []byte(`{"re":1,"ok":true,"data":{"id":"m","seq":1,"ts":1}}`))
	promised(fake, "chat:send", []byte(`{"re":1,"ok":false,"error":{"code":"muted","message":"m"}}`))
	promised(fake, "", []byte(`{"ev":"cursor:move","room":"r","ts":1,"data":5}`))
	if fake.faults != 0 {
		t.Error("good messages are refused")
	}
}

type faultCounter struct {
	testing.TB
	faults int
}

// Errorf counts instead of failing.
func (f *faultCounter) Errorf(string, ...any) { f.faults++ }

// TestRefusalsNameTheRule: over the wire, a refusal has the place in the message and the rule.
func TestRefusalsNameTheRule(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.dial("/ws?guest=Ada")
	c.join("r1", wire.JoinData{})
	err := c.refused(wire.CodeTooLarge, wire.OpChatSend, "r1", wire.ChatSendData{Text: strings.Repeat("ä", 2001)})
	if err.Pointer != "/data/text" || err.Rule != wire.RuleMaxLength || err.Path != "text" {
		t.Errorf("%+v", err)
	}
	c.send(`{"id":100,"op":"chat:send","room":"a b"}`)
	if err := c.answerTo(100).Error; err == nil || err.Pointer != "/room" || err.Rule != wire.RulePattern {
		t.Errorf("%+v", err)
	}
}
