package e2e

import (
	"testing"
)

// The whole demo quiz in four pages: two players, one of them at the width of a small phone, the host and the screen;
// with a reload in mid question, a lost connection, a late join and a player who is removed.
func TestWholeQuiz(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	var result struct {
		Players     []standing `json:"players"`
		Host        []standing `json:"host"`
		Screen      []standing `json:"screen"`
		Leaderboard []standing `json:"leaderboard"`
		CSV         string     `json:"csv"`
		Faults      []string   `json:"faults"`
	}
	script(t, s, "quiz.mjs", map[string]any{"base": p.base, "host": p.host, "pin": p.pin}, &result, nil)
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	if len(result.Players) != 2 {
		t.Fatalf("%+v", result)
	}
	exported, replayed := readCSV(t, result.CSV), p.replayed(p.room)
	for _, own := range result.Players {
		for where, row := range map[string]standing{
			"host page": named(result.Host, own.Name), "screen": named(result.Screen, own.Name),
			"exported CSV": exported[own.Name], "replay": replayed[own.Name],
		} {
			if row != own {
				t.Errorf("%s: %+v on the player's page, %+v: %s", own.Name, own, row, where)
			}
		}
	}
	t.Logf("final table: %+v", result.Players)
	if t.Failed() {
		t.Logf("CSV:\n%s\nreplay: %+v", result.CSV, replayed)
	}
}

func named(rows []standing, name string) standing {
	for _, r := range rows {
		if r.Name == name {
			return r
		}
	}
	return standing{}
}

// A file with faults: the page shows the good questions beside the faulty ones and imports what the teacher confirms.
func TestImportWithFaults(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	gift := `::Good::What is 2 + 2? {=4 ~3 ~5}

::No end::This one has no closing brace {=yes ~no

::True::The sun is a star. {TRUE}

::Essay::Write about spring. {}

::Wrong number::How many? {#abc}

::Number::How many legs has a spider? {#8:0}
`
	var result struct {
		Good, Faulty, LeftOut int
		Lines                 []string
		Stored                int
		Question              string
		Faults                []string `json:"faults"`
	}
	script(t, s, "import.mjs", map[string]any{"base": p.base, "file": gift}, &result, nil)
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	if result.Good != 3 || result.Faulty != 2 || result.LeftOut != 1 || result.Stored != 2 || result.Question == "" {
		t.Errorf("%+v", result)
	}
	t.Logf("%+v", result)
}

// The server is killed while a question is open, and comes back on the same port with the same store: the pages come
// back by themselves, and every answer that was acknowledged counts.
func TestKilledInMidQuestion(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	var host struct{ AccessToken string }
	p.call("POST", "/auth/token", "", map[string]any{"name": "Teacher", "role": "host"}, &host)
	option := func(text string, right bool) map[string]any { return map[string]any{"text": text, "correct": right} }
	var session struct{ Room, PIN, HostToken string }
	p.call("POST", "/api/v1/sessions", host.AccessToken, map[string]any{
		"quiz": map[string]any{"title": "Crash", "questions": []any{
			map[string]any{
				"type": "single_choice", "text": "Which survives?", "timeLimitMs": 120_000,
				"options": []any{option("The journal", true), option("The cache", false)},
			},
			map[string]any{
				"type": "poll", "text": "How was it?", "timeLimitMs": 120_000,
				"options": []any{option("Fine", false), option("Rough", false)},
			},
		}},
	}, &session)
	var result struct {
		Players []standing `json:"players"`
		Faults  []string   `json:"faults"`
	}
	script(t, s, "crash.mjs", map[string]any{
		"base": p.base, "pin": session.PIN, "room": session.Room, "token": session.HostToken,
	}, &result, map[string]func(){
		"kill":    p.kill,
		"restart": p.start,
	})
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	replayed := p.replayed(session.Room)
	for _, own := range result.Players {
		if row := replayed[own.Name]; row != own || row.Score == 0 {
			t.Errorf("%+v on the page, %+v in the log", own, row)
		}
	}
	if len(result.Players) != 2 || len(replayed) != 2 {
		t.Errorf("%+v, %+v", result.Players, replayed)
	}
}
