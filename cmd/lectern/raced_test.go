//go:build race

package main

// raced says that the race detector is built in, which makes the program several times slower.
const raced = true
