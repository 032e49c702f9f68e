// Package progress follows how far each participant has come in each unit of work (an exercise, a chapter), for the
// teacher. It is event-sourced: a change is recorded as progress.updated, a repetition is not.
//
// Staff hear of each user and unit at most twice a second, always with the newest figures; a class of thousands that
// works through a unit costs the teacher's connection a bounded number of events.
//
// Bounds of one room (unit, overflow rule): UnitsMax units and EntriesMax pairs of user and unit (a further one is
// refused).
//
// A Machine is not safe for more than one goroutine; it belongs to its room's shard.
package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// KindUpdated is the kind of the only fact.
const KindUpdated = "progress.updated"

// Updated is the data of progress.updated.
type Updated struct {
	User  string `json:"user"`
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// DecodeFact reads a recorded fact back as a *Updated. It is strict: an unknown kind, an unknown member or anything
// after the object is an error.
func DecodeFact(kind string, data []byte) (any, error) {
	if kind != KindUpdated {
		return nil, fmt.Errorf("progress: unknown fact kind %q", kind)
	}
	v := new(Updated)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("progress: fact %s: %w", kind, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("progress: fact %s: more than one value", kind)
	}
	return v, nil
}

// Limits that are not settings.
const (
	unitRunesMax = 64
	totalMax     = 1_000_000
	// CoalesceMs is the least time between two events of the same user and unit.
	CoalesceMs = 500
)

// Config holds the limits. Zero members mean the defaults.
type Config struct {
	UnitsMax   int // default 500
	EntriesMax int // pairs of user and unit; default 200,000
}

// key names an entry.
type key struct{ unit, user string }

// entry is how far one user has come in one unit.
type entry struct {
	name        string
	done, total int
	sentAt      int64 // volatile: when staff were told last
	waiting     bool  // volatile: is in the queue
}

// unit sums up one unit; it is kept current so that a summary costs nothing per user.
type unit struct {
	name     string
	users    int
	finished int
	done     int64
	total    int64
}

// due is an entry whose event has been put off.
type due struct {
	at  int64
	key key
}

// Machine is the progress of one room.
type Machine struct {
	cfg     Config
	entries map[key]*entry
	units   []*unit // in order of first update
	byName  map[string]*unit

	// Volatile. Each is put off by the same time, so the queue is in order of at.
	queue []due
}

// New makes a Machine that knows of no progress.
func New(cfg Config) *Machine {
	if cfg.UnitsMax <= 0 {
		cfg.UnitsMax = 500
	}
	if cfg.EntriesMax <= 0 {
		cfg.EntriesMax = 200_000
	}
	return &Machine{cfg: cfg, entries: make(map[key]*entry), byName: make(map[string]*unit)}
}

// Handle carries out progress:update of a participant. body is a *wire.ProgressData.
func (m *Machine) Handle(env effect.Env, from effect.Caller, op wire.Op, body any, out *effect.Effects) {
	d, ok := body.(*wire.ProgressData)
	if op != wire.OpProgressUpdate || !ok {
		out.Refuse(from, wire.NewError(wire.CodeInvalidData, "send the data that progress:update takes"))
		return
	}
	if err := m.check(from, d); err != nil {
		out.Refuse(from, err)
		return
	}
	e := m.entries[key{d.Unit, from.User}]
	if e == nil || e.done != d.Done || e.total != d.Total {
		u := &Updated{User: from.User, Name: from.Name, Unit: d.Unit, Done: d.Done, Total: d.Total}
		f := effect.Fact{Kind: KindUpdated, At: env.Now, Data: u}
		out.Facts = append(out.Facts, f)
		m.Apply(f, out)
	}
	out.Reply(from, nil)
}

func (m *Machine) check(from effect.Caller, d *wire.ProgressData) *wire.Error {
	if from.Role < wire.RoleParticipant {
		return wire.NewError(wire.CodeForbidden, "observers have no progress")
	}
	if strings.TrimSpace(d.Unit) == "" || utf8.RuneCountInString(d.Unit) > unitRunesMax {
		return wire.NewError(wire.CodeInvalidData, "name the unit with 1 to %d characters", unitRunesMax).At("unit")
	}
	if d.Total < 1 || d.Total > totalMax {
		return wire.NewError(wire.CodeInvalidData, "give a total of 1 to %d", totalMax).At("total")
	}
	if d.Done < 0 || d.Done > d.Total {
		return wire.NewError(wire.CodeInvalidData, "give a number from 0 to total").At("done")
	}
	if m.entries[key{d.Unit, from.User}] != nil {
		return nil
	}
	if len(m.entries) >= m.cfg.EntriesMax || m.byName[d.Unit] == nil && len(m.units) >= m.cfg.UnitsMax {
		return wire.NewError(wire.CodeTooLarge, "this room keeps no more units; end it and open a new one")
	}
	return nil
}

// Apply makes what has happened true and tells staff, at once or when the last event of the same user and unit is old
// enough. It is the only writer of recorded state. A fact that is not progress is ignored.
func (m *Machine) Apply(f effect.Fact, out *effect.Effects) {
	d, ok := f.Data.(*Updated)
	if !ok {
		return
	}
	k := key{d.Unit, d.User}
	u := m.byName[d.Unit]
	if u == nil {
		u = &unit{name: d.Unit}
		m.byName[d.Unit] = u
		m.units = append(m.units, u)
	}
	e := m.entries[k]
	if e == nil {
		e = &entry{}
		m.entries[k] = e
		u.users++
	} else {
		u.add(e, -1)
	}
	e.name, e.done, e.total = d.Name, d.Done, d.Total
	u.add(e, 1)
	switch {
	case out.Replaying || e.waiting:
	case e.sentAt == 0 || f.At-e.sentAt >= CoalesceMs:
		m.tell(k, e, f.At, out)
	default:
		e.waiting = true
		m.queue = append(m.queue, due{at: f.At + CoalesceMs, key: k})
	}
}

// add counts an entry into the sums, or out of them.
func (u *unit) add(e *entry, sign int) {
	u.done += int64(sign * e.done)
	u.total += int64(sign * e.total)
	if e.done == e.total {
		u.finished += sign
	}
}

func (m *Machine) tell(k key, e *entry, at int64, out *effect.Effects) {
	e.sentAt, e.waiting = at, false
	out.State(effect.ToStaff, wire.EvProgressChanged, k.user+"\x00"+k.unit, at, &wire.ProgressData{
		User: k.user, Name: e.name, Unit: k.unit, Done: e.done, Total: e.total,
	})
}

// Deadline is when the next put-off event is due: Unix milliseconds, 0 for none.
func (m *Machine) Deadline() int64 {
	if len(m.queue) == 0 {
		return 0
	}
	return m.queue[0].at
}

// Tick sends the put-off events that are due.
func (m *Machine) Tick(env effect.Env, out *effect.Effects) {
	n := 0
	for n < len(m.queue) && m.queue[n].at <= env.Now {
		k := m.queue[n].key
		m.tell(k, m.entries[k], env.Now, out)
		n++
	}
	if n == len(m.queue) {
		m.queue = nil
		return
	}
	m.queue = m.queue[n:]
}

// UnitSummary sums up one unit for staff.
type UnitSummary struct {
	Unit     string `json:"unit"`
	Users    int    `json:"users"`    // who have begun
	Finished int    `json:"finished"` // who have done all
	Done     int64  `json:"done"`     // of all users together
	Total    int64  `json:"total"`
}

// Snapshot sums up the units in the order in which they were begun, for staff.
func (m *Machine) Snapshot() []UnitSummary {
	out := make([]UnitSummary, 0, len(m.units))
	for _, u := range m.units {
		out = append(out, UnitSummary{Unit: u.name, Users: u.users, Finished: u.finished, Done: u.done, Total: u.total})
	}
	return out
}
