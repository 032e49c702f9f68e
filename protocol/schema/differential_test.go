package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lectern/protocol/native"
	"lectern/protocol/wire"
)

// seeds are good messages, at least one per op.
var seeds = []string{
	`{"id":1,"op":"auth","data":{"token":"a.b.c"}}`, `{"id":1,"op":"auth","data":{"name":"Ada"}}`, `{"id":1,"op":"auth"}`,
	`{"id":2,"op":"time:sync","data":{"t0":1764000000000.25}}`,
	`{"id":3,"op":"room:join","room":"r1","data":{"since":5,"epoch":"e1","role":"observer","name":"Ada"}}`,
	`{"id":4,"op":"room:leave","room":"r1"}`, `{"id":4,"op":"room:leave","room":null,"data":[1]}`,
	`{"id":5,"op":"room:publish","data":{"event":"cursor:move","payload":{"x":[1,null]},"volatile":true,"key":"k"}}`,
	`{"id":6,"op":"room:presence","data":{"mode":"page","limit":100,"after":"u"}}`,
	`{"id":7,"op":"quiz:create","data":{"quizId":"q"}}`, `{"id":7,"op":"quiz:create","data":"q"}`,
	`{"id":7,"op":"quiz:create","data":{"quiz":"q"}}`,
	`{"id":7,"op":"quiz:create","data":{"quiz":{"id":"x","title":"t","language":"en","settings":{"scoring":"flat",
	  "streakBonus":true,"leaderboardTop":5,"autoAdvance":false,"lateJoin":true},"questions":[
	  {"id":"1","type":"single_choice","text":"q","options":[{"text":"a","correct":true,"feedback":"f"},{"text":"b"}],
	   "timeLimitMs":1000,"points":0,"explanation":"e","category":"c"},
	  {"type":"Multi-Select","text":"q","options":[{"text":"a","correct":true},{"text":"b"}]},
	  {"type":"true_false","text":"q","correct":false},{"type":"numeric","text":"q","numbers":[{"min":-1.5,"max":2}]},
	  {"type":"short_text","text":"q","texts":["a*"],"caseMatters":true},
	  {"type":"poll","text":"q","options":[{"text":"a"},{"text":"b"}]}]}}}`,
	`{"id":7,"op":"quiz:create","data":{"title":"t","questions":[{"type":"tf","text":"q","correct":true}]}}`,
	`{"id":8,"op":"quiz:start"}`, `{"id":8,"op":"quiz:next"}`, `{"id":8,"op":"quiz:pause"}`, `{"id":8,"op":"quiz:resume"}`,
	`{"id":8,"op":"quiz:extend","data":{"byMs":1000}}`, `{"id":8,"op":"quiz:skip"}`,
	`{"id":8,"op":"quiz:lock","data":{"locked":false}}`, `{"id":8,"op":"quiz:end"}`, `{"id":8,"op":"quiz:state"}`,
	`{"id":9,"op":"quiz:answer","data":{"question":1,"answer":"0","key":"k"}}`,
	`{"id":9,"op":"quiz:answer","data":{"question":"500","answer":["0",1],"key":"k"}}`,
	`{"id":9,"op":"quiz:regrade","data":{"question":1,"answerKey":{"options":["0"],"correct":true,
	  "numbers":[{"min":1,"max":2}],"texts":["a"],"caseMatters":false},"void":false,"reason":"r"}}`,
	`{"id":9,"op":"quiz:regrade","data":{"question":1,"void":true}}`,
	`{"id":10,"op":"chat:send","data":{"text":"hi","replyTo":"m","key":"k"}}`,
	`{"id":10,"op":"chat:edit","data":{"id":"m","text":"hi"}}`, `{"id":10,"op":"chat:delete","data":{"id":"m"}}`,
	`{"id":10,"op":"chat:react","data":{"id":"m","emoji":"👍","remove":true}}`,
	`{"id":10,"op":"chat:pin","data":{"id":"m","pinned":false}}`, `{"id":10,"op":"chat:typing","data":{"typing":true}}`,
	`{"id":10,"op":"chat:history","data":{"before":"m","limit":50}}`,
	`{"id":11,"op":"mod:mute","data":{"user":"u","durationMs":1000,"undo":false,"reason":"r"}}`,
	`{"id":11,"op":"mod:ban","data":{"user":"u"}}`, `{"id":11,"op":"mod:kick","data":{"user":"u"}}`,
	`{"id":11,"op":"mod:approve","data":{"id":"m"}}`, `{"id":11,"op":"mod:reject","data":{"id":"m"}}`,
	`{"id":11,"op":"mod:lockdown","data":{"on":true}}`, `{"id":11,"op":"mod:slow","data":{"everyMs":5000}}`,
	`{"id":12,"op":"progress:update","data":{"unit":"u","done":3,"total":4}}`,
}

