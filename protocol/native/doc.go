// Package native is the codec of lectern.v1: JSON text messages as docs/PROTOCOL.md describes them. It turns bytes
// into wire payloads that have been checked, and replies and events into bytes. It is the one home of sonic.
//
// A message is read in two steps. The envelope is walked by a strict scanner of our own, which checks the whole
// message against RFC 8259 (grammar, UTF-8, escapes, depth, no member twice in the envelope) without allocating;
// only then is data decoded by sonic, whose skipping of values is laxer than its decoding of them. So nothing that
// reaches a room's raw JSON (answers, published payloads) is malformed, and it can be sent on to other members as
// it is.
//
// Everything returned by Decode except Data, and everything returned by DecodeData, is copied: borrowed bytes may be
// reused at once. All functions may be called from any goroutine.
package native
