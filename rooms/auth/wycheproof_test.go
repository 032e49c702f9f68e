package auth

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"testing"
)

// TestWycheproof feeds Wycheproof's JWS vectors to the layer below the claims, with each vector's own key known under
// its kid: what is marked invalid must be refused, RS256 that is marked valid must be accepted, and no other algorithm
// may be.
func TestWycheproof(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/data/jwt/wycheproof_json_web_signature_test.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the vectors are not beside this repository; TestRefusals and TestOneSpelling cover the same ground")
	}
	if err != nil {
		t.Fatal(err)
	}
	type key struct{ Kty, Alg, Kid, Use, N, E string }
	var file struct {
		TestGroups []struct {
			Public, Private *key
			Tests           []struct {
				TcID         int `json:"tcId"`
				Comment, Jws string
				Result       string
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, 0
	for _, g := range file.TestGroups {
		k := g.Public
		if k == nil {
			k = g.Private
		}
		keyOf := func(kid string) *rsa.PublicKey {
			if k.Kty != "RSA" || k.Alg != algorithm || kid != k.Kid || (k.Use != "" && k.Use != "sig") {
				return nil // such a key would never be in our set
			}
			return &rsa.PublicKey{N: number(t, k.N), E: int(number(t, k.E).Int64())}
		}
		for _, c := range g.Tests {
			_, _, err := openJWS(c.Jws, keyOf)
			want := c.Result == "valid" && k.Kty == "RSA" && k.Alg == algorithm
			if (err == nil) != want {
				t.Errorf("vector %d (%s, %s, %s): accepted is %v, want %v: %v",
					c.TcID, c.Comment, k.Alg, c.Result, err == nil, want, err)
			}
			// Whatever key the token names, an RSA key is one: only the algorithm decides.
			if k.Kty == "RSA" && c.Result == "invalid" && k.Alg == algorithm {
				anyKid := func(string) *rsa.PublicKey { return keyOf(k.Kid) }
				if _, _, err := openJWS(c.Jws, anyKid); err == nil {
					t.Errorf("vector %d (%s): accepted when its kid is not checked", c.TcID, c.Comment)
				}
			}
			if err == nil {
				accepted++
			} else {
				refused++
			}
		}
	}
	if accepted < 5 || refused < 200 {
		t.Errorf("only %d accepted and %d refused: is this the right file?", accepted, refused)
	}
}

func number(t *testing.T, s string) *big.Int {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}
