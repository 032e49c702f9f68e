package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"lectern/protocol/wire"
)

const (
	// receiptAlgorithm is Ed25519 as RFC 8037 names it in JOSE: a signature costs a fortieth of RS256's, and the same
	// claims always get the same one.
	receiptAlgorithm = "EdDSA"
	// receiptType keeps receipts and access tokens apart (RFC 8725 section 3.11).
	receiptType = "receipt+jwt"
	// receiptKeyKept is the retirement of receipt keys: never. A receipt must stay good, and be made again, for as long as
	// its session is in the log. Not zero, which marks the one key that signs access tokens.
	receiptKeyKept = math.MaxInt64
	// receiptBytesMax bounds the work that a stranger's text causes; a real receipt has about 400 bytes.
	receiptBytesMax = 2048
)

// ReceiptFault says why a text is no receipt of this server. It is the reason of a wire.ReceiptVerdict.
type ReceiptFault string

// The faults.
const (
	ReceiptMalformed  ReceiptFault = "malformed"
	ReceiptUnsigned   ReceiptFault = "unsigned"
	ReceiptUnknownKey ReceiptFault = "unknown_key"
	ReceiptSignature  ReceiptFault = "signature"
)

// Error says it to people.
func (f ReceiptFault) Error() string {
	switch f {
	case ReceiptUnsigned:
		return "this is the number of a receipt, not the receipt; only the whole receipt carries a signature"
	case ReceiptUnknownKey:
		return "another server has signed this receipt, or the key is not known here"
	case ReceiptSignature:
		return "the signature does not fit: the receipt was changed or is not complete"
	}
	return "this is not a receipt; copy all of it"
}

// Verdict is what there is to say about a receipt with this fault.
func (f ReceiptFault) Verdict() *wire.ReceiptVerdict {
	return &wire.ReceiptVerdict{Verdict: wire.ReceiptInvalid, Reason: string(f), Message: f.Error()}
}

// Receipts are the keys that sign and verify receipts. Immutable; any goroutine.
type Receipts struct {
	keys    map[string]receiptKey
	current string // kid of the newest
}

type receiptKey struct {
	private ed25519.PrivateKey
	head    string // the encoded JOSE header and its dot
}

// LoadReceipts reads the receipt keys of a store, for tools that sign nothing else. It blocks on the store.
func LoadReceipts(ctx context.Context, keys KeyStore) (*Receipts, error) {
	stored, err := keys.LoadKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: load the receipt keys: %w", err)
	}
	r := newReceipts()
	for i := range stored {
		if parsed, err := x509.ParsePKCS8PrivateKey(stored[i].PKCS8); err == nil {
			r.add(stored[i].ID, parsed)
		}
	}
	return r, nil
}

func newReceipts() *Receipts { return &Receipts{keys: make(map[string]receiptKey)} }

// add takes a parsed key if it is one for receipts. The last one added signs.
func (r *Receipts) add(kid string, parsed any) bool {
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return false
	}
	head, _ := json.Marshal(header{Alg: receiptAlgorithm, Typ: receiptType, Kid: kid}) // strings always marshal
	r.keys[kid] = receiptKey{private: private, head: base64.RawURLEncoding.EncodeToString(head) + "."}
	r.current = kid
	return true
}

// Current is the kid of the key that new questions use.
func (r *Receipts) Current() string { return r.current }

// Sign makes the receipt of claims (about 30 µs of CPU, no I/O): always the same for the same claims, because Ed25519
// needs no randomness (RFC 8032 section 5.1.6). c.Key names the key.
func (r *Receipts) Sign(c *wire.ReceiptClaims) (string, error) {
	key, ok := r.keys[c.Key]
	if !ok {
		return "", fmt.Errorf("auth: sign a receipt: %w", ReceiptUnknownKey)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("auth: encode a receipt: %w", err)
	}
	enc := base64.RawURLEncoding
	out := make([]byte, 0, len(key.head)+enc.EncodedLen(len(body))+1+enc.EncodedLen(ed25519.SignatureSize))
	out = append(out, key.head...)
	out = enc.AppendEncode(out, body)
	signature := ed25519.Sign(key.private, out)
	out = append(out, '.')
	return string(enc.AppendEncode(out, signature)), nil
}

