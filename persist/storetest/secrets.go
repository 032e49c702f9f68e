package storetest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

func testKeys(t *testing.T, ctx context.Context, s persist.Store) {
	key := func(id string) auth.StoredKey { return auth.StoredKey{ID: id, PKCS8: []byte{0, 1, 255}, CreatedAt: 7} }
	must(t, s.AddKey(ctx, key("k1"), 0, true))
	wantErr(t, s.AddKey(ctx, key("k2"), 0, true), auth.ErrKeyExists)
	must(t, s.AddKey(ctx, key("k2"), 100, false))
	wantErr(t, s.AddKey(ctx, key("k2"), 150, false), auth.ErrKeyExists)
	must(t, s.AddKey(ctx, key("k3"), 200, false))
	wantKeys(t, ctx, s, "k1", int64(100), "k2", int64(200), "k3", int64(0))
	must(t, s.DeleteRetiredKeys(ctx, 99))
	wantKeys(t, ctx, s, "k1", int64(100), "k2", int64(200), "k3", int64(0))
	must(t, s.DeleteRetiredKeys(ctx, 100))
	wantKeys(t, ctx, s, "k2", int64(200), "k3", int64(0))
	receipts := key("r1") // is kept for ever, and does not take the place of the key that signs
	receipts.RetiresAt = math.MaxInt64
	must(t, s.AddKey(ctx, receipts, 0, false))
	must(t, s.AddKey(ctx, key("k4"), 300, false))
	must(t, s.DeleteRetiredKeys(ctx, math.MaxInt64-1))
	wantKeys(t, ctx, s, "r1", int64(math.MaxInt64), "k4", int64(0))
}

func wantKeys(t *testing.T, ctx context.Context, s persist.Store, want ...any) {
	t.Helper()
	keys, err := s.LoadKeys(ctx)
	must(t, err)
	var got []any
	for _, k := range keys {
		got = append(got, k.ID, k.RetiresAt)
		if k.CreatedAt != 7 || len(k.PKCS8) != 3 {
			t.Fatalf("key %s came back changed", k.ID)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got keys %v, want %v", got, want)
	}
}

func testFirstKeyOnce(t *testing.T, ctx context.Context, s persist.Store) {
	var wg sync.WaitGroup
	var added atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			err := s.AddKey(ctx, auth.StoredKey{ID: string(rune('a' + i)), PKCS8: []byte{1}, CreatedAt: 7}, 0, true)
			if err == nil {
				added.Add(1)
			} else if !errors.Is(err, auth.ErrKeyExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := s.LoadKeys(ctx)
	must(t, err)
	if len(keys) != 1 || added.Load() != 1 {
		t.Fatalf("%d keys, %d said to be added, want one", len(keys), added.Load())
	}
}

func hash(b byte) auth.RefreshHash { return auth.RefreshHash{0: b, 31: 255} }

func newFamily(t *testing.T, ctx context.Context, s auth.RefreshStore, id string, first byte) auth.Family {
	t.Helper()
	f := auth.Family{
		ID: id, Subject: "u-" + id, Name: "Ada é", Role: wire.RoleHost, Room: "r1", CreatedAt: 10, ExpiresAt: 1000,
	}
	must(t, s.CreateFamily(ctx, f, hash(first)))
	return f
}

// rotate lets no retries in.
func rotate(ctx context.Context, s auth.RefreshStore, old, next auth.RefreshHash, at, expiresAt int64) (
	auth.Family, error,
) {
	return s.RotateRefresh(ctx, auth.Rotation{Old: old, Next: next, At: at, ExpiresAt: expiresAt, RetrySince: at})
}

// retry lets in retries of tokens that were spent less than 60 ms before.
func retry(ctx context.Context, s auth.RefreshStore, old, next byte, at int64) (auth.Family, error) {
	return s.RotateRefresh(ctx, auth.Rotation{
		Old: hash(old), Next: hash(next), At: at, ExpiresAt: at + 1000, RetrySince: at - 60,
	})
}

func testRefreshRotation(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	want := newFamily(t, ctx, s, "f", 1)
	newFamily(t, ctx, s, "other", 100)
	if s.CreateFamily(ctx, want, hash(200)) == nil || s.CreateFamily(ctx, auth.Family{ID: "g"}, hash(1)) == nil {
		t.Fatal("a family or token was stored twice")
	}
	for i := byte(1); i < 5; i++ {
		want.ExpiresAt = 2000 + int64(i)
		got, err := rotate(ctx, s, hash(i), hash(i+1), 20, want.ExpiresAt)
		must(t, err)
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	_, err := rotate(ctx, s, hash(77), hash(78), 20, 3000)
	wantErr(t, err, auth.ErrRefreshUnknown)
}

func testRefreshReuse(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "f", 1)
	newFamily(t, ctx, s, "other", 100)
	_, err := rotate(ctx, s, hash(1), hash(2), 20, 2000)
	must(t, err)
	_, err = rotate(ctx, s, hash(2), hash(3), 21, 2000)
	must(t, err)
	f, err := rotate(ctx, s, hash(1), hash(50), 5000, 9000) // old, and expired as well
	wantErr(t, err, auth.ErrRefreshReused)
	if f.ID != "f" || f.RevokedAt != 5000 {
		t.Fatalf("the revoked family is %+v", f)
	}
	for _, token := range []byte{1, 2, 3} {
		f, err = rotate(ctx, s, hash(token), hash(60), 31, 2000)
		wantErr(t, err, auth.ErrRefreshRevoked)
		if f.ID != "f" {
			t.Fatalf("the family is %+v", f)
		}
	}
	_, err = rotate(ctx, s, hash(50), hash(51), 31, 2000) // the thief's
	wantErr(t, err, auth.ErrRefreshUnknown)
	_, err = rotate(ctx, s, hash(100), hash(101), 31, 2000)
	must(t, err)
	wantRevoked(t, ctx, s, 0, auth.Revocation{Family: "f", RevokedAt: 5000})
	wantRevoked(t, ctx, s, 5000, auth.Revocation{Family: "f", RevokedAt: 5000})
	wantRevoked(t, ctx, s, 5001)
}

func wantRevoked(t *testing.T, ctx context.Context, s auth.RefreshStore, since int64, want ...auth.Revocation) {
	t.Helper()
	got, err := s.RevokedFamilies(ctx, since)
	must(t, err)
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("revoked since %d: %v, want %v", since, got, want)
	}
}

func testRefreshExpiry(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "f", 1)
	f, err := rotate(ctx, s, hash(1), hash(2), 1000, 2000)
	wantErr(t, err, auth.ErrRefreshExpired)
	if f.ID != "f" || f.RevokedAt != 0 {
		t.Fatalf("the expired family is %+v", f)
	}
	_, err = rotate(ctx, s, hash(1), hash(2), 999, 2000)
	must(t, err)
}

