package auth

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
)

// keyBits is the size of new RSA keys: the least that RFC 7518 section 3.3 allows.
const keyBits = 2048

// verifyKey is one public key with the time of its retirement.
type verifyKey struct {
	public    *rsa.PublicKey
	retiresAt int64 // Unix milliseconds; zero: never
}

// keySet is the keys in use; immutable once published.
type keySet struct {
	signerID string
	signer   *rsa.PrivateKey
	signedAt int64 // when the signer was made, Unix milliseconds
	verify   map[string]verifyKey
	receipts *Receipts
	jwks     []byte
	macKeys  [][]byte // the signer's first
}

// jwk is a public key as in RFC 7517 and RFC 7518 section 6.3.1.
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	N   string `json:"n"`
	E   string `json:"e"`
}

func newStoredKey(now time.Time, rand io.Reader) (StoredKey, error) {
	key, err := rsa.GenerateKey(rand, keyBits)
	if err != nil {
		return StoredKey{}, fmt.Errorf("auth: make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return StoredKey{}, fmt.Errorf("auth: encode the signing key: %w", err)
	}
	return StoredKey{ID: thumbprint(&key.PublicKey), PKCS8: der, CreatedAt: now.UnixMilli()}, nil
}

// thumbprint is the JWK thumbprint of RFC 7638, so that a key's id follows from the key.
func thumbprint(k *rsa.PublicKey) string {
	n, e := jwkNumbers(k)
	sum := sha256.Sum256([]byte(`{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func jwkNumbers(k *rsa.PublicKey) (n, e string) {
	return base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())
}

// loadKeySet reads the keys; the newest without a retirement signs. It returns nil when the store has no key that
// signs.
func loadKeySet(ctx context.Context, store KeyStore, now time.Time) (*keySet, error) {
	stored, err := store.LoadKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: load the signing keys: %w", err)
	}
	set := &keySet{verify: make(map[string]verifyKey, len(stored)), receipts: newReceipts()}
	public := make([]any, 0, len(stored))
	for _, s := range stored {
		if s.RetiresAt != 0 && s.RetiresAt <= now.UnixMilli() {
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(s.PKCS8)
		if err == nil && set.receipts.add(s.ID, parsed) {
			public = append(public, set.receipts.jwk(s.ID))
			continue
		}
		key, ok := parsed.(*rsa.PrivateKey)
		if err == nil && !ok {
			err = errors.New("it is neither an RSA nor an Ed25519 key")
		}
		if err != nil {
			return nil, fmt.Errorf("auth: the stored signing key %q is damaged: restore the database from a backup, or delete "+
				"that key so that a new one is made: %w", s.ID, err)
		}
		set.verify[s.ID] = verifyKey{public: &key.PublicKey, retiresAt: s.RetiresAt}
		set.macKeys = append(set.macKeys, macKey(key))
		n, e := jwkNumbers(&key.PublicKey)
		public = append(public, jwk{Kty: "RSA", Use: "sig", Alg: algorithm, Kid: s.ID, N: n, E: e})
		if s.RetiresAt == 0 {
			set.signerID, set.signer, set.signedAt = s.ID, key, s.CreatedAt
			set.macKeys[0], set.macKeys[len(set.macKeys)-1] = set.macKeys[len(set.macKeys)-1], set.macKeys[0]
		}
	}
	if set.signer == nil {
		return nil, nil
	}
	set.jwks, err = json.Marshal(map[string]any{"keys": public})
	if err != nil {
		return nil, fmt.Errorf("auth: encode the key set: %w", err)
	}
	return set, nil
}
