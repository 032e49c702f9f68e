// Package wire holds the words of Lectern's protocol as plain data: ids, operation names, command payloads, event
// payloads, error codes and close codes. It does no I/O, reads no clock and imports nothing of ours, so that the rooms
// (which act on commands) and the codecs (which carry them) share one vocabulary without knowing each other.
//
// JSON member names are camelCase; times are Unix milliseconds of the server's clock unless a name says otherwise;
// durations end in Ms; ids are strings. Every type here is safe to use from any goroutine as long as nobody writes to
// it.
package wire
