package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/protocol/wire"
)

// reply is an HTTP answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request; body is a string as it is, or anything else as JSON.
func (s *server) call(method, path, token string, body any) reply {
	s.t.Helper()
	var in io.Reader
	media := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		in, media = strings.NewReader(b), "application/octet-stream"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.base+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	r, err := s.client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{r.StatusCode, r.Header, text}
}

// get decodes the answer to a request that must succeed.
func get[T any](s *server, method, path, token string, body any) T {
	s.t.Helper()
	r := s.call(method, path, token, body)
	var v T
	if r.status >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		s.t.Fatalf("%s %s: %v: %.200s", method, path, err, r.body)
	}
	return v
}

// problem checks that a request is refused with a status and a code, as RFC 9457 has it.
func (s *server) problem(status int, code wire.Code, method, path, token string, body any) {
	s.t.Helper()
	r := s.call(method, path, token, body)
	var p struct {
		Status int
		Title  string
		Detail string
		Code   wire.Code
	}
	err := json.Unmarshal(r.body, &p)
	if err != nil || r.status != status || p.Status != status || p.Code != code || p.Detail == "" || p.Title == "" ||
		r.header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s %s: %d %s %s; want %d %s", method, path, r.status, r.header.Get("Content-Type"), r.body, status, code)
	}
}

type tokens struct {
	AccessToken, RefreshToken, User, Name, Room string
	Role                                        string
	ExpiresAt                                   int64
}

type object = map[string]any

func TestGuestsGetTokensByPin(t *testing.T) {
	t.Parallel()
	s := start(t, noDev, func(c *config.Config) { c.Joins.Wrong = 5 })
	host := s.token("host", wire.RoleHost, "")
	made := get[wire.QuizCreateReply](s, "POST", "/api/v1/sessions", host, object{"quiz": someQuiz()})
	info := get[object](s, "GET", "/api/v1/pins/"+made.PIN, "", nil)
	if info["room"] != made.Room || info["title"] != "Capitals" || info["phase"] != "lobby" || info["locked"] != false {
		t.Errorf("%v", info)
	}
	ada := get[tokens](s, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "  Ada "})
	if ada.Name != "Ada" || ada.Room != made.Room || ada.Role != "participant" || ada.ExpiresAt == 0 {
		t.Errorf("%+v", ada)
	}
	player := s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1, bearer."+ada.AccessToken)
	player.join("", wire.JoinData{})
	s.problem(409, wire.CodeNameTaken, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "ada"})
	s.problem(422, wire.CodeNameRejected, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "f*u*c*k"})
	s.problem(403, wire.CodeForbidden, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "Eve", "role": "host"})
	s.problem(422, wire.CodeInvalidData, "POST", "/auth/token", "", object{"name": "Eve", "role": "host"})
	screen := get[tokens](s, "POST", "/auth/token", "", object{"pin": made.PIN, "screen": true})
	if screen.Role != "observer" || screen.Room != made.Room {
		t.Errorf("%+v", screen)
	}
	conn := s.as("host", wire.RoleHost)
	conn.do(wire.OpQuizLock, made.Room, nil)
	s.problem(403, wire.CodeRoomLocked, "POST", "/auth/token", "", object{"pin": made.PIN, "name": "Late"})
	for range 5 {
		s.problem(404, wire.CodeUnknownRoom, "POST", "/auth/token", "", object{"pin": "000000", "name": "Eve"})
	}
	s.problem(429, wire.CodeRateLimited, "GET", "/api/v1/pins/000001", "", nil)
	if r := s.call("GET", "/api/v1/pins/"+made.PIN, "", nil); r.status != http.StatusOK {
		t.Errorf("after wrong PINs the right one gets %d %s", r.status, r.body)
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := get[tokens](s, "POST", "/auth/token", "", object{"name": "Ada", "role": "host"})
	if first.Role != "host" {
		t.Fatalf("%+v", first)
	}
	second := get[tokens](s, "POST", "/auth/refresh", "", object{"refreshToken": first.RefreshToken})
	if second.User != first.User || second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Errorf("%+v after %+v", second, first)
	}
	open := s.dial("/ws", "Authorization: Bearer "+second.AccessToken)
	open.do(wire.OpTimeSync, "", wire.TimeSyncData{})
	third := get[tokens](s, "POST", "/auth/refresh", "", object{"refreshToken": second.RefreshToken})
	// The first one again: somebody has stolen it, or it was used twice. Everything that came from it ends.
	s.problem(401, wire.CodeInvalidToken, "POST", "/auth/refresh", "", object{"refreshToken": first.RefreshToken})
	open.goneWith(wire.CloseTokenRevoked)
	s.problem(401, wire.CodeInvalidToken, "POST", "/auth/refresh", "", object{"refreshToken": third.RefreshToken})
	s.problem(401, wire.CodeInvalidToken, "GET", "/api/v1/quizzes", third.AccessToken, nil)
	s.problem(401, wire.CodeInvalidToken, "POST", "/auth/refresh", "", object{"refreshToken": "nonsense"})

	other := get[tokens](s, "POST", "/auth/token", "", object{"name": "Bob", "role": "host"})
	if r := s.call("POST", "/auth/revoke", "", object{"refreshToken": other.RefreshToken}); r.status >= 300 {
		t.Errorf("revoke: %d %s", r.status, r.body)
	}
	s.problem(401, wire.CodeInvalidToken, "GET", "/api/v1/quizzes", other.AccessToken, nil)
}

func TestJwksVerifiesTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := get[tokens](s, "POST", "/auth/token", "", object{"name": "Ada"}).AccessToken
	keys := get[struct {
		Keys []struct{ Kty, Alg, Use, Kid, N, E string }
	}](s, "GET", "/.well-known/jwks.json", "", nil).Keys
	if len(keys) == 0 {
		t.Fatal("no keys")
	}
	parts := strings.Split(token, ".")
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var head struct{ Kid, Alg string }
	if err := json.Unmarshal(decode(parts[0]), &head); err != nil || head.Alg != "RS256" {
		t.Fatalf("%+v %v", head, err)
	}
	for _, k := range keys {
		if k.Kid != head.Kid {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(decode(k.N)), E: int(new(big.Int).SetBytes(decode(k.E)).Int64())}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], decode(parts[2])); err != nil {
			t.Error(err)
		}
		return
	}
	t.Errorf("no key %s", head.Kid)
}

func TestQuizzesBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	ada, bob := s.token("ada", wire.RoleHost, ""), s.token("bob", wire.RoleHost, "")
	quiz := get[wire.Quiz](s, "POST", "/api/v1/quizzes", ada, someQuiz())
	path := "/api/v1/quizzes/" + quiz.ID
	if quiz.ID == "" || get[wire.Quiz](s, "GET", path, ada, nil).Title != "Capitals" {
		t.Errorf("%+v", quiz)
	}
	quiz.Title = "Other"
	get[wire.Quiz](s, "PUT", path, ada, quiz)
	list := get[[]object](s, "GET", "/api/v1/quizzes", ada, nil)
	if len(list) != 1 || list[0]["title"] != "Other" || list[0]["questions"] != 2.0 {
		t.Errorf("%v", list)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		var body any
		if method == "PUT" {
			body = quiz
		}
		s.problem(404, wire.CodeUnknownQuiz, method, path, bob, body)
	}
	s.problem(404, wire.CodeUnknownQuiz, "POST", "/api/v1/sessions", bob, object{"quizId": quiz.ID})
	if others := get[[]object](s, "GET", "/api/v1/quizzes", bob, nil); len(others) != 0 {
		t.Errorf("%v", others)
	}
	s.problem(401, wire.CodeAuthRequired, "GET", path, "", nil)
	s.problem(403, wire.CodeForbidden, "GET", path, s.token("p", wire.RoleParticipant, ""), nil)
	s.problem(422, wire.CodeInvalidData, "POST", "/api/v1/quizzes", ada, object{"title": "x", "questions": []any{}})
	for format, want := range map[string]string{
		"json": `"Other"`, "gift": "France?", "aiken": "ANSWER: A", "moodle-xml": "<quiz>", "csv": "France?",
	} {
		r := s.call("GET", path+"/export?format="+format, ada, nil)
		if r.status != 200 || !bytes.Contains(r.body, []byte(want)) ||
			!strings.Contains(r.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %v %.200s", format, r.status, r.header, r.body)
		}
	}
	if r := s.call("DELETE", path, ada, nil); r.status >= 300 {
		t.Errorf("delete: %d", r.status)
	}
	s.problem(404, wire.CodeUnknownQuiz, "GET", path, ada, nil)
}

