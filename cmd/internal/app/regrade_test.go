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

// TestAuditTrail: the host gets it as JSON and CSV; nobody else does.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	s := start(t, noDev, lead(0))
	hostToken := s.token("host", wire.RoleHost, "")
	made := get[wire.QuizCreateReply](s, "POST", "/api/v1/sessions", hostToken, object{"quiz": someQuiz()})
	player := get[tokens](s, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "=Eve"})
	eve := s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1, bearer."+player.AccessToken)
	eve.join("", wire.JoinData{})
	host := s.as("host", wire.RoleHost)
	host.do(wire.OpModKick, made.Room, wire.ModUserData{User: player.User, Reason: "@SUM(1)"})
	path := "/api/v1/sessions/" + made.Room + "/audit"
	for _, token := range []string{hostToken, made.HostToken, s.token("root", wire.RoleAdmin, "")} {
		list := get[[]object](s, "GET", path, token, nil)
		if len(list) != 3 || list[2]["act"] != "mod.kicked" || list[2]["by"] != "host" || list[2]["on"] != player.User ||
			list[2]["onName"] != "=Eve" || list[2]["reason"] != "@SUM(1)" {
			t.Errorf("%v", list)
		}
	}
	csv := s.call("GET", path+"?format=csv", hostToken, nil)
	if csv.status != 200 || !bytes.Contains(csv.body, []byte(",'=Eve,")) || !bytes.Contains(csv.body, []byte("'@SUM(1)")) {
		t.Errorf("%d %s", csv.status, csv.body)
	}
	s.problem(404, wire.CodeUnknownRoom, "GET", path, s.token("other", wire.RoleHost, ""), nil)
	s.problem(404, wire.CodeUnknownRoom, "GET", path, s.token("host", wire.RoleHost, "another"), nil)
	s.problem(403, wire.CodeForbidden, "GET", path, player.AccessToken, nil)
	s.problem(401, wire.CodeAuthRequired, "GET", path, "", nil)
	s.problem(404, wire.CodeUnknownRoom, "GET", "/api/v1/sessions/nope/audit", hostToken, nil)
}
