// Package stomp is STOMP 1.0, 1.1 and 1.2 (https://stomp.github.io/stomp-specification-1.2.html and its elders) without
// I/O: a codec for frames, and a Session, the server's side of one connection. Bytes go in, calls to a Sink and whole
// frames come out.
//
// A Decoder takes bytes cut anywhere. A Session negotiates version and heart-beats, holds the subscriptions, the
// messages that await an ACK, and the open transactions, and knows which RECEIPT is due when. What a destination means
// is said by ParseTarget and ParseApp; carrying it out is the Sink's.
//
// Where the versions differ: escapes in headers (none in 1.0; \n \c \\ in 1.1, where others stand for themselves; \r as
// well in 1.2; never in CONNECT and CONNECTED), white space around headers (dropped in 1.0), the id of a subscription
// (optional in 1.0), how ACK names a message (message-id; id in 1.2). A line may end in CR LF in every version.
//
// # Limits
//
//	what                                     limit                         beyond it
//	header lines of a frame                  Limits.HeadersMax             ERROR, close
//	command and headers of a frame           Limits.HeadBytesMax           ERROR, close
//	body of a frame                          Limits.BodyBytesMax           ERROR, close
//	subscriptions                            Limits.SubscriptionsMax       ERROR, close
//	open transactions                        Limits.TransactionsMax        ERROR, close
//	frames held by them                      Limits.TransactionFramesMax   ERROR, close
//	bytes held by them                       Limits.TransactionBytesMax    ERROR, close
//	messages awaiting ACK                    Limits.UnackedMax             ERROR, close; kept for the next connection
//	bytes of those                           Limits.UnackedBytesMax        the same
//	deliveries of a message that is NACKed   Limits.DeliveriesMax          it is dropped, Sink.Dropped
//
// A Decoder holds memory only inside a frame that has not come completely. Nothing here is safe for more than one
// goroutine.
package stomp
