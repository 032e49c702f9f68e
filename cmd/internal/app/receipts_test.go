package app

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
)

func (s *server) verdict(receipt string) wire.ReceiptVerdict {
	s.t.Helper()
	return get[wire.ReceiptVerdict](s, "POST", "/api/v1/receipts/verify", "", object{"receipt": receipt})
}

// TestReceiptsAreVerified follows a receipt from the answer to its verification: while the game runs, after a restart
// with a new key, and by a JOSE library that knows nothing of Lectern.
func TestReceiptsAreVerified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, onDisk(dir), lead(0))
	g := s.playHalf(4)
	receipt := g.receipts[user(0)]
	v := s.verdict(receipt)
	want := wire.ReceiptVerdict{
		Verdict: wire.ReceiptValid, Counts: true, Message: v.Message, Number: v.Number, Room: g.room, Title: "Capitals",
		Question: 1, User: user(0), Name: user(0), AcceptedAt: v.AcceptedAt,
	}
	if v != want || v.Message == "" || len(v.Number) != 16 || time.Since(time.UnixMilli(v.AcceptedAt)) > time.Hour {
		t.Errorf("%+v", v)
	}
	for name, c := range map[string]struct{ receipt, verdict, reason string }{
		"a word":       {"hello", wire.ReceiptInvalid, "malformed"},
		"a number":     {v.Number, wire.ReceiptInvalid, "unsigned"},
		"a cut one":    {receipt[:len(receipt)-4], wire.ReceiptInvalid, "signature"},
		"with a blank": {" " + receipt + "\n", wire.ReceiptValid, ""},
	} {
		if got := s.verdict(c.receipt); got.Verdict != c.verdict || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if err := s.issuer.RotateKeys(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for reason, claims := range map[string]wire.ReceiptClaims{
		"unknown_room": {Room: "nowhere", Question: 1, User: user(0), At: v.AcceptedAt},
		"no_answer":    {Room: g.room, Question: 2, User: user(0), At: v.AcceptedAt},
		"differs":      {Room: g.room, Question: 1, User: user(0), At: v.AcceptedAt, Digest: "other"},
	} { // our own signature, yet not what we have given out: a key that got into wrong hands
		claims.Key = s.issuer.Receipts().Current()
		forged, err := s.issuer.SignReceipt(&claims)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.verdict(forged); got.Verdict != wire.ReceiptNotInLog || got.Reason != reason || got.Counts {
			t.Errorf("%s: %+v", reason, got)
		}
	}
	joseVerifies(t, s.base, receipt)
	s.stop()
	after := start(t, onDisk(dir), lead(0))
	if got := after.verdict(receipt); got != want {
		t.Errorf("after the restart: %+v", got)
	}
	host := after.as("host", wire.RoleHost)
	host.join(g.room, wire.JoinData{})
	if got := after.verdict(g.receipts[user(1)]); !got.Counts {
		t.Errorf("%+v", got)
	}
	host.do(wire.OpModKick, g.room, wire.ModUserData{User: user(1)})
	gone := after.verdict(g.receipts[user(1)])
	if gone.Verdict != wire.ReceiptValid || gone.Counts || gone.Reason != "removed" {
		t.Errorf("of somebody who was removed: %+v", gone)
	}
}

func TestVerifyingIsLimited(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.Quiz.Lead = 0 })
	for range 200 {
		if r := s.call("POST", "/api/v1/receipts/verify", "", object{"receipt": "x"}); r.status == 429 {
			s.problem(429, wire.CodeRateLimited, "POST", "/api/v1/receipts/verify", "", object{"receipt": "x"})
			return
		}
	}
	t.Error("200 receipts from one address were verified without a pause")
}

// joseVerifies lets the npm package jose check a receipt against the published key set.
func joseVerifies(t *testing.T, base, receipt string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Log("not verified by a JOSE library: node is not installed")
		return
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	jose := filepath.Join(cache, "lectern", "node", "node_modules", "jose", "dist", "webapi", "index.js")
	if _, err := os.Stat(jose); err != nil {
		t.Logf("not verified by a JOSE library: %v (.ci/test.sh installs it)", err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const script = `
const { createRemoteJWKSet, jwtVerify } = await import(process.argv[1]);
const keys = createRemoteJWKSet(new URL(process.argv[2] + '/.well-known/jwks.json'));
const receipt = process.argv[3];
const { payload } = await jwtVerify(receipt, keys, { typ: 'receipt+jwt', algorithms: ['EdDSA'] });
const broken = receipt.replace(/.$/, (c) => (c === 'A' ? 'Q' : 'A'));
const why = await jwtVerify(broken, keys).then(() => '', (e) => e.code);
const refused = why === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED';
console.log(JSON.stringify({ payload, refused }));`
	cmd := exec.CommandContext(ctx, node, "--input-type=module", "-e", script, "file://"+jose, base, receipt)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("jose refuses a receipt: %v\n%s", err, text)
	}
	var got struct {
		Payload wire.ReceiptClaims
		Refused bool
	}
	if err := json.Unmarshal([]byte(strings.TrimSpace(string(text))), &got); err != nil || !got.Refused ||
		got.Payload.User != user(0) || got.Payload.Question != 1 || got.Payload.At == 0 {
		t.Errorf("%v: jose says %s", err, text)
	}
}
