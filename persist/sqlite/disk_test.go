package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lectern/persist/sqlite"
	"lectern/persist/storetest"
	"lectern/rooms"
)

// smallDisk is a folder on a file system of its own with room for two megabytes.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, which doesn't say %q", err, part)
		}
	}
}

// ballast takes some of the small disk.
func ballast(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDiskFills: a real disk that is full refuses records, loses none, and takes the same ones when there is space.
func TestDiskFills(t *testing.T) {
	dir := smallDisk(t)
	s := open(t, sqlite.Config{Path: filepath.Join(dir, "l.db")})
	path := ballast(t, dir)
	next := uint64(1)
	var full error
	for full == nil && next < 100_000 {
		if full = s.AppendRecords(t.Context(), storetest.Records("a", next, next+99)); full == nil {
			next += 100
		}
	}
	wantText(t, full, "disk", "full", "free some space", "nothing that was acknowledged is lost")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRecords(t.Context(), storetest.Records("a", next, next+99)); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	err := s.ReadRoom(t.Context(), "a", func(r rooms.Record) error { n = r.Index; return nil })
	if err != nil || n != next+99 {
		t.Errorf("%d records of %d: %v", n, next+99, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSpoolDiskFills is the same for the spool.
func TestSpoolDiskFills(t *testing.T) {
	dir := smallDisk(t)
	s := openSpool(t, filepath.Join(dir, "spool.db"))
	path := ballast(t, dir)
	next := uint64(1)
	var full error
	for full == nil && next < 100_000 {
		if full = s.Append(t.Context(), storetest.Records("a", next, next+99)); full == nil {
			next += 100
		}
	}
	wantText(t, full, "disk", "full", "free some space")
	if recs, err := s.Room(t.Context(), "a"); err != nil || !sameRecords(recs, storetest.Records("a", 1, next-1)) {
		t.Errorf("%d records of %d: %v", len(recs), next-1, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), storetest.Records("a", next, next+99)); err != nil {
		t.Fatal(err)
	}
	if recs, err := s.Room(t.Context(), "a"); err != nil || !sameRecords(recs, storetest.Records("a", 1, next+99)) {
		t.Errorf("%d records of %d: %v", len(recs), next+99, err)
	}
}

// TestReadOnlyDisk: a disk that can't be written says so at the start.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "l.db")
	s := open(t, sqlite.Config{Path: path})
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 1, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount(t, dir, syscall.MS_RDONLY)
	wantAdvice(t, sqlite.Config{Path: path}, "read-only", path)
	_, err := sqlite.OpenSpool(t.Context(), filepath.Join(dir, "spool.db"))
	wantText(t, err, "spool.file", "read-only")
	remount(t, dir, 0)
	s = open(t, sqlite.Config{Path: path})
	if err := s.AppendRecords(t.Context(), storetest.Records("a", 11, 12)); err != nil {
		t.Fatal(err)
	}
}
