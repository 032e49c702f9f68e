// Package spool is a persist.Store that outlives an outage of the store behind it. While the database answers, records
// go to it. When it does not, they go to a local file, the spool, and are acknowledged once they are on that disk; when
// the database is back, they follow in the order in which they were taken, and new ones queue up behind them until the
// spool is empty. The only other thing that is kept here is the mark of LastAlive.
//
// What is acknowledged is in the database or in the spool, at every moment and after every kill. A record leaves the
// spool after the database has it, so it may be in both; the database skips what it has. When it has something else
// at that place, another server owns the room: the room's spooled records are set aside in the file, with an error in
// the log, and the room is read again from the database.
//
// Reading a room while records are spooled takes what the database has, then what the spool has. Without the database
// only rooms can be read that are in the spool from their first record on; others are persist.ErrUnavailable.
// Everything else (quizzes, keys, logins) is refused at once while the database is away, so that nobody waits for it.
//
// Queues: the spool, in bytes (Config.BytesMax). From nine tenths on Refuses asks callers to begin nothing new; beyond
// the limit AppendRecords refuses with persist.ErrSpoolFull.
package spool
