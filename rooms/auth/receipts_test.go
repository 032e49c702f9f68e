package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lectern/persist/mem"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

func someClaims(key string) *wire.ReceiptClaims {
	return &wire.ReceiptClaims{
		ID: "ABCDEFGHIJKLMNOP", Room: "rn8e97r6cpycd7my", Question: 3, User: "guest-jasfcq9mc6qb", At: 1795470757509,
		Digest: "AAECAwQFBgcICQoLDA0ODw", Key: key,
	}
}

// withReceipts gives an issuer its first receipt key.
func withReceipts(t testing.TB, i *auth.Issuer) *auth.Issuer {
	t.Helper()
	if err := i.MakeReceiptKey(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	return i
}

// TestReceiptsNeverChange holds the form of receipts: what was given out must be given out again after any update.
func TestReceiptsNeverChange(t *testing.T) {
	t.Parallel()
	store := mem.New(nil)
	i, err := auth.NewIssuer(t.Context(), start, store, store, auth.Config{}, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	withReceipts(t, i)
	const kid = "9ZP03Nu8GrXPAUkbKNxHOKBzxPX83SShgFkRNK-f2lw"
	const want = "eyJhbGciOiJFZERTQSIsInR5cCI6InJlY2VpcHQrand0Iiwia2lkIjoiOVpQMDNOdThHclhQQVVrYktOeEhPS0J6eF" +
		"BYODNTU2hnRmtSTkstZjJsdyJ9." +
		"eyJqdGkiOiJBQkNERUZHSElKS0xNTk9QIiwicm9vbSI6InJuOGU5N3I2Y3B5Y2Q3bXkiLCJxIjozLCJzdWIiOiJndW" +
		"VzdC1qYXNmY3E5bWM2cWIiLCJhdCI6MTc5NTQ3MDc1NzUwOSwiZGlnIjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EdyJ9" +
		"." +
		"T-tcwiqqUHG8OFGuh_hJOWuXwCmg1KQ9-mzVgd9xwR6Vq6Ezps3vy1-Z2fAuwbdDIt1kq9yArJw1tvoQpbiGCw"
	if got := i.Receipts().Current(); got != kid {
		t.Errorf("the key of the zero seed is %s", got)
	}
	got, err := i.SignReceipt(someClaims(i.Receipts().Current()))
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// zeros is no random source at all; RSA keys don't come from it.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestReceiptsOutliveRotationAndRestart(t *testing.T) {
	t.Parallel()
	store := mem.New(nil)
	i := withReceipts(t, issuer(t, store, auth.Config{}))
	claims := someClaims(i.Receipts().Current())
	first, err := i.SignReceipt(claims)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		now := start.Add(time.Duration(n+1) * 365 * 24 * time.Hour)
		if err := i.RotateKeys(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if err := i.Sweep(t.Context(), now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	late := start.Add(10 * 365 * 24 * time.Hour)
	again, err := auth.NewIssuer(t.Context(), late, store, store, auth.Config{}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tool, err := auth.LoadReceipts(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*auth.Receipts{"rotated": i.Receipts(), "restarted": again.Receipts(), "tool": tool} {
		if r.Current() == claims.Key || r.Current() != tool.Current() {
			t.Errorf("%s: signs with %s", name, r.Current())
		}
		if got, err := r.Sign(claims); err != nil || got != first {
			t.Errorf("%s: %v, another receipt for the same answer", name, err)
		}
		if got, fault := r.Open(first); fault != "" || *got != *claims {
			t.Errorf("%s: %+v %q", name, got, fault)
		}
	}
	if _, err := i.SignReceipt(someClaims("no such key")); err == nil {
		t.Error("a receipt is signed with no key")
	}
}

func TestReceiptFaults(t *testing.T) {
	t.Parallel()
	store := mem.New(nil)
	i := withReceipts(t, issuer(t, store, auth.Config{}))
	good, err := i.SignReceipt(someClaims(i.Receipts().Current()))
	if err != nil {
		t.Fatal(err)
	}
	stranger := withReceipts(t, issuer(t, mem.New(nil), auth.Config{}))
	foreign, err := stranger.SignReceipt(someClaims(stranger.Receipts().Current()))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	better := base64.RawURLEncoding.EncodeToString(bytes.Replace(body, []byte(`"q":3`), []byte(`"q":4`), 1))
	kid := i.Receipts().Current()
	for name, c := range map[string]struct {
		receipt string
		want    auth.ReceiptFault
	}{
		"empty":            {"", auth.ReceiptMalformed},
		"prose":            {"I answered, honestly", auth.ReceiptMalformed},
		"too long":         {strings.Repeat("a", 1<<16), auth.ReceiptMalformed},
		"a number":         {"ABCDEFGHIJKLMNOP", auth.ReceiptUnsigned},
		"grouped":          {"abcd-EFGH-IJKL-MNOP", auth.ReceiptUnsigned},
		"cut off":          {good[:len(good)-10], auth.ReceiptSignature},
		"two parts":        {parts[0] + "." + parts[1], auth.ReceiptMalformed},
		"four parts":       {good + ".", auth.ReceiptMalformed},
		"padded":           {good + "==", auth.ReceiptSignature},
		"another question": {parts[0] + "." + better + "." + parts[2], auth.ReceiptSignature},
		"another server's": {foreign, auth.ReceiptUnknownKey},
		"an access token":  {access(t, i, start, ada), auth.ReceiptMalformed},
		"no signature": {
			head64(`{"alg":"none","typ":"receipt+jwt","kid":"`+kid+`"}`) + "." + parts[1] + ".", auth.ReceiptMalformed,
		},
		"another type": {
			head64(`{"alg":"EdDSA","typ":"JWT","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2], auth.ReceiptMalformed,
		},
		"its own key": {
			head64(`{"alg":"EdDSA","typ":"receipt+jwt","kid":"x","jwk":{}}`) + "." + parts[1] + "." + parts[2],
			auth.ReceiptUnknownKey,
		},
	} {
		if _, got := i.Receipts().Open(c.receipt); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if c.want != "" && c.want.Verdict().Message == "" {
			t.Errorf("%s: no message", name)
		}
	}
	if got := verifyCode(i, start, good); got != wire.CodeInvalidToken {
		t.Errorf("a receipt taken for an access token gets %q", got)
	}
}

func head64(head string) string { return base64.RawURLEncoding.EncodeToString([]byte(head)) }

// TestReceiptKeysAreInTheKeySet: whoever has the key set can verify a receipt without us.
func TestReceiptKeysAreInTheKeySet(t *testing.T) {
	t.Parallel()
	i := withReceipts(t, issuer(t, mem.New(nil), auth.Config{}))
	receipt, err := i.SignReceipt(someClaims(i.Receipts().Current()))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X string }
	}
	if err := json.Unmarshal(i.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Kty != "OKP" {
			continue
		}
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		signed, sig64, _ := strings.Cut(receipt[len(receipt)-87:], ".")
		sig, err2 := base64.RawURLEncoding.DecodeString(sig64)
		if err != nil || err2 != nil || signed != "" || k.Crv != "Ed25519" || k.Kid != i.Receipts().Current() ||
			!ed25519.Verify(x, []byte(receipt[:len(receipt)-87]), sig) {
			t.Errorf("%+v does not verify", k)
		}
		return
	}
	t.Error("the key set has no key for receipts")
}

func BenchmarkSignReceipt(b *testing.B) {
	store := mem.New(nil)
	i, err := auth.NewIssuer(b.Context(), start, store, store, auth.Config{}, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	withReceipts(b, i)
	claims := someClaims(i.Receipts().Current())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.SignReceipt(claims); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzOpenReceipt(f *testing.F) {
	store := mem.New(nil)
	i, err := auth.NewIssuer(f.Context(), start, store, store, auth.Config{}, rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	withReceipts(f, i)
	good, err := i.SignReceipt(someClaims(i.Receipts().Current()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, receipt string) {
		claims, fault := i.Receipts().Open(receipt)
		if fault != "" {
			return
		}
		// What opens is what was signed: no other text carries the same claims.
		if again, err := i.SignReceipt(claims); err != nil || again != receipt {
			t.Errorf("%q opens, %q is what was given out: %v", receipt, again, err)
		}
	})
}
