package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

// Errors of a Store and of the Journal; test with errors.Is.
var (
	// ErrConflict: a record with the same room and index but other content is stored already. Another writer owns the
	// room.
	ErrConflict = errors.New("persist: the room has another record at this index")
	// ErrGap: a record's index is not the next of its room.
	ErrGap = errors.New("persist: records before this one are missing")
	// ErrInvalid: a record without room or kind, or with index 0 or beyond 2^63-1.
	ErrInvalid = errors.New("persist: invalid record")
	// ErrNotFound: no such quiz, or not this owner's.
	ErrNotFound = errors.New("persist: not found")
	// ErrFull: the journal's queue is at its limit; nothing was taken.
	ErrFull = errors.New("persist: the journal's queue is full")
	// ErrClosed: the journal or store is closed; nothing was taken.
	ErrClosed = errors.New("persist: closed")
	// ErrUnavailable: the store can't be reached, or does not answer in time. Whether a change was made is not known.
	ErrUnavailable = errors.New("persist: the store is away")
	// ErrSpoolFull: the store is away and what stands in for it has no room left; nothing was taken.
	ErrSpoolFull = errors.New("persist: the database is away and the spool is full")
	// ErrNotEmpty: the store that something is to be copied to holds something already.
	ErrNotEmpty = errors.New("persist: the store is not empty")
	// ErrRoomFailed: an earlier record of the same room could not be stored, so this one would leave a gap.
	ErrRoomFailed = errors.New("persist: an earlier record of this room was not stored; load the room again")
)

// RecordError says which record a Store refused. It unwraps to ErrConflict, ErrGap or ErrInvalid.
type RecordError struct {
	Room   string
	Index  uint64
	Reason error
}

// Error names the record's place and the reason.
func (e *RecordError) Error() string {
	return fmt.Sprintf("%v (room %q, index %d)", e.Reason, e.Room, e.Index)
}

// Unwrap is the reason.
func (e *RecordError) Unwrap() error { return e.Reason }

// RoomInfo describes one room of the journal.
type RoomInfo struct {
	Room      string
	Owner     string // who created it; empty when its first record doesn't say ("owner" or "host" in the data)
	CreatedAt int64  // Unix milliseconds; zero when it has no record of rooms.KindRoomCreated
	ClosedAt  int64  // Unix milliseconds; zero while it lives
	Records   uint64
}

// QuizInfo describes one stored quiz.
type QuizInfo struct {
	ID        string
	Title     string
	Language  string
	Questions int
	UpdatedAt int64 // Unix milliseconds
}

// Store is one backend. Every method blocks and may be called from any goroutine. A method that has returned nil has
// made its change durable; one that returns an error has changed nothing, except where the connection broke during a
// commit.
type Store interface {
	auth.KeyStore
	auth.RefreshStore
	Portable

	// AppendRecords stores all of recs or none. Records of one room are in order and continue its last index without a
	// gap; a record that is already stored with the same content is skipped. Errors: *RecordError for a record that is
	// refused. recs and its data are not kept.
	AppendRecords(ctx context.Context, recs []rooms.Record) error
	// ReadRoom calls visit for every record of the room in order of index, none when the room is unknown, until visit
	// fails; that error is returned as it is. The record's Data is visit's to keep.
	ReadRoom(ctx context.Context, room string, visit func(rooms.Record) error) error
	// LiveRooms lists the rooms that were created and not closed, oldest first.
	LiveRooms(ctx context.Context) ([]string, error)
	// Rooms lists at most limit rooms, the newest first.
	Rooms(ctx context.Context, limit int) ([]RoomInfo, error)
	// RoomsOf is Rooms for one owner.
	RoomsOf(ctx context.Context, owner string, limit int) ([]RoomInfo, error)

	// ForgetRooms removes the rooms that were closed before a time (Unix milliseconds), with their records, and says how
	// many. It may be called again while it is under way, and may take several calls to get through: until it says 0.
	ForgetRooms(ctx context.Context, closedBefore int64) (int, error)
	// MarkAlive notes that a server is alive at a time of the rooms' clock, Unix milliseconds. An earlier time than the
	// noted one changes nothing.
	MarkAlive(ctx context.Context, at int64) error
	// LastAlive is the latest time that was noted; zero when there was none.
	LastAlive(ctx context.Context) (int64, error)

	// PutQuiz stores q for owner and returns its id: a new one when q.ID is empty; otherwise the stored quiz is
	// replaced, which is ErrNotFound when the id is unknown or another owner's. q is not changed.
	PutQuiz(ctx context.Context, owner string, q *wire.Quiz) (id string, err error)
	// GetQuiz returns a quiz, with ID set, and its owner, or ErrNotFound. Whether the caller may see it is the caller's
	// to check.
	GetQuiz(ctx context.Context, id string) (q *wire.Quiz, owner string, err error)
	// ListQuizzes lists the quizzes of owner, the last changed first.
	ListQuizzes(ctx context.Context, owner string) ([]QuizInfo, error)
	// DeleteQuiz removes the quiz of owner, or returns ErrNotFound.
	DeleteQuiz(ctx context.Context, owner, id string) error

	// SchemaVersion is the version of the stored schema, as the last migration left it.
	SchemaVersion(ctx context.Context) (int64, error)
	// Check looks for damage; the error says what to do. It may read the whole store.
	Check(ctx context.Context) error
	// Close releases the store. Calls under way fail or finish; later ones fail with ErrClosed.
	Close() error
}

// SameRecord compares what two records of one place say.
func SameRecord(a, b *rooms.Record) bool {
	return a.Kind == b.Kind && a.At == b.At && bytes.Equal(a.Data, b.Data)
}

// CheckRecords validates a batch before it is stored: the rules that don't need the store's content. For backends.
func CheckRecords(recs []rooms.Record) error {
	for i := range recs {
		r := &recs[i]
		if r.Room == "" || r.Kind == "" || r.Index == 0 || r.Index > 1<<63-1 {
			return &RecordError{Room: r.Room, Index: r.Index, Reason: ErrInvalid}
		}
	}
	return nil
}
