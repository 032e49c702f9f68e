// Package search finds texts again: messages of chats and questions of quizzes. Index is the port to a full-text engine
// (SQLite's FTS5 in persist/sqlite, PostgreSQL in persist/pg, Memory here); searchtest holds the suite that each must
// pass. Indexer keeps an index behind the journal.
//
// # Words
//
// Folding is done here, so that every engine finds the same: Tokens takes a text apart into words of lower-case letters
// without diacritics ("Müller" is muller, "Straße" strasse, "Øre" ore). Scripts that are written without blanks (Han,
// kana, Thai, Lao, Khmer, Burmese) have a token per character, and a run of them in a query is a phrase: 日本 is found in
// 東日本大震災. Korean is written with blanks and is treated like Latin. There is no stemming: the last word of a query
// term matches beginnings instead.
//
// # Rights
//
// An index knows nothing of rights but whether participants have seen a text, and it is behind the rooms. Whoever shows
// hits to people asks the room first what they may read and how it reads now (rooms.TextsQuery). Keys of questions are
// never indexed.
//
// # Limits
//
// The Indexer's queue holds at most 20,000 records with texts and 16 MiB; beyond that a room is marked as behind and
// read from the store later. Nothing waits for the index.
package search