// verdict is how the server judges a text.
func verdict(text []byte) *wire.Error {
	req, fault := native.Decode(text)
	if fault == nil {
		_, fault = native.DecodeData(req.Op, req.Data)
	}
	return fault
}

// compare wants one verdict from the server's code and from the published schemas, and that the server's fault is one
// that the schemas find too, at the same place and by the same rule. It returns what is wrong.
func compare(r *reference, text []byte) string {
	fail := verdict(text)
	faults := r.judge(text)
	switch {
	case fail == nil && len(faults) > 0:
		return fmt.Sprintf("accepted, but the schema finds %v", faults)
	case fail == nil:
		return ""
	case len(faults) == 0:
		return fmt.Sprintf("refused (%v at %s by %s), but the schema accepts it", fail, fail.Pointer, fail.Rule)
	case fail.Code == wire.CodeBadJSON: // no object at all: there is no place in it to name
		return ""
	case !slices.Contains(faults, fault{fail.Pointer, string(fail.Rule)}) && !sameMembers(fail, faults) &&
		!noData(fail, faults):
		return fmt.Sprintf("refused at %s by %s (%v), but the schema finds %v", fail.Pointer, fail.Rule, fail, faults)
	}
	return ""
}

// sameMembers is for the rule about two members: the schema finds it at the object, the server names the member.
func sameMembers(fail *wire.Error, faults []fault) bool {
	at := fail.Pointer[:max(0, strings.LastIndexByte(fail.Pointer, '/'))]
	return fail.Rule == wire.RuleNotAbove && slices.Contains(faults, fault{at, string(wire.RuleNotAbove)})
}

// noData is for messages without data: the server says what should be in it, the schema that it should be there.
func noData(fail *wire.Error, faults []fault) bool {
	return fail.Rule == wire.RuleRequired &&
		(slices.Contains(faults, fault{"/data", "required"}) || slices.Contains(faults, fault{"/data", "type"}))
}

func TestSeedsAreGood(t *testing.T) {
	r := loadReference(t)
	seen := map[string]bool{}
	for _, text := range seeds {
		if wrong := compare(r, []byte(text)); wrong != "" || verdict([]byte(text)) != nil {
			t.Errorf("%s\n%s %v", text, wrong, verdict([]byte(text)))
		}
		seen[readExactly([]byte(text)).(map[string]any)["op"].(string)] = true
	}
	for _, op := range wire.Ops() {
		if !seen[op.Op.String()] {
			t.Errorf("no seed for %v: the comparison would not reach it", op.Op)
		}
	}
}

// TestSameVerdict spoils good messages in one to three places.
func TestSameVerdict(t *testing.T) {
	r := loadReference(t)
	accepted, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		v := readExactly([]byte(rapid.SampledFrom(seeds).Draw(rt, "seed")))
		for range rapid.IntRange(1, 3).Draw(rt, "mutations") {
			v = mutate(rt, v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			rt.Fatal(err)
		}
		if !native.Valid(text) { // too deep
			return
		}
		if wrong := compare(r, text); wrong != "" {
			rt.Fatalf("%.2000s\n%s", text, wrong)
		}
		if verdict(text) == nil {
			accepted++
		} else {
			refused++
		}
	})
	t.Logf("%d accepted, %d refused", accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("the comparison saw one kind of message only")
	}
}

