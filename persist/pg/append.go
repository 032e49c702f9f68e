package pg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern/persist"
	"lectern/rooms"
)

// roomRow is a row of the table rooms. Its records are also the room's last index.
type roomRow struct {
	id                  int64
	born                int32
	owner               string
	createdAt, closedAt int64
	records             uint64
}

// roomCacheMax bounds the rows kept: about 200 bytes each.
const roomCacheMax = 16_384

// claim is what one append changes in one room.
type claim struct {
	name   string
	fresh  bool    // the room has no row yet
	row    roomRow // as it will be
	have   uint64  // records before
	staged []int   // places of its new records, the one with index have+1 first
	again  []int   // places of the records that must be stored already, with the same content
}

// plan is one append, checked against what is known of its rooms.
type plan struct {
	claims map[string]*claim
	order  []*claim // by first record
	fresh  []int    // places of the records to be stored
}

// AppendRecords implements persist.Store.
func (s *Store) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	if err := persist.CheckRecords(recs); err != nil {
		return err
	}
	if len(recs) == 0 {
		return ctx.Err()
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	return s.write(ctx, "store records", func(ctx context.Context) error {
		err := s.append(ctx, recs)
		if err != nil {
			clear(s.rooms) // whatever has happened: the next append asks the database
		}
		return err
	})
}

// appendAttempts is how often an append starts again because another writer was faster. One attempt after another
// fails only while that goes on; the comparison with what is stored ends it.
const appendAttempts = 10

// append tries again when the cache was behind: it is only a guess, the claim is the truth.
func (s *Store) append(ctx context.Context, recs []rooms.Record) error {
	for attempt := 1; ; attempt++ {
		p, err := s.plan(ctx, recs)
		if err != nil {
			return err
		}
		if err := s.compare(ctx, p, recs); err != nil {
			return err
		}
		if len(p.fresh) == 0 {
			return nil
		}
		err = s.store(ctx, p, recs)
		if err == nil {
			s.remember(p)
			return nil
		}
		switch codeOf(err) {
		case codeMoved, codeUnique, codeDeadlock, codeSerialization, codeNoPartition:
			if attempt == appendAttempts {
				return err
			}
		default:
			return err
		}
		clear(s.rooms)
		clear(s.partitions)
	}
}

// remember keeps the rows of a committed plan.
func (s *Store) remember(p *plan) {
	if len(s.rooms) > roomCacheMax {
		clear(s.rooms)
	}
	for _, c := range p.order {
		row := c.row
		s.rooms[c.name] = &row
	}
}

// plan sorts records into those that are new and those that must be there already.
func (s *Store) plan(ctx context.Context, recs []rooms.Record) (*plan, error) {
	p := &plan{claims: make(map[string]*claim), fresh: make([]int, 0, len(recs))}
	if err := s.begin(ctx, p, recs); err != nil {
		return nil, err
	}
	var c *claim
	for i := range recs {
		r := &recs[i]
		if c == nil || c.name != r.Room {
			c = p.claims[r.Room]
		}
		switch {
		case r.Index > c.row.records+1:
			return nil, s.earlier(ctx, p, recs, &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrGap})
		case r.Index <= c.have:
			c.again = append(c.again, i)
		case r.Index <= c.row.records:
			if !persist.SameRecord(r, &recs[c.staged[r.Index-c.have-1]]) {
				return nil, s.earlier(ctx, p, recs, conflict(r))
			}
		default:
			c.row.add(r)
			c.staged = append(c.staged, i)
			p.fresh = append(p.fresh, i)
		}
	}
	return p, nil
}

func conflict(r *rooms.Record) error {
	return &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrConflict}
}

// earlier is the fault of a record, unless one before it is another writer's: then that is the answer.
func (s *Store) earlier(ctx context.Context, p *plan, recs []rooms.Record, fault error) error {
	if err := s.compare(ctx, p, recs); err != nil {
		return err
	}
	return fault
}

func (row *roomRow) add(r *rooms.Record) {
	row.records = r.Index
	switch r.Kind {
	case rooms.KindRoomCreated:
		row.createdAt, row.owner = r.At, persist.OwnerOf(r.Data)
	case rooms.KindRoomClosed:
		row.closedAt = r.At
	}
}

