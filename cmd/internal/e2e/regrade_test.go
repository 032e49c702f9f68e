package e2e

import (
	"strings"
	"testing"
)

// Receipts that are checked, keys that are put right, a question that is taken out, the record and the search; then the
// log agrees.
func TestReceiptsAndRegrades(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	var host struct{ AccessToken string }
	p.call("POST", "/auth/token", "", map[string]any{"name": "Teacher", "role": "host"}, &host)
	option := func(text string, right bool) map[string]any { return map[string]any{"text": text, "correct": right} }
	var session struct{ Room, PIN, HostToken string }
	p.call("POST", "/api/v1/sessions", host.AccessToken, map[string]any{
		"quiz": map[string]any{"title": "Regrade", "settings": map[string]any{"scoring": "flat"}, "questions": []any{
			map[string]any{
				"type": "single_choice", "text": "Which river flows into the Black Sea?", "timeLimitMs": 120_000,
				"options": []any{option("Danube", false), option("Rhine", true)},
			},
			map[string]any{
				"type": "numeric", "text": "How many?", "timeLimitMs": 120_000,
				"numbers": []any{map[string]any{"min": 5, "max": 5}},
			},
		}},
	}, &session)
	var result struct {
		Audit, Excerpt, Receipt string
		Faults                  []string `json:"faults"`
	}
	script(t, s, "regrade.mjs", map[string]any{
		"base": p.base, "pin": session.PIN, "room": session.Room, "token": host.AccessToken,
	}, &result, nil)
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	for _, act := range []string{"quiz.started", "quiz.regraded", "another key", "void", "The key was wrong."} {
		if !strings.Contains(result.Audit, act) {
			t.Errorf("the record lacks %s:\n%s", act, result.Audit)
		}
	}
	if !strings.Contains(result.Excerpt, "<b>Ulm</b>") || strings.Contains(result.Audit, "Ulm") {
		t.Errorf("excerpt %q, record\n%s", result.Excerpt, result.Audit)
	}
	replayed := p.replayed(session.Room)
	ada, bob := replayed["Ada"], replayed["Bob"]
	if ada.Score != 2000 || ada.Rank != 1 || bob.Score != 0 || bob.Rank != 2 {
		t.Errorf("%+v", replayed)
	}
}
