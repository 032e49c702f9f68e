package persist

import "time"

// CommitBuckets are the upper bounds of Stats.CommitCounts; a last bucket without bound follows.
var CommitBuckets = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// Stats is what a Journal has done since it was made.
type Stats struct {
	Records       uint64                         // made durable
	Batches       uint64                         // transactions that were committed
	FailedBatches uint64                         // transactions that were not
	Refused       uint64                         // appends refused with ErrFull
	CommitCounts  [len(CommitBuckets) + 1]uint64 // transactions by duration; not cumulative
	CommitTime    time.Duration                  // sum over all transactions
	QueueRecords  int                            // waiting and being written
	QueueBytes    int
	FailedRooms   int // rooms that must be loaded again
}

type counters struct {
	records, batches, failedBatches, refused uint64
	commits                                  [len(CommitBuckets) + 1]uint64
	commitTime                               time.Duration
}

func (c *counters) flushed(records int, took time.Duration, err error) {
	if err != nil {
		c.failedBatches++
	} else {
		c.batches++
		c.records += uint64(records)
	}
	bucket := 0
	for bucket < len(CommitBuckets) && took > CommitBuckets[bucket] {
		bucket++
	}
	c.commits[bucket]++
	c.commitTime += took
}

// Stats may be called from any goroutine.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := &j.stats
	return Stats{
		Records: c.records, Batches: c.batches, FailedBatches: c.failedBatches, Refused: c.refused,
		CommitCounts: c.commits, CommitTime: c.commitTime,
		QueueRecords: j.queueRecords, QueueBytes: j.queueBytes, FailedRooms: len(j.failed),
	}
}
