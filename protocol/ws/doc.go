// Package ws frames and unframes WebSocket messages (RFC 6455) and compresses them (RFC 7692), without I/O. The
// Reader is a machine over borrowed bytes cut anywhere; the Append functions write frames. Masking, opcodes and the
// writing of headers are those of gobwas/ws, for which this package is the one home.
//
// Memory: a Reader at rest is four words. What a half-received frame or message needs comes from a pool and goes
// back when the message is complete. Compression never keeps a window per connection: both directions are
// negotiated without context takeover, so that one deflated frame serves every member of a room.
//
// A Reader belongs to one goroutine. The Append functions, AppendDeflated and AppendInflated may be called from any.
package ws
