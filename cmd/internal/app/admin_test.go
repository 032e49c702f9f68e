package app

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lectern/cmd/internal/gateway"
	"lectern/protocol/wire"
	"lectern/rooms"
)

func (s *server) admin(path string) string {
	s.t.Helper()
	r, err := s.client().Get("http://" + s.AdminAddr().String() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

func TestProfilesNameLoopsAndShards(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.dial("/ws?guest=Ada").join("r", wire.JoinData{})
	all := s.admin("/debug/pprof/goroutine?debug=1")
	for _, label := range []string{
		`{"loop":"0"}`, `{"loop":"1"}`, `{"shard":"0"}`, `{"shard":"1"}`, `{"part":"journal"}`,
	} {
		if !strings.Contains(all, "labels: "+label) {
			t.Errorf("no goroutine has the label %s", label)
		}
	}
}

func TestAdminPortShowsWhereTimeGoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	a, b := s.dial("/ws?guest=Ada"), s.dial("/ws?guest=Bob")
	a.join("r", wire.JoinData{})
	b.join("r", wire.JoinData{})
	const said = 200
	for range said {
		a.do(wire.OpRoomPublish, "r", wire.PublishData{Event: "e", Payload: json.RawMessage(`1`)})
	}
	for range said {
		b.event("e")
	}
	metrics := s.admin("/metrics")
	for _, pattern := range []string{
		`(?m)^lectern_command_duration_seconds_count [1-9]`, `(?m)^lectern_fanout_duration_seconds_count [1-9]`,
		`(?m)^lectern_loop_connections_open\{loop="[01]"\} [12]$`, `(?m)^lectern_shard_commands_total\{shard="[01]"\} 2\d\d`,
	} {
		if !regexp.MustCompile(pattern).MatchString(metrics) {
			t.Errorf("no %s", pattern)
		}
	}
	var now struct {
		Loops       []struct{ Connections int }
		Connections struct{ Open int }
		CommandMs   struct{ P99 float64 }
		Deliveries  int
	}
	if err := json.Unmarshal([]byte(s.admin("/debug/lectern")), &now); err != nil {
		t.Fatal(err)
	}
	if len(now.Loops) != 2 || now.Loops[0].Connections+now.Loops[1].Connections != now.Connections.Open ||
		now.CommandMs.P99 == 0 || now.Deliveries < said {
		t.Errorf("%+v", now)
	}
}

// ask sends a request to the admin port and decodes its answer into into, if that is not nil.
func (s *server) askAdmin(method, path string, into any) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.AdminAddr().String()+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, _ := io.ReadAll(r.Body)
	if into != nil && r.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, into); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, body)
		}
	}
	return r.StatusCode
}

type connList struct {
	Items []gateway.ConnView
	More  bool
}

func TestAdminPortShowsAndClosesConnections(t *testing.T) {
	t.Parallel()
	s := start(t)
	ada, bob := s.as("ada", wire.RoleParticipant), s.as("bob", wire.RoleHost)
	ada.join("r", wire.JoinData{})
	bob.join("r", wire.JoinData{})
	bob.join("q", wire.JoinData{})
	for query, want := range map[string]int{
		"": 2, "?user=ada": 1, "?room=r": 2, "?room=q&user=ada": 0, "?state=open": 2, "?state=handshake": 0,
		"?address=127.0.0.1": 2, "?address=" + ada.LocalAddr().String(): 1, "?address=127.0.0": 0, "?limit=1": 1,
	} {
		var got connList
		if status := s.askAdmin("GET", "/connections"+query, &got); status != http.StatusOK || len(got.Items) != want ||
			got.More != (query == "?limit=1") {
			t.Errorf("%s: %d %+v", query, status, got)
		}
	}
	for _, query := range []string{"?usr=ada", "?limit=0", "?limit=5000", "?limit=x", "?state=asleep"} {
		if status := s.askAdmin("GET", "/connections"+query, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, status)
		}
	}
	var got connList
	s.askAdmin("GET", "/connections?user=ada", &got)
	v := got.Items[0]
	if v.Role != "participant" || v.Address != ada.LocalAddr().String() || v.OpenedAt == 0 || len(v.Rooms) != 1 ||
		v.Variant != "lectern.v1" {
		t.Errorf("%+v", v)
	}
	if status := s.askAdmin("DELETE", "/connections/"+v.ID+"?code=1", nil); status != http.StatusBadRequest {
		t.Errorf("a code of no meaning: %d", status)
	}
	if status := s.askAdmin("DELETE", "/connections/"+v.ID, nil); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	ada.goneWith(wire.CloseDrain)
	for _, id := range []string{v.ID, "x", "18446744073709551615"} {
		if status := s.askAdmin("DELETE", "/connections/"+id, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", id, status)
		}
	}
	s.askAdmin("GET", "/connections?state=closed&room=r", &got)
	if len(got.Items) != 1 || got.Items[0].User != "ada" || got.Items[0].Reason != "draining" ||
		got.Items[0].ClosedAt == 0 {
		t.Errorf("closed: %+v", got)
	}
}

func TestAdminPortShowsRoomsAndDrains(t *testing.T) {
	t.Parallel()
	s := start(t)
	host := s.as("host", wire.RoleHost)
	made := into[wire.QuizCreateReply](t, host.do(wire.OpQuizCreate, "", someQuiz()))
	host.join(made.Room, wire.JoinData{})
	var room rooms.View
	status := s.askAdmin("GET", "/rooms/"+made.Room, &room)
	if status != http.StatusOK || room.PIN != made.PIN || room.Connections != 1 || room.Phase != wire.PhaseLobby ||
		room.Records == 0 {
		t.Errorf("%d %+v", status, room)
	}
	var list struct{ Items []rooms.View }
	s.askAdmin("GET", "/rooms", &list)
	if len(list.Items) != 2 { // and the demo's
		t.Errorf("%+v", list)
	}
	if status := s.askAdmin("GET", "/rooms/none", nil); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	for range 2 {
		if status := s.askAdmin("POST", "/drain", nil); status != http.StatusAccepted {
			t.Errorf("%d", status)
		}
	}
	receive(t, s.DrainAsked(), "request to drain")
	if status := s.askAdmin("GET", "/drain", nil); status == http.StatusAccepted {
		t.Error("a link drains the server")
	}
}
