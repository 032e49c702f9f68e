// Package pg is the persist.Store on PostgreSQL (13 or newer), through pgx.
//
// A group commit is one round trip: new rooms, the claim of every room touched and all records travel in one implicit
// transaction, the records as one insert over arrays. From a thousand records on they go by COPY.
//
// The claim is the fence. It moves rooms.records on from the number that this writer knows, under the room's row lock;
// when the number is another by now, nothing is written, what is stored is compared with what was to be written, and a
// difference is persist.ErrConflict. The primary key of records says the same again.
//
// records is partitioned by the month of the room's first record, so a room lies in one partition and (room, index) is
// unique by the key of that partition. ForgetRooms drops a partition whole once nothing in it is to be kept.
//
// Names and titles are stored as text. PostgreSQL's text can't hold a zero byte or broken UTF-8, so those, and the
// backslash, are stored escaped; see encodeText.
//
// Queues: none of its own. Calls wait for a connection of the pool (Config.Conns) and for at most Config.Timeout.
package pg
