package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lectern/persist/mem"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var ada = auth.Claims{Subject: "u1", Name: "Ada \"é\"", Role: wire.RoleHost, Room: "r1"}

func issuer(tb testing.TB, store *mem.Store, cfg auth.Config) *auth.Issuer {
	tb.Helper()
	i, err := auth.NewIssuer(context.Background(), start, store, store, cfg, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func access(tb testing.TB, i *auth.Issuer, now time.Time, c auth.Claims) string {
	tb.Helper()
	token, _, err := i.IssueAccess(now, c)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func wantCode(t *testing.T, err error, want wire.Code) {
	t.Helper()
	var we *wire.Error
	if !errors.As(err, &we) || we.Code != want {
		t.Fatalf("got error %v, want %s", err, want)
	}
}

func verifyCode(i *auth.Issuer, now time.Time, token string) wire.Code {
	if _, err := i.Verify(now, token); err != nil {
		return err.Code
	}
	return ""
}

func TestAccessTokenRoundTrip(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{})
	now := start.Add(700 * time.Millisecond)
	token, expires, err := i.IssueAccess(now, ada)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is from the cache
		got, werr := i.Verify(now, token)
		if werr != nil {
			t.Fatal(werr)
		}
		if got.ID == "" || !got.IssuedAt.Equal(start) || !got.ExpiresAt.Equal(expires) ||
			!expires.Equal(start.Add(15*time.Minute)) {
			t.Fatalf("got %+v, expires %v", got, expires)
		}
		got.ID, got.IssuedAt, got.ExpiresAt = "", time.Time{}, time.Time{}
		if got != ada {
			t.Fatalf("got %+v, want %+v", got, ada)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, cacheSize := range []int{-1, 0} {
		i := issuer(t, mem.New(nil), auth.Config{CacheTokensMax: cacheSize})
		token := access(t, i, start, ada)
		for _, c := range []struct {
			at   time.Duration
			want wire.Code
		}{
			{-5*time.Second - 1, wire.CodeInvalidToken}, // not valid yet
			{-5 * time.Second, ""},
			{15*time.Minute + 5*time.Second - 1, ""},
			{15*time.Minute + 5*time.Second, wire.CodeTokenExpired},
			{24 * time.Hour, wire.CodeTokenExpired},
			{0, ""},
			{-time.Hour, wire.CodeInvalidToken}, // from the cache
			{time.Hour, wire.CodeTokenExpired},
		} {
			if got := verifyCode(i, start.Add(c.at), token); got != c.want {
				t.Errorf("cache %d: at %v the verdict is %q, want %q", cacheSize, c.at, got, c.want)
			}
		}
	}
}

// forge signs claims with the issuer's own key, so that only what is claimed can be at fault.
func forge(t *testing.T, store *mem.Store, method jwt.SigningMethod, head map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	keys, err := store.LoadKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys = slices.DeleteFunc(keys, func(k auth.StoredKey) bool { return k.RetiresAt != 0 })
	private, err := parsePKCS8(keys[len(keys)-1].PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = keys[len(keys)-1].ID
	for k, v := range head {
		if token.Header[k] = v; v == nil {
			delete(token.Header, k)
		}
	}
	var key any = private
	switch method.(type) {
	case *jwt.SigningMethodHMAC:
		key = private.N.Bytes() // the classic confusion: the public key as a secret
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
	default:
		key = jwt.UnsafeAllowNoneSignatureType
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRefusals(t *testing.T) {
	store := mem.New(nil)
	i := issuer(t, store, auth.Config{})
	good := func() jwt.MapClaims {
		return jwt.MapClaims{
			"iss": "lectern", "aud": "lectern", "sub": "u1", "role": "host", "jti": "x",
			"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Unix() + 900,
		}
	}
	if got := verifyCode(i, start, forge(t, store, jwt.SigningMethodRS256, nil, good())); got != "" {
		t.Fatalf("the forgery without a fault is refused: %s", got)
	}
	type change = func(jwt.MapClaims)
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		head   map[string]any
		change change
		want   wire.Code
	}{
		"alg none":     {method: jwt.SigningMethodNone},
		"alg HS256":    {method: jwt.SigningMethodHS256},
		"alg RS384":    {method: jwt.SigningMethodRS384},
		"alg PS256":    {method: jwt.SigningMethodPS256},
		"no kid":       {head: map[string]any{"kid": nil}},
		"other kid":    {head: map[string]any{"kid": "other"}},
		"kid a number": {head: map[string]any{"kid": 1}},
		"crit":         {head: map[string]any{"crit": []string{"exp"}}},
		"b64":          {head: map[string]any{"b64": false}},
		"typ":          {head: map[string]any{"typ": "at+jwt"}},
		"no exp":       {change: func(c jwt.MapClaims) { delete(c, "exp") }},
		"exp text":     {change: func(c jwt.MapClaims) { c["exp"] = "soon" }},
		"expired":      {change: func(c jwt.MapClaims) { c["exp"] = start.Unix() - 6 }, want: wire.CodeTokenExpired},
		"expired of another": {change: func(c jwt.MapClaims) {
			c["exp"], c["iss"] = start.Unix()-6, "other"
		}},
		"no nbf":       {change: func(c jwt.MapClaims) { delete(c, "nbf") }},
		"nbf ahead":    {change: func(c jwt.MapClaims) { c["nbf"] = start.Unix() + 6 }},
		"iat ahead":    {change: func(c jwt.MapClaims) { c["iat"] = start.Unix() + 6 }},
		"other iss":    {change: func(c jwt.MapClaims) { c["iss"] = "lectern2" }},
		"no iss":       {change: func(c jwt.MapClaims) { delete(c, "iss") }},
		"other aud":    {change: func(c jwt.MapClaims) { c["aud"] = []string{"other"} }},
		"no aud":       {change: func(c jwt.MapClaims) { delete(c, "aud") }},
		"no sub":       {change: func(c jwt.MapClaims) { delete(c, "sub") }},
		"no role":      {change: func(c jwt.MapClaims) { delete(c, "role") }},
		"unknown role": {change: func(c jwt.MapClaims) { c["role"] = "god" }},
		"role none":    {change: func(c jwt.MapClaims) { c["role"] = "none" }},
		"long room":    {change: func(c jwt.MapClaims) { c["room"] = strings.Repeat("r", 257) }},
		"too long":     {change: func(c jwt.MapClaims) { c["x"] = strings.Repeat("r", 4096) }},
	} {
		t.Run(name, func(t *testing.T) {
			claims := good()
			if c.change != nil {
				c.change(claims)
			}
			if c.method == nil {
				c.method = jwt.SigningMethodRS256
			}
			if c.want == "" {
				c.want = wire.CodeInvalidToken
			}
			if got := verifyCode(i, start, forge(t, store, c.method, c.head, claims)); got != c.want {
				t.Errorf("the verdict is %q, want %q", got, c.want)
			}
		})
	}
}

// TestOneSpelling: no other text than the one issued is accepted.
func TestOneSpelling(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{CacheTokensMax: -1})
	token := access(t, i, start, ada)
	parts := strings.Split(token, ".")
	for name, s := range map[string]string{
		"empty": "", "dots": "..", "two parts": parts[0] + "." + parts[1], "four parts": token + ".x",
		"no signature": parts[0] + "." + parts[1] + ".", "padding": token + "=", "space": " " + token,
		"newline":        token + "\n",
		"newline inside": parts[0] + "\n." + parts[1] + "." + parts[2], "bearer": "Bearer " + token,
		"last bits": token[:len(token)-1] + string(token[len(token)-1]+1),
	} {
		if got := verifyCode(i, start, s); got != wire.CodeInvalidToken {
			t.Errorf("%s: the verdict is %q", name, got)
		}
	}
	for at := range token {
		changed := []byte(token)
		changed[at] ^= 1
		if got := verifyCode(i, start, string(changed)); got != wire.CodeInvalidToken {
			t.Fatalf("with byte %d changed the verdict is %q", at, got)
		}
	}
}

func TestIssueRefusesUnfitClaims(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{})
	for name, c := range map[string]auth.Claims{
		"no subject": {Role: wire.RoleHost}, "no role": {Subject: "u"}, "role": {Subject: "u", Role: 99},
		"name": {Subject: "u", Role: wire.RoleHost, Name: strings.Repeat("n", 513)},
	} {
		if _, _, err := i.IssueAccess(start, c); err == nil {
			t.Errorf("%s: a token was issued", name)
		}
		if _, _, err := i.NewFamily(t.Context(), start, c); err == nil {
			t.Errorf("%s: a family was begun", name)
		}
	}
}

func TestRefresh(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{})
	token, refresh, c, err := i.Login(t.Context(), start, ada)
	if err != nil {
		t.Fatal(err)
	}
	if got, werr := i.Verify(start, token); werr != nil || got.Family == "" || got.Family != c.Family {
		t.Fatalf("got %+v, %v", got, werr)
	}
	now, used := start, []string{}
	for range 4 { // each within the seven days of the one before
		now = now.Add(7*24*time.Hour - time.Second)
		used = append(used, refresh)
		var got auth.Claims
		token, refresh, got, err = i.Refresh(t.Context(), now, refresh)
		if err != nil {
			t.Fatal(err)
		}
		seen, werr := i.Verify(now, token)
		if werr != nil || seen.Subject != ada.Subject || seen.Name != ada.Name || seen.Role != ada.Role ||
			seen.Room != ada.Room || seen.Family != c.Family || !seen.ExpiresAt.Equal(got.ExpiresAt) {
			t.Fatalf("got %+v and %+v, %v", got, seen, werr)
		}
	}
	_, _, _, err = i.Refresh(t.Context(), now.Add(7*24*time.Hour), refresh)
	wantCode(t, err, wire.CodeTokenExpired)

	var told []string
	defer i.Subscribe(func(f string) { told = append(told, f) })()
	_, _, _, err = i.Refresh(t.Context(), now, used[1])
	wantCode(t, err, wire.CodeInvalidToken)
	_, _, _, err = i.Refresh(t.Context(), now, refresh)
	wantCode(t, err, wire.CodeInvalidToken)
	if got := verifyCode(i, now, token); got != wire.CodeInvalidToken {
		t.Errorf("an access token of the revoked family gets %q", got)
	}
	if len(told) != 1 || told[0] != c.Family {
		t.Errorf("subscribers were told of %v, want the family once", told)
	}
	cut := refresh[:len(refresh)-1]
	for _, text := range []string{"", "lrt_", refresh + "A", refresh[4:], strings.ToUpper(refresh), cut, cut + "\n"} {
		_, _, _, err = i.Refresh(t.Context(), now, text)
		wantCode(t, err, wire.CodeInvalidToken)
		wantCode(t, i.RevokeFamily(t.Context(), now, text), wire.CodeInvalidToken)
	}
}

func TestALostRefreshReplyCostsNothing(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{})
	var told []string
	defer i.Subscribe(func(f string) { told = append(told, f) })()
	_, first, c, err := i.Login(t.Context(), start, ada)
	if err != nil {
		t.Fatal(err)
	}
	var lost, second, token string
	for n, after := range []time.Duration{0, time.Second, time.Minute - time.Millisecond} {
		if n == 1 {
			lost = second
		}
		var got auth.Claims
		if token, second, got, err = i.Refresh(t.Context(), start.Add(after), first); err != nil {
			t.Fatalf("after %v: %v", after, err)
		}
		if got.Family != c.Family || second == lost || second == first {
			t.Fatalf("after %v: got family %q", after, got.Family)
		}
	}
	now := start.Add(time.Minute)
	if _, second, _, err = i.Refresh(t.Context(), now, second); err != nil {
		t.Fatal(err)
	}
	if got := verifyCode(i, now, token); got != "" || len(told) != 0 {
		t.Fatalf("the session is told to be over: %q, %v", got, told)
	}
	// The successor that never arrived is in somebody else's hands.
	_, _, _, err = i.Refresh(t.Context(), now, lost)
	wantCode(t, err, wire.CodeInvalidToken)
	_, _, _, err = i.Refresh(t.Context(), now, second)
	wantCode(t, err, wire.CodeInvalidToken)
	if len(told) != 1 || told[0] != c.Family {
		t.Errorf("subscribers were told of %v, want the family once", told)
	}
}

func TestALateRetryOfARefreshRevokes(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{})
	_, first, _, err := i.Login(t.Context(), start, ada)
	if err != nil {
		t.Fatal(err)
	}
	_, second, _, err := i.Refresh(t.Context(), start, first)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = i.Refresh(t.Context(), start.Add(time.Minute), first)
	wantCode(t, err, wire.CodeInvalidToken)
	_, _, _, err = i.Refresh(t.Context(), start.Add(time.Minute), second)
	wantCode(t, err, wire.CodeInvalidToken)
}

