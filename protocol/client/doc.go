// Package client is a small Go client of lectern.v1: connect, authenticate, renew the token, join rooms, ask and be
// answered, get events, know the server's clock, and come back after a lost connection with nothing missed and nothing
// doubled. The examples are programs that the tests run against a server.
//
// One goroutine per Client (whoever calls Run) reads and calls back; requests may come from any other goroutine. A
// callback must not wait for a request's reply: it runs where that reply would be read.
package client
