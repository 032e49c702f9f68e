// Package web serves the pages that people use: entering a PIN, joining, playing, hosting, the projector screen, a
// receipt, and a console for authors of clients. They are embedded plain files, without a build step and without any
// request to another host.
//
// # Addresses
//
// The pages are short and never cached without asking. What they load is served twice: under /assets/ to be asked
// for anew each time, and under /assets/HASH/ for ever, where HASH changes with any byte of any file. Pages name the
// second kind, and modules import each other by relative paths, so after an update nobody runs old and new files
// together. The JavaScript client of package clientjs stands among them as sdk/.
//
// # Security
//
// Every response carries a Content-Security-Policy that allows this origin only, and no inline script or style; the
// package's test holds the files to it.
package web
