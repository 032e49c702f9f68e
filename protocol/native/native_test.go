package native

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern/protocol/wire"
)

var deep = strings.Repeat("[", DepthMax) + strings.Repeat("]", DepthMax)

var decodeCases = map[string]struct {
	in   string
	want Request
	code wire.Code
	path string
}{
	"whole": {
		`{"id":7,"op":"room:join","room":"r1","data":{"a":[1]}}`,
		Request{7, wire.OpRoomJoin, "r1", []byte(`{"a":[1]}`)},
		"", "",
	},
	"spaces":            {" {\n\"op\" : \"auth\" ,\t\"id\":1 }\r\n", Request{ID: 1, Op: wire.OpAuth}, "", ""},
	"escaped op":        {`{"id":1,"op":"\u0061uth","room":"\u0061"}`, Request{ID: 1, Op: wire.OpAuth, Room: "a"}, "", ""},
	"null data":         {`{"id":1,"op":"auth","data":null,"room":null}`, Request{ID: 1, Op: wire.OpAuth}, "", ""},
	"unknown member":    {`{"id":1,"x":{"y":[]},"op":"auth"}`, Request{ID: 1, Op: wire.OpAuth}, "", ""},
	"greatest id":       {`{"id":9007199254740992,"op":"auth"}`, Request{ID: 1 << 53, Op: wire.OpAuth}, "", ""},
	"empty":             {``, Request{}, wire.CodeBadJSON, ""},
	"array":             {`[]`, Request{}, wire.CodeBadJSON, ""},
	"two":               {`{"id":1,"op":"auth"}{}`, Request{}, wire.CodeBadJSON, ""},
	"cut":               {`{"id":1,"op":"auth"`, Request{}, wire.CodeBadJSON, ""},
	"comma":             {`{"id":1,}`, Request{}, wire.CodeBadJSON, ""},
	"bad data":          {`{"id":1,"op":"auth","data":{"a":01}}`, Request{}, wire.CodeBadJSON, ""},
	"bad unknown":       {`{"id":1,"op":"auth","x":nul}`, Request{}, wire.CodeBadJSON, ""},
	"invalid utf-8":     {"{\"id\":1,\"op\":\"auth\",\"data\":\"\xff\"}", Request{}, wire.CodeBadJSON, ""},
	"lone surrogate":    {`{"id":1,"op":"auth","data":"\ud800"}`, Request{}, wire.CodeBadJSON, ""},
	"too deep":          {`{"id":1,"op":"auth","data":` + deep + `}`, Request{}, wire.CodeBadJSON, ""},
	"no id":             {`{"op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"zero id":           {`{"id":0,"op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"negative id":       {`{"id":-1,"op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"integral id":       {`{"id":1.0,"op":"auth"}`, Request{ID: 1, Op: wire.OpAuth}, "", ""},
	"escaped members":   {`{"\u0069d":1e0,"o\u0070":"auth"}`, Request{ID: 1, Op: wire.OpAuth}, "", ""},
	"escaped twice":     {`{"id":1,"op":"auth","\u006fp":"auth"}`, Request{ID: 1}, wire.CodeBadMessage, "op"},
	"fractional id":     {`{"id":1.5,"op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"string id":         {`{"id":"1","op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"huge id":           {`{"id":9007199254740993,"op":"auth"}`, Request{}, wire.CodeBadMessage, "id"},
	"no op":             {`{"id":2}`, Request{ID: 2}, wire.CodeBadMessage, "op"},
	"op is no string":   {`{"id":2,"op":5}`, Request{ID: 2}, wire.CodeBadMessage, "op"},
	"unknown op":        {`{"id":2,"op":"nope"}`, Request{ID: 2}, wire.CodeUnknownOp, "op"},
	"empty op":          {`{"id":2,"op":""}`, Request{ID: 2}, wire.CodeUnknownOp, "op"},
	"room is no string": {`{"id":2,"op":"auth","room":5}`, Request{ID: 2, Op: wire.OpAuth}, wire.CodeBadMessage, "room"},
	"room has a space":  {`{"id":2,"op":"auth","room":" "}`, Request{ID: 2, Op: wire.OpAuth}, wire.CodeBadMessage, "room"},
	"op twice":          {`{"id":2,"op":"auth","op":"room:join"}`, Request{ID: 2}, wire.CodeBadMessage, "op"},
	"id twice":          {`{"id":2,"op":"auth","id":3}`, Request{ID: 2}, wire.CodeBadMessage, "id"},
}

func TestDecode(t *testing.T) {
	for name, c := range decodeCases {
		got, err := Decode([]byte(c.in))
		if c.code == "" && err != nil || c.code != "" && (err == nil || err.Code != c.code || err.Path != c.path) {
			t.Errorf("%s: error %+v, want %s at %q", name, err, c.code, c.path)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// dataCases has one good and some bad data per op.
var dataCases = []struct {
	op   wire.Op
	in   string
	path string // of the fault; "" for good data
	want any    // of good data; nil: not compared
}{
	{wire.OpAuth, `{"token":"t"}`, "", &wire.AuthData{Token: "t"}},
	{wire.OpAuth, ``, "", &wire.AuthData{}},
	{wire.OpAuth, `{"name":" "}`, "name", nil},
	{wire.OpAuth, `{"token":5}`, "token", nil},
	{wire.OpAuth, `[]`, "data", nil},
	{wire.OpAuth, `"x"`, "data", nil},
	{wire.OpTimeSync, `{"t0":1.5}`, "", &wire.TimeSyncData{T0: 1.5}},
	{wire.OpTimeSync, `{"t0":"1"}`, "t0", nil},
	{wire.OpRoomJoin, ``, "", &wire.JoinData{}},
	{wire.OpRoomJoin, `{"role":"observer","Since":3}`, "", &wire.JoinData{Role: wire.RoleObserver}},
	{wire.OpRoomJoin, `{"role":"emperor"}`, "role", nil},
	{wire.OpRoomJoin, `{"role":null,"name":null,"since":null}`, "", &wire.JoinData{}},
	{wire.OpRoomJoin, `{"since":-1}`, "since", nil},
	{wire.OpRoomLeave, `{"anything":1}`, "", nil},
	{
		wire.OpRoomPublish, `{"event":"cursor","payload":{"a":[1, 2]},"volatile":true}`, "",
		&wire.PublishData{Event: "cursor", Payload: json.RawMessage(`{"a":[1, 2]}`), Volatile: true},
	},
	{wire.OpRoomPublish, `{"event":"quiz:end","payload":1}`, "event", nil},
	{wire.OpRoomPublish, `{"event":"x","payload":1,"key":[]}`, "key", nil},
	{wire.OpRoomPresence, `{"mode":"page","limit":101}`, "limit", nil},
	{wire.OpRoomPresence, `{"limit":1.5,"mode":"page"}`, "limit", nil},
	{wire.OpRoomPresence, `{"limit":2.0e1}`, "", &wire.PresenceData{Limit: 20}},
	{wire.OpRoomPresence, `{"limit":1e999999999}`, "limit", nil},
	{wire.OpRoomPresence, `{"limit":5,"\u006cimit":6}`, "limit", nil},
	{wire.OpQuizAnswer, `{"question":1,"answer":null,"key":"k"}`, "answer", nil},
	{wire.OpQuizAnswer, `{"question":1,"answer":1,"key":"k","key":"k"}`, "key", nil},
	{wire.OpQuizAnswer, `{"question":"01","answer":1,"key":"k"}`, "question", nil},
	{
		wire.OpQuizAnswer, `{"question":1.0,"answer":1,"k\u0065y":"k"}`, "",
		&wire.AnswerData{Question: 1, Answer: json.RawMessage(`1`), Key: "k"},
	},
	{wire.OpModSlow, `{}`, "everyMs", nil},
	{wire.OpModSlow, `{"everyMs":-0}`, "", &wire.ModSlowData{}},
	{
		wire.OpQuizAnswer, `{"question":3,"answer":["0",1],"key":"k"}`, "",
		&wire.AnswerData{Question: 3, Answer: json.RawMessage(`["0",1]`), Key: "k"},
	},
	{wire.OpQuizAnswer, ` {"question":"3","key":"\u006b","answer":null,"more":{}} `, "data", nil},
	{
		wire.OpQuizAnswer, `{"question" : "3" , "key":"\u006b","answer":true,"more":{}}`, "",
		&wire.AnswerData{Question: 3, Answer: json.RawMessage(`true`), Key: "k"},
	},
	{wire.OpQuizAnswer, `{"question":0,"answer":1,"key":"k"}`, "question", nil},
	{wire.OpQuizAnswer, `{"question":1.5,"answer":1,"key":"k"}`, "question", nil},
	{wire.OpQuizAnswer, `{"question":1,"answer":1}`, "key", nil},
	{wire.OpQuizAnswer, `{"question":1,"answer":1,"key":7}`, "key", nil},
	{wire.OpQuizAnswer, `{"question":1,"key":"k"}`, "answer", nil},
	{wire.OpQuizAnswer, ``, "question", nil},
	{wire.OpQuizCreate, `"stored"`, "", &wire.QuizCreateData{QuizID: "stored"}},
	{wire.OpQuizCreate, `{"title":"t","questions":[{"type":"multi","text":"q"}]}`, "quiz.questions[0].options", nil},
	{wire.OpQuizCreate, `{"quiz":{"title":"t","questions":[{"type":5}]}}`, "quiz.questions[0].type", nil},
	{wire.OpChatSend, `{"text":"hi"}`, "", &wire.ChatSendData{Text: "hi"}},
	{wire.OpChatSend, `{"text":"\n"}`, "text", nil},
	{wire.OpProgressUpdate, `{"unit":"u","done":3,"total":2}`, "done", nil},
}

func TestDecodeData(t *testing.T) {
	for _, c := range dataCases {
		in := []byte(c.in)
		got, err := DecodeData(c.op, in)
		for i := range in {
			in[i] = 0xaa // nothing may refer to the borrowed bytes
		}
		switch {
		case c.path != "":
			if err == nil || err.Path != c.path || got != nil {
				t.Errorf("%v %s: got %v, %+v, want a fault at %s", c.op, c.in, got, err, c.path)
			}
		case err != nil:
			t.Errorf("%v %s: %v at %s", c.op, c.in, err, err.Path)
		case c.want != nil && !reflect.DeepEqual(got, c.want):
			t.Errorf("%v %s: got %+v, want %+v", c.op, c.in, got, c.want)
		}
	}
}

func TestQuizCreateShapes(t *testing.T) {
	quiz := `{"title":"t","questions":[{"type":"text","text":"q","texts":["a"]}]}`
	want := &wire.Quiz{Title: "t", Questions: []wire.Question{{Type: wire.ShortText, Text: "q", Texts: []string{"a"}}}}
	for in, w := range map[string]wire.QuizCreateData{
		`{"quizId":"q"}`:           {QuizID: "q"},
		`"q"`:                      {QuizID: "q"},
		`{"quiz":"q"}`:             {QuizID: "q"},
		`{"quiz":` + quiz + `}`:    {Quiz: want},
		quiz:                       {Quiz: want},
		`{"quizId":"","quiz":"q"}`: {QuizID: "q"},
	} {
		if got, fault := DecodeData(wire.OpQuizCreate, []byte(in)); fault != nil || !reflect.DeepEqual(got, &w) {
			t.Errorf("%s: got %+v, %v", in, got, fault)
		}
	}
	for in, want := range map[string][2]string{
		`{"quiz":{"title":"t","questions":[{"type":"poll","text":5}]}}`: {"/data/quiz/questions/0/text", "type"},
		`{"title":"t","questions":[{"type":"poll","text":5}]}`:          {"/data/questions/0/text", "type"},
		`{"title":"","questions":[{"type":"poll","text":"q"}]}`:         {"/data/title", "pattern"},
		`{"questions":[{"type":"poll","text":"q"}]}`:                    {"/data/title", "required"},
		`{"title":"t","title":"t","questions":[]}`:                      {"/data/title", "x-uniqueMembers"},
		`{"title":"t","questions":[null]}`:                              {"/data/questions/0", "type"},
		`{"quizId":5}`:                                                  {"/data/quizId", "type"},
		`{"quiz":""}`:                                                   {"/data/quiz", "minLength"},
		`{"quizId":"a","quiz":"b"}`:                                     {"/data/quiz", "type"},
		`{}`:                                                            {"/data/quizId", "required"},
		`{"quiz":null,"QuizId":"x"}`:                                    {"/data/quizId", "required"},
		`""`:                                                            {"/data", "minLength"},
		`[]`:                                                            {"/data", "type"},
	} {
		_, fault := DecodeData(wire.OpQuizCreate, []byte(in))
		if fault == nil || fault.Pointer != want[0] || string(fault.Rule) != want[1] {
			t.Errorf("%s: got %+v, want a fault at %v", in, fault, want)
		}
	}
}

func TestRequestIsCopied(t *testing.T) {
	in := []byte(`{"id":7,"op":"room:join","room":"r1"}`)
	req, _ := Decode(in)
	clear(in)
	if req.Room != "r1" {
		t.Errorf("room is %q after its bytes were reused", req.Room)
	}
}

// TestJSONCorpus runs the JSON test suite: as the value of data, everything it says must be refused is refused, and
// what must be accepted is accepted, save for nesting beyond our limit.
func TestJSONCorpus(t *testing.T) {
	file, err := os.Open("../../../shared/data/json/jsontestsuite.jsonl")
	if err != nil {
		t.Skip("the JSON test suite is not here: ", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	n := 0
	for lines.Scan() {
		var c struct{ Name, Expect, B64 string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		value, err := base64.StdEncoding.DecodeString(c.B64)
		if err != nil {
			t.Fatal(err)
		}
		n++
		// A value that closes the envelope itself would be another message; the suite's values are checked alone
		// for that.
		_, fail := Decode([]byte(`{"id":1,"op":"room:publish","data":` + string(value) + `}`))
		for how, ok := range map[string]bool{"alone": Valid(value), "as data": fail == nil} {
			if ok != (c.Expect == "accept") && c.Expect != "either" {
				t.Errorf("%s %s: accepted is %v, want %s", c.Name, how, ok, c.Expect)
			}
			if ok && (!json.Valid(value) || !utf8.Valid(value)) {
				t.Errorf("%s %s: accepted, though encoding/json refuses it", c.Name, how)
			}
		}
	}
	if n == 0 {
		t.Error("the JSON test suite is empty")
	}
	t.Logf("%d cases", n)
}

func TestValid(t *testing.T) {
	for in, want := range map[string]bool{
		`1`: true, ` [1,2.5e+3,-0] `: true, `{"a":{"b":"\u00e4\ud83d\ude00"}}`: true, `""`: true,
		`01`: false,
		`1.`: false, `-`: false, `.5`: false, `1e`: false, `+1`: false, `tru`: false, `"a`: false, "\"\t\"": false,
		`"\x"`: false, `"\ud800\u0041"`: false, `"\u12g4"`: false, `[1,]`: false, `{,}`: false,
		`{"a" 1}`: false, `{a:1}`: false,
		`[1 2]`: false, `1 2`: false, "\xef\xbb\xbf1": false, ``: false, `"\udc00"`: false, `NaN`: false,
	} {
		if Valid([]byte(in)) != want {
			t.Errorf("%q: got %v", in, !want)
		}
	}
}

func TestReplies(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"re":7,"ok":true}`:                        AppendReply(nil, 7, nil),
		`x{"re":7,"ok":true,"data":{"seq":3}}`:      AppendReply([]byte("x"), 7, wire.PublishReply{Seq: 3}),
		`{"re":7,"ok":true,"data":[ 1]}`:            AppendReply(nil, 7, json.RawMessage("[ 1]")),
		`{"re":1,"ok":true,"data":{"messages":[]}}`: AppendReply(nil, 1, &wire.ChatSnapshot{}),
		`{"re":7,"ok":false,"error":{"code":"muted","message":"slow \"down\"","retryAfterMs":1200}}`: AppendError(nil, 7,
			&wire.Error{Code: wire.CodeMuted, Message: `slow "down"`, RetryAfterMs: 1200}),
		`{"re":null,"ok":false,"error":{"code":"bad_json","message":"m","path":"p","pointer":"/p"}}`: AppendError(nil, 0,
			wire.NewError(wire.CodeBadJSON, "m").At("p")),
		`{"re":7,"ok":false,"error":{"code":"internal","message":"the reply could not be written"}}`: AppendReply(nil, 7,
			map[string]any{"f": func() {}}),
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEvents(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"ev":"chat:deleted","room":"r1","seq":17,"ts":1764000000000,"data":{"id":"a<b","by":"author"}}`: AppendEvent(nil,
			wire.EvChatDeleted, "r1", 17, 1764000000000, wire.ChatDeleted{ID: "a<b", By: "author"}),
		`[{"ev":"a","ts":5}`:                            AppendEvent([]byte("["), "a", "", 0, 5, nil),
		`{"ev":"a","room":"r","ts":5,"data":{"x":1}}`:   AppendEvent(nil, "a", "r", 0, 5, json.RawMessage(`{"x":1}`)),
		`{"ev":"a\"\nb","room":"ä","ts":5,"data":null}`: AppendEvent(nil, "a\"\nb", "ä", 0, 5, json.RawMessage(nil)),
		`{"ev":"a","ts":5,"data":null}`:                 AppendEvent(nil, "a", "", 0, 5, make(chan int)),
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestEncodingAgrees compares with encoding/json over any text.
func TestEncodingAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		v := wire.ChatMessage{
			ID: text, Role: wire.RoleHost, Text: text, TS: rapid.Int64().Draw(t, "ts"), Mentions: []string{text},
			Reactions: map[string]int{"b" + text: 1, "a": 2}, Pinned: rapid.Bool().Draw(t, "pinned"),
		}
		got, err := AppendData(nil, v)
		if err != nil || !Valid(got) {
			t.Fatalf("%s, %v", got, err)
		}
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		var a, b wire.ChatMessage
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(buf.Bytes(), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("got %s, encoding/json has %s", got, buf.Bytes())
		}
	})
}

// TestAnswerAgrees compares the reader by hand with encoding/json.
func TestAnswerAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := wire.AnswerData{
			Question: rapid.IntRange(1, wire.QuestionsMax).Draw(t, "question"),
			Key:      rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "key"),
		}
		want.Answer, _ = json.Marshal(rapid.String().Draw(t, "answer"))
		in, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, fail := DecodeData(wire.OpQuizAnswer, in)
		if fail != nil || !reflect.DeepEqual(got, &want) {
			t.Fatalf("%s: got %+v, %v", in, got, fail)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, c := range dataCases {
		f.Add([]byte(`{"id":1,"op":"` + c.op.String() + `","room":"r","data":` + c.in + `}`))
	}
	f.Add([]byte(`{"id":1,"op":"auth","data":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		valid := Valid(in)
		if valid && (!json.Valid(in) || !utf8.Valid(in)) {
			t.Fatal("we accept what encoding/json refuses")
		}
		before := bytes.Clone(in)
		req, err := Decode(in)
		if err == nil != (req.ID != 0 && req.Op != wire.OpNone && err == nil) {
			t.Fatalf("%+v, %v", req, err)
		}
		if err == nil && !valid || err != nil && err.Code == wire.CodeBadJSON && valid && before[0] == '{' {
			t.Fatalf("valid is %v, Decode says %v", valid, err)
		}
		if err != nil {
			return
		}
		body, err := DecodeData(req.Op, req.Data)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		if err != nil && (body != nil || err.Code == "" || err.Message == "") {
			t.Fatalf("%v beside %v", body, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, in := range map[string]string{
		"answer": `{"id":12,"op":"quiz:answer","room":"r1","data":{"question":3,"answer":"2","key":"3f2a9c1e7b"}}`,
		"chat":   `{"id":12,"op":"chat:send","room":"r1","data":{"text":"hello everybody, how are you?","key":"3f2a9c1e7b"}}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			payload := []byte(in)
			for b.Loop() {
				req, err := Decode(payload)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := DecodeData(req.Op, req.Data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	var dst []byte
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		msg := &wire.ChatMessage{ID: "m1", User: "u1", Name: "Ada", Role: wire.RoleHost, Text: "hello everybody", TS: 1}
		for b.Loop() {
			dst = AppendEvent(dst[:0], wire.EvChatMessage, "r1", 17, 1764000000000, msg)
		}
	})
	b.Run("reply", func(b *testing.B) {
		b.ReportAllocs()
		reply := &wire.AnswerReply{Receipt: "abcdefghijklmnopqrstuvwxyz", AcceptedAt: 1764000000000, Durable: true}
		for b.Loop() {
			dst = AppendReply(dst[:0], 12, reply)
		}
	})
}

func TestWarm(t *testing.T) {
	if err := Warm(); err != nil {
		t.Fatal(err)
	}
	for op := range payloads {
		if body, fail := DecodeData(wire.Op(op), []byte(`{}`)); body == nil && fail == nil && payloads[op] != nil {
			t.Errorf("%v: neither data nor a fault", wire.Op(op))
		}
	}
}
