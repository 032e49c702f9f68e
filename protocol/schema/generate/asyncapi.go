package generate

import (
	"strings"

	"lectern/protocol/wire"
)

// asyncAPI is the AsyncAPI 3 document of the native protocol, written from the server's side: it receives requests and
// sends events. Its schemas are those of the files, but in one place.
func asyncAPI(said comments) Object {
	b := newBuilder(said, "#/components/schemas/")
	messages, channel, operations := Object{}, Object{}, Object{}
	add := func(key, title string, payload Object) Object {
		messages = append(messages, Member{key, obj("name", key, "title", title, "contentType", "application/json",
			"payload", payload)})
		channel = append(channel, Member{key, obj("$ref", "#/components/messages/"+key)})
		return obj("$ref", "#/channels/lectern/messages/"+key)
	}
	here := obj("$ref", "#/channels/lectern")
	for _, op := range wire.Ops() {
		key := dotted(op.Op.String())
		request := add(key+".request", op.Op.String(), b.request(op))
		reply := add(key+".reply", "Reply to "+op.Op.String(), b.reply(op))
		operations = append(operations, Member{key, obj("action", "receive", "channel", here, "summary", op.Summary,
			"messages", []Object{request}, "reply", obj("channel", here, "messages", []Object{reply}))})
	}
	for _, ev := range wire.Events() {
		key := dotted(ev.Name) + ".event"
		event := add(key, ev.Name, b.event(ev))
		operations = append(operations, Member{key, obj("action", "send", "channel", here, "summary", ev.Summary,
			"messages", []Object{event})})
	}
	host := obj("host", obj("default", "localhost:8080", "description", "where the server is reached"))
	bearer := []Object{obj("$ref", "#/components/securitySchemes/bearer")}
	return obj(
		"asyncapi", "3.0.0",
		"info", obj("title", "Lectern", "version", "1.0.0", "description", about,
			"license", obj("name", "Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0")),
		"defaultContentType", "application/json",
		"servers", obj(
			"tls", obj("host", "{host}", "protocol", "wss", "variables", host, "security", bearer),
			"plain", obj("host", "{host}", "protocol", "ws", "variables", host, "security", bearer),
		),
		"channels", obj("lectern", obj(
			"address", "/ws", "title", "One connection",
			"description", "A WebSocket with the subprotocol lectern.v1; text frames of JSON. A frame of the server holds one "+
				"message or a list of them.",
			"messages", channel,
			"x-also-at", dialects,
			"bindings", obj("ws", obj("method", "GET", "bindingVersion", "0.1.0", "headers", obj("type", "object",
				"properties", obj("Sec-WebSocket-Protocol", obj("type", "string", "const", "lectern.v1"))))),
		)),
		"operations", operations,
		"components", obj(
			"messages", messages, "schemas", b.sortedDefs(),
			"securitySchemes", obj("bearer", obj("type", "http", "scheme", "bearer", "bearerFormat", "JWT", "description",
				"In the header, as the subprotocol bearer.TOKEN, or in the first message, auth")),
		),
	)
}

const about = "The real-time side of Lectern. Every request has one reply. Socket.IO and STOMP clients are served " +
	"too, with the same names and the same data (x-also-at)."

// dialects are the other ways to the same messages; what they add is not of these schemas.
var dialects = []Object{
	obj("protocol", "socket.io", "version", "5", "address", "/socket.io/", "transports", []string{"polling", "websocket"},
		"request", "emit(op, data, ack): the ack gets {ok, data} or {ok, error}; the room is the member room of data",
		"event", "on(event, (data, {room, seq, ts}) => …)"),
	obj("protocol", "stomp", "version", "1.2", "address", "/stomp", "transports", []string{"websocket"},
		"request", "SEND to /app/ and the op with a dot for the colon: /app/quiz.answer; the room is a header",
		"event", "SUBSCRIBE to /topic/room.ROOM for a room's events and /user/queue/… for one's own"),
}

func dotted(name string) string { return strings.ReplaceAll(name, ":", ".") }
