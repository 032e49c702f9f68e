// Package schema holds the published description of every message: JSON Schema (2020-12) files for each op's request
// and reply and each event, and an AsyncAPI 3 document. They are made from the Go types by package generate and are
// part of the binary.
//
// What is published is what is enforced. Package native judges messages by typed code, for speed; the differential test
// here sends the same texts through it and through a JSON Schema validator and wants one verdict. Where JSON Schema has
// no word for a limit there is a keyword of our own, beginning with x-; docs/PROTOCOL.md explains them.
package schema

import (
	"embed"
	"io/fs"
	"strings"

	"lectern/protocol/wire"
)

//go:embed published
var published embed.FS

// Files holds index.json, message.json, frame.json, error.json, asyncapi.json and the folders requests, replies and
// events.
func Files() fs.FS {
	sub, err := fs.Sub(published, "published")
	if err != nil {
		panic(err) // the folder is part of the binary, and its name is valid
	}
	return sub
}

// RequestFile is the file of an op's requests.
func RequestFile(op wire.Op) string { return "requests/" + fileOf(op.String()) }

// ReplyFile is the file of the replies to an op.
func ReplyFile(op wire.Op) string { return "replies/" + fileOf(op.String()) }

// EventFile is the file of an event of the server's.
func EventFile(event string) string { return "events/" + fileOf(event) }

func fileOf(name string) string { return strings.ReplaceAll(name, ":", ".") + ".json" }
