package sio

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func show(p Packet) string {
	s := fmt.Sprintf("%v %s", p.Type, p.Namespace)
	if p.ID != NoID {
		s += fmt.Sprintf(" #%d", p.ID)
	}
	if p.Data != nil {
		s += " " + string(p.Data)
	}
	for _, a := range p.Attachments {
		s += fmt.Sprintf(" %x", a)
	}
	return s
}

func placeholder(n int) string { return fmt.Sprintf(`{"_placeholder":true,"num":%d}`, n) }

// read gives a decoder a text and then attachments.
func read(text string, attachments ...string) (string, error) {
	d := Decoder{Limits: DefaultLimits}
	p, ok, err := d.Text([]byte(text))
	for _, a := range attachments {
		if err != nil {
			break
		}
		p, ok, err = d.Binary([]byte(a))
	}
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "waits", nil
	}
	return show(p), nil
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"0":                            "connect /",
		`0{"token":"x"}`:               `connect / {"token":"x"}`,
		`0/,{"a":1}`:                   `connect / {"a":1}`,
		"0/admin":                      "connect /admin",
		"0/admin,":                     "connect /admin",
		`0/admin?x=1,{"a":1}`:          `connect /admin?x=1 {"a":1}`,
		"1":                            "disconnect /",
		"1/admin,":                     "disconnect /admin",
		`2["hello",1]`:                 `event / ["hello",1]`,
		`212["hello"]`:                 `event / #12 ["hello"]`,
		`2/a,0["hello"]`:               `event /a #0 ["hello"]`,
		`2[1,2]`:                       "event / [1,2]",
		`2["__proto__",{"a":[null]}]`:  `event / ["__proto__",{"a":[null]}]`,
		`2["a",{"_placeholder":true}]`: `event / ["a",{"_placeholder":true}]`,
		"3/a,456[]":                    "ack /a #456 []",
		`4{"message":"no"}`:            `connect_error / {"message":"no"}`,
		`4/a,"no"`:                     `connect_error /a "no"`,
		`50-["a"]`:                     `binary_event / ["a"]`,
		`2 ["a"]`:                      "",
		`29007199254740992["a"]`:       `event / #9007199254740992 ["a"]`,
	} {
		got, err := read(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestAttachments(t *testing.T) {
	for _, c := range []struct {
		text, want  string
		attachments []string
	}{
		{`51-["a",` + placeholder(0) + `]`, `binary_event / ["a",` + placeholder(0) + `] 010203`, []string{"\x01\x02\x03"}},
		{`52-/n,7["a",{"x":[` + placeholder(1) + `]},` + placeholder(0) + `]`, `binary_event /n #7 ["a",{"x":[` +
			placeholder(1) + `]},` + placeholder(0) + `] 61 `, []string{"a", ""}},
		{`61-3[` + placeholder(0) + `]`, `binary_ack / #3 [` + placeholder(0) + `] 00`, []string{"\x00"}},
		{`52-["a",` + placeholder(0) + `]`, "waits", []string{"a"}},
		{`51-["a"]`, `binary_event / ["a"] 61`, []string{"a"}}, // sent, but not used
	} {
		if got, err := read(c.text, c.attachments...); got != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

func TestBadText(t *testing.T) {
	deep := strings.Repeat("[", DepthMax+1) + strings.Repeat("]", DepthMax+1)
	for want, texts := range map[error][]string{
		ErrType: {
			"", "7", "x", "\x00", "abc",
		},
		ErrPayload: {
			"2", `2["a"`, `2["a"]x`, "2{}", "2[]", "2[null]", `2[{"a":1}]`, `2["disconnect"]`, `2["connect"]`,
			`2["connect_error"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`,
			`2["d\u0069sconnect"]`, `2["a",01]`, `2["a",]`, `2["a",{"b":1,}]`, `2["\ud800"]`, "2[\"\xff\"]",
			"2" + deep, `2["a",{,}]`, `2["a",{"b"}]`, "0[]", `0"x"`, "0null", "1{}", `1"x"`, "3[]", "31{}",
			"31", "4", "4[]", "4/a,",
		},
		ErrID: {
			"01", "03{}", "11", "29007199254740993[\"a\"]", "2" + strings.Repeat("9", 400) + `["a"]`,
		},
		ErrAttachments: {
			"5", `5["a"]`, `5-["a"]`, `5x-["a"]`, `51["a"]`, `511-["a"]`, `5-1-["a"]`, `51.5-["a"]`,
			`5999999999999999999999-["a"]`, `51-["a",` + placeholder(1) + `]`,
			`50-["a",` + placeholder(0) + `]`, `51-["a",{"_placeholder":true,"num":"0"}]`,
			`51-["a",{"_placeholder":true,"num":-1}]`, `51-["a",{"_placeholder":true,"num":0.5}]`,
			`51-["a",{"_placeholder":true,"num":"splice"}]`, `51-["a",{"_placeholder":true}]`,
			`51-["a",{"_placeholder":true,"num":1e0}]`,
		},
		ErrNamespace: {
			"0/" + strings.Repeat("n", 256), "2/a\nb,[\"x\"]", `0/"`, `2/a["x"]`,
		},
	} {
		for _, text := range texts {
			if got, err := read(text); !errors.Is(err, want) {
				t.Errorf("%.60q: %q, %v; want %v", text, got, err, want)
			}
		}
	}
}

func TestOrder(t *testing.T) {
	d := Decoder{Limits: DefaultLimits}
	if _, _, err := d.Binary([]byte("x")); !errors.Is(err, ErrOrder) {
		t.Errorf("bytes that belong to nothing: %v", err)
	}
	d = Decoder{Limits: DefaultLimits}
	if _, ok, err := d.Text([]byte(`51-["a"]`)); ok || err != nil || !d.Waiting() {
		t.Fatalf("%v %v", ok, err)
	}
	if _, _, err := d.Text([]byte(`2["b"]`)); !errors.Is(err, ErrOrder) {
		t.Errorf("text before the attachment: %v", err)
	}
	d = Decoder{Limits: Limits{NamespaceBytesMax: 10, AttachmentsMax: 2, AttachmentBytesMax: 5}}
	_, _, _ = d.Text([]byte(`52-["a"]`))
	if _, _, err := d.Binary([]byte("abc")); err != nil {
		t.Errorf("under the limit: %v", err)
	}
	if _, _, err := d.Binary([]byte("abc")); !errors.Is(err, ErrAttachments) {
		t.Errorf("over the limit of all attachments: %v", err)
	}
}

func TestBorrowedBytesAreNotKept(t *testing.T) {
	d := Decoder{Limits: DefaultLimits}
	text, one := []byte(`51-/ns,["a",`+placeholder(0)+`]`), []byte("abc")
	_, _, _ = d.Text(text)
	clear(text)
	p, ok, err := d.Binary(one)
	clear(one)
	if want := `binary_event /ns ["a",` + placeholder(0) + `] 616263`; !ok || err != nil || show(p) != want {
		t.Errorf("%s, %v", show(p), err)
	}
}

func TestAppend(t *testing.T) {
	for _, text := range []string{
		"0", `0/admin,{"sid":"x"}`, "1", "1/admin,", `2["a",1]`, `2/n,12["a"]`, "3/n,4[]", `4{"message":"x"}`,
		`51-["a",` + placeholder(0) + `]`, `61-/n,3[` + placeholder(0) + `]`,
	} {
		d := Decoder{Limits: DefaultLimits}
		p, ok, err := d.Text([]byte(text))
		if !ok {
			p, _, err = d.Binary([]byte("x"))
		}
		if got := string(Append(nil, &p)); err != nil || got != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	p := Packet{Type: Ack, Namespace: Main, ID: 5, Data: []byte(`[` + placeholder(0) + `]`), Attachments: [][]byte{{1}}}
	if got := string(Append(nil, &p)); got != `61-5[`+placeholder(0)+`]` {
		t.Errorf("an ack with bytes: %s", got)
	}
	if got := string(AppendConnected(nil, "/n", "s", "")); got != `0/n,{"sid":"s"}` {
		t.Error(got)
	}
	if got := string(AppendConnected(nil, Main, "s", "p")); got != `0{"sid":"s","pid":"p"}` {
		t.Error(got)
	}
}

func TestArgs(t *testing.T) {
	for data, want := range map[string]string{
		`[]`: "", `[ ]`: "", `["a"]`: `"a"`, ` []`: "", `["a" , {"b":[1, 2]} ,3 ]`: `"a"|{"b":[1, 2]}|3`,
		`["a,b","\"c"]`: `"a,b"|"\"c"`,
	} {
		if got := string(bytes.Join(Args(nil, []byte(data)), []byte("|"))); got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
	for data, want := range map[string]string{
		`{}`: "", `[]`: "", `{ "a" : {"room":"x"} , "room" : "r1" }`: `"r1"`, `{"room":1,"room":"r2"}`: `"r2"`,
		`{"rooms":1}`: "",
	} {
		if got := string(Member([]byte(data), "room")); got != want {
			t.Errorf("the room of %s is %s, want %s", data, got, want)
		}
	}
	for arg, want := range map[string]string{`"a:b"`: "a:b", `"a\u0062"`: "", `1`: "", `""`: ""} {
		if got, _ := Name([]byte(arg)); string(got) != want {
			t.Errorf("%s: %s", arg, got)
		}
	}
}

func TestMsgpackThereAndBack(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, p := range []Packet{
		{Type: Connect, Namespace: Main, ID: NoID},
		{Type: Connect, Namespace: "/admin", ID: NoID, Data: []byte(`{"token":"é"}`)},
		{Type: Disconnect, Namespace: Main, ID: NoID},
		{Type: Event, Namespace: Main, ID: 7, Data: []byte(
			`["a",0,127,128,255,256,65535,65536,4294967295,4294967296,9007199254740992,-1,-32,-33,-128,-129,-32769,` +
				`-2147483649,1.5,-0.25,1e+300,true,false,null,"",{"b":[{}]},[],"` + strings.Repeat("y", 40) + `"]`,
		)},
		{Type: Event, Namespace: Main, ID: NoID, Data: []byte(`["` + long + `",["` + strings.Repeat(`a","`, 20) + `"]]`)},
		{Type: Event, Namespace: Main, ID: NoID, Data: []byte(`["a",[` + strings.Repeat("1,", 70_000) + `1]]`)},
		{
			Type: BinaryEvent, Namespace: Main, ID: NoID,
			Data:        []byte(`["a",` + placeholder(0) + `,{"x":` + placeholder(1) + `,"y":1}]`),
			Attachments: [][]byte{{1, 2}, bytes.Repeat([]byte("z"), 300)},
		},
		{Type: BinaryAck, Namespace: "/n", ID: 1, Data: []byte(`[` + placeholder(0) + `]`), Attachments: [][]byte{{}}},
		{Type: ConnectError, Namespace: Main, ID: NoID, Data: []byte(`{"message":"x"}`)},
	} {
		packed, err := AppendMsgpack(nil, &p)
		if err != nil {
			t.Errorf("%.100s: %v", show(p), err)
			continue
		}
		d := Decoder{Limits: DefaultLimits}
		got, err := d.Msgpack(packed)
		if err != nil || show(got) != show(p) {
			t.Errorf("%.200s became %.200s, %v", show(p), show(got), err)
		}
	}
}

// What JSON can say and float64 can't is infinite, as JavaScript reads it; the packet is not lost.
func TestMsgpackOfHugeNumbers(t *testing.T) {
	for number, want := range map[string]float64{"1e999": math.Inf(1), "-1e999": math.Inf(-1), "1e-999": 0} {
		b, err := AppendMsgpack(nil, &Packet{Type: Event, Namespace: Main, ID: NoID, Data: []byte(`["e",` + number + `]`)})
		if err != nil || !bytes.HasSuffix(b, binary.BigEndian.AppendUint64([]byte{packFloat64}, math.Float64bits(want))) {
			t.Errorf("%s became %x, %v", number, b, err)
		}
	}
}

func TestBadMsgpack(t *testing.T) {
	str := func(s string) string { return string(packStr(nil, s)) }
	packet := func(typ byte, more string, members byte) string {
		return string([]byte{0x80 | members}) + str("type") + string([]byte{typ}) + str("nsp") + str("/") + more
	}
	d := Decoder{Limits: Limits{NamespaceBytesMax: 20, AttachmentsMax: 1, AttachmentBytesMax: 3}}
	ok, err := d.Msgpack([]byte(packet(0, str("options")+"\x81"+str("compress")+"\xc3", 3)))
	if err != nil || ok.Type != Connect {
		t.Errorf("options: %v, %v", show(ok), err)
	}
	undefined := "\xd4\x00\x00"
	data := "\x93" + str("a") + undefined + "\x82" + str("b") + undefined + str("c") + "\x01"
	ok, err = d.Msgpack([]byte(packet(2, str("data")+data, 3)))
	if err != nil || string(ok.Data) != `["a",null,{"c":1}]` {
		t.Errorf("undefined: %s, %v", ok.Data, err)
	}
	second, oldSecond := "\xd6\xff\x00\x00\x00\x01", "\xd7\x00\x00\x00\x00\x00\x00\x00\x03\xe8"
	ok, err = d.Msgpack([]byte(packet(2, str("data")+"\x93"+str("a")+second+oldSecond, 3)))
	if err != nil || string(ok.Data) != `["a","1970-01-01T00:00:01.000Z","1970-01-01T00:00:01.000Z"]` {
		t.Errorf("times: %s, %v", ok.Data, err)
	}
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"empty": {"", ErrMsgpack}, "no map": {"\x01", ErrMsgpack}, "cut": {packet(0, "", 3), ErrMsgpack},
		"trailing": {packet(0, "", 2) + "\x01", ErrMsgpack}, "no type": {"\x81" + str("nsp") + str("/"), ErrMsgpack},
		"no namespace": {"\x81" + str("type") + "\x00", ErrMsgpack}, "type": {packet(5, "", 2), ErrMsgpack},
		"huge array":   {packet(2, str("data")+"\xdd\xff\xff\xff\xff", 3), ErrMsgpack},
		"huge map":     {packet(2, str("data")+"\xdf\xff\xff\xff\xff", 3), ErrMsgpack},
		"huge string":  {packet(2, str("data")+"\xdb\xff\xff\xff\xff", 3), ErrMsgpack},
		"deep":         {packet(2, str("data")+strings.Repeat("\x91", 60)+"\x00", 3), ErrMsgpack},
		"bad text":     {packet(2, str("data")+"\x91"+str("\xff"), 3), ErrMsgpack},
		"key":          {packet(2, str("data")+"\x92"+str("a")+"\x81\x01\x01", 3), ErrMsgpack},
		"extension":    {packet(2, str("data")+"\x92"+str("a")+"\xd4\x05\x00", 3), ErrMsgpack},
		"negative id":  {packet(2, str("data")+"\x91"+str("a")+str("id")+"\xff", 4), ErrMsgpack},
		"fraction id":  {packet(2, str("data")+"\x91"+str("a")+str("id")+"\xca\x3f\x00\x00\x00", 4), ErrMsgpack},
		"id":           {packet(0, str("id")+"\x01", 3), ErrID},
		"namespace":    {"\x82" + str("type") + "\x00" + str("nsp") + str("x"), ErrNamespace},
		"two spaces":   {"\x82" + str("type") + "\x00" + str("nsp") + str("/a,/b"), ErrNamespace},
		"long space":   {"\x82" + str("type") + "\x00" + str("nsp") + str("/"+strings.Repeat("a", 20)), ErrNamespace},
		"no name":      {packet(2, str("data")+"\x90", 3), ErrPayload},
		"reserved":     {packet(2, str("data")+"\x91"+str("disconnect"), 3), ErrPayload},
		"no data":      {packet(2, "", 2), ErrPayload},
		"auth":         {packet(0, str("data")+"\x90", 3), ErrPayload},
		"bytes":        {packet(0, str("data")+"\x81"+str("a")+"\xc4\x01x", 3), ErrPayload},
		"many bytes":   {packet(2, str("data")+"\x93"+str("a")+"\xc4\x01x\xc4\x01x", 3), ErrAttachments},
		"large bytes":  {packet(2, str("data")+"\x92"+str("a")+"\xc4\x04xxxx", 3), ErrAttachments},
		"placeholder":  {packet(2, str("data")+"\x92"+str("a")+"\x81"+str("_placeholder")+"\xc3", 3), ErrMsgpack},
		"reserved nil": {packet(2, str("data")+"\x91\xc0", 3), ErrPayload},
	} {
		if got, err := d.Msgpack([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: %s, %v; want %v", name, show(got), err, c.want)
		}
	}
}

// FuzzText feeds a stream of messages, and checks that what is accepted can be written and read again.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		`0/a,{"x":1}`, `2["a",1]`, `212["a",{"b":null}]`, `51-["a",` + placeholder(0) + `]`, `3/n,1[]`, "1", `61-3[]`,
		`4{"message":""}`, `2["d\u0069sconnect"]`, `52-/n,7["a"]`,
	} {
		f.Add([]byte(s), []byte("bytes"))
	}
	f.Fuzz(func(t *testing.T, text, attachment []byte) {
		d := Decoder{Limits: DefaultLimits}
		p, ok, err := d.Text(bytes.Clone(text))
		for n := 0; err == nil && !ok; n++ {
			if n > DefaultLimits.AttachmentsMax {
				t.Fatal("it waits for ever")
			}
			p, ok, err = d.Binary(attachment)
		}
		if err != nil {
			return
		}
		if p.Data != nil && !json.Valid(p.Data) {
			t.Fatalf("%q was accepted", p.Data)
		}
		again := Append(nil, &p)
		second := Decoder{Limits: DefaultLimits}
		q, ok, err := second.Text(again)
		for range p.Attachments {
			q, ok, err = second.Binary(attachment)
		}
		if err != nil || !ok || show(p) != show(q) && p.Type == q.Type {
			t.Fatalf("%q became %q: %s, %s, %v", text, again, show(p), show(q), err)
		}
		if len(Args(nil, p.Data)) > len(p.Data) {
			t.Fatal("more arguments than bytes")
		}
		if _, err := AppendMsgpack(nil, &p); err != nil && !bytes.ContainsAny(p.Data, "eE") { // 1e999 is no number
			t.Fatalf("%q can't be packed: %v", p.Data, err)
		}
	})
}

// FuzzMsgpack checks that hostile lengths cost nothing and that what is accepted is a good packet.
func FuzzMsgpack(f *testing.F) {
	for _, p := range []Packet{
		{Type: Connect, Namespace: Main, ID: NoID, Data: []byte(`{"a":"b"}`)},
		{Type: Event, Namespace: "/n", ID: 3, Data: []byte(`["a",1.5,-3,null,[true],{"b":"c"}]`)},
		{Type: BinaryAck, Namespace: Main, ID: 1, Data: []byte(`[` + placeholder(0) + `]`), Attachments: [][]byte{{1}}},
	} {
		packed, _ := AppendMsgpack(nil, &p)
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := Decoder{Limits: DefaultLimits}
		p, err := d.Msgpack(in)
		if err != nil {
			return
		}
		if p.Data != nil && !json.Valid(p.Data) {
			t.Fatalf("%q was accepted", p.Data)
		}
		packed, err := AppendMsgpack(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := d.Msgpack(packed)
		if err != nil || show(p) != show(q) {
			t.Fatalf("%s became %s, %v", show(p), show(q), err)
		}
		text := Append(nil, &p)
		again, ok, err := d.Text(text)
		for i := 0; err == nil && !ok; i++ {
			again, ok, err = d.Binary(p.Attachments[i])
		}
		if err != nil || show(again) != show(p) {
			t.Fatalf("as text %q: %s, %v", text, show(again), err)
		}
	})
}

func BenchmarkText(b *testing.B) {
	b.ReportAllocs()
	d, in := Decoder{Limits: DefaultLimits}, []byte(`212["quiz:answer",{"question":3,"answer":"2","key":"k-123456"}]`)
	for b.Loop() {
		if _, ok, err := d.Text(in); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
