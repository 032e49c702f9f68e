package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lectern/persist/mem"
	"lectern/rooms"
	"lectern/rooms/moderation"
)

// TestAnAuditTrailIsALineForEachAct: what somebody gives as a reason can't look like another act.
func TestAnAuditTrailIsALineForEachAct(t *testing.T) {
	t.Parallel()
	store := mem.New(time.Now)
	data, err := json.Marshal(&moderation.Kicked{Act: moderation.Act{
		User: "eve", By: "mod", Reason: "spam\n2026-11-25 10:00:00.000\thost\tmod.banned",
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = store.AppendRecords(t.Context(), []rooms.Record{{Room: "r", Index: 1, Kind: "mod.kicked", At: 5, Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := printAudit(t.Context(), &out, store, "r", false, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "spam ") {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
}