// begin makes a claim for every room of recs, from the cache, the database, or as a new room.
func (s *Store) begin(ctx context.Context, p *plan, recs []rooms.Record) error {
	var unknown []string
	last := ""
	for i := range recs {
		name := recs[i].Room
		if name == last || p.claims[name] != nil {
			continue
		}
		last = name
		c := &claim{name: name}
		p.claims[name] = c
		p.order = append(p.order, c)
		if row := s.rooms[name]; row != nil {
			c.row, c.have = *row, row.records
		} else {
			unknown = append(unknown, encodeText(name))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	if err := s.readRows(ctx, p, unknown); err != nil {
		return err
	}
	return s.newRooms(ctx, p)
}

// readRows fills the claims of rooms that the cache doesn't know.
func (s *Store) readRows(ctx context.Context, p *plan, names []string) error {
	rows, err := s.pool.Query(ctx, "SELECT room, id, born, owner, created_at, closed_at, records FROM rooms "+
		"WHERE room = ANY($1)", names)
	if err != nil {
		return err
	}
	var name, owner string
	var row roomRow
	var records int64
	_, err = pgx.ForEachRow(rows, []any{&name, &row.id, &row.born, &owner, &row.createdAt, &row.closedAt, &records},
		func() error {
			c := p.claims[decodeText(name)]
			row.owner, row.records = decodeText(owner), uint64(records)
			c.row, c.have = row, row.records
			return nil
		})
	return err
}

// newRooms gives ids to the rooms that the database doesn't know, in the order of their first records.
func (s *Store) newRooms(ctx context.Context, p *plan) error {
	var fresh []*claim
	for _, c := range p.order {
		if c.row.id == 0 {
			c.fresh = true
			fresh = append(fresh, c)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	born := monthOf(s.cfg.Now())
	if !s.partitions[born] {
		if err := s.makePartition(ctx, born); err != nil {
			return err
		}
		s.partitions[born] = true
	}
	rows, err := s.pool.Query(ctx, "SELECT nextval('room_ids') FROM generate_series(1, $1::integer)", len(fresh))
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for i, c := range fresh {
		c.row.id, c.row.born = ids[i], born
	}
	return nil
}

// monthOf is the partition of rooms that begin now.
func monthOf(now time.Time) int32 {
	year, month, _ := now.UTC().Date()
	return int32(year*100 + int(month))
}

func (s *Store) makePartition(ctx context.Context, month int32) error {
	_, err := s.pool.Exec(ctx, "SELECT make_partition($1)", month)
	return s.explain(ctx, "make a partition", err)
}

// compare checks that the records which must be stored already are, with the same content. What is stored never
// changes, so this needs no lock.
func (s *Store) compare(ctx context.Context, p *plan, recs []rooms.Record) error {
	first := -1
	for _, c := range p.order {
		at, err := s.compareRoom(ctx, c, recs)
		if err != nil {
			return err
		}
		if at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first >= 0 {
		return conflict(&recs[first])
	}
	return nil
}

// compareRoom gives the place of the first record that differs, or -1.
func (s *Store) compareRoom(ctx context.Context, c *claim, recs []rooms.Record) (int, error) {
	if len(c.again) == 0 {
		return -1, nil
	}
	low, high := recs[c.again[0]].Index, recs[c.again[0]].Index
	for _, i := range c.again {
		low, high = min(low, recs[i].Index), max(high, recs[i].Index)
	}
	stored := make(map[uint64]rooms.Record)
	rows, err := s.pool.Query(ctx, "SELECT idx, kind, at, data FROM records WHERE born = $1 AND room_id = $2 "+
		"AND idx BETWEEN $3 AND $4", c.row.born, c.row.id, int64(low), int64(high))
	if err != nil {
		return 0, err
	}
	if err := eachRecord(rows, c.name, func(r rooms.Record) error { stored[r.Index] = r; return nil }); err != nil {
		return 0, err
	}
	for _, i := range c.again {
		if old, ok := stored[recs[i].Index]; !ok || !persist.SameRecord(&old, &recs[i]) {
			return i, nil
		}
	}
	return -1, nil
}

// eachRecord reads rows of idx, kind, at and data.
func eachRecord(rows pgx.Rows, room string, visit func(rooms.Record) error) error {
	var kind string
	var index, at int64
	defer rows.Close()
	for rows.Next() {
		var data []byte // a new one for each: it is the visitor's
		if err := rows.Scan(&index, &kind, &at, &data); err != nil {
			return err
		}
		r := rooms.Record{Room: room, Index: uint64(index), Kind: decodeText(kind), At: at, Data: data}
		if err := visit(r); err != nil {
			return &visitError{err}
		}
	}
	return rows.Err()
}

// visitError is a visitor's own error, which is handed back as it is.
type visitError struct{ err error }

func (e *visitError) Error() string { return e.err.Error() }

// copyFrom is how many records go by COPY, which needs a transaction of several round trips, rather than by an insert
// over arrays, which is one. Below it the insert is the faster one, by half for a few records; at 10,000 COPY is, by
// 40 %. See BenchmarkAppend.
const copyFrom = 1_000

// store writes a plan in one transaction.
func (s *Store) store(ctx context.Context, p *plan, recs []rooms.Record) error {
	if len(p.fresh) >= copyFrom {
		return s.storeByCopy(ctx, p, recs)
	}
	return s.storeByArrays(ctx, p, recs)
}

func (s *Store) storeByCopy(ctx context.Context, p *plan, recs []rooms.Record) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		b := new(pgx.Batch)
		p.queueRooms(b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		columns := []string{"born", "room_id", "idx", "at", "kind", "data"}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"records"}, columns, pgx.CopyFromSlice(len(p.fresh),
			func(i int) ([]any, error) {
				r := &recs[p.fresh[i]]
				row := &p.claims[r.Room].row
				return []any{row.born, row.id, int64(r.Index), r.At, encodeText(r.Kind), blob(r.Data)}, nil
			}))
		return err
	})
}

// storeByArrays is one round trip: a batch is one transaction.
func (s *Store) storeByArrays(ctx context.Context, p *plan, recs []rooms.Record) error {
	b := new(pgx.Batch)
	p.queueRooms(b)
	p.queueRecords(b, recs)
	return s.pool.SendBatch(ctx, b).Close()
}

// queueRooms queues the new rooms and the claims of all.
func (p *plan) queueRooms(b *pgx.Batch) {
	var newIDs []int64
	var newBorn []int32
	var newNames []string
	ids, have, records := make([]int64, 0, 8), make([]int64, 0, 8), make([]int64, 0, 8)
	owners, created, closed := make([]string, 0, 8), make([]int64, 0, 8), make([]int64, 0, 8)
	for _, c := range p.order {
		if c.row.records == c.have {
			continue // nothing new
		}
		if c.fresh {
			newIDs, newBorn = append(newIDs, c.row.id), append(newBorn, c.row.born)
			newNames = append(newNames, encodeText(c.name))
		}
		ids, have = append(ids, c.row.id), append(have, int64(c.have))
		records, owners = append(records, int64(c.row.records)), append(owners, encodeText(c.row.owner))
		created, closed = append(created, c.row.createdAt), append(closed, c.row.closedAt)
	}
	if len(newIDs) > 0 {
		b.Queue("INSERT INTO rooms (id, room, born, owner, created_at, closed_at, records) "+
			"SELECT id, room, born, '', 0, 0, 0 FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS n (id, room, born)",
			newIDs, newNames, newBorn)
	}
	b.Queue("SELECT claim_rooms($1, $2, $3, $4, $5, $6)", ids, have, records, owners, created, closed)
}

const insertRecords = "INSERT INTO records (born, room_id, idx, at, kind, data) " +
	"SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])"

func (p *plan) queueRecords(b *pgx.Batch, recs []rooms.Record) {
	n := len(p.fresh)
	born, room, idx, at := make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n)
	kind, data := make([]string, n), make([][]byte, n)
	var c *claim
	for i, place := range p.fresh {
		r := &recs[place]
		if c == nil || c.name != r.Room {
			c = p.claims[r.Room]
		}
		born[i], room[i], idx[i], at[i] = c.row.born, c.row.id, int64(r.Index), r.At
		kind[i], data[i] = encodeText(r.Kind), blob(r.Data)
	}
	b.Queue(insertRecords, born, room, idx, at, kind, data)
}

// blob makes nil the empty value, not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// ReadRoom implements persist.Store. It holds a connection while visit runs, and sees the records of the moment it
// began.
func (s *Store) ReadRoom(ctx context.Context, room string, visit func(rooms.Record) error) error {
	var row roomRow
	err := s.call(ctx, "read a room", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, "SELECT id, born FROM rooms WHERE room = $1", encodeText(room)).
			Scan(&row.id, &row.born)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || row.id == 0 {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, readPatience*s.cfg.Timeout)
	defer cancel()
	rows, err := s.pool.Query(limited, "SELECT idx, kind, at, data FROM records WHERE born = $1 AND room_id = $2 "+
		"ORDER BY idx", row.born, row.id)
	if err == nil {
		err = eachRecord(rows, room, visit)
	}
	var own *visitError
	if errors.As(err, &own) {
		return own.err
	}
	return s.explain(ctx, "read a room", err)
}

// readPatience is how many times the usual timeout reading a whole room may take.
const readPatience = 12
