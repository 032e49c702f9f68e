package quiz

import (
	"encoding/json"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// signedGame plays every kind of question with Ada, who answers all, under keys that change with each question.
func signedGame(t *testing.T) (g *game, receipts []*wire.ReceiptClaims) {
	t.Helper()
	kid := "k0"
	g = newGame(t, Config{LeadMs: -1, GraceMs: -1, Room: "r", ReceiptKey: func() string { return kid }})
	g.create(everyKind())
	for _, user := range []string{"ada", "bob"} {
		if err := g.enter(user, user); err != nil {
			t.Fatal(err)
		}
	}
	g.op("host", wire.OpQuizStart, nil)
	for n, answer := range []string{`"1"`, `["2",0]`, `"false"`, `"3,15"`, `"  some   TEXT "`, `0`} {
		reply, err := g.answer("ada", n+1, "k", answer)
		if err != nil || reply.Claims == nil || reply.Receipt != "" || reply.Claims.At != reply.AcceptedAt {
			t.Fatalf("question %d: %+v %v", n+1, reply, err)
		}
		receipts = append(receipts, reply.Claims)
		kid += "x"
		g.op("host", wire.OpQuizNext, nil)
		g.op("host", wire.OpQuizNext, nil)
		g.op("host", wire.OpQuizNext, nil)
		g.advance(100)
	}
	return g, receipts
}

// TestReceiptsFollowFromTheLog: a receipt's claims are the same for the same key, in the snapshot, and after a replay;
// they name the key of the question's opening and commit to the recorded answer.
func TestReceiptsFollowFromTheLog(t *testing.T) {
	t.Parallel()
	g, receipts := signedGame(t)
	replayed := New(g.cfg)
	out := effect.Effects{Replaying: true}
	n := 0
	for _, f := range g.facts {
		v, err := DecodeFact(f.kind, f.data)
		if err != nil {
			t.Fatal(err)
		}
		replayed.Apply(effect.Fact{Kind: f.kind, At: f.at, Data: v}, &out)
		a, ok := v.(*Answered)
		if !ok {
			continue
		}
		salt, ok := parseSalt(a.Receipt)
		c := receipts[n]
		n++
		if !ok || c.Digest != salt.digest(a.Answer) || c.ID != salt.number() || c.ID == a.Receipt ||
			c.Room != "r" || c.Question != n || c.User != "ada" || c.Key != "k0"+"xxxxxx"[:n-1] {
			t.Errorf("%+v for %s", c, f.data)
		}
		if _, claims := replayed.receipt(n, "ada", replayed.questions[n-1].answerOf(0)); *claims != *c {
			t.Errorf("after a replay %+v, was %+v", claims, c)
		}
	}
	if n != len(receipts) {
		t.Fatalf("%d of %d answers are recorded", n, len(receipts))
	}
	last := receipts[n-1]
	if me := replayed.Me("ada"); me.Claims == nil || *me.Claims != *last || me.Receipt != "" {
		t.Errorf("%+v", me)
	}
	if again, err := g.answer("ada", 2, "k", `["0"]`); err != nil || *again.Claims != *receipts[1] {
		t.Errorf("the same key gets %+v, %v", again, err)
	}
	for i, a := range replayed.Results().Participants[0].Answers {
		if a.Receipt != receipts[i].ID {
			t.Errorf("the table shows %s for %s", a.Receipt, receipts[i].ID)
		}
	}
}

func TestCheckReceipt(t *testing.T) {
	t.Parallel()
	g, receipts := signedGame(t)
	check := func(c wire.ReceiptClaims, verdict, reason string, counts bool) {
		t.Helper()
		v := g.m.CheckReceipt(&c)
		if v.Verdict != verdict || v.Reason != reason || v.Counts != counts || v.Message == "" {
			t.Errorf("%+v", v)
		}
		if text, err := json.Marshal(v); err != nil || len(text) > 400 {
			t.Errorf("%v %s", err, text)
		}
	}
	for _, c := range receipts {
		check(*c, wire.ReceiptValid, "", true)
		if v := g.m.FindReceipt(c.ID); !v.Counts || v.Question != c.Question || v.User != "ada" || v.AcceptedAt != c.At {
			t.Errorf("by its number: %+v", v)
		}
	}
	if v := g.m.FindReceipt("AAAAAAAAAAAAAAAA"); v.Verdict != wire.ReceiptNotInLog {
		t.Errorf("%+v", v)
	}
	with := func(change func(*wire.ReceiptClaims)) wire.ReceiptClaims {
		c := *receipts[0]
		change(&c)
		return c
	}
	for _, question := range []int{-1, 0, 2, 7} {
		check(with(func(c *wire.ReceiptClaims) { c.Question = question }), wire.ReceiptNotInLog, "no_answer", false)
	}
	check(with(func(c *wire.ReceiptClaims) { c.User = "bob" }), wire.ReceiptNotInLog, "no_answer", false)
	check(with(func(c *wire.ReceiptClaims) { c.At++ }), wire.ReceiptNotInLog, "no_answer", false)
	check(with(func(c *wire.ReceiptClaims) { c.Digest = "x" }), wire.ReceiptNotInLog, "differs", false)
	check(with(func(c *wire.ReceiptClaims) { c.ID = "x" }), wire.ReceiptNotInLog, "differs", false)
	check(with(func(c *wire.ReceiptClaims) { c.Key = "x" }), wire.ReceiptNotInLog, "differs", false)
	if err := g.regrade(&wire.RegradeData{Question: 1, Void: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	check(*receipts[0], wire.ReceiptValid, "void", false)
	g.m.Remove(g.env, "ada", &g.out)
	g.collect()
	check(*receipts[1], wire.ReceiptValid, "removed", false)
}

// TestUnsignedReceipts: without a key a receipt is its random word, as in version 0.1.0.
func TestUnsignedReceipts(t *testing.T) {
	t.Parallel()
	g := newGame(t, Config{LeadMs: -1})
	g.create(everyKind())
	if err := g.enter("ada", "Ada"); err != nil {
		t.Fatal(err)
	}
	g.op("host", wire.OpQuizStart, nil)
	reply, err := g.answer("ada", 1, "k", "1")
	if err != nil || len(reply.Receipt) != 16 || reply.Claims != nil {
		t.Fatalf("%+v %v", reply, err)
	}
	if v := g.m.FindReceipt(reply.Receipt); !v.Counts || v.Question != 1 {
		t.Errorf("%+v", v)
	}
	if v := g.m.CheckReceipt(&wire.ReceiptClaims{Question: 1, User: "ada", At: reply.AcceptedAt}); v.Reason != "differs" {
		t.Errorf("%+v", v)
	}
}
