package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lectern/protocol/wire"
)

// Config is an Issuer's settings. The zero value is the usual ones.
type Config struct {
	Issuer         string        // iss; default "lectern"
	Audience       string        // aud; default "lectern"
	AccessTTL      time.Duration // default 15 minutes
	RefreshTTL     time.Duration // of each refresh token from its issue; default 7 days
	Leeway         time.Duration // clock difference forgiven in exp, nbf and iat; default 5 s, negative: none
	CacheTokensMax int           // verified tokens remembered; default 4,096, negative: none
}

func (c Config) withDefaults() Config {
	if c.Issuer == "" {
		c.Issuer = "lectern"
	}
	if c.Audience == "" {
		c.Audience = "lectern"
	}
	if c.AccessTTL <= 0 {
		c.AccessTTL = 15 * time.Minute
	}
	if c.RefreshTTL <= 0 {
		c.RefreshTTL = 7 * 24 * time.Hour
	}
	if c.Leeway == 0 {
		c.Leeway = 5 * time.Second
	}
	c.Leeway = max(c.Leeway, 0)
	if c.CacheTokensMax == 0 {
		c.CacheTokensMax = 4096
	}
	return c
}

// Issuer issues, verifies, refreshes and revokes tokens. Make one with NewIssuer; any goroutine may use it.
type Issuer struct {
	// Immutable.
	cfg     Config
	keys    KeyStore
	refresh RefreshStore

	// Atomic.
	set atomic.Pointer[keySet]

	// Have locks of their own.
	revoked revocations
	cache   cache

	randMu sync.Mutex // a test's source need not be safe for concurrent use
	rand   io.Reader
}

// NewIssuer loads the signing keys and the families revoked lately. When the store has no key that signs, it makes one
// (about 0.2 s). rand is the source of ids and refresh tokens: crypto/rand.Reader except in tests.
func NewIssuer(ctx context.Context, now time.Time, keys KeyStore, refresh RefreshStore, cfg Config,
	rand io.Reader,
) (*Issuer, error) {
	i := &Issuer{cfg: cfg.withDefaults(), keys: keys, refresh: refresh, rand: rand}
	i.revoked.init()
	i.cache.init(i.cfg.CacheTokensMax)
	set, err := loadKeySet(ctx, keys, now)
	if err != nil {
		return nil, err
	}
	if set == nil {
		if err := i.makeFirstKey(ctx, now); err != nil {
			return nil, err
		}
	} else {
		i.set.Store(set)
	}
	if err := i.ReloadRevocations(ctx, now); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Issuer) makeFirstKey(ctx context.Context, now time.Time) error {
	key, err := newStoredKey(now, i.rand)
	if err != nil {
		return err
	}
	// Another node may have been quicker; then its key is the one.
	if err := i.keys.AddKey(ctx, key, 0, true); err != nil && !errors.Is(err, ErrKeyExists) {
		return fmt.Errorf("auth: store the first signing key: %w", err)
	}
	return i.ReloadKeys(ctx, now)
}

// RotateKeys makes a new signing key and a new receipt key. The present signing key verifies for AccessTTL more, plus
// the leeway; receipt keys stay for ever, and a question that is open keeps the one that it has. It blocks on the
// store.
func (i *Issuer) RotateKeys(ctx context.Context, now time.Time) error {
	key, err := newStoredKey(now, i.rand)
	if err != nil {
		return err
	}
	if err := i.keys.AddKey(ctx, key, now.Add(i.tokenSpan()).UnixMilli(), false); err != nil {
		return fmt.Errorf("auth: store the new signing key: %w", err)
	}
	if err := i.addReceiptKey(ctx, now); err != nil {
		return err
	}
	return i.ReloadKeys(ctx, now)
}

// KeyAge is how long ago the key that signs access tokens was made.
func (i *Issuer) KeyAge(now time.Time) time.Duration {
	return now.Sub(time.UnixMilli(i.set.Load().signedAt))
}

