package gateway

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

func signOrFail(c *wire.ReceiptClaims) (string, error) {
	if c.Key == "" {
		return "", errors.New("no such key")
	}
	return fmt.Sprint(c.Key, "/", c.Question), nil
}

func receipted(n int, data func(i int) any) []rooms.Delivery {
	items := make([]rooms.Delivery, n)
	for i := range items {
		items[i] = rooms.Delivery{Room: "r", Output: effect.Output{Kind: effect.Reply, Data: data(i)}}
	}
	return items
}

func claims(i int) *wire.ReceiptClaims { return &wire.ReceiptClaims{Key: "k", Question: i} }

// TestReceiptsAreSignedBeforeTheyLeave: every receipt of a delivery is there when it goes to the loops, once, with
// any number of sealers, also none.
func TestReceiptsAreSignedBeforeTheyLeave(t *testing.T) {
	t.Parallel()
	for _, sealers := range []int{0, 1, 3} {
		g := &Gateway{sealer: newSealer(signOrFail)}
		stop := make(chan struct{})
		var running sync.WaitGroup
		for range sealers {
			running.Go(func() { g.Seal(stop) })
		}
		for g.sealer.running.Load() < int32(sealers) {
			runtime.Gosched()
		}
		for _, n := range []int{1, 7, 100, 1000} {
			items := receipted(n, func(i int) any {
				switch i % 4 {
				case 0:
					return &wire.JoinReply{
						Me:       &wire.QuizMe{Claims: claims(i)},
						Snapshot: &wire.RoomSnapshot{Quiz: &wire.QuizSnapshot{Me: &wire.QuizMe{Claims: claims(i)}}},
					}
				case 1:
					return &wire.QuizSnapshot{Me: &wire.QuizMe{Claims: claims(i)}}
				case 2:
					return nil // a reply of another kind between
				}
				return &wire.AnswerReply{Claims: claims(i)}
			})
			var left atomic.Int32
			done := make(chan struct{})
			g.sealer.share(items, g.sealer.unsigned(items), func() {
				left.Add(1)
				close(done)
			})
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatalf("%d sealers: %d receipts are not signed", sealers, n)
			}
			for i := range items {
				want := fmt.Sprint("k/", i)
				switch d := items[i].Data.(type) {
				case *wire.JoinReply:
					if d.Me.Receipt != want || d.Snapshot.Quiz.Me.Receipt != want {
						t.Fatalf("join %d: %+v", i, d)
					}
				case *wire.QuizSnapshot:
					if d.Me.Receipt != want {
						t.Fatalf("state %d: %+v", i, d)
					}
				case *wire.AnswerReply:
					if d.Receipt != want {
						t.Fatalf("answer %d: %+v", i, d)
					}
				}
			}
			if left.Load() != 1 {
				t.Fatalf("the delivery left %d times", left.Load())
			}
		}
		close(stop)
		running.Wait()
	}
}

// TestReceiptThatCantBeSigned: the answer counts, so the client is told to ask again, not that it failed.
func TestReceiptThatCantBeSigned(t *testing.T) {
	t.Parallel()
	s := newSealer(signOrFail)
	items := receipted(2, func(i int) any {
		if i == 0 {
			return &wire.AnswerReply{Claims: &wire.ReceiptClaims{}, Durable: true}
		}
		return &wire.JoinReply{Me: &wire.QuizMe{Answered: true, Claims: &wire.ReceiptClaims{}}}
	})
	s.share(items, s.unsigned(items), func() {})
	err := items[0].Err
	if err == nil || err.Code != wire.CodeUnavailable || err.RetryAfterMs == 0 || items[0].Data != nil {
		t.Errorf("%+v", items[0])
	}
	if d := items[1].Data.(*wire.JoinReply); items[1].Err != nil || d.Me.Receipt != "" || !d.Me.Answered {
		t.Errorf("%+v", items[1])
	}
	if s.signed.Load() != 0 || s.failed.Load() != 2 {
		t.Errorf("%d signed, %d failed", s.signed.Load(), s.failed.Load())
	}
	old := receipted(1, func(int) any { return &wire.AnswerReply{Receipt: "AAAAAAAAAAAAAAAA"} })
	if at := s.unsigned(old); len(at) != 0 {
		t.Error("a receipt that is ready is signed")
	}
}

// A job that is handed over while the last sealer stops is done all the same: its shard waits for it.
func TestNoReceiptIsLeftWhenSealersStop(t *testing.T) {
	t.Parallel()
	s := newSealer(signOrFail)
	left := new(atomic.Int32)
	left.Store(1)
	done := false
	// The sealers have been counted, and have looked for jobs for the last time.
	s.hand(sealJob{
		receipted(1, func(i int) any { return &wire.AnswerReply{Claims: claims(i)} }),
		[]int32{0},
		left,
		func() { done = true },
	})
	if !done {
		t.Error("nobody signs the receipt")
	}
}