func TestImportPreviewStoresNothing(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	host := s.token("host", wire.RoleHost, "")
	gift := "::A:: 1+1? {=2 ~3}\n\n::B:: broken {=2 ~3\n\n::C:: write {}\n"
	preview := get[struct {
		Format   string
		Quiz     wire.Quiz
		Problems []struct {
			Number, Line     int
			Severity, Reason string
		}
		Total, Good, Faulty int
	}](s, "POST", "/api/v1/import?filename=x.gift", host, gift)
	if preview.Format != "gift" || preview.Good != 1 || len(preview.Quiz.Questions) != 1 || preview.Total != 2 ||
		preview.Faulty != 1 {
		t.Errorf("%+v", preview)
	}
	severities := map[string]int{}
	for _, p := range preview.Problems {
		severities[p.Severity]++
		if p.Number == 0 || p.Line == 0 || p.Reason == "" {
			t.Errorf("%+v", p)
		}
	}
	if severities["fault"] != 1 || severities["left_out"] != 1 {
		t.Errorf("%v", severities)
	}
	if list := get[[]object](s, "GET", "/api/v1/quizzes", host, nil); len(list) != 0 {
		t.Errorf("a preview stored %v", list)
	}
	s.problem(422, wire.CodeInvalidData, "POST", "/api/v1/import?filename=x.bin", host, "\x00\x01\x02")
	s.problem(401, wire.CodeAuthRequired, "POST", "/api/v1/import?filename=x.gift", "", gift)
}

// playThrough plays both questions of someQuiz with Ada, who is right, and Bob, who is wrong.
func (s *server) playThrough() (room, pin string) {
	host := s.as("host", wire.RoleHost)
	made := into[wire.QuizCreateReply](s.t, host.do(wire.OpQuizCreate, "", someQuiz()))
	host.join(made.Room, wire.JoinData{})
	ada, bob := s.as("Ada", wire.RoleParticipant), s.as("=Bob", wire.RoleParticipant)
	ada.join(made.Room, wire.JoinData{})
	bob.join(made.Room, wire.JoinData{})
	host.do(wire.OpQuizStart, made.Room, nil)
	for n := 1; n <= 2; n++ {
		host.event(wire.EvQuizQuestion)
		ada.do(wire.OpQuizAnswer, made.Room, rightAnswer(n, "a"))
		bob.do(wire.OpQuizAnswer, made.Room, wire.AnswerData{Question: n, Answer: json.RawMessage(`"1"`), Key: "b"})
		host.event(wire.EvQuizResults)
		host.do(wire.OpQuizNext, made.Room, nil)
		host.do(wire.OpQuizNext, made.Room, nil)
	}
	host.event(wire.EvQuizEnd)
	return made.Room, made.PIN
}