// ReloadKeys reads the keys again, for a key that another node has rotated. It blocks on the store.
func (i *Issuer) ReloadKeys(ctx context.Context, now time.Time) error {
	set, err := loadKeySet(ctx, i.keys, now)
	if err != nil {
		return err
	}
	if set == nil {
		return errors.New("auth: the store has no signing key that is not retired: restart the server to make one")
	}
	i.set.Store(set)
	return nil
}

// tokenSpan is how long after its issue an access token can still be accepted, whole seconds rounded up.
func (i *Issuer) tokenSpan() time.Duration { return i.cfg.AccessTTL + i.cfg.Leeway + time.Second }

// JWKS is the public keys as a JWK set (RFC 7517), for /.well-known/jwks.json. The caller must not change it.
func (i *Issuer) JWKS() []byte { return i.set.Load().jwks }

// IssueAccess signs an access token for c (about 1 ms of CPU). Subject and Role must be set; ID and the times are set
// here. No I/O.
func (i *Issuer) IssueAccess(now time.Time, c Claims) (token string, expiresAt time.Time, err error) {
	if member := c.fault(); member != "" {
		return "", time.Time{}, fmt.Errorf("auth: can't issue a token: %s is missing, too long or invalid", member)
	}
	id, err := i.randomID()
	if err != nil {
		return "", time.Time{}, err
	}
	set := i.set.Load()
	issued := now.Truncate(time.Second)
	expiresAt = issued.Add(i.cfg.AccessTTL)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, &payload{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: i.cfg.Issuer, Subject: c.Subject, Audience: jwt.ClaimStrings{i.cfg.Audience}, ID: id,
			ExpiresAt: jwt.NewNumericDate(expiresAt), NotBefore: jwt.NewNumericDate(issued),
			IssuedAt: jwt.NewNumericDate(issued),
		},
		Name: c.Name, Role: c.Role, Room: c.Room, Family: c.Family,
	})
	t.Header["kid"] = set.signerID
	token, err = t.SignedString(set.signer)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("auth: sign: %w", err)
	}
	return token, expiresAt, nil
}

// refreshPrefix marks refresh tokens so that people and secret scanners recognise one.
const refreshPrefix = "lrt_"

// refreshRetry is for how long after its use a refresh token can be used again when the reply was lost: some tries of a
// client on bad Wi-Fi, or the reload of a page.
const refreshRetry = time.Minute

// NewFamily begins a refresh family for c and returns its first token and its id, which belongs into Claims.Family of
// the access tokens issued beside it. It blocks on the store.
func (i *Issuer) NewFamily(ctx context.Context, now time.Time, c Claims) (refreshToken, family string, err error) {
	if member := c.fault(); member != "" {
		return "", "", fmt.Errorf("auth: can't begin a session: %s is missing, too long or invalid", member)
	}
	if family, err = i.randomID(); err != nil {
		return "", "", err
	}
	refreshToken, hash, err := i.newRefreshToken()
	if err != nil {
		return "", "", err
	}
	err = i.refresh.CreateFamily(ctx, Family{
		ID: family, Subject: c.Subject, Name: c.Name, Role: c.Role, Room: c.Room,
		CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(i.cfg.RefreshTTL).UnixMilli(),
	}, hash)
	if err != nil {
		return "", "", fmt.Errorf("auth: store the session: %w", err)
	}
	return refreshToken, family, nil
}

// Login begins a family and issues its first access token: NewFamily and IssueAccess in one. The claims returned have
// Family and ExpiresAt set.
func (i *Issuer) Login(ctx context.Context, now time.Time, c Claims) (
	access, refreshToken string, out Claims, err error,
) {
	refreshToken, c.Family, err = i.NewFamily(ctx, now, c)
	if err != nil {
		return "", "", Claims{}, err
	}
	access, c.ExpiresAt, err = i.IssueAccess(now, c)
	if err != nil {
		return "", "", Claims{}, err
	}
	return access, refreshToken, c, nil
}