// mutate changes one value somewhere below v.
func mutate(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || rapid.IntRange(0, 5).Draw(t, "here") == 0 {
			break
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "member")
		switch rapid.IntRange(0, 9).Draw(t, "how") {
		case 0:
			delete(v, name)
		case 1:
			v[strings.ToUpper(name[:min(1, len(name))])+name[min(1, len(name)):]] = v[name]
		case 2:
			v[name] = other(t)
		default:
			v[name] = mutate(t, v[name])
		}
		return v
	case []any:
		if len(v) == 0 {
			break
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "element")
		switch rapid.IntRange(0, 6).Draw(t, "how") {
		case 0:
			return append(v[:i:i], v[i+1:]...)
		case 1: // many of one
			for range rapid.SampledFrom([]int{1, 11, 12, 49, 50, 499, 500}).Draw(t, "copies") {
				v = append(v, v[i])
			}
		default:
			v[i] = mutate(t, v[i])
		}
		return v
	case string:
		if rapid.Bool().Draw(t, "still a text") {
			return someText(t)
		}
	case json.Number:
		if rapid.Bool().Draw(t, "still a number") {
			return someNumber(t)
		}
	}
	return other(t)
}

func other(t *rapid.T) any {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2, 3:
		return someNumber(t)
	case 4:
		return rapid.SampledFrom([]any{[]any{}, []any{nil}, []any{"a"}, map[string]any{}, map[string]any{"text": "a"}}).
			Draw(t, "compound")
	}
	return someText(t)
}

// someNumber is near a limit, or written in an unusual way.
func someNumber(t *rapid.T) json.Number {
	if rapid.IntRange(0, 3).Draw(t, "odd") == 0 {
		return json.Number(rapid.SampledFrom([]string{
			"1.0", "1e2", "1.5", "-0", "-0.0", "0.1e1", "1e-1", "100e-2", "1e15", "1e400", "-1e400", "1e-400", "5e-324",
			"9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
			"1.7976931348623157e308", "1.7976931348623159e308", "123456789012345678901234567890", "1e999999999", "1e-999999999",
		}).Draw(t, "literal"))
	}
	limit := rapid.SampledFrom([]int64{
		0, 1, 100, 500, wire.TimeLimitMsMin, wire.TimeLimitMsMax, wire.PointsMax, wire.SlowMsMax, wire.DurationMsMax,
		wire.ProgressTotalMax, wire.SeqMax,
	}).Draw(t, "limit")
	return json.Number(fmt.Sprint(limit + rapid.Int64Range(-2, 2).Draw(t, "off by")))
}

// someText has a length near a limit, of characters of one to four bytes and of several kinds.
func someText(t *rapid.T) string {
	switch rapid.IntRange(0, 3).Draw(t, "kind of text") {
	case 0:
		return rapid.SampledFrom([]string{
			"", " ", "\t\n", "\x00", "\x7f", "\u0085", "\u00a0", "\u2028", "\u3000", "\ufeff", "\u200b", "quiz:x", "quiz",
			"quizzes",
			"a:b", ":a", "A", "0", "1", "01", "500", "501", "-1", "1.0", "none", "admin", "page", "kahoot", "Poll", "p-o l/l_",
			"NUMERIC", "ſhorttext", "checKbox", "chat:send", "true_false", "en-GB", "ä", "a\x1b[0m", "x\ny",
		}).Draw(t, "word")
	case 1:
		return rapid.String().Draw(t, "text")
	}
	length := rapid.SampledFrom([]int{1, 16, 35, 40, 64, 128, 200, 500, 2000, 4000, 4094, 8192, 65534}).Draw(t, "length")
	length += rapid.IntRange(-1, 1).Draw(t, "off by")
	unit := rapid.SampledFrom([]string{"a", "ä", "😀", " ", "7"}).Draw(t, "unit")
	return strings.Repeat(unit, length)
}

// FuzzSameVerdict does the same with any text.
func FuzzSameVerdict(f *testing.F) {
	r := loadReference(f)
	for _, text := range seeds {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"\u0069d":1.0,"op":"\u0063hat:send","data":{"te\u0078t":"\ud83d\ude00"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !native.Valid(text) || hasTwins(text) {
			verdict(text)
			return
		}
		if wrong := compare(r, text); wrong != "" {
			t.Fatalf("%s\n%s", text, wrong)
		}
	})
}
