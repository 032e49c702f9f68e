package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNumbersNeverChange compares every number and word that others rely on with testdata/wire.golden. New ones are
// added at the end of their kind there; a changed or missing line breaks clients and recorded sessions.
func TestNumbersNeverChange(t *testing.T) {
	var b strings.Builder
	for i := range OpCount {
		fmt.Fprintf(&b, "op %d %s\n", i, Op(i))
	}
	for r := RoleNone; r <= RoleAdmin; r++ {
		fmt.Fprintf(&b, "role %d %s\n", r, r)
	}
	for c := ClassReliable; c <= ClassVolatile; c++ {
		fmt.Fprintf(&b, "class %d %s\n", c, c)
	}
	for _, c := range []Code{
		CodeBadJSON, CodeBadMessage, CodeUnknownOp, CodeInvalidData, CodeAuthRequired, CodeInvalidToken, CodeTokenExpired,
		CodeForbidden, CodeUnknownRoom, CodeNotMember, CodeRoomLocked, CodeRoomFull, CodeBanned, CodeMuted, CodeNameTaken,
		CodeNameRejected, CodeTextRejected, CodeWrongState, CodeQuestionClosed, CodeAlreadyAnswer, CodeUnknownQuiz,
		CodeUnknownMessage, CodeRateLimited, CodeTooLarge, CodeUnavailable, CodeInternal,
	} {
		fmt.Fprintf(&b, "code %s\n", c)
	}
	for _, c := range []CloseCode{
		CloseNormal, CloseGoingAway, CloseProtocolError, CloseUnsupportedData, CloseNoStatus, CloseAbnormal,
		CloseInvalidPayload, ClosePolicyViolation, CloseMessageTooBig, CloseInternalError, CloseDrain, CloseNodeChange,
		CloseTokenExpired, CloseRateLimited, CloseAuthTimeout, CloseOverloaded, CloseIdle, CloseBanned, CloseTokenRevoked,
		CloseKicked, CloseInvalidToken, CloseSlowConsumer,
	} {
		fmt.Fprintf(&b, "close %d\n", c)
	}
	for _, e := range []string{
		EvQuizLobby, EvQuizStart, EvQuizQuestion, EvQuizTime, EvQuizProgress, EvQuizResults, EvQuizLeaderboard, EvQuizRank,
		EvQuizPaused, EvQuizResumed, EvQuizLocked, EvQuizEnd, EvChatMessage, EvChatEdited, EvChatDeleted, EvChatReaction,
		EvChatPinned, EvChatTyping, EvChatSlow, EvChatMuted, EvNotify, EvRoomPresence, EvRoomClosed, EvRoomKicked,
		EvProgressChanged,
	} {
		fmt.Fprintf(&b, "event %s\n", e)
		if ValidPublishEvent(e) {
			t.Errorf("a client may publish the server's own event %s", e)
		}
	}
	golden := filepath.Join("testdata", "wire.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(b.String()) {
		got[line] = true
	}
	for line := range strings.Lines(string(want)) {
		if !got[line] {
			t.Errorf("gone or changed: %s", line)
		}
		delete(got, line)
	}
	for line := range got {
		t.Errorf("not in %s yet (run with UPDATE_GOLDEN=1): %s", golden, line)
	}
}

func TestOpsParseBack(t *testing.T) {
	for i := 1; i < OpCount; i++ {
		if o := Op(i); o.String() == "" || ParseOp(o.String()) != o || ParseOpBytes([]byte(o.String())) != o {
			t.Errorf("op %d %q", i, o)
		}
	}
	if ParseOp("") != OpNone || ParseOp("nope") != OpNone {
		t.Error("an unknown op was found")
	}
}

func ptr[T any](v T) *T { return &v }

func long(n int) string { return strings.Repeat("ä", n) }

var raw = json.RawMessage("1")