// Refresh trades a refresh token for an access token and the next refresh token; ExpiresAt of the claims is the access
// token's. A refusal is a *wire.Error (invalid_token, token_expired); any other error means that the store is away and
// nothing has changed for certain. It blocks on the store.
//
// A token that was used before revokes its family (refresh token rotation: RFC 9700, section 4.14.2). The exception is
// ours: within refreshRetry of its use, and as long as its successor has not been used, it is taken for the retry of a
// client that lost the reply. It gets another successor, and the first one now revokes the family, too, when it is
// presented. So whoever copied a token still can't use it beside its owner unnoticed.
func (i *Issuer) Refresh(ctx context.Context, now time.Time, refreshToken string) (
	access, newRefresh string, c Claims, err error,
) {
	old, ok := parseRefreshToken(refreshToken)
	if !ok {
		return "", "", Claims{}, errMalformedRefresh()
	}
	newRefresh, next, err := i.newRefreshToken()
	if err != nil {
		return "", "", Claims{}, err
	}
	f, err := i.refresh.RotateRefresh(ctx, Rotation{
		Old: old, Next: next, At: now.UnixMilli(), ExpiresAt: now.Add(i.cfg.RefreshTTL).UnixMilli(),
		RetrySince: now.Add(-refreshRetry).UnixMilli(),
	})
	switch {
	case errors.Is(err, ErrRefreshReused):
		i.markRevoked(now, f)
		return "", "", Claims{}, wire.NewError(wire.CodeInvalidToken,
			"this refresh token was used before; the session is revoked, log in again")
	case err != nil:
		return "", "", Claims{}, refreshError(err)
	}
	c = familyClaims(&f)
	access, c.ExpiresAt, err = i.IssueAccess(now, c)
	if err != nil {
		return "", "", Claims{}, err
	}
	return access, newRefresh, c, nil
}

// RevokeFamily ends the session that the refresh token, used or not, belongs to: its refresh tokens and its access
// tokens. Errors are as for Refresh; a family that is revoked already is no error. It blocks on the store.
func (i *Issuer) RevokeFamily(ctx context.Context, now time.Time, refreshToken string) error {
	hash, ok := parseRefreshToken(refreshToken)
	if !ok {
		return errMalformedRefresh()
	}
	f, err := i.refresh.RevokeFamily(ctx, hash, now.UnixMilli())
	if err != nil {
		return refreshError(err)
	}
	i.markRevoked(now, f)
	return nil
}

func (i *Issuer) markRevoked(now time.Time, f Family) {
	i.revoked.add(f.ID, now.Add(i.tokenSpan()).UnixMilli())
}

func refreshError(err error) error {
	switch {
	case errors.Is(err, ErrRefreshUnknown):
		return wire.NewError(wire.CodeInvalidToken, "unknown refresh token; log in again")
	case errors.Is(err, ErrRefreshRevoked):
		return wire.NewError(wire.CodeInvalidToken, "the session was revoked; log in again")
	case errors.Is(err, ErrRefreshExpired):
		return wire.NewError(wire.CodeTokenExpired, "the refresh token has expired; log in again")
	}
	return fmt.Errorf("auth: refresh store: %w", err)
}

func errMalformedRefresh() *wire.Error {
	return wire.NewError(wire.CodeInvalidToken, "this is not a refresh token; log in again")
}

func (i *Issuer) newRefreshToken() (token string, hash RefreshHash, err error) {
	var raw [32]byte
	if err := i.readRandom(raw[:]); err != nil {
		return "", RefreshHash{}, err
	}
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(raw[:]), sha256.Sum256(raw[:]), nil
}

// parseRefreshToken accepts exactly what newRefreshToken makes: one spelling per token.
func parseRefreshToken(token string) (RefreshHash, bool) {
	encoded, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(32) {
		return RefreshHash{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != 32 { // the decoder skips line breaks
		return RefreshHash{}, false
	}
	return sha256.Sum256(raw), true
}

func (i *Issuer) randomID() (string, error) {
	var raw [16]byte
	if err := i.readRandom(raw[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func (i *Issuer) readRandom(b []byte) error {
	i.randMu.Lock()
	defer i.randMu.Unlock()
	if _, err := io.ReadFull(i.rand, b); err != nil {
		return fmt.Errorf("auth: read random bytes: %w", err)
	}
	return nil
}
