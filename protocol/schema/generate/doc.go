// Package generate makes the published schemas from the Go types of package wire: the shapes from the types, the limits
// from the rules that stand beside them here, the descriptions from the comments. Its golden test keeps what is
// published in package schema; after a change that is meant, write it anew with
//
//	go test ./protocol/schema/generate -update
//
// What a client sends is described as the server judges it, and the differential test of package schema proves that
// both accept the same. What the server sends is described as a promise: members without omitempty are always there.
package generate
