package auth

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lectern/protocol/wire"
)

const (
	algorithm = "RS256"
	// tokenBytesMax bounds the work that an unauthenticated client can cause.
	tokenBytesMax = 4096
)

var (
	errMalformed = errors.New("malformed")
	errAlgorithm = errors.New("algorithm is not RS256")
	errKey       = errors.New("unknown or retired key")
	errSignature = errors.New("wrong signature")
)

// header is the part of a JOSE header that matters here (RFC 7515 section 4.1). Keys that a token brings along (jwk,
// jku, x5c, x5u) are never looked at.
type header struct {
	Alg  string          `json:"alg"`
	Typ  string          `json:"typ"`
	Kid  string          `json:"kid"`
	Crit json.RawMessage `json:"crit,omitempty"`
	B64  json.RawMessage `json:"b64,omitempty"`
}

// Verify checks an access token and returns what it says. Refusals are invalid_token (malformed, wrong algorithm, key,
// signature, issuer or audience, not valid yet, revoked) and token_expired. No I/O; about 40 µs, or 2 µs for a token
// that is in the cache.
func (i *Issuer) Verify(now time.Time, token string) (Claims, *wire.Error) {
	if len(token) > tokenBytesMax {
		return Claims{}, invalidToken()
	}
	set := i.set.Load()
	var sum [32]byte
	if i.cache.max > 0 {
		sum = sha256.Sum256([]byte(token))
		if hit, ok := i.cache.get(sum); ok {
			if key, ok := set.verify[hit.kid]; ok && key.usable(now) {
				return i.stillGood(now, hit)
			}
		}
	}
	kid, body, err := openJWS(token, func(kid string) *rsa.PublicKey {
		if key, ok := set.verify[kid]; ok && key.usable(now) {
			return key.public
		}
		return nil
	})
	if err != nil {
		return Claims{}, invalidToken()
	}
	var p payload
	if err := strictUnmarshal(body, &p); err != nil {
		return Claims{}, invalidToken()
	}
	validator := jwt.NewValidator(jwt.WithIssuer(i.cfg.Issuer), jwt.WithAudience(i.cfg.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithNotBeforeRequired(), jwt.WithLeeway(i.cfg.Leeway),
		jwt.WithTimeFunc(func() time.Time { return now }))
	switch err := validator.Validate(&p); {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired) && onlyExpired(err):
		return Claims{}, expiredToken()
	default:
		return Claims{}, invalidToken()
	}
	c := p.claims()
	if c.fault() != "" {
		return Claims{}, invalidToken()
	}
	entry := cached{claims: c, kid: kid, notBefore: p.NotBefore.Time}
	i.cache.put(sum, entry)
	return i.stillGood(now, entry)
}

// onlyExpired is false when something else is wrong too: a stranger's expired token is invalid, not expired.
func onlyExpired(err error) bool {
	for _, other := range []error{
		jwt.ErrTokenInvalidIssuer, jwt.ErrTokenInvalidAudience, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// stillGood checks what changes while the token's bytes do not.
func (i *Issuer) stillGood(now time.Time, e cached) (Claims, *wire.Error) {
	if !now.Add(-i.cfg.Leeway).Before(e.claims.ExpiresAt) {
		return Claims{}, expiredToken()
	}
	if now.Add(i.cfg.Leeway).Before(e.notBefore) {
		return Claims{}, invalidToken()
	}
	if i.revoked.has(e.claims.Family, now.UnixMilli()) {
		return Claims{}, wire.NewError(wire.CodeInvalidToken, "the session was revoked; log in again")
	}
	return e.claims, nil
}

func (k verifyKey) usable(now time.Time) bool {
	return k.retiresAt == 0 || now.UnixMilli() < k.retiresAt
}

func invalidToken() *wire.Error {
	return wire.NewError(wire.CodeInvalidToken, "the token is not valid here; log in again")
}

func expiredToken() *wire.Error {
	return wire.NewError(wire.CodeTokenExpired, "the token has expired; refresh it")
}

// openJWS checks the compact serialisation (RFC 7515 section 7.1) and the signature, and returns the payload. It is
// stricter than a library has to be: exactly three parts, unpadded canonical base64url, no duplicate members in the
// header, RS256 only, and nothing critical that it doesn't know (section 4.1.11).
func openJWS(token string, keyOf func(kid string) *rsa.PublicKey) (kid string, body []byte, err error) {
	signed, sig64, ok := cutLast(token)
	if !ok {
		return "", nil, errMalformed
	}
	head64, body64, ok := strings.Cut(signed, ".")
	if !ok || strings.Contains(body64, ".") {
		return "", nil, errMalformed
	}
	rawHead, err := decodeSegment(head64)
	if err != nil {
		return "", nil, err
	}
	var h header
	if err := strictUnmarshal(rawHead, &h); err != nil {
		return "", nil, errMalformed
	}
	if h.Alg != algorithm {
		return "", nil, errAlgorithm
	}
	if h.Crit != nil || h.B64 != nil || (h.Typ != "" && !strings.EqualFold(h.Typ, "JWT")) {
		return "", nil, errMalformed
	}
	key := keyOf(h.Kid)
	if key == nil {
		return "", nil, errKey
	}
	sig, err := decodeSegment(sig64)
	if err != nil {
		return "", nil, err
	}
	if body, err = decodeSegment(body64); err != nil {
		return "", nil, err
	}
	if jwt.SigningMethodRS256.Verify(signed, sig, key) != nil {
		return "", nil, errSignature
	}
	return h.Kid, body, nil
}

func cutLast(s string) (before, after string, ok bool) {
	at := strings.LastIndexByte(s, '.')
	if at < 0 {
		return "", "", false
	}
	return s[:at], s[at+1:], true
}

func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // the decoder skips line breaks, so a token would have several spellings
		return nil, errMalformed
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errMalformed
	}
	return b, nil
}

// strictUnmarshal decodes one JSON object and refuses members that come twice, of which decoders pick different ones
// (RFC 7515 section 4, RFC 7519 section 4).
func strictUnmarshal(data []byte, into any) error {
	if err := uniqueMembers(data); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// uniqueMembers checks the top level, the only one our claims have. Names are compared as encoding/json matches them:
// without case.
func uniqueMembers(data []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errMalformed
	}
	var few [16]string
	seen := few[:0]
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errMalformed
		}
		name, ok := t.(string)
		if !ok {
			return errMalformed
		}
		for _, s := range seen {
			if strings.EqualFold(s, name) {
				return errMalformed
			}
		}
		if seen = append(seen, name); len(seen) > 64 {
			return errMalformed
		}
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			return errMalformed
		}
	}
	if _, err := dec.Token(); err != nil {
		return errMalformed
	}
	if dec.More() {
		return errMalformed
	}
	return nil
}