func testRefreshRevoke(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "f", 1)
	_, err := rotate(ctx, s, hash(1), hash(2), 20, 2000)
	must(t, err)
	_, err = s.RevokeFamily(ctx, hash(9), 30)
	wantErr(t, err, auth.ErrRefreshUnknown)
	for _, token := range []byte{1, 2} { // used or not; the second call changes nothing
		f, err := s.RevokeFamily(ctx, hash(token), 30+int64(token))
		must(t, err)
		if f.ID != "f" || f.RevokedAt != 31 {
			t.Fatalf("the revoked family is %+v", f)
		}
	}
	_, err = rotate(ctx, s, hash(2), hash(3), 40, 2000)
	wantErr(t, err, auth.ErrRefreshRevoked)
}

// testRefreshRace: of many uses of one token at once exactly one is served; then the family is revoked.
func testRefreshRace(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "f", 1)
	var wg sync.WaitGroup
	var served, reused, revoked atomic.Int32
	for i := range byte(12) {
		wg.Go(func() {
			_, err := rotate(ctx, s, hash(1), hash(100+i), 20, 2000)
			switch {
			case err == nil:
				served.Add(1)
			case errors.Is(err, auth.ErrRefreshReused):
				reused.Add(1)
			case errors.Is(err, auth.ErrRefreshRevoked):
				revoked.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if served.Load() != 1 || reused.Load() != 1 || revoked.Load() != 10 {
		t.Fatalf("%d served, %d reused, %d revoked, want 1, 1, 10", served.Load(), reused.Load(), revoked.Load())
	}
}

// testRefreshRetry: a token whose successor has not been used gets another one for a while.
func testRefreshRetry(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	want := newFamily(t, ctx, s, "f", 1)
	for _, step := range []struct {
		old, next byte
		at        int64
	}{
		{1, 2, 100}, {1, 3, 130}, {1, 4, 159}, // two replies lost
		{4, 5, 160}, {4, 6, 219}, {6, 7, 500},
	} {
		want.ExpiresAt = step.at + 1000
		got, err := retry(ctx, s, step.old, step.next, step.at)
		must(t, err)
		if got != want {
			t.Fatalf("%d → %d: got %+v, want %+v", step.old, step.next, got, want)
		}
	}
	f, err := retry(ctx, s, 4, 8, 501) // recent, but 6 was used
	wantErr(t, err, auth.ErrRefreshReused)
	if f.ID != "f" || f.RevokedAt != 501 {
		t.Fatalf("the revoked family is %+v", f)
	}
	_, err = retry(ctx, s, 7, 9, 502)
	wantErr(t, err, auth.ErrRefreshRevoked)
}

// testRefreshRetryRefused: what is no retry revokes the family, and a retry does not outlive it.
func testRefreshRetryRefused(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	family := func(id string, first byte) {
		newFamily(t, ctx, s, id, first)
		_, err := retry(ctx, s, first, first+1, 100)
		must(t, err)
	}
	refused := func(token byte, at int64, want error) {
		t.Helper()
		_, err := retry(ctx, s, token, token+9, at)
		wantErr(t, err, want)
	}
	family("late", 10)
	refused(10, 160, auth.ErrRefreshReused) // 60 ms
	refused(11, 161, auth.ErrRefreshRevoked)

	family("retries do not prolong", 30)
	_, err := retry(ctx, s, 30, 32, 150)
	must(t, err)
	refused(30, 160, auth.ErrRefreshReused)

	family("used successor", 50)
	_, err = retry(ctx, s, 51, 52, 101)
	must(t, err)
	refused(50, 102, auth.ErrRefreshReused)

	family("replaced successor", 70)
	_, err = retry(ctx, s, 70, 72, 101)
	must(t, err)
	refused(71, 102, auth.ErrRefreshReused)
	refused(72, 103, auth.ErrRefreshRevoked)

	family("revoked", 90)
	_, err = s.RevokeFamily(ctx, hash(90), 101)
	must(t, err)
	refused(90, 102, auth.ErrRefreshRevoked)

	newFamily(t, ctx, s, "expired", 110)
	_, err = rotate(ctx, s, hash(110), hash(111), 100, 120)
	must(t, err)
	refused(110, 120, auth.ErrRefreshExpired)
}

// testRefreshRetryRace: retries at once are all served, and one of their tokens is good.
func testRefreshRetryRace(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "f", 1)
	var wg sync.WaitGroup
	for i := range byte(12) {
		wg.Go(func() {
			if _, err := retry(ctx, s, 1, 100+i, 20); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var served, refused atomic.Int32
	for i := range byte(12) { // the first that is not good revokes the others
		wg.Go(func() {
			if _, err := retry(ctx, s, 100+i, 150+i, 21); err == nil {
				served.Add(1)
			} else if errors.Is(err, auth.ErrRefreshReused) || errors.Is(err, auth.ErrRefreshRevoked) {
				refused.Add(1)
			} else {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if served.Load() > 1 || served.Load()+refused.Load() != 12 {
		t.Fatalf("%d served, %d refused of 12 siblings", served.Load(), refused.Load())
	}
}

func testRefreshPurge(t *testing.T, ctx context.Context, s auth.RefreshStore) {
	newFamily(t, ctx, s, "old", 1)
	newFamily(t, ctx, s, "new", 50)
	_, err := rotate(ctx, s, hash(50), hash(51), 20, 5000)
	must(t, err)
	must(t, s.PurgeRefresh(ctx, 1001))
	_, err = rotate(ctx, s, hash(1), hash(2), 20, 2000)
	wantErr(t, err, auth.ErrRefreshUnknown)
	_, err = rotate(ctx, s, hash(51), hash(52), 20, 6000)
	must(t, err)
	newFamily(t, ctx, s, "old", 1) // its tokens are gone too
}

func testReopen(t *testing.T, ctx context.Context, s persist.Store, reopen func() persist.Store) {
	must(t, s.AppendRecords(ctx, append(Records("a", 1, 100), Records("b", 1, 2)...)))
	must(t, s.AppendRecords(ctx, []rooms.Record{{Room: "b", Index: 3, Kind: rooms.KindRoomClosed, At: 5}}))
	quiz, err := s.PutQuiz(ctx, "u1", Quiz("kept"))
	must(t, err)
	must(t, s.AddKey(ctx, auth.StoredKey{ID: "k1", PKCS8: []byte{1, 2, 3}, CreatedAt: 7}, 0, true))
	newFamily(t, ctx, s, "f", 1)
	newFamily(t, ctx, s, "g", 50)
	_, err = rotate(ctx, s, hash(1), hash(2), 20, 2000)
	must(t, err)
	_, err = s.RevokeFamily(ctx, hash(50), 33)
	must(t, err)
	must(t, s.MarkAlive(ctx, 77))
	before, err := s.Rooms(ctx, 10)
	must(t, err)

	s = reopen()
	wantRoom(t, ctx, s, "a", Records("a", 1, 100))
	after, err := s.Rooms(ctx, 10)
	must(t, err)
	live, err := s.LiveRooms(ctx)
	must(t, err)
	if !reflect.DeepEqual(before, after) || !reflect.DeepEqual(live, []string{"a"}) {
		t.Fatalf("rooms are %+v (live %v), were %+v", after, live, before)
	}
	wantErr(t, s.AppendRecords(ctx, Records("a", 102, 102)), persist.ErrGap)
	must(t, s.AppendRecords(ctx, Records("a", 99, 101)))
	_, _, err = s.GetQuiz(ctx, quiz)
	must(t, err)
	wantKeys(t, ctx, s, "k1", int64(0))
	wantRevoked(t, ctx, s, 0, auth.Revocation{Family: "g", RevokedAt: 33})
	_, err = retry(ctx, s, 1, 3, 79)
	must(t, err)
	_, err = retry(ctx, s, 1, 4, 80)
	wantErr(t, err, auth.ErrRefreshReused)
	must(t, s.Check(ctx))
	wantAlive(t, ctx, s, 77)
}
