package persist

import (
	"lectern/rooms"
)

// SpoolTail is the range of a room's indexes in a spool.
type SpoolTail struct{ First, Last uint64 }

// SpoolOverheadBytes is what a spooled record counts beside its data, kind and room.
const SpoolOverheadBytes = 64

// SpoolBytes is what records count in a spool.
func SpoolBytes(recs []rooms.Record) (n int64) {
	for i := range recs {
		n += int64(len(recs[i].Room) + len(recs[i].Kind) + len(recs[i].Data) + SpoolOverheadBytes)
	}
	return n
}

// SpoolState says where records go.
type SpoolState uint8

// The states of a spooling store.
const (
	SpoolDirect   SpoolState = iota // to the database
	SpoolAway                       // to the spool, because the database is away
	SpoolDraining                   // to the spool, whose older records go to the database
)

// String is the name for logs and metrics.
func (s SpoolState) String() string { return [...]string{"direct", "spooling", "draining"}[s] }

// SpoolStats is what a spooling store does and has done.
type SpoolStats struct {
	State    SpoolState
	Full     bool  // durable commands are refused
	Records  int64 // in the spool
	Bytes    int64 // likewise
	BytesMax int64
	Outages  uint64 // times that the database went away
	Drained  uint64 // records that went from the spool to the database
	SetAside int64  // records that the database refused, kept in the spool's file
}

// Spooler is a Store that spools.
type Spooler interface {
	Store
	SpoolStats() SpoolStats
}

// Gate is a Store that can say beforehand that it will take no more records.
type Gate interface {
	// Refuses is nil while records are taken. Any goroutine; it doesn't block.
	Refuses() error
}

// Refuses implements rooms.Gate: it asks Config.Gate.
func (j *Journal) Refuses() error {
	if j.cfg.Gate == nil {
		return nil
	}
	return j.cfg.Gate.Refuses()
}
