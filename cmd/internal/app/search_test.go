package app

import (
	"fmt"
	"strings"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
)

// find searches and gives what is found as "room-less id: excerpt with [hits]".
func (s *server) find(token, query string) string {
	s.t.Helper()
	reply := get[struct {
		Hits []struct {
			ID    string
			Parts []struct {
				Text string
				Hit  bool
			}
		}
	}](s, "GET", "/api/v1/search?"+query, token, nil)
	var lines []string
	for _, h := range reply.Hits {
		line := h.ID + ": "
		for _, p := range h.Parts {
			if p.Hit {
				line += "[" + p.Text + "]"
			} else {
				line += p.Text
			}
		}
		lines = append(lines, strings.ReplaceAll(line, "\n", " / "))
	}
	return strings.Join(lines, "; ")
}

// TestSearchFindsWhatOneMayRead: a pupil finds what is said in the own room and what was asked, and nothing that was
// deleted, is somewhere else, comes later or is a key; hosts find their own sessions.
func TestSearchFindsWhatOneMayRead(t *testing.T) {
	t.Parallel()
	for _, storage := range []func(*config.Config){onDisk(t.TempDir()), func(*config.Config) {}} {
		s := start(t, noDev, lead(0), storage)
		hostToken := s.token("host", wire.RoleHost, "")
		quiz := someQuiz()
		quiz.Questions[0].Text, quiz.Questions[1].Text = "Which river is longest?", "Which lake is deepest?"
		quiz.Questions[1].Explanation = "secretexplanation"
		made := get[wire.QuizCreateReply](s, "POST", "/api/v1/sessions", hostToken, object{"quiz": quiz})
		elsewhere := get[wire.QuizCreateReply](s, "POST", "/api/v1/sessions", s.token("other", wire.RoleHost, ""),
			object{"quiz": quiz})
		pupil := get[tokens](s, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "Ada"})
		s.problem(403, wire.CodeNotMember, "GET", "/api/v1/search?q=river", pupil.AccessToken, nil) // not in the room yet
		ada := s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1, bearer."+pupil.AccessToken)
		ada.join("", wire.JoinData{})
		host := s.as("host", wire.RoleHost)
		host.join(made.Room, wire.JoinData{})
		send := func(text string) string {
			return into[wire.ChatSendReply](t, ada.do(wire.OpChatSend, made.Room, wire.ChatSendData{Text: text})).ID
		}
		send("Der Fluß <b>Donau</b> mündet ins Schwarze Meer")
		gone, edited := send("this river was a mistake"), send("a brook, not a river")
		ada.do(wire.OpChatDelete, made.Room, wire.ChatIDData{ID: gone})
		ada.do(wire.OpChatEdit, made.Room, wire.ChatEditData{ID: edited, Text: "a brook"})
		for query, want := range map[string]string{
			"q=fluss": "m1: Der [Fluß] <b>Donau</b> mündet ins Schwarze Meer", "q=river": "", "q=mistake": "",
			"q=brook": "m3: a [brook]", "q=lake": "", "q=which&kind=question": "", "q=secretexplanation": "",
			"q=brook&kind=question": "", "q=brook&room=" + made.Room: "m3: a [brook]",
		} {
			if got := s.find(pupil.AccessToken, query); got != want {
				t.Errorf("the pupil finds by %s %q, want %q", query, got, want)
			}
		}
		host.do(wire.OpQuizStart, made.Room, nil)
		if got := s.find(pupil.AccessToken, "q=which"); !strings.HasPrefix(got, "q1: [Which] river is longest? / ") ||
			strings.Contains(got, "q2") {
			t.Errorf("once it is asked, the pupil finds %q", got)
		}
		if got := s.find(hostToken, "q=which"); strings.Count(got, "[Which]") != 2 || strings.Contains(got, "secret") {
			t.Errorf("the host finds %q", got)
		}
		if got := s.find(s.token("third", wire.RoleHost, ""), "q=which"); got != "" {
			t.Errorf("a host without sessions finds %q", got)
		}
		s.problem(403, wire.CodeForbidden, "GET", "/api/v1/search?q=which&room="+elsewhere.Room, pupil.AccessToken, nil)
		s.problem(403, wire.CodeNotMember, "GET", "/api/v1/search?q=which&room="+elsewhere.Room, hostToken, nil)
		s.problem(422, wire.CodeInvalidData, "GET", "/api/v1/search?q=which", s.token("x", wire.RoleParticipant, ""), nil)
		s.problem(422, wire.CodeInvalidData, "GET", "/api/v1/search?q=%21", hostToken, nil)
		s.problem(401, wire.CodeAuthRequired, "GET", "/api/v1/search?q=which", "", nil)
		host.do(wire.OpModBan, made.Room, wire.ModUserData{User: pupil.User})
		s.problem(403, wire.CodeBanned, "GET", "/api/v1/search?q=brook", pupil.AccessToken, nil)
		if got := s.find(hostToken, "q=brook&room="+made.Room); got != "m3: a [brook]" {
			t.Errorf("the host finds %q", got)
		}
	}
}

func TestSearchIsLimited(t *testing.T) {
	t.Parallel()
	s := start(t)
	host := s.token("host", wire.RoleHost, "")
	for i := range 100 {
		if r := s.call("GET", fmt.Sprintf("/api/v1/search?q=word%d", i), host, nil); r.status == 429 {
			if r := s.call("GET", "/api/v1/search?q=word", s.token("another", wire.RoleHost, ""), nil); r.status != 200 {
				t.Errorf("another host gets %d", r.status)
			}
			return
		}
	}
	t.Error("100 searches of one user without a pause")
}
