package generate

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"lectern/protocol/wire"
)

const dialect = "https://json-schema.org/draft/2020-12/schema"

// Files makes every published file, by its path under /schemas/ and asyncapi.json. source is the folder of package
// wire, for its comments.
func Files(source fs.FS) (map[string][]byte, error) {
	said, err := readComments(source)
	if err != nil {
		return nil, err
	}
	documents := map[string]Object{
		"message.json": message(), "frame.json": frame(), "index.json": index(),
		"error.json": alone(said, "An error", func(b *builder) Object { return b.structure(errorType, server) }),
	}
	for _, op := range wire.Ops() {
		name := fileName(op.Op.String())
		documents["requests/"+name] = alone(said, "Request "+op.Op.String(), func(b *builder) Object { return b.request(op) })
		documents["replies/"+name] = alone(said, "Reply to "+op.Op.String(), func(b *builder) Object { return b.reply(op) })
	}
	for _, ev := range wire.Events() {
		documents["events/"+fileName(ev.Name)] = alone(said, "Event "+ev.Name,
			func(b *builder) Object { return b.event(ev) })
	}
	documents["asyncapi.json"] = asyncAPI(said)
	files := make(map[string][]byte, len(documents))
	for name, document := range documents {
		if files[name], err = file(document); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// fileName is the name of an op's or an event's files: dots stand for the colons, which not every file system takes.
func fileName(name string) string { return strings.ReplaceAll(name, ":", ".") + ".json" }

var errorType = reflect.TypeFor[wire.Error]()

func newBuilder(said comments, prefix string) *builder {
	b := &builder{comments: said, prefix: prefix, defs: map[string]Object{}, inputs: map[reflect.Type]bool{}}
	for _, op := range wire.Ops() {
		if op.Data != nil {
			b.markInputs(op.Data)
		}
	}
	return b
}

func (b *builder) markInputs(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		b.markInputs(t.Elem())
	case reflect.Struct:
		if !b.inputs[t] {
			b.inputs[t] = true
			for i := range t.NumField() {
				b.markInputs(t.Field(i).Type)
			}
		}
	}
}

// alone is a document that needs no other.
func alone(said comments, title string, body func(*builder) Object) Object {
	b := newBuilder(said, "#/$defs/")
	document := append(obj("$schema", dialect, "title", title), body(b)...)
	if len(b.defs) > 0 {
		document = append(document, Member{"$defs", b.sortedDefs()})
	}
	return document
}

func (b *builder) sortedDefs() Object {
	var names []string
	for name := range b.defs {
		names = append(names, name)
	}
	slices.Sort(names)
	var defs Object
	for _, name := range names {
		defs = append(defs, Member{name, b.defs[name]})
	}
	return defs
}

var (
	idSchema = obj("description", "counted up by the client; comes back as re", "type", "integer",
		"minimum", 1, "maximum", wire.SeqMax)
	roomSchema = obj("description", "id or PIN of a room; may be left out where it is clear",
		"type", []string{"string", "null"},
		"pattern", `^[0-9A-Za-z._:-]{0,64}$`)
)

// request is a whole message of a client with this op.
func (b *builder) request(op wire.OpInfo) Object {
	properties := obj("id", idSchema, "op", obj("type", "string", "const", op.Op.String()), "room", roomSchema)
	required := []string{"id", "op"}
	if op.Data == nil {
		properties = append(properties, Member{"data", obj("description", "none; what is there is ignored")})
	} else {
		data := b.ref(op.Data, client)
		if needed, _ := b.defs[op.Data.Name()].Get("required").([]string); len(needed) > 0 || op.Data == createType {
			required = append(required, "data")
		} else {
			data = nullable(data)
		}
		properties = append(properties, Member{"data", data})
	}
	return obj("description", op.Summary, "type", "object", "required", required, "properties", properties)
}

// reply is a whole answer to a request with this op.
func (b *builder) reply(op wire.OpInfo) Object {
	good := obj("re", obj("type", "integer", "minimum", 1), "ok", obj("const", true))
	required := []string{"re", "ok"}
	if op.Reply != nil {
		good = append(good, Member{"data", b.ref(op.Reply, server)})
		required = append(required, "data")
	}
	bad := obj("re", obj("description", "null: the request's id could not be read", "type", []string{"integer", "null"}),
		"ok", obj("const", false), "error", b.ref(errorType, server))
	return obj("type", "object", "oneOf", []Object{
		obj("title", "done", "required", required, "properties", good),
		obj("title", "refused", "required", []string{"re", "ok", "error"}, "properties", bad),
	})
}

// event is a whole event.
func (b *builder) event(ev wire.EventInfo) Object {
	properties := obj("ev", obj("const", ev.Name), "room", obj("type", "string"))
	required := []string{"ev", "room", "ts", "data"}
	if ev.Seq {
		properties = append(properties, Member{"seq", obj("description",
			"gapless from 1 within the room's epoch", "type", "integer", "minimum", 1)})
		required = append(required, "seq")
	}
	properties = append(properties,
		Member{"ts", obj("description", "Unix milliseconds of the server's clock", "type", "integer")},
		Member{"data", b.ref(ev.Data, server)})
	return obj("description", ev.Summary, "type", "object", "required", required, "properties", properties,
		"x-class", ev.Class.String())
}

func opNames() (names []string) {
	for _, op := range wire.Ops() {
		names = append(names, op.Op.String())
	}
	return names
}

// message is the envelope of everything that clients send.
func message() Object {
	return obj("$schema", dialect, "title", "A message of a client",
		"description", "What every request has in common; requests/ has them by op. id, op, room and data may stand once.",
		"type", "object", "required", []string{"id", "op"},
		"properties", obj("id", idSchema, "op", obj("type", "string", "enum", opNames()), "room", roomSchema,
			"data", Object{}))
}

// frame is one frame of the server.
func frame() Object {
	one := obj("anyOf", []Object{obj("$ref", "#/$defs/reply"), obj("$ref", "#/$defs/event")})
	reply := obj("type", "object", "required", []string{"re", "ok"}, "properties",
		obj("re", obj("type", []string{"integer", "null"}), "ok", obj("type", "boolean"), "data", Object{},
			"error", obj("type", "object", "required", []string{"code", "message"})))
	event := obj("type", "object", "required", []string{"ev", "ts"}, "properties",
		obj("ev", obj("type", "string"), "room", obj("type", "string"), "seq", obj("type", "integer", "minimum", 1),
			"ts", obj("type", "integer"), "data", Object{}))
	return obj("$schema", dialect, "title", "A frame of the server",
		"description", "One reply or event, or a list of them, to be handled in order. New events and members may come.",
		"anyOf", []Object{one, obj("type", "array", "minItems", 1, "items", one)},
		"$defs", obj("reply", reply, "event", event))
}

// index lists what there is.
func index() Object {
	var ops, events []Object
	for _, op := range wire.Ops() {
		name := fileName(op.Op.String())
		ops = append(ops, obj("op", op.Op.String(), "summary", op.Summary, "data", op.Data != nil,
			"request", "requests/"+name, "reply", "replies/"+name))
	}
	for _, ev := range wire.Events() {
		events = append(events, obj("event", ev.Name, "summary", ev.Summary, "class", ev.Class.String(), "seq", ev.Seq,
			"schema", "events/"+fileName(ev.Name)))
	}
	return obj("protocol", "lectern.v1", "message", "message.json", "frame", "frame.json", "error", "error.json",
		"ops", ops, "events", events)
}
