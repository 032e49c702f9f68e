package rooms

// Record is one recorded fact of a room as a store keeps it. (Room, Index) is unique, and Index is gapless from 1
// within a room; a second record with the same pair is refused, which is also the fence against a former owner.
type Record struct {
	Room  string
	Index uint64
	Kind  string
	At    int64 // Unix milliseconds
	Data  []byte
}

// Kinds of the records that mark a room's life; every other kind belongs to a domain.
const (
	KindRoomCreated = "room.created"
	KindRoomClosed  = "room.closed"
)

// Gate is a Journal that can say beforehand that it will take no more records. Commands that would record something are
// refused then before they happen: undoing them later means to read their room again, which may not be possible.
type Gate interface {
	// Refuses is nil while records are taken. Any goroutine; it doesn't block.
	Refuses() error
}

// Journal makes facts durable behind the rooms. persist.Journal implements it. All methods may be called from any
// goroutine.
type Journal interface {
	// Append takes over recs (of one or many rooms, in order) and returns at once. done is called exactly once, from the
	// journal's goroutine, in the order of the Append calls: with nil when every record is durable, otherwise none of
	// them is. An error from Append itself (the queue is full, the journal is closed) means that nothing was taken
	// and done will not be called.
	Append(recs []Record, done func(error)) error
	// Load calls visit for every durable record of the room in order of index. It blocks; shards must not call it.
	Load(room string, visit func(Record) error) error
	// LiveRooms lists the rooms that have a record of KindRoomCreated and none of KindRoomClosed, oldest first. It blocks.
	LiveRooms() ([]string, error)
}
