// Package eio is the Engine.IO protocol, revision 4, without I/O: packets, the payloads of HTTP long-polling, the
// handshake, the refusals with their codes, and the order of an upgrade from long-polling to WebSocket (Session).
//
// Source: the protocol's specification (github.com/socketio/engine.io-protocol, revision 4) and, where that is silent,
// what the official server does. Revision 3 is refused with code 5, as the official server does by default.
//
// # Limits
//
//	what                     limit                 beyond it
//	body of a POST           Limits.BytesMax       ErrTooLarge: status 413
//	packets in one payload   Limits.PacketsMax     ErrTooManyPackets: status 400, the session ends
//	one packet               the payload's         the same
package eio
