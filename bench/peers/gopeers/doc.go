// Package gopeers is a module of its own, so that what Lectern is compared with never becomes one of its dependencies.
// Each folder is one server, written as its library's own documentation advises. They all speak the protocol of
// ../gnetproto: /raw?room=R, a text frame that begins with P goes to everybody in R, one that begins with E comes back.
// (centrifuge speaks its own protocol, with connect, subscribe, publish and rpc.)
package gopeers
