package quiz

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

var (
	someTexts = rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9 _.:,{}-]{0,12}`), rapid.String(),
		rapid.SampledFrom([]string{`"`, `\`, `<b>`, `a&b`, "\u2028", "\x7f", "tab\t", "é", `,"key":"`}))
	someAnswers = rapid.OneOf(
		rapid.SampledFrom([]string{
			`0`, `12`, `[0,2]`, `true`, `3.5`, `-1e+06`, `"word"`, `"two words"`, `[ 0 ]`, `""`, `{"a":1}`,
		}),
		rapid.Map(rapid.String(), func(s string) string { b, _ := json.Marshal(s); return string(b) }),
	)
)

// TestPlainFactsAreOrdinaryJSON compares the quick way with encoding/json, in both directions.
func TestPlainFactsAreOrdinaryJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &Answered{
			N: rapid.IntRange(-1, 200).Draw(t, "n"), User: someTexts.Draw(t, "user"),
			Answer: json.RawMessage(someAnswers.Draw(t, "answer")), Key: someTexts.Draw(t, "key"),
			ElapsedMs: rapid.Int64().Draw(t, "elapsed"), Receipt: someTexts.Draw(t, "receipt"),
		}
		j := &Joined{User: someTexts.Draw(t, "user"), Name: someTexts.Draw(t, "name")}
		compare(t, FactAnswered, a, a.AppendJSON)
		compare(t, FactJoined, j, j.AppendJSON)
	})
}

func compare(t *rapid.T, kind string, fact any, appendJSON func([]byte) ([]byte, bool)) {
	want, err := json.Marshal(fact)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := appendJSON([]byte("before"))
	if !ok {
		if string(got) != "before" {
			t.Fatalf("refused and yet appended %s", got)
		}
	} else if !bytes.Equal(got[len("before"):], want) {
		t.Fatalf("got %s, want %s", got, want)
	}
	slow := newFact(kind)
	if err := json.Unmarshal(want, slow); err != nil {
		t.Fatal(err)
	}
	if quick := plainFact(kind, want); quick != nil && !reflect.DeepEqual(quick, slow) {
		t.Fatalf("%s is read as %+v, and slowly as %+v", want, quick, slow)
	}
}

func TestPlainFactsAreTaken(t *testing.T) {
	a := &Answered{
		N: 3, User: "u1", Answer: json.RawMessage(`[0,2]`), Key: "k 1", ElapsedMs: 1234, Receipt: "ABCDEFGHIJKLMNOP",
	}
	data, ok := a.AppendJSON(nil)
	if !ok || !reflect.DeepEqual(plainFact(FactAnswered, data), a) {
		t.Fatalf("%s, %v", data, ok)
	}
	j := &Joined{User: "u1", Name: "Ada L."}
	if data, ok = j.AppendJSON(nil); !ok || !reflect.DeepEqual(plainFact(FactJoined, data), j) {
		t.Fatalf("%s, %v", data, ok)
	}
}

// FuzzPlainFact: whatever the quick reader takes, the strict one takes as the same.
func FuzzPlainFact(f *testing.F) {
	f.Add(true, []byte(`{"n":1,"user":"u","answer":0,"key":"k","elapsedMs":5,"receipt":"ABCDEFGHIJKLMNOP"}`))
	f.Add(true, []byte(`{"n":01,"user":"u","answer":"x","key":"k","elapsedMs":5,"receipt":""}`))
	f.Add(false, []byte(`{"user":"u","name":"n"}`))
	f.Fuzz(func(t *testing.T, answered bool, data []byte) {
		kind := FactJoined
		if answered {
			kind = FactAnswered
		}
		quick := plainFact(kind, data)
		if quick == nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		slow := newFact(kind)
		if err := d.Decode(slow); err != nil || !reflect.DeepEqual(quick, slow) {
			t.Fatalf("%q: %+v, slowly %+v, %v", data, quick, slow, err)
		}
	})
}