// Open checks a receipt's form and signature and returns its claims; the fault is empty when it is good. Verification
// costs about 100 µs of CPU.
func (r *Receipts) Open(receipt string) (_ *wire.ReceiptClaims, fault ReceiptFault) {
	if len(receipt) > receiptBytesMax {
		return nil, ReceiptMalformed
	}
	signed, sig64, ok := cutLast(receipt)
	if !ok {
		if _, ok := ReceiptNumber(receipt); ok {
			return nil, ReceiptUnsigned
		}
		return nil, ReceiptMalformed
	}
	head64, body64, ok := strings.Cut(signed, ".")
	if !ok || strings.Contains(body64, ".") {
		return nil, ReceiptMalformed
	}
	rawHead, err := decodeSegment(head64)
	if err != nil {
		return nil, ReceiptMalformed
	}
	var h header
	if strictUnmarshal(rawHead, &h) != nil || h.Alg != receiptAlgorithm || h.Typ != receiptType || h.Crit != nil ||
		h.B64 != nil {
		return nil, ReceiptMalformed
	}
	key, ok := r.keys[h.Kid]
	if !ok {
		return nil, ReceiptUnknownKey
	}
	sig, err := decodeSegment(sig64)
	if err != nil || !ed25519.Verify(key.private.Public().(ed25519.PublicKey), []byte(signed), sig) {
		return nil, ReceiptSignature
	}
	body, err := decodeSegment(body64)
	c := &wire.ReceiptClaims{Key: h.Kid}
	if err != nil || strictUnmarshal(body, c) != nil {
		return nil, ReceiptMalformed
	}
	return c, ""
}

// ReceiptNumber reads a receipt's number as people write it: 16 characters of base32, perhaps in groups with hyphens.
func ReceiptNumber(text string) (number string, ok bool) {
	number = strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(text))
	return number, len(number) == 16 && strings.Trim(number, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// okp is an Ed25519 key as in RFC 8037 section 2.
type okp struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	X   string `json:"x"`
}

func (r *Receipts) jwk(kid string) okp {
	public := r.keys[kid].private.Public().(ed25519.PublicKey)
	return okp{
		Kty: "OKP", Crv: "Ed25519", Use: "sig", Alg: receiptAlgorithm, Kid: kid,
		X: base64.RawURLEncoding.EncodeToString(public),
	}
}

func newStoredReceiptKey(now time.Time, rand io.Reader) (StoredKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return StoredKey{}, fmt.Errorf("auth: make a receipt key: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return StoredKey{}, fmt.Errorf("auth: encode the receipt key: %w", err)
	}
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`)) // RFC 8037 section 2, appendix A.3
	return StoredKey{
		ID: base64.RawURLEncoding.EncodeToString(sum[:]), PKCS8: der, CreatedAt: now.UnixMilli(), RetiresAt: receiptKeyKept,
	}, nil
}

// MakeReceiptKey makes the first key for receipts, if there is none yet. It blocks on the store. NewIssuer does not do
// so, because tools that issue tokens may open the store for reading only.
func (i *Issuer) MakeReceiptKey(ctx context.Context, now time.Time) error {
	if i.Receipts().Current() != "" {
		return nil
	}
	if err := i.addReceiptKey(ctx, now); err != nil {
		return err
	}
	return i.ReloadKeys(ctx, now)
}

// addReceiptKey makes the key that signs receipts from now on. The others stay: old receipts are signed with them.
func (i *Issuer) addReceiptKey(ctx context.Context, now time.Time) error {
	i.randMu.Lock()
	key, err := newStoredReceiptKey(now, i.rand)
	i.randMu.Unlock()
	if err != nil {
		return err
	}
	// Zero leaves the key of the access tokens as it is.
	if err := i.keys.AddKey(ctx, key, 0, false); err != nil && !errors.Is(err, ErrKeyExists) {
		return fmt.Errorf("auth: store the receipt key: %w", err)
	}
	return nil
}

// Receipts are the keys of the receipts, as last loaded. Any goroutine.
func (i *Issuer) Receipts() *Receipts { return i.set.Load().receipts }

// SignReceipt is Receipts().Sign.
func (i *Issuer) SignReceipt(c *wire.ReceiptClaims) (string, error) { return i.Receipts().Sign(c) }
