// Package capacity finds out whether one server process holds so many people at once: it starts a server and as many
// generator processes as the machine's limits make necessary, brings everybody into one room, keeps them there for a
// while, lets them play a quiz, and adds up what all generators counted. The first generator, which hosts the quiz, is
// the calling process; the others are the same program with other arguments.
package capacity
