package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lectern/persist"
	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
)

func openSpool(t *testing.T, path string) *sqlite.Spool {
	t.Helper()
	s, err := sqlite.OpenSpool(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sameRecords(a, b []rooms.Record) bool {
	return slices.EqualFunc(a, b, func(a, b rooms.Record) bool {
		return a.Room == b.Room && a.Index == b.Index && persist.SameRecord(&a, &b)
	})
}

func TestSpoolKeepsOrderAndCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	ctx := t.Context()
	odd := rooms.Record{Room: "ö'\x00", Index: 1, Kind: "x", At: -5, Data: []byte{0, 255}}
	empty := rooms.Record{Room: "e", Index: 1 << 62, Kind: "x"}
	all := slices.Concat(storetest.Records("a", 7, 9), storetest.Records("b", 1, 2), []rooms.Record{odd, empty},
		storetest.Records("a", 10, 12))
	for i := range all {
		if err := s.Append(ctx, all[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqlite.OpenSpool(ctx, path); err == nil || !strings.Contains(err.Error(), "in use by another lectern") {
		t.Errorf("a second server may use it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, path)
	tails, records, bytes, err := s.Tails(ctx)
	if err != nil || records != int64(len(all)) || bytes != persist.SpoolBytes(all) ||
		tails["a"] != (sqlite.SpoolTail{First: 7, Last: 12}) || tails[odd.Room].First != 1 || len(tails) != 4 {
		t.Fatalf("%v, %d records, %d bytes, %v", tails, records, bytes, err)
	}
	first, upTo, err := s.Next(ctx, 4)
	if err != nil || !sameRecords(first, all[:4]) {
		t.Fatalf("%v, %v", first, err)
	}
	if err := s.Remove(ctx, upTo); err != nil {
		t.Fatal(err)
	}
	if rest, _, err := s.Next(ctx, 100); err != nil || !sameRecords(rest, all[4:]) {
		t.Fatalf("%v, %v", rest, err)
	}
	if n, err := s.Refuse(ctx, "a", "somebody else's"); err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := s.Refused(ctx); err != nil || n != 3 {
		t.Errorf("%d set aside, %v", n, err)
	}
	if left, err := s.Room(ctx, "a"); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	created, closed, err := s.Lives(ctx)
	if err != nil || len(created) != 0 || len(closed) != 0 { // that of b was removed
		t.Errorf("%v, %v, %v", created, closed, err)
	}
}

func TestSpoolReadsInPieces(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	big := storetest.Records("a", 1, 10)
	for i := range big {
		big[i].Data = []byte(strings.Repeat("x", 1<<20))
	}
	if err := s.Append(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	if recs, _, err := s.Next(t.Context(), 1000); err != nil || len(recs) < 2 || len(recs) > 5 {
		t.Errorf("%d records of 1 MiB at once, %v", len(recs), err)
	}
}

// TestSpoolTornTail: what was being written when the power went is not there; what was written before is, whole.
func TestSpoolTornTail(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, filepath.Join(dir, "spool.db"))
	for i := uint64(1); i <= 20; i++ {
		if err := s.Append(t.Context(), storetest.Records("a", 5*i-4, 5*i)); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(filepath.Join(dir, "spool.db"))
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(filepath.Join(dir, "spool.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tail := range map[string][]byte{
		"whole":        wal,
		"half a frame": wal[:len(wal)-2000],
		"torn further": wal[:len(wal)-9000],
		"rubbish":      append(slices.Clone(wal[:len(wal)-3000]), []byte(strings.Repeat("rubbish!", 375))...),
		"zeros":        append(slices.Clone(wal[:len(wal)-3000]), make([]byte, 3000)...),
	} {
		path := filepath.Join(t.TempDir(), "copy.db")
		for suffix, data := range map[string][]byte{"": file, "-wal": tail} {
			if err := os.WriteFile(path+suffix, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		recs, _, err := openSpool(t, path).Next(t.Context(), 1000)
		if err != nil || len(recs)%5 != 0 || !sameRecords(recs, storetest.Records("a", 1, uint64(len(recs)))) {
			t.Errorf("%s: %d records, %v", name, len(recs), err)
		}
		if least := map[bool]int{true: 100, false: 80}[name == "whole"]; len(recs) < least {
			t.Errorf("%s: only %d of 100 records", name, len(recs))
		}
	}
}

// TestSpoolDamaged: what the disk has spoilt is not taken for what was recorded.
func TestSpoolDamaged(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"one record": func(t *testing.T, path string) {
			change(t, path, "UPDATE spooled SET data = x'00' WHERE idx = 3")
		},
		"header": func(t *testing.T, path string) { overwrite(t, path, 0, "no database at all") },
		"pages":  func(t *testing.T, path string) { overwrite(t, path, 3*4096, strings.Repeat("x", 9000)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			s := openSpool(t, path)
			if err := s.Append(t.Context(), storetest.Records("a", 1, 500)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			damage(t, path)
			s, err := sqlite.OpenSpool(t.Context(), path)
			if err == nil {
				defer func() { _ = s.Close() }()
				_, _, err = s.Next(t.Context(), 1000)
			}
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func overwrite(t *testing.T, path string, at int, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[at:], text)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSpoolOfANewerVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	if err := openSpool(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 9"); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	if _, err := sqlite.OpenSpool(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer lectern") {
		t.Errorf("got error %v", err)
	}
}
