// Package sqlite is the embedded persist.Store: one SQLite file in WAL mode (modernc.org/sqlite, no cgo).
//
// One connection writes and a small pool reads; readers never wait for the writer. All writes go through one queue: the
// caller whose turn it is takes every write that waits into its transaction, each within a savepoint of its own, so
// thousands of small writes (logins) share their commits as the journal's records do. The queue's limit is the number
// of calling goroutines.
//
// The file holds private signing keys: it is made with mode 0600, in a folder of mode 0700 when that has to be made
// too. A lock on FILE.lock keeps a second server off the file, since two servers would both own its rooms.
//
// Durability: with Synchronous FULL (the default) a commit is on the disk when it returns; with NORMAL it survives
// the end of the process, but a loss of power may take the last commits.
package sqlite
