package client

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
	"unicode/utf8"
)

func TestScannerReadsObjectsAndBatches(t *testing.T) {
	payload := []byte(` [ {"re":7,"ok":true,"data":{"re":9,"x":"}\"]"}} , ` + `
		{"ev":"a\u003ab","room":"r","seq":17,"ts":1764000000000,"data":[1,{"ev":"no"}]} ] `)
	var s Scanner
	var f Fields
	s.Reset(payload)
	if !s.Next(&f) || f.Re != 7 || !f.OK || string(f.Data) != `{"re":9,"x":"}\"]"}` || f.Ev != nil {
		t.Fatalf("first message: %+v, %v", f, s.Err())
	}
	if !s.Next(&f) || string(f.Ev) != "a:b" || f.Seq != 17 || f.TS != 1764000000000 || string(f.Room) != "r" || f.Re != 0 {
		t.Fatalf("second message: %+v, %v", f, s.Err())
	}
	if s.Next(&f) || s.Err() != nil {
		t.Fatalf("after the last message: %v", s.Err())
	}
	for _, bad := range []string{
		``, `7`, `[1]`, `{"a":1} x`, `{"a" 1}`, `[{"a":1}{}]`, `{"a":"`, `{"a":{`, `{"a":}`, `[{},`,
	} {
		s.Reset([]byte(bad))
		for s.Next(&f) {
		}
		if s.Err() == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	if string(StringMember([]byte(`{"a":{"k":"no"}, "k" : "y\"es", "n": 12}`), "k")) != `y"es` {
		t.Error("StringMember")
	}
	if UintMember([]byte(`{"a":{"n":3}, "n": 12}`), "n") != 12 {
		t.Error("UintMember")
	}
}

// FuzzScanner holds the scanner against encoding/json on everything that is valid, and for safety on everything else.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`{"re":1,"ok":true}`, `[{"ev":"x","seq":1},{"ev":"y"}]`, `{"e\u0076":"\\","data":{"a":"\\\""}}`, `{}`, `[]`,
		`{"re":1,"re":"x"}`, `{"data":[[],{},"]",null,1e5,-2]}`, `{"seq":18446744073709551616}`, ` { "ts" : 5 } `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var s Scanner
		var got []Fields
		var one Fields
		for s.Reset(payload); s.Next(&one); {
			got = append(got, one)
		}
		if !json.Valid(payload) || !utf8.Valid(payload) {
			return
		}
		var want []map[string]json.RawMessage
		if json.Unmarshal(payload, &want) != nil {
			var object map[string]json.RawMessage
			if json.Unmarshal(payload, &object) != nil {
				return
			}
			want = append(want, object)
		}
		for _, object := range want {
			if object == nil { // null decodes into a nil map, and is no message
				return
			}
		}
		if bytes.TrimSpace(payload)[0] == 'n' {
			return
		}
		if s.Err() != nil || len(got) != len(want) {
			t.Fatalf("%q: %d messages and %v, want %d", payload, len(got), s.Err(), len(want))
		}
		for i, object := range want {
			compare(t, payload, &got[i], object)
		}
	})
}

func compare(t *testing.T, payload []byte, got *Fields, want map[string]json.RawMessage) {
	t.Helper()
	text := func(name string) string {
		var s *string
		if json.Unmarshal(want[name], &s) != nil || s == nil {
			return ""
		}
		return *s
	}
	number := func(name string) uint64 {
		raw := string(want[name])
		n, err := strconv.ParseUint(raw, 10, 64)
		if err != nil || len(raw) > 19 || raw[0] == '+' {
			return 0
		}
		return n
	}
	switch {
	case string(got.Ev) != text("ev"), string(got.Room) != text("room"):
		t.Fatalf("%q: ev %q room %q", payload, got.Ev, got.Room)
	case got.Re != number("re"), got.Seq != number("seq"):
		t.Fatalf("%q: re %d seq %d", payload, got.Re, got.Seq)
	case got.OK != (string(want["ok"]) == "true"):
		t.Fatalf("%q: ok %v", payload, got.OK)
	case !bytes.Equal(got.Data, want["data"]), !bytes.Equal(got.Error, want["error"]):
		t.Fatalf("%q: data %q error %q", payload, got.Data, got.Error)
	case !bytes.Equal(Member(payload, "data"), want["data"]) && bytes.TrimSpace(payload)[0] == '{':
		t.Fatalf("%q: Member gives %q", payload, Member(payload, "data"))
	}
}

func TestTimersComeInOrder(t *testing.T) {
	var h timerHeap
	rng := uint64(7)
	for range 500 {
		rng = rng*6364136223846793005 + 1442695040888963407
		h.push(timer{at: int64(rng >> 50)})
	}
	last := int64(-1)
	for len(h) > 0 {
		if t1 := h.pop(); t1.at < last {
			t.Fatalf("%d after %d", t1.at, last)
		} else {
			last = t1.at
		}
	}
}

func TestAcceptIsThatOfTheRFC(t *testing.T) {
	// RFC 6455 section 1.3.
	if got := acceptFor("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatal(got)
	}
}
