// Package sio is the Socket.IO protocol, revision 5, without I/O: packets as text with binary attachments, and the same
// packets in MessagePack as the clients' socket.io-msgpack-parser has them.
//
// Arguments stay JSON text: a program gets the raw JSON array and walks it with Args. Places where binary data belongs
// are objects {"_placeholder":true,"num":N}, which point into Packet.Attachments. So a packet can be passed on without
// building anything of it.
//
// Source: the protocol's specification (github.com/socketio/socket.io-protocol, revision 5), and the official parsers
// for what is refused. Where those let a packet pass that means nothing (an event without a name), it is refused too.
//
// # Limits
//
//	what                        limit                       beyond it
//	packet                      the transport's message     closed by the transport
//	namespace                   Limits.NamespaceBytesMax    ErrNamespace
//	attachments of a packet     Limits.AttachmentsMax       ErrAttachments
//	all attachments of one      Limits.AttachmentBytesMax   ErrAttachments
//	nesting of arrays, objects  DepthMax                    ErrPayload
//	ack id                      2^53                        ErrID
//
// Every error ends the connection, as the official server ends it with "parse error".
package sio