var validateCases = []struct {
	in   Payload
	path string // "" for good data
}{
	{&AuthData{Token: "t"}, ""},
	{&AuthData{Name: "Ada"}, ""},
	{&AuthData{}, ""}, // asks who the connection is
	{&AuthData{Token: long(TokenCharsMax + 1)}, "token"},
	{&AuthData{Name: long(41)}, "name"},
	{&AuthData{Name: "a\x00b"}, "name"},
	{&TimeSyncData{T0: -1}, ""},
	{&JoinData{}, ""},
	{&JoinData{Since: ptr(uint64(5)), Epoch: "e-1", Name: long(40)}, ""},
	{&JoinData{Since: ptr(uint64(1 << 60))}, "since"},
	{&JoinData{Epoch: "a b"}, "epoch"},
	{&JoinData{Name: " \t"}, "name"},
	{&PublishData{Event: "cursor:move.v2", Payload: raw}, ""},
	{&PublishData{Event: "quizzes", Payload: raw}, ""},
	{&PublishData{Event: "a"}, ""},
	{&PublishData{Event: ""}, "event"},
	{&PublishData{Event: "Cursor"}, "event"},
	{&PublishData{Event: ":a"}, "event"},
	{&PublishData{Event: strings.Repeat("a", 65)}, "event"},
	{&PublishData{Event: "quiz:start"}, "event"},
	{&PublishData{Event: "notify"}, "event"},
	{&PublishData{Event: "session:offset"}, "event"},
	{&PublishData{Event: "disconnect"}, "event"},
	{&PublishData{Event: "mod:x"}, "event"},
	{&PublishData{Event: "a", Payload: make([]byte, PublishBytesMax+1)}, "payload"},
	{&PublishData{Event: "a", Key: long(64)}, ""},
	{&PublishData{Event: "a", Key: long(65)}, "key"},
	{&PresenceData{}, ""},
	{&PresenceData{Mode: "page", Limit: 100, After: "u"}, ""},
	{&PresenceData{Mode: "all"}, "mode"},
	{&PresenceData{Limit: -1}, "limit"},
	{&QuizCreateData{QuizID: "q"}, ""},
	{&QuizCreateData{}, "quizId"},
	{&QuizCreateData{QuizID: "q", Quiz: &Quiz{}}, "quizId"},
	{&QuizCreateData{Quiz: &Quiz{}}, "quiz.title"},
	{&QuizExtendData{}, ""},
	{&QuizExtendData{ByMs: 999}, "byMs"},
	{&QuizLockData{}, ""},
	{&AnswerData{Question: 1, Answer: raw, Key: "k"}, ""},
	{&AnswerData{Question: 501, Answer: raw, Key: "k"}, "question"},
	{&AnswerData{Question: 1, Key: "k"}, "answer"},
	{&AnswerData{Question: 1, Answer: make([]byte, AnswerBytesMax+1), Key: "k"}, "answer"},
	{&AnswerData{Question: 1, Answer: raw}, "key"},
	{&AnswerData{Question: 1, Answer: raw, Key: strings.Repeat("k", 65)}, "key"},
	{&ChatSendData{Text: long(2000)}, ""},
	{&ChatSendData{Text: long(2001)}, "text"},
	{&ChatSendData{Text: "a\x1b[0m"}, "text"},
	{&ChatSendData{Text: "a", ReplyTo: long(129)}, "replyTo"},
	{&ChatEditData{ID: "m", Text: "a\nb"}, ""},
	{&ChatEditData{Text: "a"}, "id"},
	{&ChatIDData{ID: "m"}, ""},
	{&ChatIDData{ID: "m\n"}, "id"},
	{&ChatReactData{ID: "m", Emoji: "👩‍👩‍👧‍👦"}, ""},
	{&ChatReactData{ID: "m", Emoji: "👩🏻‍❤️‍💋‍👨🏻"}, ""}, // 35 bytes
	{&ChatReactData{ID: "m", Emoji: long(17)}, "emoji"},
	{&ChatReactData{ID: "m"}, "emoji"},
	{&ChatReactData{ID: "m", Emoji: "a b"}, "emoji"},
	{&ChatReactData{Emoji: "👍"}, "id"},
	{&ChatPinData{ID: "m"}, ""},
	{&ChatTypingData{}, ""},
	{&ChatHistoryData{Limit: 101}, "limit"},
	{&ModUserData{User: "u", DurationMs: 1000, Reason: "r"}, ""},
	{&ModUserData{}, "user"},
	{&ModUserData{User: "u", DurationMs: -1}, "durationMs"},
	{&ModUserData{User: "u", Reason: long(201)}, "reason"},
	{&ModSlowData{EveryMs: SlowMsMax + 1}, "everyMs"},
	{&ModLockdownData{}, ""},
	{&ProgressData{Unit: "u", Done: 2, Total: 2}, ""},
	{&ProgressData{Done: 2, Total: 2}, "unit"},
	{&ProgressData{Unit: "u", Done: 3, Total: 2}, "done"},
	{&ProgressData{Unit: "u", Total: -1}, "total"},
}

func TestValidate(t *testing.T) {
	for i, c := range validateCases {
		err := c.in.Validate()
		if c.path == "" && err != nil || c.path != "" && (err == nil || err.Path != c.path || err.Message == "") {
			t.Errorf("%d %T: got %+v, want a fault at %q", i, c.in, err, c.path)
		}
	}
}

func goodQuiz() *Quiz {
	options := []Option{{Text: "a", Correct: true}, {Text: "b"}}
	return &Quiz{Title: "t", Questions: []Question{
		{Type: SingleChoice, Text: "q", Options: options, TimeLimitMs: 1000, Points: ptr(0)},
		{Type: MultipleChoice, Text: "q", Options: options},
		{Type: Poll, Text: "q", Options: []Option{{Text: "a"}, {Text: "b"}}},
		{Type: TrueFalse, Text: "q", Correct: ptr(false)},
		{Type: Numeric, Text: "q", Numbers: []NumberRange{{Min: 1, Max: 1}, {Min: -2, Max: 3}}},
		{Type: ShortText, Text: "q", Texts: []string{"a*"}},
	}}
}

