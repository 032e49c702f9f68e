// Package quizfile reads and writes question files: GIFT, Aiken, Moodle XML, CSV, Kahoot spreadsheets, Open Trivia DB,
// OpenTriviaQA and Lectern's own JSON. Every function is pure: bytes in, values out, no I/O, no clock, and safe to call
// from any goroutine.
//
// A decoder never gives up on a file because of one wrong question. It returns the questions that can be played as a
// wire.Quiz, and beside them a list of problems that names every fault, every warning and every question left out with
// its number and line. The rules of each format are those of Moodle's public documentation; where real files stray
// from them in a way that has only one sensible reading, the reading is taken and a warning says so.
//
// Limits: a file holds at most 20 MiB (BytesMax) and 5,000 questions, a spreadsheet unpacks to at most 64 MiB.
// DTDs and external entities are never resolved, embedded files never decoded, HTML never kept.
package quizfile
