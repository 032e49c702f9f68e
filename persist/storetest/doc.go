// Package storetest is the suite that every persist.Store must pass: what persist.Store promises, checked through the
// interface alone. A backend's test calls Run with a factory.
package storetest

import (
	"context"
	"testing"

	"lectern/persist"
	"lectern/rooms/auth"
)

// Factory opens a new, empty store for one test and closes it with t.Cleanup. reopen closes the store and opens the
// same data again; nil for a backend that keeps nothing.
type Factory func(t *testing.T) (store persist.Store, reopen func() persist.Store)

// Run runs the whole suite, each test on a store of its own.
func Run(t *testing.T, open Factory) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, persist.Store)
	}{
		{"AppendAndRead", testAppendAndRead},
		{"ReadStops", testReadStops},
		{"InvalidRecords", testInvalidRecords},
		{"Conflict", testConflict},
		{"Gap", testGap},
		{"IdenticalAgain", testIdenticalAgain},
		{"BatchIsAtomic", testBatchIsAtomic},
		{"CallersDataIsNotKept", testCallersDataIsNotKept},
		{"RoomLists", testRoomLists},
		{"BigBatch", testBigBatch},
		{"AppendersAtOnce", testAppendersAtOnce},
		{"ReadersBesideAWriter", testReadersBesideAWriter},
		{"TwoOwnersRace", testTwoOwnersRace},
		{"MatchesModel", testMatchesModel},
		{"ForgetRooms", testForgetRooms},
		{"Alive", testAlive},
		{"Transfer", testTransfer},
		{"Quizzes", testQuizzes},
		{"QuizOwners", testQuizOwners},
		{"Keys", testKeys},
		{"FirstKeyOnce", testFirstKeyOnce},
		{"Cancelled", testCancelled},
		{"Closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, _ := open(t)
			c.test(t, t.Context(), store)
		})
	}
	RunRefresh(t, func(t *testing.T) auth.RefreshStore {
		store, _ := open(t)
		return store
	})
	t.Run("ReopenKeepsEverything", func(t *testing.T) {
		store, reopen := open(t)
		if reopen == nil {
			t.Skip("this backend keeps nothing")
		}
		testReopen(t, t.Context(), store, reopen)
	})
}

// RunRefresh runs the part of the suite that an auth.RefreshStore of its own must pass, each test on an empty one.
func RunRefresh(t *testing.T, open func(t *testing.T) auth.RefreshStore) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, auth.RefreshStore)
	}{
		{"RefreshRotation", testRefreshRotation},
		{"RefreshReuse", testRefreshReuse},
		{"RefreshExpiry", testRefreshExpiry},
		{"RefreshRevoke", testRefreshRevoke},
		{"RefreshRace", testRefreshRace},
		{"RefreshRetry", testRefreshRetry},
		{"RefreshRetryRefused", testRefreshRetryRefused},
		{"RefreshRetryRace", testRefreshRetryRace},
		{"RefreshPurge", testRefreshPurge},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, t.Context(), open(t)) })
	}
}
