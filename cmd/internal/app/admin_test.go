package app

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"lectern/protocol/wire"
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
