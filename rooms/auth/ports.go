package auth

import (
	"context"
	"errors"

	"lectern/protocol/wire"
)

// Errors of a RefreshStore. Anything else that it returns means that the store is away.
var (
	// ErrRefreshUnknown is returned for a token that was never issued, or was purged.
	ErrRefreshUnknown = errors.New("auth: unknown refresh token")
	// ErrRefreshExpired is returned for the newest token of a family when it is too old.
	ErrRefreshExpired = errors.New("auth: refresh token has expired")
	// ErrRefreshRevoked is returned for every token of a family that was revoked before.
	ErrRefreshRevoked = errors.New("auth: refresh token family is revoked")
	// ErrRefreshReused is returned for a token that was already replaced, unless it is a retry (see Rotation); the store
	// revokes the family in the same step.
	ErrRefreshReused = errors.New("auth: refresh token was used before; its family is now revoked")
	// ErrKeyExists is returned by AddKey when the key's id is taken, or when the caller asked for the first key and
	// there is one.
	ErrKeyExists = errors.New("auth: signing key exists")
)

// StoredKey is a signing key as a KeyStore keeps it: an RSA key of access tokens, or an Ed25519 key of receipts.
type StoredKey struct {
	ID        string // the kid of its tokens
	PKCS8     []byte // the private key, DER (RFC 5958); secret
	CreatedAt int64  // Unix milliseconds
	// RetiresAt, Unix milliseconds: verifies until then and signs no more; zero for the key that signs access tokens.
	// Receipt keys have the largest int64: they are kept for ever, and the newest signs.
	RetiresAt int64
}

// KeyStore keeps signing keys. Its methods block and may be called from any goroutine.
type KeyStore interface {
	// LoadKeys returns all keys, oldest first.
	LoadKeys(ctx context.Context) ([]StoredKey, error)
	// AddKey adds a key. In the same step every key without RetiresAt gets othersRetireAt, which changes nothing when it
	// is zero, as for receipt keys.
	// With onlyFirst nothing is added, and ErrKeyExists is returned, when there is any key already: so that two nodes
	// starting at once agree on one.
	AddKey(ctx context.Context, key StoredKey, othersRetireAt int64, onlyFirst bool) error
	// DeleteRetiredKeys removes the keys with 0 < RetiresAt ≤ at (Unix milliseconds).
	DeleteRetiredKeys(ctx context.Context, at int64) error
}

// RefreshHash is the SHA-256 of a refresh token's random bytes.
type RefreshHash [32]byte

// Family is a chain of refresh tokens that began with one login.
type Family struct {
	ID        string
	Subject   string
	Name      string
	Role      wire.Role
	Room      string // the only room its tokens are good for; empty: any
	CreatedAt int64  // Unix milliseconds
	ExpiresAt int64  // Unix milliseconds: when its newest token expires
	RevokedAt int64  // Unix milliseconds; zero while it is good
}

// Revocation names a revoked family.
type Revocation struct {
	Family    string
	RevokedAt int64 // Unix milliseconds
}

// Rotation asks for the replacement of a refresh token. Times are Unix milliseconds.
type Rotation struct {
	Old, Next RefreshHash
	At        int64 // now
	ExpiresAt int64 // when Next expires

	// RetrySince says which uses of a spent token are retries by a client that lost the reply: those of the token that
	// the family's newest has replaced, when it was first spent after RetrySince. The newest is unused then, for a used
	// one is not the newest. Not below At: no retries.
	RetrySince int64
}

// RefreshStore keeps refresh tokens by their hash. Its methods block and may be called from any goroutine; each is one
// atomic, durable step.
type RefreshStore interface {
	// CreateFamily stores a new family and the hash of its first token.
	CreateFamily(ctx context.Context, f Family, first RefreshHash) error
	// RotateRefresh replaces the token r.Old, which must be its family's newest, by r.Next. A retry replaces the newest,
	// which counts as spent from then on, and leaves the time at which r.Old was spent as it was. So of many calls with
	// the same r.Old at the same time either one succeeds, or, when retries are let in, all do and exactly one r.Next is
	// good. It returns the family, also with ErrRefreshReused (which has revoked it as of r.At), ErrRefreshRevoked and
	// ErrRefreshExpired. Reuse is detected for expired tokens too.
	RotateRefresh(ctx context.Context, r Rotation) (Family, error)
	// RevokeFamily revokes the family of any of its tokens, used or not. A second call returns the family unchanged.
	RevokeFamily(ctx context.Context, token RefreshHash, now int64) (Family, error)
	// RevokedFamilies lists the families revoked at or after since (Unix milliseconds).
	RevokedFamilies(ctx context.Context, since int64) ([]Revocation, error)
	// PurgeRefresh removes the families that expired before at (Unix milliseconds), with their tokens.
	PurgeRefresh(ctx context.Context, at int64) error
}
