package main

import (
	"context"
	crand "crypto/rand"
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern/persist/sqlite"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
	"lectern/rooms/effect"
)

// finishedSession stores a session with one answer, a message and a kick, and gives the answer's receipt.
func finishedSession(t *testing.T) (store, receipt string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	issuer, err := auth.NewIssuer(t.Context(), time.Now(), db, db, auth.Config{}, crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.MakeReceiptKey(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	const at = 1_764_000_000_000
	records := []struct{ kind, data string }{
		{"room.created", `{"epoch":"e","owner":"host"}`},
		{"quiz.created", `{"quiz":{"title":"T","questions":[{"type":"true_false","text":"Is it?","correct":true}]},` +
			`"pin":"123456","owner":"host"}`},
		{"quiz.joined", `{"user":"u1","name":"Ada"}`},
		{"quiz.joined", `{"user":"u2","name":"Eve"}`},
		{"quiz.started", `{"by":"host"}`},
		{"quiz.opened", `{"n":1,"opensAt":1764000000000,"closesAt":1764000020000,"receiptKey":"` +
			issuer.Receipts().Current() + `","by":"host"}`},
		{"quiz.answered", `{"n":1,"user":"u1","answer":true,"key":"k","elapsedMs":900,"receipt":"XNJYJJ3XH3S7BHI6"}`},
		{"chat.sent", `{"n":1,"user":"u1","name":"Ada","role":"participant","text":"Grüße\u001b[31m"}`},
		{"mod.kicked", `{"user":"u2","by":"host","reason":"=cheats"}`},
		{"quiz.ended", `{"by":"host"}`},
	}
	var recs []rooms.Record
	for i, r := range records {
		recs = append(recs, rooms.Record{
			Room: "room1", Index: uint64(i + 1), Kind: r.kind, At: at + int64(i), Data: []byte(r.data),
		})
	}
	if err := db.AppendRecords(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	room := rooms.NewRoom("room1", &rooms.Config{})
	err = db.ReadRoom(t.Context(), "room1", func(rec rooms.Record) error { return room.Replay(rec, new(effect.Effects)) })
	if err != nil {
		t.Fatal(err)
	}
	if receipt, err = issuer.SignReceipt(room.Quiz().Me("u1").Claims); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path, receipt
}

// TestReceiptsOnTheCommandLine: a receipt is checked with and without naming its session, its number with it.
func TestReceiptsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	store, receipt := finishedSession(t)
	stdout, _ := wants(t, 0, "receipt", "verify", receipt, "--store", store)
	if !strings.Contains(stdout, "valid: ") || !strings.Contains(stdout, "Ada") ||
		!strings.Contains(stdout, "question     1") {
		t.Errorf("%s", stdout)
	}
	stdout, _ = wants(t, 0, "replay", "room1", "--receipt", receipt, "--json", "--store", store)
	var v wire.ReceiptVerdict
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || !v.Counts || v.Room != "room1" || v.Question != 1 {
		t.Errorf("%v %s", err, stdout)
	}
	grouped := v.Number[:4] + "-" + v.Number[4:8] + "-" + v.Number[8:12] + "-" + v.Number[12:]
	stdout, _ = wants(t, 0, "replay", "room1", "--receipt", grouped, "--store", store)
	if !strings.Contains(stdout, "Ada") {
		t.Errorf("by its number: %s", stdout)
	}
	for reason, args := range map[string][]string{
		"signature":    {"receipt", "verify", receipt[:len(receipt)-3]},
		"malformed":    {"receipt", "verify", "hello"},
		"unsigned":     {"receipt", "verify", v.Number},
		"unknown_room": {"replay", "another", "--receipt", receipt},
		"no_answer":    {"replay", "room1", "--receipt", "AAAABBBBCCCCDDDD"},
	} {
		if stdout, _ := wants(t, 1, append(args, "--store", store)...); !strings.Contains(stdout, reason) {
			t.Errorf("%s: %s", reason, stdout)
		}
	}
}

func TestAuditOnTheCommandLine(t *testing.T) {
	t.Parallel()
	store, _ := finishedSession(t)
	stdout, _ := wants(t, 0, "replay", "room1", "--audit", "--json", "--store", store)
	var entries []rooms.AuditEntry
	if err := json.Unmarshal([]byte(stdout), &entries); err != nil || len(entries) != 6 || entries[4].OnName != "Eve" {
		t.Errorf("%v %s", err, stdout)
	}
	stdout, _ = wants(t, 0, "replay", "room1", "--audit", "--csv", "--store", store)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(stdout, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 7 || rows[5][2] != "mod.kicked" || rows[5][10] != "'=cheats" {
		t.Errorf("%v %s", err, stdout)
	}
	stdout, _ = wants(t, 0, "replay", "room1", "--audit", "--store", store)
	if !strings.Contains(stdout, "mod.kicked") || strings.Contains(stdout, "Grüße") {
		t.Errorf("%s", stdout)
	}
	wants(t, 1, "replay", "nope", "--audit", "--store", store)
}

func TestSearchOnTheCommandLine(t *testing.T) {
	t.Parallel()
	store, _ := finishedSession(t)
	wants(t, 2, "search", "--store", store)
	wants(t, 2, "search", "!", "--store", store)
	stdout, _ := wants(t, 0, "search", "grusse", "--store", store)
	if stdout != "" {
		t.Errorf("without an index: %s", stdout)
	}
	stdout, _ = wants(t, 0, "search", "--rebuild", "grusse", "--store", store)
	if !strings.Contains(stdout, "1 sessions indexed") || !strings.Contains(stdout, "Ada: Grüße") ||
		strings.Contains(stdout, "\x1b") {
		t.Errorf("%q", stdout)
	}
	stdout, _ = wants(t, 0, "search", "is it", "--json", "--store", store)
	var hit struct{ ID string }
	if err := json.Unmarshal([]byte(stdout), &hit); err != nil || hit.ID != "q1" {
		t.Errorf("%v %s", err, stdout)
	}
	if stdout, _ = wants(t, 0, "search", "is it", "--room", "another", "--store", store); stdout != "" {
		t.Errorf("%s", stdout)
	}
}
