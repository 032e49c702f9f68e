package gateway

import (
	"runtime"
	"sync/atomic"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// Receipts are signed between the shard and the loops: the answers are durable by then, and a signature (some 30 µs)
// must hold up neither. A delivery with receipts goes to the sealers, who share it; the last one to finish hands it to
// the loops. The order within a shard holds, because a shard has one delivery on its way at most, and what comes
// meanwhile makes up the next.

// sealJobsMax bounds the jobs that wait. A shard has one delivery on its way, in at most one job per sealer, so there
// are never more than shards × sealers; should they not fit, the shard signs by itself.
const sealJobsMax = 1024

// receiptsPerJobMin is the fewest receipts that are worth a goroutine's wake.
const receiptsPerJobMin = 8

// sealer signs the receipts that replies name.
type sealer struct {
	// Immutable.
	sign func(*wire.ReceiptClaims) (string, error) // nil: receipts need no signature
	jobs chan sealJob

	// Atomic.
	running        atomic.Int32 // sealers at work
	signed, failed atomic.Int64
}

// sealJob is a share of one delivery.
type sealJob struct {
	items []rooms.Delivery
	at    []int32 // indexes of replies with receipts
	left  *atomic.Int32
	then  func() // for whoever finishes last
}

func newSealer(sign func(*wire.ReceiptClaims) (string, error)) *sealer {
	return &sealer{sign: sign, jobs: make(chan sealJob, sealJobsMax)}
}

// Seal signs receipts until stop is closed. Start about one per core.
func (g *Gateway) Seal(stop <-chan struct{}) {
	s := g.sealer
	s.running.Add(1)
	defer func() {
		s.running.Add(-1)
		s.finish() // what was handed over before must reach the loops
	}()
	for {
		select {
		case <-stop:
			return
		case job := <-s.jobs:
			s.do(job)
		}
	}
}

// unsigned lists the replies whose receipts have no signature yet.
func (s *sealer) unsigned(items []rooms.Delivery) []int32 {
	if s.sign == nil {
		return nil
	}
	var at []int32
	for i := range items {
		if items[i].Kind == effect.Reply && needsSignature(items[i].Data) {
			at = append(at, int32(i))
		}
	}
	return at
}

func needsSignature(data any) bool {
	switch d := data.(type) {
	case *wire.AnswerReply:
		return d.Claims != nil
	case *wire.JoinReply:
		return d.Me != nil && d.Me.Claims != nil
	case *wire.QuizSnapshot:
		return d.Me != nil && d.Me.Claims != nil
	}
	return false
}

// share signs the receipts at the indexes, on the sealers if there are any, and calls then when all are done.
func (s *sealer) share(items []rooms.Delivery, at []int32, then func()) {
	workers := int(s.running.Load())
	jobs := min(workers, (len(at)+receiptsPerJobMin-1)/receiptsPerJobMin)
	left := new(atomic.Int32)
	if jobs == 0 {
		left.Store(1)
		s.do(sealJob{items, at, left, then})
		return
	}
	left.Store(int32(jobs))
	for n := jobs; n > 0; n-- {
		part := len(at) / n
		job := sealJob{items, at[:part], left, then}
		at = at[part:]
		s.hand(job)
	}
}

// hand gives a job to the sealers. Those that counted as running may have stopped since: whoever comes last, the last
// of them or this goroutine, looks for jobs once more.
func (s *sealer) hand(job sealJob) {
	select {
	case s.jobs <- job:
		if s.running.Load() == 0 {
			s.finish()
		}
	default:
		s.do(job)
	}
}

// finish does the jobs that wait.
func (s *sealer) finish() {
	for {
		select {
		case job := <-s.jobs:
			s.do(job)
		default:
			return
		}
	}
}

func (s *sealer) do(job sealJob) {
	for _, i := range job.at {
		s.seal(&job.items[i])
	}
	if job.left.Add(-1) == 0 {
		job.then()
	}
}

// seal puts the signed receipts into one reply. The data belongs to this reply alone.
func (s *sealer) seal(it *rooms.Delivery) {
	switch d := it.Data.(type) {
	case *wire.AnswerReply:
		receipt, ok := s.signature(d.Claims)
		if !ok { // the answer is recorded and counts, but this reply can't say so
			err := wire.NewError(wire.CodeUnavailable, "the receipt can't be signed now; try again with the same key")
			err.RetryAfterMs = unsignedRetryMs
			it.Data, it.Err = nil, err
			return
		}
		d.Receipt = receipt
	case *wire.JoinReply:
		d.Me.Receipt, _ = s.signature(d.Me.Claims)
		if d.Snapshot != nil && d.Snapshot.Quiz != nil && d.Snapshot.Quiz.Me != nil {
			d.Snapshot.Quiz.Me.Receipt = d.Me.Receipt
		}
	case *wire.QuizSnapshot:
		d.Me.Receipt, _ = s.signature(d.Me.Claims)
	}
}

// unsignedRetryMs is when a participant whose receipt could not be signed may ask again.
const unsignedRetryMs = 5000

func (s *sealer) signature(c *wire.ReceiptClaims) (string, bool) {
	receipt, err := s.sign(c)
	if err != nil {
		s.failed.Add(1)
		return "", false
	}
	s.signed.Add(1)
	return receipt, true
}

// Sealers is the number of goroutines for Seal.
func Sealers() int { return runtime.GOMAXPROCS(0) }
