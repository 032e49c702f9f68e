package sio

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
)

// TestJSONCorpus runs the JSON test suite: as an event's argument, what must be refused is refused and what must be
// accepted is accepted, save for nesting beyond our limit; and what is accepted goes through MessagePack unharmed.
func TestJSONCorpus(t *testing.T) {
	file, err := os.Open("../../../shared/data/json/jsontestsuite.jsonl")
	if err != nil {
		t.Skip("the JSON test suite is not here: ", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
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
		d := Decoder{Limits: DefaultLimits}
		p, ok, err := d.Text([]byte(`2["m",` + string(value) + `]`))
		if ok != (c.Expect == "accept") && c.Expect != "either" {
			t.Errorf("%s: accepted is %v (%v), want %s", c.Name, ok, err, c.Expect)
		}
		if !ok {
			continue
		}
		if !json.Valid(value) {
			t.Errorf("%s: accepted, though encoding/json refuses it", c.Name)
		}
		packed, err := AppendMsgpack(nil, &p)
		if err != nil {
			if c.Expect == "accept" {
				t.Errorf("%s can't be packed: %v", c.Name, err)
			}
			continue
		}
		if _, err := d.Msgpack(packed); err != nil {
			t.Errorf("%s can't be unpacked: %v", c.Name, err)
		}
	}
	if n == 0 {
		t.Error("the JSON test suite is empty")
	}
	t.Logf("%d cases", n)
}
