package native

import (
	"strings"
	"testing"

	"lectern/protocol/wire"
)

func TestBodiesOfOtherEnvelopes(t *testing.T) {
	deep := strings.Repeat("[", DepthMax+1) + strings.Repeat("]", DepthMax+1)
	for _, tt := range []struct {
		in, data, room string
		fail           wire.Code
	}{
		{"", "", "", ""},
		{" \n", "", "", ""},
		{" null ", "", "", ""},
		{` {"a":1} `, `{"a":1}`, "", ""},
		{`{}`, `{}`, "", ""},
		{`"id"`, `"id"`, "", ""},
		{`{"room":"r1","a":{"room":"x"}}`, `{"room":"r1","a":{"room":"x"}}`, "r1", ""},
		{`{"room":"r\u0031"}`, `{"room":"r\u0031"}`, "r1", ""},
		{`{"room":null}`, `{"room":null}`, "", ""},
		{`{"room":"a b"}`, "", "", wire.CodeBadMessage},
		{`{"room":7}`, "", "", wire.CodeBadMessage},
		{`{"room":"a","room":"b"}`, "", "", wire.CodeBadMessage},
		{`{"a":1`, "", "", wire.CodeBadJSON},
		{`{"a":1,}`, "", "", wire.CodeBadJSON},
		{`{"a":1} {}`, "", "", wire.CodeBadJSON},
		{`nul`, "", "", wire.CodeBadJSON},
		{"{\"a\":\"\xff\"}", "", "", wire.CodeBadJSON},
		{deep, "", "", wire.CodeBadJSON},
		{`{"a":` + deep[1:len(deep)-1] + `}`, "", "", wire.CodeBadJSON},
	} {
		data, room, fail := Body([]byte(tt.in))
		code := wire.Code("")
		if fail != nil {
			code = fail.Code
		}
		if string(data) != tt.data || room != tt.room || code != tt.fail {
			t.Errorf("%q gives %q, room %q, %v", tt.in, data, room, fail)
		}
	}
}

// What Body lets through is what Valid lets through.
func FuzzBody(f *testing.F) {
	for _, in := range []string{`{"room":"r","a":[1,{}]}`, ` "x" `, "[", `{"room":"r","room":1}`, "null", ""} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		data, _, fail := Body(in)
		switch {
		case fail != nil && fail.Code == wire.CodeBadJSON && Valid(in):
			t.Errorf("%q is refused: %v", in, fail)
		case fail == nil && len(data) > 0 && !Valid(in):
			t.Errorf("%q is let through", in)
		case fail == nil && data != nil && !Valid(data):
			t.Errorf("%q gives %q", in, data)
		}
	})
}
