package app

import (
	"bytes"
	"testing"

	"lectern/protocol/wire"
)

// TestRegradeOverHTTP: after the game the host corrects the key; members hear it, and results, exports, receipts and a
// restarted server agree.
func TestRegradeOverHTTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, onDisk(dir), lead(0))
	room, _ := s.playThrough()
	host := s.token("host", wire.RoleHost, "")
	path := "/api/v1/sessions/" + room
	watcher := s.as("=Bob", wire.RoleParticipant)
	watcher.join(room, wire.JoinData{})
	fix := object{"question": 1, "answerKey": object{"options": []string{"1"}}, "reason": "the key was wrong"}
	s.problem(403, wire.CodeForbidden, "POST", path+"/regrade", s.token("Ada", wire.RoleParticipant, room), fix)
	s.problem(403, wire.CodeForbidden, "POST", path+"/regrade", s.token("eve", wire.RoleHost, ""), fix)
	s.problem(404, wire.CodeUnknownRoom, "POST", "/api/v1/sessions/nope/regrade", host, fix)
	s.problem(422, wire.CodeInvalidData, "POST", path+"/regrade", host, object{"question": 1})
	s.problem(422, wire.CodeInvalidData, "POST", path+"/regrade", host,
		object{"question": 1, "answerKey": object{"options": []string{"99"}}})
	if r := s.call("POST", path+"/regrade", host, fix); r.status >= 300 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	said := into[wire.QuizRegraded](t, watcher.event(wire.EvQuizRegraded))
	if said.Number != 1 || said.Reason != "the key was wrong" {
		t.Errorf("%+v", said)
	}
	if e := into[wire.QuizResults](t, watcher.event(wire.EvQuizResults)); e.Key[0] != "1" || !e.Regraded {
		t.Errorf("%+v", e)
	}
	if e := into[wire.QuizRank](t, watcher.event(wire.EvQuizRank)); e.Score == 0 || e.Number != 2 {
		t.Errorf("%+v", e)
	}
	watcher.event(wire.EvQuizLeaderboard)
	if r := s.call("POST", path+"/regrade", host, object{"question": 2, "void": true}); r.status >= 300 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	first := s.call("GET", path+"/results", host, nil)
	csv := s.call("GET", path+"/results?format=csv", host, nil)
	bob, ada := bytes.Index(csv.body, []byte("'=Bob")), bytes.Index(csv.body, []byte("Ada"))
	if !bytes.Contains(csv.body, []byte("void")) || bob < 0 || bob > ada {
		t.Errorf("%s", csv.body)
	}
	s.stop()
	after := start(t, onDisk(dir), lead(0))
	if again := after.call("GET", path+"/results", host, nil); !bytes.Equal(again.body, first.body) {
		t.Errorf("after a restart the results are\n%s\nwere\n%s", again.body, first.body)
	}
}
