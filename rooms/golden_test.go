package rooms

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/game.jsonl and testdata/game.result.json anew")

// goldenRecord is a Record as testdata has it.
type goldenRecord struct {
	Index uint64          `json:"index"`
	Kind  string          `json:"kind"`
	At    int64           `json:"at"`
	Data  json.RawMessage `json:"data"`
}

// goldenResult is what a replay of testdata/game.jsonl must come to.
type goldenResult struct {
	Epoch  string          `json:"epoch"`
	Seq    uint64          `json:"seq"`
	Table  any             `json:"table"`
	Events []effect.Output `json:"events"`
}

// TestGoldenReplay replays recorded games. It guards the records of games that were played with earlier versions: when
// it fails, make DecodeFact accept the old form; don't rewrite the files.
func TestGoldenReplay(t *testing.T) {
	t.Run("game", func(t *testing.T) { goldenReplay(t, "game", playGame, 20) })
	t.Run("regraded", func(t *testing.T) { goldenReplay(t, "regraded", playRegraded, 9) })
}

// playRegraded plays a game with signed receipts, regrades and hosts who are named, and closes it.
func playRegraded(_ testing.TB, w *world) {
	w.shard.cfg.IdleUnloadMs = 1000
	w.rooms.Quiz.ReceiptKey = func() string { return "kid-1" }
	w.playAndClose("g")
	w.do(regradeCmd("g", 1, "1"))
	void := cmd("g", wire.OpQuizRegrade, hostConn, &wire.RegradeData{Question: 2, Void: new(bool)}, as(wire.RoleHost))
	*void.Body.(*wire.RegradeData).Void = true
	w.do(void)
	w.do(regradeCmd("g", 1, "0", "1"))
}

func goldenReplay(t *testing.T, name string, play func(testing.TB, *world), kindsMin int) {
	records, result := filepath.Join("testdata", name+".jsonl"), filepath.Join("testdata", name+".result.json")
	if *rewrite {
		w := newWorld(t, ShardConfig{}, nil)
		play(t, w)
		var b bytes.Buffer
		for _, r := range w.journal.durable["g"] {
			line, err := json.Marshal(goldenRecord{r.Index, r.Kind, r.At, r.Data})
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(line, '\n'))
		}
		write(t, records, b.Bytes())
	}
	file, err := os.Open(records)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	j := newFakeJournal()
	kinds := make(map[string]bool)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var g goldenRecord
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		j.store([]Record{{Room: "g", Index: g.Index, Kind: g.Kind, At: g.At, Data: g.Data}})
		kinds[g.Kind] = true
	}
	room, err := Rebuild(j, "g", &Config{})
	if err != nil {
		t.Fatal(err)
	}
	got := goldenResult{Epoch: room.Epoch(), Seq: room.Seq(), Table: room.Quiz().Results()}
	room.ring.since(0, room.Seq(), func(o effect.Output) { got.Events = append(got.Events, o) })
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *rewrite {
		write(t, result, text)
	}
	want, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		at := 0
		for at < min(len(text), len(want)) && text[at] == want[at] {
			at++
		}
		t.Fatalf("the replay differs from %s at byte %d:\ngot  …%s", result, at, text[max(0, at-80):min(len(text), at+80)])
	}
	if len(kinds) < kindsMin {
		t.Fatalf("the game has only %d kinds of records", len(kinds))
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFactsRoundTrip decodes what EncodeFact made of the room's own facts, and refuses what it can't have made.
func TestFactsRoundTrip(t *testing.T) {
	payload := json.RawMessage(`{"x":[1]}`)
	for _, f := range []effect.Fact{
		{Kind: KindRoomCreated, At: 1, Data: &created{Epoch: "e", Owner: "o"}},
		{Kind: KindRoomClosed, At: 2, Data: &closed{}},
		{Kind: kindPublished, At: 3, Data: &published{Event: "a:b", Payload: payload, User: "u", Key: "k"}},
	} {
		rec, err := EncodeFact("r", 9, f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeFact(rec)
		if err != nil {
			t.Fatal(err)
		}
		again, err := EncodeFact("r", 9, back)
		if err != nil || !bytes.Equal(again.Data, rec.Data) || back.At != f.At || back.Kind != f.Kind {
			t.Fatalf("%s: %s, %v", f.Kind, again.Data, err)
		}
	}
	for _, rec := range []Record{
		{Kind: "room.unknown", Data: []byte(`{}`)},
		{Kind: "nobody.knows", Data: []byte(`{}`)},
		{Kind: "", Data: []byte(`{}`)},
		{Kind: KindRoomCreated, Data: []byte(`{"epoch":"e","more":1}`)},
		{Kind: KindRoomCreated, Data: []byte(`{"epoch":`)},
		{Kind: KindRoomCreated, Data: []byte(`{"epoch":"e"} {}`)},
		{Kind: kindPublished, Data: []byte(`[]`)},
	} {
		if f, err := DecodeFact(rec); err == nil {
			t.Errorf("%s %s was read as %+v", rec.Kind, rec.Data, f)
		}
	}
}

func TestReplayRefusesAGap(t *testing.T) {
	room := NewRoom("r", &Config{})
	rec := Record{Room: "r", Index: 2, Kind: KindRoomCreated, At: 1, Data: []byte(`{"epoch":"e"}`)}
	if err := room.Replay(rec, &effect.Effects{}); err == nil || room.Exists() {
		t.Fatal("a record is missing and nobody noticed")
	}
	rec.Index = 1
	if err := room.Replay(rec, &effect.Effects{}); err != nil || !room.Exists() {
		t.Fatal(err)
	}
	if room.Quiz().Phase() != wire.PhaseNone {
		t.Fatal("a quiz out of nowhere")
	}
}
