package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"lectern/persist"
	"lectern/rooms"
)

// roomRow is a row of the table rooms. Its records are also the room's last index.
type roomRow struct {
	id                  int64
	owner               string
	createdAt, closedAt int64
	records             uint64
	dirty               bool
}

// roomCacheMax bounds the rows kept: about 200 bytes each.
const roomCacheMax = 16_384

// roomCache is the rooms lately written to. It must be cleared whenever a transaction or savepoint is undone.
type roomCache struct{ rows map[string]*roomRow }

func (c *roomCache) clear() { c.rows = make(map[string]*roomRow) }

// AppendRecords implements persist.Store.
func (s *Store) AppendRecords(ctx context.Context, recs []rooms.Record) error {
	if err := persist.CheckRecords(recs); err != nil {
		return err
	}
	if len(recs) == 0 {
		return ctx.Err()
	}
	return s.write(ctx, "store records", func(w *writer) error { return w.append(recs) })
}

func (w *writer) append(recs []rooms.Record) error {
	if len(w.rooms.rows) > roomCacheMax {
		w.rooms.clear()
	}
	args := make([]any, 0, 5*rowsPerInsert)
	touched := make([]*roomRow, 0, 8)
	var row *roomRow
	name := ""
	for i := range recs {
		r := &recs[i]
		if r.Room != name || row == nil {
			var err error
			if row, err = w.room(r.Room); err != nil {
				return err
			}
			name = r.Room
		}
		if r.Index > row.records+1 {
			return &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrGap}
		}
		if r.Index <= row.records {
			if err := w.insert(args); err != nil {
				return err
			}
			args = args[:0]
			if err := w.same(row, r); err != nil {
				return err
			}
			continue
		}
		if !row.dirty {
			row.dirty = true
			touched = append(touched, row)
		}
		row.add(r)
		args = append(args, row.id, int64(r.Index), r.Kind, r.At, blob(r.Data))
		if len(args) == cap(args) {
			if err := w.insert(args); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	if err := w.insert(args); err != nil {
		return err
	}
	for _, row := range touched {
		row.dirty = false
		if err := w.exec(w.stmts.roomUpdate, row.owner, row.createdAt, row.closedAt, int64(row.records), row.id); err != nil {
			return err
		}
	}
	return nil
}

// blob makes nil the empty value, not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
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

// room finds or makes the room's row.
func (w *writer) room(name string) (*roomRow, error) {
	if row := w.rooms.rows[name]; row != nil {
		return row, nil
	}
	row := new(roomRow)
	var records int64
	err := w.row(w.stmts.roomByName, name).
		Scan(&row.id, &row.owner, &row.createdAt, &row.closedAt, &records)
	if errors.Is(err, sql.ErrNoRows) {
		err = w.row(w.stmts.roomInsert, name).Scan(&row.id)
	}
	if err != nil {
		return nil, err
	}
	row.records = uint64(records)
	w.rooms.rows[name] = row
	return row, nil
}

// insert writes the rows in args, five values each.
func (w *writer) insert(args []any) error {
	if len(args) == 5*rowsPerInsert {
		return w.exec(w.stmts.recordInsertMany, args...)
	}
	for ; len(args) > 0; args = args[5:] {
		if err := w.exec(w.stmts.recordInsert, args[:5]...); err != nil {
			return err
		}
	}
	return nil
}

// same checks that the record is stored with the same content.
func (w *writer) same(row *roomRow, r *rooms.Record) error {
	var old rooms.Record
	err := w.row(w.stmts.recordGet, row.id, int64(r.Index)).
		Scan(&old.Kind, &old.At, &old.Data)
	if err != nil {
		return err
	}
	if old.Kind != r.Kind || old.At != r.At || !bytes.Equal(old.Data, r.Data) {
		return &persist.RecordError{Room: r.Room, Index: r.Index, Reason: persist.ErrConflict}
	}
	return nil
}

// ReadRoom implements persist.Store. It holds a connection of the read pool while visit runs, and sees the records of
// the moment it began.
func (s *Store) ReadRoom(ctx context.Context, room string, visit func(rooms.Record) error) error {
	rows, err := s.read.QueryContext(ctx, "SELECT idx, kind, at, data FROM records "+
		"WHERE room_id = (SELECT id FROM rooms WHERE room = ?) ORDER BY idx", room)
	if err != nil {
		return s.explain("read a room", err)
	}
	defer rows.Close()
	for rows.Next() {
		r := rooms.Record{Room: room}
		var index int64
		if err := rows.Scan(&index, &r.Kind, &r.At, &r.Data); err != nil {
			return s.explain("read a room", err)
		}
		r.Index = uint64(index)
		if err := visit(r); err != nil {
			return err
		}
	}
	return s.explain("read a room", rows.Err())
}

// LiveRooms implements persist.Store.
func (s *Store) LiveRooms(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT room FROM rooms WHERE created_at <> 0 AND closed_at = 0 ORDER BY id")
	if err != nil {
		return nil, s.explain("list the live rooms", err)
	}
	defer rows.Close()
	var live []string
	for rows.Next() {
		var room string
		if err := rows.Scan(&room); err != nil {
			return nil, s.explain("list the live rooms", err)
		}
		live = append(live, room)
	}
	return live, s.explain("list the live rooms", rows.Err())
}

const selectRooms = "SELECT room, owner, created_at, closed_at, records FROM rooms "

// Rooms implements persist.Store.
func (s *Store) Rooms(ctx context.Context, limit int) ([]persist.RoomInfo, error) {
	return s.listRooms(ctx, selectRooms+"ORDER BY id DESC LIMIT ?", max(limit, 0))
}

// RoomsOf implements persist.Store.
func (s *Store) RoomsOf(ctx context.Context, owner string, limit int) ([]persist.RoomInfo, error) {
	return s.listRooms(ctx, selectRooms+"WHERE owner = ? ORDER BY id DESC LIMIT ?", owner, max(limit, 0))
}

func (s *Store) listRooms(ctx context.Context, query string, args ...any) ([]persist.RoomInfo, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain("list the rooms", err)
	}
	defer rows.Close()
	var out []persist.RoomInfo
	for rows.Next() {
		var r persist.RoomInfo
		var records int64
		if err := rows.Scan(&r.Room, &r.Owner, &r.CreatedAt, &r.ClosedAt, &records); err != nil {
			return nil, s.explain("list the rooms", err)
		}
		r.Records = uint64(records)
		out = append(out, r)
	}
	return out, s.explain("list the rooms", rows.Err())
}

// write queues a change, refusing it on a read-only store. It explains what goes wrong; changes return plain errors.
func (s *Store) write(ctx context.Context, doing string, change func(*writer) error) error {
	if s.w == nil {
		return errors.New("sqlite: the database is open for reading only")
	}
	return s.explain(doing, s.w.do(ctx, change))
}
