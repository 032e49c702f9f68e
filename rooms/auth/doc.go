// Package auth issues and verifies the tokens that say who is on a connection.
//
// Access tokens are JWTs signed with RS256 (RFC 7515, 7518 section 3.3, 7519) that live for 15 minutes and are verified
// without I/O. Refresh tokens are 256 random bits that live for 7 days; the store keeps only their SHA-256, and each
// use replaces the token by the next of its family. A token that has been used already and comes again means that two
// parties hold the family, so the whole family is revoked (RFC 9700 section 4.14.2). A reply may be lost on the way, so
// for a minute, and until the new token is used, the old one can be used again; see Issuer.Refresh.
//
// Signing keys are made at first start and kept through KeyStore. They are private: a store that writes them to a file
// must create that file with mode 0600. After RotateKeys the new key signs, and the old one verifies until the last
// token it signed has expired.
//
// Receipts of answers are JWSs too, signed with Ed25519 (RFC 8037) by keys of their own, which are never deleted: the
// same answer gets the same receipt as long as it is in the log. A receipt is no token: Verify takes RS256 only.
//
// A revoked family also ends its access tokens, which carry the family as sid: Verify refuses them, and Subscribe tells
// the gateway which connections to close.
//
// Memory: verified tokens are kept in a cache of at most Config.CacheTokensMax entries, which is emptied when it is
// full; revocations are kept until the last access token of the family has expired (about 100 bytes each). Tokens are
// never logged and never part of an error.
//
// Time and randomness are arguments. An Issuer may be used from any goroutine.
package auth