func TestResults(t *testing.T) {
	t.Parallel()
	s := start(t, lead(0))
	room, _ := s.playThrough()
	token := s.token("host", wire.RoleHost, "")
	path := "/api/v1/sessions/" + room + "/results"
	table := get[struct {
		Participants []struct {
			Name  string
			Rank  int
			Score int
		}
	}](s, "GET", path, token, nil)
	if len(table.Participants) != 2 || table.Participants[0].Name != "Ada" || table.Participants[0].Score == 0 ||
		table.Participants[1].Score != 0 {
		t.Errorf("%+v", table)
	}
	csv := s.call("GET", path+"?format=csv", token, nil)
	if csv.status != 200 || !bytes.Contains(csv.body, []byte("1,Ada,")) ||
		!strings.HasPrefix(csv.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %v %s", csv.status, csv.header, csv.body)
	}
	if bytes.Contains(csv.body, []byte(",=Bob")) {
		t.Errorf("a name becomes a formula: %s", csv.body)
	}
	xlsx := s.call("GET", path+"?format=xlsx", token, nil)
	if xlsx.status != 200 || !bytes.HasPrefix(xlsx.body, []byte("PK")) {
		t.Errorf("xlsx: %d %.40q", xlsx.status, xlsx.body)
	}
	s.problem(422, wire.CodeInvalidData, "GET", path+"?format=pdf", token, nil)
	s.problem(404, wire.CodeUnknownRoom, "GET", "/api/v1/sessions/nope/results", token, nil)
	if r := s.call("GET", path, s.token("other", wire.RoleHost, ""), nil); r.status != 403 && r.status != 404 {
		t.Errorf("another host gets %d %s", r.status, r.body)
	}
	s.problem(403, wire.CodeForbidden, "GET", path, s.token("Ada", wire.RoleParticipant, room), nil)
	list := get[[]object](s, "GET", "/api/v1/sessions", token, nil)
	if len(list) != 1 || list[0]["room"] != room {
		t.Errorf("%v", list)
	}
}

func TestQrCode(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.call("GET", "/api/v1/pins/"+s.Demo().PIN+"/qr.svg", "", nil)
	if r.status != 200 || r.header.Get("Content-Type") != "image/svg+xml" || xml.Unmarshal(r.body, new(struct{})) != nil {
		t.Errorf("%d %v %.100s", r.status, r.header, r.body)
	}
	s.problem(404, wire.CodeUnknownRoom, "GET", "/api/v1/pins/000000/qr.svg", "", nil)
}

func TestOpenApiListsThePaths(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := get[struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}](s, "GET", "/openapi.json", "", nil)
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		t.Errorf("version %q", doc.OpenAPI)
	}
	for path, method := range map[string]string{
		"/auth/token": "post", "/auth/refresh": "post", "/auth/revoke": "post", "/.well-known/jwks.json": "get",
		"/api/v1/config": "get", "/api/v1/pins/{pin}": "get", "/api/v1/pins/{pin}/qr.svg": "get",
		"/api/v1/quizzes": "post", "/api/v1/quizzes/{id}": "put", "/api/v1/quizzes/{id}/export": "get",
		"/api/v1/import": "post", "/api/v1/sessions": "post", "/api/v1/sessions/{room}/results": "get",
	} {
		if doc.Paths[path][method] == nil {
			t.Errorf("%s %s is not described", method, path)
		}
	}
}

func TestConfigNamesTheDemo(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := get[struct {
		Dev     bool
		Version string
		Demo    struct{ Room, PIN string }
	}](s, "GET", "/api/v1/config", "", nil)
	if !c.Dev || c.Version == "" || c.Demo.Room != s.Demo().Room || c.Demo.PIN != s.Demo().PIN {
		t.Errorf("%+v", c)
	}
	host := s.dial("/ws", "Authorization: Bearer "+s.Demo().HostToken)
	if r := host.join(s.Demo().Room, wire.JoinData{}); r.Role != wire.RoleHost {
		t.Errorf("the demo's token joins as %v", r.Role)
	}
	strict := get[object](start(t, noDev), "GET", "/api/v1/config", "", nil)
	if strict["dev"] != false || strict["demo"] != nil {
		t.Errorf("%v", strict)
	}
}