func TestRevocationSurvivesARestart(t *testing.T) {
	store := mem.New(nil)
	i := issuer(t, store, auth.Config{})
	token, refresh, c, err := i.Login(t.Context(), start, ada)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _, err := i.Login(t.Context(), start, ada)
	if err != nil {
		t.Fatal(err)
	}
	peer := issuer(t, store, auth.Config{}) // another node
	var told []string
	peer.Subscribe(func(f string) { told = append(told, f) })
	now := start.Add(time.Minute)
	for range 2 {
		if err := i.RevokeFamily(t.Context(), now, refresh); err != nil {
			t.Fatal(err)
		}
	}
	if verifyCode(peer, now, token) != "" {
		t.Fatal("the peer can't know yet")
	}
	for range 2 {
		if err := peer.ReloadRevocations(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0] != c.Family {
		t.Fatalf("the peer's subscribers were told of %v", told)
	}
	late, err := auth.NewIssuer(t.Context(), now, store, store, auth.Config{}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*auth.Issuer{"self": i, "peer": peer, "restarted": late} {
		if got := verifyCode(who, now, token); got != wire.CodeInvalidToken {
			t.Errorf("%s: the verdict is %q", name, got)
		}
		if got := verifyCode(who, now, other); got != "" {
			t.Errorf("%s: another session of the same user gets %q", name, got)
		}
	}
	if err := i.Sweep(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := verifyCode(i, now.Add(time.Hour), token); got != wire.CodeTokenExpired {
		t.Errorf("after the sweep the verdict is %q", got)
	}
}

func TestKeyRotation(t *testing.T) {
	store := mem.New(nil)
	i := issuer(t, store, auth.Config{})
	old := access(t, i, start, ada)
	first := jwksIDs(t, i)
	if err := i.RotateKeys(t.Context(), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	now := start.Add(time.Second)
	renewed := access(t, i, now, ada)
	if head(t, old)["kid"] == head(t, renewed)["kid"] || head(t, renewed)["alg"] != "RS256" {
		t.Fatalf("headers are %v and %v", head(t, old), head(t, renewed))
	}
	if ids := jwksIDs(t, i); len(first) != 1 || len(ids) != 2 || ids[0] != first[0] {
		t.Fatalf("the key sets are %v, then %v", first, ids)
	}
	for _, token := range []string{old, renewed} {
		if got := verifyCode(i, now, token); got != "" {
			t.Fatalf("after the rotation a token gets %q", got)
		}
	}
	// The old key goes once no token of its can be good; a restarted server agrees.
	late := start.Add(16 * time.Minute)
	if err := i.Sweep(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if ids := jwksIDs(t, i); len(ids) != 1 || ids[0] == first[0] {
		t.Fatalf("after the sweep the key set is %v", ids)
	}
	again, err := auth.NewIssuer(t.Context(), late, store, store, auth.Config{}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := verifyCode(again, late, access(t, i, late, ada)); got != "" {
		t.Fatalf("a restarted server says %q", got)
	}
}

func head(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// jwksIDs parses the key set as a stranger would and checks that it has public members only.
func jwksIDs(t *testing.T, i *auth.Issuer) []string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(i.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		if k["kty"] == "OKP" { // for receipts
			continue
		}
		if len(k) != 6 || k["kty"] != "RSA" || k["alg"] != "RS256" || k["use"] != "sig" || k["e"] != "AQAB" {
			t.Fatalf("the key set has %v", k)
		}
		n, err := base64.RawURLEncoding.DecodeString(k["n"])
		if err != nil || new(big.Int).SetBytes(n).BitLen() != 2048 {
			t.Fatalf("n of key %s: %v", k["kid"], err)
		}
		ids = append(ids, k["kid"])
	}
	return ids
}

func TestStrangersToken(t *testing.T) {
	i, stranger := issuer(t, mem.New(nil), auth.Config{}), issuer(t, mem.New(nil), auth.Config{})
	token := access(t, stranger, start, ada)
	if got := verifyCode(i, start, token); got != wire.CodeInvalidToken {
		t.Errorf("the verdict is %q", got)
	}
}

func TestDamagedKey(t *testing.T) {
	store := mem.New(nil)
	if err := store.AddKey(t.Context(), auth.StoredKey{ID: "k", PKCS8: []byte("rubbish")}, 0, true); err != nil {
		t.Fatal(err)
	}
	_, err := auth.NewIssuer(t.Context(), start, store, store, auth.Config{}, rand.Reader)
	if err == nil || !strings.Contains(err.Error(), "restore") || strings.Contains(err.Error(), "rubbish") {
		t.Fatalf("got error %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	i := issuer(t, mem.New(nil), auth.Config{CacheTokensMax: 3})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				token, refresh, _, err := i.Login(context.Background(), start, ada)
				if err != nil {
					t.Error(err)
					return
				}
				if got := verifyCode(i, start, token); got != "" {
					t.Errorf("verdict %q", got)
				}
				if _, refresh, _, err = i.Refresh(context.Background(), start, refresh); err != nil {
					t.Error(err)
				}
				if err := i.RevokeFamily(context.Background(), start, refresh); err != nil {
					t.Error(err)
				}
				if got := verifyCode(i, start, token); got != wire.CodeInvalidToken {
					t.Errorf("verdict %q after the revocation", got)
				}
			}
		})
	}
	wg.Go(func() {
		if err := i.RotateKeys(context.Background(), start); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

func BenchmarkVerify(b *testing.B) {
	for name, size := range map[string]int{"signature": -1, "cache": 0} {
		b.Run(name, func(b *testing.B) {
			i := issuer(b, mem.New(nil), auth.Config{CacheTokensMax: size})
			token := access(b, i, start, ada)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Verify(start, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIssueAccess(b *testing.B) {
	i := issuer(b, mem.New(nil), auth.Config{})
	for b.Loop() {
		access(b, i, start, ada)
	}
}

func FuzzVerify(f *testing.F) {
	i := issuer(f, mem.New(nil), auth.Config{})
	token := access(f, i, start, ada)
	f.Add(token)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := i.Verify(start, s); (err == nil) != (s == token) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func FuzzRefreshToken(f *testing.F) {
	i := issuer(f, mem.New(nil), auth.Config{})
	good, _, err := i.NewFamily(context.Background(), start, ada)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("lrt_")
	f.Fuzz(func(t *testing.T, s string) {
		if s == good {
			return
		}
		_, _, _, err := i.Refresh(context.Background(), start, s)
		wantCode(t, err, wire.CodeInvalidToken)
	})
}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return key.(*rsa.PrivateKey), nil
}
