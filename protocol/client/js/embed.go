// Package clientjs holds the JavaScript client of lectern.v1, so that the server can hand it to its own pages. The
// modules need no build step: they are served as they are.
package clientjs

import "embed"

// Files holds the client's ES modules; index.js is the entry. Tests and tooling are left out.
//
//go:embed *.js
var Files embed.FS
