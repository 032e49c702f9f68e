// Package persist makes what happens in the rooms durable.
//
// Store is one backend: sqlite (the embedded default) and mem so far; storetest holds the suite that each must pass.
// Journal stands between the rooms and a Store: rooms hand over records and go on, one goroutine writes them in
// batches. A flush begins as soon as the previous one ends and takes everything that is waiting (group commit), so
// latency is one commit when idle, and throughput grows with load without a timer.
//
// Queues and their limits: the journal's queue holds at most Config.QueueBytesMax bytes and QueueRecordsMax records,
// the batch being written included; beyond either, Append refuses at once with ErrFull and takes nothing, and a room
// answers its durable commands with unavailable. Records are counted as their data, room and kind plus 64 bytes.
package persist