func TestValidateQuiz(t *testing.T) {
	if err := goodQuiz().Validate(); err != nil {
		t.Fatalf("%v at %s", err, err.Path)
	}
	for path, spoil := range map[string]func(q *Quiz){
		"title":                        func(q *Quiz) { q.Title = " " },
		"language":                     func(q *Quiz) { q.Language = "de DE" },
		"settings.scoring":             func(q *Quiz) { q.Settings.Scoring = "golf" },
		"settings.leaderboardTop":      func(q *Quiz) { q.Settings.LeaderboardTop = 101 },
		"questions":                    func(q *Quiz) { q.Questions = make([]Question, 501) },
		"questions[0].text":            func(q *Quiz) { q.Questions[0].Text = long(4001) },
		"questions[0].timeLimitMs":     func(q *Quiz) { q.Questions[0].TimeLimitMs = 999 },
		"questions[0].points":          func(q *Quiz) { q.Questions[0].Points = ptr(10_001) },
		"questions[0].options":         func(q *Quiz) { q.Questions[0].Options = q.Questions[2].Options },
		"questions[1].options":         func(q *Quiz) { q.Questions[1].Options = make([]Option, 13) },
		"questions[2].options[1].text": func(q *Quiz) { q.Questions[2].Options[1].Text = long(501) },
		"questions[2].options[0].text": func(q *Quiz) { q.Questions[2].Options[0].Text = "" },
		"questions[3].correct":         func(q *Quiz) { q.Questions[3].Correct = nil },
		"questions[4].numbers":         func(q *Quiz) { q.Questions[4].Numbers = nil },
		"questions[4].numbers[0]":      func(q *Quiz) { q.Questions[4].Numbers[0].Min = math.NaN() },
		"questions[4].numbers[1]":      func(q *Quiz) { q.Questions[4].Numbers[1].Min = 4 },
		"questions[5].texts":           func(q *Quiz) { q.Questions[5].Texts = nil },
		"questions[5].texts[0]":        func(q *Quiz) { q.Questions[5].Texts[0] = " " },
		"questions[5].type":            func(q *Quiz) { q.Questions[5].Type = "essay" },
	} {
		q := goodQuiz()
		spoil(q)
		err := q.Validate()
		if err == nil || err.Path != path {
			t.Errorf("got %+v, want a fault at %s", err, path)
		}
		if faults := q.Faults(); len(faults) == 0 || faults[0].Path != path {
			t.Errorf("Faults are %v, want the first at %s", faults, path)
		}
	}
	q := goodQuiz()
	q.Questions[1].Text, q.Questions[4].Numbers[0].Max = "", math.Inf(1)
	if faults := q.Faults(); len(faults) != 2 {
		t.Errorf("got %v, want both faults", faults)
	}
}

func TestQuestionTypeAliases(t *testing.T) {
	for name, want := range map[string]QuestionType{
		"single_choice": SingleChoice, "singleChoice": SingleChoice, "single": SingleChoice, "mc": SingleChoice,
		"multiple_choice": MultipleChoice, "multiple": MultipleChoice, "multi_choice": MultipleChoice,
		"Multi-Select": MultipleChoice,
		"true_false":   TrueFalse, "True/False": TrueFalse, "truefalse": TrueFalse, "numerical": Numeric, "numeric": Numeric,
		"text": ShortText, "short_answer": ShortText, "poll": Poll, "essay": "essay", "": "",
	} {
		var got QuestionType
		if err := json.Unmarshal([]byte(`"`+name+`"`), &got); err != nil || got != want {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

// TestFaultsSayWhere: the pointer is into the whole message, for what is wrong with the message itself and with data.
func TestFaultsSayWhere(t *testing.T) {
	for want, fault := range map[string]*Error{
		"/data/quiz/questions/3/options/0/text": NewError(CodeInvalidData, "m").At("quiz.questions[3].options[0].text"),
		"/data":                                 NewError(CodeInvalidData, "m").At("data"),
		"/data/id":                              NewError(CodeTooLarge, "m").At("id"),
		"/id":                                   NewError(CodeBadMessage, "m").At("id"),
		"/op":                                   NewError(CodeUnknownOp, "m").At("op"),
		"":                                      NewError(CodeInvalidData, "m").At("x").At(""),
	} {
		if fault.Pointer != want {
			t.Errorf("%s: got %q, want %q", fault.Path, fault.Pointer, want)
		}
	}
	for i, c := range validateCases {
		if fault := c.in.Validate(); fault != nil && (fault.Rule == "" || fault.Pointer == "") {
			t.Errorf("%d %T: %+v names no rule or no place", i, c.in, fault)
		}
	}
}
