// Package client is a small Go client of lectern.v1: connect, authenticate, join rooms, ask and be answered, get
// events, and come back after a lost connection with nothing missed and nothing doubled. Tests and tools use it; the
// load harness has its own engine.
//
// One goroutine per Client (whoever calls Run) reads and calls back; requests may come from any other goroutine. A
// callback must not wait for a request's reply: it runs where that reply would be read.
package client
