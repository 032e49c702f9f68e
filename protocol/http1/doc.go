// Package http1 reads the head of an HTTP/1.x request (RFC 9112) from bytes, strictly, and judges and answers the
// WebSocket handshake (RFC 6455 section 4.2). It does no I/O and keeps no state: Scan finds the end of the head
// however the bytes were cut, Parse reads it, CheckUpgrade judges it, and the Append functions make the answers.
//
// Strict means that what two parsers could read differently is refused, not repaired: bare LF, bare CR, obs-fold,
// space before a colon, control bytes, doubled Host, Content-Length beside Transfer-Encoding. Requests that are no
// WebSocket handshake are read only far enough to know that; the caller passes their bytes on untouched.
//
// Every function may be called from any goroutine. A Request holds its own copy of the head, so the bytes given to
// Parse may be reused at once.
package http1
