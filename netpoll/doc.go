// Package netpoll runs many TCP connections on a few event loops, without a goroutine per connection, and shows them
// to a Handler. It is the only package that knows gnet.
//
// A Loop owns its connections: their timers, their outboxes and the order of everything that happens to them. The one
// door for other goroutines is Loop.Post, a first-in-first-out inbox. What is sent in one turn of a loop is corked
// and leaves in one write per connection when the turn ends. The same Loop and Conn code runs over gnet (Server) and
// over a simulated network (package simnet).
//
// # A turn
//
// Something happens (bytes, a batch of tasks and due timers, a new connection, an end) → the Handler's methods →
// Handler.TurnEnded → what was sent is flushed → connections that were closed in the turn end, each with its
// Handler.Closed → if there were any, Handler.TurnEnded and the flush again. Nothing is ever written, and nothing
// ends, while a method of the Handler other than Closed runs: a handler may walk over its members and send to or
// close any of them.
//
// When many connections are ready at once their readable callbacks share a turn: what the handler posts and sends for
// all of them leaves together. A byte to the loop itself, behind the sockets that are ready, ends it. On a loop with
// little to do every callback has a turn of its own, which is faster for the one.
//
// # How bytes reach the kernel
//
// A turn that leaves something for few connections (fewer than Config.UringConnsMin) writes to each: with
// Config.RawSend by a bare system call that Go's scheduler does not hear of, else through gnet. A turn that leaves
// something for many hands the sends to io_uring, 64 per system call, where Config.IO and the kernel allow it: about
// half the CPU of the bare writes when a room of 10,000 gets one message.
//
// Every send is non-blocking, so the kernel carries it out while it takes the submission. Nothing is in flight when
// the call returns: frames can be released, and no connection can have two sends under way or end under one. Only
// connections with an empty engine buffer take part. One frame is sent from where it lies; several of one connection
// are copied together first, once for all members who have the same ones queued. What the kernel takes in part, or
// not at all for whatever reason, stays in the outbox and is written the ordinary way in the same turn, which meets
// the same condition and deals with it: the peer is behind, or gone.
//
// Each loop has a ring, opened at the start and tried out on a socket pair. IOAuto falls back to writes for all loops
// if one fails (kernel.io_uring_disabled, a container's seccomp profile, an old kernel); Stats says which path is in
// use. A kernel that refuses submissions later on is not asked again.
//
// # Connections without a socket
//
// A VirtualTransport has no socket: what is written waits in it until somebody takes it. Loop.Seat shows such a
// connection to the handler like any other; Conn.Rebind gives it a socket later on, and Conn.MoveTo brings a socket to
// the loop where it is wanted. Virtual connections never take part in submissions, and their last words are written
// whatever waits in the transport already.
//
// # Limits
//
//	queue                          limit                       unit    above it
//	Loop inbox                     Config.InboxTasksMax        tasks   Post refuses, counted
//	tasks run in one turn          256, or until an outbox     tasks   the rest waits while sockets are served
//	                               passes OutboxHighBytes
//	tasks taken but not yet run    Config.InboxTasksMax        tasks   nothing more is taken from the inbox
//	Conn outbox and engine buffer  Config.OutboxHardBytes      bytes   the connection is closed: ReasonSlowConsumer
//	… in a turn, peer not behind   twice that                  bytes   the same
//	… volatile frames              Config.OutboxHighBytes, or  bytes   dropped, counted
//	                               any byte the peer left
//	… state frames                 the same                    frames  one per key, the older is dropped, counted
//	engine buffer of a connection  65,536 or one larger frame  bytes   frames stay in the outbox, by class
//	slices in one writev           1,024 (IOV_MAX)             slices  another writev
//	sends in one submission        64                          sends   another submission
//	frames copied for submissions  65,536 per loop             bytes   another submission
//	connections                    Config.ConnsMax             conns   closed at once, counted as refused
//	… between Listen and Serve     the same                    conns   the same
//	… the last 32nd of them                                            accepted; Conn.Late tells the handler
//	new connections                Config.AcceptRate           per s   the same
//	read buffer                    Config.ReadBufferBytes      bytes   the next read, in the next turn
//	timers                         4 per connection            timers  setting one again moves it
//	empty queues kept per loop     256 of at most 64 entries   queues  left to the garbage collector
//
// Each queued frame is charged 32 bytes beside its payload. A frame that meets an empty outbox is always taken,
// because a snapshot may be larger than what may wait; so what one connection can hold is at most the larger of twice
// OutboxHardBytes and its largest frame. Frames are shared, so a room's event waiting for a thousand slow members is
// in memory once; the engine's buffer is not shared. MemoryMax adds it all up.
//
// An idle connection holds no buffer of ours: about 130 bytes for the Conn, 16 for its place in the table, 40 per
// pending timer, beside gnet's 350; a test counts them.
//
// # New connections
//
// gnet accepts one connection per loop and round of its poller, between the sockets that have something to read, so a
// storm of connects can't hold the members up: their turns come round as often as accepts do. It can't be told to
// stop accepting. So those above the rate are accepted and marked late; sending them away with advice costs the
// handler far less than taking them up, and far less than what an unadvised client does, which is to try again at
// once.
//
// # What gnet promises, and how we live with it
//
// Checked against v2.9.7; each line has a test that fails without the guard.
//
//   - Its task queue is not in order beyond 1,024 waiting tasks, and is emptied to the last task however fast new ones
//     come. We don't use it: each loop has an inbox, and a byte on a socket pair, one readable event among others,
//     wakes the loop.
//   - Writing to a closed connection reaches whoever has the descriptor now. A Conn that is closing or closed takes
//     nothing, and the flag is checked before each write.
//   - A failing write ends the connection inside the call. Writes happen only when the turn has ended, so the handler's
//     walks never meet it, and our own walk allows for it.
//   - accept(2) failing for want of a descriptor ends the engine, and gnet.Run returns nil. ConnsMax stays under the
//     descriptor limit, handed-off connections count too, and an end that nobody asked for goes to Server.Done and the
//     log.
//   - Its outbound buffer has no limit and is slow when long. It gets 64 KiB at a time, and nothing while it holds
//     anything; connections that are behind are looked at every 10 ms, since their catching up is not announced.
//   - ReadFrom with Flush can stall for ever. We use Write and Writev only.
//   - Writev changes the slices it is given. They are filled anew for each call.
//   - Unread bytes go to a buffer without a limit. All bytes are taken in each callback.
//   - Nothing recovers panics. Every callback does, closes that connection and counts it.
//   - Stopping closes everyone at once and the listener can't stop accepting. Core.Refuse turns new ones away,
//     Server.Forward gives them to the process that takes over, and Stop closes each connection after flushing it.
//   - Its loops are not shown. Binding them goes through the socket pairs; connections accepted before wait for that.
//
// Edge-triggered mode is not used: it pays a second read(2), which finds nothing, for every message, and what it
// saves (one epoll_ctl when a peer falls behind) is rare.
package netpoll
